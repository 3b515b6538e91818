package overlay

import (
	"testing"
	"testing/synctest"
	"time"

	"pushcart/overlay/journal/journaltest"
)

// TestRest: while desks rest their journals are another's to open, and what comes is refused; afterwards they go on with what is there,
// and carry out what is due.
func TestRest(t *testing.T) {
	inTime(t, func(t *testing.T) {
		files := journaltest.New()
		h := newHouse(t, files)
		k := h.desk("show")
		do(t, k, put("lamp", "Lamp"))
		do(t, k, show("main", "lamp"))
		do(t, k, at(time.Now().Add(time.Minute), hide("main")))
		epoch := k.View().Epoch

		h.Rest()
		no(t, k, put("chair", "Chair"), ReasonClosed, "")
		if _, err := h.Desk("other"); err == nil {
			t.Error("a desk that rests can be opened")
		}
		if _, ok := h.Document("show", "lamp", 1); ok {
			t.Error("documents are read from a journal that is another's")
		}
		visit(t, files, func(other *house, o *Desk) { // the journal is not locked
			do(t, o, put("table", "Table"))
		})
		time.Sleep(2 * time.Minute)
		synctest.Wait()

		h.Resume()
		synctest.Wait() // the scheduled command has its desk opened
		if v := k.View(); len(v.Slots) != 0 || len(v.Scheduled) != 0 || v.Epoch <= epoch {
			t.Errorf("after a minute: %s, %d scheduled, epoch %d after %d", slotsOf(v), len(v.Scheduled), v.Epoch, epoch)
		}
		if n := len(k.View().Cards); n != 2 {
			t.Errorf("%d cards, want the other's too", n)
		}
		do(t, k, put("chair", "Chair"))

		h.Rest()
		h.Close()
		h.Resume()
		no(t, k, put("late", "Late"), ReasonClosed, "")
	})
}
