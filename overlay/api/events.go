package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/overlay"
)

// Bounds of event streams.
const (
	maxFeedsPerStream  = 64
	maxFeedsPerAddress = 16
	// eventPace is the least time between two events of a stream: of views that come faster, the last one is sent.
	eventPace = 100 * time.Millisecond
	// eventIdle is how long a stream is silent before a comment shows that it is alive.
	eventIdle = 15 * time.Second
	// eventTime is how long a client may take to read an event.
	eventTime = 10 * time.Second
)

// feeds counts the event streams, and makes each view's event once for all who follow the same stream.
type feeds struct {
	gauge prometheus.Gauge

	mu        sync.Mutex // guards what follows
	byStream  map[string]*feed
	byAddress map[string]int
}

// feed is the event streams of one stream.
type feed struct {
	open int // guarded by feeds.mu

	mu    sync.Mutex // guards what follows
	of    moment
	event []byte
}

// moment tells views apart. Two that are the same but for what they have in memory are one.
type moment struct {
	changed <-chan struct{}
	inBand  bool // may follow a setting of the node, without a new view
}

func momentOf(v *overlay.View) moment { return moment{v.Changed(), v.InBand} }

// enter counts one more; address "" is that of a node, which has counted those that ask it. Its error is a *Problem.
func (s *feeds) enter(stream, address string) (*feed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if address != "" && s.byAddress[address] >= maxFeedsPerAddress {
		return nil, problemf(overlay.ReasonBusy, "", "There are %d event streams to this address already. Close one.", maxFeedsPerAddress)
	}
	f := s.byStream[stream]
	if f == nil {
		f = &feed{}
		s.byStream[stream] = f
	}
	if f.open >= maxFeedsPerStream {
		return nil, problemf(overlay.ReasonBusy, "", "There are %d event streams of this stream already. Close one.", maxFeedsPerStream)
	}
	f.open++
	s.byAddress[address]++
	s.gauge.Inc()
	return f, nil
}

func (s *feeds) leave(stream, address string, f *feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gauge.Dec()
	if f.open--; f.open == 0 {
		delete(s.byStream, stream)
	}
	if s.byAddress[address]--; s.byAddress[address] == 0 {
		delete(s.byAddress, address)
	}
}

// eventOf returns a view's event, which those who follow share.
func (f *feed) eventOf(v *overlay.View) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == momentOf(v) {
		return f.event, nil
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: view\nid: %d-%d-%d\ndata: ", v.Epoch, v.Seq, v.List)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // ends the line
		return nil, err
	}
	b.WriteByte('\n')
	f.of, f.event = momentOf(v), b.Bytes()
	return f.event, nil
}

// events answers with server-sent events: the view, and each newer one, until the client goes, the node stops, the token is not
// good any more or another node is the stream's origin.
func (c *call) events() error {
	address := addressOf(c.r) + " " + c.token // others may share the address
	if c.r.Context().Value(fromNode{}) != nil {
		address = ""
	}
	f, err := c.api.feeds.enter(c.stream, address)
	if err != nil {
		return err
	}
	defer c.api.feeds.leave(c.stream, address, f)
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would gather events
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method == http.MethodHead {
		return nil
	}
	c.follow(f)
	return nil
}

// follow writes events. What ends it is nothing to tell the client in words: the answer has begun.
func (c *call) follow(f *feed) {
	keys, changed := c.api.guard.tokens.Watch()
	idle := time.NewTicker(eventIdle)
	defer idle.Stop()
	pace := time.NewTimer(0)
	defer pace.Stop()
	var look <-chan time.Time // whether the stream has moved
	if c.api.opt.Elsewhere != nil {
		ticker := time.NewTicker(movedEvery)
		defer ticker.Stop()
		look = ticker.C
	}
	if !c.emit([]byte("retry: 1000\n\n")) {
		return
	}
	var sent moment
	var newer <-chan struct{} // nil while the pace is kept
	for {
		if _, ok := keys.Permits(c.stream, c.token); !ok {
			return
		}
		select {
		case <-c.r.Context().Done():
			return
		case <-c.api.closed:
			return
		case <-changed:
			keys, changed = c.api.guard.tokens.Watch()
		case <-look:
			if c.api.opt.Elsewhere(c.stream) != nil {
				return
			}
		case <-idle.C:
			if !c.emit([]byte(": still here\n\n")) {
				return
			}
			pace.Reset(0) // for a setting of the node, which wakes nobody
		case <-newer:
			newer = nil
			pace.Reset(0)
		case <-pace.C:
			v := c.desk.View()
			if momentOf(v) == sent {
				newer = v.Changed()
				continue
			}
			event, err := f.eventOf(v)
			if err != nil || !c.emit(event) {
				return
			}
			sent = momentOf(v)
			idle.Reset(eventIdle)
			pace.Reset(eventPace)
		}
	}
}

// emit sends bytes on to the client; false when it does not take them in time.
func (c *call) emit(b []byte) bool {
	control := http.NewResponseController(c.w)
	// What cannot be limited is not, as in a test's recorder. Between events there is no limit: over HTTP/2 it would end
	// the stream even though nothing is being written.
	_ = control.SetWriteDeadline(time.Now().Add(eventTime))
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	if _, err := c.w.Write(b); err != nil {
		return false
	}
	return control.Flush() == nil
}
