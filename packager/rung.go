package packager

import (
	"regexp"
	"slices"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// Waits for rungs, in media time.
const (
	// startGrace is how much more than its Lag a rung may take to come for the first time: a program has to be started, and what
	// waited for that be caught up with. Nobody has been told of the rung by then.
	startGrace = 8 * window.Rate
	// returnGrace is how much more it may take in each era after that.
	returnGrace = 2 * window.Rate
	// mostLag is the most that a rung's Lag counts.
	mostLag = 10 * time.Second
	// rungSlack is how much later than the newest frame of the publisher a rung's may be: an encoder of sound may say so.
	rungSlack = window.Rate / 2
	// oldestRung is how much older than that it may be.
	oldestRung = 30 * window.Rate
	// leastUnbroken is how long after one rung's discontinuity another may not ask for the next.
	leastUnbroken = 10 * window.Rate
	// deepestDelay is how much later than decoded a rung's picture may be shown.
	deepestDelay = 2 * window.Rate
)

// mostRungFollow is how many boundaries are kept for a rung that has not come yet, besides time.
const mostRungFollow = 64

// rung is what a rendition has that is made from another track, behind a branch of the stream. Its pictures are those of the
// publisher, shown at the same times, but they come later, and go on coming for a while when the publisher has gone.
type rung struct {
	label  string // stream.Track.Rung
	former bool   // it was another one before a change of plan
	era    int    // of the last frame that came
	dts    int64  // of that frame, in the track's ticks
	pts    int64  // the latest one of that era
	// starting tells that the rung has not been seen to keep pace since the era began.
	starting bool
	// joined tells that it once came no later than its Lag, so that players can be told of it.
	joined bool
	// filling tells that what its parts have stands in for it.
	filling bool
	// warned tells that it was said that nothing of it is of use.
	warned bool
	pace   pace
}

var rungName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

var ownName = regexp.MustCompile(`^(video|audio)(-[0-9]+)?$`)

// rungRendition is the name of a rung's rendition in URIs: the rung's own, where that can be one, else one by its number; "" where
// another has that.
func (p *Packager) rungRendition(t *stream.Track) string {
	taken := func(name string) bool {
		return slices.ContainsFunc(p.renditions, func(r *rendition) bool { return r.name == name })
	}
	if rungName.MatchString(t.Rung) && !ownName.MatchString(t.Rung) && !taken(t.Rung) {
		return t.Rung
	}
	if name := renditionName(t.ID); !taken(name) {
		return name
	}
	return ""
}

// ofRung returns the rendition of a rung, which its name and kind tell: its number may be another after a change of plan.
// It is nil for what cannot be one.
func (p *Packager) ofRung(t *stream.Track) *rendition {
	n := t.ID - stream.FirstRung
	if !t.Video() {
		n = t.ID - stream.FirstRungAudio
	}
	if !Deliverable(t.Codec) || t.ClockRate <= 0 || n < 0 || n >= stream.MostRungs {
		return nil
	}
	kind := 0
	for _, r := range p.renditions {
		if r.rung == nil || r.video != t.Video() {
			continue
		}
		if kind++; r.rung.label != t.Rung {
			continue
		}
		if r.id != t.ID {
			r.id = t.ID
			slices.SortStableFunc(p.renditions, func(a, b *rendition) int { return a.id - b.id })
		}
		r.patience = lagOf(t)
		return r
	}
	if r := p.unlabelled(t); r != nil {
		return r
	}
	if r := p.inherits(t); r != nil {
		return r
	}
	name := p.rungRendition(t)
	if kind >= 2*stream.MostRungs || name == "" {
		return nil
	}
	return p.insert(&rendition{id: t.ID, video: t.Video(), name: name, patience: lagOf(t), rung: &rung{label: t.Rung, starting: true}})
}

// lagOf is how far a rung may fall behind.
func lagOf(t *stream.Track) window.Ticks {
	return max(leastPatience, window.FromDuration(min(t.Lag, mostLag)))
}

// declareRungs makes renditions of the rungs that are to come, so that what they will need is kept for them, and forgets those
// that never came and will not.
func (p *Packager) declareRungs() {
	var most window.Ticks
	for _, t := range p.tracks {
		if t.Rung != "" && p.ofRung(t) != nil {
			most = max(most, lagOf(t))
		}
	}
	p.renditions = slices.DeleteFunc(p.renditions, func(r *rendition) bool {
		return r.rung != nil && r.w == nil && len(r.queue.frames) == 0 && !p.declares(r)
	})
	p.expectLag(most)
}

// declares tells whether a rendition's track is one of the present ones, and can be delivered.
func (p *Packager) declares(r *rendition) bool {
	return slices.ContainsFunc(p.tracks, func(t *stream.Track) bool {
		if t.Video() != r.video || !Deliverable(t.Codec) {
			return false
		}
		if r.rung == nil {
			return t.Rung == "" && t.ID == r.id
		}
		return t.Rung == r.rung.label
	})
}

// keepFor is for how long boundaries are kept for a rung that has not come yet.
func (p *Packager) keepFor(r *rendition) window.Ticks {
	return r.patience + max(startGrace, window.Ticks(p.out.Settings.TargetDuration)*window.Rate)
}

// await keeps a boundary for a rung that has not come yet.
func (p *Packager) await(r *rendition, c *cut) {
	r.cuts = appendLast(r.cuts, c, mostRungFollow)
	for len(r.cuts) > 1 && r.cuts[1].frame < c.frame-p.keepFor(r) {
		r.cuts = r.cuts[1:]
	}
}

// limit is how far the rendition may be behind the leading one before something stands in for it.
func (r *rendition) limit() window.Ticks {
	switch g := r.rung; {
	case g == nil || !g.starting:
		return r.patience
	case !g.joined:
		return r.patience + startGrace
	}
	return r.patience + returnGrace
}

// margin is how far behind the leading rendition what stands in for this one ends. What comes again after a pause comes as late as
// ever, and has to find its place.
func (r *rendition) margin() window.Ticks {
	if r.rung != nil {
		return r.patience
	}
	return silenceMargin
}

// expected is how long a picture may take that nobody but a rung has; 0 where there is none to come.
func (p *Packager) expected() window.Ticks {
	var most window.Ticks
	for _, t := range p.tracks {
		switch {
		case !t.Video() || !Deliverable(t.Codec):
		case t.Rung == "":
			return 0
		default:
			most = max(most, lagOf(t))
		}
	}
	return most
}

// stallAfter is how far others may run ahead of the leading rendition before that counts as stalled.
func (p *Packager) stallAfter() window.Ticks {
	if p.lead != nil && p.lead.own.rung != nil {
		return leadPatience + p.lead.own.patience
	}
	return leadPatience
}

// source is how far the publisher's own frames of an era have come: the newest picture, the end of the newest sound.
type source struct {
	era            int
	video, sound   window.Ticks
	picture, heard bool // there was any
}

// note takes a frame of the publisher's.
func (p *Packager) note(f *stream.Frame) {
	s := &p.sources[0]
	switch {
	case f.Era > s.era:
		p.sources[1] = *s
		*s = source{era: f.Era}
	case f.Era < s.era:
		if s = &p.sources[1]; f.Era != s.era {
			return
		}
	}
	if f.Track.Video() {
		if at := inTicks(f.PTS, f.Track); !s.picture || at > s.video {
			s.picture, s.video = true, at
		}
	} else if at := inTicks(f.PTS+f.Duration, f.Track); !s.heard || at > s.sound {
		s.heard, s.sound = true, at
	}
}

// newest is how far the publisher's frames of a kind have come in an era; false where there were none.
func (p *Packager) newest(era int, video bool) (window.Ticks, bool) {
	for i := range p.sources {
		if s := &p.sources[i]; s.era != era {
			continue
		} else if video {
			return s.video, s.picture
		} else {
			return s.sound, s.heard
		}
	}
	return 0, false
}

// admit tells whether a rung's frame can have been made from the publisher's, behind the one before it. Else it counts it, and
// what refers to it is of no use.
func (p *Packager) admit(r *rendition, f *stream.Frame) bool {
	g := r.rung
	if p.plausible(r, f) {
		if f.Era > g.era {
			g.era, g.pts = f.Era, f.PTS
		}
		g.dts, g.pts = f.DTS, max(g.pts, f.PTS)
		return true
	}
	p.opt.Metrics.drop(dropImplausible)
	r.needKey = r.video
	if p.lead != nil && r.w == p.lead && r.video {
		p.needKey = true
	}
	return false
}

// follows tells whether a frame comes behind a rung's last one. An encoder that reorders pictures begins to count before the
// first one is shown, so where it takes over from another its first decoding times may lie before the other's last ones.
func (g *rung) follows(f *stream.Frame) bool {
	return f.Era > g.era || f.Era == g.era && (f.DTS > g.dts || f.Key && f.PTS > g.pts && f.Track.Video())
}

// plausible tells whether a frame's times can be those of one that was made from the publisher's.
func (p *Packager) plausible(r *rendition, f *stream.Frame) bool {
	rate := f.Track.ClockRate
	newest, ok := p.newest(f.Era, r.video)
	if !ok || !r.rung.follows(f) {
		return false
	}
	late, old := stream.Rescale(newest+rungSlack, window.Rate, rate), stream.Rescale(newest-oldestRung, window.Rate, rate)
	delay := stream.Rescale(deepestDelay, window.Rate, rate)
	return f.PTS <= late && f.DTS >= old && f.DTS <= f.PTS && f.PTS-f.DTS <= delay && f.Duration >= 0 && f.Duration <= int64(rate)
}

// replaced tells whether a rung is there for what cannot be packaged of the publisher's tracks of a kind.
func (p *Packager) replaced(video bool) bool {
	return slices.ContainsFunc(p.tracks, func(t *stream.Track) bool { return t.Rung != "" && t.Video() == video && !t.SoundOnly })
}

// mayBreak tells whether a rung may ask for a discontinuity, which all renditions get: not again and again.
func (p *Packager) mayBreak(r *rendition) bool {
	if r.rung == nil || p.breakDue {
		return true
	}
	if p.broken > 0 && abs(p.lead.end-p.broken) < leastUnbroken {
		return false
	}
	p.broken = p.lead.end
	return true
}

// took tells whether the rendition's last sample is a frame.
func (r *rendition) took(f *stream.Frame) bool {
	return r.w != nil && r.w.started && r.w.lastDTS == f.DTS
}

// absent tells whether nothing has come of a rung for long, although there is what it is made from.
func (p *Packager) absent(r *rendition) bool {
	newest, ok := p.newest(p.era, r.video)
	return ok && newest-r.heard >= absence
}

// warn says, once, that all of a rung comes too late: it costs what it costs, and no player is told of it.
func (p *Packager) warn(r *rendition, at window.Ticks) {
	if r.rung.warned || !p.absent(r) {
		return
	}
	r.rung.warned = true
	p.opt.Log.Warn("a rung is not offered, since all of it comes too late", "rung", r.rung.label,
		"behind", window.Duration(p.front(r)-at), "bound", window.Duration(r.patience))
}

// rungLeads tells whether the picture that leads, or is to lead, is a rung that keeps coming.
func (p *Packager) rungLeads() bool {
	if p.leaderless() {
		return p.expected() > 0
	}
	return p.lead.r.Video && p.lead.own.rung != nil && !p.needKey
}

// complete closes the open part of a rung that has taken all that was on its way when the publisher went.
func (p *Packager) complete(r *rendition) {
	w := r.w
	if w == nil || p.lead == nil || !w.open() || len(r.queue.frames) > 0 {
		return
	}
	newest, ok := p.newest(p.era, r.video)
	end := w.reached() // of sound
	if r.video {
		offset := r.offset
		if w == p.lead {
			offset = p.keyOffset
		}
		end = inTicks(w.lastDTS, w.track) + offset + w.length()/2
		if w.length() > p.lead.length()*3/2 {
			end += w.length() / 4 // it has fewer pictures, so the last ones may not be among them
		}
	}
	if !ok || end < newest {
		return
	}
	if w == p.lead {
		p.finishAll(false)
		return
	}
	w.flush()
	p.lastRanges(w)
}
