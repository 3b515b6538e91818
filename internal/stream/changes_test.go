package stream

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// changeLog is what a hub's Changed was told.
type changeLog struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (l *changeLog) note(s *Stream, is State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, s.Name()+" "+string(is))
}

func (l *changeLog) wants(t *testing.T, lines ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.lines, lines) {
		t.Errorf("told of %q, want %q", l.lines, lines)
	}
	l.lines = nil
}

// watched is a house whose changes are noted.
func watched(window time.Duration) (*house, *changeLog) {
	h, l := newHouse(window), &changeLog{}
	h.opt.Changed = l.note
	return h, l
}

// TestChangesAreTold: a publisher that comes, goes and returns, and each way in which a stream can end.
func TestChangesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l := watched(30 * time.Second)
		s, _ := h.publish(t, "show", "ann")
		l.wants(t, "show live")
		s.Close()
		l.wants(t, "show waiting")
		s.Close()
		s, _ = h.publish(t, "show", "ann")
		l.wants(t, "show live")
		next, _ := h.publish(t, "show", "ann") // takes over: there is a publisher all the time
		s.Close()
		l.wants(t)
		next.Close()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		l.wants(t, "show waiting", "show ended")

		h.publish(t, "show", "bob")
		h.publish(t, "other", "bob")
		l.wants(t, "show live", "other live")
		if !h.Yield("show") || h.Yield("show") || h.Yield("none") {
			t.Error("Yield tells of other streams than there are")
		}
		l.wants(t, "show elsewhere")
		h.Close()
		l.wants(t, "other ended")
	})
}

// TestChangesHoldNoLock: who is told may ask the hub and the stream, publish and yield.
func TestChangesHoldNoLock(t *testing.T) {
	t.Parallel()
	h := newHouse(time.Minute)
	var lines []string
	h.opt.Changed = func(s *Stream, is State) {
		lines = append(lines, s.Name()+" "+string(is))
		s.Info()
		h.List()
		if s.Name() == "first" && is == Live {
			h.publish(t, "second", "ann")
			h.Yield("first") // is told behind what is being told
		}
	}
	h.publish(t, "first", "ann")
	if want := []string{"first live", "second live", "first elsewhere"}; !slices.Equal(lines, want) {
		t.Errorf("told %q, want %q", lines, want)
	}
}

// TestChangesStayFew: what happens while one is being told is not piled up, and the last state comes in the end.
func TestChangesStayFew(t *testing.T) {
	t.Parallel()
	h := newHouse(time.Minute)
	entered, leave := make(chan struct{}), make(chan struct{})
	var l changeLog
	var once sync.Once
	h.opt.Changed = func(s *Stream, is State) {
		once.Do(func() { close(entered); <-leave })
		l.note(s, is)
	}
	var all sync.WaitGroup
	all.Go(func() { h.publish(t, "show", "ann") })
	<-entered
	for range 1000 {
		s, _ := h.publish(t, "show", "ann")
		s.Close()
	}
	s := h.Get("show")
	s.mu.Lock()
	n := len(s.changes.waiting)
	s.mu.Unlock()
	if n > 2 {
		t.Errorf("%d changes are kept", n)
	}
	h.Yield("show")
	close(leave)
	all.Wait()
	l.wants(t, "show live", "show waiting", "show elsewhere")
}

// TestChangesAreInOrder, whoever causes them.
func TestChangesAreInOrder(t *testing.T) {
	t.Parallel()
	h, l := watched(time.Minute)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if s, err := h.Publish("show", Publisher{Credential: "ann", Kick: func(error) {}}); err == nil {
					s.Close()
				}
			}
		})
	}
	all.Wait()
	h.Yield("show")
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, line := range l.lines {
		want := "show live"
		switch {
		case i == len(l.lines)-1:
			want = "show elsewhere"
		case i%2 == 1:
			want = "show waiting"
		}
		if line != want {
			t.Fatalf("change %d of %d is %q, want %q", i, len(l.lines), line, want)
		}
	}
}

// yielder is a consumer that can yield.
type yielder struct{ diary }

func (y *yielder) Yield() { y.note("yield") }

// TestYield: the publisher is sent away with the reason, consumers yield or end, once, and the name is free.
func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var y yielder
		var d diary
		h := NewHub(Options{
			ReconnectWindow: func() time.Duration { return time.Minute },
			Attach:          func(*Stream) []Consumer { return []Consumer{&y, &d} },
		})
		var kicked []error
		claim := func() *Session {
			s, err := h.Publish("show", Publisher{Credential: "ann", Kick: func(cause error) { kicked = append(kicked, cause) }})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		s := claim()
		branch := h.Get("show").Branch()
		if !h.Yield("show") {
			t.Error("there was a stream")
		}
		if len(kicked) != 1 || !errors.Is(kicked[0], ErrElsewhere) {
			t.Errorf("the publisher was kicked with %v", kicked)
		}
		for what, err := range map[string]error{"Write": s.Write(&Frame{Track: picture}), "SetTrack": s.SetTrack(picture), "WriteData": s.WriteData(&Data{})} {
			if !errors.Is(err, ErrElsewhere) {
				t.Errorf("%s behind the end: %v", what, err)
			}
		}
		if err := branch.Write(&Frame{Track: picture}); !errors.Is(err, ErrClosed) {
			t.Errorf("a branch writes behind the end: %v", err)
		}
		s.Close()
		y.wants(t, "yield")
		d.wants(t, "end")
		if h.Get("show") != nil {
			t.Error("the hub still has the stream")
		}
		s = claim()
		s.Close() // the window runs, and the stream yields in it
		h.Yield("show")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		y.wants(t, "away", "yield")
		d.wants(t, "away", "end")
		claim()
		h.Close()
		y.wants(t, "end")
	})
}

// TestBegin: a stream that goes on with what another node has begun starts no sooner than that, on the timeline of each era.
func TestBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, ahead := range []time.Duration{-time.Hour, 0, 7, 5*time.Second + 123456789} {
			h := newHouse(time.Minute)
			var order []string
			attach := h.opt.Attach
			h.opt.Attach = func(s *Stream) []Consumer { order = append(order, "attach "+s.Name()); return attach(s) }
			h.opt.Begin = func(name string) time.Time {
				order = append(order, "begin "+name)
				if ahead == 0 {
					return time.Time{}
				}
				return now.Add(ahead)
			}
			s, _ := h.publish(t, "show", "ann")
			_, from := s.Start()
			// The bound in ticks, rounded up.
			at := now.Add(max(ahead, 0))
			least := (at.Unix()*90000 + (int64(at.Nanosecond())*90000+999999999)/1e9)
			if from < least || from > least+90 {
				t.Errorf("%v ahead: the first era begins at %d, want %d or at most a millisecond later", ahead, from, least)
			}
			if _, next := s.NextEra(); next < from {
				t.Errorf("%v ahead: the second era begins at %d, the first at %d", ahead, next, from)
			}
			h.publish(t, "show", "ann")
			if want := []string{"attach show", "begin show"}; !slices.Equal(order, want) {
				t.Errorf("asked %q, want %q", fmt.Sprint(order), want)
			}
			h.Close()
		}
	})
}

// TestLeave: a node that stops tells its publishers so, and leaves the show for another one to go on with.
func TestLeave(t *testing.T) {
	t.Parallel()
	var y yielder
	h := NewHub(Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*Stream) []Consumer { return []Consumer{&y} },
	})
	var kicked []error
	s, err := h.Publish("show", Publisher{Credential: "ann", Kick: func(cause error) { kicked = append(kicked, cause) }})
	if err != nil {
		t.Fatal(err)
	}
	if !h.Leave("show") || h.Leave("show") || h.Leave("other") {
		t.Error("it left another stream than the one that there was")
	}
	if len(kicked) != 1 || !errors.Is(kicked[0], ErrClosed) || !errors.Is(s.Write(&Frame{Track: picture}), ErrClosed) {
		t.Errorf("the publisher was kicked with %v", kicked)
	}
	y.wants(t, "yield")
}
