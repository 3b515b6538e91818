package overlay

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pushcart/overlay/journal/journaltest"
)

func TestCards(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	if v := k.View(); v.Stream != "show" || v.Seq != 1 || v.Epoch == 0 || v.Token == "" || v.Cards == nil || v.Slots == nil || v.Timeline == nil || v.Scheduled == nil {
		t.Errorf("a new desk: %+v", v)
	}
	r := do(t, k, put("lamp", "Lamp"))
	if r.Card != "lamp" || r.Rev != 1 || !r.Created || r.Seq != 1 || r.Epoch != k.View().Epoch {
		t.Errorf("created: %+v", r)
	}
	list := k.View().List
	if r = do(t, k, put("lamp", "Lamp")); r.Rev != 1 || r.Created || k.View().List != list {
		t.Errorf("put without a change: %+v, list %d", r, k.View().List)
	}
	if r = do(t, k, Command{Op: OpPut, Body: []byte(` {"name":"Lamp 2", "id":"lamp"}`), IfRev: ptr(int64(1))}); r.Rev != 2 || r.Card != "lamp" {
		t.Errorf("changed: %+v", r)
	}
	if r = do(t, k, Command{Op: OpPatch, Card: "lamp", Body: []byte(`{"brand":"Lux"}`)}); r.Rev != 3 {
		t.Errorf("patched: %+v", r)
	}
	if r = do(t, k, Command{Op: OpPatch, Card: "lamp", Body: []byte(`{"brand":"Lux"}`)}); r.Rev != 3 {
		t.Errorf("patched without a change: %+v", r)
	}
	do(t, k, put("chair", "Chair"))
	do(t, k, put("desk", "Desk"))
	do(t, k, Command{Op: OpOrder, Order: []string{"desk", "lamp", "chair"}})
	if v := k.View(); cardsOf(v) != "desk/1 lamp/3 chair/1" || v.List != 6 || v.Cards[1].UpdatedAt.IsZero() {
		t.Errorf("the list: %s, number %d", cardsOf(v), v.List)
	}
	var m map[string]any
	if err := json.Unmarshal(k.View().Cards[1].Card, &m); err != nil || m["name"] != "Lamp 2" || m["brand"] != "Lux" {
		t.Errorf("the card is %s (%v)", k.View().Cards[1].Card, err)
	}
	if r = do(t, k, Command{Op: OpDelete, Card: "lamp", IfRev: ptr(int64(3))}); r.Card != "lamp" || r.Rev != 3 {
		t.Errorf("deleted: %+v", r)
	}
	// A revision never comes again, neither for the card that was deleted nor after a restart.
	if r = do(t, k, put("lamp", "Lamp")); r.Rev != 4 || !r.Created {
		t.Errorf("made again: %+v", r)
	}
	if p, ok := k.Preview("chair", "DE"); !ok || !bytes.HasPrefix(p, []byte(`{"id":"chair","rev":1,"@type":"Product"`)) || !json.Valid(p) {
		t.Errorf("preview: %s, %v", p, ok)
	}
	if _, ok := k.Preview("table", ""); ok {
		t.Error("a preview of a card that is not there")
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	s := newScreen(t)
	defer h.Follow("show", s).End()
	<-s.began

	do(t, k, put("lamp", "Lamp"))
	do(t, k, put("chair", "Chair"))
	r := do(t, k, show("main", "lamp"))
	if r.Seq != 2 || r.Slot != "main" || r.Card != "lamp" || r.Rev != 1 || r.Schedule != "" || r.At != nil {
		t.Errorf("shown: %+v", r)
	}
	if r = do(t, k, show("main", "lamp")); r.Seq != 2 {
		t.Errorf("shown again: %+v", r)
	}
	do(t, k, show("side", "chair"))
	if r = do(t, k, Command{Op: OpShow, Slot: "top", Card: "lamp", IfSeq: ptr(int64(3)), Source: "api"}); r.Seq != 4 {
		t.Errorf("shown under a condition: %+v", r)
	}
	do(t, k, put("lamp", "Lamp 2")) // both slots change at once
	do(t, k, hide("main"))
	do(t, k, hide("main")) // is empty already
	do(t, k, show("side", "lamp"))
	do(t, k, hide(""))
	do(t, k, hide(""))
	want := []string{
		"1", "2 main=lamp/1", "3 main=lamp/1 side=chair/1", "4 main=lamp/1 side=chair/1 top=lamp/1",
		"5 main=lamp/2 side=chair/1 top=lamp/2", "6 side=chair/1 top=lamp/2", "7 side=lamp/2 top=lamp/2", "8",
	}
	all := s.states()
	if got := briefs(all); !slices.Equal(got, want) {
		t.Fatalf("announced was\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// A slot keeps its range as long as it shows the same.
	e := k.View().Epoch
	for i, ids := range [][]string{nil, {"main-%d-2"}, {"main-%d-2", "side-%d-3"}, {"main-%d-2", "side-%d-3", "top-%d-4"},
		{"main-%d-5", "side-%d-3", "top-%d-5"}, {"side-%d-3", "top-%d-5"}, {"side-%d-7", "top-%d-5"}, nil} {
		for n, id := range ids {
			if want := fmt.Sprintf(id, e); all[i].Open[n].ID != want {
				t.Errorf("state %d has range %s, want %s", i, all[i].Open[n].ID, want)
			}
		}
		if all[i].Frame != nil || !all[i].At.IsZero() || all[i].Epoch != e {
			t.Errorf("state %d: %+v", i, all[i])
		}
	}
	v := k.View()
	if v.Seq != 8 || slotsOf(v) != "" || v.Token == "" || string(all[7].Message) == string(all[0].Message) {
		t.Errorf("in the end: %+v", v)
	}
	var lines []string
	for _, l := range v.Timeline {
		if l.To == nil || l.To.Before(l.From) || l.Source != "api" {
			t.Errorf("timeline: %+v", l)
		}
		lines = append(lines, fmt.Sprintf("%s=%s/%d", l.Slot, l.Card, l.Rev))
	}
	if got := strings.Join(lines, " "); got != "side=lamp/2 top=lamp/2 main=lamp/2 top=lamp/1 side=chair/1 main=lamp/1" {
		t.Errorf("timeline: %s", got)
	}
}

// TestImport: cards whose content stays keep their revision, and what is shown shows its new one.
func TestImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	do(t, k, put("lamp", "Lamp"))
	do(t, k, put("chair", "Chair"))
	do(t, k, put("chair", "Chair 2"))
	do(t, k, put("desk", "Desk"))
	do(t, k, show("main", "lamp"))
	list := k.View().List
	imported := Command{Op: OpImport, Body: []byte(`[` + doc("rug", "Rug") + `,` + doc("lamp", "Lamp 2") + `,` + doc("chair", "Chair 2") + `]`)}
	if r := do(t, k, imported); r.Cards != 3 || r.Seq != 3 {
		t.Errorf("imported: %+v", r)
	}
	v := k.View()
	if cardsOf(v) != "rug/1 lamp/2 chair/2" || slotsOf(v) != "main=lamp/2" || v.List != list+1 {
		t.Errorf("after the import: %s, shown %s, list %d", cardsOf(v), slotsOf(v), v.List)
	}
	if r := do(t, k, imported); r.Cards != 3 || r.Seq != 3 || k.View() != v {
		t.Errorf("imported again: %+v", r)
	}
	do(t, k, hide(""))
	do(t, k, Command{Op: OpImport, Body: []byte(`[]`)})
	if r := do(t, k, put("chair", "Chair")); r.Rev != 3 || cardsOf(k.View()) != "chair/3" {
		t.Errorf("after an empty import: %s", cardsOf(k.View()))
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	do(t, k, Command{Op: OpPut, Body: []byte(`{"id":"lamp","name":"Lamp","offers":[{"price":"5","priceCurrency":"EUR","eligibleRegion":["DE"]},{"price":"6","priceCurrency":"USD","eligibleRegion":["US"]}]}`)})
	if _, ok := h.Document("show", "lamp", 1); ok {
		t.Error("a card that was never shown can be fetched")
	}
	do(t, k, show("main", "lamp"))
	d, ok := h.Document("show", "lamp", 1)
	if !ok || !bytes.HasPrefix(d.Plain, []byte(`{"id":"lamp","rev":1,`)) || !json.Valid(d.Plain) || len(d.ETag) != 34 {
		t.Fatalf("document %s with tag %s, %v", d.Plain, d.ETag, ok)
	}
	z, err := gzip.NewReader(bytes.NewReader(d.Gzip))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || !bytes.Equal(plain, d.Plain) {
		t.Errorf("compressed: %s (%v)", plain, err)
	}
	if again, _ := h.Document("show", "lamp", 1); &again.Plain[0] != &d.Plain[0] || &again.Gzip[0] != &d.Gzip[0] {
		t.Error("the document was made twice")
	}
	h.region = "US"
	us, ok := h.Document("show", "lamp", 1)
	if !ok || bytes.Equal(us.Plain, d.Plain) || us.ETag == d.ETag || bytes.Contains(us.Plain, []byte("EUR")) || !bytes.Contains(us.Plain, []byte("USD")) {
		t.Errorf("in another region: %s", us.Plain)
	}
	for _, c := range []struct {
		stream, id string
		rev        int64
	}{{"show", "lamp", 2}, {"show", "lamp", 0}, {"show", "lamp", -1}, {"show", "chair", 1}, {"show", "../lamp", 1}, {"other", "lamp", 1}} {
		if _, ok := h.Document(c.stream, c.id, c.rev); ok {
			t.Errorf("there is a document %+v", c)
		}
	}
	if all := h.fs.Files(); len(all) != 1 {
		t.Errorf("asking made files: %v", all)
	}
}

// TestIdempotency: a key's second command changes nothing and gets the first one's answer, over restarts too.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	first := do(t, k, keyed("one", put("lamp", "Lamp")))
	unchanged := do(t, k, keyed("two", hide("main")))
	do(t, k, put("lamp", "Lamp 2"))
	do(t, k, show("main", "lamp"))
	check := func(k *Desk) {
		t.Helper()
		v := k.View()
		r := do(t, k, keyed("one", put("lamp", "Lamp")))
		if !r.Replayed || r.Rev != 1 || !r.Created || r.Epoch != first.Epoch {
			t.Errorf("repeated: %+v, first %+v", r, first)
		}
		if r = do(t, k, keyed("two", hide("main"))); !r.Replayed || r.Seq != unchanged.Seq {
			t.Errorf("a command without effect, repeated: %+v", r)
		}
		no(t, k, keyed("one", put("lamp", "Lamp 3")), ReasonReused, "key")
		if k.View() != v {
			t.Error("a repeated command changed something")
		}
	}
	check(k)
	h.Close()
	h = newHouse(t, h.fs)
	k = h.desk("show")
	check(k)
	// A refused command does not use its key up.
	no(t, k, keyed("three", show("side", "chair")), ReasonNotFound, "card")
	do(t, k, put("chair", "Chair"))
	do(t, k, keyed("three", show("side", "chair")))
	for i := range mostKeys - 2 {
		do(t, k, keyed(fmt.Sprint("many", i), hide("none")))
	}
	if r := do(t, k, keyed("one", put("lamp", "Lamp"))); r.Replayed {
		t.Error("a key beyond the bound is remembered")
	}
	if r := do(t, k, keyed("three", show("side", "chair"))); !r.Replayed {
		t.Error("a key within the bound is forgotten")
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := k.Do(ctx, put("lamp", "Lamp")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if cardsOf(k.View()) != "" {
		t.Error("it was carried out nevertheless")
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	do(t, k, put("lamp", "Lamp"))
	do(t, k, show("main", "lamp"))
	h.Close()
	h.Close()
	no(t, k, put("chair", "Chair"), ReasonClosed, "")
	var r *Refusal
	if _, err := h.Desk("show"); !errors.As(err, &r) || r.Reason != ReasonClosed {
		t.Errorf("a desk of closed desks: %v", err)
	}
	if cardsOf(k.View()) != "lamp/1" {
		t.Error("the view is gone")
	}
	h.Document("show", "lamp", 1) // must not open anything
	h.Follow("show", newScreen(t)).End()
	if n := h.counter("pushcart_cards_journal_bytes") + h.counter("pushcart_cards_shown") + h.counter("pushcart_cards_desks_open"); n != 0 {
		t.Errorf("the gauges have %v", n)
	}
}

// TestInBandSetting: a stream follows the node's setting until it has its own.
func TestInBandSetting(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	if h.inBand = false; k.View().InBand {
		t.Error("the node's setting does not arrive")
	}
	do(t, k, Command{Op: OpConfigure})
	do(t, k, Command{Op: OpConfigure, InBand: ptr(true)})
	if !k.View().InBand {
		t.Error("the stream's setting has no effect")
	}
	h.Close()
	h = newHouse(t, h.fs)
	h.inBand = false
	if k = h.desk("show"); !k.View().InBand {
		t.Error("the stream's setting is lost with a restart")
	}
}
