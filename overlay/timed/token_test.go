package timed

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

var b64 = base64.RawURLEncoding

// forge signs any header and payload with the key of RFC 8037.
func forge(t testing.TB, header, payload string) string {
	t.Helper()
	seed, err := b64.DecodeString(rfcSeed)
	if err != nil {
		t.Fatal(err)
	}
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	return input + "." + b64.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(input)))
}

const (
	goodHeader  = `{"alg":"EdDSA","kid":"` + rfcThumbprint + `","typ":"pushcart-state+jwt"}`
	goodPayload = `{"v":1,"stream":"a","epoch":1,"seq":1,"slots":{}}`
)

// TestForgeIsRight: without changes a forged token is a good one, so that each hostile one is refused for its fault alone.
func TestForgeIsRight(t *testing.T) {
	t.Parallel()
	token := forge(t, goodHeader, goodPayload)
	if _, err := rfcKey(t).Public().Verify(token); err != nil {
		t.Fatal(err)
	}
	signed, err := rfcKey(t).Sign(State{Stream: "a", Epoch: 1, Seq: 1})
	if err != nil || signed != token {
		t.Errorf("%s, %v, want %s", signed, err, token)
	}
}

// headerWith changes the good header.
func headerWith(old, by string) string {
	h := strings.Replace(goodHeader, old, by, 1)
	if h == goodHeader {
		panic(old + " is not in the header")
	}
	return h
}

// hostileTokens are tokens that are to be refused, and what the error says. All have signatures that would do.
func hostileTokens(t testing.TB) map[string]struct{ token, want string } {
	good := forge(t, goodHeader, goodPayload)
	parts := strings.Split(good, ".")
	public, err := b64.DecodeString(rfcPublic)
	if err != nil {
		t.Fatal(err)
	}
	// The public key as an HMAC secret: a verifier that lets the token choose the algorithm would accept it.
	confused := b64.EncodeToString([]byte(headerWith("EdDSA", "HS256"))) + "." + parts[1]
	mac := hmac.New(sha256.New, public)
	mac.Write([]byte(confused))
	confused += "." + b64.EncodeToString(mac.Sum(nil))
	// 64 bytes leave four bits of the last character unused.
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", good[len(good)-1])
	loose := good[:len(good)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last|1])
	none := b64.EncodeToString([]byte(headerWith("EdDSA", "none"))) + "." + parts[1] + "."
	full := fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, parts[1], parts[0], parts[2])
	two := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q},{"protected":%q,"signature":%q}]}`,
		parts[1], parts[0], parts[2], parts[0], parts[2])
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Sign(State{Stream: "a", Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]struct{ token, want string }{
		"nothing":             {"", "parts"},
		"two parts":           {parts[0] + "." + parts[1], "parts"},
		"two signatures":      {good + "." + parts[2], "parts"},
		"two in JSON":         {two, "parts"},
		"JSON serialization":  {full, "parts"},
		"trailing bytes":      {good + "AAAA", "signature"},
		"trailing line":       {good + "\n", "part 3 is not base64url"},
		"trailing space":      {good + " ", "part 3 is not base64url"},
		"line break inside":   {good[:20] + "\r\n" + good[20:], "part 1 is not base64url"},
		"padding":             {good + "==", "part 3 is not base64url"},
		"padded header":       {parts[0] + "=." + parts[1] + "." + parts[2], "part 1 is not base64url"},
		"not canonical":       {loose, "part 3 is not base64url"},
		"other alphabet":      {parts[0] + "." + parts[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(parts[2][:8]+"-_"+parts[2][10:]), "part 3 is not base64url"},
		"too long":            {good + strings.Repeat("A", MaxToken), "bytes"},
		"no signature":        {parts[0] + "." + parts[1] + ".", "signature"},
		"detached payload":    {parts[0] + ".." + parts[2], "signature"},
		"altered payload":     {parts[0] + "." + b64.EncodeToString([]byte(strings.Replace(goodPayload, "1", "2", 1))) + "." + parts[2], "signature"},
		"altered signature":   {parts[0] + "." + parts[1] + "." + "A" + parts[2][1:], "signature"},
		"alg none":            {none, "alg"},
		"alg None, signed":    {forge(t, headerWith("EdDSA", "None"), goodPayload), "alg"},
		"HS256":               {confused, "alg"},
		"alg in small":        {forge(t, headerWith("EdDSA", "eddsa"), goodPayload), "alg"},
		"alg of RFC 9864":     {forge(t, headerWith("EdDSA", "Ed25519"), goodPayload), "alg"},
		"no alg":              {forge(t, headerWith(`"alg":"EdDSA",`, ""), goodPayload), "alg"},
		"alg null":            {forge(t, headerWith(`"EdDSA"`, "null"), goodPayload), "alg"},
		"alg twice":           {forge(t, headerWith(`"alg":"EdDSA"`, `"alg":"EdDSA","alg":"none"`), goodPayload), "twice"},
		"wrong typ":           {forge(t, headerWith("pushcart-state+jwt", "JWT"), goodPayload), "typ"},
		"typ with media type": {forge(t, headerWith("pushcart-state+jwt", "application/pushcart-state+jwt"), goodPayload), "typ"},
		"no typ":              {forge(t, headerWith(`,"typ":"pushcart-state+jwt"`, ""), goodPayload), "typ"},
		"no kid":              {forge(t, headerWith(`"kid":"`+rfcThumbprint+`",`, ""), goodPayload), "kid"},
		"empty kid":           {forge(t, headerWith(rfcThumbprint, ""), goodPayload), "kid"},
		"kid as number":       {forge(t, headerWith(`"`+rfcThumbprint+`"`, "1"), goodPayload), "kid"},
		"unknown kid":         {forge(t, headerWith("kPrK", "kPrL"), goodPayload), "not one of the 1 known"},
		"another node's":      {foreign, "not one of the 1 known"},
		"another's kid":       {strings.Replace(foreign, strings.Split(foreign, ".")[0], parts[0], 1), "signature"},
		"own key in header":   {forge(t, headerWith(`{`, `{"jwk":{"kty":"OKP","crv":"Ed25519","x":"`+rfcPublic+`"},`), goodPayload), "deeper"},
		"key's address":       {forge(t, headerWith(`{`, `{"jku":"https://evil.example/jwks.json",`), goodPayload), "canonical"},
		"crit":                {forge(t, headerWith(`{`, `{"crit":"b64",`), goodPayload), "canonical"},
		"b64 false":           {forge(t, headerWith(`{`, `{"b64":false,`), goodPayload), "canonical"},
		"header's order":      {forge(t, `{"typ":"pushcart-state+jwt","alg":"EdDSA","kid":"`+rfcThumbprint+`"}`, goodPayload), "canonical"},
		"header's space":      {forge(t, headerWith(`,`, `, `), goodPayload), "canonical"},
		"header's escape":     {forge(t, headerWith(`kPrK`, `\u006bPrK`), goodPayload), "canonical"},
		"header's tail":       {forge(t, goodHeader+"{}", goodPayload), "follows"},
		"header no JSON":      {forge(t, "EdDSA", goodPayload), "not JSON"},
		"header an array":     {forge(t, "["+goodHeader+"]", goodPayload), "not a JSON object"},
		"header not UTF-8":    {forge(t, headerWith("jwt", "jw\xff"), goodPayload), "not UTF-8"},
	}
	for name, c := range hostileStates() {
		// Those that are too long for a token are refused for that.
		if token := forge(t, goodHeader, c.payload); len(token) <= MaxToken {
			list["payload: "+name] = struct{ token, want string }{token, c.want}
		}
	}
	return list
}

func TestHostileTokens(t *testing.T) {
	t.Parallel()
	keys := rfcKey(t).Public()
	for name, c := range hostileTokens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s, err := keys.Verify(c.token); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v; want an error with %q", s, err, c.want)
			}
		})
	}
}

// TestEveryBitCounts: no token that differs in one bit is accepted.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	keys := rfcKey(t).Public()
	good := forge(t, goodHeader, goodPayload)
	for i := range len(good) * 8 {
		b := []byte(good)
		b[i/8] ^= 1 << (i % 8)
		if _, err := keys.Verify(string(b)); err == nil {
			t.Errorf("bit %d of byte %d may be flipped", i%8, i/8)
		}
	}
}

// TestTooLarge fills slots until the limit: up to it all is fine, and what is over it has the error that callers look for.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	k := rfcKey(t)
	s := State{Stream: "show1", Epoch: 1763731200123, Seq: 17}
	fit := 0
	for i := range 30 {
		s.Slots = append(s.Slots, Slot{fmt.Sprintf("slot-%02d", i), "desk-lamp", 3, time.UnixMilli(1763731234567)})
		token, err := k.Sign(s)
		switch {
		case err == nil && len(token) <= MaxToken && fit == i:
			fit++
		case err == nil:
			t.Fatalf("a token of %d bytes with %d slots", len(token), i+1)
		case !errors.Is(err, ErrTooLarge):
			t.Fatal(err)
		}
	}
	// Eight slots is what a page may reasonably have.
	if fit < 8 {
		t.Errorf("only %d slots fit", fit)
	}
}

// TestZeroKeys: without keys nothing verifies.
func TestZeroKeys(t *testing.T) {
	t.Parallel()
	if _, err := (PublicKeys{}).Verify(forge(t, goodHeader, goodPayload)); err == nil {
		t.Error("a token is accepted without keys")
	}
}

// TestKeyIsShared: many sign and verify with one key.
func TestKeyIsShared(t *testing.T) {
	t.Parallel()
	k := rfcKey(t)
	keys := k.Public()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			token, err := k.Sign(State{Stream: "a", Epoch: 1, Seq: int64(i)})
			if err != nil {
				t.Error(err)
			}
			if s, err := keys.Verify(token); err != nil || s.Seq != int64(i) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	wg.Wait()
}

// FuzzVerify: what is accepted is exactly what the key would sign.
func FuzzVerify(f *testing.F) {
	k := rfcKey(f)
	keys := k.Public()
	for _, s := range states() {
		token, err := k.Sign(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	for _, c := range hostileTokens(f) {
		f.Add(c.token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		s, err := keys.Verify(token)
		if err != nil {
			return
		}
		if again, err := k.Sign(s); err != nil || again != token {
			t.Errorf("%q is accepted, it should be %q (%v)", token, again, err)
		}
	})
}

// FuzzForged is given headers and payloads with a right signature, which a fuzzer does not find by itself.
func FuzzForged(f *testing.F) {
	keys := rfcKey(f).Public()
	f.Add(goodHeader, goodPayload)
	for _, c := range hostileStates() {
		f.Add(goodHeader, c.payload)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		if _, err := keys.Verify(forge(t, header, payload)); err == nil && header != goodHeader {
			t.Errorf("the header %q is accepted", header)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	k, s := rfcKey(b), states()["three"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Sign(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	k, s := rfcKey(b), states()["three"]
	keys := k.Public()
	token, err := k.Sign(s)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Verify(token); err != nil {
			b.Fatal(err)
		}
	}
}
