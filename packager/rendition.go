package packager

import (
	"slices"
	"strconv"

	"pushcart/internal/stream"
	"pushcart/packager/fmp4"
	"pushcart/packager/window"
)

// Numbers of tracks (stream.Track.ID), and with them the most renditions that a publisher can have.
const (
	firstAudio = 100
	mostTracks = 16 // of each kind
)

// rendition is one track of the publisher, by its number, on its way into a playlist of its own. It leads or it follows.
//
// One that follows crosses the boundaries that the leading one has made, at the same presentation times and with the same
// numbers. It has a queue of its own, so that it delays neither the leading one nor another that follows, and a patience of
// its own: where its frames do not come, something stands in for them. That is the one thing in which audio and video
// differ: sound has silence, a picture has a gap, in which players go to another variant.
type rendition struct {
	id    int
	video bool
	name  string // in URIs
	rung  *rung  // nil for a publisher's own track
	// w makes its parts; nil until there is one to make.
	w     *writer
	queue frameQueue
	// cuts are the boundaries that it has not crossed yet; none while it leads.
	cuts []*cut
	// patience is how far it may fall behind the leading rendition before something stands in for it.
	patience window.Ticks
	// offset is how much later than decoded its last key frame was shown. What is announced of video counts in decoding
	// time. 0 for audio.
	offset window.Ticks
	// shift is what following video's times are moved by, to meet those of the leading one: see meet.
	shift   window.Ticks
	needKey bool          // video's references are lost
	seen    int64         // DTS of the last frame of following video that came, in the track's ticks; -1 for none
	heard   window.Ticks  // presentation time of the last frame that came
	keyed   int64         // segment of the first key frame of video that has no writer yet; 0 before that
	refused *stream.Track // that cannot be packaged, to log it once
}

// Deliverable tells whether the packager can make a rendition of a codec: others have no place in HLS, or none that
// browsers play.
func Deliverable(c stream.Codec) bool { return fmp4.Storable(c) }

// renditionName is the name of a track's rendition in URIs.
func renditionName(id int) string {
	name := "video"
	if id >= firstAudio {
		name, id = "audio", id-firstAudio
	}
	if id > 0 {
		name += "-" + strconv.Itoa(id)
	}
	return name
}

// of returns the rendition that a track's frames go to; nil for what cannot be packaged. It is made with the first frame, so
// that a track that never has one costs nothing.
func (p *Packager) of(t *stream.Track) *rendition {
	if t.Rung != "" {
		return p.ofRung(t)
	}
	if !Deliverable(t.Codec) {
		return nil
	}
	for _, r := range p.renditions {
		if r.id == t.ID && r.video == t.Video() && r.rung == nil {
			return r
		}
	}
	n := t.ID
	if !t.Video() {
		n -= firstAudio
	}
	if n < 0 || n >= mostTracks {
		return nil
	}
	return p.insert(&rendition{id: t.ID, video: t.Video(), name: renditionName(t.ID), patience: leastPatience})
}

// insert takes another rendition in, which may begin behind any of the last boundaries.
func (p *Packager) insert(r *rendition) *rendition {
	r.needKey, r.seen, r.heard = r.video, -1, p.began
	r.cuts = slices.Clone(p.recent)
	at, _ := slices.BinarySearchFunc(p.renditions, r, func(a, b *rendition) int { return a.id - b.id })
	p.renditions = slices.Insert(p.renditions, at, r)
	return r
}

// make gives the rendition its writer, whose first segment has the given number.
func (p *Packager) make(r *rendition, msn int64, at window.Ticks) *writer {
	r.w = &writer{p: p, own: r, r: p.out.AddRendition(r.name, r.video, msn), lastDTS: -1}
	r.w.restart(at)
	return r.w
}

// position is when a frame is shown, for the question on which side of a boundary it lies. Pictures lie there in the order of
// decoding: those between key frames are taken to be shown as much later as the key frame is.
func (r *rendition) position(f *stream.Frame) window.Ticks {
	switch {
	case !r.video:
		return inTicks(f.PTS, f.Track)
	case f.Key:
		return inTicks(f.PTS, f.Track) + r.shift
	}
	return inTicks(f.DTS, f.Track) + r.offset + r.shift
}

// length is how long a frame is taken to be.
func (r *rendition) length(f *stream.Frame) window.Ticks {
	switch {
	case !r.video:
		return inTicks(f.Duration, f.Track)
	case r.w != nil && r.w.interval > 0:
		return r.w.length()
	case f.Track.FrameRate > 1:
		return window.Ticks(window.Rate / f.Track.FrameRate)
	}
	return window.Rate / 30
}

// boundary is where a cut lies for the rendition, as a presentation time: pictures have to meet the leading one's picture,
// sound the time that was announced for it.
func (r *rendition) boundary(c *cut) window.Ticks {
	if r.video {
		return c.frame
	}
	return c.at
}

// reached is the presentation time up to which a follower has come.
func (r *rendition) reached() window.Ticks { return r.w.reached() + r.offset }

// led tells whether the frame's era has a leader that the rendition can follow.
func (p *Packager) led(r *rendition, f *stream.Frame) bool {
	return p.lead != nil && f.Era <= p.era && (!r.video || p.lead.r.Video || f.Era < p.era)
}

// drain passes on what the leading rendition has caught up with.
func (p *Packager) drain() {
	p.elect()
	for _, r := range p.renditions {
		for len(r.queue.frames) > 0 && p.ready(r) {
			p.follow(r, &r.queue.frames[0])
			r.queue.pop()
		}
	}
}

// drainAll passes on all that waits, but for rungs' frames where those are left: more of them are on their way.
func (p *Packager) drainAll(rungs bool) {
	for _, r := range p.renditions {
		for len(r.queue.frames) > 0 && (rungs || r.rung == nil) {
			p.last(r)
		}
	}
}

// drainTo passes on what lies before a boundary that is about to be made.
func (p *Packager) drainTo(at window.Ticks) {
	for _, r := range p.renditions {
		for len(r.queue.frames) > 0 {
			if f := &r.queue.frames[0]; f.Era > p.era || f.Era == p.era && r.position(f)+r.early(f) >= at {
				break
			}
			p.follow(r, &r.queue.frames[0])
			r.queue.pop()
		}
	}
}

// drainEra passes on what waits of an era that is over.
func (p *Packager) drainEra(era int) {
	for _, r := range p.renditions {
		for len(r.queue.frames) > 0 && r.queue.frames[0].Era <= era {
			p.last(r)
		}
	}
}

// last passes on a waiting frame for whose time nothing more will come of the leading rendition.
func (p *Packager) last(r *rendition) {
	defer r.queue.pop()
	f := &r.queue.frames[0]
	if at := r.position(f); p.lead != nil && r.w != p.lead && f.Era == p.era && at >= p.lead.reached() {
		switch {
		case p.needKey && !p.trails(r):
			p.stall(p.lead, at) // the picture is held as far as this
		case at-p.lead.reached() > trackGrace:
			p.opt.Metrics.drop(dropLate) // no cut will go with it
			return
		}
	}
	p.follow(r, f)
}

// ready tells whether the rendition's next frame can be placed: every cut up to it is decided. Where the leading rendition
// does not come, it decides them in its stead.
func (p *Packager) ready(r *rendition) bool {
	f, w := &r.queue.frames[0], p.lead
	switch {
	case !p.led(r, f):
		return false
	case f.Era < p.era:
		return true // to be dropped
	case r.w == w:
		return r.video || r.queue.span() >= p.expected() // so that a picture which comes later finds its place
	}
	at, passed := r.position(f), p.passed(r, f)
	switch {
	case passed && p.target > 0:
		// What belongs in front of it must all have been told.
		return !r.video || !p.overfull(r.w, at-r.offset) || !r.w.ahead() || r.queue.span() >= r.patience
	case r.queue.span() < p.stallAfter() || !passed && p.trails(r):
		return false
	case passed:
		w.flush() // it stopped before its first part was full
		p.settle(w)
	default:
		p.stall(w, at)
	}
	return true
}

// passed tells whether the leading rendition has decided on which side of each boundary a frame lies: the next one may be where it has
// come to now, and a frame a little before that be the nearest to it. Where nothing more comes of it, there is none.
func (p *Packager) passed(r *rendition, f *stream.Frame) bool {
	at, reached := r.position(f), p.front(r)
	return at+r.early(f) < reached || at < reached && p.gone && !p.lead.open()
}

// follow places a frame of a rendition that does not lead, or of leading audio.
func (p *Packager) follow(r *rendition, f *stream.Frame) {
	switch {
	case p.lead == nil || f.Era != p.era:
		p.opt.Metrics.drop(dropOldEra)
	case r.video && (r.w == p.lead || !p.lead.r.Video):
		p.opt.Metrics.drop(dropLate)
	case r.rung != nil:
		p.followRung(r, f)
	case r.video:
		r.heard = max(r.heard, inTicks(f.PTS, f.Track))
		p.followPicture(r, f)
	default:
		r.heard = max(r.heard, inTicks(f.PTS, f.Track))
		p.audioFrame(r, f)
	}
}

// followRung places a frame of a rung. One that comes too late is none: what is there stands in for it.
func (p *Packager) followRung(r *rendition, f *stream.Frame) {
	if r.video {
		p.followPicture(r, f)
	} else {
		p.audioFrame(r, f)
	}
	if r.took(f) {
		r.rung.filling, r.rung.warned = false, false
		r.heard = max(r.heard, inTicks(f.PTS, f.Track))
	}
}

// trails tells of a rung's picture behind the publisher's: where that stops there is nothing that it could show instead.
func (p *Packager) trails(r *rendition) bool {
	return r.video && r.rung != nil && p.lead.own.rung == nil
}
