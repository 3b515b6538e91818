package authority

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"

	"pushcart/internal/auth"
)

// request is the body of what the callback is asked.
type request struct {
	// Action is "publish".
	Action string `json:"action"`
	// Stream and Secret are as they were sent, either may be "". A publisher that gives nothing but a key gives it as Stream.
	Stream string `json:"stream"`
	Secret string `json:"secret"`
	// Protocol, Address and Agent are auth.Attempt's; the address is without its port.
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	Agent    string `json:"agent"`
}

// newClient makes the client for the callback, or for key sets. Its requests have a context that ends.
func newClient() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost = mostCalls
	t.MaxIdleConns, t.MaxIdleConnsPerHost = mostCalls, mostCalls
	t.MaxResponseHeaderBytes = 16 << 10
	t.DisableCompression = true // a small answer may not become a big one
	return &http.Client{
		Transport: t,
		// Where to a request goes is for the operator to say: it has a secret in it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask has the callback decide on an attempt. An error is a callback that cannot be asked, or cannot be trusted; it has nothing of the
// attempt in it, and no query of the URL.
func (a *Authority) ask(ctx context.Context, set Callback, at auth.Attempt) (answer, error) {
	body, err := json.Marshal(request{
		Action: "publish", Stream: at.Stream, Secret: at.Secret,
		Protocol: at.Protocol, Address: at.Remote.Addr().Unmap().String(), Agent: at.Agent,
	})
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, set.URL, bytes.NewReader(body))
	if err != nil {
		return answer{}, bare(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "pushcart")
	if set.Secret != "" {
		auth.Sign(req.Header, set.Secret, rand.Text(), a.opt.Now(), body)
	}
	res, err := a.client.Do(req)
	if err != nil {
		return answer{}, bare(err)
	}
	defer res.Body.Close()
	got, err := readSmall(res.Body, mostAnswer)
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusBadRequest, http.StatusUnprocessableEntity:
		// A refusal needs no body; a sentence for the host is welcome. What a publisher has sent and the callback cannot read is one
		// too: who is known must not come in by it while others are asked about.
		said, bad := readAnswer(got)
		if err != nil || bad != nil || said.allow {
			said = answer{cache: -1}
		}
		return said, nil
	case http.StatusOK:
		if err != nil {
			return answer{}, bare(err)
		}
		return readAnswer(got)
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		return answer{}, fmt.Errorf("it answers %d, and redirects are not followed: set callback.url to where it is", res.StatusCode)
	}
	return answer{}, fmt.Errorf("it answers %d", res.StatusCode)
}

// readSmall reads a body that may not be long.
func readSmall(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("the answer is longer than %d bytes", most)
	}
	return b, err
}

// bare is an error of net/http without the URL, in which a secret may stand.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		if e.Timeout() {
			return errors.New("it does not answer in time")
		}
		return e.Err
	}
	return err
}

// call is the callback being asked. All who ask the same at the same time wait for one call.
type call struct {
	done    chan struct{} // closed when what follows is set
	verdict verdict
	err     error // nobody answered
}

// callKey is what makes two attempts the same: the digest of stream and secret, and the network they come from.
type callKey struct {
	id auth.Digest
	by netip.Addr
}

// byCallback decides an attempt.
func (a *Authority) byCallback(ctx context.Context, set Callback, at auth.Attempt, id auth.Digest) (auth.Grant, source, error) {
	a.verdicts.turnTo(set.URL)
	by, now := auth.Network(at.Remote.Addr()), a.opt.Now()
	if v, ok := a.verdicts.fresh(id, by, now); ok {
		a.metrics.cached(cacheHit, at.Probe)
		return v.out(sourceCache)
	}
	known := func() (auth.Grant, bool) {
		if !set.Known {
			return auth.Grant{}, false
		}
		return a.verdicts.known(id, set.Grace, a.opt.Now())
	}
	c, err := a.start(set, at, id, callKey{id, by})
	if err != nil {
		if g, ok := known(); ok {
			a.metrics.cached(cacheKnown, at.Probe)
			return g, sourceKnown, nil
		}
		return auth.Grant{}, sourceCallback, busy("Too many publishers come at this moment. Try again in a few seconds.")
	}
	if a.health.down(now) {
		// Whoever is known need not wait out the time of an answer that will not come: a show goes on with the reconnect. The call
		// finds out meanwhile whether the callback is back.
		if g, ok := known(); ok {
			a.metrics.cached(cacheKnown, at.Probe)
			return g, sourceKnown, nil
		}
	}
	a.metrics.cached(cacheMiss, at.Probe)
	select {
	case <-c.done:
	case <-ctx.Done():
		return auth.Grant{}, sourceCallback, busy("The connection ended before the stream key was checked. Try again.")
	case <-a.ended():
		return auth.Grant{}, sourceCallback, denyDown()
	}
	if c.err != nil {
		if g, ok := known(); ok {
			a.metrics.cached(cacheKnown, at.Probe)
			return g, sourceKnown, nil
		}
	}
	return c.verdict.out(sourceCallback)
}

// out is a verdict as it is returned.
func (v verdict) out(from source) (auth.Grant, source, error) {
	if v.denied != nil {
		return auth.Grant{}, from, v.denied
	}
	return v.grant, from, nil
}

// start begins a call, or joins the one of the same attempt that is under way. Its error is errFull.
func (a *Authority) start(set Callback, at auth.Attempt, id auth.Digest, key callKey) (*call, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.calls[key]; c != nil {
		return c, nil
	}
	c := &call{done: make(chan struct{})}
	if a.closed {
		c.err, c.verdict = context.Canceled, verdict{denied: denyDown()}
		close(c.done)
		return c, nil
	}
	t, err := a.gate.enter(auth.Network(at.Remote.Addr()))
	if err != nil {
		return nil, err
	}
	a.calls[key] = c
	a.flights.Add(1) // Close waits for it
	go func() {
		defer a.flights.Done()
		a.fly(set, at, id, key, c, t)
	}()
	return c, nil
}

// fly makes a call and remembers what came of it.
func (a *Authority) fly(set Callback, at auth.Attempt, id auth.Digest, key callKey, c *call, t *turn) {
	ctx, cancel := context.WithTimeout(a.base, set.Timeout) // the wait for a turn counts, so that nobody waits for longer
	defer cancel()
	said, err := answer{}, t.wait(ctx)
	if err == nil {
		began := a.opt.Now()
		said, err = a.ask(ctx, set, at)
		a.metrics.called(a.opt.Now().Sub(began), said.allow, err)
		if a.base.Err() == nil {
			a.judge(err)
		}
	} else {
		err = errors.New("its turn did not come in time")
		a.metrics.crowded()
	}
	a.gate.leave(t)
	by, now := auth.Network(at.Remote.Addr()), a.opt.Now()
	switch {
	case err != nil:
		c.err, c.verdict.denied = err, denyDown()
		a.verdicts.unanswered(set.URL, id, c.verdict.denied, by, now)
	default:
		c.verdict = a.weigh(at, id, said)
		cache := set.Cache
		if said.cache >= 0 {
			cache = said.cache
		}
		if c.verdict.denied != nil {
			a.verdicts.deny(set.URL, id, c.verdict.denied, cache, by, now)
		} else {
			a.verdicts.allow(set.URL, id, c.verdict.grant, cache, by, now)
		}
	}
	a.mu.Lock()
	delete(a.calls, key)
	a.mu.Unlock()
	close(c.done)
}

// weigh makes a verdict of an answer.
func (a *Authority) weigh(at auth.Attempt, id auth.Digest, said answer) verdict {
	if !said.allow {
		message := said.reason
		if message == "" {
			message = wrongKey(at)
		}
		return verdict{denied: &auth.Denied{Why: auth.WhyKey, Message: message}}
	}
	name := said.stream
	if name == "" {
		name = at.Stream
	}
	if err := auth.ValidName(name); err != nil {
		return verdict{denied: badName(name, err)}
	}
	of := auth.DigestOf(a.opt.Pepper, "callback", "credential", said.credential)
	if said.credential == "" {
		secret := at.Secret
		if secret == "" {
			secret = at.Stream
		}
		of = auth.DigestOf(a.opt.Pepper, "callback", "secret", secret)
	}
	return verdict{grant: auth.Grant{
		Name: name, Credential: of.Credential(), Ladder: said.ladder, Standby: said.standby,
		MaxBitrate: said.maxBitrate, MaxDuration: said.maxDuration,
		Held: func() func() { return a.verdicts.hold(id, a.opt.Now) },
	}}
}

// judge takes note of how a call went, and says when that changes.
func (a *Authority) judge(err error) {
	switch a.health.note(err == nil, a.opt.Now()) {
	case faltered: // whoever tries out a callback wants to know at once what is wrong with its answer
		a.opt.Log.Warn("the callback does not decide about a publisher", "error", err,
			"hint", "it has to answer 200 and {\"allow\": true} or {\"allow\": false, \"reason\": \"...\"} within callback.timeout")
	case wentDown:
		a.opt.Log.Error("the callback does not decide who may publish", "error", err,
			"hint", "check callback.url, callback.secret and callback.timeout; callback.when_down says who is let in meanwhile")
	case cameBack:
		a.opt.Log.Info("the callback decides again who may publish")
	}
}
