package timed

import (
	"bytes"
	"testing"
)

// keysOf makes n keys' public halves.
func keysOf(t *testing.T, n int) []PublicKeys {
	t.Helper()
	all := make([]PublicKeys, n)
	for i := range all {
		k, err := NewKey()
		if err != nil {
			t.Fatal(err)
		}
		all[i] = k.Public()
	}
	return all
}

// TestRing: a ring's set has its own key first and each other once, is the same for the same keys however they came, and can be
// learnt by another node as a whole.
func TestRing(t *testing.T) {
	t.Parallel()
	k := keysOf(t, 4)
	a, b := NewRing(k[0]), NewRing(k[0])
	if !bytes.Equal(a.JWKS(), k[0].JWKS()) {
		t.Errorf("a ring that has learnt nothing has %s", a.JWKS())
	}
	for _, i := range []int{1, 2, 3, 2, 0} {
		if err := a.Learn(k[i].JWKS()); err != nil {
			t.Fatal(err)
		}
	}
	before := a.JWKS()
	for _, i := range []int{3, 1, 2} {
		if err := b.Learn(k[i].JWKS()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.JWKS(), b.JWKS()) {
		t.Errorf("the same keys make two sets: %s and %s", a.JWKS(), b.JWKS())
	}
	if err := a.Learn([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`)); err == nil || !bytes.Equal(a.JWKS(), before) {
		t.Error("a secret key is learnt", err)
	}
	got, err := ParseJWKS(a.JWKS())
	if err != nil || got.Len() != 4 || got.list[0].id != k[0].list[0].id || a.Keys().Len() != 4 {
		t.Errorf("%d keys: %v", got.Len(), err)
	}
	c := NewRing(k[3])
	if err := c.Learn(a.JWKS()); err != nil || c.Keys().Len() != 4 {
		t.Errorf("another node has %d keys: %v", c.Keys().Len(), err)
	}
}

// TestRingIsBounded: of too many keys those go that were not told of for longest, never the node's own, and the set can be read.
func TestRingIsBounded(t *testing.T) {
	t.Parallel()
	k := keysOf(t, MostRing+10)
	r := NewRing(k[0])
	for i, p := range k[1:] {
		if err := r.Learn(p.JWKS()); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			if err := r.Learn(k[1].JWKS()); err != nil { // one that is told of again and again
				t.Fatal(err)
			}
		}
	}
	set, err := ParseJWKS(r.JWKS())
	if err != nil || set.Len() != MostRing {
		t.Fatalf("%d keys: %v", set.Len(), err)
	}
	for i, want := range map[int]bool{0: true, 1: true, 2: false, 9: false, 12: true, MostRing + 9: true} {
		if has := set.find(k[i].list[0].id) != nil; has != want {
			t.Errorf("key %d is there: %v", i, has)
		}
	}
}
