package stream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestExpect: a stream that is expected waits for its publisher like one whose publisher has gone, and ends when nobody comes.
func TestExpect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := watched(time.Minute)
		began := time.Now().Add(-time.Hour)
		ann := Publisher{Credential: "ann", Protocol: "rtmp", Kick: func(error) { t.Error("somebody is kicked who is not there") }}
		if err := h.Expect("show", ann, began, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if h.made != 1 {
			t.Errorf("%d streams were made", h.made)
		}
		var taken *TakenError
		if err := h.Expect("show", ann, began, time.Second); !errors.As(err, &taken) {
			t.Errorf("expected twice: %v", err)
		}
		if _, err := h.Publish("show", Publisher{Credential: "bob"}); !errors.As(err, &taken) || !taken.Until.Equal(time.Now().Add(10*time.Second)) {
			t.Errorf("another publisher gets %v", err)
		}
		p, created, wait, ok := h.Expected("show")
		if !ok || p.Credential != "ann" || p.Protocol != "rtmp" || p.Kick != nil || !created.Equal(began) || wait != 10*time.Second {
			t.Errorf("expected is %+v of %v for %v, %v", p, created, wait, ok)
		}
		x, err := h.Publish("show", Publisher{Credential: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if era, _ := x.Start(); era != 2 {
			t.Errorf("the publisher begins with era %d: for viewers it returned", era)
		}
		if _, _, wait, _ := h.Expected("show"); wait != time.Minute {
			t.Errorf("a live stream would wait %v", wait)
		}
		l.wants(t, "show waiting", "show live")
		x.Close()
		time.Sleep(time.Minute + time.Millisecond)
		if _, _, _, ok := h.Expected("show"); ok {
			t.Error("a stream that is over is expected")
		}

		if err := h.Expect("gone", ann, began, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		l.wants(t, "show waiting", "show ended", "gone waiting", "gone ended")
		if h.Get("gone") != nil {
			t.Error("nobody came, and the stream is still there")
		}
		h.Close()
		if err := h.Expect("late", ann, began, time.Second); !errors.Is(err, ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}
