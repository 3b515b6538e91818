package overlay

import (
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
			if op == journaltest.Open {
				return syscall.EMFILE
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

// TestCommandsOfAFullDisk: when a disk that was full for ten minutes is no more, what was asked for last holds, and captions
// have pushed nothing out.
func TestCommandsOfAFullDisk(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		h.fs.Fail(func(journaltest.Op, string) error { return syscall.ENOSPC })
		f := h.Follow("show", newScreen(t))
		f.Data(text(0, `{"pushcart":"put","card":%s}`, doc("lamp", "Lamp")))
		f.Data(text(1000, `{"pushcart":"show","card":"lamp"}`))
		for i := range 600 {
			time.Sleep(time.Second)
			f.Data(text(int64(i)*90000, "la la la"))
		}
		for i := range inBandWaiting {
			f.Data(text(600*90000, `{"pushcart":"hide","key":"%d"}`, i))
		}
		h.fs.Fail(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		k, err := h.Desk("show")
		if err != nil {
			t.Fatal(err)
		}
		if v := k.View(); len(v.Slots) > 0 {
			t.Errorf("an old command was carried out, and the one that took it back was not: %+v", v.Slots)
		}
	})
}
