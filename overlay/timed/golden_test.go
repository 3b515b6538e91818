package timed

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%q\nwant\n%q", name, got, want)
	}
}

// rfcKey is the example key of RFC 8037 A.1; rfcThumbprint is what A.3 says its thumbprint is.
const (
	rfcSeed       = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
	rfcPublic     = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
	rfcThumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
)

func rfcKey(t testing.TB) *Key {
	t.Helper()
	seed, err := base64.RawURLEncoding.DecodeString(rfcSeed)
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKey(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// states are what the goldens and the fuzz tests begin with.
func states() map[string]State {
	since := time.UnixMilli(1763731234567).UTC()
	return map[string]State{
		"empty": {Stream: "show1", Epoch: 1763731200123, Seq: 18, Slots: []Slot{}},
		"one":   {Stream: "show1", Epoch: 1763731200123, Seq: 17, Slots: []Slot{{"main", "lamp", 3, since}}},
		"three": {Stream: "Show_2-b", Epoch: 1, Seq: 0, Slots: []Slot{
			{"a", "0", 1, time.UnixMilli(0).UTC()},
			{"banner-bottom-01", "a-card_whose-name-is-forty-characters-xx", maxNumber, time.UnixMilli(maxNumber).UTC()},
			{"main", "lamp", 12, since},
		}},
	}
}

// TestGoldens holds every byte that travels: payload, token and tag, and the two forms of the key.
func TestGoldens(t *testing.T) {
	t.Parallel()
	k := rfcKey(t)
	golden(t, "key.pem", k.PEM())
	golden(t, "jwks.json", k.Public().JWKS())
	for name, s := range states() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := k.Sign(s)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", appendState(nil, &s))
			golden(t, name+".jws", []byte(token))
			golden(t, name+".id3", AppendID3(nil, token))
		})
	}
}

// TestWayThrough signs, puts into a tag, takes out and verifies with the key set as it is published.
func TestWayThrough(t *testing.T) {
	t.Parallel()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(k.PEM())
	if err != nil || again.ID() != k.ID() {
		t.Fatalf("the key read back is %v, %v", again, err)
	}
	keys, err := ParseJWKS(k.Public().JWKS())
	if err != nil || keys.Len() != 1 {
		t.Fatalf("%d keys, %v", keys.Len(), err)
	}
	for name, s := range states() {
		token, err := again.Sign(s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		before := []byte("before")
		tag := AppendID3(before, token)
		if len(tag) != len(before)+ID3Size(token) {
			t.Errorf("%s: the tag has %d bytes, ID3Size says %d", name, len(tag)-len(before), ID3Size(token))
		}
		found, err := ParseID3(tag[len(before):])
		if err != nil || found != token {
			t.Fatalf("%s: %q, %v", name, found, err)
		}
		got, err := keys.Verify(found)
		if err != nil || !equal(got, s) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, s)
		}
	}
}

func equal(a, b State) bool {
	return bytes.Equal(appendState(nil, &a), appendState(nil, &b)) && a.validate() == nil
}
