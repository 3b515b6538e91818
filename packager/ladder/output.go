package ladder

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/codec"
	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
	"pushcart/packager/ladder/nut"
)

// Bounds of what a child may give.
const (
	// mostFrame is the size in bytes of the largest frame.
	mostFrame = 8 << 20
	// mostStrange is how many frames in a row may have a time that nothing was fed at.
	mostStrange = 120
)

// output is one rendition as a child gives it. One goroutine reads it.
type output struct {
	r     *run
	track command.Output
	rung  *rung
	// passed and delay are the metrics' for its kind.
	passed prometheus.Counter
	delay  prometheus.Observer

	returned atomic.Int64 // frames read
	newest   atomic.Int64 // the highest time of them, in the source's ticks; 0 before the first
	strange  int
	broken   bool // a picture was dropped: what refers to it is of no use
}

// output makes one of the child's outputs.
func (r *run) output(o command.Output) *output {
	kind := kindOf(!o.Rung.Audio && o.Rung.Codec.Video())
	m := r.j.l.m.metrics
	return &output{
		r: r, track: o, rung: r.j.l.rung(o.Track), passed: m.frames.WithLabelValues(kind), delay: m.lag.WithLabelValues(kind),
	}
}

// decoder makes stream frames of what comes from a child.
type decoder interface {
	// frame makes a frame, complete but for era and wall clock; nil when there is nothing to pass on. What it returns is valid
	// until the next call. Its error says that what came is none of the codec's.
	frame(f *nut.Frame, pts int64) (*stream.Frame, error)
}

// read passes on what the child gives until its output ends. It tells why, and what is wrong with it.
func (o *output) read(pipe io.Reader) (why string, err error) {
	<-o.r.before // what the child before gives comes first
	in := nut.NewReader(pipe, mostFrame)
	head, err := in.Stream()
	if err != nil {
		return broken(o.track.Rung.Name, err)
	}
	dec, err := o.decoder(&head)
	if err != nil {
		return whyGarbage, fmt.Errorf("rung %s: %w", o.track.Rung.Name, err)
	}
	for {
		f, err := in.Next()
		if err != nil {
			return broken(o.track.Rung.Name, err)
		}
		if err := o.pass(dec, &f, head.Rate); err != nil {
			return whyGarbage, fmt.Errorf("rung %s: %w", o.track.Rung.Name, err)
		}
	}
}

// broken tells the end of a file from one that cannot be read.
func broken(name string, err error) (string, error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) {
		return whyExit, errEnded
	}
	return whyGarbage, fmt.Errorf("rung %s cannot be read: %w", name, err)
}

// decoder reads what the file says of its coding.
func (o *output) decoder(head *nut.Stream) (decoder, error) {
	if head.Rate <= 0 {
		return nil, fmt.Errorf("a clock of %d ticks a second", head.Rate)
	}
	if o.track.Rung.Audio || o.track.Rung.Codec == stream.AAC {
		return o.newSound(head)
	}
	return o.newPictures(head)
}

// pass passes one frame on.
func (o *output) pass(dec decoder, f *nut.Frame, rate int) error {
	o.returned.Add(1)
	era, zero := o.r.timeline()
	pts := f.PTS + zero*int64(rate)
	out, err := dec.frame(f, pts)
	switch {
	case err != nil:
		return err
	case out == nil:
		return o.odd(dropEmpty, "have no picture that can be read")
	}
	source := o.r.inSource(pts, rate)
	from, reason := o.origin(out, source)
	switch {
	case reason == dropUnknown:
		return o.odd(reason, "have times that no frame has that was sent to ffmpeg")
	case reason != "":
		o.drop(reason)
		return nil
	}
	o.strange = 0
	if o.broken && !out.Key {
		o.drop(dropReference)
		return nil
	}
	dts, ok := o.rung.claim(era, out.DTS, out.PTS)
	if !ok {
		o.broken = out.Track.Video()
		o.drop(dropOrder)
		return nil
	}
	o.broken = false
	out.DTS, out.Era, out.Wall = dts, era, from.wall
	o.count(out, source, &from)
	if o.r.j.l.s.Branch().Write(out) != nil {
		return nil // the stream has ended, and the child is about to
	}
	return nil
}

// odd drops a frame that is not what ffmpeg was asked for, and with it what refers to it. Its error says that there are too many.
func (o *output) odd(reason, what string) error {
	o.broken = !o.track.Rung.Audio
	o.drop(reason)
	if o.strange++; o.strange > mostStrange {
		return fmt.Errorf("%d frames in a row %s", o.strange, what)
	}
	return nil
}

// origin finds the frame that one was made from.
func (o *output) origin(f *stream.Frame, source int64) (fed, string) {
	if f.Track.Video() {
		from, ok := o.r.table.at(source)
		if !ok {
			return from, dropUnknown
		}
		if f.Key && !from.key {
			o.r.j.l.m.metrics.unaligned.Inc()
		}
		return from, ""
	}
	from, ok := o.r.table.before(source)
	if !ok {
		return from, dropPriming
	}
	return from, ""
}

// count takes note of a frame that is passed on.
func (o *output) count(f *stream.Frame, source int64, from *fed) {
	m := o.r.j.l.m
	now := m.opt.Now()
	o.newest.Store(max(o.newest.Load(), source))
	var lag time.Duration
	if newest, ok := o.r.table.newest(); ok {
		lag = duration(max(0, newest-source), o.r.want.track.ClockRate)
	}
	delay := now.Sub(from.at)
	o.rung.passed(now, len(f.Payload), lag, delay)
	o.passed.Inc()
	o.delay.Observe(delay.Seconds())
	o.r.answer()
}

// answer takes note that something came back.
func (r *run) answer() {
	if r.answered.CompareAndSwap(false, true) {
		r.j.mu.Lock()
		if r.j.current == r {
			r.j.state = Running
		}
		r.j.mu.Unlock()
	}
}

func (o *output) drop(reason string) {
	o.r.j.l.m.metrics.drop(reason)
	o.rung.drop(reason)
}

// declared is the output's track without codec data.
func (o *output) declared() *stream.Track {
	plan := command.Plan{}
	if w := o.r.want; w.picture != nil {
		plan.Picture = w.picture
	} else {
		plan.Sound = []command.SoundJob{*w.sound}
	}
	for _, t := range command.Tracks(plan) {
		if t.ID == o.track.Track {
			return t
		}
	}
	return nil
}

// learn tells the stream what the codec data say, and returns the track for the frames.
func (o *output) learn(known *stream.Track) *stream.Track {
	t := *o.declared()
	t.Config, t.CodecString, t.ClockRate = known.Config, known.CodecString, known.ClockRate
	if known.Video() {
		t.Width, t.Height = known.Width, known.Height
	} else {
		t.SampleRate, t.Channels, t.FrameSamples = known.SampleRate, known.Channels, known.FrameSamples
		t.Silence, t.SilenceSamples = known.Silence, known.SilenceSamples
	}
	if known.Color != (stream.Color{}) {
		t.Color = known.Color
	}
	track, news := o.rung.learn(&t, o.r.want.gen)
	if news {
		o.r.j.l.declare()
	}
	return track
}

// pictures makes frames of video.
type pictures struct {
	o        *output
	v        *codec.Video
	units    [][]byte
	rate     int // of the file
	order    *decodeOrder
	interval int64
	track    *stream.Track
	out      stream.Frame
}

func (o *output) newPictures(head *nut.Stream) (decoder, error) {
	if !head.Video {
		return nil, errors.New("it is not of pictures")
	}
	v, err := codec.NewElementary(o.track.Rung.Codec)
	if err != nil {
		return nil, err
	}
	d := &pictures{o: o, v: v, rate: head.Rate, interval: 3000}
	if r := o.r.want.frameRate; r > 0 {
		d.interval = int64(min(90000/r, 90000))
	}
	if v.Parameters(d.parameters(head.Config)) != nil {
		// Key frames bring them, too: what is wrong with the header's is no reason to give up.
		if d.v, err = codec.NewElementary(o.track.Rung.Codec); err != nil {
			return nil, err
		}
	}
	// ffmpeg does not always say how far pictures are reordered: with x265 its header has 0. The codec data do.
	d.order = newDecodeOrder(max(head.Delay, d.v.Reorder()))
	return d, nil
}

// parameters are the units of a file's codec data: NAL units behind start codes, or OBUs, in front of which av1C has four bytes
// (AV1-ISOBMFF 2.3.3; the first is 0x81).
func (d *pictures) parameters(config []byte) [][]byte {
	switch {
	case d.startCodes():
		return splitAnnexB(nil, config)
	case len(config) > 4 && config[0] == 0x81:
		return [][]byte{config[4:]}
	case len(config) == 0:
		return nil
	}
	return [][]byte{config}
}

// startCodes tells whether the codec's frames are NAL units behind start codes.
func (d *pictures) startCodes() bool {
	return d.v.Codec() == stream.H264 || d.v.Codec() == stream.HEVC
}

func (d *pictures) frame(f *nut.Frame, pts int64) (*stream.Frame, error) {
	var s codec.Sample
	var err error
	if d.startCodes() {
		d.units = splitAnnexB(d.units[:0], f.Payload)
		s, err = d.v.ReadUnits(d.units)
	} else {
		s, err = d.v.Read(f.Payload)
	}
	if err != nil {
		return nil, err
	}
	pts = stream.Rescale(pts, d.rate, 90000)
	if s.Changed && d.v.Reorder() > d.order.delay {
		d.order = newDecodeOrder(d.v.Reorder())
	}
	dts := d.order.next(pts, d.interval)
	if len(s.Payload) == 0 || !d.v.Ready() {
		return nil, nil
	}
	if d.track == nil || s.Changed {
		d.track = d.o.learn(d.v.Track(d.o.track.Track))
	}
	d.out = stream.Frame{Track: d.track, DTS: dts, PTS: pts, Key: s.Key, Payload: s.Payload}
	return &d.out, nil
}

// sound makes frames of AAC.
type sound struct {
	track *stream.Track
	rate  int
	out   stream.Frame
}

func (o *output) newSound(head *nut.Stream) (decoder, error) {
	t, err := codec.NewAAC(o.track.Track, head.Config)
	if err != nil {
		return nil, err
	}
	return &sound{track: o.learn(t), rate: head.Rate}, nil
}

func (d *sound) frame(f *nut.Frame, pts int64) (*stream.Frame, error) {
	if len(f.Payload) == 0 {
		return nil, nil
	}
	at := stream.Rescale(pts, d.rate, d.track.ClockRate)
	d.out = stream.Frame{
		Track: d.track, DTS: at, PTS: at, Duration: int64(d.track.FrameSamples), Key: true, Payload: f.Payload,
	}
	return &d.out, nil
}

// readPosters keeps the newest of the pictures that a child gives.
func (r *run) readPosters(pipe io.Reader) (why string, err error) {
	<-r.before
	in := nut.NewReader(pipe, mostPoster)
	for {
		f, err := in.Next()
		if err != nil {
			return broken("poster", err)
		}
		if len(f.Payload) < 4 || f.Payload[0] != 0xFF || f.Payload[1] != 0xD8 {
			return whyGarbage, errors.New("a poster that is no JPEG")
		}
		r.j.l.poster.set(f.Payload, r.j.l.m.opt.Now())
		r.j.l.m.metrics.posters.Inc()
		if len(r.outputs) == 0 {
			r.answer()
		}
	}
}
