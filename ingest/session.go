package ingest

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/internal/stream"
)

// Settings of the door that may change while it is open.
type Settings struct {
	// KeyframeTimeout is how long a publisher may send video without a key frame.
	KeyframeTimeout time.Duration
	// MaxStreams is how many streams there may be at once; 0 is no limit. Who goes on with one that is there is never refused by it.
	MaxStreams int
	// MaxDuration is how long a show may last, from its first publisher on this node, reconnects included; 0 is no limit. Sources that the
	// node fetches may go on for ever.
	MaxDuration time.Duration
}

// Options sets a door up.
type Options struct {
	Hub *stream.Hub
	// Authority decides who may publish.
	Authority Authority
	Settings  func() Settings
	Metrics   *Metrics
	Log       *slog.Logger
	// Deliverable tells whether viewers can get a codec; nil is all of them.
	Deliverable func(stream.Codec) bool
	// Label gives the configured language and name of an audio track of a stream, "" for what the publisher's word stands; nil
	// configures none.
	Label func(name string, t *stream.Track) (language, label string)
	// Claim makes this node the origin of a stream before its publisher is let in; nil is a node without a cluster. It may take
	// as long as its context, which is 3 s. release gives the claim up again: it is called if the publisher is not let in after
	// all, and never after that; nil is none. A *Refusal is passed on to the publisher, and ErrStandby has one with a standby
	// key wait.
	Claim func(ctx context.Context, name, credential string, standby bool) (release func(), err error)
	// Promoted returns a channel that is closed when a standby's claim of a stream is worth trying. nil, or a channel that is nil,
	// leaves it to the standby to try again from time to time.
	Promoted func(name string) <-chan struct{}
	// Node is the name of this node in its cluster. A source that several nodes fetch is then the publisher of one of them, and
	// the others have the name refused for as long as that goes well. "" is a node without a cluster.
	Node string
	// Journey follows a publisher that knocks, for traces; nil, or a nil journey, follows nobody.
	Journey func(Request) Journey
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Door lets publishers of every protocol in, by the same rules.
type Door struct {
	opt      Options
	standbys seats
	book     book
	rests    rests
}

// NewDoor makes a door.
func NewDoor(opt Options) *Door {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Deliverable == nil {
		opt.Deliverable = func(stream.Codec) bool { return true }
	}
	if opt.Label == nil {
		opt.Label = func(string, *stream.Track) (language, label string) { return "", "" }
	}
	return &Door{opt: opt, standbys: seats{taken: map[seat]*standby{}}}
}

// Open implements Entry.
func (d *Door) Open(req Request) (Publication, error) {
	p, err := d.receive(req)
	if err != nil {
		d.opt.Metrics.refused(req.Protocol, err.Reason)
		d.logOf(req).Warn("publisher refused", "protocol", req.Protocol, "remote", req.Remote, "stream", d.printable(req, err),
			"reason", string(err.Reason), "message", err.Message)
		return nil, err
	}
	return p, nil
}

func (d *Door) open(req Request) (_ Publication, refusal *Refusal) {
	journey := d.journey(req)
	defer func() {
		if refusal != nil {
			journey.Ended(string(refusal.Reason))
		}
	}()
	ctx := d.context(req)
	who, refusal := d.authorise(ctx, req, false)
	if refusal != nil {
		return nil, refusal
	}
	defer func() {
		if refusal != nil {
			refusal.stream = who.Name
		}
	}()
	journey.Authorised(who.Name)
	who.journey = journey
	if refusal := d.over(who, d.publisher(req, who), true); refusal != nil {
		return nil, refusal
	}
	if who.Standby {
		s, refusal := d.stand(req, who)
		if refusal != nil {
			return nil, refusal
		}
		return s, nil
	}
	p, err := d.enter(ctx, req, who, func(_ *publication, cause error) {
		if req.Kick != nil {
			req.Kick(gone(cause))
		}
	})
	if err != nil {
		return nil, d.refusal(who.Name, err)
	}
	p.left = held(who.Grant)
	p.log.Info("publisher arrived", "agent", req.Agent, "era", p.time.era)
	d.opt.Metrics.opened(req.Protocol)
	return p, nil
}

// claimTime is how long a claim may take.
const claimTime = 3 * time.Second

// enter claims the stream and opens a publication on it. Its errors are those of the hub and of Options.Claim.
func (d *Door) enter(ctx context.Context, req Request, who guest, kick func(*publication, error)) (*publication, error) {
	p := d.publication(req, who)
	if who.journey != nil {
		p.journey = who.journey
		ctx = p.journey.Context(ctx)
	}
	publisher := d.publisher(req, who)
	publisher.Kick = func(cause error) { kick(p, cause) }
	release := func() {}
	if d.opt.Claim != nil {
		// What this node refuses by itself is not worth a claim, which would have to be given up again.
		if err := d.opt.Hub.Check(who.Name, publisher); err != nil {
			return nil, err
		}
		within, cancel := context.WithTimeout(ctx, claimTime)
		defer cancel()
		giveUp, err := d.opt.Claim(within, who.Name, string(who.Credential), who.Standby)
		if err != nil {
			return nil, err
		}
		if giveUp != nil {
			release = giveUp
		}
	}
	if err := ctx.Err(); err != nil { // the publisher went meanwhile
		release()
		return nil, err
	}
	s, err := d.opt.Hub.Publish(who.Name, publisher)
	if err != nil {
		release()
		return nil, err
	}
	p.session, p.began = s, s.Began()
	era, end := s.Start()
	p.time = newTimeline(era, end, s.NextEra)
	p.messages = newBinder(p.time, s.WriteData)
	p.journey.Claimed(era)
	return p, nil
}

// publication makes one that has no session yet.
func (d *Door) publication(req Request, who guest) *publication {
	return &publication{
		door: d, who: who, name: who.Name, protocol: req.Protocol, trusted: !who.Anonymous, videos: map[int]*videoGate{}, journey: unfollowed{},
		meter: newMeter(who.MaxBitrate), left: func() {},
		log: d.logOf(req).With("stream", who.Name, "protocol", req.Protocol, "remote", req.Remote),
	}
}

// refusal words why enter failed.
func (d *Door) refusal(name string, err error) *Refusal {
	var taken *stream.TakenError
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &taken) && taken.Until.IsZero():
		return RefuseTaken(name)
	case errors.As(err, &taken):
		return Refuse(ReasonNameTaken, "The stream %q is kept for the publisher that just left. Use its key, or try again in %d seconds.",
			name, max(1, int(taken.Until.Sub(d.opt.Now()).Seconds()+0.999)))
	case errors.Is(err, stream.ErrFull):
		return Refuse(ReasonLimit, "This server has as many streams as it may have. Try again when another one has ended, or ask its operator for more: publish.max_streams.")
	case errors.Is(err, stream.ErrClosed), errors.Is(err, stream.ErrSuperseded):
		return gone(err)
	case errors.Is(err, context.Canceled):
		return Refuse(ReasonIdle, "The connection ended before the stream %q was claimed.", name)
	}
	d.opt.Log.Error("a stream could not be claimed in the cluster", "stream", name, "error", err)
	return Refuse(ReasonCluster, "This server cannot tell at this time whether the stream %q is live elsewhere. Try again in a moment.", name)
}

// RefuseTaken is the refusal of a publisher whose stream is live from another one.
func RefuseTaken(name string) *Refusal {
	return Refuse(ReasonNameTaken, "The stream %q is already live from another publisher. Stop that one or choose another stream key.", name)
}

// publication implements Publication.
type publication struct {
	door     *Door
	who      guest
	name     string
	protocol string
	session  *stream.Session
	log      *slog.Logger
	time     *timeline
	messages *binder
	trusted  bool // let in by an authority
	tracks   trackList
	videos   map[int]*videoGate
	capture  captureClock
	journey  Journey
	meter    meter
	began    time.Time // when the show did
	look     time.Time // when it is to be looked next how long it may last
	left     func()    // tells the authority that the publisher is gone
	closing  sync.Once
	lost     atomic.Bool // of a standby's: the session went to another publisher
}

// videoGate keeps a video track's frames back until a key frame: its first one, or the next one after a frame that was dropped.
type videoGate struct {
	keyed   bool  // a key frame came
	waiting bool  // frames come without one
	last    int64 // DTS of the last of them, in ticks
	waited  int64 // how long they have come, in ticks; the clock may jump meanwhile
}

// Name implements Publication.
func (p *publication) Name() string { return p.name }

// SetTrack implements Publication.
func (p *publication) SetTrack(t *stream.Track) error {
	t, refusal := p.declare(t)
	if refusal != nil {
		return refusal
	}
	if err := p.session.SetTrack(t); err != nil {
		return gone(err)
	}
	p.messages.declare(t)
	p.log.Info("track", "id", t.ID, "codec", t.Codec.String(), "codecs", t.CodecString,
		"width", t.Width, "height", t.Height, "sample_rate", t.SampleRate, "channels", t.Channels, "language", t.Language, "name", t.Name)
	return nil
}

// declare looks a track over and returns it as it is used.
func (p *publication) declare(t *stream.Track) (*stream.Track, *Refusal) {
	if t.Video() && !p.door.opt.Deliverable(t.Codec) {
		return nil, Refuse(ReasonUnsupportedCodec, "%s video cannot be delivered over HLS: set the encoder to H.264.", t.Codec)
	}
	return p.tracks.use(t, p.labelled(t)), nil
}

// gone is the refusal for an error of the hub's.
func gone(err error) *Refusal {
	var refused *Refusal
	switch {
	case errors.As(err, &refused): // the show was ended by it
		return refused
	case errors.Is(err, stream.ErrElsewhere):
		return Refuse(ReasonElsewhere, "Another node took this stream over: its publisher has connected there, or one that stood by goes on with it. "+
			"Stop this encoder, or start it again to take the stream back.")
	case errors.Is(err, stream.ErrGaveWay):
		return Refuse(ReasonStandby, "The publisher that this one stands by for is back.")
	case errors.Is(err, stream.ErrSuperseded):
		return Refuse(ReasonTakenOver, "Another program started publishing with the same stream key and took this stream over.")
	}
	return Refuse(ReasonShutdown, "This server is shutting down. Reconnect in a moment.")
}

// mostAudio is the size in bytes of the biggest audio frame: more than any codec's own limit. Audio may wait for video, so
// that what passes for it must be small.
const mostAudio = 64 << 10

// Write implements Publication.
func (p *publication) Write(f *stream.Frame) error {
	now := p.door.opt.Now()
	if refusal := p.overdue(now); refusal != nil {
		return refusal
	}
	if pass, err := p.admit(f, now); !pass {
		return err
	}
	f.Arrived = now
	if off, bad := p.capture.check(f, now); bad {
		p.session.ClockOff(off)
		p.log.Warn("the publisher's clock is wrong; its capture times are not used", "ahead", off)
	}
	if !p.time.place(f, now) {
		p.Drop(DropOldTime)
		if f.Track.Video() { // the next ones refer to it
			*p.gate(f.Track.ID) = videoGate{}
		}
		return nil
	}
	if err := p.session.Write(f); err != nil {
		return gone(err)
	}
	p.messages.note(f)
	if err := p.messages.settle(now); err != nil {
		return gone(err)
	}
	return nil
}

// admit looks a frame over: one that does not pass is dropped and counted, or ends the session.
func (p *publication) admit(f *stream.Frame, now time.Time) (pass bool, _ error) {
	if !p.meter.take(len(f.Payload), now) {
		return false, tooFast(p.who.MaxBitrate)
	}
	if !f.Track.Video() && len(f.Payload) > mostAudio {
		p.Drop(DropDamaged)
		return false, nil
	}
	if f.Track.Video() {
		g := p.gate(f.Track.ID)
		if !g.keyed && !f.Key {
			return false, p.noKey(g, f)
		}
		if !g.keyed {
			g.keyed = true
			p.journey.KeyFrame()
		}
	}
	f.Track = p.tracks.used(f.Track)
	if err := p.tracks.hopeless(f); err != nil {
		return false, err
	}
	return true, nil
}

// gate returns a video track's.
func (p *publication) gate(id int) *videoGate {
	g := p.videos[id]
	if g == nil {
		g = &videoGate{}
		p.videos[id] = g
	}
	return g
}

// noKey drops video that cannot be decoded, up to a limit unless another video track can be seen.
func (p *publication) noKey(g *videoGate, f *stream.Frame) error {
	if step := f.DTS - g.last; g.waiting && step > 0 && stream.Rescale(step, f.Track.ClockRate, 90000) <= maxStep {
		g.waited += step
	}
	g.waiting, g.last = true, f.DTS
	limit := p.door.opt.Settings().KeyframeTimeout
	waited := time.Duration(stream.Rescale(g.waited, f.Track.ClockRate, int(time.Second)))
	seen := func(g *videoGate) bool { return g.keyed }
	if limit > 0 && waited >= limit && !slices.ContainsFunc(slices.Collect(maps.Values(p.videos)), seen) {
		return Refuse(ReasonNoKeyframe, "No keyframe came in %d seconds of video. Set the encoder's keyframe interval to 2 seconds.", int(limit.Seconds()))
	}
	p.Drop(DropBeforeKeyframe)
	return nil
}

// WriteData implements Publication.
func (p *publication) WriteData(d *stream.Data) error {
	d.Trusted = p.trusted
	if err := p.messages.add(d, p.door.opt.Now()); err != nil {
		return gone(err)
	}
	return nil
}

// Drop implements Publication.
func (p *publication) Drop(reason DropReason) {
	switch reason {
	case DropBeforeConfig:
		p.tracks.expecting = true
	case DropLost:
		if p.time != nil {
			p.time.losses++
		}
	}
	if p.session != nil {
		p.session.Drop(string(reason))
	}
	p.door.opt.Metrics.dropped(reason)
}

// Close implements Publication.
func (p *publication) Close(cause error) {
	p.closing.Do(func() {
		p.leave()
		p.left()
		p.farewell(cause)
	})
}

// leave lets the stream go.
func (p *publication) leave() {
	_ = p.messages.flush() // no frame comes any more; an error says that nobody is there to take them
	p.session.Close()
}

// farewell logs and counts that the publisher is gone.
func (p *publication) farewell(cause error) {
	var r *Refusal
	switch {
	case cause == nil:
		p.journey.Ended("")
		p.log.Info("publisher left")
	case errors.As(cause, &r):
		p.journey.Ended(string(r.Reason))
		p.door.opt.Metrics.refused(p.protocol, r.Reason)
		p.log.Warn("publisher sent away", "reason", string(r.Reason), "message", r.Message)
	default:
		p.journey.Ended(journeyLost)
		p.log.Info("publisher lost", "error", cause)
	}
	p.door.opt.Metrics.closed(p.protocol)
}
