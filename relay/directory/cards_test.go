package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"pushcart/relay"
)

// operator starts a NATS server as an operator might, and returns its address.
func operator(t *testing.T) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the operator's NATS did not come up")
	}
	return s.ClientURL()
}

// noise does not get smaller by packing.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// cards puts snapshots at one node and reads them at another; some of these sizes, which packing does not change.
func cards(t *testing.T, a, b *site, sizes ...int) {
	ctx := context.Background()
	reads := func(stream string, want []byte) {
		t.Helper()
		var got []byte
		var err error
		await(t, patience, fmt.Sprintf("%d bytes of cards of %s", len(want), stream), func() bool {
			if writing(a, stream) || writing(b, stream) {
				return false
			}
			got, err = b.Cards(ctx, stream)
			return err == nil && bytes.Equal(got, want)
		})
	}
	await(t, patience, "there are no cards of nothing", func() bool {
		_, err := b.Cards(ctx, "nothing")
		return errors.Is(err, ErrNoCards) // an election may be on its way
	})
	// The newest wins, and not each is written.
	before := valueOf(a.metrics.cards.WithLabelValues("kept"))
	for i := range 200 {
		a.PutCards("shop", 100, fmt.Appendf(nil, "snapshot %d", i))
	}
	reads("shop", []byte("snapshot 199"))
	if n := valueOf(a.metrics.cards.WithLabelValues("kept")) - before; n > 20 {
		t.Errorf("of 200 snapshots at once %v were written", n)
	}
	// What is put before a release is there when the entry is gone.
	for i := range 10 {
		last := a.must(claimOf("closing", "host"))
		want := fmt.Appendf(nil, "the last state of show %d", i)
		a.PutCards("closing", last.Gen, []byte("an earlier state"))
		a.PutCards("closing", last.Gen, want)
		a.Release("closing", last.Gen)
		await(t, patience, "the entry is gone", func() bool {
			m, err := (*b.buckets.streams.Load()).GetLastMsgForSubject(ctx, streamsPrefix+"closing")
			return err == nil && m.Header.Get(headerOperation) != ""
		})
		if got, err := b.Cards(ctx, "closing"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("after the release the cards are %q, %v", got, err)
		}
	}
	// A later generation wins over an earlier one, whoever comes last.
	b.PutCards("shop", 200, []byte("later"))
	reads("shop", []byte("later"))
	a.PutCards("shop", 150, []byte("earlier"))
	await(t, patience, "the earlier one is dropped", func() bool {
		return valueOf(a.metrics.cards.WithLabelValues("lower_generation")) > 0
	})
	reads("shop", []byte("later"))
	// What is prepared takes the place of what is there, and a show's, of the same generation or a later one, its place.
	a.PutCards("shop", 0, []byte("prepared"))
	reads("shop", []byte("prepared"))
	b.PutCards("shop", 200, []byte("shown"))
	reads("shop", []byte("shown"))
	b.PutCards("new", 0, []byte("prepared"))
	reads("new", []byte("prepared"))
	a.PutCards("new", 5, []byte("shown"))
	reads("new", []byte("shown"))
	// Large ones, packed or in pieces; then a small one again.
	for i, n := range sizes {
		want := noise(n)
		a.PutCards("large", int64(300+i/2), want)
		reads("large", want)
	}
	// Too large.
	a.PutCards("large", 400, make([]byte, maxCards+1))
	if n := valueOf(a.metrics.cards.WithLabelValues("refused")); n != 1 {
		t.Errorf("%v snapshots were refused", n)
	}
	// A head that others have spoilt is not believed, and written over.
	h, _ := json.Marshal(head{Gen: 1, Sum: make([]byte, 32), Packed: []byte("not gzip")})
	for _, bad := range [][]byte{h, []byte("{"), []byte(`{"gen":1,"pieces":7,"sum":"AAAA"}`)} {
		if _, err := a.js.Publish(ctx, cardsPrefix+"spoilt", bad); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Cards(ctx, "spoilt"); !errors.Is(err, ErrNoCards) || errors.Is(err, relay.ErrUnreachable) {
			t.Errorf("spoilt cards: %v, not ErrNoCards", err)
		}
	}
	a.PutCards("spoilt", 2, []byte("good"))
	reads("spoilt", []byte("good"))
}

// writing tells whether something of a stream waits to be written.
func writing(s *site, stream string) bool {
	s.cards.mu.Lock()
	defer s.cards.mu.Unlock()
	return s.cards.waiting[stream] != nil
}

// TestUnpackBomb has a small packed snapshot that is large unpacked.
func TestUnpackBomb(t *testing.T) {
	t.Parallel()
	packed := packOf(t, make([]byte, maxCards+1))
	if len(packed) > 64<<10 {
		t.Fatalf("the bomb has %d bytes", len(packed))
	}
	if _, err := unpack(packed, nil); !errors.Is(err, errTorn) {
		t.Errorf("got %v, not errTorn", err)
	}
}
