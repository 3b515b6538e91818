package playback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestDocumentedForm signs as the package's documentation says, with nothing of the package, and expects what Sign makes.
func TestDocumentedForm(t *testing.T) {
	t.Parallel()
	k := mustKeys(t, Key{"k1", secretOne}, Key{"k2", secretTwo})
	for _, tt := range []struct {
		token Token
		head  string
	}{
		{Token{Stream: "show", Expires: time.Unix(1893456000, 0)}, "1.k1.show.1893456000"},
		{Token{Stream: "Show_1-b", Expires: time.Unix(1893456000, 5e8), Countries: []string{"SE", "NO"}, Viewers: 100}, "1.k1.Show_1-b.1893456000.cSE-NO.v100"},
		{Token{Stream: "s", Expires: time.Unix(0, 0), Viewers: 1}, "1.k1.s.0.v1"},
	} {
		m := hmac.New(sha256.New, []byte(secretOne))
		fmt.Fprintf(m, "/p/%s", tt.head)
		want := tt.head + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
		got := mustSign(t, k, tt.token)
		if got != want {
			t.Errorf("signed %s, want %s", got, want)
		}
		back, err := k.verify(got)
		tt.token.Expires = tt.token.Expires.Truncate(time.Second)
		if err != nil || !reflect.DeepEqual(back, tt.token) {
			t.Errorf("%s is read as %+v, %v", got, back, err)
		}
	}
}

// TestSignRefuses: what cannot be a token is not signed, and the error says what is wrong with it.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	k := mustKeys(t, Key{"k1", secretOne})
	late := time.Unix(1893456000, 0)
	many := make([]string, 33)
	for i := range many {
		many[i] = string([]byte{'A' + byte(i/26), 'A' + byte(i%26)})
	}
	for _, tt := range []struct {
		token Token
		says  string
	}{
		{Token{Expires: late}, "name"},
		{Token{Stream: "a.b", Expires: late}, "name"},
		{Token{Stream: "../a", Expires: late}, "name"},
		{Token{Stream: "a", Expires: time.Unix(-1, 0)}, "1970"},
		{Token{Stream: "a", Expires: time.Unix(1e12, 0)}, "years"},
		{Token{Stream: "a", Expires: late, Countries: []string{"se"}}, "capital"},
		{Token{Stream: "a", Expires: late, Countries: []string{"SE", "SE"}}, "twice"},
		{Token{Stream: "a", Expires: late, Countries: []string{"SE.v1"}}, "capital"},
		{Token{Stream: "a", Expires: late, Countries: many}, "33"},
		{Token{Stream: "a", Expires: late, Viewers: -1}, "viewers"},
		{Token{Stream: "a", Expires: late, Viewers: MaxViewers + 1}, "viewers"},
	} {
		if text, err := k.Sign(tt.token); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: signed %q, error %v; want one about %q", tt.token, text, err, tt.says)
		}
	}
	if _, err := (*Keys)(nil).Sign(Token{Stream: "a", Expires: late}); !errors.Is(err, ErrNoKeys) {
		t.Errorf("without keys: %v", err)
	}
	// The longest of all is not too long.
	long := Token{Stream: strings.Repeat("s", 64), Expires: time.Unix(99999999999, 0), Countries: many[:32], Viewers: MaxViewers}
	text := mustSign(t, mustKeys(t, Key{strings.Repeat("k", 16), secretOne}), long)
	if len(text) > maxToken {
		t.Errorf("a token of %d characters", len(text))
	}
}

// TestKeysRefused: a set of keys that could be confused, or guessed, is none; secrets are not told.
func TestKeysRefused(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]Key{
		{{"", secretOne}}, {{"a.b", secretOne}}, {{strings.Repeat("k", 17), secretOne}}, {{"k/1", secretOne}},
		{{"k1", "short"}}, {{"k1", strings.Repeat("s", 257)}},
		{{"k1", secretOne}, {"k1", secretTwo}},
	} {
		_, err := NewKeys(keys)
		if err == nil || !strings.Contains(err.Error(), "playback.keys[") {
			t.Errorf("%q: %v", keys, err)
			continue
		}
		for _, k := range keys {
			if len(k.Secret) > 4 && strings.Contains(err.Error(), k.Secret) {
				t.Errorf("the error tells a secret: %v", err)
			}
		}
	}
	if _, err := NewPolicy([]Key{{"k1", secretOne}}, []string{"ok", "[a"}); err == nil || !strings.Contains(err.Error(), "playback.open[2]") {
		t.Errorf("a broken pattern: %v", err)
	}
}

// TestRotation: the first key signs, all verify, and what a removed one signed is refused. Ids do not stand for one another.
func TestRotation(t *testing.T) {
	t.Parallel()
	token := Token{Stream: "show", Expires: noon.Add(time.Hour)}
	old := mustKeys(t, Key{"k1", secretOne})
	both := mustKeys(t, Key{"k2", secretTwo}, Key{"k1", secretOne})
	renamed := mustKeys(t, Key{"k2", secretOne})
	by1 := mustSign(t, old, token)
	by2 := mustSign(t, both, token)
	for _, tt := range []struct {
		name string
		keys *Keys
		text string
		want Reason
	}{
		{"the old key, while both are there", both, by1, ""},
		{"the new key", both, by2, ""},
		{"the new key on a node that does not have it yet", old, by2, UnknownKey},
		{"a key that was removed", mustKeys(t, Key{"k2", secretTwo}), by1, UnknownKey},
		{"another key's id", both, strings.Replace(by1, ".k1.", ".k2.", 1), BadSignature},
		{"the right secret by another name", renamed, by1, UnknownKey},
		{"the id of a key with another secret", renamed, by2, BadSignature},
		{"an id that differs by case", both, strings.Replace(by1, ".k1.", ".K1.", 1), UnknownKey},
	} {
		_, err := tt.keys.verify(tt.text)
		var f *Refusal
		if got := Reason(""); errors.As(err, &f) {
			if got = f.Reason; got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
		} else if tt.want != "" {
			t.Errorf("%s is let in", tt.name)
		}
	}
}

// TestEveryCharacterCounts: no token that differs from a good one in a character, that lacks some or has some more, is good.
func TestEveryCharacterCounts(t *testing.T) {
	t.Parallel()
	k := mustKeys(t, Key{"k1", secretOne})
	text := mustSign(t, k, Token{Stream: "show", Expires: noon, Countries: []string{"SE"}, Viewers: 7})
	for i := range len(text) {
		for _, c := range []byte("AaZ09-_.~/% \x00\xff=") {
			if changed := text[:i] + string(c) + text[i+1:]; c != text[i] {
				if _, err := k.verify(changed); err == nil {
					t.Errorf("%q is good although it is not %q", changed, text)
				}
			}
		}
		for _, changed := range []string{text[:i], text[i:][1:], text[:i] + text[i+1:], text[:i] + "A" + text[i:], text[:i] + "." + text[i:]} {
			if _, err := k.verify(changed); err == nil && changed != text {
				t.Errorf("%q is good although it is not %q", changed, text)
			}
		}
	}
	for _, more := range []string{"=", ".", "\n", "A", text, strings.Repeat("x", 1<<20)} {
		if _, err := k.verify(text + more); err == nil {
			t.Errorf("the token followed by %.20q is good", more)
		}
	}
}

// TestFieldsAreStrict: a token whose signature is right is no good when it is not of the one form, or has a field that is not known:
// a later version's restriction must not be overlooked.
func TestFieldsAreStrict(t *testing.T) {
	t.Parallel()
	k := mustKeys(t, Key{"k1", secretOne})
	for _, head := range []string{
		"2.k1.show.1893456000", "1.k1.show.01893456000", "1.k1.show.-1", "1.k1.show.+1", "1.k1.show.1e9", "1.k1.show.", "1.k1.show.999999999999",
		"1.k1..1893456000", "1.k1.sh%6fw.1893456000", "1.k1.-show.1893456000", "1.k1." + strings.Repeat("s", 65) + ".1893456000",
		"1.k1.show.1893456000.c", "1.k1.show.1893456000.cse", "1.k1.show.1893456000.cSE-", "1.k1.show.1893456000.cSE-SE", "1.k1.show.1893456000.cSEN",
		"1.k1.show.1893456000.v", "1.k1.show.1893456000.v0", "1.k1.show.1893456000.v01", "1.k1.show.1893456000.v100001", "1.k1.show.1893456000.v1.cSE",
		"1.k1.show.1893456000.v1.v1", "1.k1.show.1893456000.x1", "1.k1.show.1893456000.cSE.v1.q", "1.k1.show.1893456000.",
	} {
		text := head + "." + k.all[0].signature(head)
		if token, err := k.verify(text); err == nil {
			t.Errorf("%s is read as %+v", head, token)
		}
	}
}

func FuzzToken(f *testing.F) {
	k := mustKeys(f, Key{"k1", secretOne})
	good := mustSign(f, k, Token{Stream: "show", Expires: noon, Countries: []string{"SE", "NO"}, Viewers: 7})
	for _, seed := range []string{"", ".", good, good[:len(good)-1], good + ".", strings.Repeat(".", 300), "1.k1.show.1.cSE.v1." + strings.Repeat("A", 43)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, key, err := parse(text)
		if err != nil {
			return
		}
		// What can be read is written the same way, so that there is one text of each token.
		if head := token.head(key); text[:strings.LastIndexByte(text, '.')] != head {
			t.Errorf("%q is read as %q", text, head)
		}
		if token.valid() != nil {
			t.Errorf("%q is read, but could not be signed: %v", text, token.valid())
		}
		if _, err := k.verify(text); err == nil && text != good && !signedByUs(k, token, text) {
			t.Errorf("%q is good", text)
		}
	})
}

func signedByUs(k *Keys, token Token, text string) bool {
	again, err := k.Sign(token)
	return err == nil && again == text
}
