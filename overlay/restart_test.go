package overlay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/overlay/journal"
	"pushcart/overlay/journal/journaltest"
)

// essence is all that must outlive a restart, as text.
func essence(v *View) string {
	c := *v
	c.Epoch, c.Seq, c.Token, c.InBandRefusal = 0, 0, "", nil
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// story is a show with all kinds of commands; each changes something that outlives a restart.
func story() []Command {
	later := time.Now().Add(time.Hour)
	return []Command{
		put("lamp", "Lamp"),
		put("chair", "1 < 2 & more"),
		keyed("k1", show("main", "lamp")),
		{Op: OpPatch, Card: "lamp", Body: []byte(`{"brand":"Lux"}`), Source: "api"},
		{Op: OpImport, Body: []byte(`[` + doc("rug", "Rug") + `,` + doc("lamp", "Lamp") + `,` + doc("chair", "Chair") + `]`), Source: "api"},
		at(later, show("side", "rug")),
		at(later, hide("")),
		{Op: OpOrder, Order: []string{"chair", "rug", "lamp"}},
		show("top", "chair"),
		{Op: OpConfigure, InBand: ptr(false)},
		{Op: OpCancel, Schedule: "s2"},
		hide("main"),
		keyed("k2", Command{Op: OpDelete, Card: "lamp"}),
		put("lamp", "Lamp again"),
		show("main", "lamp"),
	}
}

// chapter is the journal after a command of a story, and what the view was.
type chapter struct {
	size    int
	essence string
}

// tell carries a story out and returns what each command left, beginning with the empty desk.
func tell(t *testing.T, h *house, k *Desk, commands []Command) []chapter {
	t.Helper()
	all := []chapter{{len(h.fs.Bytes(showJournal)), essence(k.View())}}
	for _, c := range commands {
		do(t, k, c)
		all = append(all, chapter{len(h.fs.Bytes(showJournal)), essence(k.View())})
	}
	return all
}

// TestCutAtEachByte: a crash may end the journal anywhere. What comes back is the state after the commands that were
// acknowledged up to there, in a later epoch.
func TestCutAtEachByte(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	chapters := tell(t, h, k, story())
	epoch := k.View().Epoch
	h.Close()
	whole := h.fs.Bytes(showJournal)
	last := chapters[len(chapters)-1]
	if last.size != len(whole) {
		t.Fatalf("the journal has %d bytes, after the last command it had %d", len(whole), last.size)
	}
	for n := range len(whole) + 1 {
		m := journaltest.New()
		m.Put(showJournal, whole[:n])
		want := chapters[0]
		for _, c := range chapters {
			if c.size <= n {
				want = c
			}
		}
		visit(t, m, func(again *house, k *Desk) {
			v := k.View()
			if got := essence(v); got != want.essence {
				t.Fatalf("cut at %d of %d:\n%s, want\n%s", n, len(whole), got, want.essence)
			}
			if v.Seq != 1 || n >= chapters[0].size && v.Epoch <= epoch {
				t.Errorf("cut at %d: epoch %d after %d, sequence %d", n, v.Epoch, epoch, v.Seq)
			}
			for _, s := range v.Slots {
				if d, ok := again.Document("show", s.Card, s.Rev); !ok || !json.Valid(d.Plain) {
					t.Errorf("cut at %d: no document for %v", n, s)
				}
			}
		})
	}
}

// TestOnDisk: the defaults, on the operating system's file system.
func TestOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range int64(3) {
		d, err := New(Options{Dir: dir, Key: testKey()})
		if err != nil {
			t.Fatal(err)
		}
		k, err := d.Desk("Show_1-x")
		if err != nil {
			t.Fatal(err)
		}
		if v := k.View(); i > 0 && slotsOf(v) != fmt.Sprintf("main=lamp/%d", i) || v.InBand {
			t.Errorf("start %d: %s", i, slotsOf(v))
		}
		do(t, k, put("lamp", fmt.Sprint("Lamp ", i)))
		do(t, k, show("main", "lamp"))
		no(t, k, Command{Op: OpPatch, Card: "lamp", Body: []byte(`{"url":"https://shop.example.com/"}`)}, ReasonInvalid, "url")
		second, err := New(Options{Dir: dir, Key: testKey()})
		if err != nil {
			t.Fatal(err)
		}
		var r *Refusal
		if _, err := second.Desk("Show_1-x"); !errors.As(err, &r) || r.Reason != ReasonStorage || !strings.Contains(r.Message, "in use") {
			t.Errorf("a second node: %v", err)
		}
		second.Close()
		d.Close()
	}
	if st, err := os.Stat(filepath.Join(dir, "cards", "Show_1-x.journal")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}

// TestSnapshot: a journal that was written anew stands for the same as the one before, and goes on the same.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	tell(t, h, k, story())
	w := k.clerk.Load()
	h.Close()
	before := essence(k.View())
	all, err := snapshots(&w.core, &w.books)
	if err != nil {
		t.Fatal(err)
	}
	m := journaltest.New()
	j, _, err := journal.Open(m, showJournal, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Rewrite(all), j.Close()); err != nil {
		t.Fatal(err)
	}
	again := newHouse(t, m)
	k2 := again.desk("show")
	if got := essence(k2.View()); got != before {
		t.Errorf("from a snapshot:\n%s, want\n%s", got, before)
	}
	if k2.View().Epoch <= k.View().Epoch {
		t.Error("the epoch did not rise")
	}
	w2 := k2.clerk.Load()
	if len(w2.books.shelf.items) != len(w.books.shelf.items) || len(w2.books.keys.byKey) != len(w.books.keys.byKey) || w2.core.floor != w.core.floor || w2.core.planned != w.core.planned {
		t.Errorf("the snapshot has %d revisions and %d keys", len(w2.books.shelf.items), len(w2.books.keys.byKey))
	}
	for r, it := range w.books.shelf.items {
		if other := w2.books.shelf.items[r]; other == nil || !bytes.Equal(other.doc, it.doc) || !other.ended.Equal(it.ended) {
			t.Errorf("revision %v is different", r)
		}
	}
}

// TestCompaction: a journal does not grow without end, and what it stands for stays.
func TestCompaction(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	h.keep = 0
	k := h.desk("show")
	tell(t, h, k, story())
	most := 0
	for i := range 800 {
		do(t, k, bulky("lamp", i))
		most = max(most, len(h.fs.Bytes(showJournal)))
	}
	before := essence(k.View())
	if now := len(h.fs.Bytes(showJournal)); most > compactAt+compactAt/100 || now >= compactAt {
		t.Errorf("the journal came to %d bytes, and has %d", most, now)
	}
	if n := h.fs.Count(journaltest.Rename); n != 2 {
		t.Errorf("it was written anew %d times", n)
	}
	if g := h.counter("pushcart_cards_journal_bytes"); int(g) != len(h.fs.Bytes(showJournal)) {
		t.Errorf("the gauge says %v bytes", g)
	}
	h.Close()
	if got := essence(newHouse(t, h.fs).desk("show").View()); got != before {
		t.Errorf("opened again:\n%s, want\n%s", got, before)
	}
}

// TestCompactionFails: then the journal goes on as it was.
func TestCompactionFails(t *testing.T) {
	t.Parallel()
	for _, op := range []journaltest.Op{journaltest.Create, journaltest.Rename} {
		h := newHouse(t, journaltest.New())
		h.keep = 0
		k := h.desk("show")
		h.fs.Fail(func(o journaltest.Op, _ string) error {
			if o == op {
				return syscall.EIO
			}
			return nil
		})
		for i := range 400 {
			do(t, k, bulky("lamp", i))
		}
		if n := h.fs.Count(op); n < 1 || n > 3 {
			t.Errorf("%s was tried %d times", op, n)
		}
		h.Close()
		if v := newHouse(t, h.fs.Crash(journaltest.PowerLost)).desk("show").View(); cardsOf(v) != "lamp/400" {
			t.Errorf("after a failed %s: %s", op, cardsOf(v))
		}
	}
}

// TestDocumentsKeepTheirBytes: a document comes out of the journal as it went in, or it would seem to have changed.
func TestDocumentsKeepTheirBytes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	c := put("lamp", "1 < 2 & 3 > 2, \u00e4")
	do(t, k, c)
	was := string(k.View().Cards[0].Card)
	h.Close()
	h = newHouse(t, h.fs)
	k = h.desk("show")
	if now := string(k.View().Cards[0].Card); now != was {
		t.Errorf("the document is %s, and was %s", now, was)
	}
	if r := do(t, k, c); r.Rev != 1 {
		t.Errorf("the same document becomes revision %d", r.Rev)
	}
}

// TestEpoch: it comes from the clock, and rises even if the clock goes back.
func TestEpoch(t *testing.T) {
	t.Parallel()
	m, now := journaltest.New(), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ahead time.Duration
		epoch int64
	}{{0, now.UnixMilli()}, {0, now.UnixMilli() + 1}, {time.Second, now.UnixMilli() + 1000}, {-time.Hour, now.UnixMilli() + 1001}} {
		h := newHouse(t, m, func(o *Options) { o.Now = func() time.Time { return now.Add(c.ahead) } })
		if v := h.desk("show").View(); v.Epoch != c.epoch || v.Seq != 1 {
			t.Errorf("opened at %v: epoch %d, want %d", c.ahead, v.Epoch, c.epoch)
		}
		h.Close()
	}
}

// TestRestartOnAFullDisk: what was acknowledged is shown again although nothing can be written, commands are refused, and
// when there is room, they are not.
func TestRestartOnAFullDisk(t *testing.T) {
	m := journaltest.New()
	h := makeHouse(t, m)
	k := h.desk("show")
	do(t, k, put("lamp", "Lamp"))
	r := do(t, k, show("main", "lamp"))
	h.Close()
	m = m.Crash(journaltest.Killed)
	m.Fail(func(op journaltest.Op, _ string) error {
		if op == journaltest.Write || op == journaltest.Create {
			return syscall.ENOSPC
		}
		return nil
	})
	full := makeHouse(t, m)
	if _, ok := full.Document("show", "lamp", r.Rev); !ok {
		t.Error("viewers do not get the card that is shown")
	}
	k = full.desk("show")
	first := k.View().Epoch
	if got := slotsOf(k.View()); got != "main=lamp/1" {
		t.Errorf("shown is %q", got)
	}
	var no *Refusal
	if _, err := k.Do(t.Context(), hide("")); !errors.As(err, &no) || no.Reason != ReasonStorage {
		t.Errorf("a command on the full disk: %v", err)
	}
	m.Fail(nil)
	do(t, k, hide(""))
	full.Close()
	k = newHouse(t, m.Crash(journaltest.Killed)).desk("show")
	if got := slotsOf(k.View()); got != "" || k.View().Epoch <= first {
		t.Errorf("after that, shown is %q in epoch %d, which follows %d", got, k.View().Epoch, first)
	}
}
