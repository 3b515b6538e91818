package authority

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"pushcart/internal/auth"
)

// Keys of the tests: RSA ones take long to make.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	shortRSA = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 1024); return k })
)

func newECDSA(curve elliptic.Curve) *ecdsa.PrivateKey {
	k, _ := ecdsa.GenerateKey(curve, rand.Reader)
	return k
}

func newEd25519() ed25519.PrivateKey {
	_, k, _ := ed25519.GenerateKey(rand.Reader)
	return k
}

func jwkOf(key crypto.Signer, id string, alg jose.SignatureAlgorithm) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: string(alg), Use: "sig"}
}

// issuer is a server of a key set that counts how often it is fetched.
type issuer struct {
	*httptest.Server
	fetches atomic.Int64

	mu    sync.Mutex // guards what follows
	keys  []jose.JSONWebKey
	serve http.HandlerFunc
}

func newIssuer(t *testing.T, keys ...jose.JSONWebKey) *issuer {
	i := &issuer{keys: keys}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		i.mu.Lock()
		serve, set := i.serve, jose.JSONWebKeySet{Keys: i.keys}
		i.mu.Unlock()
		if serve != nil {
			serve(w, r)
			return
		}
		json.NewEncoder(w).Encode(set)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) has(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *issuer) does(serve http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.serve = serve
}

// good are claims that let a publisher in to the show "show", one change each made to them.
func (b *bench) good(change ...any) map[string]any {
	c := map[string]any{
		"iss": "https://issuer.example", "aud": []string{"other", "pushcart"}, "sub": "host-7", "exp": b.Now().Unix() + 60, "stream": "show", "action": "publish",
	}
	for i := 0; i < len(change); i += 2 {
		if change[i+1] == nil {
			delete(c, change[i].(string))
			continue
		}
		c[change[i].(string)] = change[i+1]
	}
	return c
}

// sign makes a token.
func sign(t testing.TB, key any, alg jose.SignatureAlgorithm, id string, claims any, headers ...string) string {
	t.Helper()
	opt := (&jose.SignerOptions{}).WithType("JWT")
	for i := 0; i < len(headers); i += 2 {
		opt = opt.WithHeader(jose.HeaderKey(headers[i]), headers[i+1])
	}
	if id != "" {
		opt = opt.WithHeader("kid", id)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opt)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := json.Marshal(claims)
	signed, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func withJWT(t *testing.T, i *issuer, entries ...auth.Entry) *bench {
	t.Helper()
	return newBench(t, Settings{JWT: JWT{
		JWKS: i.URL + "/jwks.json?not-for-logs", Issuer: "https://issuer.example", Audience: "pushcart", Refresh: 10 * time.Minute, Leeway: 30 * time.Second,
	}}, entries...)
}

// TestAlgorithms: each that is taken, and none of those that are not.
func TestAlgorithms(t *testing.T) {
	t.Parallel()
	ed, e256, e384, e521 := newEd25519(), newECDSA(elliptic.P256()), newECDSA(elliptic.P384()), newECDSA(elliptic.P521())
	symmetric := []byte("a-symmetric-secret-of-32-bytes-!")
	i := newIssuer(t, jwkOf(rsaKey(), "rsa", ""), jwkOf(shortRSA(), "short", ""), jwkOf(ed, "ed", jose.EdDSA), jwkOf(e256, "256", ""), jwkOf(e384, "384", ""), jwkOf(e521, "521", ""),
		jwkOf(rsaKey(), "rs256-only", jose.RS256),
		jose.JSONWebKey{Key: symmetric, KeyID: "oct"}, jose.JSONWebKey{Key: e256.Public(), KeyID: "for-encryption", Use: "enc"})
	b := withJWT(t, i)
	for _, tt := range []struct {
		key any
		alg jose.SignatureAlgorithm
		id  string
		ok  bool
	}{
		{rsaKey(), jose.RS256, "rsa", true}, {rsaKey(), jose.RS384, "rsa", true}, {rsaKey(), jose.RS512, "rsa", true},
		{rsaKey(), jose.PS256, "rsa", true}, {rsaKey(), jose.PS384, "rsa", true}, {rsaKey(), jose.PS512, "rsa", true},
		{e256, jose.ES256, "256", true}, {e384, jose.ES384, "384", true}, {e521, jose.ES512, "521", true}, {ed, jose.EdDSA, "ed", true},
		{rsaKey(), jose.RS256, "", true},
		{rsaKey(), jose.RS256, "rs256-only", true}, {rsaKey(), jose.PS256, "rs256-only", false},
		{shortRSA(), jose.RS256, "short", false},
		{e256, jose.ES256, "for-encryption", false},
		{e256, jose.ES256, "384", false}, {ed, jose.EdDSA, "256", false}, {newEd25519(), jose.EdDSA, "ed", false},
		{symmetric, jose.HS256, "oct", false},
		{pem.EncodeToMemory(publicPEM(rsaKey())), jose.HS256, "rsa", false},
		{publicDER(rsaKey()), jose.HS512, "rsa", false},
		{[]byte(ed.Public().(ed25519.PublicKey)), jose.HS256, "ed", false},
	} {
		b.pass(time.Minute) // nobody is held back for the mistakes of others
		a := attempt("show", sign(t, tt.key, tt.alg, tt.id, b.good()))
		g, err := b.publish(a)
		if (err == nil) != tt.ok {
			t.Errorf("%s of %q: %+v, %v", tt.alg, tt.id, g, err)
		}
		if err != nil {
			b.out(a, auth.WhyKey, "The token for this stream cannot be used")
		}
	}
	// Without a signature, and with a key that the token brings itself.
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"ed"}`)) + "." + strings.Split(sign(t, ed, jose.EdDSA, "ed", b.good()), ".")[1] + "."
	for _, alg := range []string{"none", "None", "NONE", "HS256", "RS1", "ES256K", ""} {
		token := strings.Replace(none, none[:strings.Index(none, ".")], base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":%q,"kid":"ed"}`, alg)), 1)
		b.pass(time.Minute)
		b.out(attempt("show", token), auth.WhyKey, "")
	}
	stranger := newEd25519()
	own, _ := json.Marshal(jose.JSONWebKey{Key: stranger.Public(), KeyID: "ed"})
	brought := signRaw(stranger, fmt.Sprintf(`{"alg":"EdDSA","kid":"ed","jwk":%s,"jku":%q}`, own, i.URL), b.good())
	b.pass(time.Minute)
	b.out(attempt("show", brought), auth.WhyKey, "signature is wrong")
	b.pass(time.Minute)
	b.out(attempt("show", signRaw(ed, `{"alg":"EdDSA","kid":"ed","crit":["exp"],"exp":1}`, b.good())), auth.WhyKey, "")
	b.pass(time.Minute)
	b.out(attempt("show", signRaw(ed, `{"alg":"EdDSA","kid":"ed","typ":"logout+jwt"}`, b.good())), auth.WhyKey, "typ")
}

func publicDER(k crypto.Signer) []byte {
	b, _ := x509.MarshalPKIXPublicKey(k.Public())
	return b
}

func publicPEM(k crypto.Signer) *pem.Block {
	return &pem.Block{Type: "PUBLIC KEY", Bytes: publicDER(k)}
}

// signRaw signs with a header as it is written.
func signRaw(key ed25519.PrivateKey, header string, claims any) string {
	payload, _ := json.Marshal(claims)
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed)))
}

// TestClaims: which of them let in where, and on what terms.
func TestClaims(t *testing.T) {
	t.Parallel()
	key := newEd25519()
	i := newIssuer(t, jwkOf(key, "k", ""))
	b := withJWT(t, i)
	now := b.Now().Unix()
	for name, tt := range map[string]struct {
		change []any
		stream string
		words  string // of the refusal; "" is let in
		grants auth.Grant
	}{
		"plain":             {nil, "show", "", auth.Grant{Name: "show"}},
		"its only name":     {nil, "", "", auth.Grant{Name: "show"}},
		"terms":             {[]any{"ladder", "mobile", "standby", true, "max_bitrate", 5e6, "max_duration", 3600}, "show", "", auth.Grant{Name: "show", Ladder: "mobile", Standby: true, MaxBitrate: 5e6, MaxDuration: time.Hour}},
		"scope":             {[]any{"action", nil, "scope", "read publish"}, "show", "", auth.Grant{Name: "show"}},
		"actions":           {[]any{"action", []string{"read", "publish"}}, "show", "", auth.Grant{Name: "show"}},
		"list":              {[]any{"stream", []string{"a", "show"}}, "show", "", auth.Grant{Name: "show"}},
		"pattern":           {[]any{"stream", "shop-*-live"}, "shop-7-live", "", auth.Grant{Name: "shop-7-live"}},
		"all":               {[]any{"stream", "*"}, "any", "", auth.Grant{Name: "any"}},
		"expired in leeway": {[]any{"exp", now - 29}, "show", "", auth.Grant{Name: "show"}},
		"early in leeway":   {[]any{"nbf", float64(now) + 29.5}, "show", "", auth.Grant{Name: "show"}},
		"one audience":      {[]any{"aud", "pushcart"}, "show", "", auth.Grant{Name: "show"}},

		"expired":            {[]any{"exp", now - 31}, "show", "it has expired", auth.Grant{}},
		"no exp":             {[]any{"exp", nil}, "show", `no "exp"`, auth.Grant{}},
		"exp is text":        {[]any{"exp", "2030"}, "show", "cannot be read", auth.Grant{}},
		"exp is null":        {[]any{"exp", json.RawMessage("null")}, "show", `no "exp"`, auth.Grant{}},
		"exp is huge":        {[]any{"exp", 1e300}, "show", "no time", auth.Grant{}},
		"early":              {[]any{"nbf", now + 31}, "show", "not valid yet", auth.Grant{}},
		"issuer":             {[]any{"iss", "https://issuer.example/"}, "show", "another issuer", auth.Grant{}},
		"no issuer":          {[]any{"iss", nil}, "show", "another issuer", auth.Grant{}},
		"audience":           {[]any{"aud", "pushcar"}, "show", "another audience", auth.Grant{}},
		"no audience":        {[]any{"aud", nil}, "show", "another audience", auth.Grant{}},
		"no subject":         {[]any{"sub", nil}, "show", `no "sub"`, auth.Grant{}},
		"no action":          {[]any{"action", nil}, "show", "not for publishing", auth.Grant{}},
		"reading":            {[]any{"action", "publishing"}, "show", "not for publishing", auth.Grant{}},
		"reading scope":      {[]any{"action", nil, "scope", "unpublish publish:all"}, "show", "not for publishing", auth.Grant{}},
		"no stream":          {[]any{"stream", nil}, "show", `no "stream"`, auth.Grant{}},
		"empty stream":       {[]any{"stream", ""}, "show", `no "stream"`, auth.Grant{}},
		"another stream":     {nil, "show2", "for another stream", auth.Grant{}},
		"case":               {nil, "Show", "for another stream", auth.Grant{}},
		"not the pattern":    {[]any{"stream", "shop-*-live"}, "shop-7-live2", "for another stream", auth.Grant{}},
		"several, no name":   {[]any{"stream", []string{"a", "b"}}, "", "several streams", auth.Grant{}},
		"pattern, no name":   {[]any{"stream", "*"}, "", "several streams", auth.Grant{}},
		"bad bitrate":        {[]any{"max_bitrate", -1}, "show", "max_bitrate", auth.Grant{}},
		"bad duration":       {[]any{"max_duration", -1}, "show", "max_duration", auth.Grant{}},
		"too many patterns":  {[]any{"stream", make([]string, 65)}, "show", "more than 64", auth.Grant{}},
		"stream of a number": {[]any{"stream", 7}, "show", "cannot be read", auth.Grant{}},
	} {
		b.pass(0)
		a := attempt(tt.stream, sign(t, key, jose.EdDSA, "k", b.good(tt.change...)))
		a.Remote = away2
		b.failures = newFailures()
		if tt.words != "" {
			b.out(a, auth.WhyKey, tt.words)
			continue
		}
		g, err := b.publish(a)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tt.grants.Credential = g.Credential
		if g.Held != nil || g.Name != tt.grants.Name || g.Ladder != tt.grants.Ladder || g.Standby != tt.grants.Standby || g.MaxBitrate != tt.grants.MaxBitrate || g.MaxDuration != tt.grants.MaxDuration {
			t.Errorf("%s: %+v", name, g)
		}
	}
	b.failures = newFailures()
	b.out(attempt("../etc", sign(t, key, jose.EdDSA, "k", b.good("stream", "*"))), auth.WhyName, "cannot be used")
	b.out(attempt("show", sign(t, key, jose.EdDSA, "k", b.good("x", strings.Repeat("x", mostToken)))), auth.WhyKey, "")
	if i.fetches.Load() != 1 {
		t.Errorf("%d fetches", i.fetches.Load())
	}
}

// TestSubject: a newer token of the same subject is the same publisher, another subject or issuer is another.
func TestSubject(t *testing.T) {
	t.Parallel()
	key := newEd25519()
	b := withJWT(t, newIssuer(t, jwkOf(key, "k", "")))
	b.set.JWT.Issuer = ""
	of := func(change ...any) auth.Credential {
		return b.in(attempt("show", sign(t, key, jose.EdDSA, "k", b.good(change...)))).Credential
	}
	first := of()
	b.pass(time.Hour)
	if of("jti", "another") != first {
		t.Error("a newer token is another publisher")
	}
	if of("sub", "host-8") == first || of("iss", "https://other.example") == first {
		t.Error("two publishers are one")
	}
	if first == "" || strings.Contains(string(first), "host") {
		t.Errorf("credential %q", first)
	}
}

// TestUnknownKeyFlood: tokens with keys that nobody knows have the set fetched once in ten seconds, and a new key is found all the same.
func TestUnknownKeyFlood(t *testing.T) {
	t.Parallel()
	old, next := newEd25519(), newEd25519()
	i := newIssuer(t, jwkOf(old, "old", ""))
	b := withJWT(t, i)
	b.in(attempt("show", sign(t, old, jose.EdDSA, "old", b.good())))
	b.pass(refetchEvery)
	var wg sync.WaitGroup
	for n := range 100 {
		a := attempt("show", sign(t, next, jose.EdDSA, fmt.Sprint("unknown", n), b.good()))
		a.Remote = netipOf(n)
		wg.Go(func() { b.out(a, auth.WhyKey, "key that is not known") })
	}
	wg.Wait()
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want the first and one more", n)
	}
	// The issuer turns to another key: whoever has a token of it waits for ten seconds at most, those of the old one not at all.
	i.has(jwkOf(old, "old", ""), jwkOf(next, "next", ""))
	b.out(attempt("show", sign(t, next, jose.EdDSA, "next", b.good())), auth.WhyKey, "")
	b.pass(refetchEvery)
	b.in(attempt("show", sign(t, next, jose.EdDSA, "next", b.good())))
	i.has(jwkOf(next, "next", ""))
	b.in(attempt("show", sign(t, old, jose.EdDSA, "old", b.good())))
	b.pass(refetchEvery)
	b.in(attempt("show", sign(t, old, jose.EdDSA, "old", b.good()))) // until the next fetch
	// A set whose keys have no names.
	third := newEd25519()
	i.has(jwkOf(third, "", ""))
	b.in(attempt("show", sign(t, third, jose.EdDSA, "third", b.good())))
	if i.fetches.Load() != 4 {
		t.Errorf("%d fetches", i.fetches.Load())
	}
}

// TestTokensWhereOthersGuess: who has a good token is let in though others behind the same address guess: a signature cannot be guessed.
// Tokens that are no good let nobody in, and keep the others out for no longer.
func TestTokensWhereOthersGuess(t *testing.T) {
	t.Parallel()
	key := newEd25519()
	b := withJWT(t, newIssuer(t, jwkOf(key, "k1", jose.EdDSA)), auth.Entry{Stream: "mine", Key: "static-key"})
	for n := range 100 {
		b.publish(attempt("show", fmt.Sprint("guess", n)))
	}
	b.out(attempt("mine", "static-key"), auth.WhyBusy, "try again in")
	b.in(attempt("show", sign(t, key, jose.EdDSA, "k1", b.good())))
	for n := range 60 {
		b.out(attempt("show", sign(t, newEd25519(), jose.EdDSA, "k1", b.good("sub", fmt.Sprint(n)))), auth.WhyKey, "signature is wrong")
	}
	b.pass(2 * wrongEvery)
	b.in(attempt("mine", "static-key"))
}

// TestKeysWithoutNames: where the set has none, a token that no key fits has it fetched again.
func TestKeysWithoutNames(t *testing.T) {
	t.Parallel()
	old, next := newEd25519(), newEd25519()
	i := newIssuer(t, jwkOf(old, "", ""))
	b := withJWT(t, i)
	b.in(attempt("show", sign(t, old, jose.EdDSA, "any", b.good())))
	i.has(jwkOf(next, "", ""))
	b.pass(refetchEvery)
	b.in(attempt("show", sign(t, next, jose.EdDSA, "", b.good())))
	for range 20 {
		b.out(attempt("show", sign(t, old, jose.EdDSA, "", b.good())), auth.WhyKey, "signature is wrong")
	}
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

// TestKeysStay: what was read stays good while the issuer is down, lies or sends too much; without any keys nobody is let in, and that
// is told as what it is.
func TestKeysStay(t *testing.T) {
	t.Parallel()
	key := newEd25519()
	for name, serve := range map[string]http.HandlerFunc{
		"500":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"page":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") },
		"no keys": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"keys": []}`) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"keys": [`+strings.Repeat(" ", mostKeySet)+`]}`)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/jwks2.json", http.StatusFound) },
		"secret": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"keys": [{"kty": "oct", "k": "AAAA", "kid": "k"}]}`)
		},
		"too many": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"keys": [`+strings.Repeat("{},", 64)+`{}]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, jwkOf(key, "k", ""))
			i.does(serve)
			b := withJWT(t, i)
			b.out(attempt("show", sign(t, key, jose.EdDSA, "k", b.good())), auth.WhyDown, "cannot check stream keys")
			i.does(nil)
			b.pass(refetchEvery)
			b.in(attempt("show", sign(t, key, jose.EdDSA, "k", b.good())))
			i.does(serve)
			b.pass(time.Hour)
			b.jwks.look(b.set.JWT)
			b.flights.Wait()
			b.in(attempt("show", sign(t, key, jose.EdDSA, "k", b.good())))
			if b.value("pushcart_auth_jwks_fetches_total", "result", "failed") < 2 || b.value("pushcart_auth_jwks_keys") != 1 || b.value("pushcart_auth_jwks_age_seconds") != 3600 {
				t.Error("the metrics tell nothing of it")
			}
			if text := b.log.String(); strings.Contains(text, "not-for-logs") || !strings.Contains(text, "jwt.jwks") {
				t.Error("the operator is told too much, or nothing")
			}
		})
	}
}

// TestKeyFile: a file is read again when it changes, and a file that is broken changes nothing.
func TestKeyFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		old, next := newEd25519(), newEd25519()
		name := filepath.Join(t.TempDir(), "jwks.json")
		write := func(b []byte) {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		set := func(k ...jose.JSONWebKey) []byte {
			b, _ := json.Marshal(jose.JSONWebKeySet{Keys: k})
			return b
		}
		a := New(Options{Settings: func() Settings { return Settings{JWT: JWT{JWKS: name, Refresh: time.Hour}} }})
		ctx, cancel := context.WithCancel(t.Context())
		go a.Run(ctx)
		try := func(key ed25519.PrivateKey, id string) error {
			b := &bench{clock: &clock{now: time.Now()}}
			_, err := a.Publish(ctx, attempt("show", sign(t, key, jose.EdDSA, id, b.good())))
			return err
		}
		if try(old, "old") == nil {
			t.Error("let in without keys")
		}
		write(set(jwkOf(old, "old", "")))
		time.Sleep(3 * time.Second)
		if err := try(old, "old"); err != nil {
			t.Error(err)
		}
		write(set(jwkOf(next, "the-next-one", "")))
		time.Sleep(3 * time.Second)
		if try(old, "old") == nil || try(next, "the-next-one") != nil {
			t.Error("the file was not read again")
		}
		write([]byte("{"))
		time.Sleep(3 * time.Second)
		if err := try(next, "the-next-one"); err != nil {
			t.Error(err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if err := try(next, "the-next-one"); err != nil {
			t.Error(err)
		}
		cancel()
		synctest.Wait()
	})
}

// TestRefresh: the set is fetched again as often as is set, and soon after a failure; a key that it has no more is good no more.
func TestRefresh(t *testing.T) {
	t.Parallel()
	key := newEd25519()
	i := newIssuer(t, jwkOf(key, "k", ""))
	b := withJWT(t, i)
	look := func(after time.Duration, want int64) {
		t.Helper()
		b.pass(after)
		b.jwks.look(b.set.JWT)
		b.flights.Wait()
		if n := i.fetches.Load(); n != want {
			t.Errorf("%d fetches, want %d", n, want)
		}
	}
	look(0, 1)
	look(9*time.Minute, 1)
	look(time.Minute, 2)
	i.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	look(10*time.Minute, 3)
	look(9*time.Second, 3)
	look(time.Second, 4)
	i.does(nil)
	i.has(jwkOf(newEd25519(), "another", ""))
	look(10*time.Second, 5)
	b.out(attempt("show", sign(t, key, jose.EdDSA, "k", b.good())), auth.WhyKey, "not known")
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, name string
		ok            bool
	}{
		{"show", "show", true}, {"show", "show1", false}, {"*", "", true}, {"*", "x", true}, {"a*", "a", true}, {"a*", "ba", false},
		{"*a", "ba", true}, {"*a", "ab", false}, {"a*b*c", "abc", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "acb", false}, {"a*a", "a", false},
		{"**", "x", true}, {"a**b", "ab", true}, {"*ab*ab", "ab", false}, {"*ab*ab", "abab", true}, {"", "", true}, {"", "x", false},
	} {
		if matches(tt.pattern, tt.name) != tt.ok {
			t.Errorf("%q and %q", tt.pattern, tt.name)
		}
	}
}

func TestIsToken(t *testing.T) {
	t.Parallel()
	token := sign(t, newEd25519(), jose.EdDSA, "k", map[string]any{"a": 1})
	parts := strings.Split(token, ".")
	for secret, want := range map[string]bool{
		token: true, parts[0] + "..": true, "a.b.c": false, parts[0] + "." + parts[1]: false, token + ".x": false, "": false, "show.secret.key": false,
		parts[0] + ".ä.x": false, parts[0] + "=." + parts[1] + "." + parts[2]: false, base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT"}`)) + ".a.b": false,
		base64.RawURLEncoding.EncodeToString([]byte(`"alg"`)) + ".a.b": false,
	} {
		if isToken(secret) != want {
			t.Errorf("%q: %v", secret, !want)
		}
	}
}

func FuzzReadClaims(f *testing.F) {
	for _, s := range []string{
		`{"exp": 1e9, "sub": "a", "stream": "show", "action": "publish"}`, `{"exp": 2e9, "nbf": 1.5, "sub": "a", "stream": ["a*", "b"], "scope": "x publish", "aud": ["a"]}`,
		`{"exp": -1, "sub": "a", "stream": "x"}`, `{"exp": 1e400}`, `{"exp": 1, "exp": 2e9, "sub": "a", "stream": "*"}`, `null`, `[]`, `{"stream": {"a": 1}}`,
		`{"exp": 2e9, "sub": "a", "stream": "*", "max_bitrate": 1e12, "max_duration": 1e300, "ladder": "x\u0000"}`, strings.Repeat(`{"a":`, 5000),
	} {
		f.Add([]byte(s), "show")
	}
	f.Fuzz(func(t *testing.T, b []byte, asked string) {
		c, err := readClaims(b)
		if err != nil {
			return
		}
		if c.subject == "" || len(c.streams) == 0 || len(c.streams) > mostPatterns || c.expires.IsZero() || c.maxBitrate < 0 || c.maxDuration < 0 {
			t.Errorf("%+v", c)
		}
		name, err := c.name(asked)
		if err == nil && asked != "" && name != asked {
			t.Errorf("%q became %q", asked, name)
		}
		_ = c.check(JWT{}, time.Now())
	})
}

func FuzzReadKeySet(f *testing.F) {
	ed, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwkOf(newEd25519(), "k", jose.EdDSA)}})
	f.Add(ed)
	f.Add([]byte(`{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {"kty": "EC", "crv": "P-256", "x": "", "y": ""}, {"kty": "oct", "k": "AAAA"}, 7]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := readKeySet(b)
		if err == nil && (len(keys) == 0 || len(keys) > mostKeys) {
			t.Errorf("%d keys", len(keys))
		}
		for i := range keys {
			if !keys[i].IsPublic() {
				t.Error("a key that is no public one")
			}
			for _, alg := range algorithms {
				fits(&keys[i], string(alg))
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	key := newEd25519()
	c := &bench{clock: &clock{now: time.Unix(1_767_225_600, 0)}}
	f.Add(sign(f, key, jose.EdDSA, "k", c.good()))
	f.Add("eyJhbGciOiJub25lIn0..")
	name := filepath.Join(f.TempDir(), "jwks.json")
	set, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{jwkOf(key, "k", "")}})
	if err := os.WriteFile(name, set, 0o600); err != nil {
		f.Fatal(err)
	}
	good := sign(f, key, jose.EdDSA, "k", c.good())
	signed := good[:strings.LastIndex(good, ".")]
	a := New(Options{Settings: func() Settings { return Settings{JWT: JWT{JWKS: name}} }, Now: c.clock.Now})
	f.Cleanup(a.Close)
	f.Fuzz(func(t *testing.T, token string) {
		a.failures = newFailures()
		_, err := a.Publish(t.Context(), attempt("show", token))
		if err == nil && !strings.HasPrefix(token, signed) {
			t.Errorf("%q is let in", token)
		}
	})
}
