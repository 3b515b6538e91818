package node

import (
	"net/http"
	"sync/atomic"
	"time"

	"pushcart/internal/auth/playback"
	"pushcart/internal/config"
	"pushcart/internal/front"
)

// Who may watch: playback.keys and playback.open, and what they mean to the parts of the node that give streams out.

// operatorWatches is how long the address is good that an operator's page gets to watch the stream by. It asks for another in time.
const operatorWatches = 12 * time.Hour

// access decides who may watch.
type access struct {
	policy atomic.Pointer[playback.Policy]
	gate   *playback.Gate
}

// openAccess makes the gate. The node's metrics are there; its front need not be yet.
func (n *Node) openAccess(cfg *config.Config) error {
	n.access = &access{}
	if err := n.setPlayback(cfg); err != nil {
		return err
	}
	n.access.gate = playback.New(playback.Options{
		Policy: n.access.policy.Load, Trusted: front.Trusted,
		Country:    func(r *http.Request) string { return n.front.Country(r) },
		Registerer: n.reg,
	})
	return nil
}

// setPlayback takes the configured keys and patterns.
func (n *Node) setPlayback(cfg *config.Config) error {
	p, err := playbackPolicy(cfg)
	if err != nil {
		return err
	}
	n.access.policy.Store(p)
	return nil
}

// playbackPolicy is what a configuration says of who may watch.
func playbackPolicy(cfg *config.Config) (*playback.Policy, error) {
	keys := make([]playback.Key, len(cfg.Playback.Keys))
	for i, k := range cfg.Playback.Keys {
		keys[i] = playback.Key{ID: k.ID, Secret: string(k.Secret)}
	}
	return playback.NewPolicy(keys, cfg.Playback.Open)
}

// guard puts the gate in front of what answers viewers. The front is in front of it, so that it knows whom a request comes from.
func (a *access) guard(next http.Handler) http.Handler { return a.gate.Handler(next) }

// register mounts what proxies ask.
func (a *access) register(mux *http.ServeMux) {
	mux.Handle("GET "+playback.VerifyPath, a.gate.Verify())
}

// elsewhere has viewers take their signed address along to another node.
func (a *access) elsewhere(to func(*http.Request, string) string) func(*http.Request, string) string {
	return func(r *http.Request, stream string) string { return playback.Carry(r, to(r, stream)) }
}

// address is what an operator of a stream watches it by; "" where it is open to everybody.
func (a *access) address(stream string) (prefix string, expires time.Time) {
	p := a.policy.Load()
	if p.Open(stream) {
		return "", time.Time{}
	}
	expires = time.Now().Add(operatorWatches).Truncate(time.Second)
	token, err := p.Keys().Sign(playback.Token{Stream: stream, Expires: expires})
	if err != nil {
		return "", time.Time{} // not reached: there are keys, and the name was looked at
	}
	return playback.Prefix + token, expires
}

// publishes tells whether a secret is a stream key: publishers may know of their own stream what its viewers may.
func (n *Node) publishes(stream, secret string) bool {
	_, ok := n.keys.Load().Permits(stream, secret)
	return ok
}

// Headers by which a process that passes a request on to the one that has taken over tells what its signed address opens: the gate is in
// the former. What a viewer sends under these names is not passed on.
const (
	headPrefix = "Pushcart-Prefix"
	headOpens  = "Pushcart-Opens"
)

// carryOpened puts the headers.
func carryOpened(r *http.Request) {
	prefix, stream := playback.Opened(r)
	for name, value := range map[string]string{headPrefix: prefix, headOpens: stream} {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

// takeOpened takes them. It stands behind nothing but the socket of the other process.
func takeOpened(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		prefix, stream := r.Header.Get(headPrefix), r.Header.Get(headOpens)
		r.Header.Del(headPrefix)
		r.Header.Del(headOpens)
		next.ServeHTTP(w, playback.Reopened(r, prefix, stream))
	})
}
