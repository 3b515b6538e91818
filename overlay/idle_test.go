package overlay

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/overlay/journal/journaltest"
)

// TestKeep: a revision stays fetchable for a while after it was last shown, and no longer.
func TestKeep(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k := h.desk("show")
		has := func(rev int64) bool {
			_, ok := h.Document("show", "lamp", rev)
			return ok
		}
		do(t, k, put("lamp", "Lamp"))
		do(t, k, show("main", "lamp"))
		do(t, k, show("side", "lamp"))
		time.Sleep(time.Hour)
		do(t, k, put("lamp", "Lamp 2"))
		time.Sleep(time.Minute)
		if !has(1) || !has(2) {
			t.Error("a revision that was just shown is gone")
		}
		h.Close()
		h = newHouse(t, h.fs)
		k = h.desk("show")
		if !has(1) || !has(2) {
			t.Error("a revision that was just shown is gone with a restart")
		}
		time.Sleep(time.Millisecond)
		if has(1) || !has(2) {
			t.Error("the old revision should be gone, the one that is shown should not")
		}
		do(t, k, hide("main"))
		time.Sleep(time.Hour)
		if !has(2) {
			t.Error("another slot still shows it")
		}
		do(t, k, hide("side"))
		h.keep = time.Second
		time.Sleep(2 * time.Second)
		if has(2) {
			t.Error("it is kept longer than the setting says")
		}
		do(t, k, show("main", "lamp"))
		time.Sleep(time.Hour)
		if !has(2) {
			t.Error("it is shown again, but cannot be fetched")
		}
	})
}

// TestKeysExpire: after a day a key may be used anew.
func TestKeysExpire(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k := h.desk("show")
		do(t, k, keyed("one", put("lamp", "Lamp")))
		time.Sleep(keyAge - time.Millisecond)
		if r := do(t, k, keyed("one", put("lamp", "Lamp"))); !r.Replayed {
			t.Error("forgotten too soon")
		}
		time.Sleep(time.Millisecond)
		if r := do(t, k, keyed("one", put("lamp", "Lamp 2"))); r.Replayed || r.Rev != 2 {
			t.Error("remembered too long")
		}
		if r := do(t, k, keyed("one", put("lamp", "Lamp 2"))); !r.Replayed {
			t.Error("used anew, it is not remembered")
		}
	})
}

// TestIdleDesksClose: beyond a number, desks that nobody uses are closed, and whoever has one does not notice.
func TestIdleDesksClose(t *testing.T) {
	inTime(t, func(t *testing.T) {
		const mostIdle, mostOpen = 20, 80
		h := newHouse(t, journaltest.New(), func(o *Options) { o.mostIdle, o.most = mostIdle, mostOpen })
		open := func() float64 { return h.counter("pushcart_cards_desks_open") }
		followed, scheduled, held := h.desk("followed"), h.desk("scheduled"), h.desk("held")
		s := newScreen(t)
		s.stream = "followed"
		f := h.Follow("followed", s)
		for _, k := range []*Desk{followed, scheduled, held} {
			do(t, k, put("lamp", "Lamp"))
		}
		do(t, scheduled, at(time.Now().Add(24*time.Hour), show("main", "lamp")))
		do(t, held, show("main", "lamp"))
		began := scheduled.View().Epoch
		time.Sleep(time.Hour)
		if open() != 3 {
			t.Errorf("%v desks are open, of the few that there were", open())
		}
		for i := range mostIdle {
			h.desk(fmt.Sprint("n", i))
		}
		if open() != mostIdle+3 {
			t.Errorf("%v desks are open", open())
		}
		changed := held.View().Changed()
		time.Sleep(sweepEvery + time.Second)
		if n := open(); n != mostIdle+2 {
			t.Errorf("%v desks are open, one of them should have closed", n)
		}
		if held.clerk.Load() != nil || followed.clerk.Load() == nil || scheduled.clerk.Load() == nil {
			t.Error("the wrong desk closed")
		}
		time.Sleep(idleAfter + sweepEvery)
		if open() != mostIdle {
			t.Errorf("%v desks are open", open())
		}
		select {
		case <-changed:
			t.Error("closing changed the view")
		default:
		}
		epoch := held.View().Epoch
		if d, ok := h.Document("held", "lamp", 1); !ok || len(d.Plain) == 0 {
			t.Error("a closed desk has no documents")
		}
		<-changed
		if v := held.View(); v.Epoch <= epoch || slotsOf(v) != "main=lamp/1" || h.desk("held") != held {
			t.Errorf("opened again: epoch %d, before %d, %s", v.Epoch, epoch, slotsOf(v))
		}
		do(t, held, put("lamp", "Lamp 2"))
		f.End()
		time.Sleep(time.Second)
		// More than there may be at all are closed at once.
		for i := range mostOpen + 20 {
			h.desk(fmt.Sprint("m", i))
		}
		synctest.Wait()
		if n := open(); n > mostOpen || n < mostOpen-2 {
			t.Errorf("%v desks are open, %d may be", n, mostOpen)
		}
		if scheduled.View().Epoch != began || followed.clerk.Load() != nil {
			t.Error("a desk with a schedule was closed, or one that is followed no more was not")
		}
		time.Sleep(24 * time.Hour)
		if slotsOf(scheduled.View()) != "main=lamp/1" {
			t.Error("the scheduled command did not come")
		}
	})
}
