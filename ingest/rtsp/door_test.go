package rtsp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// TestMain fails when goroutines of this package or of gortsplib outlive the tests. Most tests wait, for programs that send in
// real time, so more of them go side by side than there are processors.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	if left := leftover(); left != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "goroutines left:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leftover returns the stacks of goroutines that run this package's or gortsplib's code, apart from the caller's. Those that
// are just returning get the chance to.
func leftover() (left string) {
	for range 1000 {
		buf := make([]byte, 1<<20)
		left = ""
		for i, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if i > 0 && (strings.Contains(g, "pushcart/ingest/rtsp") || strings.Contains(g, "gortsplib")) {
				left += g + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
		runtime.Gosched()
	}
	return left
}

// fakeDoor lets in everyone that refuse does not name, and keeps what comes.
type fakeDoor struct {
	refuse func(ingest.Request) *ingest.Refusal
	// limit ends a publication with a refusal after so many frames; 0 never does.
	limit int

	mu     sync.Mutex
	opens  int
	opened chan *fakePub
}

func newFakeDoor() *fakeDoor { return &fakeDoor{opened: make(chan *fakePub, 16)} }

// withKey makes a door that only a secret opens.
func withKey(secret string) *fakeDoor {
	d := newFakeDoor()
	d.refuse = func(r ingest.Request) *ingest.Refusal {
		if r.Key != secret && r.Stream != secret {
			return ingest.Refuse(ingest.ReasonBadKey, "The key for this stream is wrong. Copy it again.")
		}
		return nil
	}
	return d
}

// Permits implements permitter.
func (d *fakeDoor) Permits(r ingest.Request) bool {
	if d.refuse == nil {
		return true
	}
	refusal := d.refuse(r)
	return refusal == nil || refusal.Reason != ingest.ReasonBadKey
}

func (d *fakeDoor) Open(r ingest.Request) (ingest.Publication, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opens++
	if d.refuse != nil {
		if refusal := d.refuse(r); refusal != nil {
			return nil, refusal
		}
	}
	p := &fakePub{request: r, limit: d.limit, drops: map[ingest.DropReason]int{}, closed: make(chan struct{}), wrote: make(chan struct{}, 1)}
	d.opened <- p
	return p, nil
}

// fakePub records a publication.
type fakePub struct {
	request ingest.Request
	limit   int
	closed  chan struct{}
	wrote   chan struct{} // has something when frames came

	mu     sync.Mutex
	tracks []*stream.Track
	frames []stream.Frame
	drops  map[ingest.DropReason]int
	cause  error
	gone   bool
}

func (p *fakePub) Name() string { return p.request.Stream }

func (p *fakePub) SetTrack(t *stream.Track) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.Codec == stream.VP8 {
		return ingest.Refuse(ingest.ReasonUnsupportedCodec, "VP8 video cannot be delivered over HLS: set the encoder to H.264.")
	}
	p.tracks = append(p.tracks, t)
	return nil
}

func (p *fakePub) Write(f *stream.Frame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		panic("a frame after the end")
	}
	g := *f
	g.Payload = bytes.Clone(f.Payload)
	p.frames = append(p.frames, g)
	select {
	case p.wrote <- struct{}{}:
	default:
	}
	if p.limit > 0 && len(p.frames) >= p.limit {
		return ingest.Refuse(ingest.ReasonNoKeyframe, "Enough frames came, and none was a key frame.")
	}
	return nil
}

func (p *fakePub) WriteData(*stream.Data) error { return nil }

func (p *fakePub) Drop(r ingest.DropReason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops[r]++
}

func (p *fakePub) Close(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		panic("closed twice")
	}
	p.gone, p.cause = true, cause
	close(p.closed)
}

// of returns the frames of one track.
func (p *fakePub) of(id int) []stream.Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.frames), func(f stream.Frame) bool { return f.Track.ID != id })
}

// dropped is how many drops of a reason there were.
func (p *fakePub) dropped(r ingest.DropReason) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drops[r]
}

// await waits until the publication has a number of frames of a track.
func (p *fakePub) await(t testing.TB, id, frames int) []stream.Frame {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		if f := p.of(id); len(f) >= frames {
			return f
		}
		select {
		case <-p.wrote:
		case <-p.closed:
			if f := p.of(id); len(f) >= frames {
				return f
			}
			t.Fatalf("ended with %v after %d frames of track %d, want %d", p.cause, len(p.of(id)), id, frames)
		case <-deadline:
			t.Fatalf("%d frames of track %d, want %d", len(p.of(id)), id, frames)
		}
	}
}

// ended waits for the publication's end and returns its cause.
func (p *fakePub) ended(t testing.TB) error {
	t.Helper()
	select {
	case <-p.closed:
		return p.cause
	case <-time.After(30 * time.Second):
		t.Fatal("the publication did not end")
		return nil
	}
}

// reason is the refusal that ended the publication, "" if none did.
func reason(err error) ingest.Reason {
	var r *ingest.Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// next waits for the next publication.
func (d *fakeDoor) next(t testing.TB) *fakePub {
	t.Helper()
	select {
	case p := <-d.opened:
		return p
	case <-time.After(20 * time.Second):
		t.Fatal("nobody published")
		return nil
	}
}

// logBuffer keeps log lines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startServer runs a server on loopback ports until the test ends.
func startServer(t testing.TB, opt Options) (s *Server, stop func()) {
	t.Helper()
	opt.Address = "127.0.0.1:0"
	if opt.TLS == nil {
		opt.UDPAddress = "127.0.0.1:0"
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s, err := NewServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(s.peers) != 0 || len(s.sessions) != 0 || s.places.Open() != 0 {
			t.Errorf("%d connections, %d sessions, %d places taken", len(s.peers), len(s.sessions), s.places.Open())
		}
	})
	t.Cleanup(stop)
	return s, stop
}

// address of a server as a URL.
func address(s *Server, path string) string { return s.protocol() + "://" + s.Addr().String() + path }

// counted is a counter's value.
func counted(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// selfSigned makes a certificate for loopback.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
