package hls

import "testing"

// TestNetwork: one host counts once, whichever of its addresses it takes.
func TestNetwork(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:5":               "192.0.2.1",
		"[::ffff:192.0.2.1]:5":      "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:99": "2001:db8:1:2::",
		"[2001:db8:1:2::9]:1":       "2001:db8:1:2::",
		"[2001:db8:1:3::9]:1":       "2001:db8:1:3::",
		"[fe80::1%eth0]:1":          "fe80::",
	} {
		if got := network(remote); got.String() != want {
			t.Errorf("%s is of %v, want %s", remote, got, want)
		}
	}
	if network("pipe").IsValid() {
		t.Error("what is no address has one")
	}
	if n := testing.AllocsPerRun(100, func() { network("[2001:db8:1:2:3:4:5:6]:99") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
