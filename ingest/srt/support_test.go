package srt

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// fakeDoor lets in everyone that refuse does not name, and keeps what comes.
type fakeDoor struct {
	refuse func(ingest.Request) *ingest.Refusal
	// limit ends a publication with a refusal after so many frames; 0 never does.
	limit  int
	opened chan *fakePub
}

func newFakeDoor() *fakeDoor { return &fakeDoor{opened: make(chan *fakePub, 64)} }

func (d *fakeDoor) Open(r ingest.Request) (ingest.Publication, error) {
	if d.refuse != nil {
		if refusal := d.refuse(r); refusal != nil {
			return nil, refusal
		}
	}
	p := &fakePub{request: r, limit: d.limit, drops: map[ingest.DropReason]int{}, closed: make(chan struct{})}
	d.opened <- p
	return p, nil
}

// fakePub records a publication.
type fakePub struct {
	request ingest.Request
	limit   int
	closed  chan struct{}

	mu     sync.Mutex
	tracks []*stream.Track
	frames []stream.Frame
	data   []*stream.Data
	drops  map[ingest.DropReason]int
	cause  error
}

func (p *fakePub) Name() string { return p.request.Stream }

func (p *fakePub) SetTrack(t *stream.Track) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tracks = append(p.tracks, t)
	return nil
}

func (p *fakePub) Write(f *stream.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := *f
	g.Payload = bytes.Clone(f.Payload)
	p.frames = append(p.frames, g)
	if p.limit > 0 && len(p.frames) >= p.limit {
		return ingest.Refuse(ingest.ReasonUnsupportedCodec, "Enough frames came.")
	}
	return nil
}

func (p *fakePub) WriteData(d *stream.Data) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = append(p.data, d)
	return nil
}

func (p *fakePub) Drop(reason ingest.DropReason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops[reason]++
}

func (p *fakePub) Close(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cause = cause
	close(p.closed)
}

// of are the frames of a track.
func (p *fakePub) of(id int) (frames []stream.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frames {
		if f.Track.ID == id {
			frames = append(frames, f)
		}
	}
	return frames
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// startServer runs a server until the test ends; stop ends it earlier.
func startServer(t testing.TB, opt Options) (addr string, log *syncBuffer, stop func()) {
	t.Helper()
	log = &syncBuffer{}
	opt.Address = "127.0.0.1:0"
	opt.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := NewServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return s.Addr().String(), log, stop
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: did not come to pass", what)
		}
	}
}

// opened waits for a publication.
func opened(t testing.TB, d *fakeDoor) *fakePub {
	t.Helper()
	select {
	case p := <-d.opened:
		return p
	case <-time.After(15 * time.Second):
		t.Fatal("nobody was let in")
		return nil
	}
}

// ended waits for a publication's end.
func ended(t testing.TB, p *fakePub) error {
	t.Helper()
	select {
	case <-p.closed:
		return p.cause
	case <-time.After(15 * time.Second):
		t.Fatal("the session did not end")
		return nil
	}
}

// dial connects as gosrt does.
func dial(addr, streamID string, change func(*gosrt.Config)) (gosrt.Conn, error) {
	c := gosrt.DefaultConfig()
	c.StreamId = streamID
	c.ConnectionTimeout = 10 * time.Second
	if change != nil {
		change(&c)
	}
	return gosrt.Dial("srt", addr, c)
}

// clip makes a transport stream with the real program, once for each set of arguments.
var clips sync.Map

func clip(t testing.TB, args ...string) []byte {
	t.Helper()
	key := strings.Join(args, " ")
	if b, ok := clips.Load(key); ok {
		return b.([]byte)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"}, args...)
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "ffmpeg", append(all, "-f", "mpegts", "-")...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, errs.String())
	}
	clips.Store(key, out.Bytes())
	return out.Bytes()
}

var x264 = []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-b:v", "1M", "-c:a", "aac", "-ac", "2"}

func secondsOf(n string, args ...string) []string { return append([]string{"-t", n}, args...) }

// send writes a stream in datagrams, faster than it plays but not all at once. It is false when the connection ended.
func send(c gosrt.Conn, b []byte) bool {
	const datagram = 7 * 188
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(b) > 0 {
		n := min(datagram, len(b))
		if _, err := c.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
		<-tick.C
	}
	return true
}

// run runs a program to its end and returns what it printed.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s did not end\n%s", name, out)
	}
	t.Log(name, err, string(out))
	return string(out)
}

// hole is a proxy for datagrams that a function may change, drop or hold back.
type hole struct {
	front  *net.UDPConn
	target *net.UDPAddr
	// in is what to send on to the server for a datagram, out to the client.
	in, out func(b []byte) [][]byte
	wg      sync.WaitGroup
}

func newHole(t testing.TB, target string, in, out func([]byte) [][]byte) (*hole, string) {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", target)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.DialUDP("udp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	same := func(b []byte) [][]byte { return [][]byte{b} }
	if in == nil {
		in = same
	}
	if out == nil {
		out = same
	}
	h := &hole{front: front, target: to, in: in, out: out}
	var mu sync.Mutex
	var client *net.UDPAddr
	h.wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := front.ReadFromUDP(b)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue
			}
			mu.Lock()
			client = from
			mu.Unlock()
			for _, d := range h.in(bytes.Clone(b[:n])) {
				back.Write(d)
			}
		}
	})
	h.wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, err := back.Read(b)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				continue
			}
			mu.Lock()
			to := client
			mu.Unlock()
			for _, d := range h.out(bytes.Clone(b[:n])) {
				front.WriteToUDP(d, to)
			}
		}
	})
	t.Cleanup(func() { front.Close(); back.Close(); h.wg.Wait() })
	return h, front.LocalAddr().String()
}

// stacks are those of goroutines that a word occurs in.
func stacks(word string) (found []string) {
	b := make([]byte, 4<<20)
	for g := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(g, word) {
			found = append(found, g)
		}
	}
	return found
}
