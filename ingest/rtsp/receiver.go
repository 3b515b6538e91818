package rtsp

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// sink is where a track's access units go: a video or an audio track of a feed.
type sink interface {
	write(u [][]byte, t feed.Time) error
	lost(reason ingest.DropReason)
}

type videoSink struct{ *feed.Video }

func (s videoSink) write(u [][]byte, t feed.Time) error { return s.Write(u, t) }
func (s videoSink) lost(reason ingest.DropReason)       { s.Lost(reason) }

type audioSink struct{ *feed.Audio }

func (s audioSink) write(u [][]byte, t feed.Time) error { return s.Write(u[0], t) }
func (s audioSink) lost(reason ingest.DropReason)       { s.Lost(reason) }

// receiver takes a session's packets to a feed. Its methods may be called from any goroutine; over UDP, RTP and RTCP come on
// two.
type receiver struct {
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	feed    *feed.Feed
	// limit is asked for the present MaxBitrate.
	limit func() int
	// source is the receiver's own synchronisation source.
	source uint32
	// fail is called at most once, with why the session must end. It must not block, nor call back.
	fail func(error)

	mu     sync.Mutex // guards what follows, and the feed
	tracks []*track
	timing timing
	hold   hold
	rate   bucket
	heard  time.Time // when a track's last packet with media came, or the session began
	fault  error     // why the session must end
	units  []unit    // used again for each packet
}

// track is one track of a session.
type track struct {
	plan
	sink  sink
	clock clock
	gate  gate
	take  depacketise
	// order and reception are for packets that come over UDP.
	order     order
	reception reception
	// noise is the interarrival jitter (RFC 3550 6.4.1).
	noise jitter
	held  bool // it has units that are held back
	begun bool // a whole access unit came
	// logged tells that damage was logged: one line for each track.
	logged bool
}

func newReceiver(pub ingest.Publication, log *slog.Logger, m *metrics, now func() time.Time, limit func() int, fail func(error)) *receiver {
	return &receiver{
		log: log, metrics: m, now: now, limit: limit, source: rand.Uint32(), fail: fail, heard: now(),
		feed: feed.New(feed.Options{Publication: pub, Log: log, Now: now}),
	}
}

// setup makes the tracks. An error is a refusal of the whole.
func (r *receiver) setup(pub ingest.Publication, p plans) error {
	for _, name := range p.unknown {
		r.metrics.tracks[trackUnknown].Inc()
		r.log.Warn("a track's codec is not known; it is ignored", "codec", name)
	}
	for range p.excess {
		r.metrics.tracks[trackExcess].Inc()
		pub.Drop(ingest.DropExcessTrack)
	}
	if p.excess > 0 {
		r.log.Warn("there are more tracks than are taken; the others are ignored", "ignored", p.excess, "limit", mostOfKind)
	}
	if len(p.take) == 0 {
		return ingest.Refuse(ingest.ReasonUnsupportedCodec, "Nothing of this stream can be taken (%s): set the encoder to H.264 and AAC.", strings.Join(p.unknown, ", "))
	}
	for _, p := range p.take {
		t := &track{plan: p, clock: clock{rate: p.rate}, gate: gate{single: p.codec == stream.Opus || p.codec == stream.PCMA || p.codec == stream.PCMU}}
		t.noise.rate = p.rate
		var err error
		if t.take, err = newDepacketiser(p.format, p.rate); err != nil {
			return err // planMedia made one
		}
		if t.sink, err = r.newSink(pub, p); err != nil {
			return err
		}
		r.tracks = append(r.tracks, t)
	}
	return nil
}

// newSink adds a track to the feed, with what the session description says of it.
func (r *receiver) newSink(pub ingest.Publication, p plan) (sink, error) {
	switch f := p.format.(type) {
	case *format.MPEG4Audio:
		config, err := f.Config.Marshal()
		if err != nil {
			return nil, badConfig(p.codec, err)
		}
		a, err := r.feed.AAC(p.id, config, p.label)
		return audioSink{a}, err
	case *format.MPEG4AudioLATM:
		config, err := f.StreamMuxConfig.Programs[0].Layers[0].AudioSpecificConfig.Marshal()
		if err != nil {
			return nil, badConfig(p.codec, err)
		}
		a, err := r.feed.AAC(p.id, config, p.label)
		return audioSink{a}, err
	case *format.MPEG1Audio:
		return audioSink{r.feed.MP3(p.id, p.label)}, nil
	case *format.Opus:
		// Every decoder makes stereo of either, and a description that does not say (RFC 7587 6.1) may mean stereo.
		a, err := r.feed.Opus(p.id, 2, nil, p.label)
		return audioSink{a}, err
	case *format.G711:
		return audioSink{r.feed.G711(p.id, p.codec, f.SampleRate, f.ChannelCount, p.label)}, nil
	case *format.VP8:
		// It has no codec data, so the door can be asked before anything comes whether it takes it.
		if err := pub.SetTrack(&stream.Track{ID: p.id, Codec: p.codec, ClockRate: 90000}); err != nil {
			return nil, err
		}
	}
	v := r.feed.Video(p.id, p.codec, p.label)
	if units := parameterSets(p.format); len(units) > 0 {
		if err := v.Parameters(units); err != nil {
			return nil, err
		}
	}
	return videoSink{v}, nil
}

func badConfig(c stream.Codec, err error) error {
	return ingest.Refuse(ingest.ReasonBadMedia, "The %s audio's codec data cannot be read (%v). Restart the encoder, or set its audio to AAC.", c, err)
}

// parameterSets are those that the session description has.
func parameterSets(f format.Format) (units [][]byte) {
	add := func(all ...[]byte) {
		for _, u := range all {
			if len(u) > 0 {
				units = append(units, u)
			}
		}
	}
	switch f := f.(type) {
	case *format.H264:
		add(f.SafeParams())
	case *format.H265:
		add(f.SafeParams())
	}
	return units
}

// packet takes an RTP packet of a connection, which has them in order.
func (r *receiver) packet(t *track, p *rtp.Packet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.survive()
	now := r.now()
	r.hear(p, now)
	r.inTurn(t, p, now)
}

// hear notes that media come. Empty packets are sent to keep a way through a NAT open (RFC 6263 4.1).
func (r *receiver) hear(p *rtp.Packet, now time.Time) {
	if len(p.Payload) > 0 {
		r.heard = now
	}
}

// datagram takes an RTP packet that came over UDP; false is one of another source.
func (r *receiver) datagram(t *track, p *rtp.Packet) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.survive()
	now := r.now()
	if !t.reception.of(p, now) {
		return false
	}
	r.hear(p, now)
	for _, p := range t.order.take(p, now) {
		r.inTurn(t, p, now)
	}
	r.due(now)
	return true
}

// due takes what has waited for long enough for datagrams in front of it.
func (r *receiver) due(now time.Time) {
	for _, t := range r.tracks {
		for _, p := range t.order.due(now) {
			r.inTurn(t, p, now)
		}
	}
}

// idle takes what waits although no more datagrams come, and says for how long no media did.
func (r *receiver) idle() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.survive()
	now := r.now()
	r.due(now)
	return now.Sub(r.heard)
}

// report makes a receiver report of a track, once something came.
func (r *receiver) report(t *track) ([]byte, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !t.reception.known {
		return nil, false
	}
	b, err := (&rtcp.ReceiverReport{SSRC: r.source, Reports: []rtcp.ReceptionReport{t.reception.block(uint32(t.noise.ticks), r.now())}}).Marshal()
	return b, err == nil
}

// inTurn takes the next packet of a track.
func (r *receiver) inTurn(t *track, p *rtp.Packet, now time.Time) {
	if r.fault != nil {
		return
	}
	if !r.rate.add(len(p.Payload), r.limit(), now) {
		r.fails(tooFast(r.limit()))
		return
	}
	v := t.gate.packet(&p.Header)
	if v.late {
		r.metrics.packet(t.id, fateLate, 1)
		return
	}
	if v.lost > 0 {
		r.metrics.packet(t.id, fateLost, v.lost)
		t.renew()
		r.lost(t, ingest.DropLost)
	}
	if !v.pass {
		r.metrics.packet(t.id, fateSkipped, 1)
		return
	}
	if len(p.Payload) == 0 {
		r.metrics.packet(t.id, fateTaken, 1)
		return
	}
	t.noise.note(p.Timestamp, now)
	var err error
	if r.units, err = t.take(r.units[:0], p); err != nil {
		r.broken(t, err)
		return
	}
	r.metrics.packet(t.id, fateTaken, 1)
	r.settle(now)
	for _, u := range r.units {
		if !t.begun && !begins(t.codec, u.payload) {
			r.lost(t, ingest.DropLost)
			continue
		}
		t.begun = true
		r.unit(t, u, now)
	}
	clear(r.units)
	r.settle(now)
}

// broken acts on a packet that its depacketiser cannot use. Of a stream that was running already, and of one whose first
// datagrams were lost, the first packets are from the middle of an access unit, and there is nothing wrong with them.
func (r *receiver) broken(t *track, err error) {
	f, reason := fateDamaged, ingest.DropDamaged
	if !t.begun {
		f, reason = fateSkipped, ingest.DropLost
	}
	r.metrics.packet(t.id, f, 1)
	if t.begun && !t.logged {
		t.logged = true
		r.log.Warn("packets break their payload format; access units are dropped", "track", t.id, "codec", t.codec.String(), "error", ingest.Clip(ingest.PlainText(err.Error())))
	}
	t.gate.damaged()
	t.renew()
	r.lost(t, reason)
}

// begins tells whether the first picture of an access unit is there from its beginning. The gate knows that of all but a
// track's first access unit, in front of which no packet was seen.
func begins(c stream.Codec, units [][]byte) bool {
	for _, u := range units {
		switch {
		case c == stream.H264 && len(u) > 1 && u[0]&0x1f >= 1 && u[0]&0x1f <= 5:
			return u[1]&0x80 != 0 // first_mb_in_slice is 0 (ITU-T H.264 7.3.3)
		case c == stream.HEVC && len(u) > 2 && u[0]>>1&0x3f < 32:
			return u[2]&0x80 != 0 // first_slice_segment_in_pic_flag (ITU-T H.265 7.3.6.1)
		}
	}
	return true
}

// renew throws away what the depacketiser holds.
func (t *track) renew() {
	if d, err := newDepacketiser(t.format, t.rate); err == nil {
		t.take = d
	}
}

// unit takes what a depacketiser gives.
func (r *receiver) unit(t *track, u unit, now time.Time) {
	h := heldUnit{track: t, unit: u, ticks: t.clock.advance(u.raw) + u.behind, arrived: now}
	if r.hold.over || !t.held && t.clock.report.known() {
		r.send(h)
		return
	}
	if r.hold.since.IsZero() {
		r.hold.since = now
	}
	t.held = true
	r.hold.units = append(r.hold.units, h)
	for _, b := range u.payload {
		r.hold.size += len(b)
	}
}

// send passes a unit on.
func (r *receiver) send(h heldUnit) {
	if r.fault != nil {
		return
	}
	t := h.track
	at := feed.Time{PTS: r.timing.time(&t.clock, h.ticks, h.arrived), Rate: t.rate, Wall: t.clock.wall(h.ticks)}
	if err := t.sink.write(h.payload, at); err != nil {
		r.fails(err)
	}
}

// control takes an RTCP packet. Without synchronisation sources' names, a report is the track's on whose channel it came.
func (r *receiver) control(t *track, p rtcp.Packet) {
	sr, ok := p.(*rtcp.SenderReport)
	if !ok || sr.NTPTime == 0 { // zero says that the sender has no clock (RFC 3550 6.4.1)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.survive()
	if r.fault != nil {
		return
	}
	now := r.now()
	t.reception.reported, t.reception.reportedAt = sr.NTPTime, now
	clocks := make([]*clock, len(r.tracks))
	for i, t := range r.tracks {
		clocks[i] = &t.clock
	}
	if !r.timing.reported(&t.clock, fromNTP(sr.NTPTime), sr.RTPTime, clocks) {
		return
	}
	if t.held {
		r.release(t)
	}
	r.metrics.reports.Inc()
	r.metrics.jitter.WithLabelValues(codecKind(t.codec)).Observe(t.noise.seconds())
	r.settle(now)
}

// fails notes why the session must end.
func (r *receiver) fails(err error) {
	if r.fault == nil {
		r.fault = err
		r.fail(err)
	}
}

// end passes on what is held. Nothing may come afterwards.
func (r *receiver) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.survive()
	for _, t := range r.tracks {
		for _, p := range t.order.rest() {
			r.inTurn(t, p, r.now())
		}
	}
	r.release(nil)
	if r.fault == nil {
		r.fault = errEnded
	}
}

var errEnded = fmt.Errorf("the session has ended")

// silent is for how long no media came.
func (r *receiver) silent() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Sub(r.heard)
}

// survive keeps a fault in handling one publisher's packets from ending all the others' streams.
func (r *receiver) survive() {
	if fault := recover(); fault != nil {
		r.fails(panicked(r.log, fault))
	}
}
