package packager

import (
	"slices"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// absence is how long nothing may come of a following track before those who join are not told of it any more: a layer that a
// browser has switched off for want of bandwidth, a language that the publisher has come back without.
const absence = 10 * window.Rate

// described is what the variants tell of one rendition.
type described struct {
	w     *writer
	track *stream.Track
}

// publish makes the presentation playable once its renditions are known, and tells when they have come to be others, or of
// another kind, for those who join then.
func (p *Packager) publish(final bool) {
	if p.target == 0 || p.lead == nil {
		return
	}
	n, same := 0, true
	for _, r := range p.renditions {
		if p.listed(r) {
			same = same && n < len(p.described) && p.described[n] == described{r.w, r.w.track} && !r.w.misstated()
			n++
		}
	}
	switch first := len(p.described) == 0; {
	case n == 0 || same && n == len(p.described):
		return
	case final:
	case first && p.expectsOthers():
		return
	case !first && p.ratesToCome():
		return
	}
	p.described = p.described[:0]
	for _, r := range p.renditions {
		if p.listed(r) {
			p.described = append(p.described, described{r.w, r.w.track})
		}
	}
	p.out.SetVariants(p.variants())
}

// listed tells whether players are told of a rendition. The media of video begin with a key frame, so that all that it has can be
// played; those of one whose key frames are at no boundary, behind a gap.
func (p *Packager) listed(r *rendition) bool {
	w := r.w
	switch {
	case w == nil || w.sequence == 0:
		return false
	case w != p.lead && r.rung != nil:
		return r.rung.joined && p.declares(r) && !p.absent(r)
	case w == p.lead || p.lead.end-r.heard < absence:
		return true
	}
	// Sound that is silent for a while is there; one that the publisher has no track for is not.
	return !r.video && hasSilence(w.track) && slices.ContainsFunc(p.tracks, func(t *stream.Track) bool { return t.ID == r.id })
}

// expectsOthers tells whether another track may still come before viewers have waited too long.
func (p *Packager) expectsOthers() bool {
	waited := p.lead.end - p.began
	if !p.lead.r.Video && p.has(true) {
		return waited < 2*leadPatience+p.expected()
	}
	missing := func(t *stream.Track) bool {
		return Deliverable(t.Codec) && !slices.ContainsFunc(p.renditions, func(r *rendition) bool { return r.id == t.ID && p.listed(r) })
	}
	if waited >= trackGrace {
		return waited < layersGrace && slices.ContainsFunc(p.tracks, func(t *stream.Track) bool { return (t.Video() || t.Rung != "") && missing(t) })
	}
	if p.lead.r.Video && !slices.ContainsFunc(p.renditions, func(r *rendition) bool { return !r.video && p.listed(r) }) {
		return true // its audio may not have been declared yet
	}
	return slices.ContainsFunc(p.tracks, missing)
}

// ratesToCome tells whether the frame rate has yet to show of video that has come.
func (p *Packager) ratesToCome() bool {
	return slices.ContainsFunc(p.renditions, func(r *rendition) bool {
		if !r.video || !p.listed(r) || slices.Contains(p.described, described{r.w, r.w.track}) {
			return false
		}
		return r.w.measured < rateFrames && r.w.track.FrameRate == 0
	})
}

// variants describes the renditions made so far: each video with each group of audio. Where there is no video, each group's
// first member stands in its place. Rungs that are sound alone come last.
func (p *Packager) variants() []window.Variant {
	groups := p.groups()
	var videos []*writer
	for _, r := range p.renditions {
		if r.video && p.listed(r) {
			videos = append(videos, r.w)
		}
	}
	slices.SortStableFunc(videos, inOrder)
	var all []window.Variant
	var made []quality
	for _, w := range videos {
		t := w.track
		w.rate, w.surely = frameRate(w), w.measured >= surelyRate
		v := window.Variant{Video: w.r, Codecs: t.CodecString, Width: t.Width, Height: t.Height, FrameRate: w.rate, VideoRange: t.Color.Range()}
		for i, g := range groups {
			with := v
			with.Audio, with.Codecs = &g.AudioGroup, v.Codecs+","+g.codec
			all, made = append(all, with), append(made, quality{w, i})
		}
		if len(groups) == 0 {
			all, made = append(all, v), append(made, quality{w, 0})
		}
	}
	for i, g := range groups {
		if len(videos) > 0 {
			break
		}
		v := window.Variant{Video: g.Members[0].Rendition, Codecs: g.codec}
		if len(g.Members) > 1 {
			v.Audio = &g.AudioGroup
		}
		all, made = append(all, v), append(made, quality{p.writerOf(v.Video), i})
	}
	for i, r := range p.soundOnly() {
		v := window.Variant{Video: r.w.r, Codecs: r.w.track.CodecString}
		if len(all) > 0 && all[0].Audio != nil {
			v.Audio = aloneIn(r, groups[0])
			if c := groups[0].codec; c != v.Codecs && len(v.Audio.Members) > 1 {
				v.Codecs += "," + c
			}
		}
		all, made = append(all, v), append(made, quality{r.w, len(groups) + i})
	}
	score(all, made)
	return all
}

// misstated tells, once when many frames have come, whether they come at another rate than what was told after the first few.
func (w *writer) misstated() bool {
	if !w.r.Video || w.surely || w.measured < surelyRate {
		return false
	}
	w.surely = true
	seen := frameRate(w)
	return seen > w.rate*1.05 || seen < w.rate*0.95
}

// frameRate is the rate to state: the codec data's when frames come about so, else as they come. Of a rung it is known where it is
// stated, and what reorders pictures begins with decoding times that lie closer.
func frameRate(w *writer) float64 {
	if w.interval <= 0 || w.track.Rung != "" && w.track.FrameRate > 0 {
		return w.track.FrameRate
	}
	seen := float64(w.track.ClockRate) / float64(w.interval)
	if f := w.track.FrameRate; seen < f*1.05 {
		return f // with a variable rate, the highest
	}
	return seen
}
