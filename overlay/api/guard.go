package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/overlay"
)

// Bounds of guessing tokens.
const (
	// maxFailures is how many wrong tokens an address may send within failureSpan.
	maxFailures = 20
	failureSpan = time.Minute
	// blockedFor is how long an address that sent more is told to stop. A right token is let in all the same: tokens are too
	// long to be guessed at any rate.
	blockedFor = time.Minute
	// maxStrikes is how many addresses are remembered.
	maxStrikes = 4096
)

// guard lets operators in.
type guard struct {
	tokens *auth.Store
	now    func() time.Time
	log    *slog.Logger
	failed prometheus.Counter

	mu      sync.Mutex // guards what follows
	strikes map[string]*strikes
	swept   time.Time // when those that have been quiet were last looked for
}

// strikes are an address' wrong tokens.
type strikes struct {
	since   time.Time // when the first of them came
	count   int
	blocked time.Time // until when; zero is not
}

// admit checks a request's token for a stream, and for a role there, and returns it. Its error is a *Problem.
func (g *guard) admit(r *http.Request, stream string, role auth.Role) (string, error) {
	return g.check(r, "of the stream", "one of the stream's", role, func(keys *auth.Keys, token string) (auth.Role, bool) {
		return keys.Role(stream, token)
	})
}

// admitKnown takes a token for whatever stream.
func (g *guard) admitKnown(r *http.Request, role auth.Role) (string, error) {
	return g.check(r, "of a stream", "one of this node's", role, (*auth.Keys).KnownRole)
}

// check lets a request in whose token has a role; whose it should be is for the sentences. A token that is not good at all is told from
// one that is not good for this: 401 and 403.
func (g *guard) check(r *http.Request, needed, unlike string, role auth.Role, has func(*auth.Keys, string) (auth.Role, bool)) (string, error) {
	keys := g.tokens.Load()
	if keys.Empty() {
		return "", problemf(overlay.ReasonStorage, "", "This node has no operator token, because it could not write one to its data folder. "+
			"Its log says why; data.directory names the folder, and studio.tokens takes tokens of your own.")
	}
	token, found := bearer(r.Header.Values("Authorization"))
	if !found {
		return "", problemf(reasonUnauthorized, "Authorization", "This needs the operator token %s: send Authorization: Bearer TOKEN.", needed).
			with("WWW-Authenticate", `Bearer realm="pushcart"`)
	}
	if have, ok := has(keys, token); ok {
		// Also where the address is turned away: others may share it with the host.
		if !have.Covers(role) {
			return "", wrongRole(role, have)
		}
		return token, nil
	}
	g.failed.Inc()
	if r.Context().Value(fromNode{}) != nil {
		return "", wrongToken(unlike) // the node that was asked has its eye on who asks
	}
	from := addressOf(r)
	if until := g.blockedUntil(from); !until.IsZero() {
		return "", blocked(until.Sub(g.now()))
	}
	g.strike(from)
	return "", wrongToken(unlike)
}

func wrongRole(needed, have auth.Role) *Problem {
	where := ""
	if needed == auth.Admin {
		where = fmt.Sprintf(", for the stream %q", auth.AnyStream)
	}
	return problemf(overlay.ReasonForbidden, "Authorization", "This needs an operator token with the role %s, and the one that was sent has the role %s: see studio.tokens%s.", needed, have, where).
		with("WWW-Authenticate", `Bearer realm="pushcart", error="insufficient_scope"`)
}

func wrongToken(unlike string) *Problem {
	return problemf(reasonUnauthorized, "Authorization", "This token is not %s: see studio.tokens, or the file operator.token in the node's data folder.", unlike).
		with("WWW-Authenticate", `Bearer realm="pushcart", error="invalid_token"`)
}

func blocked(left time.Duration) *Problem {
	seconds := strconv.Itoa(int(left/time.Second) + 1)
	return problemf(reasonBlocked, "Authorization", "Too many wrong tokens came from this address: it is turned away for another %s s.", seconds).
		with("Retry-After", seconds)
}

// blockedUntil tells until when an address is turned away; zero when it is not.
func (g *guard) blockedUntil(from string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.strikes[from]; s != nil && g.now().Before(s.blocked) {
		return s.blocked
	}
	return time.Time{}
}

// strike counts a wrong token.
func (g *guard) strike(from string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	s := g.strikes[from]
	if s == nil {
		g.makeRoomLocked(now)
		s = &strikes{since: now}
		g.strikes[from] = s
	}
	if now.Sub(s.since) >= failureSpan {
		*s = strikes{since: now}
	}
	if s.count++; s.count > maxFailures && !now.Before(s.blocked) {
		s.blocked = now.Add(blockedFor)
		g.log.Warn("too many wrong operator tokens: the address is turned away for a while", "address", from, "for", blockedFor)
	}
}

// makeRoomLocked forgets addresses that have been quiet when there are too many, and any where all are busy.
func (g *guard) makeRoomLocked(now time.Time) {
	if len(g.strikes) < maxStrikes {
		return
	}
	if now.Sub(g.swept) >= time.Second {
		g.swept = now
		for from, s := range g.strikes {
			if now.Sub(s.since) >= failureSpan && !now.Before(s.blocked) {
				delete(g.strikes, from)
			}
		}
	}
	for from := range g.strikes {
		if len(g.strikes) < maxStrikes {
			return
		}
		delete(g.strikes, from)
	}
}

// bearer reads Authorization (RFC 6750 2.1).
func bearer(values []string) (token string, ok bool) {
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// addressOf names whom a request comes from, for limits: the IP address, of IPv6 the network of 64 bits, within which a
// single host has its pick of addresses.
func addressOf(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	ip := at.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return network.String()
}
