package packager

import (
	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// publish makes the presentation playable once its renditions are known, and tells when they have come to be of another
// kind, for those who join then.
func (p *Packager) publish(final bool) {
	if p.target == 0 || p.lead == nil {
		return
	}
	made, now := 0, [2]*stream.Track{}
	for i, w := range []*writer{p.video, p.audio} {
		if w != nil && w.sequence > 0 {
			made, now[i] = made+1, w.track
		}
	}
	first := p.described == [2]*stream.Track{}
	switch {
	case made == 0 || now == p.described:
		return
	case final:
	case first && made == 1 && p.expectsOther():
		return
	case !first && now[0] != p.described[0] && p.video.measured < rateFrames && p.video.track.FrameRate == 0:
		return // its rate has yet to show
	}
	p.described = now
	p.out.SetVariants([]window.Variant{p.variant()})
}

// expectsOther tells whether a track of the other kind may still come before viewers have waited too long.
func (p *Packager) expectsOther() bool {
	waited := p.lead.end - p.began
	if p.lead.r.Video {
		return waited < trackGrace
	}
	return p.has(true) && waited < 2*leadPatience
}

// variant describes the renditions made so far.
func (p *Packager) variant() window.Variant {
	var v window.Variant
	if w := p.video; w != nil && w.sequence > 0 {
		v.Video = w.r
		v.Codecs = w.track.CodecString
		v.Width, v.Height = w.track.Width, w.track.Height
		v.FrameRate = frameRate(w)
	}
	if w := p.audio; w != nil && w.sequence > 0 {
		v.Channels, v.Language = w.track.Channels, ""
		if v.Video == nil {
			v.Video, v.Codecs = w.r, w.track.CodecString
		} else {
			v.Audio = w.r
			v.Codecs += "," + w.track.CodecString
		}
	}
	return v
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
