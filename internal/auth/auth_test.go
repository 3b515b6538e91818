package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func hashed(secret string) string {
	d := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(d[:])
}

func mustKeys(t *testing.T, entries ...Entry) *Keys {
	t.Helper()
	k, err := NewKeys(entries)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestCheck(t *testing.T) {
	k := mustKeys(t,
		Entry{Stream: "show1", Key: "secret-one"},
		Entry{Stream: "show1", Key: "backup-one"},
		Entry{Stream: "show2", Key: hashed("secret-two")},
		Entry{Stream: "show3", Key: "shared-key"}, Entry{Stream: "show4", Key: "shared-key"},
		Entry{Stream: "*", Key: "master-key"},
		Entry{Stream: "show5", Key: "both-key"}, Entry{Stream: "*", Key: "both-key"},
	)
	tests := []struct {
		stream, secret, name string
		ok                   bool
	}{
		{"show1", "secret-one", "show1", true},
		{"show1", "backup-one", "show1", true},
		{"show2", "secret-two", "show2", true},
		{"show2", "secret-one", "", false},
		{"show1", "", "", false},
		{"", "", "", false},
		{"secret-one", "", "show1", true},
		{"", "secret-one", "show1", true},
		{"secret-two", "", "show2", true},
		{hashed("secret-two"), "", "", false},
		{"show2", hashed("secret-two"), "", false},
		{"show3", "shared-key", "show3", true},
		{"show4", "shared-key", "show4", true},
		{"shared-key", "", "", false},
		{"anything", "master-key", "anything", true},
		{"show1", "master-key", "show1", true},
		{"master-key", "", "", false},
		{"", "master-key", "", false},
		{"both-key", "", "show5", true},
		{"other", "both-key", "other", true},
		{"Show1", "secret-one", "", false},
		{"*", "secret-one", "", false},
	}
	for _, tt := range tests {
		cred, name, ok := k.Check(tt.stream, tt.secret)
		if ok != tt.ok || name != tt.name {
			t.Errorf("Check(%q, %q) = %q, %v; want %q, %v", tt.stream, tt.secret, name, ok, tt.name, tt.ok)
		}
		if (cred != "") != ok {
			t.Errorf("Check(%q, %q) gives credential %q with ok %v", tt.stream, tt.secret, cred, ok)
		}
	}
}

func TestCredential(t *testing.T) {
	check := func(k *Keys, stream, secret string) Credential {
		t.Helper()
		c, _, ok := k.Check(stream, secret)
		if !ok {
			t.Fatalf("Check(%q, %q) refuses", stream, secret)
		}
		return c
	}
	plain := mustKeys(t, Entry{Stream: "show", Key: "secret-one"}, Entry{Stream: "show", Key: "secret-two"})
	reloaded := mustKeys(t, Entry{Stream: "show", Key: hashed("secret-one")})
	one := check(plain, "show", "secret-one")
	if got := check(plain, "secret-one", ""); got != one {
		t.Error("the same secret alone has another credential")
	}
	if got := check(reloaded, "show", "secret-one"); got != one {
		t.Error("the same secret has another credential once it is configured as a hash")
	}
	if got := check(plain, "show", "secret-two"); got == one {
		t.Error("two secrets have one credential")
	}
	digest := hashed("secret-one")[len(hashPrefix):]
	if strings.Contains(string(one), "secret") || strings.Contains(digest, string(one)) {
		t.Errorf("credential %q tells about its secret", one)
	}
}

func TestNewKeysErrors(t *testing.T) {
	tests := []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"no stream", []Entry{{Stream: "", Key: "secret-one"}}, "entry 1: the stream cannot be used: it is empty"},
		{"bad stream", []Entry{{Stream: "ok", Key: "secret-one"}, {Stream: "a/b", Key: "secret-one"}}, `entry 2: the stream cannot be used: it has '/' in it; ` +
			`a stream name is made of the letters A to Z and a to z, digits, "-" and "_"`},
		{"no key", []Entry{{Stream: "show", Key: ""}}, "entry 1: the key cannot be used: it is empty"},
		{"short hash", []Entry{{Stream: "show", Key: "sha256:abcd"}}, `entry 1: the key cannot be used: after "sha256:" stand 64 hexadecimal digits, ` +
			"as printed by: printf %s SECRET | sha256sum"},
		{"twice", []Entry{{Stream: "show", Key: "secret-one"}, {Stream: "*", Key: "secret-one"}, {Stream: "show", Key: hashed("secret-one")}},
			"entry 3: the key cannot be used: entry 1 has the same secret for the same stream"},
		{"all at once", []Entry{{Stream: "", Key: ""}, {Stream: "show", Key: "short"}},
			"entry 1: the stream cannot be used: it is empty; entry 1: the key cannot be used: it is empty; " +
				"entry 2: the key cannot be used: it is shorter than 8 characters; a good one: openssl rand -hex 16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewKeys(tt.entries)
			var entries EntryErrors
			if !errors.As(err, &entries) || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestEmpty(t *testing.T) {
	var none *Keys
	if !none.Empty() || !mustKeys(t).Empty() || mustKeys(t, Entry{Stream: "*", Key: "some-key"}).Empty() {
		t.Error("Empty is wrong")
	}
	if _, _, ok := none.Check("show", "secret"); ok {
		t.Error("no keys let somebody in")
	}
}

func TestStore(t *testing.T) {
	var s Store
	if !s.Load().Empty() {
		t.Error("a new store has keys")
	}
	a, b := mustKeys(t, Entry{Stream: "show", Key: "secret-a"}), mustKeys(t, Entry{Stream: "show", Key: "secret-b"})
	s.Store(a)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 1000 {
				k := s.Load()
				_, _, okA := k.Check("show", "secret-a")
				_, _, okB := k.Check("show", "secret-b")
				if okA == okB {
					t.Error("a set of keys is torn")
					return
				}
			}
		})
	}
	for i := range 1000 {
		s.Store([]*Keys{a, b}[i%2])
	}
	readers.Wait()
}

func TestPermits(t *testing.T) {
	k := mustKeys(t, Entry{Stream: "show1", Key: "secret-one"}, Entry{Stream: "show2", Key: hashed("secret-two")}, Entry{Stream: "*", Key: "master-key"})
	tests := []struct {
		stream, secret string
		ok             bool
	}{
		{"show1", "secret-one", true},
		{"show2", "secret-two", true},
		{"show1", "master-key", true},
		{"other", "master-key", true},
		{"show2", "secret-one", false},
		{"show1", "secret-on", false},
		{"show1", "", false},
		// A publisher's secret may stand for its stream; an operator's token never does.
		{"", "secret-one", false},
		{"secret-one", "", false},
		{"", "master-key", false},
		{"", "", false},
	}
	for _, tt := range tests {
		if c, ok := k.Permits(tt.stream, tt.secret); ok != tt.ok || (c != "") != ok {
			t.Errorf("Permits(%q, %q) = %q, %v; want %v", tt.stream, tt.secret, c, ok, tt.ok)
		}
	}
	var none *Keys
	if _, ok := none.Permits("show1", "secret-one"); ok {
		t.Error("no keys let somebody in")
	}
}

func TestWatch(t *testing.T) {
	var s Store
	before, changed := s.Watch()
	if _, again := s.Watch(); before != nil || again != changed {
		t.Error("two who watch the same keys wait for different things")
	}
	select {
	case <-changed:
		t.Fatal("keys changed although nobody stored any")
	default:
	}
	a := mustKeys(t, Entry{Stream: "show", Key: "secret-a"})
	s.Store(a)
	<-changed
	now, next := s.Watch()
	select {
	case <-next:
		t.Error("keys changed twice")
	default:
	}
	if now != a || s.Load() != a {
		t.Error("the keys are not those that were stored")
	}
}

func TestValidName(t *testing.T) {
	long := strings.Repeat("x", 64)
	for name, want := range map[string]string{
		"a": "", "7": "", "Show-1_b": "", long: "",
		"":         "it is empty",
		long + "x": "it is longer than 64 characters",
		"-a":       `it begins with '-'; a stream name begins with a letter or a digit`,
		"_a":       `it begins with '_'; a stream name begins with a letter or a digit`,
		"a b":      `it has ' ' in it; a stream name is made of the letters A to Z and a to z, digits, "-" and "_"`,
		"é":        `it has 'é' in it; a stream name is made of the letters A to Z and a to z, digits, "-" and "_"`,
		"a\x00":    `it has '\x00' in it; a stream name is made of the letters A to Z and a to z, digits, "-" and "_"`,
		"a\xff":    `it has '�' in it; a stream name is made of the letters A to Z and a to z, digits, "-" and "_"`,
	} {
		got := ""
		if err := ValidName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ValidName(%q) = %q; want %q", name, got, want)
		}
	}
}

func TestValidKey(t *testing.T) {
	for key, want := range map[string]string{
		"12345678": "", "aB3-_.~=": "", hashed("x"): "", strings.Repeat("x", 128): "",
		"":                       "it is empty",
		"short":                  "it is shorter than 8 characters; a good one: openssl rand -hex 16",
		strings.Repeat("x", 129): "it is longer than 128 characters",
		"with space":             "it has a character that a URL does not carry unchanged; use letters, digits and - _ . ~ = only",
		"with&amper":             "it has a character that a URL does not carry unchanged; use letters, digits and - _ . ~ = only",
		hashed(""):               "it is the hash of nothing, as of a shell variable that is not set",
		"sha256:zz":              `after "sha256:" stand 64 hexadecimal digits, as printed by: printf %s SECRET | sha256sum`,
	} {
		got := ""
		if err := ValidKey(key); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("ValidKey(%q) = %q; want %q", key, got, want)
		}
	}
}

func TestGenerate(t *testing.T) {
	shape := regexp.MustCompile(`^[a-z0-9]{26,}$`)
	seen := map[string]bool{}
	for range 100 {
		s := Generate()
		if !shape.MatchString(s) || seen[s] || ValidKey(s) != nil {
			t.Fatalf("generated %q", s)
		}
		seen[s] = true
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("show1", "secret-one")
	f.Add("secret-one", "")
	f.Add("any", "master-key")
	f.Add("", "")
	k, err := NewKeys([]Entry{{Stream: "show1", Key: "secret-one"}, {Stream: "*", Key: "master-key"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, stream, secret string) {
		_, name, ok := k.Check(stream, secret)
		allowed := secret == "master-key" && stream != "" ||
			stream == "show1" && secret == "secret-one" ||
			stream == "secret-one" && secret == "" || stream == "" && secret == "secret-one"
		if ok != allowed {
			t.Fatalf("Check(%q, %q) = %q, %v", stream, secret, name, ok)
		}
	})
}

func FuzzNewKeys(f *testing.F) {
	f.Add("show", "secret")
	f.Add("*", "sha256:"+strings.Repeat("0", 64))
	f.Add("-", "sha256:")
	f.Fuzz(func(t *testing.T, stream, secret string) {
		k, err := NewKeys([]Entry{{Stream: stream, Key: secret}})
		if err == nil && (k.Empty() || stream != AnyStream && ValidName(stream) != nil) {
			t.Fatalf("NewKeys(%q, %q) gives %v", stream, secret, k)
		}
	})
}

func TestKnown(t *testing.T) {
	t.Parallel()
	k, err := NewKeys([]Entry{{Stream: "show", Key: "secret-of-show"}, {Stream: AnyStream, Key: "secret-of-all"}})
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]bool{"secret-of-show": true, "secret-of-all": true, "": false, "secret": false, "show": false} {
		if k.Known(secret) != want {
			t.Errorf("%q is known: %v", secret, !want)
		}
	}
	if (*Keys)(nil).Known("secret-of-all") {
		t.Error("an empty set knows a secret")
	}
}

func TestLadderOfKey(t *testing.T) {
	t.Parallel()
	k := mustKeys(t,
		Entry{Stream: "show1", Key: "secret-one", Ladder: "mobile"},
		Entry{Stream: "*", Key: "master-key", Ladder: "studio"}, Entry{Stream: "show1", Key: "master-key", Ladder: "own"},
		Entry{Stream: "show2", Key: "secret-two"},
	)
	for _, tt := range []struct{ stream, secret, want string }{
		{"show1", "secret-one", "mobile"}, {"show2", "secret-two", ""}, {"show2", "master-key", "studio"}, {"show1", "master-key", "own"},
	} {
		c, _, ok := k.Check(tt.stream, tt.secret)
		if got := k.Terms(tt.stream, c).Ladder; !ok || got != tt.want {
			t.Errorf("%s with %s has the ladder %q, want %q", tt.stream, tt.secret, got, tt.want)
		}
	}
	if (*Keys)(nil).Terms("show1", "x") != (Terms{}) {
		t.Error("no keys have a ladder")
	}
}
