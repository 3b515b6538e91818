package overlay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pushcart/overlay/journal/journaltest"
)

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
	do(t, k, Command{Op: OpHide, Slot: "s2", At: at.Add(time.Second)}) // too late to make room
	no(t, k, Command{Op: OpShow, Slot: "s9", Card: "c9", At: at}, ReasonTooLarge, "slot")
	do(t, k, Command{Op: OpHide, Slot: "s1", At: at.Add(-time.Second)})
	do(t, k, Command{Op: OpShow, Slot: "s9", Card: "c9", At: at}) // there will be room by then
	for range mostPlans - 3 {
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
