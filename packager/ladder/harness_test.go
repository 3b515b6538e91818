package ladder

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
	"pushcart/packager/ladder/nut"
)

// avcC is the decoder configuration record of a picture of 96x64, with one SPS and one PPS.
var avcC = unhex("0164000affe100186764000aacd94626c044000003000400000300c83c48965801000668ebe3cb22c0fdf8f800")

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// parameterSets are the record's NAL units behind start codes, as encoders give them.
func parameterSets(record []byte) (out []byte) {
	rest := record[6:]
	for range 2 {
		n := int(binary.BigEndian.Uint16(rest))
		out = append(append(out, 0, 0, 0, 1), rest[2:2+n]...)
		rest = rest[2+n:]
		if len(rest) > 0 {
			rest = rest[1:]
		}
	}
	return out
}

// deed is what a fake child does. The zero value gives for each frame one on each output, at once.
type deed struct {
	fails    bool          // it cannot be started
	exitAt   int           // it ends badly with this frame; 0 never
	stopAt   int           // it stops reading behind this frame, as after SIGSTOP; 0 never
	silentAt int           // it gives nothing from this frame on; 0 never
	junkAt   int           // it gives what is no NUT in place of this frame; 0 never
	strange  bool          // its frames have times of their own
	pace     time.Duration // what a frame takes
	holds    int           // frames that it keeps back
	priming  bool          // its first frame of sound lies before what was fed
	jpeg     bool          // its last output is a poster's: one for each key frame
	cpu      float64       // processors that it takes
	lingers  bool          // it does not end with its input
	offAt    int           // this frame comes back with a time of its own; 0 never
	nap      time.Duration // what its second frame takes besides
}

// fakeChild is a process that is none.
type fakeChild struct {
	deed
	spec    child.Spec
	at      time.Time
	in      *io.PipeReader
	stdin   *io.PipeWriter
	pipes   []*io.PipeWriter
	outputs []io.ReadCloser
	done    chan struct{}
	once    sync.Once
	err     error
	killed  chan struct{}
	killing sync.Once

	mu   sync.Mutex // guards what follows
	head nut.Stream
	got  []nut.Frame
	used *time.Duration // from now on; see idle
}

func newFakeChild(spec child.Spec, d deed) *fakeChild {
	c := &fakeChild{deed: d, spec: spec, at: time.Now(), done: make(chan struct{}), killed: make(chan struct{})}
	c.in, c.stdin = io.Pipe()
	for range spec.Outputs {
		r, w := io.Pipe()
		c.outputs, c.pipes = append(c.outputs, r), append(c.pipes, w)
	}
	go c.work()
	return c
}

func (c *fakeChild) Write(p []byte) (int, error) { return c.stdin.Write(p) }
func (c *fakeChild) CloseStdin() error           { return c.stdin.Close() }
func (c *fakeChild) Outputs() []io.ReadCloser    { return c.outputs }
func (c *fakeChild) Progress() child.Progress    { return child.Progress{FPS: 30} }
func (c *fakeChild) Stderr() []string            { return []string{"a last word"} }
func (c *fakeChild) Pid() int                    { return 4711 }
func (c *fakeChild) Done() <-chan struct{}       { return c.done }
func (c *fakeChild) Wait() error                 { <-c.done; return c.err }
func (c *fakeChild) Kill()                       { c.killing.Do(func() { close(c.killed) }); c.end(errors.New("killed")) }
func (c *fakeChild) Close() error                { c.Kill(); return c.Wait() }

func (c *fakeChild) CPU() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used != nil {
		return *c.used
	}
	return time.Duration(c.cpu * float64(time.Since(c.at)))
}

// idle makes the child use nothing any more.
func (c *fakeChild) idle() {
	used := c.CPU()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = &used
}

// end is the end of the process.
func (c *fakeChild) end(err error) {
	c.once.Do(func() {
		c.err = err
		c.in.CloseWithError(io.ErrClosedPipe)
		for _, p := range c.pipes {
			p.Close()
		}
		close(c.done)
	})
}

func (c *fakeChild) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// work is the life of the process.
func (c *fakeChild) work() {
	in := nut.NewReader(c.in, 1<<20)
	head, err := in.Stream()
	if err != nil {
		c.end(nil)
		return
	}
	c.mu.Lock()
	c.head = head
	c.mu.Unlock()
	out := newFakeOutput(c, head)
	for n := 1; ; n++ {
		f, err := in.Next()
		if err != nil {
			if c.lingers {
				<-c.killed
			}
			out.flush()
			c.end(nil)
			return
		}
		f.Payload = bytes.Clone(f.Payload)
		c.mu.Lock()
		c.got = append(c.got, f)
		c.mu.Unlock()
		switch {
		case n == c.exitAt:
			c.end(errors.New("ffmpeg ended with exit code 1: Conversion failed!"))
			return
		case n == c.stopAt:
			<-c.killed
			return
		case c.silentAt > 0 && n >= c.silentAt:
			continue
		case n == c.junkAt:
			c.pipes[0].Write(bytes.Repeat([]byte{0x17}, 4096))
			continue
		}
		if c.pace > 0 {
			select {
			case <-time.After(c.pace):
			case <-c.killed:
				return
			}
		}
		if n == 2 && c.nap > 0 {
			select {
			case <-time.After(c.nap):
			case <-c.killed:
				return
			}
		}
		if n == c.offAt {
			f.PTS += 7
		}
		out.take(f)
	}
}

// frames are those that the child got.
func (c *fakeChild) frames() []nut.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.got)
}

// fakeOutput is the encoding side of a fakeChild.
type fakeOutput struct {
	c       *fakeChild
	writers []*nut.Writer
	heads   []nut.Stream
	kept    []nut.Frame
	opened  bool
}

func newFakeOutput(c *fakeChild, head nut.Stream) *fakeOutput {
	o := &fakeOutput{c: c}
	for i := range c.pipes {
		s := nut.Stream{Video: true, Tag: [4]byte{'H', '2', '6', '4'}, Rate: 90000, Config: parameterSets(avcC), Width: 96, Height: 64}
		switch {
		case !head.Video:
			s = nut.Stream{Tag: [4]byte{0xFF}, Rate: 48000, Config: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}
		case c.jpeg && i == len(c.pipes)-1:
			s.Tag, s.Config = [4]byte{'M', 'J', 'P', 'G'}, nil
		}
		o.heads = append(o.heads, s)
		o.writers = append(o.writers, nut.NewWriter(s))
	}
	return o
}

func (o *fakeOutput) take(f nut.Frame) {
	o.kept = append(o.kept, f)
	for len(o.kept) > o.c.holds {
		o.give(o.kept[0])
		o.kept = o.kept[1:]
	}
}

func (o *fakeOutput) flush() {
	for _, f := range o.kept {
		o.give(f)
	}
	o.kept = nil
}

func (o *fakeOutput) give(f nut.Frame) {
	for i, pipe := range o.c.pipes {
		var b []byte
		s := o.heads[i]
		first := !o.opened
		if first {
			b = nut.AppendHeader(b, s)
		}
		x := nut.Frame{PTS: f.PTS, Key: f.Key, Payload: []byte{0, 0, 0, 1, 0x41, 0x9A, 1, 2, 3}}
		switch {
		case s.Tag == [4]byte{'M', 'J', 'P', 'G'}:
			if !f.Key {
				pipe.Write(b)
				continue
			}
			x.Payload = append([]byte{0xFF, 0xD8, 0xFF}, f.Payload...)
		case !s.Video:
			x.Payload = []byte{0x21, 0x10, 4, 5}
			if first && o.c.priming {
				b = o.writers[i].Append(b, nut.Frame{PTS: x.PTS - 1024, Key: true, Payload: x.Payload})
			}
		case f.Key:
			x.Payload = []byte{0, 0, 0, 1, 0x65, 0x88, 0x84, 0, 0, 0, 1, 0x06, 5, 1, 2, 0x80}
		}
		if o.c.strange && s.Video {
			x.PTS += 7
		}
		pipe.Write(o.writers[i].Append(b, x))
	}
	o.opened = true
}

// host makes fake children.
type host struct {
	// does tells what the nth child does, counted from 0.
	does func(n int, spec child.Spec) deed

	mu       sync.Mutex // guards what follows
	children []*fakeChild
	tries    int
	idle     float64
}

func (h *host) start(_ context.Context, spec child.Spec) (process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := deed{}
	if h.does != nil {
		d = h.does(h.tries, spec)
	}
	h.tries++
	if d.fails {
		return nil, errors.New("start ffmpeg: out of memory")
	}
	c := newFakeChild(spec, d)
	h.children = append(h.children, c)
	return c, nil
}

func (h *host) all() []*fakeChild {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.children)
}

// running are the children that have not ended.
func (h *host) running() (out []*fakeChild) {
	for _, c := range h.all() {
		if !c.ended() {
			out = append(out, c)
		}
	}
	return out
}

func (h *host) sample() (float64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.idle, h.idle >= 0
}

// sink is the consumer behind the ladder: it keeps what the rungs give.
type sink struct {
	mu       sync.Mutex // guards what follows
	declared []*stream.Track
	frames   map[string][]stream.Frame // by rung; "" are the publisher's
	told     atomic.Int64              // the most rungs that were declared at once
}

func (s *sink) Tracks(all []*stream.Track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.declared = nil
	for _, t := range all {
		if t.Rung != "" {
			s.declared = append(s.declared, t)
		}
	}
	s.told.Store(max(s.told.Load(), int64(len(s.declared))))
}

func (s *sink) Frame(f *stream.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := *f
	c.Payload = bytes.Clone(f.Payload)
	s.frames[f.Track.Rung] = append(s.frames[f.Track.Rung], c)
}

func (s *sink) Data(*stream.Data) {}
func (s *sink) Away()             {}
func (s *sink) End()              {}

func (s *sink) of(rung string) []stream.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.frames[rung])
}

// rungs are the names of the rungs that are declared.
func (s *sink) rungs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []string{}
	for _, t := range s.declared {
		out = append(out, t.Rung)
	}
	return out
}

// logText is what was logged.
type logText struct {
	mu sync.Mutex // guards b
	b  strings.Builder
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// show is one stream, its ladder and a host for it, in a synctest bubble.
type show struct {
	t    testing.TB
	set  Settings
	host *host
	// noProgram is what the trial fails for, and tryFor how long it takes.
	noProgram error
	tryFor    time.Duration
	trial     trialFunc // nil is one by which all engines work

	m   *Manager
	hub *stream.Hub
	reg *prometheus.Registry
	log logText

	mu    sync.Mutex // guards sinks, and set while the manager runs
	sinks map[string]*sink
}

// inShow runs a test within a bubble; change may be nil.
func inShow(t *testing.T, change func(*show), test func(*show)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShow(t, change)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			defer close(over)
			if err := s.m.Run(ctx); err != nil {
				t.Error(err)
			}
		}()
		defer func() { // also of a test that gives up: what goes by the clock would go on for ever
			s.hub.Close()
			cancel()
			<-over
			if left := s.host.running(); len(left) > 0 {
				t.Errorf("%d children were left", len(left))
			}
			if t.Failed() {
				t.Log(s.log.String())
			}
		}()
		synctest.Wait()
		test(s)
	})
}

func newShow(t *testing.T, change func(*show)) *show {
	s := &show{
		t: t, host: &host{idle: -1}, reg: prometheus.NewRegistry(), sinks: map[string]*sink{},
		set: Settings{
			Program: "ffmpeg", Convert: true, Encoders: []command.Backend{command.CPU}, MaxTranscodes: 16,
			Ladders: []command.Ladder{ladderOf(t, "mobile", "720p 1.8M", "480p 900k", "audio 64k")},
			Streams: []Choice{{Stream: "*", Ladder: "mobile"}},
		},
	}
	if change != nil {
		change(s)
	}
	m, err := New(Options{
		Settings: s.settings, Log: slog.New(slog.NewTextHandler(&s.log, nil)), Registerer: s.reg,
		start: s.host.start, host: s.host.sample,
		trial: func(ctx context.Context, set Settings, _ []string, _ *slog.Logger, found func(trial)) error {
			if s.trial != nil {
				return s.trial(ctx, set, nil, nil, found)
			}
			if err := s.missing(); err != nil {
				return err
			}
			out := trial{version: "ffmpeg version 5.1"}
			if s.tryFor > 0 {
				found(out)
				time.Sleep(s.tryFor)
			}
			for _, e := range command.Candidates(set.Encoders, set.Device) {
				e.Encoders = set.codecs()
				out.engines = append(out.engines, tried{engine: e})
			}
			found(out)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.m = m
	s.hub = stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return 30 * time.Second },
		Attach: func(x *stream.Stream) []stream.Consumer {
			out := &sink{frames: map[string][]stream.Frame{}}
			s.mu.Lock()
			s.sinks[x.Name()] = out
			s.mu.Unlock()
			return []stream.Consumer{out, m.Attach(x)}
		},
	})
	return s
}

func (s *show) settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}

// missing is why the program cannot be used now.
func (s *show) missing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.noProgram
}

// change changes the configuration, or the host, while the manager runs.
func (s *show) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// newLadder changes the configuration: the stream's ladder has other rungs.
func (s *show) newLadder(rungs ...string) {
	l := ladderOf(s.t, "mobile", rungs...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.Ladders = []command.Ladder{l}
}

func ladderOf(t testing.TB, name string, rungs ...string) command.Ladder {
	l := command.Ladder{Name: name, Mode: command.Latency}
	for _, text := range rungs {
		r, err := command.ParseRung(text)
		if err != nil {
			t.Fatal(err)
		}
		l.Rungs = append(l.Rungs, r)
	}
	return l
}

func (s *show) sink(name string) *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sinks[name]
}

// out is the sink of the stream that most tests have.
func (s *show) out() *sink { return s.sink("shop") }

// publisher sends pictures of 30 frames a second with a key frame each second, and sound.
type publisher struct {
	s     *show
	x     *stream.Session
	era   int
	video *stream.Track
	audio *stream.Track
	from  int64 // 1/90,000 s
	n     int   // frames of video sent
}

const fps, gop = 30, 30

// full is the source of most tests.
func full() *stream.Track {
	return &stream.Track{Codec: stream.H264, ClockRate: 90000, Config: avcC, CodecString: "avc1.64000a", Width: 1920, Height: 1080, FrameRate: fps}
}

func aac() *stream.Track {
	return &stream.Track{
		ID: 100, Codec: stream.AAC, ClockRate: 48000, Config: []byte{0x11, 0x90}, CodecString: "mp4a.40.2", SampleRate: 48000, Channels: 2,
		FrameSamples: 1024,
	}
}

// publish begins a show; audio may be nil.
func (s *show) publish(name string, video, audio *stream.Track) *publisher {
	s.t.Helper()
	x, err := s.hub.Publish(name, stream.Publisher{Credential: name})
	if err != nil {
		s.t.Fatal(err)
	}
	p := &publisher{s: s, x: x, video: video, audio: audio}
	p.era, p.from = x.Start()
	for _, t := range []*stream.Track{video, audio} {
		if t != nil {
			if err := x.SetTrack(t); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return p
}

// send sends n frames of video, and the sound for them, in real time.
func (p *publisher) send(n int) {
	p.s.t.Helper()
	for range n {
		p.frame()
		time.Sleep(time.Second / fps)
	}
	synctest.Wait()
}

// frame sends one frame of video and what sound goes with it.
func (p *publisher) frame() {
	p.s.t.Helper()
	pts := p.from + int64(p.n)*90000/fps
	f := &stream.Frame{Track: p.video, Era: p.era, DTS: pts, PTS: pts, Key: p.n%gop == 0, Wall: time.Now(), Payload: []byte{0, 0, 0, 2, 0x41, byte(p.n)}}
	if err := p.x.Write(f); err != nil {
		p.s.t.Fatal(err)
	}
	if p.audio != nil {
		at := stream.Rescale(p.from, 90000, 48000)
		for i := (int64(p.n)*48000/fps + 1023) / 1024; i*1024 < int64(p.n+1)*48000/fps; i++ {
			at := at + i*1024
			a := &stream.Frame{Track: p.audio, Era: p.era, DTS: at, PTS: at, Duration: 1024, Key: true, Wall: time.Now(), Payload: []byte{1, 2, byte(i)}}
			if err := p.x.Write(a); err != nil {
				p.s.t.Fatal(err)
			}
		}
	}
	p.n++
}

// metric is a counter's or gauge's value; label is that of its only label, "" without one.
func (s *show) metric(name, label string) float64 {
	s.t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}
