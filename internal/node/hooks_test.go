package node

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/internal/webhooks"
	"pushcart/overlay"
)

// hooked is a hub whose events are kept.
type hooked struct {
	*hooks
	hub    *stream.Hub
	events []webhooks.Event
	views  map[string]*overlay.View
	frames map[string]time.Time // by card
	ladder string
	ending bool
}

func newHooked(away time.Duration) *hooked {
	k := &hooked{views: map[string]*overlay.View{}, frames: map[string]time.Time{}}
	k.hooks = &hooks{
		emit:     func(e webhooks.Event) { k.events = append(k.events, e) },
		active:   func() bool { return true },
		now:      time.Now,
		view:     func(name string) *overlay.View { return k.views[name] },
		trouble:  func(string) string { return k.ladder },
		stopping: func() bool { return k.ending },
		framed: func(name string, s *overlay.ShownView, before string) (time.Time, string, bool) {
			at, ok := k.frames[s.Card]
			id := fmt.Sprint(s.Card, at.UnixMilli())
			if !ok || id == before {
				id = ""
			}
			return at, id, k.hub.Get(name) != nil
		},
	}
	k.init()
	k.hub = stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return away },
		Attach:          func(*stream.Stream) []stream.Consumer { return nil },
		Changed:         k.streamChanged,
	})
	return k
}

// pass lets time go by, with as many looks as run takes.
func (k *hooked) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(healthEvery) {
		k.look(time.Now(), false)
		k.examine(time.Now())
	}
	k.look(time.Now(), false)
}

// types lists the events so far, and forgets them.
func (k *hooked) types() []string {
	var t []string
	for _, e := range k.events {
		name := e.Type
		switch d := e.Data.(type) {
		case webhooks.Degraded:
			name += " " + d.Reason
		case webhooks.Recovered:
			name += " " + d.Reason
		case webhooks.Ended:
			name += " " + d.Reason
		case webhooks.Shown:
			name += " " + d.Card
		case webhooks.Hidden:
			name += " " + d.Card
		}
		t = append(t, name)
	}
	k.events = nil
	return t
}

func (k *hooked) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := k.types(); !slices.Equal(got, want) {
		t.Errorf("%s: %q, not %q", when, got, want)
	}
}

// camera publishes a picture and sound.
type camera struct {
	session      *stream.Session
	video, audio *stream.Track
	n            int64
	quiet        bool // sends no sound
	slow         int64
	rare         int64 // key frames every so many frames; 0 is 30
}

func (k *hooked) publish(t *testing.T, name string) *camera {
	t.Helper()
	s, err := k.hub.Publish(name, stream.Publisher{Credential: "key", Protocol: "rtmp", Agent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	c := &camera{session: s}
	c.video = &stream.Track{ID: 1, Codec: stream.H264, ClockRate: 90000, Width: 1280, Height: 720, FrameRate: 30, CodecString: "avc1.64001f"}
	c.audio = &stream.Track{ID: 101, Codec: stream.AAC, ClockRate: 48000, SampleRate: 48000, Channels: 2, CodecString: "mp4a.40.2"}
	return c
}

// run sends for so long, while the hooks look.
func (c *camera) run(t *testing.T, k *hooked, d time.Duration) {
	t.Helper()
	if c.n == 0 {
		for _, track := range []*stream.Track{c.video, c.audio} {
			if err := c.session.SetTrack(track); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := time.Now()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second / 30) {
		every := int64(30)
		if c.rare > 0 {
			every = c.rare
		}
		if c.slow == 0 || c.n%c.slow == 0 {
			c.session.Write(&stream.Frame{Track: c.video, PTS: c.n * 3000, DTS: c.n * 3000, Duration: 3000, Key: c.n%every == 0, Payload: make([]byte, 100)})
		}
		if !c.quiet {
			c.session.Write(&stream.Frame{Track: c.audio, PTS: c.n * 1600, DTS: c.n * 1600, Duration: 1600, Key: true, Payload: make([]byte, 100)})
		}
		c.n++
		k.look(time.Now(), false)
		if !time.Now().Before(next) {
			next = time.Now().Add(healthEvery)
			k.examine(time.Now())
		}
	}
}

// TestHooksShow: one start and one end for a show, however often its publisher comes back, with what it sends; none for a publisher
// that never sent anything.
func TestHooksShow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newHooked(20 * time.Second)
		began := time.Now()
		c := k.publish(t, "show")
		k.pass(4 * time.Second)
		k.expect(t, "nothing came yet")
		c.run(t, k, 3*time.Second)
		if len(k.events) != 1 {
			t.Fatal(k.types())
		}
		e := k.events[0]
		data, ok := e.Data.(webhooks.Started)
		if !ok || e.Type != webhooks.StreamStarted || e.Stream != "show" || !e.Time.Equal(began) || data.Protocol != "rtmp" || data.Show != began.UnixMilli() ||
			len(data.Tracks) != 2 || data.Tracks[0].Width != 1280 || data.Tracks[1].SampleRate != 48000 || data.Continued {
			t.Errorf("%+v", e)
		}
		k.events = nil
		c.session.Close()
		k.pass(5 * time.Second)
		again := k.publish(t, "show")
		again.run(t, k, 5*time.Second)
		k.expect(t, "the publisher came back")
		again.session.Close()
		k.pass(25 * time.Second)
		ended := k.events[len(k.events)-1]
		if d, ok := ended.Data.(webhooks.Ended); !ok || d.Reason != webhooks.EndedGone || d.Reconnects != 1 || d.Show != began.UnixMilli() ||
			time.Duration(d.DurationSeconds*1e9).Round(time.Second) != ended.Time.Sub(began).Round(time.Second) {
			t.Errorf("%+v", ended)
		}
		k.types()

		silent := k.publish(t, "silent")
		k.pass(5 * time.Second)
		silent.session.Close()
		k.pass(30 * time.Second)
		k.expect(t, "nothing was ever sent")

		k.goesOn("moved")
		moved := k.publish(t, "moved")
		moved.run(t, k, 3*time.Second)
		if d, ok := k.events[0].Data.(webhooks.Started); !ok || !d.Continued {
			t.Errorf("%+v", k.events)
		}
		k.types()
		k.hub.Yield("moved")
		k.pass(time.Second)
		k.expect(t, "another node has it")

		// A show that came from another process, whose publisher does not return: its end is told here or nowhere.
		k.goesOn("inherited")
		if err := k.hub.Expect("inherited", stream.Publisher{Credential: "key"}, time.Now().Add(-time.Minute), 20*time.Second); err != nil {
			t.Fatal(err)
		}
		k.pass(25 * time.Second)
		if len(k.events) == 1 {
			if d, ok := k.events[0].Data.(webhooks.Ended); !ok || d.DurationSeconds != 80 {
				t.Errorf("%+v", k.events[0])
			}
		}
		k.expect(t, "nobody came back", "stream.ended "+webhooks.EndedGone)

		brief := k.publish(t, "brief")
		brief.run(t, k, time.Second/2)
		k.ending = true
		k.hub.Close()
		k.look(time.Now(), true)
		k.expect(t, "the node stops", "stream.started", "stream.ended node_shutdown")
		if len(k.shows) != 0 {
			t.Errorf("%d shows are remembered", len(k.shows))
		}
	})
}

// TestHooksHealth: each thing that is wrong is told once it has lasted, and told to be over once that has.
func TestHooksHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newHooked(time.Minute)
		c := k.publish(t, "show")
		c.run(t, k, 20*time.Second)
		k.expect(t, "all is well", "stream.started")

		c.slow = 2
		c.run(t, k, 5*time.Second)
		c.slow = 0
		c.run(t, k, 20*time.Second)
		k.expect(t, "a moment of few frames")
		c.slow = 2
		c.run(t, k, 30*time.Second)
		k.expect(t, "few frames", "stream.degraded frame_rate_low")
		c.slow = 0
		c.run(t, k, 20*time.Second)
		c.slow = 2 // not long enough for all to be well again
		c.run(t, k, 15*time.Second)
		c.slow = 0
		c.run(t, k, 25*time.Second)
		k.expect(t, "it flaps")
		c.run(t, k, 20*time.Second)
		k.expect(t, "enough again", "stream.recovered frame_rate_low")

		c.quiet = true
		c.run(t, k, 25*time.Second)
		c.quiet = false
		k.expect(t, "no sound", "stream.degraded track_silent")
		c.run(t, k, 45*time.Second)
		k.types() // whether sound and picture are apart then is the encoder's doing

		for range 30 {
			c.session.Drop("packets_lost")
			c.run(t, k, time.Second)
		}
		k.expect(t, "losses", "stream.degraded frames_lost")
		c.run(t, k, 50*time.Second)
		k.expect(t, "no more losses", "stream.recovered frames_lost")

		k.ladder = "ffmpeg fails."
		c.run(t, k, 15*time.Second)
		if len(k.events) != 1 || k.events[0].Data.(webhooks.Degraded).Message != "ffmpeg fails." {
			t.Errorf("%+v", k.events)
		}
		k.types()
		c.session.Close()
		k.pass(30 * time.Second)
		k.expect(t, "the publisher is away", "stream.degraded publisher_away")
		k.ladder = ""
		again := k.publish(t, "show")
		again.run(t, k, 45*time.Second)
		k.expect(t, "it is back", "stream.recovered ladder", "stream.recovered publisher_away")
		again.rare = 100000
		again.run(t, k, 30*time.Second)
		k.expect(t, "no key frames", "stream.degraded keyframes_rare")
		again.session.Close()
		k.pass(2 * time.Minute)
		k.expect(t, "the end", "stream.degraded publisher_away", "stream.ended publisher_gone")
	})
}

// TestHooksCards: each card that is shown and hidden is told once, in order, with its frame's date where it has one.
func TestHooksCards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newHooked(time.Minute)
		c := k.publish(t, "show")
		c.run(t, k, 3*time.Second)
		k.types()
		now := time.Now
		old := overlay.ShownView{Slot: "main", Card: "old", Rev: 1, From: now().Add(-time.Hour), Source: "api"}
		ended := now().Add(-time.Minute)
		old.To = &ended
		set := func(lines ...overlay.ShownView) { // the oldest first
			v := &overlay.View{Stream: "show"}
			for i := len(lines) - 1; i >= 0; i-- {
				v.Timeline = append(v.Timeline, lines[i])
			}
			k.views["show"] = v
			k.deskChanged("show")
		}
		lamp := overlay.ShownView{Slot: "main", Card: "lamp", Rev: 3, From: now(), Source: "api"}
		set(old, lamp)
		k.look(now(), false)
		k.expect(t, "its frame has not come")
		k.frames["lamp"] = now().Add(40 * time.Millisecond)
		k.look(now(), false)
		if len(k.events) != 1 {
			t.Fatal(k.types())
		}
		if d := k.events[0].Data.(webhooks.Shown); d.Card != "lamp" || d.Revision != 3 || d.FrameAt == nil || !d.FrameAt.Equal(k.frames["lamp"]) || !d.At.Equal(lamp.From) {
			t.Errorf("%+v", d)
		}
		k.types()
		k.deskChanged("show")
		k.look(now(), false)
		k.expect(t, "nothing changed")

		time.Sleep(time.Second)
		at := now()
		lamp.To = &at
		quick := overlay.ShownView{Slot: "main", Card: "quick", Rev: 1, From: at, To: &at, Source: "api"}
		vase := overlay.ShownView{Slot: "main", Card: "vase", Rev: 1, From: at, Source: "rtmp"}
		set(old, lamp, quick, vase)
		k.look(now(), false)
		k.expect(t, "the next ones wait for their frames", "card.hidden lamp")
		time.Sleep(frameWithin + time.Second)
		k.look(now(), false)
		if d := k.events[len(k.events)-1].Data.(webhooks.Shown); d.FrameAt != nil || d.Source != "rtmp" {
			t.Errorf("%+v", d)
		}
		k.expect(t, "no frame comes", "card.shown quick", "card.hidden quick", "card.shown vase")

		// The same card at once again: the frame of the first time is not that of the second.
		again := overlay.ShownView{Slot: "main", Card: "lamp", Rev: 3, From: now(), Source: "api"}
		set(old, lamp, quick, vase, again)
		k.look(now(), false)
		k.expect(t, "it waits for a frame of its own")
		k.frames["lamp"] = now().Add(30 * time.Millisecond)
		k.look(now(), false)
		if d := k.events[0].Data.(webhooks.Shown); d.FrameAt == nil || !d.FrameAt.Equal(k.frames["lamp"]) {
			t.Errorf("%+v", d)
		}
		k.types()

		// Another life of the node: what it showed before is no news, its end is.
		next := newHooked(time.Minute)
		time.Sleep(time.Minute)
		at2 := now()
		vase.To = &at2
		next.views["show"] = &overlay.View{Timeline: []overlay.ShownView{vase, quick, lamp, old}}
		next.deskChanged("show")
		next.look(now(), false)
		next.expect(t, "after a restart", "card.hidden vase")

		for i := range mostSeen + 10 {
			name := fmt.Sprint("s", i)
			next.views[name] = &overlay.View{}
			next.deskChanged(name)
		}
		next.look(now(), false)
		if n := len(next.cards.seen); n > mostSeen {
			t.Errorf("%d streams are remembered", n)
		}
	})
}
