package trust

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

var (
	testSecret = bytes.Repeat([]byte{7}, 32)
	testNow    = time.Unix(1_800_000_000, 0)
)

func TestToken(t *testing.T) {
	t.Parallel()
	token := Token(testSecret, "show1", "eu-1", testNow.Add(TokenLife))
	for _, tt := range []struct {
		name                string
		secret              []byte
		token, stream, node string
		now                 time.Time
		want                error
	}{
		{"fresh", testSecret, token, "show1", "eu-1", testNow, nil},
		{"by a clock that is behind", testSecret, token, "show1", "eu-1", testNow.Add(-5 * time.Second), nil},
		{"with the last of the leeway", testSecret, token, "show1", "eu-1", testNow.Add(TokenLife + 35*time.Second), nil},
		{"expired", testSecret, token, "show1", "eu-1", testNow.Add(TokenLife + 36*time.Second), ErrExpired},
		{"good for too long", testSecret, token, "show1", "eu-1", testNow.Add(-36 * time.Second), ErrForged},
		{"other stream", testSecret, token, "show2", "eu-1", testNow, ErrForged},
		{"other node", testSecret, token, "show1", "eu-2", testNow, ErrForged},
		{"names moved", testSecret, token, "show", "1eu-1", testNow, ErrForged},
		{"other secret", bytes.Repeat([]byte{8}, 32), token, "show1", "eu-1", testNow, ErrForged},
		{"no secret", nil, token, "show1", "eu-1", testNow, ErrForged},
		{"expired and of another secret", bytes.Repeat([]byte{8}, 32), token, "show1", "eu-1", testNow.Add(time.Hour), ErrForged},
		{"none", testSecret, "", "show1", "eu-1", testNow, ErrForged},
		{"longer life written in", testSecret, strings.Replace(token, ".18000003", ".18000004", 1), "show1", "eu-1", testNow, ErrForged},
		{"time in another spelling", testSecret, strings.Replace(token, ".18", ".018", 1), "show1", "eu-1", testNow, ErrForged},
		{"other version", testSecret, "2" + token[1:], "show1", "eu-1", testNow, ErrForged},
		{"one more character", testSecret, token + "A", "show1", "eu-1", testNow, ErrForged},
		{"line end", testSecret, token + "\n", "show1", "eu-1", testNow, ErrForged},
		{"cut short", testSecret, token[:len(token)-1], "show1", "eu-1", testNow, ErrForged},
		{"very long", testSecret, token + strings.Repeat("A", 1000), "show1", "eu-1", testNow, ErrForged},
	} {
		if err := Verify(tt.secret, tt.token, tt.stream, tt.node, tt.now); !errors.Is(err, tt.want) || tt.want == nil && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// Every bit counts.
	for i := range token {
		b := []byte(token)
		b[i] ^= 1
		if Verify(testSecret, string(b), "show1", "eu-1", testNow) == nil {
			t.Errorf("character %d does not count", i)
		}
	}
	for name, bad := range map[string]string{
		"short secret": Token(testSecret[:8], "show1", "eu-1", testNow), "no stream": Token(testSecret, "", "eu-1", testNow),
		"no node": Token(testSecret, "show1", "", testNow), "no time": Token(testSecret, "show1", "eu-1", time.Time{}),
		"long name": Token(testSecret, strings.Repeat("a", 256), "eu-1", testNow),
	} {
		if bad != "" {
			t.Errorf("%s: a token was made", name)
		}
	}
}

// FuzzVerify: whatever is sent, only what Token makes is taken.
func FuzzVerify(f *testing.F) {
	token := Token(testSecret, "show1", "eu-1", testNow.Add(TokenLife))
	f.Add(token)
	f.Add(token[:20])
	f.Add("1.1800000300.")
	f.Add("1.9223372036854775807.AAAA")
	f.Add("1.-1.AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		err := Verify(testSecret, text, "show1", "eu-1", testNow)
		if (err == nil) != (text == token) && err == nil {
			expires, _, parsed := parseToken(text)
			if parsed != nil || Token(testSecret, "show1", "eu-1", time.Unix(expires, 0)) != text {
				t.Errorf("%q is taken", text)
			}
		}
		if err != nil && !errors.Is(err, ErrForged) && !errors.Is(err, ErrExpired) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzParseCertificates: files of any content are read or refused.
func FuzzParseCertificates(f *testing.F) {
	a, err := NewAuthority(time.Now(), AuthorityValidity)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(a.Certificate())
	f.Add(bytes.Repeat(a.Certificate(), 17))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		certs, err := ParseCertificates(text)
		if err == nil && (len(certs) == 0 || len(certs) > maxCertificates) {
			t.Errorf("%d certificates", len(certs))
		}
		for _, c := range certs {
			if id, err := IdentityOf(c); err == nil && id.valid() != nil {
				t.Errorf("%v", id)
			}
		}
		_, _ = parseKey(text)
	})
}

// BenchmarkVerify is what each connection of a peer costs.
func BenchmarkVerify(b *testing.B) {
	token := Token(testSecret, "show1", "eu-1", testNow.Add(TokenLife))
	b.ReportAllocs()
	for b.Loop() {
		if err := Verify(testSecret, token, "show1", "eu-1", testNow); err != nil {
			b.Fatal(err)
		}
	}
}
