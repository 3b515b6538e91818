package overlay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/overlay/journal"
	"pushcart/overlay/journal/journaltest"
)

// TestFullDisk: commands are refused with a sentence, nothing is changed or half-written, readers and screens go on, and
// with room again so does the desk.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k, s := h.desk("show"), newScreen(t)
	defer h.Follow("show", s).End()
	do(t, k, put("lamp", "Lamp"))
	do(t, k, show("main", "lamp"))
	before, size := k.View(), len(h.fs.Bytes(showJournal))
	for n := range 120 {
		h.fs.Fail(func(op journaltest.Op, _ string) error {
			if op == journaltest.Write {
				return &journaltest.Short{N: n, Err: syscall.ENOSPC}
			}
			return nil
		})
		r := no(t, k, keyed("key", put("chair", "Chair")), ReasonStorage, "")
		if !strings.Contains(r.Message, "disk is full") || !strings.Contains(r.Message, "show goes on") {
			t.Errorf("refused with %q", r.Message)
		}
		no(t, k, hide(""), ReasonStorage, "")
		do(t, k, show("main", "lamp")) // needs no room
		if k.View() != before || len(h.fs.Bytes(showJournal)) != size {
			t.Fatalf("with room for %d bytes something changed", n)
		}
		if _, ok := h.Document("show", "lamp", 1); !ok {
			t.Error("documents are gone")
		}
	}
	if got := essence(newHouse(t, h.fs.Crash(journaltest.Killed)).desk("show").View()); got != essence(before) {
		t.Errorf("after a crash with the disk full: %s", got)
	}
	h.fs.Fail(nil)
	do(t, k, keyed("key", put("chair", "Chair")))
	do(t, k, show("side", "chair"))
	if all := briefs(s.states()); all[len(all)-1] != "3 main=lamp/1 side=chair/1" {
		t.Errorf("announced: %q", all)
	}
}

// TestFaults lets each operation of the file system fail, in each way, while a story is told: a command that succeeds is
// never lost, one that is refused never comes back, and each can be sent again.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{
		"I/O error": syscall.EIO, "disk full": syscall.ENOSPC, "short": &journaltest.Short{N: 20, Err: syscall.ENOSPC},
		"late": &journaltest.Late{Err: syscall.EIO},
	} {
		for times := 1; times <= 2; times++ {
			for n := 0; tellWithFault(t, fmt.Sprint(name, " times ", times), n, times, fault); n++ {
			}
		}
	}
}

// tellWithFault tells the story while the nth operation fails, and those behind it if it is to fail more than once. It
// returns false when there were not as many.
func tellWithFault(t *testing.T, name string, n, times int, fault error) (met bool) {
	t.Helper()
	h := makeHouse(t, journaltest.New())
	defer h.Close()
	k := h.desk("show")
	left := n
	h.fs.Fail(func(journaltest.Op, string) error {
		if left--; left >= 0 || left < -times {
			return nil
		}
		met = true
		return fault
	})
	survives := func(what any) {
		t.Helper()
		for _, loss := range journaltest.Losses {
			visit(t, h.fs.Crash(loss), func(_ *house, again *Desk) {
				if got, want := essence(again.View()), essence(k.View()); got != want {
					t.Errorf("%s at %d, %v, %s:\n%s, want\n%s", name, n, what, loss, got, want)
				}
			})
		}
	}
	for i, c := range story() {
		before := essence(k.View())
		if _, err := k.Do(context.Background(), c); err != nil {
			var r *Refusal
			if !errors.As(err, &r) || r.Reason != ReasonStorage || essence(k.View()) != before {
				t.Errorf("%s at %d, command %d: %v", name, n, i, err)
			}
			// The clerk has written the journal anew by the time of the next answer, if it had to.
			do(t, k, hide("nothing"))
			survives(fmt.Sprint("refused ", i))
			do(t, k, c)
			survives(fmt.Sprint("sent again ", i))
		}
	}
	survives("in the end")
	return met
}

// TestOpeningFails: a desk that cannot be opened says so, is tried again when asked for later, and is not asked of the
// disk by every viewer.
func TestOpeningFails(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		h.desk("show")
		h.Close()
		h = newHouse(t, h.fs)
		for _, c := range []struct {
			op   journaltest.Op
			err  error
			word string
		}{
			{journaltest.Write, syscall.ENOSPC, "disk is full"}, {journaltest.Sync, syscall.EIO, "could not be opened"},
			{journaltest.Lock, journal.ErrInUse, "in use"}, {journaltest.Open, syscall.EACCES, "could not be opened"},
		} {
			h.fs.Fail(func(op journaltest.Op, _ string) error {
				if op == c.op {
					return c.err
				}
				return nil
			})
			var r *Refusal
			if _, err := h.Desk("show"); !errors.As(err, &r) || r.Reason != ReasonStorage || !strings.Contains(r.Message, c.word) {
				t.Errorf("%s: %v", c.op, err)
			}
			tries := h.fs.Count(journaltest.Open)
			for range 100 {
				h.Document("show", "lamp", 1)
				h.Desk("show")
			}
			if n := h.fs.Count(journaltest.Open); n > tries+1 { // once more if the desk was forgotten in between
				t.Errorf("%s: the disk was asked %d times", c.op, n-tries)
			}
			h.fs.Fail(nil)
			time.Sleep(retryOpen)
			k := h.desk("show")
			do(t, k, put("lamp", string(c.op)))
			h.Close()
			h = newHouse(t, h.fs)
		}
	})
}

// TestDamagedJournal: what is whole is in force, the rest is said to be lost, and no revision that may have been lost
// comes again.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	k := h.desk("show")
	chapters := tell(t, h, k, story())
	h.Close()
	whole := h.fs.Bytes(showJournal)
	highest := map[string]int64{"lamp": 4, "chair": 2, "rug": 1}
	for i, c := range chapters[:len(chapters)-1] {
		m := journaltest.New()
		damaged := bytes.Clone(whole)
		damaged[c.size+20] ^= 4
		m.Put(showJournal, damaged)
		if i%2 == 0 { // the first attempt comes to nothing
			m.Fail(func(op journaltest.Op, _ string) error {
				if op == journaltest.Rename {
					return syscall.ENOSPC
				}
				return nil
			})
			if _, err := newHouse(t, m).Desk("show"); err == nil {
				t.Error("opened, although nothing could be written")
			}
			m = m.Crash(journaltest.Losses[i%len(journaltest.Losses)])
		}
		again := newHouse(t, m)
		k := again.desk("show")
		if got := essence(k.View()); got != c.essence {
			t.Errorf("damaged after command %d:\n%s, want\n%s", i, got, c.essence)
		}
		if !again.log.has("DAMAGED") || !again.log.has("show.journal.damaged-1") || again.counter("pushcart_cards_journals_damaged_total") != 1 {
			t.Errorf("damaged after command %d: nobody was told: %s", i, again.log.b.String())
		}
		if !bytes.Equal(m.Bytes(showJournal+".damaged-1"), damaged) {
			t.Error("the damaged file was not kept")
		}
		for id, was := range highest {
			if r := do(t, k, put(id, "After the damage")); r.Rev <= was {
				t.Errorf("damaged after command %d: %s gets revision %d again", i, id, r.Rev)
			}
		}
		do(t, k, show("main", "rug"))
	}
}

// TestOtherStreamsJournal: on a file system that does not tell upper case from lower, the second name is refused.
func TestOtherStreamsJournal(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	do(t, h.desk("show"), put("lamp", "Lamp"))
	h.Close()
	h.fs.Put("data/cards/Show.journal", h.fs.Bytes(showJournal))
	h = newHouse(t, h.fs)
	var r *Refusal
	if _, err := h.Desk("Show"); !errors.As(err, &r) || r.Reason != ReasonStorage || !strings.Contains(r.Message, "upper and lower case") {
		t.Errorf("%v", err)
	}
}

// TestUnreadableRecord: a record of a later version stops the desk, rather than being passed over.
func TestUnreadableRecord(t *testing.T) {
	t.Parallel()
	m := journaltest.New()
	j, _, err := journal.Open(m, showJournal, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Append([]byte(`{"put":7}`)), j.Close()); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, m)
	if _, err := h.Desk("show"); err == nil || !h.log.has("this version cannot read") {
		t.Errorf("%v, log %s", err, h.log.b.String())
	}
}

// FuzzReplay: whatever stands in a journal, a desk opens or says why not, keeps its bounds of sense, and goes on.
func FuzzReplay(f *testing.F) {
	for _, s := range []string{
		`{"open":{"stream":"show","epoch":5}}`,
		`{"put":[{"id":"lamp","rev":1,"at":5,"doc":{"id":"lamp","@type":"Product","name":"L"}}],"slots":[{"slot":"main","card":"lamp","rev":1,"since":7}]}`,
		`{"slots":[{"slot":"main","since":9}],"gone":["lamp"],"order":["a","b"],"done":"s1"}`,
		`{"plan":{"id":"s1","op":"show","slot":"main","card":"lamp","at":9},"in_band":true}`,
		`{"snapshot":{"first":{"stream":"show","epoch":5,"seq":2,"list":1},"slots":[{"slot":"main","card":"lamp","rev":1,"since":7}],"cards":[{"id":"lamp","rev":1,"at":5,"doc":{}}],"shown":[{"id":"lamp","rev":1,"doc":{},"ended":5}],"timeline":[{"slot":"main","card":"lamp","rev":1,"from":"2026-01-02T03:04:05Z","source":"api"}],"keys":[null]}}`,
	} {
		f.Add([]byte(s), []byte(`{"slots":[{"slot":"main","card":"lamp","rev":0,"since":-1}]}`))
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		m := journaltest.New()
		j, _, err := journal.Open(m, showJournal, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range [][]byte{one, two} {
			if len(r) > 0 {
				j.Append(r)
			}
		}
		j.Close()
		h := newHouse(t, m)
		defer h.Close()
		k, err := h.Desk("show")
		if err != nil {
			return
		}
		for _, s := range k.View().Slots {
			if !strings.Contains(cardsOf(k.View()), fmt.Sprintf("%s/%d", s.Card, s.Rev)) {
				t.Errorf("slot %v shows what is not on the list: %s", s, cardsOf(k.View()))
			}
			h.Document("show", s.Card, s.Rev)
		}
		k.Do(context.Background(), put("chair", "Chair"))
		k.Do(context.Background(), show("side", "chair"))
		k.Do(context.Background(), hide(""))
	})
}
