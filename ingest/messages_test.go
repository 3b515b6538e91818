package ingest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// messageBench is a timeline with a binder behind it.
type messageBench struct {
	*bench
	messages *binder
	out      []*stream.Data
}

func newMessageBench(t *testing.T, tracks ...*stream.Track) *messageBench {
	b := &messageBench{bench: newBench(t, 0)}
	b.messages = newBinder(b.timeline, func(d *stream.Data) error {
		b.out = append(b.out, d)
		return nil
	})
	for _, track := range tracks {
		b.messages.declare(track)
	}
	return b
}

// picture and sound place frames as video and audio do, and pass them on.
func (b *messageBench) picture(at, cts float64) stream.Frame {
	f, ok := b.video(at, cts)
	b.passed(f, ok)
	return f
}

func (b *messageBench) sound(at float64) stream.Frame {
	f, ok := b.audio(at)
	b.passed(f, ok)
	return f
}

func (b *messageBench) passed(f stream.Frame, ok bool) {
	if !ok {
		return
	}
	b.messages.note(&f)
	if err := b.messages.settle(b.now); err != nil {
		b.t.Fatal(err)
	}
}

// message sends one with a publisher's time in ms.
func (b *messageBench) message(at float64) *stream.Data {
	b.t.Helper()
	d := &stream.Data{PTS: int64(at * 90)}
	if err := b.messages.add(d, b.now); err != nil {
		b.t.Fatal(err)
	}
	return d
}

// wantAt fails the test unless a message was passed on at a frame's presentation.
func (b *messageBench) wantAt(what string, d *stream.Data, f stream.Frame) {
	b.t.Helper()
	want := stream.Rescale(f.PTS, f.Track.ClockRate, 90000)
	if b.waits(d) {
		b.t.Errorf("%s: still waits", what)
	} else if d.Era != f.Era || d.PTS != want {
		b.t.Errorf("%s: era %d at %d, %d ticks off; want era %d at %d", what, d.Era, d.PTS, d.PTS-want, f.Era, want)
	}
}

func (b *messageBench) waits(d *stream.Data) bool {
	for _, o := range b.out {
		if o == d {
			return false
		}
	}
	return true
}

// reordered are composition offsets of pictures at 30 a second with two B-frames, in ms.
var reordered = []float64{67, 133, 33, 0}

// TestMessagesMeetTheirFrames: a message with a frame's timestamp gets this frame's presentation time, whether it comes
// before or after the frame, whatever becomes of the publisher's clock.
func TestMessagesMeetTheirFrames(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, audioTrack, videoTrack)
	type meeting struct {
		what string
		d    *stream.Data
		f    stream.Frame
	}
	var all []meeting
	clock := 0.0
	for n, jump := range []float64{3_600_000, 7_200_000, -9_000_000, 4000, -2000, 1000} {
		clock += jump
		for i := range 45 {
			clock += []float64{33, 33, 34}[i%3]
			b.pass(33)
			before := b.message(clock) // in five of six stretches the first that comes after the jump
			b.sound(clock)
			f := b.picture(clock, reordered[i%4])
			after := b.message(clock)
			all = append(all, meeting{fmt.Sprint("before frame ", i, " of stretch ", n), before, f},
				meeting{fmt.Sprint("after frame ", i, " of stretch ", n), after, f})
		}
	}
	for _, m := range all {
		b.wantAt(m.what, m.d, m.f)
	}
	if b.eras != 5 {
		t.Errorf("%d eras: the test means to see 5", b.eras)
	}
}

// TestMessagesBetweenFrames belong to the next one.
func TestMessagesBetweenFrames(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, videoTrack)
	b.picture(1000, 40)
	early := b.message(1001)
	if !b.waits(early) {
		t.Error("a message was placed before its frame came")
	}
	b.pass(33)
	f := b.picture(1033, 40)
	late := b.message(1020)
	b.wantAt("before the frame", early, f)
	b.wantAt("after the frame", late, f)
}

// TestMessagesOfUnevenFrames: timestamps that repeat or go back a little move a picture's decoding, and its message goes
// with its presentation.
func TestMessagesOfUnevenFrames(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, videoTrack)
	for i, at := range []float64{0, 33, 33, 20, 66, 60, 100, 100.5} {
		f := b.picture(at, float64(i)) // all different
		b.wantAt(fmt.Sprint("frame ", i), b.message(at), f)
	}
}

func TestMessagesBeforeTheFirstFrame(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		at    float64 // of the message; the first frame's is 3,600,000
		frame int     // that it belongs to, at 40 ms each
	}{
		"without a time":                   {0, 0},
		"a little earlier":                 {3_599_900, 0},
		"at the first frame":               {3_600_000, 0},
		"at a later frame":                 {3_600_080, 2},
		"between frames":                   {3_600_090, 3},
		"some seconds later":               {3_603_000, 75},
		"by another clock":                 {9_000_000, 0},
		"before the clock's wrap":          {1<<32 - 20, 0},
		"at the end of what may be waited": {3_610_000, 250},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMessageBench(t, audioTrack, videoTrack)
			d := b.message(test.at)
			b.pass(20_000) // a publisher may take its time until the first frame
			second := b.message(test.at)
			for i := range 260 {
				at := 3_600_000 + 40*float64(i)
				f := b.picture(at, 80)
				b.sound(at)
				if i < test.frame && !b.waits(d) {
					t.Fatalf("placed at frame %d", i)
				}
				if i == test.frame {
					b.wantAt("the first message", d, f)
					b.wantAt("the second message", second, f)
				}
				b.pass(40)
			}
			if len(b.out) != 2 || b.out[0] != d {
				t.Errorf("%d messages came out", len(b.out))
			}
		})
	}
}

// TestMessagesBeforeVideo: audio may begin an era, while video has yet to come; messages wait for it, but not for long.
func TestMessagesBeforeVideo(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, audioTrack, videoTrack)
	b.sound(1000)
	soon := b.message(1100)
	b.pass(100)
	f := b.picture(1100, 80)
	b.wantAt("video that comes soon", soon, f)

	b = newMessageBench(t, audioTrack, videoTrack)
	a := b.sound(1000)
	late := b.message(1100)
	for at := 1020.0; at < 1700; at += 20 {
		b.pass(20)
		b.sound(at)
	}
	want := stream.Rescale(a.PTS, 48000, 90000) + 100*90
	if b.waits(late) || late.PTS != want || late.Era != a.Era {
		t.Errorf("video that does not come: waits %v, %+v, want %d", b.waits(late), late, want)
	}
}

// TestMessagesWithAudioAlone: they belong to audio frames, which lie where smoothing has put them, and whose ticks fit no
// millisecond.
func TestMessagesWithAudioAlone(t *testing.T) {
	t.Parallel()
	track := &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 44100, FrameSamples: 1024}
	b := newMessageBench(t, track)
	for i := range 500 {
		ms := int64(float64(i) * 1024 / 44.1 * 1.001)
		before := b.message(float64(ms))
		f := stream.Frame{Track: track, DTS: stream.Rescale(ms, 1000, 44100)}
		b.passed(f, b.place(&f, b.now))
		b.wantAt(fmt.Sprint("before frame ", i), before, f)
		b.wantAt(fmt.Sprint("after frame ", i), b.message(float64(ms)), f)
		b.pass(21)
	}
}

// TestMessagesWhenVideoStops: who has the camera off can still show a card.
func TestMessagesWhenVideoStops(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, audioTrack, videoTrack)
	v := b.picture(0, 80)
	var all []*stream.Data
	for at := 0.0; at < 20_000; at += 20 {
		b.sound(at)
		all = append(all, b.message(at))
		b.pass(20)
		if n := len(all) - len(b.out); n > 30 {
			t.Fatalf("after %v ms %d messages wait", at, n)
		}
	}
	for i, d := range b.out {
		if off := d.PTS - v.DTS - int64(i*20*90); i > 0 && off != 0 || d != all[i] || d.Era != v.Era {
			t.Fatalf("message %d is %d ticks off", i, off)
		}
	}
}

// TestMessagesWithUselessTimes go to the next frame: who sends zero for want of a time means now.
func TestMessagesWithUselessTimes(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]float64{"zero": 0, "an hour ahead": 9e6, "an hour back": 1.8e6, "eleven seconds ahead": 5_411_080} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newMessageBench(t, videoTrack)
			for i := range 100 {
				b.picture(5_400_000+float64(i), 0)
			}
			d := b.message(at)
			if !b.waits(d) {
				t.Error("placed although the next frame may begin an era")
			}
			b.wantAt("useless time", d, b.picture(5_400_100, 40))
		})
	}
	b := newMessageBench(t, videoTrack)
	first := b.picture(0, 0)
	for i := range 100 {
		b.picture(float64(40*i), 0)
	}
	d := b.message(1000)
	b.picture(4000, 0)
	if d.PTS != first.PTS+1000*90 {
		t.Errorf("a message that is three seconds late lies %d ms behind the era's start: its time is to show that it is late", (d.PTS-first.PTS)/90)
	}
	// Nothing at all comes any more, and then something does.
	d = b.message(1e9)
	b.pass(600)
	b.message(2e9)
	if !b.waits(d) {
		t.Error("a message was placed while nothing came")
	}
	b.sound(4600)
	if b.waits(d) || d.PTS < first.PTS+4000*90 {
		t.Errorf("waits %v, %+v", b.waits(d), d)
	}
}

// TestMessagesAcrossAJump: what waits when the clock jumps belongs to the new era's first frame, and the other track's
// stragglers change nothing.
func TestMessagesAcrossAJump(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, audioTrack, videoTrack)
	for at := 0.0; at < 1000; at += 20 {
		b.picture(at, 40)
		b.sound(at)
		b.pass(20)
	}
	old := b.message(1010)
	fresh := b.message(5e6 + 40)
	b.sound(5e6) // begins the era
	b.pass(20)
	b.picture(1020, 40) // a straggler
	if !b.waits(old) || !b.waits(fresh) {
		t.Error("placed before video entered the era")
	}
	f := b.picture(5e6+20, 40)
	g := b.picture(5e6+40, 40)
	if f.Era != 2 {
		t.Fatalf("era %d", f.Era)
	}
	b.wantAt("of the old clock", old, f)
	b.wantAt("of the new clock", fresh, g)
}

// TestVideoThatComesLater takes over from audio.
func TestVideoThatComesLater(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, audioTrack)
	b.wantAt("audio alone", b.message(0), b.sound(0))
	waiting := b.message(40)
	b.messages.declare(videoTrack)
	b.sound(40)
	f := b.picture(40, 80)
	b.wantAt("with video", waiting, f)
	b.wantAt("with video, late", b.message(0), f)
}

func TestTooManyMessages(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, videoTrack)
	var all []*stream.Data
	for range mostMessages + 5 {
		all = append(all, b.message(0))
	}
	if len(b.out) != 5 || b.waits(all[4]) {
		t.Errorf("%d messages came out", len(b.out))
	}
	f := b.picture(0, 0)
	for i, d := range all {
		b.wantAt(fmt.Sprint("message ", i), d, f) // those that did not wait lie at the era's start, where the frame is
	}
}

// TestMessagesAtTheEnd: none is lost when the publisher leaves.
func TestMessagesAtTheEnd(t *testing.T) {
	t.Parallel()
	b := newMessageBench(t, videoTrack)
	never := b.message(0)
	b.messages.flush()
	if b.waits(never) || never.Era != 1 || never.PTS != b.base {
		t.Errorf("without a frame: %+v", never)
	}
	f := b.picture(1000, 40)
	next, odd := b.message(1040), b.message(1e8)
	b.messages.flush()
	first := b.message(-8000)
	b.messages.flush()
	if first.PTS != b.base-eraGap {
		t.Errorf("a message of before the era lies %d ms from its start", (first.PTS-b.base)/90)
	}
	if b.waits(next) || b.waits(odd) || next.PTS != f.DTS+40*90 || odd.PTS != f.PTS {
		t.Errorf("%+v, %+v after %+v", next, odd, f)
	}
}

// TestMessagesNobodyTakes: the error ends the session.
func TestMessagesNobodyTakes(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	b := newMessageBench(t, videoTrack)
	b.messages.out = func(*stream.Data) error { return gone }
	f := b.picture(0, 0)
	b.messages.note(&f)
	if err := b.messages.add(&stream.Data{}, b.now); err != gone {
		t.Errorf("add: %v", err)
	}
	b.message(33)
	v, _ := b.video(33, 0)
	b.messages.note(&v)
	if err := b.messages.settle(b.now); err != gone {
		t.Errorf("settle: %v", err)
	}
	b.message(66)
	if err := b.messages.flush(); err != gone {
		t.Errorf("flush: %v", err)
	}
}

// witness keeps what a stream's consumers get, in order.
type witness struct {
	counter
	order []any
}

func (w *witness) Frame(f *stream.Frame) { w.order = append(w.order, *f) }
func (w *witness) Data(d *stream.Data)   { w.order = append(w.order, *d) }

// openDoor opens a door with keys, none or some, and lets a publisher in.
func openDoor(t *testing.T, w *witness, entries ...auth.Entry) Publication {
	t.Helper()
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{w} },
	})
	t.Cleanup(hub.Close)
	keys, err := auth.NewKeys(entries)
	if err != nil {
		t.Fatal(err)
	}
	store := &auth.Store{}
	store.Store(keys)
	door := NewDoor(Options{
		Hub: hub, Authority: authority.New(authority.Options{Keys: store}), Metrics: NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Settings: func() Settings { return Settings{KeyframeTimeout: time.Second} },
	})
	p, err := door.Open(Request{Protocol: "rtmp", Remote: netip.MustParseAddrPort("127.0.0.1:5"), Stream: "show", Key: "secret-of-the-show"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMessagesThroughTheDoor: they come behind their frame, with the door's word for the publisher.
func TestMessagesThroughTheDoor(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]auth.Entry{"loopback": nil, "key": {{Stream: "show", Key: "secret-of-the-show"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := &witness{}
			p := openDoor(t, seen, entries...)
			must(t, p.SetTrack(videoTrack))
			frame := func(ms int64, key bool) {
				must(t, p.Write(&stream.Frame{Track: videoTrack, DTS: 90 * ms, PTS: 90*ms + 40*90, Key: key}))
			}
			message := func(ms int64, text string) {
				must(t, p.WriteData(&stream.Data{Name: text, PTS: 90 * ms, Trusted: true}))
			}
			frame(0, false) // dropped: no key frame came yet
			message(0, "of the dropped frame")
			frame(40, true)
			message(80, "of the second")
			frame(80, false)
			message(120, "of none")
			p.Close(nil)

			var got []string
			var last stream.Frame
			for _, v := range seen.order {
				switch v := v.(type) {
				case stream.Frame:
					last = v
					got = append(got, "frame")
				case stream.Data:
					got = append(got, v.Name)
					if v.Name != "of none" && (v.PTS != last.PTS || v.Era != last.Era) {
						t.Errorf("%s lies at %d, its frame at %d", v.Name, v.PTS, last.PTS)
					}
					if v.Trusted != (name == "key") {
						t.Errorf("trusted %v", v.Trusted)
					}
				}
			}
			if want := []string{"frame", "of the dropped frame", "frame", "of the second", "of none"}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("consumers got %q, want %q", got, want)
			}
			if err := p.WriteData(&stream.Data{PTS: 80 * 90}); err == nil {
				t.Error("a message was taken after the end")
			}
		})
	}
}

// TestMessagesThroughTheDoorWithAudioAlone do not wait for video.
func TestMessagesThroughTheDoorWithAudioAlone(t *testing.T) {
	t.Parallel()
	seen := &witness{}
	p := openDoor(t, seen)
	must(t, p.SetTrack(audioTrack))
	must(t, p.Write(&stream.Frame{Track: audioTrack, DTS: 48000, PTS: 48000, Key: true}))
	must(t, p.WriteData(&stream.Data{Name: "x", PTS: 90000}))
	if len(seen.order) != 2 {
		t.Fatalf("consumers got %v", seen.order)
	}
	f, d := seen.order[0].(stream.Frame), seen.order[1].(stream.Data)
	if d.PTS != stream.Rescale(f.PTS, 48000, 90000) {
		t.Errorf("message at %d, frame at %d of 48,000", d.PTS, f.PTS)
	}
}

// BenchmarkFramesThroughTheDoor is the path of a frame of a stream without messages, from the protocol to no consumer.
func BenchmarkFramesThroughTheDoor(b *testing.B) {
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return nil },
	})
	defer hub.Close()
	door := NewDoor(Options{
		Hub: hub, Authority: authority.New(authority.Options{}), Metrics: NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Settings: func() Settings { return Settings{KeyframeTimeout: time.Second} },
	})
	p, err := door.Open(Request{Protocol: "rtmp", Remote: netip.MustParseAddrPort("127.0.0.1:5"), Stream: "show"})
	if err != nil {
		b.Fatal(err)
	}
	if err := p.SetTrack(videoTrack); err != nil {
		b.Fatal(err)
	}
	f := stream.Frame{Track: videoTrack, Key: true, Payload: make([]byte, 1000)}
	b.ReportAllocs()
	for at := int64(0); b.Loop(); at += 3000 {
		f.DTS, f.PTS, f.Wall = at, at, time.Time{}
		if err := p.Write(&f); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzMessages sends frames and messages at any times. No message is lost or comes twice, few wait, and none lies before its
// era or far from the media.
func FuzzMessages(f *testing.F) {
	f.Add([]byte{0, 0, 0, 33, 2, 0, 33, 1, 1, 0, 0, 20, 0, 255, 255, 255, 2, 255, 255, 255})
	f.Add([]byte{2, 0, 0, 0, 129, 0, 33, 1, 2, 0, 66, 1, 0, 0, 66, 1, 2, 127, 255, 255})
	f.Fuzz(func(t *testing.T, in []byte) {
		b := newMessageBench(t, audioTrack, videoTrack)
		var raw [3]int64
		var sent []*stream.Data
		bases := map[int]int64{1: b.base}
		for ; len(in) >= 4; in = in[4:] {
			kind := in[0] % 3
			raw[kind] += int64(int16(uint16(in[1])<<8|uint16(in[2]))) * int64(in[3])
			b.pass(float64(in[0] >> 2))
			switch kind {
			case 0:
				b.picture(float64(raw[0]), float64(in[3]))
			case 1:
				b.sound(float64(raw[1]))
			default:
				sent = append(sent, b.message(float64(raw[2])))
			}
			bases[b.timeline.era] = b.base
			if len(b.messages.waiting) > mostMessages {
				t.Fatalf("%d messages wait", len(b.messages.waiting))
			}
			for _, d := range b.out {
				if d.PTS > b.end+maxAhead+10*90000 {
					t.Fatalf("a message lies %d s ahead of all media", (d.PTS-b.end)/90000)
				}
			}
		}
		b.messages.flush()
		times := map[*stream.Data]int{}
		for _, d := range b.out {
			times[d]++
			if d.PTS < bases[d.Era]-eraGap || bases[d.Era] == 0 {
				t.Fatalf("a message lies at %d in era %d, which begins at %d", d.PTS, d.Era, bases[d.Era])
			}
		}
		for _, d := range sent {
			if times[d] != 1 {
				t.Fatalf("a message came %d times", times[d])
			}
		}
	})
}
