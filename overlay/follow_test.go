package overlay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/overlay/journal/journaltest"
)

// text is a command as an encoder sends it.
func text(pts int64, format string, args ...any) *stream.Data {
	return &stream.Data{
		Name: "onTextData", Era: 2, PTS: pts, Trusted: true,
		Values: []any{map[string]any{"text": fmt.Sprintf(format, args...)}},
	}
}

func TestInBand(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		f := h.Follow("show", s)
		f.Tracks(nil)
		f.Frame(&stream.Frame{})
		f.Away()
		f.Data(text(1000, `{"pushcart":"put","card":%s}`, doc("lamp", "Lamp")))
		f.Data(text(2000, `{"pushcart":"show","card":"lamp"}`))
		f.Data(text(3000, `{"pushcart":"patch","card":"lamp","patch":{"name":"Lamp 2"}}`))
		f.Data(text(4000, `Good evening!`)) // a caption
		f.Data(&stream.Data{Name: "onMetaData", Values: []any{map[string]any{"width": 1280.0}}})
		f.Data(text(5000, `{"pushcart":"hide"}`))
		synctest.Wait()
		want := []string{"1", "2 main=lamp/1", "3 main=lamp/2", "4"}
		all := s.states()
		if got := briefs(all); !slices.Equal(got, want) {
			t.Fatalf("announced %q, want %q", got, want)
		}
		for i, pts := range []int64{2000, 3000, 5000} {
			if a := all[i+1]; a.Frame == nil || *a.Frame != (Frame{Era: 2, PTS: pts}) || !a.Announcement.At.IsZero() {
				t.Errorf("state %d belongs to %+v", i+1, a.Frame)
			}
		}
		if v := k.View(); v.InBandRefusal != nil || v.Timeline[0].Source != "rtmp" {
			t.Errorf("%+v", v)
		}

		// What is refused is told, once a second.
		f.Data(text(6000, `{"pushcart":"show","card":"chair"}`))
		synctest.Wait()
		if r := k.View().InBandRefusal; r == nil || r.Field != "card" || r.Source != "rtmp" || r.Count != 1 || !r.At.Equal(time.Now()) || !strings.Contains(r.Message, "chair") {
			t.Errorf("refused: %+v", r)
		}
		untrusted := text(7000, `{"pushcart":"show","card":"lamp"}`)
		untrusted.Trusted = false
		f.Data(untrusted)
		synctest.Wait()
		if r := k.View().InBandRefusal; r.Count != 1 {
			t.Errorf("told too soon: %+v", r)
		}
		time.Sleep(refusalPace)
		synctest.Wait()
		if r := k.View().InBandRefusal; r.Count != 2 || !strings.Contains(r.Message, "stream key") {
			t.Errorf("refused: %+v", r)
		}
		do(t, k, Command{Op: OpConfigure, InBand: ptr(false)})
		f.Data(text(8000, `{"pushcart":"show","card":"lamp"}`))
		time.Sleep(refusalPace)
		synctest.Wait()
		if r := k.View().InBandRefusal; r.Count != 3 || !strings.Contains(r.Message, "does not accept") {
			t.Errorf("refused: %+v", r)
		}
		if n := h.counter("pushcart_cards_in_band_refusals_total"); n != 3 || len(s.states()) != 4 {
			t.Errorf("%v were counted, %d states", n, len(s.states()))
		}
		// What came before the end of the stream counts.
		do(t, k, Command{Op: OpConfigure, InBand: ptr(true)})
		for i := range 50 {
			f.Data(text(9000, `{"pushcart":"put","card":%s}`, doc(fmt.Sprint("c", i), "Card")))
		}
		f.End()
		f.End()
		synctest.Wait()
		if n := len(k.View().Cards); n != 51 {
			t.Errorf("%d cards after the end", n)
		}
		do(t, k, show("main", "lamp"))
		if len(s.states()) != 4 {
			t.Error("a stream that has ended hears of a state")
		}
	})
}

// TestInBandFlood: a publisher gone wild writes nothing to the disk by what is refused, and does not keep the studio busy.
func TestInBandFlood(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		f := h.Follow("show", s)
		defer f.End()
		synctest.Wait()
		size := len(h.fs.Bytes(showJournal))
		views := 0
		for range 100 {
			for range 100 {
				f.Data(text(0, `{"pushcart":"show","card":"none"}`))
			}
			v := k.View()
			time.Sleep(100 * time.Millisecond)
			if k.View() != v {
				views++
			}
		}
		if views > 11 {
			t.Errorf("%d views in 10 s", views)
		}
		if len(h.fs.Bytes(showJournal)) != size {
			t.Error("refusals went to the disk")
		}
		if n := h.counter("pushcart_cards_in_band_refusals_total"); n != 10000 {
			t.Errorf("%v of 10000 refusals were counted", n)
		}
		if n := h.counter("pushcart_cards_commands_total"); n < 500 || n > 610 {
			t.Errorf("%v commands came through in 10 s", n)
		}
		// All at once: what does not fit into the queue is counted as well.
		h.fs.Before(func(op journaltest.Op, _ string) { time.Sleep(time.Second) })
		for range 1000 {
			f.Data(text(0, `{"pushcart":"hide","key":"x"}`))
		}
		time.Sleep(10 * time.Second)
		if h.counter("pushcart_cards_in_band_refusals_total", inBandQueue) == 0 || h.counter("pushcart_cards_in_band_refusals_total", inBandRate) == 0 {
			t.Error("no refusals for the rate, or the queue")
		}
		n := h.counter("pushcart_cards_in_band_refusals_total", inBandSize)
		big := strings.Repeat("x", inBandBytes)
		for _, v := range []any{big, []any{big}, map[string]any{"a": []any{1.0, big}}, map[string]any{big: 1.0}} {
			f.Data(&stream.Data{Name: "onTextData", Values: []any{v}})
		}
		if got := h.counter("pushcart_cards_in_band_refusals_total", inBandSize) - n; got != 4 {
			t.Errorf("%v of 4 oversized messages were counted", got)
		}
	})
}

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

// TestFollowTriesAgain: a stream whose desk cannot be opened yet gets its state as soon as it can.
func TestFollowTriesAgain(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k := h.desk("show")
		do(t, k, put("lamp", "Lamp"))
		do(t, k, show("main", "lamp"))
		h.Close()
		h = newHouse(t, h.fs)
		h.fs.Fail(func(op journaltest.Op, _ string) error {
			if op == journaltest.Write {
				return syscall.ENOSPC
			}
			return nil
		})
		s, lost := newScreen(t), newScreen(t)
		f, ended := h.Follow("show", s), h.Follow("show", lost)
		f.Data(text(7, `{"pushcart":"hide"}`))
		time.Sleep(time.Hour)
		ended.End()
		if len(s.states()) != 0 {
			t.Error("announced from a desk that is not open")
		}
		h.fs.Fail(nil)
		time.Sleep(lastRetry)
		synctest.Wait()
		if got := briefs(s.states()); !slices.Equal(got, []string{"1 main=lamp/1", "2"}) {
			t.Errorf("announced %q", got)
		}
		if len(lost.states()) != 0 {
			t.Error("a stream that has ended hears of a state")
		}
		// The stream comes again, while the one before still hangs on.
		next := newScreen(t)
		h.Follow("show", next)
		synctest.Wait()
		do(t, h.desk("show"), show("main", "lamp"))
		if got := briefs(next.states()); !slices.Equal(got, []string{"2", "3 main=lamp/1"}) {
			t.Errorf("announced %q", got)
		}
		h.Follow("no such/name", newScreen(t)).End()
	})
}
