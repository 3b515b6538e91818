package directory

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pushcart/relay"
)

func packOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// good is an entry that parses.
func good(stream string, gen int64) relay.Entry {
	return relay.Entry{Stream: stream, Origin: "node-9", Region: "eu", Gen: gen, Credential: "c", Live: true, Secret: make([]byte, 32)}
}

// hostile writes what nobody should into the buckets, under the keys of what is used.
func hostile(t *testing.T, a, b *site) {
	ctx := context.Background()
	held := a.must(claimOf("kept", "host"))
	b.sees("kept", held.Gen, patience)
	bad := func(change func(*relay.Entry)) []byte {
		e := good("victim", 5)
		change(&e)
		data, _ := json.Marshal(e)
		return data
	}
	values := [][]byte{
		nil, []byte("{"), []byte("null"), []byte("[]"), []byte(strings.Repeat("[", 60000)), []byte(`{"stream":1}`),
		bad(func(e *relay.Entry) { e.Gen = math.MaxInt64 }), bad(func(e *relay.Entry) { e.Gen = -1 }),
		bad(func(e *relay.Entry) { e.Stream = "other" }), bad(func(e *relay.Entry) { e.Origin = "no de.>" }),
		bad(func(e *relay.Entry) { e.Secret = nil }), bad(func(e *relay.Entry) { e.Credential = strings.Repeat("x", 300) }),
		bad(func(e *relay.Entry) { e.Regions = make([]string, 100) }),
	}
	for _, v := range values {
		before := valueOf(b.metrics.ignored.WithLabelValues("stream", "malformed"))
		if _, err := a.js.Publish(ctx, streamsPrefix+"victim", v); err != nil {
			t.Fatal(err)
		}
		await(t, patience, "it is counted", func() bool {
			return valueOf(b.metrics.ignored.WithLabelValues("stream", "malformed")) > before
		})
	}
	if e, ok := b.Lookup("victim"); ok {
		t.Errorf("a spoilt entry is used: %+v", e)
	}
	// It does not keep the stream from being claimed.
	v := b.must(claimOf("victim", "host"))
	a.sees("victim", v.Gen, patience)
	// A lower generation than one that was seen is not believed, and the origin puts its own back.
	low := good("kept", held.Gen-1)
	data, _ := json.Marshal(low)
	if _, err := b.js.Publish(ctx, streamsPrefix+"kept", data); err != nil {
		t.Fatal(err)
	}
	await(t, patience, "the lower generation is counted", func() bool {
		return valueOf(b.metrics.ignored.WithLabelValues("stream", "lower_generation")) > 0
	})
	b.sees("kept", held.Gen, time.Second)
	await(t, patience, "the origin writes its own again", func() bool {
		m, err := (*b.buckets.streams.Load()).GetLastMsgForSubject(ctx, streamsPrefix+"kept")
		var e relay.Entry
		return err == nil && json.Unmarshal(m.Data, &e) == nil && e.Gen == held.Gen
	})
	// Somebody deletes it.
	if err := (*b.buckets.streams.Load()).Purge(ctx); err != nil {
		t.Fatal(err)
	}
	await(t, patience, "entries that were deleted are asserted again", func() bool {
		m, err := (*b.buckets.streams.Load()).GetLastMsgForSubject(ctx, streamsPrefix+"kept")
		return err == nil && len(m.Data) > 0
	})
	a.Release("kept", held.Gen)
	b.Release("victim", v.Gen)
	// Heartbeats.
	beats := [][]byte{[]byte("{"), []byte(`{"name":"other"}`), []byte(`{"name":"ghost","streams":[{"stream":"a b"}]}`),
		[]byte(`{"name":"ghost","keys":"` + strings.Repeat("k", maxKeys+1) + `"}`), make([]byte, maxRecord+1)}
	was := valueOf(b.metrics.ignored.WithLabelValues("node", "malformed"))
	for _, v := range beats {
		if err := a.nc.Publish(nodesPrefix+"ghost", v); err != nil {
			t.Fatal(err)
		}
	}
	await(t, patience, "all heartbeats are counted", func() bool {
		return valueOf(b.metrics.ignored.WithLabelValues("node", "malformed")) >= was+float64(len(beats))
	})
	for _, p := range b.Peers() {
		if p.Name == "ghost" {
			t.Error("a spoilt heartbeat made a node")
		}
	}
	// A second node of the same name is told of.
	if err := a.nc.Publish(nodesPrefix+b.opts.Self.Name, []byte(`{"name":"`+b.opts.Self.Name+`","instance":"another"}`)); err != nil {
		t.Fatal(err)
	}
	await(t, patience, "the namesake is noticed", func() bool {
		return valueOf(b.metrics.ignored.WithLabelValues("node", "same_name")) == 1
	})
	// Two others of one name are told of once, however often they are heard.
	for i := range 8 {
		beat := fmt.Sprintf(`{"name":"twin","instance":"%d"}`, i%2)
		if err := a.nc.Publish(nodesPrefix+"twin", []byte(beat)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.nc.Publish(nodesPrefix+"twin", []byte("{")); err != nil {
		t.Fatal(err)
	}
	await(t, patience, "the last of them has come", func() bool {
		return valueOf(b.metrics.ignored.WithLabelValues("node", "malformed")) == was+float64(len(beats))+1
	})
	if n := valueOf(b.metrics.ignored.WithLabelValues("node", "same_name")); n != 2 {
		t.Errorf("two nodes of one name were told of %v times", n-1)
	}
	// Notices. Of those that are lies but well made nothing follows.
	kept := a.must(claimOf("noticed", "host"))
	b.sees("noticed", kept.Gen, patience)
	for _, v := range []string{"{", "null", `{"stream":"a b","rev":1}`, `{"stream":"noticed","rev":0}`, `{"stream":"noticed","rev":-1}`,
		strings.Repeat(" ", maxNotice) + `{"stream":"noticed","rev":1}`, `{"stream":"noticed","rev":18446744073709551615}`,
		`{"stream":"nothing","rev":18446744073709551615}`} {
		if err := a.nc.Publish(subject("ghost", noticeToken), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, patience, "all notices are counted", func() bool {
		return valueOf(b.metrics.ignored.WithLabelValues("notice", "malformed")) == 6
	})
	await(t, patience, "the bucket is asked", func() bool {
		b.Directory.mu.Lock()
		defer b.Directory.mu.Unlock()
		h := b.hints["noticed"]
		return h != nil && h.tries > 1
	})
	b.sees("noticed", kept.Gen, time.Second)
	b.sees("nothing", 0, time.Second)
	a.Release("noticed", kept.Gen)
	b.sees("noticed", 0, patience)
	// Frames of the tunnel.
	now := valueOf(b.metrics.ignored.WithLabelValues("request", "malformed"))
	for _, f := range [][]byte{nil, {1}, appendFrame(nil, 99, 0, nil), appendFrame(nil, frameRequest, 0, []byte{255, 255, 255, 255}),
		appendFrame(nil, frameRequest, 0, []byte{0, 0, 0, 2, '{', '}'}), appendFrame(nil, frameData, 0, nil)} {
		if err := a.nc.Publish(subject(b.opts.Self.Name, "http"), f); err != nil {
			t.Fatal(err)
		}
	}
	await(t, patience, "all frames are counted", func() bool {
		return valueOf(b.metrics.ignored.WithLabelValues("request", "malformed")) == now+6
	})
}
