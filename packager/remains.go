package packager

import (
	"encoding/binary"
	"slices"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// What the media of a copied presentation tell: the numbers of messages that were used, and how far the media timeline has come.
// Bytes may be absent; the dates are a bound then.

// Margins for what cannot be read.
const (
	// idMargin is how much further the numbers of messages may be than the dates tell: dates may lie behind the clock that the first
	// numbers came from, and changes come in bursts.
	idMargin = 10 * time.Second
	// unseenIDs is how many more numbers than those read the origin may have used.
	unseenIDs = 64
	// timelineMargin is how much further the media timeline may be than the dates: it starts with the clock, they with the times of
	// capture that publishers tell, which are believed within ten seconds.
	timelineMargin = 12 * time.Second
)

// recallCues goes on with the date ranges that hold, the same in all renditions, and with numbers of messages and chunks that nobody
// used.
func (p *Packager) recallCues() {
	c := &p.cues
	latest := p.notBefore(time.Time{})
	for _, r := range p.renditions {
		var at time.Time // where the clock of the last generation is that dates may lie behind
		for _, g := range r.w.r.Load().Segments {
			if began := time.UnixMilli(g.Gen); began.After(at) {
				at = began
			}
			at = at.Add(window.Duration(g.Duration))
		}
		if at.After(latest) {
			latest = at
		}
	}
	clock := max(latest.Add(idMargin).UnixMilli(), p.opt.Gen)
	c.lastID = uint32(clock / 10)
	for _, r := range p.renditions {
		r.w.earlier = uint32(clock / 50) // chunks are numbered from 1, and are fewer than twenty a second
	}
	for _, r := range p.renditions {
		for _, g := range r.w.r.Load().Segments {
			for i := range g.Parts {
				for _, id := range messageIDs(g.Parts[i].Data) {
					if int32(id+unseenIDs-c.lastID) > 0 { // the numbers wrap
						c.lastID = id + unseenIDs
					}
				}
			}
		}
	}
	set := p.newestRanges()
	if set == nil {
		return
	}
	c.sets = []rangeSet{{set: set}}
	for _, r := range p.renditions {
		s := r.w.r.Load()
		if len(s.Segments) == 0 {
			continue // it gets them with its first part
		}
		if s.Ranges == nil || !slices.Equal(s.Ranges.All, set.All) {
			p.out.SetRanges(r.w.r, set)
		}
		r.w.set = 1
	}
}

// newestRanges is the set of date ranges of the rendition that came furthest: the one with the latest date in it.
func (p *Packager) newestRanges() (newest *window.RangeSet) {
	var latest time.Time
	for _, r := range p.renditions {
		set := r.w.r.Load().Ranges
		if set == nil {
			continue
		}
		var date time.Time
		for _, d := range set.All {
			if d.Start.After(date) {
				date = d.Start
			}
			if d.End.After(date) {
				date = d.End
			}
		}
		if newest == nil || date.After(latest) {
			newest, latest = set, date
		}
	}
	return newest
}

// Begins is where the stream's timeline has to begin for the media of a presentation that is continued not to go back
// (stream.Options.Begin); the zero time for a new one. It is constant, for any goroutine.
func (p *Packager) Begins() time.Time { return p.begins }

// timelineEnd is the time of day that the media timeline of the presentation has reached.
func (p *Packager) timelineEnd() time.Time {
	date := p.notBefore(time.Time{})
	bound := date.Add(timelineMargin)
	var end time.Time
	for _, r := range p.renditions {
		switch e, off, ok := mediaEnd(r.w.r.Load()); {
		case ok && e.After(end):
			end = e
		case !ok && date.Add(off+timelineMargin).After(bound):
			bound = date.Add(off + timelineMargin) // it was further ahead of the dates before
		}
	}
	if end.IsZero() {
		return bound
	}
	return end
}

// mediaEnd is the time of day that a rendition's media timeline has come to: where the last part ends that can be read, and what is
// announced behind it. It is false where nothing can be read of the last stretch without a discontinuity; ahead is by how much the
// timeline was further than the dates, then, when it could last be read.
func mediaEnd(s *window.Snapshot) (at time.Time, ahead time.Duration, ok bool) {
	var behind window.Ticks
	broken := false
	for _, g := range slices.Backward(s.Segments) {
		left := g.Duration
		for _, part := range slices.Backward(g.Parts) {
			if g.Init != nil {
				if end, ok := chunkEnd(part.Data, timescale(g.Init.Data)); ok && broken {
					return time.Time{}, timeOfDay(end).Sub(g.Wall.Add(window.Duration(left))), false
				} else if ok {
					return timeOfDay(end + behind + 1), 0, true
				}
			}
			behind += part.Duration
			left -= part.Duration
		}
		broken = broken || g.Discontinuity
	}
	return time.Time{}, 0, false
}

// timeOfDay is a time on the media timeline.
func timeOfDay(t window.Ticks) time.Time {
	return time.Unix(t/window.Rate, 0).Add(window.Duration(t % window.Rate))
}

// eachBox calls with each box in b (ISO/IEC 14496-12 4.2) until f is false or what is left is no box. Boxes of 64-bit size are none
// of ours.
func eachBox(b []byte, f func(kind string, body []byte) bool) {
	for len(b) >= 8 {
		size := binary.BigEndian.Uint32(b)
		if size < 8 || uint64(size) > uint64(len(b)) || !f(string(b[4:8]), b[8:size]) {
			return
		}
		b = b[size:]
	}
}

// box finds a box by the path of its kinds; nil where there is none.
func box(b []byte, path ...string) (found []byte) {
	for _, want := range path {
		found = nil
		eachBox(b, func(kind string, body []byte) bool {
			if kind == want {
				found = body
			}
			return found == nil
		})
		b = found
	}
	return found
}

// messageIDs lists the numbers of the event messages in front of a chunk: version 1 boxes (ISO/IEC 23009-1 5.10.3.3).
func messageIDs(chunk []byte) (ids []uint32) {
	eachBox(chunk, func(kind string, body []byte) bool {
		if kind == "emsg" && len(body) >= 24 && body[0] == 1 {
			ids = append(ids, binary.BigEndian.Uint32(body[20:]))
		}
		return kind == "emsg"
	})
	return ids
}

// timescale is the ticks a second of the track in an initialisation section, out of its mdhd (8.4.2); 0 where there is none.
func timescale(init []byte) int {
	b := box(init, "moov", "trak", "mdia", "mdhd")
	at := 12
	if len(b) > 0 && b[0] == 1 {
		at = 20
	}
	if len(b) < at+4 {
		return 0
	}
	return int(binary.BigEndian.Uint32(b[at:]))
}

// chunkEnd is where the samples of a chunk end, in presentation time or decoding time, whichever is later; false where that cannot
// be read. The chunk is one of fmp4.AppendChunk: tfdt and trun have one form (8.8.8, 8.8.12).
func chunkEnd(chunk []byte, rate int) (window.Ticks, bool) {
	traf := box(chunk, "moof", "traf")
	tfdt, trun := box(traf, "tfdt"), box(traf, "trun")
	if rate <= 0 || len(tfdt) < 12 || tfdt[0] != 1 || len(trun) < 12 {
		return 0, false
	}
	const entry = 16
	be := binary.BigEndian
	at, samples := int64(be.Uint64(tfdt[4:])), trun[12:]
	if flags := be.Uint32(trun) & 0xffffff; flags != 0xf01 || at < 0 || at > 1<<53 || uint64(be.Uint32(trun[4:]))*entry != uint64(len(samples)) {
		return 0, false
	}
	end := at
	for ; len(samples) >= entry; samples = samples[entry:] {
		offset := int64(int32(be.Uint32(samples[12:])))
		next := at + int64(be.Uint32(samples))
		end = max(end, next, next+offset)
		at = next
	}
	return stream.Rescale(end, rate, window.Rate), true
}
