package directory

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// tunnel carries HTTP requests between nodes.
type tunnel struct {
	d  *Directory
	wg sync.WaitGroup // handlers that run

	mu      sync.Mutex // guards what follows
	handler http.Handler
	asked   map[string]*asked
	served  map[string]*served
	bodies  int // bytes of the bodies of what is served
	closed  bool
}

func newTunnel(d *Directory) *tunnel {
	return &tunnel{d: d, asked: map[string]*asked{}, served: map[string]*served{}}
}

func subject(node, what string) string { return "pushcart.node." + node + "." + what }

// subscribe begins to hear frames. Each kind has one subscription for all requests: one of a request's own would have to be known
// to all servers before the answer came.
func (t *tunnel) subscribe() error {
	self := t.d.opts.Self.Name
	_, err := t.d.nc.Subscribe(subject(self, "http"), t.request)
	_, err2 := t.d.nc.Subscribe(subject(self, "control.*"), t.control)
	_, err3 := t.d.nc.Subscribe(subject(self, "reply.*"), t.reply)
	return errors.Join(err, err2, err3)
}

// idOf is the last token of a subject.
func idOf(m *nats.Msg) string { return m.Subject[strings.LastIndexByte(m.Subject, '.')+1:] }

func newID() string {
	b := make([]byte, idLength/2)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// run sends signs of life for all that is carried, and ends what has lost its other side.
func (t *tunnel) run(ctx context.Context) {
	tick := time.NewTicker(t.d.opts.pace.beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t.mu.Lock()
		askeds, serveds := make([]*asked, 0, len(t.asked)), make([]*served, 0, len(t.served))
		for _, a := range t.asked {
			askeds = append(askeds, a)
		}
		for _, s := range t.served {
			serveds = append(serveds, s)
		}
		t.mu.Unlock()
		now := t.d.now()
		for _, a := range askeds {
			a.tick(now)
		}
		for _, s := range serveds {
			s.tick(now)
		}
	}
}

// close ends all that is carried, and waits for the handlers.
func (t *tunnel) close() {
	t.mu.Lock()
	t.closed = true
	askeds, serveds := make([]*asked, 0, len(t.asked)), make([]*served, 0, len(t.served))
	for _, a := range t.asked {
		askeds = append(askeds, a)
	}
	for _, s := range t.served {
		serveds = append(serveds, s)
	}
	t.mu.Unlock()
	for _, a := range askeds {
		a.cancel(errStopping)
	}
	for _, s := range serveds {
		s.abort(errStopping)
	}
	t.wg.Wait()
}

var errStopping = errors.New("this node is stopping")

// Handle sets what serves the requests that other nodes send to this one. They come with the header Pushcart-Carried, which has
// the asking node's name; whether the sender may ask for that is the handler's business. nil refuses all with 503.
func (d *Directory) Handle(h http.Handler) {
	d.tunnel.mu.Lock()
	defer d.tunnel.mu.Unlock()
	d.tunnel.handler = h
}
