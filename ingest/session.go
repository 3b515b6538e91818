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

	"pushcart/internal/auth"
	"pushcart/internal/stream"
)

// Settings of the door that may change while it is open.
type Settings struct {
	// KeyframeTimeout is how long a publisher may send video without a key frame.
	KeyframeTimeout time.Duration
}

// Options sets a door up.
type Options struct {
	Hub      *stream.Hub
	Keys     *auth.Store
	Settings func() Settings
	Metrics  *Metrics
	Log      *slog.Logger
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
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Door lets publishers of every protocol in, by the same rules.
type Door struct {
	opt      Options
	standbys seats
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

// pulled begins the credential of streams that the node fetches: a source takes its own stream over, and nobody else's.
const pulled = "pulled:"

// loopback is the credential of publishers on this host while no key is configured.
const loopback = "loopback"

// Open implements Entry.
func (d *Door) Open(req Request) (Publication, error) {
	p, err := d.open(req)
	if err != nil {
		d.opt.Metrics.refused(req.Protocol, err.Reason)
		d.opt.Log.Warn("publisher refused", "protocol", req.Protocol, "remote", req.Remote, "stream", d.printable(req),
			"reason", string(err.Reason), "message", err.Message)
		return nil, err
	}
	return p, nil
}

// printable hides what may be a bare secret.
func (d *Door) printable(req Request) string {
	if req.Pulled || d.opt.Hub.Get(req.Stream) != nil || d.opt.Keys.Load().Empty() {
		return req.Stream
	}
	return "(withheld)"
}

func (d *Door) open(req Request) (Publication, *Refusal) {
	who, refusal := d.authorise(req)
	if refusal != nil {
		return nil, refusal
	}
	if who.standby {
		s, refusal := d.stand(req, who)
		if refusal != nil {
			return nil, refusal
		}
		return s, nil
	}
	p, err := d.enter(context.Background(), req, who, func(_ *publication, cause error) {
		if req.Kick != nil {
			req.Kick(gone(cause))
		}
	})
	if err != nil {
		return nil, d.refusal(who.name, err)
	}
	p.log.Info("publisher arrived", "agent", req.Agent, "era", p.time.era)
	d.opt.Metrics.opened(req.Protocol)
	return p, nil
}

// guest is who asks to be let in, once that is known.
type guest struct {
	name       string // of the stream
	credential string
	standby    bool
}

// claimTime is how long a claim may take.
const claimTime = 3 * time.Second

// enter claims the stream and opens a publication on it. Its errors are those of the hub and of Options.Claim.
func (d *Door) enter(ctx context.Context, req Request, who guest, kick func(*publication, error)) (*publication, error) {
	p := d.publication(req, who)
	publisher := stream.Publisher{
		Credential: who.credential, Ladder: d.opt.Keys.Load().Ladder(who.name, auth.Credential(who.credential)), Standby: who.standby,
		Protocol: req.Protocol, Remote: req.Remote.String(), Agent: req.Agent, Kick: func(cause error) { kick(p, cause) },
	}
	release := func() {}
	if d.opt.Claim != nil {
		// What this node refuses by itself is not worth a claim, which would have to be given up again.
		if err := d.opt.Hub.Check(who.name, publisher); err != nil {
			return nil, err
		}
		within, cancel := context.WithTimeout(ctx, claimTime)
		defer cancel()
		giveUp, err := d.opt.Claim(within, who.name, who.credential, who.standby)
		if err != nil {
			return nil, err
		}
		if giveUp != nil {
			release = giveUp
		}
	}
	if err := ctx.Err(); err != nil { // a standby that went while it was promoted
		release()
		return nil, err
	}
	s, err := d.opt.Hub.Publish(who.name, publisher)
	if err != nil {
		release()
		return nil, err
	}
	p.session = s
	era, end := s.Start()
	p.time = newTimeline(era, end, s.NextEra)
	p.messages = newBinder(p.time, s.WriteData)
	return p, nil
}

// publication makes one that has no session yet.
func (d *Door) publication(req Request, who guest) *publication {
	return &publication{
		door: d, name: who.name, protocol: req.Protocol, trusted: who.credential != loopback, videos: map[int]*videoGate{},
		log: d.opt.Log.With("stream", who.name, "protocol", req.Protocol, "remote", req.Remote),
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
	case errors.Is(err, stream.ErrClosed), errors.Is(err, stream.ErrSuperseded):
		return gone(err)
	}
	d.opt.Log.Error("a stream could not be claimed in the cluster", "stream", name, "error", err)
	return Refuse(ReasonCluster, "This server cannot tell at this time whether the stream %q is live elsewhere. Try again in a moment.", name)
}

// RefuseTaken is the refusal of a publisher whose stream is live from another one.
func RefuseTaken(name string) *Refusal {
	return Refuse(ReasonNameTaken, "The stream %q is already live from another publisher. Stop that one or choose another stream key.", name)
}

// authorise resolves who is asking and for which stream.
func (d *Door) authorise(req Request) (guest, *Refusal) {
	if req.Pulled {
		if err := auth.ValidName(req.Stream); err != nil {
			return guest{}, Refuse(ReasonBadName, "The stream name %q cannot be used: %v.", Clip(req.Stream), err)
		}
		credential := pulled + req.Stream
		if d.opt.Node != "" {
			credential += "@" + d.opt.Node
		}
		return guest{name: req.Stream, credential: credential}, nil
	}
	keys := d.opt.Keys.Load()
	if keys.Empty() {
		if !req.Remote.Addr().Unmap().IsLoopback() {
			return guest{}, Refuse(ReasonNoKeys, "This server has no stream keys configured, so it takes publishers from its own host only. Ask its operator for a stream key.")
		}
		if err := auth.ValidName(req.Stream); err != nil {
			return guest{}, Refuse(ReasonBadName, "The stream key %q cannot be used: %v.", Clip(req.Stream), err)
		}
		return guest{name: req.Stream, credential: loopback}, nil
	}
	cred, name, ok := keys.Check(req.Stream, req.Key)
	if !ok {
		if req.Key == "" {
			return guest{}, Refuse(ReasonBadKey, "This stream key is not known. %s, the way the operator gave it to you.", keyPlace(req.Protocol))
		}
		return guest{}, Refuse(ReasonBadKey, "The key for this stream is wrong. Copy it again. %s.", keyPlace(req.Protocol))
	}
	if err := auth.ValidName(name); err != nil {
		return guest{}, Refuse(ReasonBadName, "The stream name %q cannot be used: %v.", Clip(name), err)
	}
	return guest{name: name, credential: string(cred), standby: keys.Standby(name, cred)}, nil
}

// keyPlace says where a key is put.
func keyPlace(protocol string) string {
	switch protocol {
	case "rtsp", "rtsps":
		return "Give it as the password, with any user, or behind the address: live/NAME?key=SECRET"
	case "srt":
		return "Put it into the stream identifier: #!::r=live/NAME,m=publish,s=SECRET"
	case "whip":
		return "Give it as the bearer token"
	}
	return "Enter it as NAME?key=SECRET"
}

// publication implements Publication.
type publication struct {
	door     *Door
	name     string
	protocol string
	session  *stream.Session
	log      *slog.Logger
	time     *timeline
	messages *binder
	trusted  bool // let in by a configured key
	tracks   trackList
	videos   map[int]*videoGate
	capture  captureClock
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
	switch {
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
	if pass, err := p.admit(f); !pass {
		return err
	}
	now := p.door.opt.Now()
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
func (p *publication) admit(f *stream.Frame) (pass bool, _ error) {
	if !f.Track.Video() && len(f.Payload) > mostAudio {
		p.Drop(DropDamaged)
		return false, nil
	}
	if f.Track.Video() {
		g := p.gate(f.Track.ID)
		if !g.keyed && !f.Key {
			return false, p.noKey(g, f)
		}
		g.keyed = true
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
		p.log.Info("publisher left")
	case errors.As(cause, &r):
		p.door.opt.Metrics.refused(p.protocol, r.Reason)
		p.log.Warn("publisher sent away", "reason", string(r.Reason), "message", r.Message)
	default:
		p.log.Info("publisher lost", "error", cause)
	}
	p.door.opt.Metrics.closed(p.protocol)
}
