package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"pushcart/overlay"
)

// hopHeader marks a request that another node has passed on: nobody passes it on again, so that two nodes that take each other for
// the origin do not send it to and fro.
const hopHeader = "Pushcart-Hop"

// Bounds of asking a stream's origin.
const (
	// originTime is for how long a request is tried again while the origin cannot be reached, or is about to be another one.
	originTime = 10 * time.Second
	// originTry is how long one try may take until the answer begins.
	originTry = 4 * time.Second
	// strangerTime is for how long it is where everybody may ask, and mostStrangers how many such requests may be on their way.
	strangerTime  = 2 * time.Second
	mostStrangers = 64
	// firstTry and lastTry bound the pauses in between.
	firstTry = 100 * time.Millisecond
	lastTry  = time.Second
	// mostCarried is the largest answer that is passed on, in bytes. Event streams have no bound.
	mostCarried = 16 << 20
	// movedEvery is how often it is looked whether the stream that an event stream is about has moved.
	movedEvery = time.Second
)

// Headers that travel between nodes.
var (
	carriedAsked    = []string{"Content-Type", "Accept", "Authorization", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-Id"}
	carriedAnswered = []string{"Content-Type", "Etag", "Location", "Cache-Control", "Retry-After", "Idempotency-Replayed", "Allow",
		"Accept-Patch", "Www-Authenticate", "X-Content-Type-Options", "X-Accel-Buffering"}
)

// Outcomes of carrying a request to the origin.
const (
	carriedDone   = "answered"
	carriedMoved  = "moved_here"
	carriedLost   = "unreachable"
	carriedAgain  = "passed_on_twice"
	carriedClient = "client_gone"
)

// fromNode is the key of a request's context that tells that another node passed it on.
type fromNode struct{}

// passedOn tells whether another node sent the request for somebody.
func passedOn(r *http.Request) bool {
	return r.Context().Value(fromNode{}) != nil || r.Header.Get(hopHeader) != ""
}

// Tunnel answers requests that other nodes pass on because this one is the streams' origin. Tokens are checked again, but what limits
// those who ask by their address is left to the node that they asked. It is to be mounted where nobody else can reach it.
func (a *API) Tunnel() http.Handler {
	mux := http.NewServeMux()
	a.register(mux, func(rt *route) bool { return rt.carried() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), fromNode{}, true)))
	})
}

// carried tells whether a route is answered by the stream's origin.
func (rt *route) carried() bool { return !rt.here && strings.Contains(rt.path, "{name}") }

// forward has the stream's origin answer the request. done is false when this node is to answer it: it is the origin, or became it
// meanwhile, or there is none.
func (c *call) forward() (done bool, _ error) {
	if c.api.opt.Elsewhere == nil || !c.route.carried() {
		return false, nil
	}
	stream := c.r.PathValue("name")
	to := c.api.opt.Elsewhere(stream)
	if to == nil {
		return false, nil
	}
	if passedOn(c.r) {
		c.api.metrics.carried.WithLabelValues(carriedAgain).Inc()
		return true, problemf(reasonOrigin, "", "The stream has moved to another node: send the request again in a moment.")
	}
	if c.route.changes() {
		if err := c.ensureKey(); err != nil {
			return true, err
		}
	}
	if c.route.events {
		address := addressOf(c.r) + " " + c.token
		f, err := c.api.feeds.enter(stream, address)
		if err != nil {
			return true, err
		}
		defer c.api.feeds.leave(stream, address, f)
	}
	span := originTime
	if c.route.open() {
		span = strangerTime
		select {
		case c.api.strangers <- struct{}{}:
			defer func() { <-c.api.strangers }()
		default:
			return true, problemf(overlay.ReasonBusy, "", "Too many ask for streams of other nodes at this time. Send the request again in a moment.")
		}
	}
	outcome, err := c.carry(stream, to, span)
	c.api.metrics.carried.WithLabelValues(outcome).Inc()
	return outcome != carriedMoved, err
}

// ensureKey gives a request that changes something an idempotency key: it may be sent more than once.
func (c *call) ensureKey() error {
	key, err := c.idempotencyKey()
	if err == nil && key == "" {
		c.r.Header.Set("Idempotency-Key", rand.Text())
	}
	return err
}

// carry sends the request to the origin, for a span again and again if need be, and passes the answer on.
func (c *call) carry(stream string, to http.RoundTripper, span time.Duration) (outcome string, _ error) {
	ctx := c.r.Context()
	until := time.Now().Add(span)
	// The server gives answers less time than this may take. What cannot be set is not, as in a test's recorder.
	_ = http.NewResponseController(c.w).SetWriteDeadline(until.Add(originTry + eventTime))
	for pause := firstTry; ; pause = min(2*pause, lastTry) {
		answered, err := c.try(ctx, stream, to, min(originTry, max(time.Until(until), firstTry)))
		switch {
		case answered:
			return carriedDone, nil
		case ctx.Err() != nil:
			return carriedClient, ctx.Err()
		case time.Now().Add(pause).After(until):
			return carriedLost, c.unreachable(err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.api.closed:
			timer.Stop()
			return carriedLost, c.unreachable(err)
		case <-ctx.Done():
			timer.Stop()
			return carriedClient, ctx.Err()
		}
		if to = c.api.opt.Elsewhere(stream); to == nil {
			return carriedMoved, nil
		}
	}
}

// unreachable is the problem of an origin that did not answer.
func (c *call) unreachable(err error) *Problem {
	c.api.opt.Log.Warn("a request could not be carried to the stream's origin", "stream", c.r.PathValue("name"), "method", c.r.Method, "path", c.r.URL.Path, "error", err)
	if !c.route.changes() {
		return problemf(reasonOrigin, "", "The node that the stream is published to cannot be reached at this time. Send the request again in a moment.")
	}
	key := c.r.Header.Get("Idempotency-Key")
	return problemf(reasonOrigin, "", "The node that the stream is published to cannot be reached at this time, and it is not known whether it has carried the request out. "+
		"Send it again in a moment with the Idempotency-Key that this answer has, and it is done once.").with("Idempotency-Key", key)
}

// errUnavailable is an origin that answers, but not now.
var errUnavailable = errors.New("it answers that it is not there at this time")

// try sends the request once; the answer has to begin within some time. answered is false when nothing was passed on to the client, and the request may be sent again.
func (c *call) try(ctx context.Context, stream string, to http.RoundTripper, within time.Duration) (answered bool, _ error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, c.r.Method, "http://origin"+c.r.URL.RequestURI(), bytes.NewReader(c.body))
	if err != nil {
		return false, err
	}
	for _, name := range carriedAsked {
		if v := c.r.Header[name]; len(v) > 0 {
			r.Header[name] = v
		}
	}
	r.Header.Set(hopHeader, "1")
	patience := time.AfterFunc(within, cancel)
	res, err := to.RoundTrip(r)
	if !patience.Stop() && err == nil {
		err = context.DeadlineExceeded
		res.Body.Close()
	}
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable {
		return false, errUnavailable
	}
	c.pass(ctx, cancel, stream, res)
	return true, nil
}

// pass gives the origin's answer to the client. What ends it midway is nothing to tell in words: the answer has begun.
func (c *call) pass(ctx context.Context, cancel func(), stream string, res *http.Response) {
	h := c.w.Header()
	for _, name := range carriedAnswered {
		if v := res.Header[name]; len(v) > 0 {
			h[name] = v
		}
	}
	if c.route.events && res.StatusCode == http.StatusOK {
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			c.watch(ctx, cancel, stream)
		}()
		c.w.WriteHeader(res.StatusCode)
		c.passEvents(res.Body)
		cancel()
		<-watched
		return
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, mostCarried+1))
	if err != nil || len(body) > mostCarried {
		clear(h)
		problemf(reasonOrigin, "", "The answer of the node that the stream is published to did not arrive whole. Send the request again.").
			with("Idempotency-Key", c.r.Header.Get("Idempotency-Key")).write(c.w)
		return
	}
	if c.r.Method == http.MethodHead && res.ContentLength >= 0 {
		h.Set("Content-Length", fmt.Sprint(res.ContentLength))
	}
	c.w.WriteHeader(res.StatusCode)
	// A client that goes away is no fault of ours.
	_, _ = c.w.Write(body)
}

// passEvents passes an event stream on as it comes.
func (c *call) passEvents(from io.Reader) {
	if c.r.Method == http.MethodHead || !c.emit(nil) {
		return
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !c.emit(buf[:n]) || err != nil {
			return
		}
	}
}

// watch ends an event stream that is passed on when the stream has come here, the token is not good any more or the node stops:
// the client connects anew.
func (c *call) watch(ctx context.Context, end func(), stream string) {
	defer end()
	keys, changed := c.api.guard.tokens.Watch()
	tick := time.NewTicker(movedEvery)
	defer tick.Stop()
	for {
		if _, ok := keys.Permits(stream, c.token); !ok {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.api.closed:
			return
		case <-changed:
			keys, changed = c.api.guard.tokens.Watch()
		case <-tick.C:
			if c.api.opt.Elsewhere(stream) == nil {
				return
			}
		}
	}
}
