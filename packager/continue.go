package packager

import (
	"regexp"
	"slices"
	"strconv"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// How a packager goes on with a presentation that was copied from another node: its publisher came here, or its origin is lost. All
// that players know stays as it is: renditions by their names, numbers, PART-TARGET, and that dates, discontinuities and the lag
// never go back. For them it is a publisher that went and came back.

// continues tells whether a presentation can be gone on with: it has media, and has not ended.
func continues(c *window.Presentation) bool {
	if c == nil || c.Load().Ended {
		return false
	}
	some := false
	for _, r := range c.Load().Renditions {
		s := r.Load()
		if s.Ended {
			return false
		}
		some = some || len(s.Segments) > 0
	}
	return some
}

// numbersBehind is the first number that none of a presentation's renditions has used or announced.
func numbersBehind(c *window.Presentation) (next int64) {
	for _, r := range c.Load().Renditions {
		next = max(next, r.Load().NextMSN)
	}
	return next
}

// resume goes on with the presentation that the options name.
func resume(opt Options) *Packager {
	out := opt.Continue
	opt.Settings = opt.Settings.within(out.Settings)
	p := &Packager{opt: opt, out: out, nextMSN: numbersBehind(out)}
	view := out.Load()
	p.target = view.PartTarget
	for _, r := range view.Renditions {
		s := r.Load()
		p.target = max(p.target, s.PartTarget) // the view may have come later than they
		p.lag = max(p.lag, s.Lag())
	}
	p.bridge(view)
	out.Continue(opt.Gen)
	if view.PartTarget == 0 {
		out.SetPartTarget(p.target)
	}
	p.recall(view)
	p.recallCues()
	p.makeUp()
	p.begins = p.timelineEnd()
	if ahead := p.notBefore(time.Time{}).Sub(opt.Now()); ahead > 0 {
		p.ahead.Store(int64(ahead))
	}
	opt.Log.Info("going on with a copied presentation", "gen", opt.Gen, "segment", p.nextMSN, "renditions", len(p.renditions), "date", p.notBefore(time.Time{}))
	return p
}

// within is the settings as a presentation that others began has them: they are fixed for its life, whatever this node's are.
func (s Settings) within(w window.Settings) Settings {
	s.MaxSegmentDuration = time.Duration(w.TargetDuration) * time.Second
	s.SegmentDuration = min(s.SegmentDuration, s.MaxSegmentDuration)
	s.DVR = w.DVR
	return s
}

// recall makes the renditions of the presentation those of the packager, none of which has begun. Who led them is gone.
func (p *Packager) recall(view *window.View) {
	told := map[*window.Rendition]bool{}
	for _, v := range view.Variants {
		told[v.Video] = true
		if v.Audio != nil {
			for _, m := range v.Audio.Members {
				told[m.Rendition] = true
			}
		}
	}
	video := false
	for _, r := range view.Renditions {
		p.recallRendition(r, told[r])
		s := r.Load()
		if n := len(s.Segments); n > 0 {
			p.sequence = max(p.sequence, s.Segments[n-1].DiscontinuitySequence)
			video = video || r.Video
		}
	}
	slices.SortStableFunc(p.renditions, func(a, b *rendition) int { return a.id - b.id })
	former := &rendition{video: video}
	p.former = &writer{p: p, own: former, r: &window.Rendition{Video: video}, track: unknownTrack(0, video), lastDTS: -1}
	p.lead = p.former
}

// recallRendition takes one rendition in. Its name tells which track's it is.
func (p *Packager) recallRendition(wr *window.Rendition, told bool) {
	r := &rendition{video: wr.Video, name: wr.Name, needKey: wr.Video, seen: -1, patience: leastPatience}
	id, label := trackOf(wr.Name, wr.Video)
	if r.id = id; id < 0 {
		r.rung = &rung{label: label, starting: true, joined: told}
		r.id = stream.FirstRung
		if !wr.Video {
			r.id = stream.FirstRungAudio
		}
	}
	t := unknownTrack(r.id, wr.Video)
	w := &writer{p: p, own: r, r: wr, track: t, lastDTS: -1, interval: int64(t.ClockRate / 30)}
	if all := wr.Load().Segments; len(all) > 0 {
		w.init = all[len(all)-1].Init
	} else if init := p.init(r, t); init != nil {
		w.init = p.out.AddInit(wr, init)
	}
	w.restart(0)
	r.w = w
	p.renditions = append(p.renditions, r)
}

// numbered is a name that renditionName gives.
var numbered = regexp.MustCompile(`^(?:video|audio)(?:-([0-9]{1,3}))?$`)

// trackOf is the number of the publisher's track whose rendition has a name. It is negative for a rung, which has a label: "" where
// the name does not tell that.
func trackOf(name string, video bool) (id int, label string) {
	m := numbered.FindStringSubmatch(name)
	if m == nil {
		return -1, name
	}
	n, _ := strconv.Atoi(m[1]) // "" is 0
	switch {
	case n >= mostTracks || name[0] == 'v' != video:
		return -1, ""
	case !video:
		n += firstAudio
	}
	return n, ""
}

// unknownTrack stands for the track of a rendition until the publisher declares it: one without a CodecString. Its codec data are
// for gaps, where nobody knows what was meant to be there.
func unknownTrack(id int, video bool) *stream.Track {
	if video {
		return &stream.Track{ID: id, Codec: stream.H264, ClockRate: window.Rate, Config: []byte{1, 0x42, 0xc0, 0x1e, 0xff, 0xe0, 0}}
	}
	return &stream.Track{ID: id, Codec: stream.AAC, ClockRate: 48000, SampleRate: 48000, Channels: 2, FrameSamples: 1024, Config: []byte{0x11, 0x90}}
}

// unlabelled finds a rung of before whose name does not tell which it is, and is the one that the track's rendition has.
func (p *Packager) unlabelled(t *stream.Track) *rendition {
	for _, r := range p.renditions {
		if r.rung != nil && r.rung.label == "" && r.video == t.Video() && r.name == renditionName(t.ID) {
			r.rung.label, r.id, r.patience = t.Rung, t.ID, lagOf(t)
			slices.SortStableFunc(p.renditions, func(a, b *rendition) int { return a.id - b.id })
			return r
		}
	}
	return nil
}

// recognise gives renditions of sound that go on from before the tracks that are declared now, so that silence can stand in for
// sound that does not come at once.
func (p *Packager) recognise() {
	if p.former == nil {
		return
	}
	for _, t := range p.tracks {
		if t.Video() || t.Rung != "" || !hasSilence(t) {
			continue
		}
		i := slices.IndexFunc(p.renditions, func(r *rendition) bool { return !r.video && r.rung == nil && r.id == t.ID })
		if i < 0 || p.renditions[i].w == nil || p.renditions[i].w.track.CodecString != "" {
			continue
		}
		r := p.renditions[i]
		if init := p.init(r, t); init != nil && (r.w.init.Name == init.Name || !r.w.started) {
			r.w.track, r.w.init = t, p.out.AddInit(r.w.r, init)
		}
	}
}

// leaderless tells whether nothing of this packager has led yet.
func (p *Packager) leaderless() bool { return p.lead == nil || p.lead == p.former }
