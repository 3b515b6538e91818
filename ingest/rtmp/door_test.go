package rtmp

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// fakeDoor lets in everyone that refuse does not name, and keeps what comes.
type fakeDoor struct {
	refuse func(ingest.Request) *ingest.Refusal
	onOpen func(ingest.Request)
	// limit ends a publication with a refusal after so many frames; 0 never does.
	limit int
	// undeliverable is a codec that tracks may not have.
	undeliverable stream.Codec

	mu     sync.Mutex
	pubs   []*fakePub
	opened chan *fakePub
}

func newFakeDoor() *fakeDoor { return &fakeDoor{opened: make(chan *fakePub, 16)} }

func (d *fakeDoor) Open(r ingest.Request) (ingest.Publication, error) {
	if d.onOpen != nil {
		d.onOpen(r)
	}
	if d.refuse != nil {
		if refusal := d.refuse(r); refusal != nil {
			return nil, refusal
		}
	}
	p := &fakePub{request: r, limit: d.limit, undeliverable: d.undeliverable, drops: map[ingest.DropReason]int{}, closed: make(chan struct{})}
	d.mu.Lock()
	d.pubs = append(d.pubs, p)
	d.mu.Unlock()
	select {
	case d.opened <- p:
	default:
	}
	return p, nil
}

// fakePub records a publication.
type fakePub struct {
	request ingest.Request
	limit   int
	closed  chan struct{}

	undeliverable stream.Codec

	mu     sync.Mutex
	tracks []*stream.Track
	frames []stream.Frame
	data   []stream.Data
	drops  map[ingest.DropReason]int
	cause  error
	gone   bool
}

func (p *fakePub) Name() string { return p.request.Stream }

func (p *fakePub) SetTrack(t *stream.Track) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.Codec == p.undeliverable {
		return ingest.Refuse(ingest.ReasonUnsupportedCodec, "%s cannot be delivered", t.Codec)
	}
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
		return ingest.Refuse(ingest.ReasonNoKeyframe, "Enough frames came, and none was a key frame.")
	}
	return nil
}

func (p *fakePub) WriteData(d *stream.Data) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.data = append(p.data, *d)
	return nil
}

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

// reason is the refusal that ended the publication, "" if none did.
func (p *fakePub) reason() ingest.Reason {
	var r *ingest.Refusal
	if errors.As(p.cause, &r) {
		return r.Reason
	}
	return ""
}

// startServer runs a server on a loopback port until the test ends, and returns its address and what stops it.
func startServer(t testing.TB, opt Options) (addr string, stop func()) {
	t.Helper()
	if opt.Log == nil {
		opt.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := NewServer(opt)
	if err != nil {
		t.Fatal(err)
	}
	addr, stop = serve(t, s)
	t.Cleanup(func() {
		stop()
		if n := counted(t, s.metrics.results[resultPanic]); n != 0 {
			t.Errorf("%v panics: see the log", n)
		}
	})
	return addr, stop
}

// serve runs a server on a loopback port.
func serve(t testing.TB, s *Server) (addr string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := len(s.conns); n != 0 {
			t.Errorf("%d connections left after Serve", n)
		}
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}
