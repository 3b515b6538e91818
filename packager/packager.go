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
	// Gen and FirstMSN number the presentation's segments. One that is continued has a Gen above all that it had, and numbers on.
	Gen, FirstMSN int64
	// Continue is a copy of another node's presentation to go on with, as its writer; nil begins a new one. Its PART-TARGET, target
	// duration and DVR stay, whatever Settings say. One that has ended, or of which no media came, is not gone on with: the new one
	// numbers on behind it.
	Continue *window.Presentation
	Metrics  *Metrics
	Log      *slog.Logger
	// Began is told, under the stream's lock, that the first part of an era has been published; it must not block. nil is nobody.
	Began func(era int)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Packager packages one stream. It is a stream.Consumer; all its state belongs to whoever calls that.
//
// One rendition leads: the video track of the lowest number, or audio where there is no video. It decides where segments
// begin, and all others follow at the same presentation times with the same numbers. What follows waits until the leading
// one has got as far, which costs the viewer nothing: both are needed to play.
type Packager struct {
	opt Options
	out *window.Presentation

	tracks     []*stream.Track
	renditions []*rendition // by number: video first
	picture    *rendition   // the video that leads or led; nil before there was any
	lead       *writer      // nil before the first frame
	era        int          // of lead's present frames
	target     window.Ticks

	nextMSN   int64
	sequence  int64        // EXT-X-DISCONTINUITY-SEQUENCE of the present segment
	current   *cut         // lead's present segment
	recent    []*cut       // the last ones of the era, for renditions to come
	wallBase  time.Time    // clock at wallStart
	wallStart window.Ticks // announced time in this era
	keyOffset window.Ticks // composition offset of the last key frame
	needKey   bool         // the leading video's references are lost
	breakDue  bool         // a rendition waits for a discontinuity
	clean     bool         // the present segment began with a key frame
	cadence   window.Ticks // length of the last segment that a key frame ended
	steady    int          // how many before it were as long
	began     window.Ticks // media time of the era's start, for trackGrace
	lastKey   []byte       // payload of the last key frame, to hold the picture when video stops
	described []described  // what the variants tell of; empty before they are set
	parted    bool         // a part was made since that was looked at

	gone     bool      // the publisher has gone since the era began
	begun    int       // the latest era of which a part was published
	returned time.Time // when the era began, by the clock
	queued   int       // frames in the renditions' queues, as metrics have them

	broken  window.Ticks // where the leading rendition was when a rung last asked for a discontinuity
	sources [2]source    // of the latest era of the publisher's frames, and of the one before
	nominal window.Ticks // the largest Lag of rungs that were declared
	lag     window.Ticks // how much further than usual players stay behind

	inbox inbox // announcements of other goroutines
	cues  cues
	ahead atomic.Int64 // date of the newest frame less the clock when it came, ns

	former  *writer   // stands for who led a presentation that is continued; nil in a new one
	begins  time.Time // where the timeline of one that is continued begins
	yielded bool      // another node is the origin
}

// New makes a packager that writes into a presentation of its own.
func New(name string, opt Options) *Packager {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if continues(opt.Continue) {
		return resume(opt)
	}
	if opt.Continue != nil {
		opt.FirstMSN = max(opt.FirstMSN, numbersBehind(opt.Continue))
	}
	seconds := int((opt.Settings.MaxSegmentDuration + time.Second - 1) / time.Second)
	return &Packager{
		opt: opt,
		out: window.NewPresentation(name, window.Settings{
			TargetDuration: seconds, DVR: opt.Settings.DVR, FirstMSN: opt.FirstMSN, Gen: opt.Gen, Now: opt.Now,
		}),
		nextMSN: opt.FirstMSN,
		cues:    cues{lastID: uint32(opt.Gen / 10)},
	}
}

// Presentation that the packager writes.
func (p *Packager) Presentation() *window.Presentation { return p.out }

// Tracks implements stream.Consumer.
func (p *Packager) Tracks(tracks []*stream.Track) {
	if p.yielded {
		return
	}
	p.tracks = tracks
	p.declareRungs()
	p.recognise()
}

// Data implements stream.Consumer. What data messages ask for comes back as announcements.
func (p *Packager) Data(*stream.Data) {}

// Away implements stream.Consumer: what came so far is published; the presentation stays open. Of rungs there is more to come, and
// where one leads, the others wait for that.
func (p *Packager) Away() {
	if p.yielded {
		return
	}
	p.gone = true
	if p.rungLeads() {
		p.drain()
		if p.lead != nil {
			p.complete(p.lead.own)
		}
		return
	}
	p.finishAll(false)
	p.drain()
	for _, r := range p.renditions {
		if r.rung != nil {
			p.complete(r)
		}
	}
}

// End implements stream.Consumer.
func (p *Packager) End() {
	if p.yielded {
		return
	}
	p.finishAll(true)
	p.countQueued()
	p.publish(true)
	p.out.End()
}

// finishAll publishes all that came, and brings the renditions to the same end, with rungs or without.
func (p *Packager) finishAll(rungs bool) {
	if p.lead != nil {
		p.lead.flush() // first, so that the others' last parts have what it tells
	}
	p.drainAll(rungs)
	p.level(rungs)
	p.flush(rungs)
}

// flush closes the open parts with what they have, those of rungs too or not.
func (p *Packager) flush(rungs bool) {
	for _, r := range p.renditions {
		if r.w != nil && (rungs || r.rung == nil) {
			r.w.flush()
		}
	}
	for _, r := range p.renditions {
		if r.w != nil && (rungs || r.rung == nil) {
			p.lastRanges(r.w)
		}
	}
}

// lastRanges gives a follower the date ranges that hold at the end: what changed with the last pictures may lie behind its own
// end, and there may be no more of it.
func (p *Packager) lastRanges(w *writer) {
	c := &p.cues
	if n := len(c.sets); w != p.lead && w.sequence > 0 && n > 0 && w.set < c.setBase+n {
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
	if p.yielded {
		p.opt.Metrics.drop(dropElsewhere)
		return
	}
	r := p.of(f.Track)
	if f.Track.Rung == "" {
		p.note(f)
	}
	switch {
	case r == nil && f.Track.Rung == "" && p.replaced(f.Track.Video()):
		return
	case r == nil:
		p.opt.Metrics.drop(dropUnpackagable)
		return
	case r.rung != nil && p.lead != nil && f.Era < p.era:
		p.opt.Metrics.drop(dropOldEra)
		return
	case r.rung != nil && !p.admit(r, f):
		return
	}
	switch {
	case p.leads(r, f):
		p.videoFrame(r, f)
	case !r.queue.push(f):
		p.opt.Metrics.drop(dropQueueFull)
	}
	p.drain()
	if p.gone && r.rung != nil {
		p.complete(r)
	}
	p.countQueued()
	if p.parted {
		p.parted = false
		p.publish(false)
	}
}

// has tells whether the publisher declared a track of the kind that can be packaged.
func (p *Packager) has(video bool) bool {
	for _, t := range p.tracks {
		if t.Video() == video && Deliverable(t.Codec) {
			return true
		}
	}
	return false
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
func (p *Packager) init(r *rendition, t *stream.Track) *window.Init {
	data, err := fmp4.Init(t)
	if err != nil {
		p.opt.Metrics.drop(dropUnpackagable)
		if r.refused != t {
			r.refused = t
			p.opt.Log.Error("track cannot be packaged", "track", t.ID, "error", err)
		}
		return nil
	}
	sum := sha256.Sum256(data)
	return &window.Init{Name: "init-" + hex.EncodeToString(sum[:8]) + ".mp4", Data: data}
}

// NextMSN is the number that the next segment will have.
func (p *Packager) NextMSN() int64 { return p.nextMSN }
