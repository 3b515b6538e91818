package ladder_test

import (
	"context"
	"io"
	"log/slog"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/codec"
	"pushcart/internal/stream"
	"pushcart/internal/testkit"
	"pushcart/packager/ladder"
	"pushcart/packager/ladder/command"
)

// catcher is a consumer that keeps when what came.
type catcher struct {
	mu     sync.Mutex // guards frames
	frames map[string][]stream.Frame
	sizes  map[string]int
}

func (c *catcher) Tracks([]*stream.Track) {}
func (c *catcher) Data(*stream.Data)      {}
func (c *catcher) Away()                  {}
func (c *catcher) End()                   {}

func (c *catcher) Frame(f *stream.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := *f
	k.Payload = nil
	name := f.Track.Rung
	if name == "" && !f.Track.Video() {
		name = "sound"
	}
	c.frames[name] = append(c.frames[name], k)
	c.sizes[name] += len(f.Payload)
}

func (c *catcher) of(name string) []stream.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]stream.Frame(nil), c.frames[name]...)
}

// studio is a manager with the real ffmpeg, and a stream.
type studio struct {
	t     *testing.T
	m     *ladder.Manager
	x     *stream.Session
	out   *catcher
	video *stream.Track
	audio *stream.Track
	pics  *testkit.Clip
	sound *testkit.Clip
	era   int
	from  int64
	n, a  int
	begun time.Time
}

func newStudio(t *testing.T, mode command.Mode, rungs ...string) *studio {
	t.Helper()
	l := command.Ladder{Name: "l", Mode: mode}
	for _, r := range rungs {
		rung, err := command.ParseRung(r)
		if err != nil {
			t.Fatal(err)
		}
		l.Rungs = append(l.Rungs, rung)
	}
	set := ladder.Settings{
		Program: "ffmpeg", Convert: true, Encoders: []command.Backend{command.CPU}, Threads: 1, Poster: time.Second,
		Ladders: []command.Ladder{l}, Streams: []ladder.Choice{{Stream: "*", Ladder: "l"}},
	}
	m, err := ladder.New(ladder.Options{Settings: func() ladder.Settings { return set }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	s := &studio{t: t, m: m, out: &catcher{frames: map[string][]stream.Frame{}, sizes: map[string]int{}}}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() { defer close(over); m.Run(ctx) }()
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(x *stream.Stream) []stream.Consumer { return []stream.Consumer{s.out, m.Attach(x)} },
	})
	t.Cleanup(func() { hub.Close(); cancel(); <-over })
	s.pics = testkit.Encode(t, testkit.AVC, "testsrc2=s=320x180:r=30", "-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", "2", "-pix_fmt", "yuv420p")
	s.sound = testkit.Encode(t, testkit.AAC, "sine=r=48000", "-c:a", "aac")
	v, err := codec.NewVideo(stream.H264, s.pics.Config)
	if err != nil {
		t.Fatal(err)
	}
	s.video = v.Track(0)
	if s.audio, err = codec.NewAAC(100, s.sound.Config); err != nil {
		t.Fatal(err)
	}
	if s.x, err = hub.Publish("shop", stream.Publisher{}); err != nil {
		t.Fatal(err)
	}
	s.era, s.from = s.x.Start()
	for _, track := range []*stream.Track{s.video, s.audio} {
		if err := s.x.SetTrack(track); err != nil {
			t.Fatal(err)
		}
	}
	testkit.Eventually(t, "the engines were tried", func() bool { return m.Node().Ready })
	return s
}

// send publishes pictures up to a time of the clip, at the pace of the clock, with their sound.
func (s *studio) send(until time.Duration) {
	s.t.Helper()
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	for ; s.n < len(s.pics.Samples) && s.pics.Samples[s.n].DTS < until; s.n++ {
		p := s.pics.Samples[s.n]
		time.Sleep(time.Until(s.begun.Add(p.DTS)))
		dts := s.from + int64(p.DTS)*9/100_000
		s.write(&stream.Frame{Track: s.video, Era: s.era, DTS: dts, PTS: dts + int64(p.Offset)*9/100_000, Key: p.Key, Payload: p.Payload})
		for ; s.a < len(s.sound.Samples) && s.sound.Samples[s.a].DTS <= p.DTS; s.a++ {
			at := stream.Rescale(s.from, 90000, s.audio.ClockRate) + int64(s.a)*1024
			s.write(&stream.Frame{Track: s.audio, Era: s.era, DTS: at, PTS: at, Duration: 1024, Key: true, Payload: s.sound.Samples[s.a].Payload})
		}
	}
}

func (s *studio) write(f *stream.Frame) {
	f.Wall = time.Now()
	if err := s.x.Write(f); err != nil {
		s.t.Fatal(err)
	}
}

// aligned holds a rung against the source from one frame on.
func (s *studio) aligned(rung string) {
	s.t.Helper()
	source := map[int64]stream.Frame{}
	for _, f := range s.out.of("") {
		source[f.PTS] = f
	}
	last := int64(0)
	for i, f := range s.out.of(rung) {
		from, ok := source[f.PTS]
		if !ok || from.Key != f.Key || !from.Wall.Equal(f.Wall) || f.DTS <= last || f.DTS > f.PTS {
			s.t.Fatalf("rung %s: frame %d: key %v, DTS %d, PTS %d; the source has %v, key %v", rung, i, f.Key, f.DTS, f.PTS, ok, from.Key)
		}
		last = f.DTS
	}
}

// With the real ffmpeg each picture comes back with its time, and key frames are those of the source.
func TestFFmpegAligned(t *testing.T) {
	t.Parallel()
	s := newStudio(t, command.Latency, "90p 100k", "audio 64k")
	s.send(3 * time.Second)
	s.x.Close()
	testkit.Eventually(t, "all pictures came back", func() bool { return len(s.out.of("90p")) == len(s.out.of("")) })
	s.aligned("90p")
	if f := s.out.of("90p")[0]; f.Track.Height != 90 || f.Track.CodecString == "" || !f.Key {
		t.Errorf("track %+v", f.Track)
	}
	sound, source := s.out.of("audio-64k"), s.out.of("sound")
	if len(sound) < len(source)-1 || sound[0].PTS != source[0].PTS {
		t.Fatalf("%d frames of sound from %d on, of %d from %d on", len(sound), sound[0].PTS, len(source), source[0].PTS)
	}
	for i := 1; i < len(sound); i++ {
		if sound[i].PTS-sound[i-1].PTS != 1024 {
			t.Errorf("sound %d: %d ticks behind the one before", i, sound[i].PTS-sound[i-1].PTS)
		}
	}
	if jpeg, _, ok := s.m.Poster(t.Context(), "shop"); !ok || len(jpeg) < 100 || jpeg[0] != 0xFF {
		t.Errorf("poster of %d bytes", len(jpeg))
	}
}

// In mode quality pictures come back in another order than they are shown in, each with its time still.
// x265's file does not say that it reorders.
func TestFFmpegQuality(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rung, name string }{{"90p 100k", "90p"}, {"90p 100k hevc", "90p-hevc"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reordered(t, c.rung, c.name)
		})
	}
}

func reordered(t *testing.T, rung, name string) {
	s := newStudio(t, command.Quality, rung)
	s.send(4 * time.Second)
	s.x.Close()
	testkit.Eventually(t, "all pictures came back", func() bool { return len(s.out.of(name)) == len(s.out.of("")) })
	s.aligned(name)
	reordered := 0
	for _, f := range s.out.of(name) {
		if f.PTS > f.DTS {
			reordered++
		}
	}
	if reordered == 0 {
		t.Error("no picture is decoded before it is shown")
	}
}

// ffmpeg is killed, and later stopped: the rung comes back each time, at a key frame of the source.
func TestFFmpegKilledAndStopped(t *testing.T) {
	t.Parallel()
	s := newStudio(t, command.Latency, "90p 100k")
	child := func() (pid, restarts int) {
		in, _ := s.m.Info("shop")
		for _, j := range in.Jobs {
			if j.Picture {
				return j.PID, j.Restarts
			}
		}
		return 0, 0
	}
	s.send(1500 * time.Millisecond)
	testkit.Eventually(t, "pictures come back", func() bool { return len(s.out.of("90p")) > 0 })
	first, _ := child()
	syscall.Kill(first, syscall.SIGKILL)
	s.send(3500 * time.Millisecond)
	testkit.Eventually(t, "another child works", func() bool { pid, n := child(); return n == 1 && pid != 0 && pid != first })
	second, _ := child()
	before := len(s.out.of("90p"))
	syscall.Kill(second, syscall.SIGSTOP)
	s.send(11 * time.Second)
	testkit.Eventually(t, "a third child works", func() bool { _, n := child(); return n == 2 && len(s.out.of("90p")) > before+30 })
	s.aligned("90p")
	if got, want := len(s.out.of("")), s.n; got != want {
		t.Errorf("%d frames of the source, %d were sent", got, want)
	}
	if err := exec.Command("kill", "-0", "--", "-"+strconv.Itoa(second)).Run(); err == nil {
		t.Error("the stopped child is still there")
	}
}
