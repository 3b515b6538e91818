package ladder

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

// A picture that comes back and cannot be passed on takes with it those that refer to it, up to the next key frame.

// The first frames of a child that reorders may be decoded at about the time of the last ones before: they are still passed on.

// Sound needs the program only: it is made before any encoder of pictures was tried.

// A later trial knows nothing of engines whose turn has not come: what was known of them counts.

// What a child gives when its publisher has just gone tells nobody that the publisher is back.

// The same tracks from the publisher who comes back are taken up with the first frame.

// A rung comes back where the host has room for it; that the running child is busy is no reason against.

// Streams that gave a rung up together do not take it back together.

// A source that pauses for long is not one that a child cannot keep up with, also where the child keeps some pictures back.

func TestPausesAreNoOverload(t *testing.T) {
	inShow(t, func(s *show) { s.host.does = func(int, child.Spec) deed { return deed{holds: 3} } }, func(s *show) {
		p := s.publish("shop", full(), nil)
		for range 8 {
			p.send(4)
			time.Sleep(15 * time.Second)
			p.n += 15 * fps / gop * gop
			for range 8 { // two a second
				p.frame()
				p.n += 14
				time.Sleep(500 * time.Millisecond)
			}
			p.n += -p.n%gop + gop
			synctest.Wait()
		}
		if got := s.out().rungs(); len(got) != 2 || len(s.host.all()) != 1 {
			t.Errorf("rungs %q of %d children\n%s", got, len(s.host.all()), s.log.String())
		}
	})
}

// A publisher whose codec data change with each key frame, or who reconnects all the time, costs itself: children are not started

// one upon another, and never are there more than two of a job.

// A program that was taken away says nothing about the GPU.

// A child of mode quality that stops giving is found by the pictures that it should have given, also where these come seldom.

func TestStuckAtALowRate(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Ladders[0].Mode = command.Quality
		s.host.does = first(deed{holds: 20, silentAt: 60})
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		for range 60 + 40 { // five a second: 8 s of nothing
			p.frame()
			p.n += 5
			time.Sleep(200 * time.Millisecond)
		}
		synctest.Wait()
		if s.restarts(whyStuck) != 1 {
			t.Errorf("%v restarts", s.restarts(whyStuck))
		}
	})
}

// What everybody may read does not tell where things are on the host, or what ffmpeg said.

func TestAdviceKeepsItsWords(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Program = "/opt/secret/ffmpeg"
		s.host.does = func(int, child.Spec) deed { return deed{exitAt: 1} }
	}, func(s *show) {
		s.publish("shop", full(), nil).send(30 * 5)
		tellsNothing(t, s.m.Advice("shop"))
	})
	t.Run("no program", func(t *testing.T) {
		inShow(t, func(s *show) { s.set.Program, s.noProgram = "/opt/secret/ffmpeg", context.DeadlineExceeded }, func(s *show) {
			s.publish("shop", full(), nil).send(5)
			tellsNothing(t, s.m.Advice("shop"))
		})
	})
}

func tellsNothing(t *testing.T, advice []string) {
	t.Helper()
	if len(advice) == 0 {
		t.Error("no advice")
	}
	for _, a := range advice {
		for _, word := range []string{"secret", "exit code", "deadline"} {
			if strings.Contains(a, word) {
				t.Errorf("advice: %q", a)
			}
		}
	}
}

// Buffers that are kept for frames to come are few bytes in all, however large frames are.

func TestFeedKeepsLittle(t *testing.T) {
	t.Parallel()
	q := newFeed()
	track := full()
	for range 3 {
		for i := range 64 {
			q.push(&stream.Frame{Track: track, Key: true, PTS: int64(i), Payload: make([]byte, 200<<10)}, 0, time.Unix(0, 0))
		}
		q.setOpen(false, latencyQueue)
		q.setOpen(true, latencyQueue)
		for i := range 64 {
			q.push(&stream.Frame{Track: track, Key: true, PTS: int64(i), Payload: make([]byte, 200<<10)}, 0, time.Unix(0, 0))
		}
		for range 64 {
			e, v := q.next(nil, func(*queued) verdict { return take }, func(*queued) {})
			if v != take {
				t.Fatal(v)
			}
			q.release(e.data)
		}
		kept := 0
		for _, b := range q.free {
			kept += cap(b)
		}
		if kept == 0 || kept > mostFreeSize+512<<10 {
			t.Errorf("%d bytes are kept", kept)
		}
	}
}

// A clock that was put back leaves rates as they are after some seconds.

func TestMeterOfAClockPutBack(t *testing.T) {
	t.Parallel()
	var m meter
	m.add(time.Unix(1_000_000, 0), 10)
	at := time.Unix(1000, 0)
	for i := range 100 {
		m.add(at.Add(time.Duration(i)*100*time.Millisecond), 10)
	}
	if got := m.rate(at.Add(10 * time.Second)); got != 100 {
		t.Errorf("%v a second", got)
	}
}

// Sound that stops for long goes on with another child: ffmpeg would fill the pause with silence, all of it at once.

// A source that claims no rate and begins slowly, as a phone in a dark room: once it sends many more pictures, an encoder that was

// told the old rate would spend many times the bits.

// Who asks for a dry run and goes away leaves the node's own trial alone.

// A stream on which ffmpeg always fails takes the GPU from itself, not from others; a GPU on which two fail is set aside for all.

// Sixteen tracks of sound are sixteen children: behind the first, which viewers need, they count like anybody.

// A host on which many streams begin at once is slow to give the first picture: each attempt gets more time than the one before.

func TestSlowStartGetsTime(t *testing.T) {
	inShow(t, func(s *show) { s.host.does = func(int, child.Spec) deed { return deed{silentAt: 1} } }, func(s *show) {
		s.publish("shop", full(), nil).send(30 * 60)
		all := s.host.all()
		if len(all) < 4 {
			t.Fatalf("%d children", len(all))
		}
		for i, want := range []time.Duration{5, 10, 15} {
			if got := all[i+1].at.Sub(all[i].at); got < want*time.Second || got > (want+3)*time.Second {
				t.Errorf("attempt %d lasted %v", i+1, got)
			}
		}
	})
}
