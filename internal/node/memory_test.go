package node

import "testing"

func TestGCPercent(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		name        string
		live, media int64
		least, most int
	}{
		{"nothing is there", 0, 0, mostPercent, mostPercent},
		{"an idle node has as much room as Go gives", 4 * mb, 0, 100, 100},
		{"viewers only: Go's default", 300 * mb, 0, 100, 100},
		{"media only", 660 * mb, 583 * mb, 9, 11},
		{"media and as much again for viewers", 1250 * mb, 583 * mb, 50, 55},
		{"media that came since the last collection", 100 * mb, 583 * mb, 58, 66},
	} {
		if got := gcPercent(c.live, c.media); got < c.least || got > c.most {
			t.Errorf("%s: %d %%, want %d to %d", c.name, got, c.least, c.most)
		}
	}
}
