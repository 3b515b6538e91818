// Package packager cuts a stream's frames into parts and segments and puts them into a window.
package packager

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"sync/atomic"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/fmp4"
	"pushcart/packager/window"
)

// Options sets a packager up.
type Options struct {
	Settings Settings
	// Gen and FirstMSN number the presentation's segments.
	Gen, FirstMSN int64
	Metrics       *Metrics
	Log           *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Packager packages one stream. It is a stream.Consumer; all its state belongs to whoever calls that.
//
// One rendition leads: video, or audio where there is no video. It decides where segments begin, and the other follows at
// the same presentation times with the same numbers. Audio waits until video has got as far, which costs the viewer
// nothing: both are needed to play.
type Packager struct {
	opt Options
	out *window.Presentation

	tracks       []*stream.Track
	video, audio *writer // nil until the rendition exists
	lead         *writer // nil before the first frame
	era          int     // of lead's present frames
	target       window.Ticks
	queue        frameQueue // audio that waits for video

	nextMSN   int64
	sequence  int64 // EXT-X-DISCONTINUITY-SEQUENCE of the present segment
	current   *cut  // lead's present segment
	follow    []*cut
	wallBase  time.Time        // clock at wallStart
	wallStart window.Ticks     // announced time in this era
	keyOffset window.Ticks     // composition offset of the last key frame
	needKey   bool             // video's references are lost
	breakDue  bool             // audio waits for a discontinuity
	clean     bool             // the present segment began with a key frame
	cadence   window.Ticks     // length of the last segment that a key frame ended
	steady    int              // how many before it were as long
	began     window.Ticks     // media time of the era's start, for trackGrace
	lastKey   []byte           // payload of the last key frame, to hold the picture when video stops
	patience  window.Ticks     // how far audio may fall behind video before silence takes its place
	described [2]*stream.Track // video and audio that the variants tell of; none before they are set
	refused   *stream.Track    // that cannot be packaged, to log it once

	inbox inbox // announcements of other goroutines
	cues  cues
	ahead atomic.Int64 // date of the newest frame less the clock when it came, ns
}

// New makes a packager that writes into a presentation of its own.
func New(name string, opt Options) *Packager {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	seconds := int((opt.Settings.MaxSegmentDuration + time.Second - 1) / time.Second)
	return &Packager{
		opt: opt,
		out: window.NewPresentation(name, window.Settings{
			TargetDuration: seconds, DVR: opt.Settings.DVR, FirstMSN: opt.FirstMSN, Gen: opt.Gen, Now: opt.Now,
		}),
		nextMSN: opt.FirstMSN, patience: leastPatience,
		cues: cues{lastID: uint32(opt.Gen / 10)},
	}
}

// Presentation that the packager writes.
func (p *Packager) Presentation() *window.Presentation { return p.out }

// Tracks implements stream.Consumer.
func (p *Packager) Tracks(tracks []*stream.Track) { p.tracks = tracks }

// Data implements stream.Consumer. What data messages ask for comes back as announcements.
func (p *Packager) Data(*stream.Data) {}

// Away implements stream.Consumer: what came so far is published; the presentation stays open.
func (p *Packager) Away() {
	p.drain(true)
	p.level()
	p.flush()
}

// End implements stream.Consumer.
func (p *Packager) End() {
	p.drain(true)
	p.level()
	p.flush()
	p.publish(true)
	p.out.End()
}

// flush closes the open parts with what they have.
func (p *Packager) flush() {
	for _, w := range []*writer{p.video, p.audio} {
		if w != nil {
			w.flush()
		}
	}
	// What changed with the last pictures may lie behind the audio's end, and there may be no more of that.
	c := &p.cues
	if w, n := p.audio, len(c.sets); w != nil && w != p.lead && w.sequence > 0 && n > 0 && w.set < c.setBase+n {
		p.out.SetRanges(w.r, c.sets[n-1].set)
		w.set = c.setBase + n
	}
}

// frameTicks is how long the last frame is taken to be, in the track's ticks.
func (w *writer) frameTicks() int64 {
	if w.track.FrameSamples > 0 {
		return int64(w.track.FrameSamples)
	}
	return w.interval
}

// Frame implements stream.Consumer.
func (p *Packager) Frame(f *stream.Frame) {
	if f.Track.Video() {
		p.videoFrame(f)
	} else {
		p.queue.push(f)
	}
	p.drain(false)
	p.publish(false)
}

// has tells whether the publisher declared a track of the kind.
func (p *Packager) has(video bool) bool {
	for _, t := range p.tracks {
		if t.Video() == video {
			return true
		}
	}
	return false
}

// videoFrame takes the leading track's frame.
func (p *Packager) videoFrame(f *stream.Frame) {
	w, at := p.video, inTicks(f.DTS, f.Track)
	present := w != nil && p.lead == w && f.Era == p.era
	if present && !w.open() && at+w.length() <= w.end && w.started {
		// Something else stands at this frame's time.
		p.opt.Metrics.drop(dropLate)
		p.needKey = true
		return
	}
	if !f.Key && (!present || f.Track != w.track || p.needKey) {
		p.opt.Metrics.drop(dropBeforeKey)
		return
	}
	if !present || f.Track != w.track {
		if w = p.enterVideo(f); w == nil {
			return
		}
	}
	if p.needKey && p.target > 0 && w.started && len(p.lastKey) > 0 {
		p.hold(w, at, w.length()/2)
		p.clean = false // so that f begins a segment, behind a part that may be short
	}
	p.needKey = false
	w.predict(f.DTS)
	p.closeBefore(w, f.DTS, at)
	if p.target > 0 && !w.open() && at-w.end >= p.target {
		p.gapLead(w, at)
	}
	p.cutBefore(w, f, at)
	if f.Key {
		p.keyOffset = inTicks(f.PTS-f.DTS, f.Track)
		p.lastKey = append(p.lastKey[:0], f.Payload...)
	}
	w.add(f)
	p.closeAfter(w)
	p.fillAudio(w)
}

// enterVideo makes f, a key frame, the first of an era, of a track or of the presentation; nil when it cannot be packaged.
func (p *Packager) enterVideo(f *stream.Frame) *writer {
	w := p.video
	init := p.init(f.Track)
	if init == nil {
		return nil
	}
	at := inTicks(f.DTS, f.Track)
	discontinuity := p.lead != nil && (f.Era != p.era || w != nil && f.Track != w.track)
	if p.lead != nil {
		p.finish(f.Era, at)
	}
	if w == nil {
		w = &writer{p: p, r: p.out.AddRendition("video", true, p.nextMSN), lastDTS: -1}
		p.video = w
	}
	if f.Era != p.era || w.track == nil {
		w.restart(at)
	}
	w.track, w.init = f.Track, p.out.AddInit(w.r, init)
	if discontinuity {
		w.measured = 0
	}
	p.lead = w
	if f.Era != p.era {
		p.startEra(f, at)
	}
	w.predict(f.DTS)
	if w.end < at || discontinuity {
		w.end = max(w.end, at)
	}
	p.cut(w, inTicks(f.PTS, f.Track), discontinuity)
	p.clean = true
	return w
}

// finish completes what came before a frame at the given time that begins something new. What is still waiting belongs
// in front of it.
func (p *Packager) finish(era int, at window.Ticks) {
	if era != p.era {
		p.drainEra(p.era)
		p.level()
		p.flush()
		return
	}
	p.drain(true)
	p.lead.flush()
	switch {
	case at-p.lead.end <= p.lead.length()*3/2:
	case p.needKey && p.lead == p.video && len(p.lastKey) > 0:
		p.hold(p.lead, at, p.lead.length()/2)
	default:
		p.gapLead(p.lead, at)
	}
}

// startEra begins counting time anew with f.
func (p *Packager) startEra(f *stream.Frame, at window.Ticks) {
	p.era = f.Era
	p.wallBase, p.wallStart = p.notBefore(f.Wall), at
	p.began = at
	p.follow = nil
	if p.audio != nil && p.audio != p.lead {
		p.audio.restart(at)
	}
}

// notBefore is a date, or the one that the presentation has reached if that is later: dates do not go back, or what began on
// one would seem to have ended before.
func (p *Packager) notBefore(t time.Time) time.Time {
	for _, r := range p.out.Load().Renditions {
		if s := r.Load(); len(s.Segments) > 0 {
			last := s.Segments[len(s.Segments)-1]
			if end := last.Wall.Add(window.Duration(last.Duration)); t.Before(end) {
				t = end
			}
		}
	}
	return t
}

// init makes and names a track's initialisation section; nil when the track cannot be packaged.
func (p *Packager) init(t *stream.Track) *window.Init {
	data, err := fmp4.Init(t)
	if err != nil {
		p.opt.Metrics.drop(dropUnpackagable)
		if p.refused != t {
			p.refused = t
			p.opt.Log.Error("track cannot be packaged", "track", t.ID, "error", err)
		}
		return nil
	}
	sum := sha256.Sum256(data)
	return &window.Init{Name: "init-" + hex.EncodeToString(sum[:8]) + ".mp4", Data: data}
}

// NextMSN is the number that the next segment will have.
func (p *Packager) NextMSN() int64 { return p.nextMSN }
