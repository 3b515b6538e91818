package stream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	picture = &Track{ID: 0, Codec: H264, ClockRate: 90000}
	sound   = &Track{ID: 100, Codec: AAC, ClockRate: 48000, FrameSamples: 1024}
)

// diary is a consumer that writes down what it is told.
type diary struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Tracks(all []*Track) {
	ids := make([]int, len(all))
	for i, t := range all {
		ids[i] = t.ID
	}
	d.note("tracks %v", ids)
}
func (d *diary) Frame(f *Frame) { d.note("frame %d:%d", f.Era, f.DTS) }
func (d *diary) Data(x *Data)   { d.note("data %s", x.Name) }
func (d *diary) Away()          { d.note("away") }
func (d *diary) End()           { d.note("end") }

// wants holds the diary against what should be in it, and begins a new page.
func (d *diary) wants(t *testing.T, lines ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, lines) {
		t.Errorf("the consumer was told\n%s\nwant\n%s", strings.Join(d.lines, "\n"), strings.Join(lines, "\n"))
	}
	d.lines = nil
}

// house is a hub whose streams all have one diary.
type house struct {
	*Hub
	diary
	made int
}

func newHouse(window time.Duration) *house {
	h := &house{}
	h.Hub = NewHub(Options{
		ReconnectWindow: func() time.Duration { return window },
		Attach:          func(*Stream) []Consumer { h.made++; return []Consumer{h} },
	})
	return h
}

// publish claims a stream for a credential that must get it. kicked has the causes for which it is sent away.
func (h *house) publish(t *testing.T, name, credential string) (s *Session, kicked *[]error) {
	t.Helper()
	kicked = &[]error{}
	s, err := h.Publish(name, Publisher{Credential: credential, Kick: func(cause error) { *kicked = append(*kicked, cause) }})
	if err != nil {
		t.Fatalf("%s: %v", credential, err)
	}
	return s, kicked
}

func TestPublishersPassMedia(t *testing.T) {
	t.Parallel()
	h := newHouse(time.Second)
	s, _ := h.publish(t, "show", "ann")
	for _, err := range []error{
		s.SetTrack(sound), s.SetTrack(picture), s.SetTrack(picture),
		s.Write(&Frame{Track: picture, Era: 1, DTS: 7}),
		s.WriteData(&Data{Name: "onCuePoint"}),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	h.wants(t, "tracks [100]", "tracks [0 100]", "tracks [0 100]", "frame 1:7", "data onCuePoint")
	if h.Get("show") == nil || h.Get("show").Name() != "show" || h.Get("other") != nil {
		t.Error("streams are not found by their names")
	}
	h.publish(t, "a show", "bob")
	if all := h.List(); len(all) != 2 || all[0].Name() != "a show" {
		t.Errorf("listed %d streams", len(all))
	}
}

func TestNameIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(30 * time.Second)
		s, kicked := h.publish(t, "show", "ann")
		taken := func(until time.Time) {
			t.Helper()
			_, err := h.Publish("show", Publisher{Credential: "eve"})
			var e *TakenError
			if !errors.As(err, &e) || !e.Until.Equal(until) || e.Name != "show" || e.Error() == "" {
				t.Errorf("another credential: %v, want the name taken until %v", err, until)
			}
		}
		taken(time.Time{})
		s.Close()
		left := time.Now()
		time.Sleep(10 * time.Second)
		taken(left.Add(30 * time.Second))
		if len(*kicked) != 0 {
			t.Errorf("the publisher was kicked: %v", *kicked)
		}
		time.Sleep(20*time.Second + time.Millisecond)
		synctest.Wait()
		h.publish(t, "show", "eve")
		if h.made != 2 {
			t.Errorf("%d streams were made, want a new one for the new publisher", h.made)
		}
		h.Close()
	})
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	h := newHouse(time.Second)
	old, kicked := h.publish(t, "show", "ann")
	old.SetTrack(picture)
	era, _ := old.Start()
	next, _ := h.publish(t, "show", "ann")
	if len(*kicked) != 1 || !errors.Is((*kicked)[0], ErrSuperseded) {
		t.Errorf("the old publisher was kicked with %v", *kicked)
	}
	// What the old connection still does changes nothing.
	for name, err := range map[string]error{
		"SetTrack": old.SetTrack(sound), "Write": old.Write(&Frame{Track: picture, Era: 1}), "WriteData": old.WriteData(&Data{}),
	} {
		if !errors.Is(err, ErrSuperseded) {
			t.Errorf("%s of the old publisher: %v", name, err)
		}
	}
	old.Drop("damaged")
	old.NextEra()
	old.Close()
	info := h.Get("show").Info()
	if info.State != Live || info.Reconnects != 1 || len(info.Tracks) != 0 || len(info.Drops) != 0 {
		t.Errorf("after the takeover: %+v", info)
	}
	if now, _ := next.Start(); now != era+1 {
		t.Errorf("the new publisher begins in era %d, the old one in %d", now, era)
	}
	if err := next.Write(&Frame{Track: picture, Era: 2, DTS: 1}); err != nil {
		t.Error(err)
	}
	h.wants(t, "tracks [0]", "away", "frame 2:1")
	if h.made != 1 {
		t.Errorf("%d streams were made", h.made)
	}
}

func TestReconnectWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(30 * time.Second)
		s, _ := h.publish(t, "show", "ann")
		for range 3 { // each absence has the whole window
			s.Close()
			s.Close()
			h.wants(t, "away")
			if in := h.Get("show").Info(); in.State != Waiting || !in.Until.Equal(time.Now().Add(30*time.Second)) {
				t.Errorf("while away: %+v", in)
			}
			time.Sleep(29 * time.Second)
			s, _ = h.publish(t, "show", "ann")
			time.Sleep(time.Minute)
			h.wants(t)
		}
		if in := h.Get("show").Info(); in.Reconnects != 3 || in.State != Live {
			t.Errorf("after three returns: %+v", in)
		}
		s.Close()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		h.wants(t, "away", "end")
		if h.Get("show") != nil {
			t.Error("the stream is still listed")
		}
		if err := s.Write(&Frame{Track: picture}); !errors.Is(err, ErrClosed) {
			t.Errorf("writing to an ended stream: %v", err)
		}
	})
}

// TestLateExpiry: a timer that went off just before its publisher returned must not end the stream, neither then nor in
// a later absence.
func TestLateExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(30 * time.Second)
		s, _ := h.publish(t, "show", "ann")
		stream := h.Get("show")
		s.Close()
		late := stream.absence
		s, kicked := h.publish(t, "show", "ann")
		stream.expire(late)
		s.Close()
		stream.expire(late)
		h.wants(t, "away", "away")
		if h.Get("show") != stream || len(*kicked) != 0 {
			t.Error("the old timer ended the stream")
		}
		h.Close()
	})
}

// TestNameIsFreeAtOnce: the publisher who comes in the moment between the end of a stream and the hub's forgetting it gets
// a new one.
func TestNameIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(time.Hour)
	h.publish(t, "show", "ann")
	old := h.Get("show")
	old.mu.Lock()
	old.endLocked(ErrClosed, false)
	old.mu.Unlock()
	h.publish(t, "show", "bob")
	old.hub.forget(old)
	if now := h.Get("show"); now == nil || now == old || h.made != 2 {
		t.Errorf("the name stands for %p, the old stream is %p, %d were made", now, old, h.made)
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(time.Minute)
		live, kicked := h.publish(t, "live", "ann")
		waiting, _ := h.publish(t, "waiting", "bob")
		waiting.Close()
		h.Close()
		h.Close()
		if len(*kicked) != 1 || !errors.Is((*kicked)[0], ErrClosed) {
			t.Errorf("the live publisher was kicked with %v", *kicked)
		}
		if err := live.Write(&Frame{Track: picture}); !errors.Is(err, ErrClosed) {
			t.Errorf("writing after the end: %v", err)
		}
		live.Close()
		if _, err := h.Publish("new", Publisher{Credential: "ann"}); !errors.Is(err, ErrClosed) {
			t.Errorf("publishing on a closed hub: %v", err)
		}
		if len(h.List()) != 0 {
			t.Error("streams are left")
		}
		time.Sleep(2 * time.Minute) // the window of the one that waited
		synctest.Wait()
		h.wants(t, "away", "end", "end")
	})
}

// TestTimeGoesForward: a new era begins behind all frames of the one before, and not before the time of day.
func TestTimeGoesForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(time.Minute)
		s, _ := h.publish(t, "show", "ann")
		era, from := s.Start()
		if want := Rescale(time.Now().UnixMilli(), 1000, 90000); era != 1 || from != want {
			t.Errorf("era %d from %d, want 1 from %d", era, from, want)
		}
		s.Write(&Frame{Track: picture, Era: 1, DTS: from, PTS: from + 5*90000, Duration: 3000})
		if era, next := s.NextEra(); era != 2 || next != from+5*90000+3000 {
			t.Errorf("era %d from %d, behind a frame that ends at %d", era, next, from+5*90000+3000)
		}
		time.Sleep(time.Hour)
		again, _ := h.publish(t, "show", "ann")
		if era, next := again.Start(); era != 3 || next != from+3600*90000 {
			t.Errorf("an hour later: era %d from %d, want 3 from %d", era, next, from+3600*90000)
		}
		h.Close()
	})
}

// TestManyAtOnce has publishers come, write and go while others look on: for the race detector, and for lock order.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(0)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				s, err := h.Publish(fmt.Sprint("show ", n%3), Publisher{Credential: fmt.Sprint(i % 2), Kick: func(error) {}})
				if err != nil {
					continue
				}
				s.SetTrack(picture)
				s.Write(&Frame{Track: picture, DTS: int64(n), Payload: []byte{1}})
				s.Drop("damaged")
				s.Close()
			}
		})
	}
	all.Go(func() {
		for range 200 {
			for _, s := range h.List() {
				in := s.Info()
				in.Advice(time.Now())
			}
		}
	})
	all.Wait()
	h.Close()
}
