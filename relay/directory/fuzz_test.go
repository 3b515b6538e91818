package directory

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"pushcart/relay"
)

func FuzzParseEntry(f *testing.F) {
	now := time.UnixMilli(1_790_000_000_000)
	data, _ := json.Marshal(good("show", 1_790_000_000_001))
	f.Add("show", data)
	f.Add("show", []byte(`{"stream":"show","gen":9e99}`))
	f.Add("", []byte("null"))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		if g, ok := parseGrave(key, data, now); ok && (g.Stream != key || g.Gen <= 0) {
			t.Errorf("a grave of %q is %+v", key, g)
		}
		e, err := parseEntry(key, data, now)
		if err != nil {
			return
		}
		// What is taken can be written, and is taken again.
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > maxRecord {
			return
		}
		if b, err := parseEntry(key, again, now); err != nil || !same(e, b) {
			t.Errorf("%+v comes back as %+v, %v", e, b, err)
		}
	})
}

func FuzzParseBeat(f *testing.F) {
	data, _ := appendBeat(beat{Peer: self(1), Instance: "i"})
	f.Add("node-1", data)
	f.Add("node-1", []byte(`{"name":"node-1","streams":[{"stream":"s","gen":-1}]}`))
	f.Fuzz(func(t *testing.T, key string, data []byte) {
		b, err := parseBeat(key, data)
		if err != nil {
			return
		}
		if b.Name != key || len(b.Streams) > maxHeld {
			t.Errorf("the heartbeat of %q is %+v", key, b)
		}
		if again, err := appendBeat(b); err == nil && len(again) > maxRecord {
			t.Errorf("a heartbeat is written with %d bytes", len(again))
		}
	})
}

func FuzzFrames(f *testing.F) {
	payload, _ := appendRequest(requestHead{ID: newID(), From: "node-1", Method: "POST", URI: "/a?b", Header: http.Header{"Accept": {"x"}}, Length: 3}, []byte("abc"))
	f.Add(appendFrame(nil, frameRequest, 0, payload))
	f.Add(appendFrame(nil, frameHead, 1, []byte(`{"status":200,"header":{"A b":["c"]}}`)))
	f.Add([]byte(`{"stream":"show","rev":7}`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, ok := parseNotice(data); ok && (!validStream(n.Stream) || n.Rev == 0) {
			t.Errorf("the notice %+v is taken", n)
		}
		kind, number, payload, err := parseFrame(data)
		if err != nil {
			return
		}
		if again := appendFrame(nil, kind, number, payload); string(again) != string(data) {
			t.Errorf("the frame % x comes back as % x", data, again)
		}
		if h, uri, body, err := parseRequest(payload); err == nil && (uri == nil || !validNode(h.From) || len(body) > h.Length || h.Header.Get("Cookie") != "") {
			t.Errorf("the request %+v is taken", h)
		}
		if a, err := parseAnswer(payload); err == nil {
			for name := range a.Header {
				if name != http.CanonicalHeaderKey(name) {
					t.Errorf("the header %q is taken", name)
				}
			}
		}
	})
}

func FuzzCards(f *testing.F) {
	h, _ := json.Marshal(head{Gen: 1, Pieces: 2, Sum: make([]byte, 32)})
	f.Add(h, packOf(f, []byte("cards")))
	f.Add([]byte("{}"), []byte{0x1f, 0x8b})
	f.Fuzz(func(t *testing.T, data, packed []byte) {
		if h, err := parseHead(data); err == nil && (h.Pieces > maxPieces || h.Pieces < 0 || h.Gen <= 0) {
			t.Errorf("the head %+v is taken", h)
		}
		if b, err := unpack(packed, make([]byte, 32)); err == nil {
			t.Errorf("%d bytes match a sum that nothing has", len(b))
		}
	})
}

func TestBeatFits(t *testing.T) {
	t.Parallel()
	b := beat{Peer: self(1), Instance: "i"}
	for range maxHeld + 50 {
		b.Streams = append(b.Streams, relay.Held{Stream: "a-name-of-sixty-four-characters-which-is-as-long-as-a-name-may-be-0", Gen: 1 << 60, MSN: 1 << 60, From: "node-2"})
	}
	for i := range b.Streams {
		b.Streams[i].Stream = b.Streams[i].Stream[:64]
	}
	data, err := appendBeat(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseBeat("node-1", data)
	if err != nil || len(got.Streams) == 0 || len(data) > maxRecord {
		t.Errorf("%d bytes with %d streams, %v", len(data), len(got.Streams), err)
	}
	b.Keys = string(make([]byte, maxRecord))
	if _, err := appendBeat(b); err == nil {
		t.Error("a key set that fits nowhere was written")
	}
}
