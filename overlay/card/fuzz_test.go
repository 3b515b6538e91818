package card

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// check holds a card against what must be true of every one.
func check(t *testing.T, c *Card) {
	t.Helper()
	doc := c.JSON()
	if len(doc) > MaxSize || !json.Valid(doc) || ValidID(c.ID()) != nil || !bytes.HasPrefix(doc, []byte(`{"id":"`+c.ID()+`","@type":"Product","name":`)) {
		t.Fatalf("the canonical form is %s", doc)
	}
	again, err := Parse(doc, shop)
	if err != nil || !bytes.Equal(again.JSON(), doc) {
		t.Fatalf("%s read back is %v, %v", doc, again, err)
	}
	// Nothing in it can end a script, begin a tag or turn the direction of a page into which somebody pastes it.
	if bytes.ContainsAny(doc, "<>&\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff\ufffd") {
		t.Fatalf("there is something in %s", doc)
	}
	for _, region := range []string{"", "DE", "us", "XK", "ZZ"} {
		local := c.Localise(region)
		var got struct {
			ID       string
			Withheld bool `json:"pushcart:withheld"`
			Offers   []json.RawMessage
		}
		if err := json.Unmarshal(local, &got); err != nil || got.ID != c.ID() || len(local) > MaxSize || !bytes.HasPrefix(local, []byte(`{"id":"`+c.ID()+`"`)) {
			t.Fatalf("%s in %q is %s, %v", doc, region, local, err)
		}
		if region != "" && (bytes.Contains(local, []byte(`"eligibleRegion":`)) || bytes.Contains(local, []byte(`"ineligibleRegion":`))) {
			t.Fatalf("%s in %q tells about regions: %s", doc, region, local)
		}
		for _, raw := range got.Offers {
			if !bytes.Contains(doc, raw[:bytes.IndexByte(raw, ',')]) {
				t.Fatalf("%s has offer %s in %q", doc, raw, region)
			}
		}
		if got.Withheld && string(local) != `{"id":"`+c.ID()+`","pushcart:withheld":true}` {
			t.Fatalf("%s withheld in %q is %s", doc, region, local)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(small))
	for _, h := range hostile {
		f.Add([]byte(h.doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := Parse(doc, shop)
		if err != nil {
			if f := sentence(t, err); c != nil || f.TooLarge && len(doc) <= MaxSize && !strings.Contains(f.Message, "canonical") {
				t.Fatalf("%q: %v, %v", doc, c, f)
			}
			return
		}
		check(t, c)
	})
}

func BenchmarkParse(b *testing.B) {
	for name, doc := range map[string]string{"full": full, "small": small} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse([]byte(doc), shop); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLocalise(b *testing.B) {
	c := parse(b, full, shop)
	b.ReportAllocs()
	for b.Loop() {
		if len(c.Localise("DE")) == 0 {
			b.Fatal("nothing")
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	c := parse(b, full, shop)
	patch := []byte(`{"pushcart:promotion":{"endsAt":"2026-03-01T20:00:00Z"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Merge(patch, shop); err != nil {
			b.Fatal(err)
		}
	}
}
