package packager

import (
	"cmp"
	"slices"
	"strconv"

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
			same = same && n < len(p.described) && p.described[n] == described{r.w, r.w.track}
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
		return waited < 2*leadPatience
	}
	missing := func(t *stream.Track) bool {
		return Deliverable(t.Codec) && !slices.ContainsFunc(p.renditions, func(r *rendition) bool { return r.id == t.ID && p.listed(r) })
	}
	if waited >= trackGrace {
		return waited < layersGrace && slices.ContainsFunc(p.tracks, func(t *stream.Track) bool { return t.Video() && missing(t) })
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
// first member stands in its place.
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
	for _, w := range videos {
		v := window.Variant{Video: w.r, Codecs: w.track.CodecString, Width: w.track.Width, Height: w.track.Height, FrameRate: frameRate(w)}
		for _, g := range groups {
			with := v
			with.Audio, with.Codecs = &g.AudioGroup, v.Codecs+","+g.codec
			all = append(all, with)
		}
		if len(groups) == 0 {
			all = append(all, v)
		}
	}
	if len(videos) > 0 {
		return all
	}
	for _, g := range groups {
		v := window.Variant{Video: g.Members[0].Rendition, Codecs: g.codec}
		if len(g.Members) > 1 {
			v.Audio = &g.AudioGroup
		}
		all = append(all, v)
	}
	return all
}

// easy is the most pixels of a picture that a player on any network may start with.
const easy = 1280 * 720

// inOrder sorts variants. The first is the one that players start with: AVPlayer takes it as it is, which Apple's HLS Authoring
// Specification wants to be of about 2 Mbit/s, and hls.js takes its rate for its first estimate of the network. So the best
// that is no larger than 720p goes first, and the others from the best down. Shaka Player and the rest do not heed the order.
func inOrder(a, b *writer) int {
	pixels := func(w *writer) int { return w.track.Width * w.track.Height }
	hard := func(w *writer) int {
		if pixels(w) > easy {
			return 1
		}
		return 0
	}
	return cmp.Or(hard(a)-hard(b), pixels(b)-pixels(a), cmp.Compare(frameRate(b), frameRate(a)))
}

// audioGroup is a group and the codec that all its members have.
type audioGroup struct {
	window.AudioGroup
	codec string
}

// groups puts the audio renditions into groups, one for each codec: CODECS of a variant has to be true of whichever member is
// chosen (rfc8216bis 4.4.6.2).
func (p *Packager) groups() []*audioGroup {
	var groups []*audioGroup
	for _, r := range p.renditions {
		if r.video || !p.listed(r) {
			continue
		}
		t := r.w.track
		i := slices.IndexFunc(groups, func(g *audioGroup) bool { return g.codec == t.CodecString })
		if i < 0 {
			i = len(groups)
			g := &audioGroup{codec: t.CodecString}
			if g.ID = "audio"; i > 0 {
				g.ID += "-" + strconv.Itoa(i+1)
			}
			groups = append(groups, g)
		}
		g := groups[i]
		tag := cleanLanguage(t.Language)
		g.Members = append(g.Members, window.AudioMember{
			Rendition: r.w.r, Language: tag, Channels: t.Channels, Name: memberName(g.Members, t.Name, tag),
		})
	}
	return groups
}

// frameRate is the rate to state: the codec data's when frames come about so, else as they come.
func frameRate(w *writer) float64 {
	if w.interval <= 0 {
		return w.track.FrameRate
	}
	seen := float64(w.track.ClockRate) / float64(w.interval)
	if f := w.track.FrameRate; seen < f*1.05 {
		return f // with a variable rate, the highest
	}
	return seen
}
