package pull

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// camera is a Puller that does what the test says, and counts its attempts.
type camera struct {
	entry ingest.Entry

	mu    sync.Mutex // guards what follows
	do    func(ctx context.Context, p ingest.Pull, live func()) error
	calls []call
	open  map[string]int // attempts that go on, by stream
	t     *testing.T
}

// call is one attempt.
type call struct {
	at time.Time
	ingest.Pull
}

// Pull implements ingest.Puller.
func (c *camera) Pull(ctx context.Context, p ingest.Pull) error {
	c.mu.Lock()
	c.calls = append(c.calls, call{time.Now(), p})
	if c.open[p.Stream]++; c.open[p.Stream] > 1 {
		c.t.Errorf("%s is fetched twice at a time", p.Stream)
	}
	do := c.do
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.open[p.Stream]--
	}()
	return do(ctx, p, func() {
		pub, err := c.entry.Open(ingest.Request{Protocol: "rtsp", Stream: p.Stream, Pulled: true})
		if err != nil {
			c.t.Error(err)
			return
		}
		if err := pub.Write(&stream.Frame{}); err != nil {
			c.t.Error(err)
		}
	})
}

// times are those of the attempts, counted from the first.
func (c *camera) times() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]time.Duration, len(c.calls))
	for i := range c.calls {
		out[i] = c.calls[i].at.Sub(c.calls[0].at)
	}
	return out
}

// going are the streams that are fetched at this moment.
func (c *camera) going() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, v := range c.open {
		n += v
	}
	return n
}

// Ways of a camera.
func runs(ctx context.Context, _ ingest.Pull, live func()) error {
	live()
	<-ctx.Done()
	return context.Cause(ctx)
}

func fails(context.Context, ingest.Pull, func()) error { return errUnplugged }

var errUnplugged = errors.New("no route to host")

// open is a door that takes everything.
type openDoor struct{}

func (openDoor) Open(r ingest.Request) (ingest.Publication, error) {
	return &paper{name: r.Stream}, nil
}

type paper struct {
	ingest.Publication
	name string
}

func (p *paper) Name() string              { return p.name }
func (p *paper) Write(*stream.Frame) error { return nil }

// rig is a manager with one camera.
type rig struct {
	*Manager
	t       *testing.T
	camera  *camera
	viewers atomic.Int64
	log     *lockedBuffer
	reg     *prometheus.Registry
	end     func()
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRig makes a manager that does not run yet. file may be "".
func newRig(t *testing.T, file string) *rig {
	t.Helper()
	door := NewDoor(openDoor{})
	r := &rig{t: t, log: &lockedBuffer{}, reg: prometheus.NewRegistry(), camera: &camera{t: t, entry: door, do: runs, open: map[string]int{}}}
	r.Manager = New(Options{
		Door: door, Pullers: map[string]ingest.Puller{"rtsp": r.camera}, File: file, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Viewers: func(string) int { return int(r.viewers.Load()) }, Registerer: r.reg, Random: func() float64 { return 0 },
	})
	return r
}

// run runs the manager within a synctest bubble, until the test ends or calls end.
func (r *rig) run() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Run(ctx)
	}()
	r.end = sync.OnceFunc(func() {
		cancel()
		<-done
		if n := r.camera.going(); n != 0 {
			r.t.Errorf("%d attempts outlive the manager", n)
		}
	})
	r.t.Cleanup(r.end)
	synctest.Wait()
}

// is holds a source to a state.
func (r *rig) is(name string, want State) Status {
	r.t.Helper()
	synctest.Wait()
	s, ok := r.Get(name)
	if !ok || s.State != want {
		r.t.Fatalf("%s is %q, want %q: %+v", name, s.State, want, s)
	}
	if got := value(r.t, r.metrics.sources[want]); got < 1 {
		r.t.Errorf("the metric has %v sources that are %s", got, want)
	}
	return s
}

// after lets time pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func always(name string) Source {
	return Source{Stream: name, URL: "rtsp://host:secret@camera.example/" + name, Transport: "auto"}
}

func onDemand(name string) Source {
	s := always(name)
	s.OnDemand = true
	return s
}

func fileIn(t *testing.T) string { return filepath.Join(t.TempDir(), "sources.json") }

// value reads a metric.
func value(t *testing.T, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetGauge().GetValue() + out.GetCounter().GetValue()
}
