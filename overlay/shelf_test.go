package overlay

import (
	"strings"
	"testing"
	"time"
)

// TestShelfIsBounded: the oldest revisions go when there are too many, or too large ones; what is shown never does.
func TestShelfIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size, kept int
	}{
		"small": {100, mostKept},
		"large": {4096, mostKeptBytes / 4096},
	} {
		s, begin, doc := &shelf{}, time.Now(), []byte(strings.Repeat("x", c.size))
		s.show(revision{"shown", 1}, doc)
		for i := range int64(mostKept + 100) {
			r := revision{"lamp", i + 1}
			s.show(r, doc)
			s.end(r, begin)
			s.end(r, begin.Add(time.Hour)) // has ended already
		}
		if len(s.ended) != c.kept || len(s.items) != c.kept+1 || s.bytes != c.kept*c.size {
			t.Errorf("%s: %d revisions are kept, %d in all, %d bytes", name, len(s.ended), len(s.items), s.bytes)
		}
		last, first := revision{"lamp", mostKept + 100}, revision{"lamp", int64(mostKept + 100 - c.kept + 1)}
		for _, r := range []revision{{"shown", 1}, last, first} {
			if s.find(r, begin, 0) == nil {
				t.Errorf("%s: %v is gone", name, r)
			}
		}
		if s.find(revision{"lamp", first.rev - 1}, begin, 0) != nil {
			t.Errorf("%s: one too many is kept", name)
		}
		s.show(last, doc)
		s.expire(begin.Add(time.Minute), time.Second)
		if len(s.items) != 2 || len(s.ended) != 0 || s.bytes != 0 || s.find(last, begin.Add(time.Hour), 0) == nil {
			t.Errorf("%s: %d revisions are left, %d bytes", name, len(s.items), s.bytes)
		}
		s.end(revision{"never", 1}, begin)
	}
}

// TestTimelineIsBounded: the oldest lines go, even those of what is still shown.
func TestTimelineIsBounded(t *testing.T) {
	t.Parallel()
	var l timeline
	l.add([]slotRecord{{"still", "lamp", 1, 1}}, "api")
	for i := range int64(mostShown + 5) {
		l.add([]slotRecord{{"main", "lamp", i + 1, i}}, "api")
	}
	v := l.view()
	if len(v) != mostShown || v[0].Rev != mostShown+5 || v[mostShown-1].Rev != 6 || v[0].To != nil || v[1].To == nil {
		t.Errorf("%d lines from %+v to %+v", len(v), v[0], v[len(v)-1])
	}
	l.add([]slotRecord{{Slot: "still", Since: 9}}, "api")
	if len(l.view()) != mostShown {
		t.Error("hiding added a line")
	}
}
