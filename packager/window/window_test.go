package window

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const partTicks = Rate / 5

// show writes a presentation of two renditions, ten parts to a segment of two seconds.
type show struct {
	*Presentation
	video, audio *Rendition
	n            int
}

func newShow(dvr time.Duration) *show {
	p := NewPresentation("show", Settings{TargetDuration: 4, DVR: dvr, FirstMSN: 100, Gen: 7, Now: func() time.Time { return epoch }})
	s := &show{Presentation: p, video: p.AddRendition("video", true, 100), audio: p.AddRendition("audio", false, 100)}
	p.SetPartTarget(partTicks)
	return s
}

// add appends parts to both renditions.
func (s *show) add(parts int) {
	for range parts {
		for _, r := range []*Rendition{s.video, s.audio} {
			var begin *Segment
			if s.n%10 == 0 {
				begin = &Segment{Wall: epoch.Add(time.Duration(s.n) * 200 * time.Millisecond)}
			}
			s.Append(r, Part{Data: fmt.Appendf(nil, "%s %d", r.Name, s.n), Duration: partTicks, Independent: s.n%10 == 0, ExpectCut: s.n%10 == 9}, begin)
		}
		s.n++
	}
}

// picture is a deep copy of what a snapshot shows.
type picture struct {
	Segments           []Segment
	Bodies             [][]byte
	Reports            []Report
	Listed             int
	Independent, Ended bool
	NextMSN            int64
}

func draw(s *Snapshot) picture {
	p := picture{Listed: s.Listed, Independent: s.Independent, Reports: slices.Clone(s.Reports), Ended: s.Ended, NextMSN: s.NextMSN}
	for _, g := range s.Segments {
		c := *g
		c.Parts = make([]Part, len(g.Parts))
		for i, q := range g.Parts {
			q.Data = bytes.Clone(q.Data)
			c.Parts[i] = q
		}
		c.body = nil
		p.Segments = append(p.Segments, c)
		p.Bodies = append(p.Bodies, bytes.Join(g.Body(), nil))
	}
	return p
}

// TestSnapshotsNeverChange: whatever is appended, trimmed, reported and ended later, an old snapshot shows what it did.
func TestSnapshotsNeverChange(t *testing.T) {
	t.Parallel()
	s := newShow(8 * time.Second)
	var kept []*Snapshot
	var pictures []picture
	for range 150 {
		for _, r := range []*Rendition{s.video, s.audio} {
			kept = append(kept, r.Load())
			pictures = append(pictures, draw(r.Load()))
		}
		s.add(1)
	}
	s.Complete(s.video)
	s.End()
	for i, k := range kept {
		if got := draw(k); !reflect.DeepEqual(got, pictures[i]) {
			t.Fatalf("snapshot %d of %s was\n%+v\nand has become\n%+v", i, k.Rendition().Name, pictures[i], got)
		}
		select {
		case <-k.Changed():
		default:
			t.Fatalf("snapshot %d has been replaced, but its channel is open", i)
		}
	}
}

// TestReadersNeedNoLock lets readers walk through snapshots while the writer appends: for the race detector.
func TestReadersNeedNoLock(t *testing.T) {
	t.Parallel()
	s := newShow(4 * time.Second)
	s.add(1)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				view := s.Load()
				for _, r := range view.Renditions {
					snap := r.Load()
					sum := 0
					for _, g := range snap.Segments {
						size := 0
						for i := range g.Parts {
							size += len(g.Parts[i].Data)
						}
						if body := bytes.Join(g.Body(), nil); size != g.Size || len(body) != size {
							t.Errorf("segment %d has %d bytes, %d in one piece, and says %d", g.MSN, size, len(body), g.Size)
						}
						sum += size
					}
					if snap.Bytes() != sum {
						t.Errorf("%d bytes, and says %d", sum, snap.Bytes())
					}
					snap.Memo[0].Get(func() any { return sum })
				}
				if view.Ended {
					return
				}
				select {
				case <-s.video.Load().Changed():
				case <-view.Changed(): // the last snapshot has no successor
				}
			}
		})
	}
	s.add(500)
	s.End()
	readers.Wait()
}

// TestTrim: 6.2.2 of rfc8216bis wants a segment fetchable, after it has left the playlist, for its own duration and that
// of the longest playlist that had it.
func TestTrim(t *testing.T) {
	t.Parallel()
	const dvr, segment = 12 * time.Second, 2 * time.Second
	s := newShow(dvr)
	type times struct{ listed, fetchable Ticks } // rendition time at which it was last seen
	seen := map[int64]*times{}
	longest := Ticks(0)
	for range 600 {
		s.add(1)
		snap := s.video.Load()
		listed := Ticks(0)
		for i, g := range snap.Segments {
			if seen[g.MSN] == nil {
				seen[g.MSN] = &times{}
			}
			seen[g.MSN].fetchable = snap.End()
			if i >= snap.Listed {
				seen[g.MSN].listed = snap.End()
				listed += g.Duration
			}
			if i > 0 && g.MSN != snap.Segments[i-1].MSN+1 {
				t.Fatalf("segment %d follows %d", g.MSN, snap.Segments[i-1].MSN)
			}
		}
		longest = max(longest, listed)
		if snap.End() > FromDuration(dvr+segment) && listed < FromDuration(dvr) {
			t.Fatalf("the playlist has only %v", Duration(listed))
		}
	}
	if longest > FromDuration(dvr+2*segment) {
		t.Errorf("the longest playlist has %v", Duration(longest))
	}
	first := s.video.Load().Segments[0].MSN
	if first < 130 {
		t.Errorf("segment %d is still kept at %d", first, s.video.Load().NextMSN)
	}
	for msn, x := range seen {
		if kept := x.fetchable - x.listed; msn < first && kept < FromDuration(segment)+longest {
			t.Errorf("segment %d was kept for %v after it left the playlist, want %v", msn, Duration(kept), segment+Duration(longest))
		}
	}
}

func TestPositions(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	empty := s.video.Load()
	if _, ok := empty.Last(); ok || empty.Open() != nil || empty.Has(Position{MSN: 99, Part: 0}) || empty.Next() != (Position{MSN: 100}) || empty.End() != 0 {
		t.Errorf("nothing is there: %+v, next %v", empty, empty.Next())
	}
	s.add(14) // 100.0 to 100.9, 101.0 to 101.3
	snap := s.video.Load()
	if last, ok := snap.Last(); !ok || last != (Position{101, 3}) {
		t.Errorf("the last part is %v", last)
	}
	if next := snap.Next(); next != (Position{101, 4}) {
		t.Errorf("the next part is %v", next)
	}
	for p, want := range map[Position]bool{
		{99, 0}: true, {99, -1}: true, {100, -1}: true, {100, 50}: true, {101, -1}: false, {101, 3}: true, {101, 4}: false, {102, -1}: false, {102, 0}: false,
	} {
		if snap.Has(p) != want {
			t.Errorf("Has(%v) is %v", p, !want)
		}
	}
	for p, want := range map[Position]string{{100, 9}: "video 9", {101, 0}: "video 10", {101, 4}: "", {100, 10}: "", {100, -1}: "", {99, 0}: "", {102, 0}: ""} {
		if got, ok := snap.Part(p); string(got.Data) != want || ok != (want != "") {
			t.Errorf("Part(%v) is %q, %v", p, got.Data, ok)
		}
	}
	if snap.Segment(99) != nil || snap.Segment(102) != nil || snap.Segment(101) != snap.Open() {
		t.Error("segments are not found by their numbers")
	}
	s.add(6) // 101 has ten parts, the last of which announces a cut
	if next := s.video.Load().Next(); next != (Position{MSN: 102}) {
		t.Errorf("behind a part that expects a cut comes %v", next)
	}
	s.Complete(s.video)
	snap = s.video.Load()
	if snap.Open() != nil || !snap.Has(Position{101, -1}) || snap.Has(Position{101, 10}) || snap.Has(Position{102, 0}) {
		t.Errorf("completed early: %+v", snap)
	}
	s.Complete(s.video)
	if s.video.Load() != snap {
		t.Error("completing twice makes another snapshot")
	}
	s.add(1)
	if g := s.video.Load().Open(); g == nil || g.MSN != 102 || g.Gen != 7 || g.Start != 20*partTicks {
		t.Errorf("the segment behind one completed early: %+v", g)
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.Append(s.video, Part{Data: []byte("a"), Duration: partTicks}, &Segment{})
	if r := s.video.Load().Reports; len(r) != 0 {
		t.Errorf("a report on a rendition without media: %v", r)
	}
	s.Append(s.audio, Part{Data: []byte("b"), Duration: partTicks}, &Segment{})
	if r := s.video.Load().Reports; len(r) != 1 || r[0] != (Report{"audio", Position{100, 0}}) {
		t.Errorf("audio has come, video reports %v", r)
	}
	s.Append(s.video, Part{Data: []byte("c"), Duration: partTicks}, nil)
	s.Append(s.audio, Part{Data: []byte("d"), Duration: partTicks}, nil)
	if r := s.audio.Load().Reports; len(r) != 1 || r[0] != (Report{"video", Position{100, 1}}) {
		t.Errorf("audio reports %v", r)
	}
}

// TestReportsOnWhatIsListed: a rendition that left the variants is reported on no more, at once, and again when it is back.
func TestReportsOnWhatIsListed(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(1)
	group := &AudioGroup{ID: "audio", Members: []AudioMember{{Rendition: s.audio, Name: "Original"}}}
	both, alone := []Variant{{Video: s.video, Audio: group}}, []Variant{{Video: s.video}}
	for i, c := range []struct {
		variants []Variant
		reports  int
		amended  int
	}{{both, 1, 0}, {alone, 0, 1}, {alone, 0, 1}, {both, 1, 2}} {
		s.SetVariants(c.variants)
		if v := s.video.Load(); len(v.Reports) != c.reports || v.Amended != c.amended {
			t.Errorf("%d: %d reports, amended %d times; want %d and %d", i, len(v.Reports), v.Amended, c.reports, c.amended)
		}
	}
	s.SetVariants(alone)
	s.add(1)
	if v := s.video.Load(); len(v.Reports) != 0 || v.Amended != 0 {
		t.Errorf("after a part, %d reports, amended %d times", len(v.Reports), v.Amended)
	}
}

func TestIndependent(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(11)
	s.Append(s.video, Part{Gap: true, Duration: partTicks}, &Segment{})
	if !s.video.Load().Independent || !s.video.Load().Open().Gap() || s.video.Load().Open().Independent() {
		t.Error("a gap counts against independence, or is taken for media")
	}
	s.Append(s.video, Part{Data: []byte("x"), Duration: partTicks}, &Segment{})
	if s.video.Load().Independent {
		t.Error("a segment that begins without a key frame is called independent")
	}
}

// TestInits: a publisher that changes its codec data all the time does not fill the memory with it.
func TestInits(t *testing.T) {
	t.Parallel()
	s := newShow(4 * time.Second)
	a := s.AddInit(s.video, &Init{Name: "init-a.mp4", Data: []byte("a")})
	if again := s.AddInit(s.video, &Init{Name: "init-a.mp4", Data: []byte("a")}); again != a {
		t.Error("the same initialisation section is kept twice")
	}
	var last *Init
	for i := range 200 {
		last = s.AddInit(s.video, &Init{Name: fmt.Sprintf("init-%d.mp4", i)})
		s.Append(s.video, Part{Data: []byte("x"), Duration: Rate}, &Segment{Init: last})
		for _, g := range s.video.Load().Segments {
			if s.video.Init(g.Init.Name) != g.Init {
				t.Fatalf("segment %d needs %s, which is gone", g.MSN, g.Init.Name)
			}
		}
	}
	if n, kept := len(*s.video.inits.Load()), len(s.video.Load().Segments); n > kept+1 {
		t.Errorf("%d initialisation sections for %d segments", n, kept)
	}
	if s.video.Init("init-a.mp4") != nil {
		t.Error("the first initialisation section is kept for ever")
	}
}

// TestWaiting: who waits for a view or a snapshot is woken by the next one, and by the end.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(time.Minute)
		s.add(1)
		woken := make(chan string, 3)
		view, video, audio := s.Load(), s.video.Load(), s.audio.Load()
		go func() { <-view.Changed(); woken <- "view" }()
		go func() { <-video.Changed(); woken <- "video" }()
		go func() { <-audio.Changed(); woken <- "audio" }()
		synctest.Wait()
		s.Append(s.video, Part{Data: []byte("x"), Duration: partTicks}, nil)
		synctest.Wait()
		if len(woken) != 1 || <-woken != "video" {
			t.Errorf("%d were woken by a part of video", len(woken)+1)
		}
		s.End()
		synctest.Wait()
		if len(woken) != 2 {
			t.Errorf("%d were woken by the end, want two", len(woken))
		}
		for _, r := range s.Load().Renditions {
			if !r.Load().Ended || r.Load().Open() != nil {
				t.Errorf("%s has not ended", r.Name)
			}
		}
		if !s.Load().Ended {
			t.Error("the presentation has not ended")
		}
	})
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Millisecond, 200 * time.Millisecond, time.Second, 6 * time.Hour, 60 * 365 * 24 * time.Hour} {
		if got := Duration(FromDuration(d)); got != d {
			t.Errorf("%v becomes %v", d, got)
		}
	}
	if got := Duration(1); got != 11111*time.Nanosecond {
		t.Errorf("a tick is %v", got)
	}
}

// TestUnaligned: a rendition of which it is said that its segments may begin with any picture never claims otherwise.
func TestUnaligned(t *testing.T) {
	p := NewPresentation("show", Settings{TargetDuration: 2, DVR: time.Minute, FirstMSN: 5})
	r := p.AddRendition("video", true, 5)
	waits := r.Load().Changed()
	p.Unaligned(r)
	select {
	case <-waits:
	default:
		t.Error("those who wait are not told")
	}
	p.Append(r, Part{Duration: Rate, Data: []byte{1}, Independent: true}, &Segment{})
	if s := r.Load(); s.Independent || s.Segments[0].MSN != 5 {
		t.Errorf("independent %v, segment %d", s.Independent, s.Segments[0].MSN)
	}
}

// TestLag: a snapshot tells the last part's lag, also behind a completed segment, and older snapshots what they told.
func TestLag(t *testing.T) {
	t.Parallel()
	p := NewPresentation("show", Settings{TargetDuration: 2, DVR: time.Minute, FirstMSN: 5})
	r := p.AddRendition("video", true, 5)
	if got := r.Load().Lag(); got != 0 {
		t.Errorf("before the first part: %d", got)
	}
	p.Append(r, Part{Duration: partTicks, Data: []byte{1}, Lag: 2 * partTicks}, &Segment{})
	first := r.Load()
	p.Append(r, Part{Duration: partTicks, Gap: true, Lag: 3 * partTicks}, nil)
	p.Complete(r)
	if got := r.Load().Lag(); got != 3*partTicks {
		t.Errorf("behind a complete segment: %d", got)
	}
	p.Append(r, Part{Duration: partTicks, Data: []byte{2}}, &Segment{})
	if a, b := first.Lag(), r.Load().Lag(); a != 2*partTicks || b != 0 {
		t.Errorf("the first snapshot tells %d, the last %d", a, b)
	}
}

// TestReportsOnWhatIsToCome: on a rendition that has parts, but of which players have not been told, there is no report.
func TestReportsOnWhatIsToCome(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(1)
	variants := []Variant{{Video: s.video}, {Video: s.audio}}
	s.SetVariants(variants)
	rung := s.AddRendition("480p", true, s.video.Load().NextMSN)
	s.Append(rung, Part{Data: []byte("x"), Duration: partTicks}, &Segment{})
	s.add(1)
	if v, r := s.video.Load(), rung.Load(); len(v.Reports) != 1 || v.Reports[0].Rendition != "audio" || len(r.Reports) != 2 {
		t.Errorf("reports %v, and those of the one that is to come %v", v.Reports, r.Reports)
	}
	s.SetVariants(append(variants, Variant{Video: rung}))
	if v := s.video.Load(); len(v.Reports) != 2 || v.Amended != 1 {
		t.Errorf("once it is listed: %v, amended %d times", v.Reports, v.Amended)
	}
}

// TestMemberOfTwoGroups: a rendition that is in two groups stays listed as long as one of them has a variant.
func TestMemberOfTwoGroups(t *testing.T) {
	t.Parallel()
	s := newShow(time.Minute)
	s.add(1)
	group := func(id string) *AudioGroup {
		return &AudioGroup{ID: id, Members: []AudioMember{{Rendition: s.audio, Name: "Original"}}}
	}
	both := []Variant{{Video: s.video, Audio: group("audio")}, {Video: s.video, Audio: group("low")}}
	for i, c := range []struct {
		variants []Variant
		reports  int
	}{{both, 1}, {both[1:], 1}, {both[:1], 1}, {[]Variant{{Video: s.video}}, 0}} {
		s.SetVariants(c.variants)
		if got := len(s.video.Load().Reports); got != c.reports {
			t.Errorf("%d: %d reports, want %d", i, got, c.reports)
		}
	}
}
