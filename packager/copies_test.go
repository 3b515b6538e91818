package packager

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// scribe notes all that a packager publishes, so that copies can be made of it as it was at any moment.
type scribe struct {
	g       *rig
	chains  map[string][]*window.Snapshot
	moments []moment
}

// moment is the state of a presentation: its view, and how many snapshots there were of each rendition.
type moment struct {
	head  window.ViewHead
	count map[string]int
}

func newScribe(g *rig) *scribe { return &scribe{g: g, chains: map[string][]*window.Snapshot{}} }

// note looks at what is new, and makes a moment of it.
func (s *scribe) note() {
	view := s.g.Presentation().Load()
	m := moment{head: view.Head(), count: map[string]int{}}
	changed := len(s.moments) == 0
	for _, r := range view.Renditions {
		chain := s.chains[r.Name]
		if len(chain) == 0 {
			chain = append(chain, r.Load())
		}
		for next := chain[len(chain)-1].Successor(); next != nil; next = next.Successor() {
			chain = append(chain, next)
		}
		s.chains[r.Name] = chain
		m.count[r.Name] = len(chain)
		changed = changed || s.moments[len(s.moments)-1].count[r.Name] != len(chain)
	}
	if changed {
		s.moments = append(s.moments, m)
	}
}

// at is a rendition's state at a moment, as it travels: with the bytes that has tells of.
func (s *scribe) at(name string, moment int, has func(g *window.Segment, part int) bool) *window.Snapshot {
	n := s.moments[moment].count[name]
	if n == 0 {
		return nil
	}
	of := s.chains[name][n-1]
	c := &window.Snapshot{
		Listed: of.Listed, Independent: of.Independent, Ranges: of.Ranges, Amended: of.Amended, Reports: of.Reports,
		Ended: of.Ended, NextMSN: of.NextMSN, Gen: of.Gen, PartTarget: of.PartTarget,
	}
	for _, g := range of.Segments {
		x := *g
		x.Parts = slices.Clone(g.Parts)
		for i := range x.Parts {
			if p := &x.Parts[i]; p.Data != nil {
				p.Sum = sha256.Sum256(p.Data)
				if has != nil && !has(g, i) {
					p.Data = nil
				}
			}
		}
		c.Segments = append(c.Segments, &x)
	}
	return c
}

// copyAt makes a copy of the presentation as it was at a moment. Renditions may be behind that by as many moments as behind tells, and
// lack bytes.
func (s *scribe) copyAt(t testing.TB, moment int, behind func(name string) int, has func(g *window.Segment, part int) bool) *window.Presentation {
	t.Helper()
	set := s.g.Presentation().Settings
	c := window.NewCopy("show", window.Settings{TargetDuration: set.TargetDuration, DVR: set.DVR, Now: set.Now})
	if err := c.CopyView(s.moments[moment].head); err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Load().Renditions {
		m := moment
		if behind != nil {
			m = max(0, m-behind(r.Name))
		}
		if state := s.at(r.Name, m, has); state != nil {
			if err := c.Adopt(r, state); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// takeover is a packager that goes on with a copy, and what the copy was before.
type takeover struct {
	*rig
	before map[string]*window.Snapshot
	view   *window.View
	last   int64 // the highest number of the copy
	date   time.Time
	lag    window.Ticks
	walks  map[string]*window.Snapshot
}

// continued takes a copy over, with settings that are another node's.
func continued(t *testing.T, c *window.Presentation, gen int64, now time.Time) *takeover {
	t.Helper()
	x := &takeover{before: map[string]*window.Snapshot{}, walks: map[string]*window.Snapshot{}, view: c.Load()}
	for _, r := range c.Load().Renditions {
		s := r.Load()
		x.before[r.Name], x.walks[r.Name] = s, s
		x.lag = max(x.lag, s.Lag())
		if n := len(s.Segments); n > 0 {
			g := s.Segments[n-1]
			x.last = max(x.last, g.MSN)
			if end := g.Wall.Add(window.Duration(g.Duration)); end.After(x.date) {
				x.date = end
			}
		}
	}
	x.rig = newRigWith(t, func(o *Options) {
		o.Continue, o.Gen, o.Now = c, gen, func() time.Time { return now }
		o.Settings = Settings{SegmentDuration: 3 * time.Second, MaxSegmentDuration: 9 * time.Second, PartDuration: 500 * time.Millisecond, DVR: time.Hour}
	})
	if x.Presentation() != c {
		t.Fatal("a presentation of its own was made")
	}
	for _, r := range c.Load().Renditions {
		if r.Load().Open() != nil {
			t.Errorf("the last segment of %s is left open", r.Name)
		}
	}
	return x
}

// from is where the publisher's timeline begins, in seconds.
func (x *takeover) from() float64 {
	at := x.Begins()
	return math.Ceil(float64(at.UnixNano())/1e9*10+1) / 10
}

// judgeTakeover holds what came of a copy, once it ended, against what must hold of a takeover.
func (x *takeover) judgeTakeover(label any) {
	t := x.t
	t.Helper()
	view := x.Presentation().Load()
	if x.view.PartTarget != 0 && view.PartTarget != x.view.PartTarget {
		t.Errorf("%v: PART-TARGET was %d and is %d", label, x.view.PartTarget, view.PartTarget)
	}
	for name, was := range x.before {
		s := view.Rendition(name).Load()
		for _, g := range was.Segments { // what was published stays as it was
			h := s.Segment(g.MSN)
			if h == nil {
				if g.MSN >= was.Segments[was.Listed].MSN && s.End()-g.Start < 50*window.Rate {
					t.Errorf("%v: segment %d of %s is gone", label, g.MSN, name)
				}
				continue
			}
			same := slices.EqualFunc(g.Parts, h.Parts, func(a, b window.Part) bool {
				return a.Duration == b.Duration && a.Gap == b.Gap && a.Size == b.Size && string(a.Data) == string(b.Data)
			})
			if !same || g.Gen != h.Gen || !g.Wall.Equal(h.Wall) || g.Duration != h.Duration {
				t.Errorf("%v: segment %d of %s has become another", label, g.MSN, name)
			}
		}
		// Each state in its turn: nothing goes back.
		for old, next := x.walks[name], x.walks[name].Successor(); next != nil; old, next = next, next.Successor() {
			a, _ := old.Last()
			b, _ := next.Last()
			if b.MSN < a.MSN || b.MSN == a.MSN && b.Part < a.Part || next.Lag() < old.Lag() || next.Gen < old.Gen {
				t.Errorf("%v: %s goes from %v with lag %d to %v with %d", label, name, a, old.Lag(), b, next.Lag())
			}
			if len(next.Segments) == 0 || lastOf(next).Gen < x.opt.Gen {
				continue
			}
			if next.Lag() < x.lag {
				t.Errorf("%v: the lag of %s falls from %d to %d", label, name, x.lag, next.Lag())
			}
		}
		date, chunk := time.Time{}, uint32(0)
		for _, g := range s.Segments {
			for _, part := range g.Parts {
				if head := box(part.Data, "moof", "mfhd"); head != nil {
					if n := binary.BigEndian.Uint32(head[4:]); n <= chunk {
						t.Errorf("%v: chunk %d of %s follows %d", label, n, name, chunk)
					} else {
						chunk = n
					}
				}
			}
			if g.Wall.Before(date) {
				t.Errorf("%v: segment %d of %s is dated %v, behind %v", label, g.MSN, name, g.Wall, date)
			}
			date = g.Wall
			switch {
			case g.MSN == x.last+1 && (!g.Discontinuity || g.Wall.Before(x.date)):
				t.Errorf("%v: segment %d of %s has discontinuity %v at %v, what was copied ends at %v", label, g.MSN, name, g.Discontinuity, g.Wall, x.date)
			case g.MSN > x.last && g.Gen != x.opt.Gen:
				t.Errorf("%v: segment %d of %s is of generation %d", label, g.MSN, name, g.Gen)
			case g.MSN <= x.last && g.Gen == x.opt.Gen && !g.Gap():
				t.Errorf("%v: segment %d of %s has media in place of what was not copied", label, g.MSN, name)
			}
			if g.MSN <= x.last && g.Gen == x.opt.Gen { // a gap lasts as long as what others have
				if like := alike(view, g.MSN); abs(like.Duration-g.Duration) > 0 {
					t.Errorf("%v: the gap %d of %s lasts %d, the others' segment %d", label, g.MSN, name, g.Duration, like.Duration)
				}
			}
		}
	}
}

// cutShort tells whether another generation completed the segment where it stood.
func cutShort(g *window.Segment) bool { return g.Closed != 0 && g.Closed != g.Gen }

// lastOf is the last segment of a snapshot that has some.
func lastOf(s *window.Snapshot) *window.Segment { return s.Segments[len(s.Segments)-1] }

// visit plays lanes from a time of the stream on, with times of capture that are a clock's which is off.
func (x *takeover) visit(from, seconds float64, lanes []*lane, off time.Duration, before func(at float64, f *stream.Frame)) {
	x.t.Helper()
	x.run(from, seconds, lanes, func(at float64, f *stream.Frame) {
		f.Wall = f.Wall.Add(off)
		if before != nil {
			before(at, f)
		}
	})
}
