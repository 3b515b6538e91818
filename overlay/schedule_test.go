package overlay

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/overlay/journal/journaltest"
)

// inTime runs a test on a clock that stands still unless all wait; no goroutine may be left in the end.
func inTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// at gives a command a time.
func at(when time.Time, c Command) Command {
	c.At = when
	return c
}

func TestScheduled(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		f := h.Follow("show", s)
		defer f.End()
		synctest.Wait()
		do(t, k, put("lamp", "Lamp"))
		do(t, k, put("chair", "Chair"))
		start := time.Now()
		first, second := start.Add(time.Minute), start.Add(2*time.Minute)
		r := do(t, k, at(second, show("main", "chair")))
		if r.Schedule != "s1" || r.Seq != 1 || r.Rev != 1 || r.At == nil || !r.At.Equal(second) {
			t.Errorf("scheduled: %+v", r)
		}
		do(t, k, at(first, show("main", "lamp")))
		do(t, k, at(second, hide("main"))) // at the same time, but asked for later
		do(t, k, at(second, show("side", "lamp")))
		cancelled := do(t, k, at(first, show("top", "lamp")))
		if r := do(t, k, Command{Op: OpCancel, Schedule: cancelled.Schedule}); r.Schedule != cancelled.Schedule || r.Slot != "top" || r.Card != "lamp" || !r.At.Equal(first) {
			t.Errorf("cancelled: %+v", r)
		}
		v := k.View()
		var waiting []string
		for _, p := range v.Scheduled {
			waiting = append(waiting, fmt.Sprintf("%s %s %s %s %v", p.ID, p.Op, p.Slot, p.Card, p.At.Sub(start)))
		}
		if want := []string{"s2 show main lamp 1m0s", "s1 show main chair 2m0s", "s3 hide main  2m0s", "s4 show side lamp 2m0s"}; !slices.Equal(waiting, want) {
			t.Errorf("waiting: %q, want %q", waiting, want)
		}
		do(t, k, put("lamp", "Lamp 2"))
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		if n := len(s.states()); n != 1 {
			t.Errorf("%d states before the time", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if all := s.states(); len(all) != 2 || all[1].brief() != "2 main=lamp/2" || !all[1].At.Equal(first) || !all[1].Slots[0].Since.Equal(first) {
			t.Fatalf("at the time: %+v", all)
		}
		time.Sleep(time.Hour)
		all := s.states()
		if got, want := briefs(all), []string{"1", "2 main=lamp/2", "3 main=chair/1", "4", "5 side=lamp/2"}; !slices.Equal(got, want) {
			t.Errorf("announced %q, want %q", got, want)
		}
		for _, a := range all[2:] {
			if !a.At.Equal(second) {
				t.Errorf("announced for %v", a.At)
			}
		}
		v = k.View()
		if len(v.Scheduled) != 0 || !v.Timeline[0].From.Equal(second) || !v.Timeline[2].To.Equal(second) || !v.Slots[0].Since.Equal(second) || v.Timeline[0].Source != "api" {
			t.Errorf("afterwards: %+v", v)
		}
		if n := h.counter("pushcart_cards_commands_total", "schedule", "done"); n != 4 {
			t.Errorf("%v were counted", n)
		}
	})
}

// TestPast: a time that has passed is now; the screen gets it all the same, and it is counted.
func TestPast(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		f := h.Follow("show", s)
		defer f.End()
		synctest.Wait()
		do(t, k, put("lamp", "Lamp"))
		was := time.Now().Add(-1500 * time.Millisecond)
		r := do(t, k, at(was, show("main", "lamp")))
		if r.Schedule != "" || r.Seq != 2 || r.At == nil || !r.At.Equal(was) {
			t.Errorf("%+v", r)
		}
		if all := s.states(); len(all) != 2 || !all[1].State.Slots[0].Since.Equal(was) || !all[1].At.Equal(was) {
			t.Errorf("announced: %+v", all)
		}
		do(t, k, at(time.Now().Add(-time.Hour), hide("")))
		if l := k.View().Timeline[0]; !l.From.Equal(was) || !l.To.Equal(time.Now()) {
			t.Errorf("hidden before it was shown: %+v", l)
		}
		if n := h.counter("pushcart_cards_late_total"); n != 2 {
			t.Errorf("%v were counted as late", n)
		}
	})
}

// TestScheduleSurvives: what was due while the node was down happens at once, in order; the rest in its time.
func TestScheduleSurvives(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k := h.desk("show")
		do(t, k, put("lamp", "Lamp"))
		do(t, k, put("chair", "Chair"))
		start := time.Now()
		for i, c := range []Command{show("main", "lamp"), show("side", "chair"), show("main", "chair"), hide("side"), hide("main")} {
			do(t, k, at(start.Add(time.Duration(i+1)*time.Minute), c))
		}
		h.Close()
		time.Sleep(3*time.Minute + time.Second)
		h = newHouse(t, h.fs)
		k = h.desk("show")
		synctest.Wait()
		v := k.View()
		if slotsOf(v) != "main=chair/1 side=chair/1" || v.Seq != 4 || len(v.Scheduled) != 2 {
			t.Errorf("opened again: %s, sequence %d, %d scheduled", slotsOf(v), v.Seq, len(v.Scheduled))
		}
		if l := v.Timeline; len(l) != 3 || !l[0].From.Equal(start.Add(3*time.Minute)) || !l[2].From.Equal(start.Add(time.Minute)) {
			t.Errorf("timeline: %+v", l)
		}
		s := newScreen(t)
		defer h.Follow("show", s).End()
		time.Sleep(2 * time.Minute)
		if got := strings.Join(briefs(s.states()), "; "); got != "4 main=chair/1 side=chair/1; 5 main=chair/1; 6" {
			t.Errorf("announced: %s", got)
		}
		if a := s.states()[0]; !a.Announcement.At.IsZero() {
			t.Errorf("the present state is announced for %v", a.Announcement.At)
		}
	})
}

// TestScheduleGoesByTheStream: what is behind the camera by two seconds shows the card two seconds later; a clock that
// jumps is noticed.
func TestScheduleGoesByTheStream(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k, s := h.desk("show"), newScreen(t)
		s.setClock(-2 * time.Second)
		f := h.Follow("show", s)
		synctest.Wait()
		do(t, k, put("lamp", "Lamp"))
		when := time.Now().Add(time.Minute)
		do(t, k, at(when, show("main", "lamp")))
		do(t, k, at(when.Add(time.Hour), hide("main")))
		time.Sleep(time.Minute + 2*time.Second - time.Millisecond)
		synctest.Wait()
		if len(s.states()) != 1 {
			t.Error("shown before the stream has come as far")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if all := s.states(); len(all) != 2 || !all[1].At.Equal(when) {
			t.Errorf("announced: %v", briefs(all))
		}
		// Not yet by the stream's clock, though by the node's.
		if r := do(t, k, at(time.Now().Add(-time.Second), show("side", "lamp"))); r.Schedule == "" {
			t.Errorf("a time ahead of the stream: %+v", r)
		}
		s.setClock(time.Hour)
		time.Sleep(longestNap)
		synctest.Wait()
		if v := k.View(); slotsOf(v) != "side=lamp/1" {
			t.Errorf("after the clock's jump: %s", slotsOf(v))
		}
		// Without a stream, the node's clock counts.
		f.End()
		synctest.Wait()
		do(t, k, at(time.Now().Add(time.Second), hide("side")))
		time.Sleep(time.Second)
		synctest.Wait()
		if v := k.View(); slotsOf(v) != "" {
			t.Errorf("without a stream: %s", slotsOf(v))
		}
	})
}

// TestScheduleMeetsFullDisk: a scheduled command that cannot be written is tried again; it is not lost.
func TestScheduleMeetsFullDisk(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k := h.desk("show")
		do(t, k, put("lamp", "Lamp"))
		when := time.Now().Add(time.Minute)
		do(t, k, at(when, show("main", "lamp")))
		h.fs.Fail(func(op journaltest.Op, _ string) error {
			if op == journaltest.Write {
				return &journaltest.Short{N: 5, Err: syscall.ENOSPC}
			}
			return nil
		})
		time.Sleep(5 * time.Minute)
		if v := k.View(); slotsOf(v) != "" || len(v.Scheduled) != 1 {
			t.Errorf("with the disk full: %s, %d scheduled", slotsOf(v), len(v.Scheduled))
		}
		if n := h.counter("pushcart_cards_journal_failures_total"); n < 200 || n > 400 {
			t.Errorf("it was tried %v times", n)
		}
		if n := h.log.count("commands are refused"); n < 20 || n > 30 {
			t.Errorf("the log has it %d times", n)
		}
		h.fs.Fail(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if v := k.View(); slotsOf(v) != "main=lamp/1" || len(v.Scheduled) != 0 || !v.Slots[0].Since.Equal(when) {
			t.Errorf("with room again: %+v", v.Slots)
		}
	})
}

// TestScheduleNotPossible: what has become impossible by its time is dropped with a word in the log, and nothing else is.
func TestScheduleNotPossible(t *testing.T) {
	inTime(t, func(t *testing.T) {
		h := newHouse(t, journaltest.New())
		k := h.desk("show")
		do(t, k, put("lamp", "Lamp"))
		when := time.Now().Add(time.Minute)
		do(t, k, at(when, show("late", "lamp")))
		do(t, k, at(when.Add(time.Second), hide("s0")))
		for i := range mostSlots {
			do(t, k, show(fmt.Sprint("s", i), "lamp"))
		}
		time.Sleep(2 * time.Minute)
		if v := k.View(); len(v.Slots) != mostSlots-1 || len(v.Scheduled) != 0 {
			t.Errorf("%s, %d scheduled", slotsOf(v), len(v.Scheduled))
		}
		if !h.log.has("a scheduled command was not carried out") {
			t.Error("nothing in the log")
		}
		seq := k.View().Seq
		h.Close()
		if v := newHouse(t, h.fs).desk("show").View(); len(v.Scheduled) != 0 || seq != 10 {
			t.Errorf("it came back: %+v", v.Scheduled)
		}
	})
}
