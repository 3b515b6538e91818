package hls

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/packager/playlist"
	"pushcart/packager/window"
)

// script is an origin that writes whatever comes to its mind.
type script struct {
	*rand.Rand
	p     *window.Presentation
	inits int
	parts int
	lag   window.Ticks
}

var scriptRenditions = []string{"video", "480p", "240p", "audio", "audio-1"}

// write does one thing.
func (s *script) write() {
	all := s.p.Load().Renditions
	switch n := s.IntN(40); {
	case n == 0 && len(all) < len(scriptRenditions):
		name := scriptRenditions[len(all)]
		r := s.p.AddRendition(name, !strings.HasPrefix(name, "audio"), all[0].Load().NextMSN+s.Int64N(2))
		s.init(r)
		if s.IntN(3) == 0 {
			s.p.Unaligned(r)
		}
	case n == 1:
		s.p.Complete(all[s.IntN(len(all))])
	case n == 2:
		s.p.SetRanges(all[s.IntN(len(all))], s.ranges(all[0].Load()))
	case n == 3:
		s.variants()
	case n == 4:
		s.init(all[s.IntN(len(all))])
	default:
		s.part(all[s.IntN(len(all))])
	}
}

func (s *script) init(r *window.Rendition) {
	s.inits++
	name := fmt.Sprintf("init-%d.mp4", s.inits%5)
	s.p.AddInit(r, &window.Init{Name: name, Data: []byte(name)})
}

func (s *script) part(r *window.Rendition) {
	snap := r.Load()
	s.parts++
	part := window.Part{
		Duration: partTicks - s.Int64N(100), Independent: s.IntN(4) == 0, Gap: s.IntN(12) == 0, ExpectCut: s.IntN(5) == 0, Lag: s.lag,
	}
	if s.IntN(50) == 0 {
		s.lag += partTicks
	}
	if !part.Gap {
		part.Data = fmt.Appendf(nil, "%s at node %p: part %d%s", r.Name, s.p, s.parts, strings.Repeat("*", s.IntN(500)))
	}
	if s.IntN(8) == 0 {
		part.Ranges = s.ranges(snap)
	}
	var begin *window.Segment
	if snap.Open() == nil || len(snap.Open().Parts) >= 3 && s.IntN(4) == 0 {
		begin = &window.Segment{Wall: epoch.Add(window.Duration(snap.End()))}
		if n := len(snap.Segments); n > 0 {
			begin.DiscontinuitySequence = snap.Segments[n-1].DiscontinuitySequence
		}
		if s.IntN(6) == 0 {
			begin.Discontinuity = true
			begin.DiscontinuitySequence++
		}
		for i := s.inits; i > s.inits-5; i-- {
			if begin.Init = r.Init(fmt.Sprintf("init-%d.mp4", i%5)); begin.Init != nil {
				break
			}
		}
	}
	s.p.Append(r, part, begin)
}

func (s *script) ranges(snap *window.Snapshot) *window.RangeSet {
	set := &window.RangeSet{}
	now := epoch.Add(window.Duration(snap.End()))
	for i := range s.IntN(4) {
		d := window.DateRange{ID: fmt.Sprint("card-", s.IntN(9)), Class: "c", Value: fmt.Sprint(i), Start: now.Add(-time.Duration(s.IntN(60)) * time.Second)}
		if s.IntN(2) == 0 {
			d.End = d.Start.Add(time.Duration(s.IntN(50)) * time.Second)
		}
		set.All = append(set.All, d)
	}
	return set
}

func (s *script) variants() {
	var videos, audios []*window.Rendition
	for _, r := range s.p.Load().Renditions {
		if len(r.Load().Segments) == 0 || s.IntN(6) == 0 {
			continue
		}
		if r.Video {
			videos = append(videos, r)
		} else {
			audios = append(audios, r)
		}
	}
	var group *window.AudioGroup
	if len(audios) > 0 {
		group = &window.AudioGroup{ID: "audio"}
		for _, r := range audios {
			group.Members = append(group.Members, window.AudioMember{Rendition: r, Name: "the \"" + r.Name, Language: "de", Channels: 2})
		}
	}
	var all []window.Variant
	for i, r := range videos {
		all = append(all, window.Variant{Video: r, Audio: group, Codecs: "avc1", Width: 320 * i, Height: 180 * i, FrameRate: 29.97, Score: float64(i), VideoRange: []string{"", "SDR", "PQ"}[s.IntN(3)]})
	}
	if len(all) > 0 {
		s.p.SetVariants(all)
	}
}

// state is a snapshot as it comes over a network: without what the window keeps, and with media only where they are wanted.
func state(s *window.Snapshot, media func() bool) *window.Snapshot {
	c := &window.Snapshot{
		Listed: s.Listed, Independent: s.Independent, Amended: s.Amended, Reports: slices.Clone(s.Reports), Ended: s.Ended, NextMSN: s.NextMSN,
		Gen: s.Gen, PartTarget: s.PartTarget, Ranges: cloned(s.Ranges),
	}
	for _, g := range s.Segments {
		d := window.Segment{
			Gen: g.Gen, MSN: g.MSN, Closed: g.Closed, Start: g.Start, Wall: g.Wall, Discontinuity: g.Discontinuity,
			DiscontinuitySequence: g.DiscontinuitySequence, Duration: g.Duration, Size: g.Size, Complete: g.Complete, Init: another(g.Init),
		}
		for i := range g.Parts {
			d.Parts = append(d.Parts, sent(g.Parts[i], media))
		}
		c.Segments = append(c.Segments, &d)
	}
	return c
}

func cloned(set *window.RangeSet) *window.RangeSet {
	if set == nil {
		return nil
	}
	return &window.RangeSet{All: slices.Clone(set.All)}
}

func another(in *window.Init) *window.Init {
	if in == nil {
		return nil
	}
	return &window.Init{Name: in.Name, Data: bytes.Clone(in.Data)}
}

func sent(part window.Part, media func() bool) window.Part {
	part.Ranges = nil
	if part.Data == nil {
		return part // a gap, or absent at the sender too
	}
	part.Sum = sha256.Sum256(part.Data)
	part.Data = bytes.Clone(part.Data)
	if !media() {
		part.Data = nil
	}
	return part
}

// follower copies from another node.
type follower struct {
	*testing.T
	*rand.Rand
	p    *window.Presentation
	from *window.Presentation
	at   map[string]*window.Snapshot // of from, that the rendition stands for
	view *window.View                // of from, likewise
}

func (f *follower) media() bool { return f.IntN(2) == 0 }

// follow does one thing.
func (f *follower) follow() {
	if f.view == nil || f.IntN(10) == 0 {
		f.view = f.from.Load()
		text, err := json.Marshal(f.view.Head())
		if err != nil {
			f.Fatal(err)
		}
		var head window.ViewHead
		if err := json.Unmarshal(text, &head); err != nil {
			f.Fatal(err)
		}
		if err := f.p.CopyView(head); err != nil {
			f.Fatal(err)
		}
		if a, b := renderMultivariant(f.p.Load(), unmeasured), renderMultivariant(f.view, unmeasured); !bytes.Equal(a.plain, b.plain) || a.etag != b.etag {
			f.Fatalf("multivariant\n%s\nof\n%s", a.plain, b.plain)
		}
	}
	r := f.p.Load().Renditions[f.IntN(len(f.p.Load().Renditions))]
	source := f.from.Load().Rendition(r.Name)
	if source == nil {
		return // the source has it no more
	}
	switch n := f.IntN(12); {
	case n == 0 || f.at[r.Name] == nil:
		f.adopt(r, source.Load())
	case n == 1:
		f.fill(r)
	case n == 2:
		f.stray(r, source)
	default:
		f.step(r)
	}
}

// adopt takes a whole state.
func (f *follower) adopt(r *window.Rendition, s *window.Snapshot) {
	before := r.Load()
	err := f.p.Adopt(r, state(s, f.media))
	if f.back(s, before) {
		if !errors.Is(err, window.ErrBehind) || r.Load() != before {
			f.Fatalf("%s stands at %s and is given %s: %v", r.Name, tip(before), tip(s), err)
		}
		return
	}
	if err != nil {
		f.Fatalf("%s stands at %s and is given %s: %v", r.Name, tip(before), tip(s), err)
	}
	f.at[r.Name] = s
	f.same(r)
}

// back tells whether a state is older than another.
func (f *follower) back(s, than *window.Snapshot) bool {
	a, _ := s.Last()
	b, ok := than.Last()
	switch {
	case s.Gen < than.Gen, than.Ended && !s.Ended:
		return true
	case a != b:
		return a.MSN < b.MSN || a.MSN == b.MSN && a.Part < b.Part
	case !ok:
		return false
	}
	if x, y := s.Open() == nil, than.Open() == nil; x != y {
		return y
	}
	return s.Gen == than.Gen && (s.Amended < than.Amended || s.Amended == than.Amended && len(s.Reports) < len(than.Reports))
}

// step goes one further, by a step or by a whole state where there is none.
func (f *follower) step(r *window.Rendition) {
	now := f.at[r.Name]
	next := now.Successor()
	if next == nil {
		return
	}
	st, ok := window.Diff(now, next)
	if !ok {
		f.adopt(r, next)
		return
	}
	if err := f.p.Apply(r, f.travel(st)); err != nil {
		f.Fatalf("%s from %s to %s: %v", r.Name, tip(now), tip(next), err)
	}
	f.at[r.Name] = next
	f.same(r)
}

func (f *follower) travel(st window.Step) window.Step {
	if st.Part != nil {
		part := sent(*st.Part, f.media)
		st.Part = &part
	}
	if b := st.Begin; b != nil {
		st.Begin = &window.Segment{
			Gen: b.Gen, MSN: b.MSN, Init: another(b.Init), Start: b.Start, Wall: b.Wall, Discontinuity: b.Discontinuity,
			DiscontinuitySequence: b.DiscontinuitySequence,
		}
	}
	st.Ranges, st.Reports = cloned(st.Ranges), slices.Clone(st.Reports)
	return st
}

// stray gives the rendition what does not fit on its state, which has to stay as it is.
func (f *follower) stray(r, source *window.Rendition) {
	before := r.Load()
	var steps []window.Step
	for s := f.at[r.Name].Successor(); s != nil && s.Successor() != nil; s = s.Successor() {
		if st, ok := window.Diff(s, s.Successor()); ok && st.Part != nil {
			steps = append(steps, st)
		}
	}
	if len(steps) == 0 {
		return
	}
	if st, ok := window.Diff(f.at[r.Name], f.at[r.Name].Successor()); !ok || st.Part == nil {
		return // what comes next is no part: the part behind it may well fit
	}
	if err := f.p.Apply(r, f.travel(steps[f.IntN(len(steps))])); !errors.Is(err, window.ErrMismatch) || r.Load() != before {
		f.Fatalf("a stray step: %v", err)
	}
}

// fill brings some of what is absent.
func (f *follower) fill(r *window.Rendition) {
	before := r.Load()
	from := f.at[r.Name]
	for _, g := range before.Segments {
		if !g.Absent() || f.IntN(3) == 0 {
			continue
		}
		first := f.IntN(len(g.Parts))
		o := from.Segment(g.MSN)
		if latest := f.from.Load().Rendition(r.Name).Load().Segment(g.MSN); latest != nil && latest.Gen == g.Gen {
			o = latest
		}
		var media [][]byte
		for i := first; i < len(g.Parts) && i < len(o.Parts) && (o.Parts[i].Data != nil || o.Parts[i].Gap); i++ {
			media = append(media, bytes.Clone(o.Parts[i].Data))
		}
		if err := f.p.Fill(r, g.Gen, g.MSN, first, media...); err != nil {
			f.Fatal(err)
		}
		for i := range media {
			if q := r.Load().Segment(g.MSN).Parts[first+i]; q.Absent() {
				f.Fatalf("part %d.%d is absent still", g.MSN, first+i)
			}
		}
	}
	select {
	case <-before.Changed():
		f.Fatal("those who wait for a playlist are woken by bytes")
	default:
	}
	if now := r.Load(); now != before {
		select {
		case <-before.Filled():
		default:
			f.Fatal("those who wait for bytes are not woken")
		}
	}
	f.same(r)
}

// same holds the rendition against the snapshot that it stands for.
func (f *follower) same(r *window.Rendition) {
	f.Helper()
	got, want := r.Load(), f.at[r.Name]
	for _, skip := range []playlist.Skip{playlist.NoSkip, playlist.SkipSegments, playlist.SkipDateRanges} {
		if len(want.Segments) == 0 {
			break // nobody is given a playlist yet
		}
		a, b := render(f.p, got, skip, unmeasured), render(f.from, want, skip, unmeasured)
		if !bytes.Equal(a.plain, b.plain) || a.etag != b.etag {
			f.Fatalf("%s %s\n%s\nof %s\n%s", r.Name, a.etag, a.plain, b.etag, b.plain)
		}
		if f.IntN(8) > 0 {
			continue
		}
		if fresh := playlist.Media(got, f.p.Settings, skip); !bytes.Equal(fresh, a.plain) {
			f.Fatalf("what is kept with the snapshot is out of date:\n%s\nand\n%s", a.plain, fresh)
		}
	}
	if got.Listed != want.Listed || len(got.Segments) != len(want.Segments) || got.NextMSN != want.NextMSN || got.Next() != want.Next() {
		f.Fatalf("%s keeps %d segments, %d not listed, next %d; want %d, %d, %d", r.Name, len(got.Segments), got.Listed, got.NextMSN, len(want.Segments), want.Listed, want.NextMSN)
	}
	for i, g := range got.Segments {
		w := want.Segments[i]
		if g.MSN != w.MSN || g.Gen != w.Gen || g.Closed != w.Closed || g.Size != w.Size || len(g.Parts) != len(w.Parts) {
			f.Fatalf("segment %+v of %+v", g, w)
		}
		if g.Init != nil && r.Init(g.Init.Name) != g.Init {
			f.Fatalf("segment %d needs %s, which cannot be had", g.MSN, g.Init.Name)
		}
	}
}

// names holds that no name of any node stands for other bytes than anywhere else, and that what a body has is what its parts have.
type names map[string][32]byte

func (n names) check(t *testing.T, p *window.Presentation) {
	t.Helper()
	put := func(name string, data []byte) {
		sum := sha256.Sum256(data)
		if old, ok := n[name]; ok && old != sum {
			t.Fatalf("%s stands for two things", name)
		}
		n[name] = sum
	}
	for _, r := range p.Load().Renditions {
		s := r.Load()
		for _, g := range append(slices.Clone(s.Segments), s.Aside()...) {
			var all []byte
			for i := range g.Parts {
				if q := &g.Parts[i]; q.Data != nil {
					put(fmt.Sprintf("%s/%d-%d.%d", r.Name, g.Gen, g.MSN, i), q.Data)
					all = append(all, q.Data...)
				}
			}
			body := bytes.Join(g.Body(), nil)
			if g.Absent() != (g.Body() == nil && g.Size > 0) || !g.Absent() && !bytes.Equal(body, all) {
				t.Fatalf("%s/%d-%d: %d bytes in one piece, %d in parts, absent %v", r.Name, g.Gen, g.MSN, len(body), len(all), g.Absent())
			}
			if g.Complete && !g.Absent() {
				put(fmt.Sprintf("%s/%d-%d", r.Name, g.NameGen(), g.MSN), all)
			}
		}
	}
}

// TestCopiesOfAScript: copies join at any time, go step by step or leap, are filled late, copy from copies, take the origin's place
// and give way. Whatever they publish is, byte for byte and tag for tag, what the node they follow has published, and no name ever
// stands for two things.
func TestCopiesOfAScript(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 0))
			set := window.Settings{TargetDuration: 1, DVR: time.Duration(rnd.IntN(12)) * time.Second, FirstMSN: 100, Gen: 7}
			s := &script{Rand: rnd, p: window.NewPresentation("show", set)}
			s.p.SetPartTarget(partTicks)
			s.init(s.p.AddRendition("video", true, 100))
			var followers []*follower
			seen := names{}
			gen := int64(7)
			for step := range 500 {
				s.write()
				if step%120 == 10 && len(followers) < 4 {
					from := s.p
					if n := len(followers); n > 0 && rnd.IntN(2) == 0 {
						from = followers[rnd.IntN(n)].p
					}
					if len(from.Load().Renditions) > 0 {
						followers = append(followers, &follower{T: t, Rand: rnd, p: window.NewCopy("show", set), from: from, at: map[string]*window.Snapshot{}})
					}
				}
				for _, f := range followers {
					for range rnd.IntN(3) {
						f.follow()
					}
				}
				if step%150 == 149 {
					gen++
					s.moves(t, followers, gen)
				}
				if step%50 == 0 {
					seen.check(t, s.p)
					for _, f := range followers {
						seen.check(t, f.p)
					}
				}
			}
			s.p.End()
			for range 3 { // copies of copies end as those do
				for _, f := range followers {
					f.ends()
				}
			}
			for _, f := range followers {
				if text := string(renderMultivariant(f.p.Load(), unmeasured).plain); f.p != s.p && !f.p.Load().Ended {
					t.Errorf("a copy has not ended: %s", text)
				}
			}
		})
	}
}

// moves makes a follower the origin, and the origin a follower of it.
func (s *script) moves(t *testing.T, followers []*follower, gen int64) {
	to := followers[s.IntN(len(followers))]
	if len(to.p.Load().Renditions) == 0 || len(to.at) == 0 {
		return
	}
	old := s.p
	old.Renounce()
	to.p.Continue(gen)
	if !old.Copied() || to.p.Copied() || to.p.Gen() != gen {
		t.Fatalf("the old one is a copy: %v; the new one: %v, generation %d", old.Copied(), to.p.Copied(), to.p.Gen())
	}
	for _, r := range to.p.Load().Renditions {
		if r.Load().Open() != nil {
			t.Fatalf("%s has an open segment of the origin before", r.Name)
		}
	}
	s.p = to.p
	to.p = old
	for _, f := range followers {
		// A copy that was ahead stays as it is until the new origin has passed it.
		f.from, f.at, f.view = s.p, map[string]*window.Snapshot{}, nil
	}
}

// ends takes all that comes until the end.
func (f *follower) ends() {
	f.view = nil
	f.follow()
	for _, r := range f.p.Load().Renditions {
		source := f.from.Load().Rendition(r.Name)
		if source == nil {
			continue
		}
		if f.at[r.Name] == nil {
			f.adopt(r, source.Load())
			continue
		}
		for f.at[r.Name].Successor() != nil {
			f.step(r)
		}
	}
}
