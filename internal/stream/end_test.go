package stream

import (
	"errors"
	"testing"
	"time"
)

// TestEnd: a publisher ends its show for good; nobody is kicked for it, and who is no publisher ends nothing.
func TestEnd(t *testing.T) {
	t.Parallel()
	var states []State
	hub := NewHub(Options{
		ReconnectWindow: func() time.Duration { return time.Hour },
		Attach:          func(*Stream) []Consumer { return nil },
		Changed:         func(_ *Stream, s State) { states = append(states, s) },
	})
	defer hub.Close()
	kicked := 0
	p := Publisher{Credential: "a", Kick: func(error) { kicked++ }}
	first, err := hub.Publish("show", p)
	if err != nil {
		t.Fatal(err)
	}
	second, err := hub.Publish("show", p)
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("it is over")
	first.End(cause)
	if hub.Get("show") == nil || kicked != 1 {
		t.Fatalf("a publisher that was superseded ended the show; %d kicked", kicked)
	}
	if began := second.Began(); !began.Equal(hub.Get("show").Created()) {
		t.Errorf("began %v", began)
	}
	second.End(cause)
	second.End(errors.New("twice"))
	if hub.Get("show") != nil || kicked != 1 {
		t.Errorf("the show waits, or its publisher was kicked: %d", kicked)
	}
	if err := second.Write(&Frame{Track: &Track{ClockRate: 1}}); !errors.Is(err, cause) {
		t.Errorf("writing afterwards: %v", err)
	}
	second.Close()
	if n := len(states); n != 2 || states[0] != Live || states[1] != Ended {
		t.Errorf("states %v", states)
	}
	if _, err := hub.Publish("show", Publisher{Credential: "b"}); err != nil {
		t.Error("the name is not free:", err)
	}
}

// TestMaxStreams: only a stream that is not there yet is refused, by Check as by Publish.
func TestMaxStreams(t *testing.T) {
	t.Parallel()
	hub := NewHub(Options{ReconnectWindow: func() time.Duration { return time.Hour }, Attach: func(*Stream) []Consumer { return nil }})
	defer hub.Close()
	p := Publisher{Credential: "a", MaxStreams: 2}
	try := func(name string, want error) *Session {
		t.Helper()
		if err := hub.Check(name, p); !errors.Is(err, want) {
			t.Errorf("%s: Check says %v, want %v", name, err, want)
		}
		x, err := hub.Publish(name, p)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		return x
	}
	try("one", nil)
	two := try("two", nil)
	try("three", ErrFull)
	two.Close()
	try("three", ErrFull)
	two = try("two", nil)
	two.End(ErrClosed)
	try("three", nil)
	try("two", ErrFull)
	p.MaxStreams = 0
	try("two", nil)
}
