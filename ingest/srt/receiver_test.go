package srt

import (
	"sync/atomic"
	"testing"
	"time"
)

// TestPeerClock: hours of a peer's clock that runs slow or fast, and wraps each 71 minutes, are followed.
func TestPeerClock(t *testing.T) {
	t.Parallel()
	for _, ppm := range []int64{-100, -50, 0, 50, 100} {
		const step, delay = 20_000, 30_000 // microseconds
		first := uint32(0xFFFF_0000)
		c := peerClock{base: clockOrigin + delay - int64(first), last: int64(first)}
		for i := range int64(4 * 3600 * 1_000_000 / step) {
			now := clockOrigin + delay + i*step
			timestamp := first + uint32(i*step+i*step*ppm/1_000_000)
			if off := c.place(timestamp, now, false) - now; off < -8*driftStep/5 || off > 8*driftStep/5 {
				t.Fatalf("%d ppm: after %v a packet is placed %d µs from where it is", ppm, time.Duration(i*step)*time.Microsecond, off)
			}
		}
	}
}

func TestPeerClockOutOfOrder(t *testing.T) {
	t.Parallel()
	c := peerClock{base: clockOrigin}
	for _, step := range []struct {
		timestamp uint32
		want      int64
	}{{1000, 1000}, {3000, 3000}, {2000, 2000}, {4000, 4000}} {
		if got := c.place(step.timestamp, clockOrigin, true) - clockOrigin; got != step.want {
			t.Errorf("%d is placed at %d", step.timestamp, got)
		}
	}
}

// TestAnswerIsSentAgain: a peer that did not get the answer to its handshake asks again.
func TestAnswerIsSentAgain(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door})
	var asked, answered atomic.Int32
	_, front := newHole(t, addr, func(b []byte) [][]byte {
		if conclusion(b) {
			asked.Add(1)
		}
		return [][]byte{b}
	}, func(b []byte) [][]byte {
		if conclusion(b) && answered.Add(1) < 3 {
			return nil
		}
		return [][]byte{b}
	})
	run(t, "ffmpeg", camera(srtURL(front, "live/show"), "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac")...)
	p := opened(t, door)
	ended(t, p)
	if n := len(p.of(0)); n < 30 || asked.Load() < 3 {
		t.Errorf("%d pictures, asked %d times", n, asked.Load())
	}
	if len(door.opened) != 0 {
		t.Error("the door was asked twice")
	}
}
