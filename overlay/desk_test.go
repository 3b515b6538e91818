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
	"time"

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

func TestRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	do(t, k, put("lamp", "Lamp"))
	do(t, k, put("chair", "Chair"))
	do(t, k, show("main", "lamp"))
	do(t, k, Command{Op: OpShow, Slot: "side", Card: "chair", At: time.Now().Add(time.Hour)})
	before, size := k.View(), len(h.fs.Bytes(showJournal))
	n := func(n int64) *int64 { return &n }
	far := time.Now().Add(1000 * 24 * time.Hour)
	for _, c := range []struct {
		Command
		reason Reason
		field  string
	}{
		{Command{Op: "steal"}, ReasonInvalid, "op"},
		{Command{Op: OpPut, Card: "x", Body: []byte(doc("y", "Y"))}, ReasonInvalid, "id"},
		{Command{Op: OpPut, Body: []byte(`{"id":"y"}`)}, ReasonInvalid, "name"},
		{Command{Op: OpPut, Body: []byte(doc("y", "Y")), At: far}, ReasonInvalid, "at"},
		{Command{Op: OpPut, Card: "y", Body: []byte(doc("y", strings.Repeat("y", 5000)))}, ReasonTooLarge, ""},
		{Command{Op: OpPut, Body: make([]byte, 4<<20)}, ReasonTooLarge, ""},
		{Command{Op: OpPut, Card: "lamp", Body: []byte(doc("lamp", "L")), IfRev: n(0)}, ReasonStale, ""},
		{Command{Op: OpPut, Card: "lamp", Body: []byte(doc("lamp", "L")), IfRev: n(2)}, ReasonStale, ""},
		{Command{Op: OpPut, Card: "new", Body: []byte(doc("new", "N")), IfRev: n(2)}, ReasonStale, ""},
		{Command{Op: OpPatch, Card: "lamp", Body: []byte(`{"url":"https://evil.example/x"}`)}, ReasonInvalid, "url"},
		{Command{Op: OpPatch, Card: "lamp", Body: []byte(`{"id":"chair"}`)}, ReasonInvalid, "id"},
		{Command{Op: OpPatch, Card: "lamp", Body: []byte(`{"brand":"B"}`), IfRev: n(7)}, ReasonStale, ""},
		{Command{Op: OpPatch, Card: "table", Body: []byte(`{}`)}, ReasonNotFound, "card"},
		{Command{Op: OpPatch, Card: "T!", Body: []byte(`{}`)}, ReasonInvalid, "card"},
		{Command{Op: OpPatch, Card: "lamp", Body: make([]byte, 5000)}, ReasonTooLarge, ""},
		{Command{Op: OpDelete, Card: "table"}, ReasonNotFound, "card"},
		{Command{Op: OpDelete, Card: "chair", IfRev: n(3)}, ReasonStale, ""},
		{Command{Op: OpDelete, Card: "lamp"}, ReasonConflict, ""},  // shown
		{Command{Op: OpDelete, Card: "chair"}, ReasonConflict, ""}, // scheduled
		{Command{Op: OpDelete, Card: ""}, ReasonInvalid, "card"},
		{Command{Op: OpImport, Body: []byte(`{}`)}, ReasonInvalid, "cards"},
		{Command{Op: OpImport, Body: []byte(`null`)}, ReasonInvalid, "cards"},
		{Command{Op: OpImport, Body: []byte(`[` + doc("a", "A") + `,{"id":"b"}]`)}, ReasonInvalid, "cards[1].name"},
		{Command{Op: OpImport, Body: []byte(`[` + doc("a", "A") + `,` + doc("a", "A") + `]`)}, ReasonInvalid, "cards[1].id"},
		{Command{Op: OpImport, Body: []byte(`[` + strings.Repeat(doc("a", "A")+",", 500) + doc("a", "A") + `]`)}, ReasonTooLarge, "cards"},
		{Command{Op: OpImport, Body: []byte(`[` + doc("chair", "Chair") + `]`)}, ReasonConflict, "cards"}, // the lamp is shown
		{Command{Op: OpImport, Body: []byte(`[` + doc("lamp", "Lamp") + `]`)}, ReasonConflict, "cards"},   // the chair is scheduled
		{Command{Op: OpOrder, Order: []string{"lamp"}}, ReasonInvalid, "order"},
		{Command{Op: OpOrder, Order: []string{"lamp", "chair", "lamp"}}, ReasonInvalid, "order"},
		{Command{Op: OpOrder, Order: []string{"lamp", "table"}}, ReasonInvalid, "order"},
		{Command{Op: OpOrder, Order: make([]string, 501)}, ReasonTooLarge, "order"},
		{Command{Op: OpShow, Slot: "main", Card: "table"}, ReasonNotFound, "card"},
		{Command{Op: OpShow, Slot: "main", Card: "Lamp!"}, ReasonInvalid, "card"},
		{Command{Op: OpShow, Slot: "", Card: "lamp"}, ReasonInvalid, "slot"},
		{Command{Op: OpShow, Slot: "Main", Card: "lamp"}, ReasonInvalid, "slot"},
		{Command{Op: OpShow, Slot: "main", Card: "lamp", IfSeq: n(7)}, ReasonStale, ""},
		{Command{Op: OpHide, Slot: "main", IfSeq: n(1)}, ReasonStale, ""},
		{Command{Op: OpHide, Slot: "ma in"}, ReasonInvalid, "slot"},
		{Command{Op: OpHide, Slot: "main", At: far}, ReasonInvalid, "at"},
		{Command{Op: OpHide, Slot: "main", At: time.Now().Add(-25 * time.Hour)}, ReasonInvalid, "at"},
		{Command{Op: OpHide, Slot: "main", At: time.Now(), Frame: &Frame{}}, ReasonInvalid, "at"},
		{Command{Op: OpCancel, Schedule: "s99"}, ReasonNotFound, "schedule"},
		{Command{Op: OpHide, Key: strings.Repeat("k", 65)}, ReasonInvalid, "key"},
		{Command{Op: OpHide, Key: "a key"}, ReasonInvalid, "key"},
		{Command{Op: OpHide, Key: "schlüssel"}, ReasonInvalid, "key"},
	} {
		no(t, k, c.Command, c.reason, c.field)
	}
	if k.View() != before || len(h.fs.Bytes(showJournal)) != size {
		t.Error("a refusal changed something")
	}
	for _, name := range []string{"", "../x", "a/b", "-a", "_a", "a b", "ä", strings.Repeat("a", 65), "a.b"} {
		var r *Refusal
		if _, err := h.Desk(name); !errors.As(err, &r) || r.Reason != ReasonInvalid || r.Field != "stream" {
			t.Errorf("a desk of the name %q: %v", name, err)
		}
		if _, ok := h.Document(name, "lamp", 1); ok {
			t.Errorf("a document of stream %q", name)
		}
	}
	if n := h.counter("pushcart_cards_commands_total", "stale"); n != 7 {
		t.Errorf("%v stale commands were counted", n)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	s := newScreen(t)
	defer h.Follow("show", s).End()
	waitFor(t, func() bool { return len(s.states()) == 1 })

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

// TestLimits: every bound is refused with a sentence, before anything is changed.
func TestLimits(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	var docs []string
	for i := range mostCards {
		docs = append(docs, doc(fmt.Sprintf("c%d", i), "Card"))
	}
	do(t, k, Command{Op: OpImport, Body: []byte("[" + strings.Join(docs, ",") + "]")})
	no(t, k, put("more", "More"), ReasonTooLarge, "")
	do(t, k, put("c7", "Changed")) // no more than there were
	for i := range mostSlots {
		do(t, k, show(fmt.Sprintf("s%d", i), fmt.Sprintf("c%d", i)))
	}
	no(t, k, show("s9", "c9"), ReasonTooLarge, "slot")
	do(t, k, show("s1", "c9"))
	at := time.Now().Add(time.Hour)
	no(t, k, Command{Op: OpShow, Slot: "s9", Card: "c9", At: at}, ReasonTooLarge, "slot")
	do(t, k, Command{Op: OpHide, Slot: "s1", At: at.Add(-time.Second)})
	do(t, k, Command{Op: OpShow, Slot: "s9", Card: "c9", At: at}) // there will be room by then
	for range mostPlans - 2 {
		do(t, k, Command{Op: OpHide, Slot: "s1", At: at})
	}
	no(t, k, Command{Op: OpHide, Slot: "s1", At: at}, ReasonTooLarge, "at")
	if v := k.View(); len(v.Scheduled) != mostPlans || len(v.Cards) != mostCards || len(v.Slots) != mostSlots {
		t.Errorf("%d scheduled, %d cards, %d slots", len(v.Scheduled), len(v.Cards), len(v.Slots))
	}
}

// TestStateTooLarge: a state that does not fit into a message is refused at the command that would make it.
func TestStateTooLarge(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	long := strings.Repeat("x", 38)
	var shown int
	for i := range mostSlots {
		id := fmt.Sprintf("%s%02d", long, i)
		do(t, k, put(id, "Card"))
		before := k.View()
		_, err := k.Do(context.Background(), show(fmt.Sprintf("sssssssssssssss%d", i), id))
		if err != nil {
			var r *Refusal
			if !errors.As(err, &r) || r.Reason != ReasonTooLarge || k.View() != before {
				t.Errorf("refused with %v", err)
			}
			no(t, k, Command{Op: OpShow, Slot: fmt.Sprintf("sssssssssssssss%d", i), Card: id, At: time.Now().Add(time.Hour)}, ReasonTooLarge, "slot")
			break
		}
		shown++
	}
	if shown < 3 || shown == mostSlots || len(k.View().Slots) != shown {
		t.Errorf("%d slots with long names were shown", shown)
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

// waitFor waits until something that another goroutine does is done.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}
