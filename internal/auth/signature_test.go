package auth

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestSign: the example of the specification, and what a receiver refuses.
func TestSign(t *testing.T) {
	t.Parallel()
	// Standard Webhooks 1.0.0, "Signature scheme": secret, identifier, time, body and signature.
	const (
		secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		id     = "msg_p5jXN8AQM9LWM0D4loKWxJek"
		body   = `{"test": 2432232314}`
		want   = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	)
	at := time.Unix(1614265330, 999)
	h := http.Header{}
	Sign(h, secret, id, at, []byte(body))
	if got := h.Get("webhook-signature"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	with := func(name, value string) http.Header {
		c := h.Clone()
		c.Set(name, value)
		return c
	}
	for name, tt := range map[string]struct {
		secret string
		header http.Header
		body   string
		now    time.Time
		ok     bool
	}{
		"right":           {secret, h, body, at, true},
		"late":            {secret, h, body, at.Add(time.Minute), true},
		"several":         {secret, with(Signature, "v2,x v1,AAAA "+want), body, at, true},
		"another body":    {secret, h, body + " ", at, false},
		"another key":     {"whsec_NfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", h, body, at, false},
		"another time":    {secret, with(SignatureTime, "1614265331"), body, at, false},
		"another id":      {secret, with(SignatureID, "msg_2"), body, at, false},
		"another version": {secret, with(Signature, "v2,"+want[3:]), body, at, false},
		"too late":        {secret, h, body, at.Add(6 * time.Minute), false},
		"too early":       {secret, h, body, at.Add(-6 * time.Minute), false},
		"no time":         {secret, with(SignatureTime, ""), body, at, false},
		"no signature":    {secret, with(Signature, ""), body, at, false},
		"nothing":         {secret, http.Header{}, body, at, false},
		"no base64":       {secret, with(Signature, "v1,!"), body, at, false},
		"cut":             {secret, with(Signature, want[:20]), body, at, false},
	} {
		if err := VerifySignature(tt.header, tt.secret, []byte(tt.body), tt.now, 5*time.Minute); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := http.Header{}
	Sign(plain, "plain secret", id, at, []byte(body))
	if err := VerifySignature(plain, "plain secret", []byte(body), at, time.Minute); err != nil {
		t.Error(err)
	}
}

// TestDigestOf: lists of texts that read the same when they are put together are different.
func TestDigestOf(t *testing.T) {
	t.Parallel()
	seen := map[Digest][]string{}
	for _, texts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}} {
		d := DigestOf(nil, texts...)
		if other, there := seen[d]; there {
			t.Errorf("%q and %q have one digest", texts, other)
		}
		seen[d] = texts
	}
	first := DigestOf(nil, "a")
	if DigestOf([]byte("one"), "a") == DigestOf([]byte("two"), "a") || DigestOf(nil, "a") != first {
		t.Error("the pepper makes no difference, or each call does")
	}
	if c := DigestOf(nil, "secret").Credential(); len(c) != 32 || strings.Contains(string(c), "secret") {
		t.Error(c)
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for a, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3::4": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := Network(netip.MustParseAddr(a)); got.String() != want {
			t.Errorf("%s is of %s, want %s", a, got, want)
		}
	}
}

// TestTerms: the entry for the stream says what its key grants, before that for any; the ladder alone may come from the other.
func TestTerms(t *testing.T) {
	t.Parallel()
	k := mustKeys(t,
		Entry{Stream: "show", Key: "secret-one", MaxBitrate: 1, MaxDuration: time.Hour},
		Entry{Stream: "*", Key: "secret-one", Ladder: "any", MaxBitrate: 9, Standby: true},
		Entry{Stream: "show", Key: "secret-two", Ladder: "two", MaxBitrate: 2},
	)
	for _, tt := range []struct {
		stream, secret string
		want           Terms
	}{
		{"show", "secret-one", Terms{Ladder: "any", MaxBitrate: 1, MaxDuration: time.Hour}},
		{"other", "secret-one", Terms{Ladder: "any", MaxBitrate: 9, Standby: true}},
		{"show", "secret-two", Terms{Ladder: "two", MaxBitrate: 2}},
	} {
		c, name, ok := k.Check(tt.stream, tt.secret)
		if got := k.Terms(name, c); !ok || got != tt.want {
			t.Errorf("%s with %s: %+v", tt.stream, tt.secret, got)
		}
	}
	if k.Terms("show", "nobody") != (Terms{}) || (*Keys)(nil).Terms("show", "") != (Terms{}) {
		t.Error("nobody is granted something")
	}
}
