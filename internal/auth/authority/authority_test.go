package authority

import (
	"crypto/elliptic"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"pushcart/internal/auth"
)

func netipOf(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), 1000)
}

// TestSources: for each combination of what is configured, who is let in, by whom, and whether the callback is asked.
func TestSources(t *testing.T) {
	t.Parallel()
	key := newECDSA(elliptic.P256())
	const (
		keys = 1 << iota
		jwt
		callback
	)
	type outcome struct {
		from  source
		why   auth.Why // "" is let in
		calls int
	}
	in := func(s source) outcome { return outcome{from: s} }
	for _, tt := range []struct {
		name   string
		stream string
		secret string // "token" stands for one
		remote netip.AddrPort
		want   map[int]outcome // by what is configured
	}{
		{"static key", "show", "static-key", away, map[int]outcome{
			0: {sourceOpen, auth.WhyNoKeys, 0}, keys: in(sourceKeys), jwt: {sourceKeys, auth.WhyKey, 0}, callback: {sourceCallback, "", 1},
			keys | jwt: in(sourceKeys), keys | callback: in(sourceKeys), jwt | callback: {sourceCallback, "", 1}, keys | jwt | callback: in(sourceKeys),
		}},
		{"key with dots that is configured", "show", "static.key.dotted", away, map[int]outcome{
			0: {sourceOpen, auth.WhyNoKeys, 0}, keys: in(sourceKeys), jwt: {sourceKeys, auth.WhyKey, 0}, callback: {sourceCallback, "", 1},
			keys | jwt: in(sourceKeys), keys | callback: in(sourceKeys), jwt | callback: {sourceCallback, "", 1}, keys | jwt | callback: in(sourceKeys),
		}},
		{"token", "show", "token", away, map[int]outcome{
			0: {sourceOpen, auth.WhyNoKeys, 0}, keys: {sourceKeys, auth.WhyKey, 0}, jwt: in(sourceJWT), callback: {sourceCallback, "", 1},
			keys | jwt: in(sourceJWT), keys | callback: {sourceCallback, "", 1}, jwt | callback: in(sourceJWT), keys | jwt | callback: in(sourceJWT),
		}},
		{"token for another stream", "other", "token", away, map[int]outcome{
			jwt: {sourceJWT, auth.WhyKey, 0}, keys | jwt | callback: {sourceJWT, auth.WhyKey, 0},
		}},
		{"static key alone", "static-key", "", away, map[int]outcome{
			keys: in(sourceKeys), keys | jwt | callback: in(sourceKeys), callback: {sourceCallback, "", 1},
		}},
		{"unknown", "show", "wrong-key", away, map[int]outcome{
			keys: {sourceKeys, auth.WhyKey, 0}, jwt: {sourceKeys, auth.WhyKey, 0}, callback: {sourceCallback, "", 1}, keys | jwt: {sourceKeys, auth.WhyKey, 0},
			keys | jwt | callback: {sourceCallback, "", 1},
		}},
		{"on this host", "show", "", here, map[int]outcome{
			0: in(sourceOpen), keys: {sourceKeys, auth.WhyKey, 0}, jwt: {sourceKeys, auth.WhyKey, 0}, callback: {sourceCallback, "", 1},
		}},
		{"on this host by IPv6", "show", "", netip.MustParseAddrPort("[::1]:7"), map[int]outcome{0: in(sourceOpen)}},
		{"on this host, mapped", "show", "", netip.MustParseAddrPort("[::ffff:127.0.0.1]:7"), map[int]outcome{0: in(sourceOpen)}},
		{"on this host, no name", "../etc", "", here, map[int]outcome{0: {sourceOpen, auth.WhyName, 0}}},
		{"any name", "any", "master-key", away, map[int]outcome{keys: in(sourceKeys)}},
		{"no name", "../etc", "master-key", away, map[int]outcome{keys: {sourceKeys, auth.WhyName, 0}}},
		{"nothing", "", "", away, map[int]outcome{0: {sourceOpen, auth.WhyNoKeys, 0}, keys: {sourceKeys, auth.WhyKey, 0}, keys | jwt: {sourceKeys, auth.WhyKey, 0}}},
		{"too long", strings.Repeat("x", mostField+1), "static-key", away, map[int]outcome{keys | callback: {sourceNode, auth.WhyKey, 0}}},
	} {
		for set, want := range tt.want {
			t.Run(fmt.Sprint(tt.name, set), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, Settings{})
				r := newReceiver(t, nil)
				if set&keys != 0 {
					k, err := auth.NewKeys([]auth.Entry{{Stream: "show", Key: "static-key", Ladder: "l", MaxBitrate: 7, MaxDuration: time.Hour, Standby: true},
						{Stream: "show", Key: "static.key.dotted"}, {Stream: "*", Key: "master-key"}})
					if err != nil {
						t.Fatal(err)
					}
					b.opt.Keys.Store(k)
				}
				if set&jwt != 0 {
					b.set.JWT = JWT{JWKS: newIssuer(t, jwkOf(key, "k", "")).URL}
				}
				if set&callback != 0 {
					b.set.Callback = Callback{URL: r.URL, Timeout: 10 * time.Second}
				}
				a := attempt(tt.stream, tt.secret)
				if tt.secret == "token" {
					a.Secret = sign(t, key, jose.ES256, "k", b.good())
				}
				a.Remote = tt.remote
				g, err := b.publish(a)
				got := outcome{calls: r.calls(), from: want.from}
				if err != nil {
					got.why = err.(*auth.Denied).Why
				}
				if got != want {
					t.Errorf("%+v, want %+v (%v)", got, want, err)
				}
				result := resultAllowed
				if err != nil {
					result = string(got.why)
				}
				if b.value("pushcart_auth_attempts_total", "source", string(want.from), "result", result) != 1 {
					t.Error("not counted as that")
				}
				if err == nil && (g.Credential == "" || auth.ValidName(g.Name) != nil || g.Anonymous != (want.from == sourceOpen)) {
					t.Errorf("%+v", g)
				}
				if want.from == sourceKeys && tt.secret == "static-key" && err == nil && (g.Ladder != "l" || g.MaxBitrate != 7 || g.MaxDuration != time.Hour || !g.Standby) {
					t.Errorf("terms are lost: %+v", g)
				}
			})
		}
	}
}

// TestGuessing: a network that tries many wrong secrets is held back, without I/O; who was let in before is not, nor is another network,
// nor one whose encoder has a wrong key and tries it for ever.
func TestGuessing(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, func(c *Callback) { c.Cache = 0 }, auth.Entry{Stream: "mine", Key: "static-key"}, auth.Entry{Stream: "late", Key: "later-key"})
	b.in(attempt("mine", "static-key"))
	r.says(`{"allow": true}`)
	b.in(attempt("show", "secret"))
	r.says(`{"allow": false}`)
	for range 100 {
		b.pass(2 * time.Second)
		b.out(attempt("show", "mistyped"), auth.WhyKey, "")
	}
	calls, refused := r.calls(), 0
	for n := range 200 {
		_, err := b.publish(attempt("show", fmt.Sprint("guess", n)))
		if err.(*auth.Denied).Why == auth.WhyBusy {
			refused++
		}
	}
	if made := r.calls() - calls; made > wrongBurst || refused != 200-made {
		t.Errorf("200 guesses made %d calls, and %d were refused before", made, refused)
	}
	b.out(attempt("late", "later-key"), auth.WhyBusy, "try again in")
	b.in(attempt("mine", "static-key"))
	r.says(`{"allow": true}`)
	b.in(attempt("show", "secret"))
	other := attempt("late", "later-key")
	other.Remote = away2
	b.in(other)
	b.pass(time.Minute)
	b.in(attempt("late", "later-key"))

	// IPv6: all of a network of 64 bits is one.
	six := attempt("show", "")
	r.says(`{"allow": false}`)
	calls = r.calls()
	for n := range 200 {
		six.Remote = netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", n+1)), 1)
		six.Secret = fmt.Sprint("guess", n)
		b.publish(six)
	}
	if made := r.calls() - calls; made > wrongBurst {
		t.Errorf("a network of IPv6 made %d calls", made)
	}
}

// TestFailuresEnd: however many guesses of a network were under way at once, it is let try again in about a minute.
func TestFailuresEnd(t *testing.T) {
	t.Parallel()
	f, now := newFailures(), time.Unix(1e9, 0)
	for n := range mostCallsOfNetwork + mostWaitingOfNetwork {
		f.note(netipOf(1).Addr(), auth.DigestOf(nil, fmt.Sprint(n)), 1, now)
	}
	if wait := f.wait(netipOf(1).Addr(), now); wait < wrongEvery || wait > time.Minute+wrongEvery {
		t.Errorf("it has to wait for %v", wait)
	}
}

// TestFailuresAreBounded: memory of who failed does not grow with the number of networks, nor of publishers.
func TestFailuresAreBounded(t *testing.T) {
	t.Parallel()
	f, now := newFailures(), time.Unix(1e9, 0)
	for n := range 3 * mostNetworks {
		f.note(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), auth.Digest{byte(n)}, 1, now)
	}
	if f.networks.len() != mostNetworks {
		t.Errorf("%d networks", f.networks.len())
	}
	v := newVerdicts()
	v.turnTo("x")
	at := func() time.Time { return now }
	id := func(n int) auth.Digest { return auth.Digest{1, byte(n >> 16), byte(n >> 8), byte(n)} }
	v.allow("x", id(0), auth.Grant{Name: "live"}, 0, netip.Addr{}, now)
	left := v.hold(id(0), at)
	for n := range 2 * mostAllowed {
		v.allow("x", id(n+1), auth.Grant{}, 0, netip.Addr{}, now)
		v.deny("x", id(n+1<<20), &auth.Denied{}, 0, netip.Addr{}, now)
	}
	if v.allowed.len() > mostAllowed || v.denied.len() > mostDenied {
		t.Errorf("%d and %d", v.allowed.len(), v.denied.len())
	}
	// Strangers push nobody out who is in, however many there are.
	if g, ok := v.known(id(0), time.Hour, now.Add(1000*time.Hour)); !ok || g.Name != "live" {
		t.Error("a publisher that is in was forgotten")
	}
	left()
	if _, ok := v.known(id(0), time.Hour, now.Add(1000*time.Hour)); ok {
		t.Error("a publisher that left is known for ever")
	}
}

// TestReload: settings are those of the moment.
func TestReload(t *testing.T) {
	t.Parallel()
	b, r := withCallback(t, nil)
	b.in(attempt("show", "secret"))
	b.change(func(s *Settings) { s.Callback.URL = "" })
	b.out(attempt("show", "secret"), auth.WhyNoKeys, "")
	b.change(func(s *Settings) { s.Callback.URL = r.URL })
	b.in(attempt("show", "secret"))
	if r.calls() != 2 {
		t.Errorf("%d calls: what one callback said counts for another", r.calls())
	}
	one, two := newEd25519(), newEd25519()
	b.change(func(s *Settings) { s.JWT.JWKS = newIssuer(t, jwkOf(one, "k", "")).URL })
	b.in(attempt("show", sign(t, one, jose.EdDSA, "k", b.good())))
	b.change(func(s *Settings) { s.JWT.JWKS = newIssuer(t, jwkOf(two, "k", "")).URL })
	b.in(attempt("show", sign(t, two, jose.EdDSA, "k", b.good())))
	b.out(attempt("show", sign(t, one, jose.EdDSA, "k", b.good())), auth.WhyKey, "")
}
