package overlay

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pushcart/internal/stream"
)

// object is an AMF object.
type object = map[string]any

// carried are messages with a command, by carrier.
func carried(name string, values ...any) *stream.Data {
	return &stream.Data{Name: name, Era: 3, PTS: 90_000, Values: values}
}

func textData(s string) *stream.Data { return carried(stream.DataText, object{"text": s}) }
func seiData(s string) *stream.Data  { return carried(stream.DataSEI, s) }
func cueData(name string, parameters any) *stream.Data {
	return carried(stream.DataCue, object{"name": name, "time": 12.5, "type": "event", "parameters": parameters})
}

// TestInBandCommands: the same command is the same by every carrier.
func TestInBandCommands(t *testing.T) {
	t.Parallel()
	lamp := `{"id":"lamp","name":"Lämp <3","offers":[{"price":"1.00","inventoryLevel":12}]}`
	for name, test := range map[string]struct {
		want Command
		by   []*stream.Data
	}{
		"show": {Command{Op: OpShow, Slot: "main", Card: "lamp"}, []*stream.Data{
			textData(`{"pushcart":"show","card":"lamp"}`),
			textData(" \n{ \"card\" : \"lamp\", \"pushcart\" : \"show\", \"slot\":\"main\" }\r\n"),
			textData(`{"pushcart":"show","card":"l\u0061mp","slot":""}`),
			cueData("pushcart.show", object{"card": "lamp"}),
			cueData("pushcart.show", object{"card": "lamp", "slot": "main"}),
			carried(stream.DataCard, `{"pushcart":"show","card":"lamp"}`),
			carried(stream.DataCard, object{"pushcart": "show", "card": "lamp", "slot": nil}),
			seiData(`{"pushcart":"show","card":"lamp"}`),
			carried(stream.DataChannel, `{"pushcart":"show","card":"lamp"}`),
			carried(stream.DataID3, ` {"card":"lamp","pushcart":"show"} `),
			carried(stream.DataSCTE35, `{"pushcart":"show","card":"lamp","slot":"main"}`),
		}},
		"show elsewhere, with a key": {Command{Op: OpShow, Slot: "side", Card: "lamp", Key: "k 1"}, []*stream.Data{
			textData(`{"pushcart":"show","card":"lamp","slot":"side","key":"k 1"}`),
			cueData("pushcart.show", object{"card": "lamp", "slot": "side", "key": "k 1"}),
			carried(stream.DataCard, object{"pushcart": "show", "card": "lamp", "slot": "side", "key": "k 1"}),
			seiData(`{"key":"k 1","slot":"side","pushcart":"show","card":"lamp"}`),
		}},
		"hide": {Command{Op: OpHide, Slot: "main"}, []*stream.Data{
			textData(`{"pushcart":"hide","slot":"main"}`),
			cueData("pushcart.hide", object{"slot": "main"}),
		}},
		"hide all": {Command{Op: OpHide}, []*stream.Data{
			textData(`{"pushcart":"hide"}`),
			textData(`{"pushcart":"hide","slot":""}`),
			cueData("pushcart.hide", nil),
			cueData("pushcart.hide", object{}),
			carried(stream.DataCard, object{"pushcart": "hide"}),
		}},
		"put": {Command{Op: OpPut, Body: []byte(lamp)}, []*stream.Data{
			textData(`{"pushcart":"put","card":` + lamp + `}`),
			textData(`{"card": { "name":"L\u00e4mp \u003c3", "offers":[ {"inventoryLevel":12,"price":"1.00"} ], "id":"lamp" },"pushcart":"put"}`),
			cueData("pushcart.put", object{"card": lamp}),
			carried(stream.DataCard, object{"pushcart": "put", "card": object{"id": "lamp", "name": "Lämp <3",
				"offers": []any{object{"price": "1.00", "inventoryLevel": 12.0}}}}),
			seiData(`{"pushcart":"put","card":` + lamp + `}`),
		}},
		"patch": {Command{Op: OpPatch, Card: "lamp", Body: []byte(`{"sku":null}`)}, []*stream.Data{
			textData(`{"pushcart":"patch","card":"lamp","patch":{"sku":null}}`),
			cueData("pushcart.patch", object{"card": "lamp", "patch": ` {"sku": null} `}),
			carried(stream.DataCard, object{"pushcart": "patch", "card": "lamp", "patch": object{"sku": nil}}),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hash [32]byte
			for i, d := range test.by {
				c, ours, refusal := commandOf(d)
				if !ours || refusal != nil {
					t.Fatalf("%d, by %s: ours %v, %v", i, d.Name, ours, refusal)
				}
				want := test.want
				want.Source = map[string]string{
					stream.DataSEI: "sei", stream.DataChannel: "datachannel", stream.DataID3: "id3", stream.DataSCTE35: "scte35",
				}[d.Name]
				if want.Source == "" {
					want.Source = "rtmp"
				}
				if c.Op != want.Op || c.Slot != want.Slot || c.Card != want.Card || c.Key != want.Key || c.Source != want.Source ||
					c.Frame == nil || *c.Frame != (Frame{Era: 3, PTS: 90_000}) || (c.Body == nil) != (want.Body == nil) {
					t.Errorf("%d, by %s: %+v", i, d.Name, c)
				}
				if c.IfRev != nil || c.IfSeq != nil || c.Order != nil || c.Schedule != "" || c.InBand != nil || !c.At.IsZero() {
					t.Errorf("%d, by %s: a member that nobody sent: %+v", i, d.Name, c)
				}
				if want.Body != nil && !sameJSON(t, c.Body, want.Body) {
					t.Errorf("%d, by %s: body %s", i, d.Name, c.Body)
				}
				if i == 0 {
					hash = c.Fingerprint
				}
				if c.Fingerprint != hash || hash == [32]byte{} {
					t.Errorf("%d, by %s: fingerprint %x, of the first %x", i, d.Name, c.Fingerprint, hash)
				}
			}
		})
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	a, _ = json.Marshal(x)
	b, _ = json.Marshal(y)
	return string(a) == string(b)
}

func TestInBandFingerprintsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]string{}
	for _, s := range []string{
		`{"pushcart":"show","card":"lamp"}`,
		`{"pushcart":"show","card":"desk"}`,
		`{"pushcart":"show","card":"lamp","slot":"side"}`,
		`{"pushcart":"show","card":"main","slot":"lamp"}`,
		`{"pushcart":"hide","slot":"main"}`,
		`{"pushcart":"hide"}`,
		`{"pushcart":"patch","card":"lamp","patch":{}}`,
		`{"pushcart":"patch","card":"lamp","patch":{"name":"a"}}`,
		`{"pushcart":"patch","card":"lamp","patch":{"name":"b"}}`,
		`{"pushcart":"patch","card":"lamp","patch":{"name":null}}`,
		`{"pushcart":"put","card":{}}`,
		`{"pushcart":"put","card":{"id":"lamp","sku":"9007199254740993"}}`,
		`{"pushcart":"put","card":{"id":"lamp","sku":9007199254740993}}`,
		`{"pushcart":"put","card":{"id":"lamp","sku":9007199254740992}}`,
	} {
		c, _, refusal := commandOf(seiData(s))
		if refusal != nil {
			t.Fatal(refusal)
		}
		if other, twice := seen[c.Fingerprint]; twice {
			t.Errorf("%s has the fingerprint of %s", s, other)
		}
		seen[c.Fingerprint] = s
	}
}

// TestNotOurs: what others send passes without a word.
func TestNotOurs(t *testing.T) {
	t.Parallel()
	for _, d := range []*stream.Data{
		textData(""),
		textData("Tonight on pushcart: lamps!"),
		textData(`[{"pushcart":"show","card":"lamp"}]`),
		textData(`"pushcart"`),
		textData(`{"chat":"I came by \"pushcart\": it took a while"}`),
		textData(`{"from":"pushcart","text":"hello"}`),
		textData(`{"inner":{"pushcart":"show"}}`),
		textData(`{caption pushcart`),
		textData(`{"what":"pushcart", broken`),
		textData(strings.Repeat(`{"lyrics":"la la la"}`, 1000)),
		carried(stream.DataText),
		carried(stream.DataText, "no object"),
		carried(stream.DataText, object{"text": 3.0}),
		carried(stream.DataText, object{"language": "eng"}),
		cueData("scene 2", object{"card": "lamp"}),
		cueData("pushcart", nil),
		cueData("pushcarts.show", nil),
		carried(stream.DataCue, "pushcart.show"),
		carried(stream.DataCue),
		carried(stream.DataMeta, object{"pushcart": "show", "card": "lamp"}),
		carried("onSomething", `{"pushcart":"show","card":"lamp"}`),
	} {
		if c, ours, refusal := commandOf(d); ours || refusal != nil || c.Op != "" || c.Frame != nil {
			t.Errorf("%s %v: ours %v, %v, %+v", d.Name, d.Values, ours, refusal, c)
		}
	}
}

func TestInBandRefusals(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", mostInBand)
	deep := strings.Repeat(`[`, 4000) + strings.Repeat(`]`, 4000)
	for _, test := range []struct {
		d      *stream.Data
		reason Reason
		field  string
		words  string
	}{
		{textData(`{"pushcart":"show","card":}`), ReasonInvalid, "", "not JSON"},
		{textData(`{"pushcart" : "show","card":"lamp"`), ReasonInvalid, "", "cut off"},
		{textData(`{"pushcart":"show","pushcart":"hide"}`), ReasonInvalid, "", `"pushcart" stands in it twice`},
		{textData(`{"pushcart":"show","card":"lamp"} {}`), ReasonInvalid, "", "something follows"},
		{textData(`{"pushcart":"show","card":"` + long + `"}`), ReasonTooLarge, "", "8192 is the most"},
		{textData("{\"pushcart\":\"show\",\"card\":\"\xff\"}"), ReasonInvalid, "", "not UTF-8"},
		{textData(`{"pushcart":null}`), ReasonInvalid, "pushcart", "quotation marks"},
		{textData(`{"pushcart":"explode"}`), ReasonInvalid, "pushcart", `no command "explode"`},
		{textData(`{"pushcart":"delete","card":"lamp"}`), ReasonInvalid, "pushcart", "use show, hide, put or patch"},
		{textData(`{"pushcart":"Show","card":"lamp"}`), ReasonInvalid, "pushcart", `no command "Show"`},
		{textData(`{"pushcart":"show"}`), ReasonInvalid, "card", "missing"},
		{textData(`{"pushcart":"show","card":""}`), ReasonInvalid, "card", "missing"},
		{textData(`{"pushcart":"show","card":7}`), ReasonInvalid, "card", "no string"},
		{textData(`{"pushcart":"show","card":{"id":"lamp"}}`), ReasonInvalid, "card", "no string"},
		{textData(`{"pushcart":"show","card":"lamp","Slot":"main"}`), ReasonInvalid, "Slot", "it takes card, slot, key"},
		{textData(`{"pushcart":"show","card":"lamp","at":"2026-01-01T00:00:00Z"}`), ReasonInvalid, "at", `has no "at"`},
		{textData(`{"pushcart":"show","card":"lamp","slot":null}`), ReasonInvalid, "slot", "no string"},
		{textData(`{"pushcart":"show","card":"lamp","key":1}`), ReasonInvalid, "key", "no string"},
		{textData(`{"pushcart":"hide","card":"lamp"}`), ReasonInvalid, "card", `hide has no "card"`},
		{textData(`{"pushcart":"put"}`), ReasonInvalid, "card", "missing"},
		{textData(`{"pushcart":"put","card":"lamp"}`), ReasonInvalid, "card", "JSON object"},
		{textData(`{"pushcart":"put","card":` + deep + `}`), ReasonInvalid, "card", "JSON object"},
		{textData(`{"pushcart":"patch","patch":{}}`), ReasonInvalid, "card", "missing"},
		{textData(`{"pushcart":"patch","card":"lamp"}`), ReasonInvalid, "patch", "missing"},
		{textData(`{"pushcart":"patch","card":"lamp","patch":null}`), ReasonInvalid, "patch", "JSON object"},
		{cueData("pushcart.", nil), ReasonInvalid, "pushcart", `no command ""`},
		{cueData("pushcart.show.now", nil), ReasonInvalid, "pushcart", `"show.now"`},
		{cueData("pushcart.show", "lamp"), ReasonInvalid, "parameters", "by name"},
		{cueData("pushcart.show", object{"card": 7.0}), ReasonInvalid, "card", "no string"},
		{cueData("pushcart.show", object{"card": "lamp", "pushcart": "hide"}), ReasonInvalid, "pushcart", "leave the parameter out"},
		{cueData("pushcart.show", object{"card": "lamp", "color": "red"}), ReasonInvalid, "color", `has no "color"`},
		{cueData("pushcart.show", object{"card": long + "x"}), ReasonTooLarge, "card", "8192 is the most"},
		{cueData("pushcart.put", object{"card": "lamp"}), ReasonInvalid, "card", "one JSON object"},
		{cueData("pushcart.put", object{"card": "{} {}"}), ReasonInvalid, "card", "one JSON object"},
		{cueData("pushcart.put", object{"card": "{\"id\":\"\xff\"}"}), ReasonInvalid, "card", "UTF-8"},
		{carried(stream.DataCard), ReasonInvalid, "", "0 arguments"},
		{carried(stream.DataCard, `{}`, `{}`), ReasonInvalid, "", "2 arguments"},
		{carried(stream.DataCard, 3.0), ReasonInvalid, "", "no command"},
		{carried(stream.DataCard, nil), ReasonInvalid, "", "no command"},
		{carried(stream.DataCard, `{}`), ReasonInvalid, "pushcart", `no command ""`},
		{carried(stream.DataCard, `show lamp`), ReasonInvalid, "", "no JSON object"},
		{carried(stream.DataCard, object{}), ReasonInvalid, "pushcart", `no command ""`},
		{carried(stream.DataCard, object{"pushcart": "put", "card": object{"x": math.Inf(1)}}), ReasonInvalid, "card", "a number"},
		{carried(stream.DataCard, object{"pushcart": "put", "card": object{"x": math.NaN()}}), ReasonInvalid, "card", "a number"},
		{carried(stream.DataCard, object{"pushcart": "put", "card": object{"x": long}}), ReasonTooLarge, "", "more than 8192"},
		{carried(stream.DataCard, object{"pushcart": "put", "card": []any{}}), ReasonInvalid, "card", "JSON object"},
		{seiData(""), ReasonInvalid, "", "no JSON object"},
		{seiData("{}{}"), ReasonInvalid, "", "something follows"},
		{seiData(`{"a":1,}`), ReasonInvalid, "", "not JSON"},
		{seiData(`{"a" 1}`), ReasonInvalid, "", "not JSON"},
		{seiData(`{1:2}`), ReasonInvalid, "", "not JSON"},
		{carried(stream.DataSEI), ReasonInvalid, "", "no JSON object"},
		{carried(stream.DataChannel, 1.0), ReasonInvalid, "", "no JSON object"},
		{carried(stream.DataID3, "{}{}"), ReasonInvalid, "", "something follows"},
		{carried(stream.DataSCTE35, `{"pushcart":"show"}`), ReasonInvalid, "card", "missing"},
	} {
		c, ours, refusal := commandOf(test.d)
		if !ours || refusal == nil {
			t.Errorf("%s %.80q: ours %v, refusal %v", test.d.Name, test.d.Values, ours, refusal)
			continue
		}
		if refusal.Reason != test.reason || refusal.Field != test.field || !strings.Contains(refusal.Message, test.words) || !strings.HasSuffix(refusal.Message, ".") {
			t.Errorf("%s %.80q: %s, field %q: %s", test.d.Name, test.d.Values, refusal.Reason, refusal.Field, refusal.Message)
		}
		if c.Source == "" || c.Frame == nil || c.Fingerprint != [32]byte{} {
			t.Errorf("%s %.80q: %+v", test.d.Name, test.d.Values, c)
		}
	}
}

// FuzzInBand reads any text by every carrier. Nothing but a whole command passes, and it is within bounds.
func FuzzInBand(f *testing.F) {
	f.Add("show", `{"pushcart":"show","card":"lamp","slot":"main"}`)
	f.Add("put", `{"pushcart":"put","card":{"id":"lamp","name":"a"},"key":"k"}`)
	f.Add("patch", `{"pushcart":"patch","card":"lamp","patch":{"offers":[{"price":"1"}]}}`)
	f.Add("hide", `{"pushcart":"hide"`)
	f.Add("hide", "{\"\\u0070ushcart\":\"hide\",\"slot\":\"\ud7ff\"} ")
	f.Fuzz(func(t *testing.T, op, text string) {
		var shape object
		messages := []*stream.Data{
			textData(text), seiData(text), carried(stream.DataCard, text),
			cueData("pushcart."+op, object{"card": text, "slot": op}), cueData("pushcart."+op, object{"card": op, "patch": text, "key": op}),
		}
		if json.Unmarshal([]byte(text), &shape) == nil {
			messages = append(messages, carried(stream.DataCard, shape), cueData("pushcart."+op, shape))
		}
		var hash [32]byte
		for i, d := range messages {
			c, ours, refusal := commandOf(d)
			if i > 0 && !ours || !ours && refusal != nil {
				t.Fatalf("%s: ours %v, refusal %v", d.Name, ours, refusal)
			}
			if !ours {
				continue
			}
			if refusal != nil {
				if refusal.Message == "" || len(refusal.Message) > 1000 || refusal.Reason != ReasonInvalid && refusal.Reason != ReasonTooLarge {
					t.Fatalf("%s: refusal %+v", d.Name, refusal)
				}
				continue
			}
			if _, known := inBandMembers[c.Op]; !known || c.Frame == nil || c.Source == "" || c.Fingerprint == [32]byte{} {
				t.Fatalf("%s: %+v", d.Name, c)
			}
			if n := len(c.Card) + len(c.Slot) + len(c.Key) + len(c.Body); n > 3*mostInBand || !utf8.Valid(c.Body) {
				t.Fatalf("%s: %d bytes, %q", d.Name, n, c.Body)
			}
			if (c.Op == OpPut || c.Op == OpPatch) != json.Valid(c.Body) {
				t.Fatalf("%s: body %q", d.Name, c.Body)
			}
			if i < 3 { // the same text
				if hash != [32]byte{} && c.Fingerprint != hash {
					t.Fatalf("%s: another fingerprint", d.Name)
				}
				hash = c.Fingerprint
			}
		}
	})
}

func BenchmarkInBand(b *testing.B) {
	for name, d := range map[string]*stream.Data{
		"caption":  textData("Good evening, and welcome to the show."),
		"metadata": carried(stream.DataMeta, object{"width": 1280.0}),
		"show":     textData(`{"pushcart":"show","card":"lamp"}`),
		"put":      seiData(`{"pushcart":"put","card":{"id":"lamp","name":"Lamp","offers":[{"price":"1.00","priceCurrency":"EUR"}]}}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				commandOf(d)
			}
		})
	}
}
