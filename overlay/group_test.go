package overlay

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/overlay/journal/journaltest"
)

// TestFiftyASecond: fifty changes a second, on a disk that takes a third of a second to flush, all reach the screen, each
// by itself and in order, and none waits for more than two flushes.
func TestFiftyASecond(t *testing.T) {
	inTime(t, func(t *testing.T) {
		const flush, changes = 333 * time.Millisecond, 1000
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		f := h.Follow("show", s)
		synctest.Wait()
		do(t, k, put("lamp", "Lamp"))
		do(t, k, show("main", "lamp"))
		h.fs.Before(func(op journaltest.Op, _ string) {
			if op == journaltest.Sync {
				time.Sleep(flush)
			}
		})
		syncs := h.fs.Count(journaltest.Sync)
		answered := make(chan time.Duration, changes)
		for i := range changes {
			if i%2 == 0 {
				f.Data(text(int64(i), `{"pushcart":"patch","card":"lamp","patch":{"sku":"%d"}}`, i))
			} else {
				go func() {
					begin := time.Now()
					if _, err := k.Do(context.Background(), Command{Op: OpPatch, Card: "lamp", Body: fmt.Appendf(nil, `{"sku":"%d"}`, i)}); err != nil {
						t.Error(err)
					}
					answered <- time.Since(begin)
				}()
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(2 * flush)
		synctest.Wait()
		all := s.states()
		if len(all) != changes+2 {
			t.Errorf("%d of %d states were announced", len(all), changes+2)
		}
		for i, a := range all {
			if a.Seq != int64(i+1) || i > 1 && a.Slots[0].Rev != int64(i) {
				t.Fatalf("state %d is %s", i, a.brief())
			}
		}
		for range changes / 2 {
			if d := <-answered; d > 2*flush {
				t.Errorf("answered after %v", d)
			}
		}
		if n := h.fs.Count(journaltest.Sync) - syncs; n > 20*int(time.Second/flush)+3 {
			t.Errorf("%d flushes for %d changes", n, changes)
		}
		h.fs.Before(nil)
		f.End()
	})
}

// TestGroup: what waits while the disk is busy is written with one flush.
func TestGroup(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k := h.desk("show")
		gate := make(chan struct{})
		h.fs.Before(func(op journaltest.Op, _ string) {
			if op == journaltest.Sync {
				<-gate
			}
		})
		syncs := h.fs.Count(journaltest.Sync)
		answers := make(chan error, mostWaiting+10)
		send := func(c Command) {
			go func() {
				_, err := k.Do(context.Background(), c)
				answers <- err
			}()
			synctest.Wait()
		}
		send(put("first", "First"))
		for i := range 100 {
			send(put(fmt.Sprint("c", i), "Card"))
		}
		send(show("main", "c99")) // depends on one that is not on the disk yet
		send(hide("nothing"))
		select {
		case err := <-answers:
			t.Fatalf("answered before anything was on the disk: %v", err)
		default:
		}
		if cardsOf(k.View()) != "" || h.fs.Count(journaltest.Sync) != syncs {
			t.Error("seen before it was on the disk")
		}
		gate <- struct{}{}
		synctest.Wait()
		if err := <-answers; err != nil || cardsOf(k.View()) != "first/1" {
			t.Errorf("after the first flush: %v, %s", err, cardsOf(k.View()))
		}
		close(gate)
		synctest.Wait()
		for range 102 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if n := h.fs.Count(journaltest.Sync) - syncs; n != 2 || slotsOf(k.View()) != "main=c99/1" {
			t.Errorf("%d flushes, %s", n, slotsOf(k.View()))
		}
		if n := h.counter("pushcart_cards_journal_sync_seconds"); n != 2 {
			t.Errorf("%v flushes were measured", n)
		}

		// More than may wait are refused at once.
		gate = make(chan struct{})
		h.fs.Before(func(op journaltest.Op, _ string) {
			if op == journaltest.Sync {
				<-gate
			}
		})
		send(put("second", "Second"))
		for range mostWaiting {
			send(hide("nothing"))
		}
		no(t, k, hide("nothing"), ReasonBusy, "")
		if h.counter("pushcart_cards_busy_total") != 1 {
			t.Error("it was not counted")
		}
		close(gate)
		synctest.Wait()
	})
}

// TestGroupFails: when a group cannot be written, all that depends on it is refused, and nothing has changed.
func TestGroupFails(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		f := h.Follow("show", s)
		defer f.End()
		synctest.Wait()
		do(t, k, put("lamp", "Lamp"))
		do(t, k, show("main", "lamp"))
		gate := make(chan struct{})
		h.fs.Before(func(op journaltest.Op, _ string) {
			if op == journaltest.Sync {
				<-gate
			}
		})
		type answer struct {
			name string
			err  error
		}
		answers := make(chan answer, 10)
		send := func(name string, ctx context.Context, c Command) {
			go func() {
				_, err := k.Do(ctx, c)
				answers <- answer{name, err}
			}()
			synctest.Wait()
		}
		going, leave := context.WithCancel(context.Background())
		send("before", context.Background(), put("before", "Before"))
		send("sure", context.Background(), show("side", "none"))
		send("storage", context.Background(), put("chair", "Chair"))
		send("storage", context.Background(), show("main", "chair"))
		send("storage", context.Background(), show("main", "none"))
		send("gone", going, put("gone", "Gone"))
		leave()
		synctest.Wait()
		h.fs.Fail(func(op journaltest.Op, _ string) error {
			if op == journaltest.Write {
				return syscall.EIO
			}
			return nil
		})
		view := k.View()
		close(gate)
		synctest.Wait()
		for range 6 {
			a := <-answers
			var r *Refusal
			errors.As(a.err, &r)
			switch {
			case a.name == "before" && a.err == nil:
			case a.name == "gone" && errors.Is(a.err, context.Canceled):
			case a.name == "storage" && r != nil && r.Reason == ReasonStorage:
			case a.name == "sure" && r != nil && r.Reason == ReasonNotFound:
			default:
				t.Errorf("%s: %v", a.name, a.err)
			}
		}
		v := k.View()
		if cardsOf(v) != "lamp/1 before/1" || slotsOf(v) != "main=lamp/1" || len(s.states()) != 2 || cardsOf(view) != "lamp/1" {
			t.Errorf("%s, %s, %q", cardsOf(v), slotsOf(v), briefs(s.states()))
		}
		h.fs.Fail(nil)
		do(t, k, put("chair", "Chair"))
		if cardsOf(k.View()) != "lamp/1 before/1 chair/1" {
			t.Error(cardsOf(k.View()))
		}
	})
}
