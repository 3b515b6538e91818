package stream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestStandby: a publisher that stands by takes a stream over once its publisher has been away for a while, and gives way when any other
// comes that does not stand by.
func TestStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := watched(time.Minute)
		main := Publisher{Credential: "ann"}
		var kicked []error
		standby := Publisher{Credential: "bob", Standby: true, Kick: func(cause error) { kicked = append(kicked, cause) }}
		taken := func(what string, until time.Time) {
			t.Helper()
			_, err := h.Publish("show", standby)
			var e, c *TakenError
			if !errors.As(err, &e) || !e.Until.Equal(until) {
				t.Errorf("%s: the standby gets %v", what, err)
			}
			if !errors.As(h.Check("show", standby), &c) || !c.Until.Equal(until) {
				t.Errorf("%s: what the standby would get is %v", what, h.Check("show", standby))
			}
		}
		first, err := h.Publish("show", main)
		if err != nil {
			t.Fatal(err)
		}
		taken("the publisher is live", time.Time{})
		left := time.Now()
		first.Close()
		time.Sleep(StandbyAfter - time.Millisecond)
		taken("it has just gone", left.Add(time.Minute))
		time.Sleep(time.Millisecond)
		if err := h.Check("show", standby); err != nil {
			t.Errorf("the standby would get %v", err)
		}
		by, err := h.Publish("show", standby)
		if err != nil {
			t.Fatal(err)
		}
		if h.made != 1 {
			t.Errorf("%d streams were made", h.made)
		}
		if era, _ := by.Start(); era != 2 {
			t.Errorf("era %d", era)
		}
		by.SetTrack(picture)

		// The publisher that it stands by for is back; any that does not stand by may come.
		if err := h.Check("show", main); err != nil {
			t.Errorf("the publisher would get %v", err)
		}
		l.wants(t, "show live", "show waiting", "show live")
		again, err := h.Publish("show", main)
		if err != nil {
			t.Fatal(err)
		}
		if len(kicked) != 1 || !errors.Is(kicked[0], ErrGaveWay) {
			t.Errorf("the standby was kicked with %v", kicked)
		}
		if err := by.Write(&Frame{Track: picture}); !errors.Is(err, ErrGaveWay) {
			t.Errorf("the standby writes: %v", err)
		}
		by.Close()
		h.wants(t, "away", "tracks [0]", "away")
		l.wants(t)
		if err := again.Write(&Frame{Track: picture, Era: 3}); err != nil {
			t.Error(err)
		}
		taken("the publisher is back", time.Time{})

		// Two that stand by do not take over from one another.
		again.Close()
		time.Sleep(3 * time.Second)
		if _, err = h.Publish("show", standby); err != nil {
			t.Fatal(err)
		}
		var e *TakenError
		if _, err := h.Publish("show", Publisher{Credential: "eve", Standby: true}); !errors.As(err, &e) {
			t.Errorf("another standby gets %v", err)
		}
		h.Yield("show")
		if !errors.Is(kicked[len(kicked)-1], ErrElsewhere) {
			t.Errorf("the standby was kicked with %v", kicked)
		}
	})
}

// TestCheckMakesNothing, and tells of a hub that is closing.
func TestCheckMakesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(time.Minute)
	if err := h.Check("show", Publisher{Credential: "ann"}); err != nil || h.made > 0 || h.Get("show") != nil {
		t.Errorf("%v, %d streams made", err, h.made)
	}
	h.publish(t, "show", "ann")
	var e *TakenError
	if err := h.Check("show", Publisher{Credential: "eve"}); !errors.As(err, &e) || !e.Until.IsZero() {
		t.Errorf("another credential: %v", err)
	}
	if err := h.Check("show", Publisher{Credential: "ann"}); err != nil {
		t.Errorf("the same credential: %v", err)
	}
	h.wants(t)
	select {
	case <-h.Closing():
		t.Error("it is closing")
	default:
	}
	// What waits for Closing is told before the streams end.
	h.opt.Changed = func(*Stream, State) {
		select {
		case <-h.Closing():
		default:
			t.Error("a stream ended before the hub began to close")
		}
	}
	h.Close()
	h.Close()
	if err := h.Check("show", Publisher{Credential: "ann"}); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed hub: %v", err)
	}
}
