package overlay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pushcart/overlay/journal/journaltest"
)

// move brings a stream's desk from one node to another.
func move(t *testing.T, from, to *house) {
	t.Helper()
	snapshot, ok := from.Export("show")
	if !ok {
		t.Fatal("there is nothing to export")
	}
	if err := to.Import("show", snapshot); err != nil {
		t.Fatal(err)
	}
}

// skewed has a node's clock go wrong.
func skewed(by time.Duration) func(*Options) {
	return func(o *Options) { o.Now = func() time.Time { return time.Now().Add(by) } }
}

// TestMove: a desk goes on at another node as it was, in a higher epoch even if the clock there is behind, and survives a crash right
// after; what had been carried out under a key is not carried out again.
func TestMove(t *testing.T) {
	t.Parallel()
	a, fs := newHouse(t, journaltest.New()), journaltest.New()
	b := newHouse(t, fs, skewed(-time.Hour))
	k := a.desk("show")
	for _, c := range story() {
		do(t, k, c)
	}
	first := do(t, k, keyed("k9", put("late", "Late")))
	was := k.View()
	move(t, a, b)
	now := b.desk("show").View()
	if essence(now) != essence(was) {
		t.Errorf("it was\n%s\nand is\n%s", essence(was), essence(now))
	}
	if now.Epoch <= was.Epoch || now.Seq != 1 {
		t.Errorf("epoch %d after %d, sequence %d", now.Epoch, was.Epoch, now.Seq)
	}
	st, err := testKey().Public().Verify(now.Token)
	if err != nil || st.Epoch != now.Epoch || len(st.Slots) != len(now.Slots) {
		t.Errorf("the token has %+v: %v", st, err)
	}
	again := do(t, b.desk("show"), keyed("k9", put("late", "Late")))
	if !again.Replayed || again.Rev != first.Rev || again.Epoch != first.Epoch {
		t.Errorf("done again: %+v, first %+v", again, first)
	}
	for _, s := range was.Slots {
		doc, ok := b.Document("show", s.Card, s.Rev)
		if !ok || doc.Epoch != now.Epoch {
			t.Errorf("the document of %+v is there: %v, epoch %d", s, ok, doc.Epoch)
		}
	}
	if _, ok := b.Document("show", "rug", 1); ok {
		t.Error("a document is there that was never shown")
	}
	visit(t, fs.Crash(journaltest.PowerLost), func(_ *house, k *Desk) {
		if essence(k.View()) != essence(was) {
			t.Errorf("after a crash it is\n%s", essence(k.View()))
		}
	})
}

// TestMoveAnnounces: a stream that goes on already hears of the state that came, and who waits for documents is woken.
func TestMoveAnnounces(t *testing.T) {
	t.Parallel()
	var changes atomic.Int32
	a := newHouse(t, journaltest.New())
	b := newHouse(t, journaltest.New(), func(o *Options) { o.Changed = func(string) { changes.Add(1) } })
	s := newScreen(t)
	f := b.Follow("show", s)
	defer f.End()
	<-s.began
	if n := changes.Load(); n != 1 {
		t.Errorf("%d changes when a stream began", n)
	}
	if docs, changed := b.Shelf("show"); len(docs) != 0 {
		t.Errorf("the shelf has %v", docs)
	} else {
		defer func() {
			select {
			case <-changed:
			default:
				t.Error("who waits for documents was not woken")
			}
		}()
	}
	do(t, a.desk("show"), put("lamp", "Lamp"))
	do(t, a.desk("show"), show("main", "lamp"))
	move(t, a, b)
	last := s.states()[len(s.states())-1]
	if last.brief() != "1 main=lamp/1" || last.Epoch <= a.desk("show").View().Epoch {
		t.Errorf("announced %q of epoch %d", last.brief(), last.Epoch)
	}
	if n := changes.Load(); n != 2 {
		t.Errorf("%d changes", n)
	}
	docs, _ := b.Shelf("show")
	if len(docs) != 1 || docs[0].ID != "lamp" || docs[0].Rev != 1 || docs[0].Epoch != last.Epoch || !docs[0].Shown || !strings.Contains(string(docs[0].Doc), "Lamp") {
		t.Errorf("the shelf has %+v", docs)
	}
}

// TestChanged: each change that is acknowledged is told of, also one that a key alone is remembered of, and nothing else.
func TestChanged(t *testing.T) {
	t.Parallel()
	var changes atomic.Int32
	h := newHouse(t, journaltest.New(), func(o *Options) {
		o.Changed = func(stream string) {
			if stream == "show" {
				changes.Add(1)
			}
		}
	})
	k := h.desk("show")
	told := func(what string, want int32) {
		t.Helper()
		_, _ = h.Export("show") // the desk is done with what came before
		if n := changes.Swap(0); n != want {
			t.Errorf("%s: %d changes are told, want %d", what, n, want)
		}
	}
	do(t, k, put("lamp", "Lamp"))
	told("a card", 1)
	do(t, k, put("lamp", "Lamp"))
	told("the same card", 0)
	no(t, k, show("main", "rug"), ReasonNotFound, "card")
	told("a refusal", 0)
	do(t, k, keyed("k1", hide("main")))
	told("a key", 1)
	do(t, k, keyed("k1", hide("main")))
	told("the same key", 0)
	h.fs.Fail(func(op journaltest.Op, _ string) error {
		if op == journaltest.Write {
			return syscall.ENOSPC
		}
		return nil
	})
	no(t, k, put("rug", "Rug"), ReasonStorage, "")
	told("a full disk", 0)
	h.fs.Fail(nil)
}

// TestMoveTo: of two states that one is in force which viewers saw last, whatever the journals' epochs and clocks say, and no revision
// that either gave comes again.
func TestMoveTo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		theirs, mine []Command
		reopen       bool // the local journal was opened after the other's last change
		want         string
		rev          int64 // that the lamp gets next
	}{
		"nothing here":              {[]Command{put("lamp", "A")}, nil, true, "lamp/1", 2},
		"nothing at all":            {nil, nil, true, "", 1},
		"nothing there":             {nil, []Command{put("lamp", "B")}, false, "lamp/1", 2},
		"an older one here":         {[]Command{put("lamp", "A")}, []Command{put("rug", "B"), put("rug", "B2")}, true, "lamp/1", 3},
		"an older one with more":    {[]Command{put("lamp", "A")}, []Command{put("lamp", "B"), put("lamp", "B2"), put("lamp", "B3")}, true, "lamp/1", 4},
		"an older one, deleted":     {[]Command{put("rug", "A")}, []Command{put("lamp", "B"), put("lamp", "B2"), {Op: OpDelete, Card: "lamp"}}, true, "rug/1", 3},
		"an older one that is less": {[]Command{put("lamp", "A"), put("lamp", "A2")}, []Command{put("lamp", "B")}, true, "lamp/2", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := journaltest.New()
			visit(t, fs, func(_ *house, k *Desk) {
				for _, cmd := range c.mine {
					do(t, k, cmd)
				}
			})
			a := newHouse(t, journaltest.New(), skewed(10*time.Second)) // its epochs are later
			for _, cmd := range c.theirs {
				do(t, a.desk("show"), cmd)
			}
			a.desk("show")
			set := []func(*Options){}
			if c.reopen {
				set = append(set, skewed(time.Minute)) // opening it here begins an epoch that is later still
			}
			b := newHouse(t, fs, set...)
			mine := b.desk("show").View().Epoch
			move(t, a, b)
			v := b.desk("show").View()
			if got := cardsOf(v); got != c.want || v.Epoch <= a.desk("show").View().Epoch || v.Epoch < mine {
				t.Errorf("it has %q, epoch %d after %d and %d; want %q", got, v.Epoch, mine, a.desk("show").View().Epoch, c.want)
			}
			if r := do(t, b.desk("show"), put("lamp", "next")); r.Rev != c.rev {
				t.Errorf("the lamp gets revision %d, want %d", r.Rev, c.rev)
			}
			move(t, b, b) // what it exported itself changes nothing
			if again := b.desk("show").View(); again.Epoch != v.Epoch {
				t.Errorf("its own state begins the epoch %d after %d", again.Epoch, v.Epoch)
			}
		})
	}
}

// TestMoveShown: a desk that a stream shows, though nothing was ever changed in it, counts more than what another node had from an
// earlier show.
func TestMoveShown(t *testing.T) {
	t.Parallel()
	a, b := newHouse(t, journaltest.New(), skewed(time.Minute)), newHouse(t, journaltest.New())
	do(t, b.desk("show"), put("old", "Old"))
	do(t, b.desk("show"), show("main", "old"))
	s := newScreen(t)
	defer a.Follow("show", s).End()
	<-s.began
	move(t, a, b)
	if v := b.desk("show").View(); len(v.Slots) != 0 || len(v.Cards) != 0 {
		t.Errorf("an old show's cards are back: %s %s", slotsOf(v), cardsOf(v))
	}
}

// TestMoveAround: three nodes with clocks that are seconds apart hand a desk on, some of them start anew or lose what was not yet on
// the disk: what was acknowledged stays, epochs rise, no revision comes again with other content, nothing is done twice.
func TestMoveAround(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	var disks [3]*journaltest.Memory
	var nodes [3]*house
	skews := []time.Duration{0, -5 * time.Second, 5 * time.Second}
	for i := range nodes {
		disks[i] = journaltest.New()
		nodes[i] = makeHouse(t, disks[i], skewed(skews[i]))
	}
	defer func() {
		for _, n := range nodes {
			n.Close()
		}
	}()
	docs, origin, epoch := map[string]string{}, 0, int64(0)
	var last Command
	var result Result
	for step := range 40 {
		n := nodes[origin]
		k := n.desk("show")
		for i := range 1 + rng.IntN(4) {
			id := fmt.Sprintf("card%d", rng.IntN(4))
			last = keyed(fmt.Sprintf("k%d-%d", step, i), put(id, fmt.Sprint("name ", step, " ", i)))
			switch rng.IntN(5) {
			case 0:
				last = keyed(last.Key, Command{Op: OpDelete, Card: id})
			case 1:
				last = keyed(last.Key, show("main", id))
			case 2:
				last = keyed(last.Key, hide("main"))
			}
			r, err := k.Do(context.Background(), last)
			var refusal *Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Fatal(err)
			}
			if result = r; err != nil {
				last = Command{}
			}
		}
		v := k.View()
		if v.Epoch < epoch {
			t.Fatalf("step %d: epoch %d after %d", step, v.Epoch, epoch)
		}
		epoch = v.Epoch
		for _, c := range v.Cards {
			at := fmt.Sprintf("%s/%d", c.ID, c.Rev)
			if docs[at] != "" && docs[at] != string(c.Card) {
				t.Fatalf("step %d: %s was %s and is %s", step, at, docs[at], c.Card)
			}
			docs[at] = string(c.Card)
		}
		next := rng.IntN(3)
		snapshot, ok := n.Export("show")
		if !ok {
			t.Fatal("nothing to export")
		}
		was, died := origin, rng.IntN(3) == 0
		if died {
			disks[origin] = disks[origin].Crash(journaltest.PowerLost)
			n.Close()
			nodes[origin] = makeHouse(t, disks[origin], skewed(skews[origin]))
		}
		if err := nodes[next].Import("show", snapshot); err != nil {
			t.Fatal(err)
		}
		origin = next
		k = nodes[next].desk("show")
		if after := k.View(); essence(after) != essence(v) {
			t.Fatalf("step %d: it was\n%s\nand is\n%s", step, essence(v), essence(after))
		}
		if last.Key != "" {
			if r := do(t, k, last); !r.Replayed || r.Rev != result.Rev || r.Seq != result.Seq {
				t.Fatalf("step %d: %s was done again: %+v, first %+v (from %d to %d, died %v)", step, last.Op, r, result, was, next, died)
			}
		}
	}
}

// TestMoveDiskFull: where the state cannot be written nothing is changed, and the next try may succeed.
func TestMoveDiskFull(t *testing.T) {
	t.Parallel()
	fs := journaltest.New()
	a, b := newHouse(t, journaltest.New(), skewed(time.Minute)), newHouse(t, fs)
	do(t, b.desk("show"), put("old", "Old"))
	do(t, a.desk("show"), put("lamp", "Lamp"))
	snapshot, _ := a.Export("show")
	fs.Fail(func(op journaltest.Op, _ string) error {
		if op == journaltest.Write || op == journaltest.Create {
			return syscall.ENOSPC
		}
		return nil
	})
	var r *Refusal
	if err := b.Import("show", snapshot); !errors.As(err, &r) || r.Reason != ReasonStorage {
		t.Errorf("a full disk: %v", err)
	}
	if got := cardsOf(b.desk("show").View()); got != "old/1" {
		t.Errorf("it has %q", got)
	}
	fs.Fail(nil)
	if err := b.Import("show", snapshot); err != nil {
		t.Error(err)
	}
	if got := cardsOf(b.desk("show").View()); got != "lamp/1" {
		t.Errorf("it has %q", got)
	}
}

// TestExportIsBounded: a desk with all that it may have fits, and what is left out is the oldest of what is remembered.
func TestExportIsBounded(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) string { // which cannot be compressed by much
		b := make([]byte, n)
		for i := range b {
			b[i] = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[rng.IntN(64)]
		}
		return string(b)
	}
	c, b := core{stream: "show", epoch: 1, seq: 1, changes: 1}, books{shelf: &shelf{}}
	const cards, most = 20, 150 << 10
	for i := range cards {
		id := fmt.Sprintf("card-%d", i)
		texts := fmt.Sprintf(`{"id":%q,"@type":"Product","name":"x","description":{"de":%q,"en":%q,"es":%q,"fr":%q,"it":%q,"pt":%q}}`,
			id, noise(500), noise(500), noise(500), noise(500), noise(500), noise(500))
		c.cards = append(c.cards, CardView{ID: id, Rev: 1, UpdatedAt: time.Now(), Card: []byte(texts)})
		for rev := range int64(8) {
			b.shelf.show(revision{id, rev + 2}, []byte(texts))
			b.shelf.end(revision{id, rev + 2}, time.Now())
		}
	}
	for i := range 3000 {
		var hash digest
		binary.BigEndian.PutUint64(hash[:], rng.Uint64())
		b.keys.add(&keyRecord{Key: fmt.Sprint("k", i, noise(40)), Hash: sha256.Sum256(hash[:]), At: 1})
	}
	blob, err := pack(&c, &b, most)
	if err != nil {
		t.Fatal(err)
	}
	back, remembered, err := unpack("show", blob)
	if err != nil {
		t.Fatal(err)
	}
	keys, past := remembered.keys.queue, remembered.shelf.ended
	if len(blob) > most || len(back.cards) != cards || len(keys) < 300 || len(past) < 10 {
		t.Errorf("%d bytes with %d cards, %d keys, %d that were shown", len(blob), len(back.cards), len(keys), len(past))
	}
	if newest := b.keys.queue[2999]; keys[len(keys)-1].Key != newest.Key || past[len(past)-1].revision != b.shelf.ended[len(b.shelf.ended)-1].revision {
		t.Error("the newest were left out")
	}
	if _, err := pack(&c, &b, 10<<10); err == nil {
		t.Error("a list of cards is cut short")
	}
}

// TestImportRefuses: what is no snapshot of this stream, or breaks a rule that this node holds its hosts to, changes nothing and is
// counted.
func TestImportRefuses(t *testing.T) {
	t.Parallel()
	now := time.Now().UnixMilli()
	lamp := cardRecord{ID: "lamp", Rev: 1, At: now, Doc: []byte(doc("lamp", "Lamp"))}
	good := func() *snapshot {
		return &snapshot{First: &scalars{Stream: "show", Epoch: now * 2, Seq: 1, Changes: 5, Edited: now * 2}, Cards: []cardRecord{lamp}}
	}
	of := func(change func(*snapshot)) []byte {
		s := good()
		change(s)
		raw, err := (&record{Snapshot: s}).encode()
		if err != nil {
			t.Fatal(err)
		}
		blob, err := packRecords([][]byte{raw})
		if err != nil {
			t.Fatal(err)
		}
		return blob
	}
	whole := of(func(*snapshot) {})
	if _, _, err := unpack("show", whole); err != nil {
		t.Fatal(err)
	}
	turned := bytes.Clone(whole)
	turned[len(turned)-1] ^= 1
	later := bytes.Clone(whole)
	later[len(transferMagic)] = 2
	bomb, err := packRecords([][]byte{make([]byte, mostTransfer)})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := (&record{Open: &opening{Stream: "show", Epoch: 1}}).encode()
	if err != nil {
		t.Fatal(err)
	}
	another, err := packRecords([][]byte{opened})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := packRecords(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, journaltest.New())
	do(t, h.desk("show"), put("old", "Old"))
	cases := map[string][]byte{
		"nothing": nil, "a turned bit": turned, "another version": later, "cut off": whole[:len(whole)-3], "a bomb": bomb, "too large": make([]byte, MostSnapshot+1),
		"another record": another, "no record": empty,
		"another stream":        of(func(s *snapshot) { s.First.Stream = "other" }),
		"no epoch":              of(func(s *snapshot) { s.First.Epoch = 0 }),
		"an epoch at the end":   of(func(s *snapshot) { s.First.Epoch = 1<<53 - 1 }),
		"a revision at the end": of(func(s *snapshot) { s.Cards[0].Rev = 1<<53 - 1 }),
		"no revision":           of(func(s *snapshot) { s.Cards[0].Rev = 0 }),
		"another card":          of(func(s *snapshot) { s.Cards[0].ID = "rug" }),
		"no card":               of(func(s *snapshot) { s.Cards[0].Doc = []byte(`{"id":"lamp"}`) }),
		"a card twice":          of(func(s *snapshot) { s.Cards = append(s.Cards, lamp) }),
		"a script":              of(func(s *snapshot) { s.Cards[0].Doc = []byte(doc("lamp", "<script>")) }),
		"a slot of no name":     of(func(s *snapshot) { s.Slots = []slotRecord{{Slot: "../x", Card: "lamp", Rev: 1}} }),
		"too many slots": of(func(s *snapshot) {
			s.Slots = slices.Repeat([]slotRecord{{Slot: "main", Card: "lamp", Rev: 1}}, mostSlots+1)
		}),
		"a plan of no kind":      of(func(s *snapshot) { s.Plans = []planRecord{{ID: "s1", Op: OpDelete, Card: "lamp"}} }),
		"a plan without number":  of(func(s *snapshot) { s.Plans = []planRecord{{ID: "x", Op: OpHide}} }),
		"a plan of no slot":      of(func(s *snapshot) { s.Plans = []planRecord{{ID: "s1", Op: OpShow, Card: "lamp"}} }),
		"a line of no slot":      of(func(s *snapshot) { s.Timeline = []ShownView{{Slot: "", Card: "lamp"}} }),
		"a key of no form":       of(func(s *snapshot) { s.Keys = []keyRecord{{Key: "a b"}} }),
		"a key with a long word": of(func(s *snapshot) { s.Keys = []keyRecord{{Key: "k", Result: Result{Slot: strings.Repeat("x", 1000)}}} }),
		"a card of no time":      of(func(s *snapshot) { s.Cards[0].At = 1 << 62 }),
		"a slot of no time":      of(func(s *snapshot) { s.Slots = []slotRecord{{Slot: "main", Card: "lamp", Rev: 1, Since: -1}} }),
		"a plan of no time":      of(func(s *snapshot) { s.Plans = []planRecord{{ID: "s1", Op: OpHide, At: 1 << 62}} }),
		"a plan at the end":      of(func(s *snapshot) { s.Plans = []planRecord{{ID: "s9223372036854775807", Op: OpHide, At: 1}} }),
		"an end of no time":      of(func(s *snapshot) { s.Shown = []shownRecord{{lamp, 1 << 62}} }),
		"a key of no time":       of(func(s *snapshot) { s.Keys = []keyRecord{{Key: "k", At: 1 << 62}} }),
		"too many lines":         of(func(s *snapshot) { s.Timeline = slices.Repeat([]ShownView{{Slot: "main", Card: "lamp"}}, mostShown+1) }),
	}
	for name, blob := range cases {
		if err := h.Import("show", blob); err == nil || !strings.Contains(err.Error(), "snapshot") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := cardsOf(h.desk("show").View()); got != "old/1" {
		t.Errorf("it has %q", got)
	}
	if n := h.counter("pushcart_cards_imports_total", importRefused); int(n) != len(cases) {
		t.Errorf("%v are counted of %d", n, len(cases))
	}
	if err := h.Import("../etc", whole); err == nil {
		t.Error("a stream of no name")
	}
	if _, ok := h.Export("../etc"); ok {
		t.Error("a stream of no name is exported")
	}
	if _, ok := h.Export("nobody"); ok || slices.Contains(h.fs.Files(), "data/cards/nobody.journal") {
		t.Error("what is not there is exported, or made")
	}
}

// TestMoveEnds: what another node's clock, which is ahead, says was shown until tomorrow is kept no longer than what was shown until now.
func TestMoveEnds(t *testing.T) {
	t.Parallel()
	a := newHouse(t, journaltest.New(), skewed(24*time.Hour))
	ahead := time.Duration(0)
	b := newHouse(t, journaltest.New(), func(o *Options) { o.Now = func() time.Time { return time.Now().Add(ahead) } })
	k := a.desk("show")
	do(t, k, put("lamp", "Lamp"))
	do(t, k, show("main", "lamp"))
	do(t, k, hide("main"))
	move(t, a, b)
	if _, ok := b.Document("show", "lamp", 1); !ok {
		t.Error("it is gone")
	}
	b.Close()
	ahead = 2 * b.keep
	b = newHouse(t, b.fs, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(ahead) } })
	if _, ok := b.Document("show", "lamp", 1); ok {
		t.Error("it is still there")
	}
}

// TestShelf: who copies a stream hears of each document that comes and goes, also where the desk opens later than it asks.
func TestShelf(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	brief := func() (string, <-chan struct{}) {
		docs, changed := h.Shelf("show")
		var all []string
		for _, d := range docs {
			all = append(all, fmt.Sprintf("%s/%d:%v", d.ID, d.Rev, d.Shown))
		}
		return strings.Join(all, " "), changed
	}
	want := func(was <-chan struct{}, now string) <-chan struct{} {
		t.Helper()
		select {
		case <-was:
		case <-time.After(10 * time.Second):
			t.Fatalf("nobody is woken for %q", now)
		}
		got, changed := brief()
		if got != now {
			t.Errorf("the shelf has %q, want %q", got, now)
		}
		select {
		case <-changed:
			t.Errorf("woken at once after %q", now)
		default:
		}
		return changed
	}
	got, changed := brief()
	if got != "" || len(h.fs.Files()) != 0 {
		t.Errorf("%q, and the files %v", got, h.fs.Files())
	}
	k := h.desk("show")
	changed = want(changed, "")
	do(t, k, put("lamp", "Lamp"))
	do(t, k, show("main", "lamp"))
	changed = want(changed, "lamp/1:true")
	do(t, k, put("lamp", "Lamp 2"))
	changed = want(changed, "lamp/1:false lamp/2:true")
	do(t, k, hide("main"))
	changed = want(changed, "lamp/1:false lamp/2:false")
	h.Close()
	select {
	case <-changed:
	default:
		t.Error("nobody is woken when the desk closes")
	}
}

// FuzzImport: whatever a node sends, what is taken from it can be exported and taken again, as the same.
func FuzzImport(f *testing.F) {
	h := newHouse(f, journaltest.New())
	k := h.desk("show")
	for _, c := range story() {
		do(f, k, c)
	}
	blob, _ := h.Export("show")
	records, err := unpackRecords(blob)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(records[0], false)
	f.Add(blob, true)
	f.Add([]byte(`{"snapshot":{"first":{"stream":"show","epoch":1,"seq":1,"list":0},"slots":[{"slot":"main","card":"x","rev":1,"since":1}]}}`), false)
	f.Fuzz(func(t *testing.T, data []byte, bare bool) {
		if !bare {
			data, _ = packRecords([][]byte{data})
		}
		c, b, err := unpack("show", data)
		if err != nil {
			if !errors.Is(err, errSnapshot) {
				t.Fatal(err)
			}
			return
		}
		mend(&c, &b, time.Now())
		if _, err := h.sign(&c); err != nil {
			return // Import refuses it, too
		}
		out, err := pack(&c, &b, MostSnapshot)
		if err != nil {
			t.Fatalf("it cannot be exported: %v", err)
		}
		again, _, err := unpack("show", out)
		if err != nil {
			t.Fatalf("what was exported cannot be taken: %v", err)
		}
		if again.epoch != c.epoch || len(again.cards) != len(c.cards) || len(again.slots) != len(c.slots) || len(again.plans) != len(c.plans) || again.changes != c.changes {
			t.Errorf("%+v became %+v", c, again)
		}
	})
}

// BenchmarkExport is what a change costs a node that spreads its state: a desk of 100 cards.
func BenchmarkExport(b *testing.B) {
	h := newHouse(b, journaltest.New())
	k := h.desk("show")
	for i := range 100 {
		do(b, k, bulky(fmt.Sprint("card", i), i))
	}
	var size int
	for b.Loop() {
		blob, ok := h.Export("show")
		if !ok {
			b.Fatal("nothing")
		}
		size = len(blob)
	}
	b.ReportMetric(float64(size), "bytes")
}
