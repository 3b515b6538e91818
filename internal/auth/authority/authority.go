// Package authority decides who may publish: it is the one place that does. It knows three sources and asks them in this order:
//
//  1. publish.keys, which need no I/O;
//  2. tokens (JWT, RFC 7519), where jwt.jwks is set and the secret is one: three parts of base64url, of which the first is a header
//     with an "alg". What looks like a token goes nowhere else;
//  3. the callback, where callback.url is set.
//
// Where none of them is configured, programs on this host may publish under any name, and nobody else.
//
// A publisher that asks waits for nobody but itself: calls are made side by side, answers are remembered, and who is known, by a key, a
// token or an answer that still holds, does not wait at all. Whoever is in stays in: neither a token that expires nor an answer that
// has become another ends a show.
package authority

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
)

// Settings of the sources besides the static keys. They may change at any time.
type Settings struct {
	Callback Callback
	JWT      JWT
}

// Callback is a service of the operator's that is asked over HTTP. It gets a POST with the JSON object
//
//	{"action": "publish", "stream": "show", "secret": "...", "protocol": "rtmp", "address": "203.0.113.7", "agent": "OBS"}
//
// signed as auth.Signature says, with another webhook-id each time. It answers 200 with
//
//	{"allow": true, "stream": "NAME", "credential": "...", "ladder": "...", "standby": false,
//	 "max_bitrate": 8000000, "max_duration_seconds": 7200, "cache_seconds": 60}
//
// of which "allow" alone must be there, or {"allow": false, "reason": "a sentence for the host"}, or 400, 401, 403 or 422, which are
// refusals with or without such a body. Anything else is a callback that is down: other codes, redirects, no answer in time, one of more
// than 64 KiB, or one that is not understood.
//
// "stream" is the name under which it is published, where that is another than the one asked for. A publisher that enters nothing but a
// secret sends it as "stream", with an empty "secret": an answer without a "stream" then makes the secret a name that everybody sees.
// "credential" says who the publisher is, in whatever form: who comes with the same one takes a live stream over; without it that is
// whoever has the same secret. An answer holds for the pair of stream and secret,
// from wherever it comes next, for "cache_seconds" or else Cache; a refusal for 5 s at most. From the same network it holds for 2 s in any
// case.
type Callback struct {
	// URL that is asked; "" asks nobody.
	URL string
	// Secret by which it knows that the node asks; "" leaves requests unsigned.
	Secret string
	// Timeout of an answer, with the time that the call waits for its turn.
	Timeout time.Duration
	// Cache is how long an answer holds that does not say so itself; 0 asks each time.
	Cache time.Duration
	// Known lets in, while the callback is down, whom it let in before: within Grace of when it last did so, or of when that publisher
	// was last in. Otherwise nobody is.
	Known bool
	Grace time.Duration
}

// JWT is whose tokens let publishers in. A token is a JWS in the compact form with one of the algorithms RS256, RS384, RS512, PS256,
// PS384, PS512, ES256, ES384, ES512 and EdDSA. Its claims: "exp" and "sub" must be there; "nbf", "iss" and "aud" are checked; "stream"
// is a name, or a list of names, in which * stands for any characters; "action" (a word or a list) or "scope" (words) has "publish".
// "ladder", "standby", "max_bitrate" (bit/s) and "max_duration" (seconds) may be there.
//
// Who comes with a token of the same issuer and subject is the same publisher, and takes its live stream over, however new the token
// is. A token that expires does not end the show that it began.
type JWT struct {
	// JWKS is the URL or the file of the public keys (RFC 7517 5); "" is off. A file is read again when it changes.
	JWKS string
	// Issuer and Audience that tokens must have; "" is any.
	Issuer, Audience string
	// Refresh is how often the keys are fetched again from a URL. A token with an unknown key has them fetched too, every ten seconds at
	// most. Keys stay good while newer ones cannot be had.
	Refresh time.Duration
	// Leeway for clocks that differ.
	Leeway time.Duration
}

// Options sets an Authority up.
type Options struct {
	// Keys are the static keys; nil is none.
	Keys *auth.Store
	// Settings are asked for with each attempt; nil is static keys alone.
	Settings func() Settings
	// Pepper makes credentials the same on all nodes of a cluster: see auth.NewSharedKeys. Empty is this process's own.
	Pepper []byte
	// Registerer takes the metrics; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// Log is for the operator; nil is none.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Authority decides who may publish. Its methods may be called from any goroutine.
type Authority struct {
	opt      Options
	client   *http.Client
	metrics  *metrics
	failures *failures
	verdicts *verdicts
	health   health
	gate     gate
	jwks     *jwks

	base    context.Context // of every call; ends with Close
	cancel  context.CancelFunc
	flights sync.WaitGroup

	mu     sync.Mutex // guards what follows
	calls  map[callKey]*call
	closed bool
	good   *recent[auth.Digest, struct{}] // who was let in, for as long as there is room
}

// mostGood is how many publishers are remembered that may come in spite of others' mistakes.
const mostGood = 8192

// New makes an Authority. With static keys alone it starts nothing and need not be closed.
func New(opt Options) *Authority {
	if opt.Keys == nil {
		opt.Keys = &auth.Store{}
	}
	if opt.Settings == nil {
		opt.Settings = func() Settings { return Settings{} }
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	a := &Authority{
		opt: opt, client: newClient(), failures: newFailures(), verdicts: newVerdicts(), calls: map[callKey]*call{},
		good: newRecent[auth.Digest, struct{}](mostGood),
	}
	a.base, a.cancel = context.WithCancel(context.Background())
	a.metrics = newMetrics(a)
	a.jwks = &jwks{client: a.client, log: opt.Log, metrics: a.metrics, now: opt.Now, base: a.base, flights: &a.flights}
	if opt.Registerer != nil {
		opt.Registerer.MustRegister(a.metrics.all...)
	}
	return a
}

// Run keeps the keys of tokens up to date until ctx ends, and closes the Authority then.
func (a *Authority) Run(ctx context.Context) {
	defer a.Close()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		a.jwks.look(a.opt.Settings().JWT)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close ends what is under way; attempts that wait are refused. Everything that was started has ended when it returns.
func (a *Authority) Close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.cancel()
	a.flights.Wait()
	a.client.CloseIdleConnections()
}

// ended is closed by Close.
func (a *Authority) ended() <-chan struct{} { return a.base.Done() }

// mostField is the length of the longest stream key and secret, in bytes.
const mostField = mostToken

// Publish decides whether a publisher may publish, and on what terms. It may take as long as Callback.Timeout, or as ctx. Its error is
// an *auth.Denied.
func (a *Authority) Publish(ctx context.Context, at auth.Attempt) (auth.Grant, error) {
	g, from, err := a.decide(ctx, at)
	if !at.Probe {
		a.metrics.attempt(from, err)
	}
	return g, err
}

func (a *Authority) decide(ctx context.Context, at auth.Attempt) (auth.Grant, source, error) {
	set, keys := a.opt.Settings(), a.opt.Keys.Load()
	if keys.Empty() && set.Callback.URL == "" && set.JWT.JWKS == "" {
		g, err := a.open(at)
		return g, sourceOpen, err
	}
	if len(at.Stream) > mostField || len(at.Secret) > mostField {
		return auth.Grant{}, sourceNode, denyKey(at)
	}
	by, now := auth.Network(at.Remote.Addr()), a.opt.Now()
	id := auth.DigestOf(a.opt.Pepper, "attempt", at.Stream, at.Secret)
	// Who has a good token must not suffer for others behind the same address. A signature cannot be guessed at any rate.
	wait := a.failures.wait(by, now)
	if wait > 0 && !a.proved(id) && (set.JWT.JWKS == "" || !isToken(tokenOf(at))) {
		return auth.Grant{}, sourceNode, tooManyWrong(wait)
	}
	g, from, err := a.bySources(ctx, set, keys, at, id)
	if denied, ok := err.(*auth.Denied); ok && denied.Why == auth.WhyKey && wait == 0 {
		cost := 1.0
		if at.Secret == "" {
			cost = keylessCost
		}
		a.failures.note(by, id, cost, a.opt.Now())
	}
	if err == nil {
		a.prove(id)
	}
	return g, from, err
}

// bySources asks the sources in their order.
func (a *Authority) bySources(ctx context.Context, set Settings, keys *auth.Keys, at auth.Attempt, id auth.Digest) (auth.Grant, source, error) {
	if c, name, ok := keys.Check(at.Stream, at.Secret); ok {
		g, err := byKey(keys, c, name)
		return g, sourceKeys, err
	}
	token, stream := tokenOf(at), at.Stream
	if at.Secret == "" {
		stream = ""
	}
	switch {
	case set.JWT.JWKS != "" && isToken(token):
		g, err := a.byToken(ctx, set.JWT, token, stream)
		return g, sourceJWT, err
	case set.Callback.URL == "":
		return auth.Grant{}, sourceKeys, denyKey(at)
	case at.Probe && at.Secret == "":
		// A client that can be asked for its key will be: the callback need not be asked about one that has none yet.
		return auth.Grant{}, sourceNode, denyKey(at)
	}
	return a.byCallback(ctx, set.Callback, at, id)
}

// tokenOf is what of an attempt is the token, if it has one.
func tokenOf(at auth.Attempt) string {
	if at.Secret == "" {
		return at.Stream
	}
	return at.Secret
}

// byKey is what a static key grants.
func byKey(keys *auth.Keys, c auth.Credential, name string) (auth.Grant, error) {
	if err := auth.ValidName(name); err != nil {
		return auth.Grant{}, badName(name, err)
	}
	t := keys.Terms(name, c)
	return auth.Grant{
		Name: name, Credential: c, Ladder: t.Ladder, Standby: t.Standby, MaxBitrate: t.MaxBitrate, MaxDuration: t.MaxDuration,
	}, nil
}

// loopback is the credential of publishers on this host while nothing is configured.
const loopback auth.Credential = "loopback"

// open decides while nothing is configured.
func (a *Authority) open(at auth.Attempt) (auth.Grant, error) {
	if !at.Remote.Addr().Unmap().IsLoopback() {
		return auth.Grant{}, &auth.Denied{Why: auth.WhyNoKeys, Message: "This server has no stream keys configured, so it takes publishers from its own host only. Ask its operator for a stream key."}
	}
	if err := auth.ValidName(at.Stream); err != nil {
		return auth.Grant{}, badName(at.Stream, err)
	}
	return auth.Grant{Name: at.Stream, Credential: loopback, Anonymous: true}, nil
}

// prove remembers who was let in.
func (a *Authority) prove(id auth.Digest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.good.put(id, struct{}{})
}

// proved tells whether the same was let in before: that is no guess.
func (a *Authority) proved(id auth.Digest) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.good.get(id) != nil
}
