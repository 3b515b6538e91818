package overlay

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/overlay/journal/journaltest"
)

// TestKeepEnded: the journal of a show goes when nobody has worked on it for as long as journals are kept, and not before. One that a
// stream follows stays, as does one in which a command waits for its time.
func TestKeepEnded(t *testing.T) {
	inTime(t, func(t *testing.T) {
		var keep atomic.Int64
		h := newHouse(t, journaltest.New(), func(o *Options) { o.KeepEnded = func() time.Duration { return time.Duration(keep.Load()) } })
		for _, name := range []string{"show", "live", "planned", "late"} {
			do(t, h.desk(name), put("lamp", "Lamp"))
		}
		do(t, h.desk("planned"), at(time.Now().Add(20*24*time.Hour), show("main", "lamp")))
		k := h.desk("live")
		k.mu.Lock()
		k.followers++ // as of a stream that is live
		k.mu.Unlock()
		h.fs.Put("data/cards/show.journal.damaged-1", []byte("x"))
		h.fs.Put("data/cards/notes.txt", []byte("x"))
		const day = 24 * time.Hour

		time.Sleep(10 * day)
		if n := len(h.fs.Files()); n != 6 {
			t.Fatalf("%d files are there although journals are kept for good: %v", n, h.fs.Files())
		}
		keep.Store(int64(10 * day))
		do(t, h.desk("late"), put("lamp", "Lamp 2"))
		time.Sleep(2 * time.Hour)
		want := []string{"data/cards/late.journal", "data/cards/live.journal", "data/cards/notes.txt", "data/cards/planned.journal"}
		if got := h.fs.Files(); !slices.Equal(got, want) {
			t.Errorf("after ten days there are %v, want %v", got, want)
		}
		if rev := revisionOf(t, h.desk("show"), "lamp"); rev != 0 {
			t.Errorf("the show's cards are still there, in revision %d", rev)
		}
		time.Sleep(11 * day)
		if got := h.fs.Files(); slices.Contains(got, "data/cards/late.journal") || !slices.Contains(got, "data/cards/live.journal") {
			t.Errorf("after 21 days there are %v", got)
		}
	})
}

// TestKeepEndedFault: a folder that cannot be read, and a file that cannot be removed, are told of and tried again.
func TestKeepEndedFault(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New(), func(o *Options) { o.KeepEnded = func() time.Duration { return time.Hour } })
		do(t, h.desk("show"), put("lamp", "Lamp"))
		h.fs.Fail(func(op journaltest.Op, _ string) error {
			if op == journaltest.List || op == journaltest.Remove {
				return errors.New("the disk is gone")
			}
			return nil
		})
		time.Sleep(3 * time.Hour)
		if h.fs.Bytes(showJournal) == nil {
			t.Error("the journal is gone although it could not be removed")
		}
		h.fs.Fail(nil)
		time.Sleep(2 * time.Hour)
		if h.fs.Bytes(showJournal) != nil {
			t.Error("the journal is still there")
		}
	})
}

// revisionOf is a card's revision; 0 when there is no such card.
func revisionOf(t *testing.T, k *Desk, id string) int64 {
	t.Helper()
	for _, c := range k.View().Cards {
		if c.ID == id {
			return c.Rev
		}
	}
	return 0
}
