package relay

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// initName is the name of an initialisation section with these bytes: it is of their hash.
func initName(data []byte) string {
	sum := sha256.Sum256(data)
	return "init-" + hex.EncodeToString(sum[:8]) + ".mp4"
}

// windowInit is the initialisation section of a record; its error says that its name is not that of its bytes.
func windowInit(i *wire.Init) (*window.Init, error) {
	if name := initName(i.Data); name != i.Name {
		return nil, fmt.Errorf("%w: initialisation section %q has the bytes of %s", wire.ErrMalformed, i.Name, name)
	}
	return &window.Init{Name: i.Name, Data: i.Data}, nil
}

// viewOf is a view as it travels.
func viewOf(v *window.View) wire.View {
	h := v.Head()
	out := wire.View{PartTarget: h.PartTarget, Ended: h.Ended}
	for _, r := range h.Renditions {
		out.Renditions = append(out.Renditions, wire.Rendition(r))
	}
	for _, g := range h.Groups {
		group := wire.Group{ID: g.ID}
		for _, m := range g.Members {
			group.Members = append(group.Members, wire.Member(m))
		}
		out.Groups = append(out.Groups, group)
	}
	for _, a := range h.Variants {
		out.Variants = append(out.Variants, wire.Variant(a))
	}
	return out
}

// viewHead is the reverse of viewOf.
func viewHead(v *wire.View) window.ViewHead {
	h := window.ViewHead{PartTarget: v.PartTarget, Ended: v.Ended}
	for _, r := range v.Renditions {
		h.Renditions = append(h.Renditions, window.RenditionHead(r))
	}
	for _, g := range v.Groups {
		group := window.GroupHead{ID: g.ID}
		for _, m := range g.Members {
			group.Members = append(group.Members, window.MemberHead(m))
		}
		h.Groups = append(h.Groups, group)
	}
	for _, a := range v.Variants {
		h.Variants = append(h.Variants, window.VariantHead(a))
	}
	return h
}

// settingsOf are a presentation's settings as a hello has them.
func settingsOf(h *wire.Hello, now func() time.Time) window.Settings {
	return window.Settings{
		TargetDuration: h.TargetDuration, DVR: time.Duration(h.DVR), FirstMSN: h.FirstMSN, Gen: h.FirstGen, Now: now,
	}
}

func wirePart(p *window.Part, sum [32]byte) wire.Part {
	return wire.Part{
		Size: p.Size, Sum: sum, Duration: p.Duration, Lag: p.Lag, Independent: p.Independent, Gap: p.Gap, ExpectCut: p.ExpectCut,
	}
}

func windowPart(p *wire.Part) window.Part {
	return window.Part{
		Size: p.Size, Sum: p.Sum, Duration: p.Duration, Lag: p.Lag, Independent: p.Independent, Gap: p.Gap, ExpectCut: p.ExpectCut,
	}
}

// wireSegment is a segment's head.
func wireSegment(g *window.Segment) wire.Segment {
	s := wire.Segment{
		Gen: g.Gen, MSN: g.MSN, Closed: g.Closed, Start: g.Start, Wall: g.Wall, Complete: g.Complete,
		Discontinuity: g.Discontinuity, DiscontinuitySequence: g.DiscontinuitySequence,
	}
	if g.Init != nil {
		s.Init = g.Init.Name
	}
	return s
}

// windowSegment is the reverse of wireSegment, with parts that are absent. init finds initialisation sections by name.
func windowSegment(s *wire.Segment, init func(name string) *window.Init) (*window.Segment, error) {
	g := &window.Segment{
		Gen: s.Gen, MSN: s.MSN, Closed: s.Closed, Start: s.Start, Wall: s.Wall, Complete: s.Complete,
		Discontinuity: s.Discontinuity, DiscontinuitySequence: s.DiscontinuitySequence,
	}
	if s.Init != "" {
		if g.Init = init(s.Init); g.Init == nil {
			return nil, fmt.Errorf("%w: segment %d needs initialisation section %q, which did not come", wire.ErrMalformed, s.MSN, s.Init)
		}
	}
	for i := range s.Parts {
		p := windowPart(&s.Parts[i])
		g.Parts = append(g.Parts, p)
		g.Duration += p.Duration
		g.Size += p.Size
	}
	return g, nil
}

func wireRanges(set *window.RangeSet) ([]wire.DateRange, bool) {
	if set == nil {
		return nil, false
	}
	var all []wire.DateRange
	for _, d := range set.All {
		all = append(all, wire.DateRange(d))
	}
	return all, true
}

func windowRanges(all []wire.DateRange, has bool) *window.RangeSet {
	if !has {
		return nil
	}
	set := &window.RangeSet{}
	for _, d := range all {
		set.All = append(set.All, window.DateRange(d))
	}
	return set
}

func wireReports(reports []window.Report) []wire.Report {
	var all []wire.Report
	for _, r := range reports {
		all = append(all, wire.Report{Rendition: r.Rendition, MSN: r.Last.MSN, Part: r.Last.Part})
	}
	return all
}

func windowReports(reports []wire.Report) []window.Report {
	var all []window.Report
	for _, r := range reports {
		all = append(all, window.Report{Rendition: r.Rendition, Last: window.Position{MSN: r.MSN, Part: r.Part}})
	}
	return all
}

// stateOf is a snapshot without media. sum gives the SHA-256 of parts that do not have it.
func stateOf(s *window.Snapshot, sum func(Position, *window.Part) [32]byte) wire.State {
	st := wire.State{
		Gen: s.Gen, NextMSN: s.NextMSN, Independent: s.Independent, Ended: s.Ended, Amended: s.Amended, PartTarget: s.PartTarget,
		At: s.At, Reports: wireReports(s.Reports), Segments: make([]wire.Segment, len(s.Segments)),
	}
	st.Ranges, st.HasRanges = wireRanges(s.Ranges)
	if len(s.Segments) > 0 {
		st.Listed = s.Segments[s.Listed].MSN
	}
	for i, g := range s.Segments {
		st.Segments[i] = wireSegment(g)
		parts := make([]wire.Part, len(g.Parts))
		for k := range g.Parts {
			parts[k] = wirePart(&g.Parts[k], sum(Position{g.Gen, g.MSN, k}, &g.Parts[k]))
		}
		st.Segments[i].Parts = parts
	}
	return st
}

// snapshotOf is the reverse of stateOf, for Presentation.Adopt: all parts are absent.
func snapshotOf(st *wire.State, init func(name string) *window.Init) (*window.Snapshot, error) {
	s := &window.Snapshot{
		Gen: st.Gen, NextMSN: st.NextMSN, Independent: st.Independent, Ended: st.Ended, Amended: st.Amended, PartTarget: st.PartTarget,
		At: st.At, Reports: windowReports(st.Reports), Ranges: windowRanges(st.Ranges, st.HasRanges),
	}
	for i := range st.Segments {
		g, err := windowSegment(&st.Segments[i], init)
		if err != nil {
			return nil, err
		}
		if g.MSN == st.Listed {
			s.Listed = i
		}
		s.Segments = append(s.Segments, g)
	}
	return s, nil
}

// stepOf is a step without media; sum is that of its part.
func stepOf(st *window.Step, sum [32]byte) wire.Step {
	out := wire.Step{
		MSN: st.Last.MSN, Index: st.Last.Part, Complete: st.Complete, Reports: wireReports(st.Reports), Amended: st.Amended,
		Independent: st.Independent, Ended: st.Ended, Listed: st.Listed, Gen: st.Gen, NextMSN: st.NextMSN, PartTarget: st.PartTarget, At: st.At,
	}
	out.Ranges, out.HasRanges = wireRanges(st.Ranges)
	if st.Begin != nil {
		begin := wireSegment(st.Begin)
		begin.Complete, begin.Closed = false, 0 // that is the step's to tell
		out.Begin = &begin
	}
	if st.Part != nil {
		part := wirePart(st.Part, sum)
		out.Part = &part
	}
	return out
}

// windowStep is the reverse of stepOf, for Presentation.Apply: its part has no Data.
func windowStep(st *wire.Step, init func(name string) *window.Init) (window.Step, error) {
	out := window.Step{
		Last: window.Position{MSN: st.MSN, Part: st.Index}, Complete: st.Complete, Reports: windowReports(st.Reports), Amended: st.Amended,
		Independent: st.Independent, Ended: st.Ended, Listed: st.Listed, Gen: st.Gen, NextMSN: st.NextMSN, PartTarget: st.PartTarget, At: st.At,
		Ranges: windowRanges(st.Ranges, st.HasRanges),
	}
	if st.Begin != nil {
		begin, err := windowSegment(st.Begin, init)
		if err != nil {
			return window.Step{}, err
		}
		out.Begin = begin
	}
	if st.Part != nil {
		part := windowPart(st.Part)
		out.Part = &part
	}
	return out, nil
}
