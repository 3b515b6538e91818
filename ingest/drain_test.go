package ingest

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"pushcart/internal/stream"
)

// TestDoorShut: a shut door refuses everybody and says why; who is in stays, and a door that is opened again takes all.
func TestDoorShut(t *testing.T) {
	t.Parallel()
	b := newDoorBench(t, nil)
	in := b.publish(t)
	for here, words := range map[bool]string{false: "Reconnect in a moment", true: "Reconnect now"} {
		b.Shut(Drain{Here: here})
		_, err := b.Open(Request{Protocol: "srt", Remote: local, Stream: "other"})
		wantRefusal(t, err, ReasonShutdown, words)
	}
	if err := in.SetTrack(ladder[0]); err != nil {
		t.Error(err)
	}
	if err := in.Write(&stream.Frame{Track: ladder[0], Key: true}); err != nil {
		t.Errorf("who was in: %v", err)
	}
	b.Reopen()
	other, err := b.Open(Request{Protocol: "srt", Remote: local, Stream: "other"})
	if err != nil {
		t.Fatal(err)
	}
	if g := b.Guests(); g.Sum() != 2 || g["srt"] != 1 || g["rtsp"] != 1 {
		t.Errorf("guests %v", g)
	}
	in.Close(nil)
	other.Close(nil)
	if n := b.Guests().Sum(); n != 0 {
		t.Errorf("%d guests when all have left", n)
	}
}

// TestSendAway: who can be asked is asked and goes on; the others end with the next key frame of their leading picture; who stands by
// and waits ends at once; and who stays is dismissed. Nobody is told twice.
func TestSendAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		main := s.enter("main-secret")
		spare := s.enter("spare-secret")
		asked := make(chan Drain, 2)
		capable, err := s.Open(Request{Protocol: "whip", Stream: "show", Key: "main-secret", Reconnect: func(d Drain) { asked <- d }, Kick: main.kick})
		if err != nil {
			t.Fatal(err)
		}
		if r := <-main.kicked; r.Reason != ReasonTakenOver {
			t.Errorf("the former publisher: %v", r)
		}
		main.Close(nil)
		s.Shut(Drain{Here: true})
		if told := s.SendAway(Drain{Here: true}); told["whip"] != 1 || told["rtmp"] != 1 {
			t.Errorf("told %v", told)
		}
		if d := <-asked; !d.Here {
			t.Error("asked to go elsewhere")
		}
		wantRefusal(t, <-spare.kicked, ReasonShutdown, "Reconnect now")
		spare.Close((Drain{}).Refusal())
		if told := s.SendAway(Drain{}); told.Sum() != 0 || len(asked) != 0 {
			t.Errorf("told again: %v", told)
		}
		if err := capable.SetTrack(main.video); err != nil {
			t.Fatal(err)
		}
		if err := capable.Write(&stream.Frame{Track: main.video, Key: true}); err != nil {
			t.Errorf("who was asked may send on: %v", err)
		}
		s.Dismiss(Drain{})
		wantRefusal(t, <-main.kicked, ReasonShutdown, "in a moment")
		s.Dismiss(Drain{}) // Kick is called once
		if len(main.kicked) != 0 {
			t.Error("kicked twice")
		}
		capable.Close((Drain{}).Refusal())
		for how, want := range map[string]float64{leftItself: 0, leftTimeout: 2, leftAtKey: 0} {
			if got := s.value("pushcart_drain_publishers_left_total", how); got != want {
				t.Errorf("%v left by %s, want %v", got, how, want)
			}
		}
	})
}

// kick is the actor's.
func (a *actor) kick(r *Refusal) { a.kicked <- r }

// TestEndsWithKeyFrame: nothing of the next segment is taken, and all of the one before.
func TestEndsWithKeyFrame(t *testing.T) {
	t.Parallel()
	b := newDoorBench(t, nil)
	p := b.publish(t)
	for _, track := range ladder[:2] {
		if err := p.SetTrack(track); err != nil {
			t.Fatal(err)
		}
	}
	write := func(n int, track *stream.Track, key bool) error {
		b.now = b.now.Add(20e6)
		return p.Write(&stream.Frame{Track: track, DTS: int64(n) * 3600, PTS: int64(n) * 3600, Key: key, Payload: []byte{byte(n)}})
	}
	for n := range 50 {
		if n == 5 {
			b.SendAway(Drain{})
		}
		// The second layer's key frames come before the leading one's.
		err := write(n, ladder[1], n%10 == 0 || n == 7)
		if err == nil {
			err = write(n, ladder[0], n%10 == 0)
		}
		if n < 10 && err != nil {
			t.Fatalf("picture %d: %v", n, err)
		}
		if err != nil {
			wantRefusal(t, err, ReasonShutdown, "shutting down")
			if n != 10 {
				t.Errorf("the session ends with picture %d, want the key frame 10", n)
			}
			p.Close(err)
			break
		}
	}
	leading := 0
	for _, f := range b.frames {
		if f.Track.ID == ladder[0].ID {
			leading++
		}
	}
	if leading != 10 || b.Guests().Sum() != 0 {
		t.Errorf("%d pictures were passed on, %d publishers are in", leading, b.Guests().Sum())
	}

	// Sound alone ends with any frame.
	q, err := b.Open(Request{Protocol: "srt", Remote: local, Stream: "radio"})
	if err != nil {
		t.Fatal(err)
	}
	sound := &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000, FrameSamples: 1024}
	if err := q.SetTrack(sound); err != nil {
		t.Fatal(err)
	}
	b.SendAway(Drain{})
	wantRefusal(t, q.Write(&stream.Frame{Track: sound, Key: true, Payload: []byte{1}}), ReasonShutdown, "shutting down")
}

// TestShutWhileOpening: a publisher whose claim takes its time is refused or told; it cannot slip in unseen.
func TestShutWhileOpening(t *testing.T) {
	t.Parallel()
	claiming, go_ := make(chan struct{}), make(chan struct{})
	b := newDoorBench(t, func(o *Options) {
		o.Claim = func(context.Context, string, string, bool) (func(), error) {
			close(claiming)
			<-go_
			return func() {}, nil
		}
	})
	opened := make(chan error, 1)
	go func() {
		_, err := b.Open(Request{Protocol: "rtsp", Remote: local, Stream: "show"})
		opened <- err
	}()
	<-claiming
	b.Shut(Drain{})
	close(go_)
	wantRefusal(t, <-opened, ReasonShutdown, "shutting down")
	if b.Guests().Sum() != 0 {
		t.Error("it is in")
	}
}

// TestDrainRace: doors that shut and open while publishers come, write and go.
func TestDrainRace(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				kicked := make(chan struct{})
				p, err := s.Open(Request{Protocol: "rtmp", Stream: "show", Key: "main-secret", Kick: func(*Refusal) { close(kicked) }})
				if err != nil {
					continue
				}
				track := &stream.Track{ID: 0, Codec: stream.H264, ClockRate: 90000}
				if p.SetTrack(track) == nil {
					_ = p.Write(&stream.Frame{Track: track, Key: true})
				}
				p.Close(nil)
			}
		})
	}
	all.Go(func() {
		for range 50 {
			s.Shut(Drain{})
			s.SendAway(Drain{})
			s.Dismiss(Drain{})
			s.Reopen()
		}
	})
	all.Wait()
	if n := s.Guests().Sum(); n != 0 {
		t.Errorf("%d guests are left", n)
	}
}
