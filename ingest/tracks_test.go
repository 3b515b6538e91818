package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// ladder is what a publisher of three layers and two languages sends.
var ladder = []*stream.Track{
	{ID: 0, Codec: stream.H264, ClockRate: 90000}, {ID: 1, Codec: stream.H264, ClockRate: 90000}, {ID: 2, Codec: stream.H264, ClockRate: 90000},
	{ID: 100, Codec: stream.Opus, ClockRate: 48000}, {ID: 101, Codec: stream.Opus, ClockRate: 48000},
}

// TestLayersPause: a layer that is switched off for a minute, and comes back by the same clock, begins no era and loses no
// frame, whichever it is, the leading one included, and whatever else is away meanwhile.
func TestLayersPause(t *testing.T) {
	t.Parallel()
	type pause struct{ id, from, to int } // seconds
	for name, pauses := range map[string][]pause{
		"a follower":                       {{2, 10, 70}},
		"the leader":                       {{0, 10, 70}},
		"one after the other":              {{2, 10, 70}, {1, 30, 80}, {0, 50, 100}},
		"all video at different times":     {{0, 10, 70}, {1, 12, 72}, {2, 11, 71}},
		"all video at once":                {{0, 10, 70}, {1, 10, 70}, {2, 10, 70}},
		"sound":                            {{100, 10, 70}, {101, 20, 70}},
		"everything but a language":        {{0, 10, 70}, {1, 10, 69}, {2, 20, 70}, {100, 10, 40}},
		"two that come back at a time":     {{0, 10, 70}, {100, 10, 70}},
		"a layer that comes late":          {{2, 0, 40}},
		"a language and a layer, and then": {{2, 5, 15}, {101, 10, 90}, {2, 20, 90}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 0)
			var origin int64 // stream time less publisher's time, in 1/90,000 s
			for ms := 0; ms < 120_000; ms += 40 {
				for i, track := range ladder {
					if slices.ContainsFunc(pauses, func(p pause) bool { return p.id == track.ID && ms >= p.from*1000 && ms < p.to*1000 }) {
						continue
					}
					// Each track's frames come a little later than the one's before.
					at := stream.Rescale(int64(500_000+ms), 1000, track.ClockRate)
					f := stream.Frame{Track: track, DTS: at, PTS: at, Duration: int64(track.ClockRate / 25)}
					if !b.place(&f, b.now.Add(time.Duration(i)*5*time.Millisecond)) {
						t.Fatalf("track %d loses the frame at %d ms", track.ID, ms)
					}
					off := stream.Rescale(f.PTS, track.ClockRate, 90000) - int64(500_000+ms)*90
					if origin == 0 {
						origin = off
					}
					if off != origin {
						t.Fatalf("track %d at %d ms lies %d ticks off", track.ID, ms, off-origin)
					}
				}
				b.pass(40)
			}
			if b.eras != 1 {
				t.Errorf("%d eras", b.eras)
			}
		})
	}
}

// TestPauseBesideALateTrack: one track that agrees is enough, even if another's last frames came late.
func TestPauseBesideALateTrack(t *testing.T) {
	t.Parallel()
	for range 20 {
		b := newBench(t, 0)
		place := func(track *stream.Track, ms int) {
			t.Helper()
			at := stream.Rescale(int64(ms), 1000, track.ClockRate)
			if !b.place(&stream.Frame{Track: track, DTS: at, PTS: at, Duration: int64(track.ClockRate / 25)}, b.now) {
				t.Fatalf("track %d loses the frame at %d ms", track.ID, ms)
			}
		}
		for ms := 0; ms < 60_000; ms += 40 {
			if ms < 10_000 {
				place(ladder[0], ms)
				place(ladder[1], ms)
			}
			if ms >= 10_000 && ms < 20_000 && ms%2000 == 0 {
				place(ladder[1], 10_000+(ms-10_000)/4) // falls behind
			}
			place(ladder[3], ms)
			b.pass(40)
		}
		place(ladder[0], 60_000)
		if b.eras != 1 {
			t.Fatalf("%d eras", b.eras)
		}
	}
}

// TestEverythingPauses: a pause of all tracks is one discontinuity.
func TestEverythingPauses(t *testing.T) {
	t.Parallel()
	b := newBench(t, 0)
	dropped := 0
	for ms := 0; ms < 120_000; ms += 40 {
		if ms < 10_000 || ms >= 70_000 {
			for _, track := range ladder {
				at := stream.Rescale(int64(ms), 1000, track.ClockRate)
				f := stream.Frame{Track: track, DTS: at, PTS: at, Duration: int64(track.ClockRate / 25)}
				if !b.place(&f, b.now) {
					dropped++
				} else if f.Era != 1 && ms < 70_000 || f.Era != 2 && ms >= 70_000 {
					t.Fatalf("era %d at %d ms", f.Era, ms)
				}
				b.end = max(b.end, stream.Rescale(f.PTS, track.ClockRate, 90000))
			}
		}
		b.pass(40)
	}
	if dropped > 0 || b.eras != 2 {
		t.Errorf("%d dropped, %d eras", dropped, b.eras)
	}
}

// TestLeaderTakesTheMessages: messages belong to the video track of the lowest number, in whatever order tracks are declared.
func TestLeaderTakesTheMessages(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		b := newMessageBench(t, audioTrack)
		for _, i := range order {
			b.messages.declare(ladder[i])
		}
		if b.messages.track != 0 || !b.messages.video {
			t.Errorf("order %v: track %d", order, b.messages.track)
		}
	}
}

// taker keeps the frames of a stream.
type taker struct {
	tracks []*stream.Track
	frames []stream.Frame
}

func (c *taker) Tracks(t []*stream.Track) { c.tracks = t }
func (c *taker) Frame(f *stream.Frame)    { c.frames = append(c.frames, *f) }
func (c *taker) Data(*stream.Data)        {}
func (c *taker) Away()                    {}
func (c *taker) End()                     {}

// doorBench is a door with a clock, and a consumer of all streams.
type doorBench struct {
	*Door
	*taker
	hub *stream.Hub
	now time.Time
}

func newDoorBench(t *testing.T, change func(*Options)) *doorBench {
	b := &doorBench{taker: &taker{}, now: epoch}
	clock := func() time.Time { return b.now }
	b.hub = stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{b.taker} },
		Now:             clock,
	})
	t.Cleanup(b.hub.Close)
	opt := Options{
		Hub: b.hub, Authority: authority.New(authority.Options{}), Metrics: NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Settings: func() Settings { return Settings{KeyframeTimeout: 10 * time.Second} }, Now: clock,
	}
	if change != nil {
		change(&opt)
	}
	b.Door = NewDoor(opt)
	return b
}

var local = netip.MustParseAddrPort("127.0.0.1:5000")

func (b *doorBench) publish(t *testing.T) Publication {
	t.Helper()
	p, err := b.Open(Request{Protocol: "rtsp", Remote: local, Stream: "show"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wantRefusal(t *testing.T, err error, reason Reason, words string) {
	t.Helper()
	var r *Refusal
	if !errors.As(err, &r) || r.Reason != reason || !strings.Contains(r.Message, words) {
		t.Errorf("%v, want %s with %q", err, reason, words)
	}
}

// TestPulled: a fetched stream needs no key and comes from anywhere, but takes no publisher's name, nor does a publisher take its.
func TestPulled(t *testing.T) {
	t.Parallel()
	b := newDoorBench(t, nil)
	away := netip.MustParseAddrPort("192.0.2.7:554")
	pull := func(name string) (Publication, error) {
		return b.Open(Request{Protocol: "rtsp", Remote: away, Stream: name, Pulled: true})
	}
	first, err := pull("camera")
	if err != nil {
		t.Fatal(err)
	}
	if first.Name() != "camera" {
		t.Error(first.Name())
	}
	second, err := pull("camera")
	if err != nil {
		t.Fatal("it takes over itself:", err)
	}
	wantRefusal(t, first.Write(&stream.Frame{Track: audioTrack}), ReasonTakenOver, "")
	_, err = b.Open(Request{Protocol: "rtmp", Remote: local, Stream: "camera"})
	wantRefusal(t, err, ReasonNameTaken, "camera")
	second.Close(nil)

	b.publish(t)
	_, err = pull("show")
	wantRefusal(t, err, ReasonNameTaken, "show")
	_, err = pull("../etc")
	wantRefusal(t, err, ReasonBadName, "")
	_, err = b.Open(Request{Protocol: "rtsp", Remote: away, Stream: "camera2"})
	wantRefusal(t, err, ReasonNoKeys, "")
}

// TestUndeliverable: a publisher of video that viewers cannot get is refused; of audio, told.
func TestUndeliverable(t *testing.T) {
	t.Parallel()
	cannot := func(o *Options) {
		o.Deliverable = func(c stream.Codec) bool { return c != stream.VP8 && c != stream.PCMA }
	}
	b := newDoorBench(t, cannot)
	p := b.publish(t)
	wantRefusal(t, p.SetTrack(&stream.Track{ID: 0, Codec: stream.VP8, ClockRate: 90000}), ReasonUnsupportedCodec, "VP8 video cannot be delivered over HLS: set the encoder to H.264")
	phone := &stream.Track{ID: 100, Codec: stream.PCMA, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	write := func(p Publication, track *stream.Track, seconds float64) error {
		b.now = epoch.Add(time.Duration(seconds * float64(time.Second)))
		at := int64(seconds * float64(track.ClockRate))
		return p.Write(&stream.Frame{Track: track, DTS: at, PTS: at, Key: true, Duration: int64(track.ClockRate / 50)})
	}
	for _, track := range []*stream.Track{videoTrack, phone} {
		if err := p.SetTrack(track); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 500 {
		for _, track := range []*stream.Track{videoTrack, phone} {
			if err := write(p, track, float64(i)/50); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(b.frames); n != 1000 || !b.frames[1].Track.Undelivered || b.frames[1].Track != b.tracks[1] || phone.Undelivered || b.frames[0].Track != videoTrack {
		t.Errorf("%d frames, the second of %+v", n, b.frames[1].Track)
	}
	in := b.hub.Get("show").Info()
	if advice := strings.Join(in.Advice(b.now), "\n"); !strings.Contains(advice, "The audio is G.711 A-law, which browsers cannot play over HLS: set the encoder's audio to AAC. Until then viewers see the picture without sound.") {
		t.Error(advice)
	}
	p.Close(nil)

	// Without anything that can be delivered the publisher is sent away, after a while.
	for _, expecting := range []bool{false, true} {
		b = newDoorBench(t, cannot)
		p = b.publish(t)
		if err := p.SetTrack(phone); err != nil {
			t.Fatal(err)
		}
		if expecting {
			p.Drop(DropBeforeConfig) // of video whose codec data are to come
		}
		var err error
		i := 0
		for ; i < 500 && err == nil; i++ {
			err = write(p, phone, float64(i)/50)
		}
		if expecting {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		wantRefusal(t, err, ReasonUnsupportedCodec, "Nothing but G.711 A-law audio")
		if i != 251 {
			t.Errorf("after %d frames", i)
		}
	}
}

// TestLabels: what is configured has the last word, and leaves the publisher's track as it is.
func TestLabels(t *testing.T) {
	t.Parallel()
	b := newDoorBench(t, func(o *Options) {
		o.Label = func(name string, track *stream.Track) (language, label string) {
			if name == "show" && track.ID == 101 {
				return "fr", "Français"
			}
			return "", ""
		}
	})
	p := b.publish(t)
	for _, track := range ladder {
		if err := p.SetTrack(track); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.tracks[4]; got.Language != "fr" || got.Name != "Français" || ladder[4].Language != "" || b.tracks[3] != ladder[3] || b.tracks[0] != ladder[0] {
		t.Errorf("%+v", got)
	}
	if err := p.Write(&stream.Frame{Track: ladder[4], Duration: 960}); err != nil || b.frames[0].Track != b.tracks[4] {
		t.Errorf("%v, frame of %+v", err, b.frames[0].Track)
	}
}

// TestCapture: times of capture are kept where they can be true; a clock that is wrong is told of, and not used any more.
func TestCapture(t *testing.T) {
	t.Parallel()
	for off, ok := range map[time.Duration]bool{
		0: true, -9 * time.Second: true, 1900 * time.Millisecond: true, -11 * time.Second: false, 2100 * time.Millisecond: false,
		-3 * time.Hour: false, 30 * 365 * 24 * time.Hour: false,
	} {
		t.Run(fmt.Sprint(off), func(t *testing.T) {
			t.Parallel()
			b := newDoorBench(t, nil)
			p := b.publish(t)
			if err := p.SetTrack(videoTrack); err != nil {
				t.Fatal(err)
			}
			for i := range int64(200) {
				b.now = epoch.Add(time.Duration(i) * 40 * time.Millisecond)
				if err := p.Write(&stream.Frame{Track: videoTrack, DTS: i * 3600, PTS: i * 3600, Key: true, Wall: b.now.Add(off)}); err != nil {
					t.Fatal(err)
				}
				want := b.now
				if ok {
					want = want.Add(off)
				}
				if f := b.frames[i]; !f.Wall.Equal(want) {
					t.Fatalf("frame %d captured at %v, want %v", i, f.Wall, want)
				}
			}
			in := b.hub.Get("show").Info()
			if (in.ClockOff != 0) == ok || !ok && in.ClockOff != off {
				t.Errorf("off by %v", in.ClockOff)
			}
			if advice := strings.Join(in.Advice(b.now), "\n"); strings.Contains(advice, "The publisher's clock is") == ok {
				t.Error(advice)
			}
			// A clock that was found wrong stays so, since dates must not go to and fro.
			if err := p.Write(&stream.Frame{Track: videoTrack, DTS: 201 * 3600, PTS: 201 * 3600, Key: true, Wall: b.now.Add(-time.Second)}); err != nil {
				t.Fatal(err)
			}
			if f := b.frames[200]; f.Wall.Equal(b.now) == ok {
				t.Errorf("afterwards captured at %v", f.Wall)
			}
		})
	}
}

// TestCaptureOfWhatWasHeldUp: media that were held up on the way for a moment do not make a clock wrong.
func TestCaptureOfWhatWasHeldUp(t *testing.T) {
	t.Parallel()
	var c captureClock
	for i := range 1000 {
		now := epoch.Add(time.Duration(i) * 40 * time.Millisecond)
		wall := now
		if i > 100 && i < 200 {
			wall = now.Add(-12 * time.Second)
		}
		f := stream.Frame{Wall: wall}
		if _, wrong := c.check(&f, now); wrong || f.Wall.IsZero() != (i > 100 && i < 200) {
			t.Fatalf("frame %d: wrong %v, %v", i, wrong, f.Wall)
		}
	}
}

// TestGates: each video track waits for its own key frame; who can see another layer waits without an end.
func TestGates(t *testing.T) {
	t.Parallel()
	for _, seen := range []bool{true, false} {
		b := newDoorBench(t, nil)
		p := b.publish(t)
		for _, track := range ladder[:2] {
			if err := p.SetTrack(track); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		n := 0
		for ; n < 1000 && err == nil; n++ {
			b.now = b.now.Add(40 * time.Millisecond)
			at := int64(n * 3600)
			if err = p.Write(&stream.Frame{Track: ladder[0], DTS: at, PTS: at, Key: seen && n%50 == 0}); err == nil {
				err = p.Write(&stream.Frame{Track: ladder[1], DTS: at, PTS: at})
			}
		}
		if seen {
			if err != nil || len(b.frames) != 1000 {
				t.Errorf("%v, %d frames", err, len(b.frames))
			}
			continue
		}
		wantRefusal(t, err, ReasonNoKeyframe, "")
	}
}

// TestKeyPlace: who comes without a key or with a wrong one is told where the protocol has it.
func TestKeyPlace(t *testing.T) {
	t.Parallel()
	keys, err := auth.NewKeys([]auth.Entry{{Stream: "show", Key: "right-secret"}})
	if err != nil {
		t.Fatal(err)
	}
	store := new(auth.Store)
	store.Store(keys)
	b := newDoorBench(t, func(o *Options) { o.Authority = authority.New(authority.Options{Keys: store}) })
	for protocol, words := range map[string]string{
		"rtmp": "NAME?key=SECRET", "rtmps": "NAME?key=SECRET", "rtsp": "as the password", "rtsps": "as the password", "srt": "s=SECRET", "whip": "bearer token",
	} {
		for _, key := range []string{"", "wrong-secret"} {
			_, err := b.Open(Request{Protocol: protocol, Remote: local, Stream: "show", Key: key})
			wantRefusal(t, err, ReasonBadKey, words)
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%v", err)
			}
		}
	}
}
