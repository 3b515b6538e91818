package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/internal/stream"
)

// granter is an authority that lets everybody in by their word.
type granter struct {
	mu   sync.Mutex // guards what follows
	of   map[string]auth.Grant
	err  error
	asks []auth.Attempt
	held int
}

func (g *granter) Publish(ctx context.Context, a auth.Attempt) (auth.Grant, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asks = append(g.asks, a)
	if g.err != nil {
		return auth.Grant{}, g.err
	}
	grant := g.of[a.Secret]
	if grant.Name == "" {
		grant.Name = a.Stream
	}
	grant.Credential = auth.Credential("of " + a.Secret)
	grant.Held = func() func() {
		g.add(1)
		return func() { g.add(-1) }
	}
	return grant, ctx.Err()
}

func (g *granter) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held += n
}

func (g *granter) live() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// granted is a doorBench whose authority grants what a test says, by secret.
func granted(t *testing.T, grants map[string]auth.Grant, set *Settings) (*doorBench, *granter) {
	g := &granter{of: grants}
	b := newDoorBench(t, func(o *Options) {
		o.Authority = g
		o.Settings = func() Settings { return *set }
	})
	return b, g
}

func (b *doorBench) come(name, key string) (Publication, error) {
	p, err := b.Open(Request{Protocol: "rtmp", Remote: netip.MustParseAddrPort("192.0.2.7:1"), Stream: name, Key: key})
	if err != nil {
		return nil, err
	}
	return p, p.SetTrack(videoTrack)
}

// send writes frames of a number of bytes, 40 ms apart by both clocks, until one is refused.
func (b *doorBench) send(p Publication, frames, bytes int) (int, error) {
	payload := make([]byte, bytes)
	for n := range frames {
		b.now = b.now.Add(40 * time.Millisecond)
		at := b.now.Sub(epoch).Milliseconds() * 90
		if err := p.Write(&stream.Frame{Track: videoTrack, DTS: at, PTS: at, Key: true, Payload: payload}); err != nil {
			return n, err
		}
	}
	return frames, nil
}

// TestMaxBitrate: who sends more than its key allows is sent away, with a sentence; what a stall has held up is no excess.
func TestMaxBitrate(t *testing.T) {
	t.Parallel()
	const rate = 8_000_000 // 40,000 bytes in 40 ms
	for name, tt := range map[string]struct {
		bytes int
		most  int // frames until the end; 0 is never
	}{
		"as much as it may": {40_000, 0},
		"half":              {20_000, 0},
		"twice":             {80_000, 128},
		"ten times":         {400_000, 16},
		"a tenth more":      {44_000, 1300},
	} {
		b, _ := granted(t, map[string]auth.Grant{"k": {MaxBitrate: rate}}, &Settings{})
		p, err := b.come("show", "k")
		if err != nil {
			t.Fatal(err)
		}
		n, err := b.send(p, 1400, tt.bytes)
		if tt.most == 0 {
			if err != nil {
				t.Errorf("%s: after %d frames %v", name, n, err)
			}
			continue
		}
		if n > tt.most || n < tt.most*8/10 {
			t.Errorf("%s: ended after %d frames", name, n)
		}
		wantRefusal(t, err, ReasonLimit, "This stream has more than 8 Mbit/s, which is the most that its key allows. Set the encoder's bitrate lower")
		p.Close(err)
		if _, err := b.come("show", "k"); err != nil {
			t.Errorf("%s: it may not come back: %v", name, err)
		}
	}

	// Five seconds of a stall, and all that was held up at once; a key frame as large as four seconds; a clock that goes back.
	b, _ := granted(t, map[string]auth.Grant{"k": {MaxBitrate: rate}}, &Settings{})
	p, err := b.come("show", "k")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.send(p, 100, 38_000); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(5 * time.Second)
	at := b.now.Sub(epoch).Milliseconds() * 90
	for n := range int64(100) {
		if err := p.Write(&stream.Frame{Track: videoTrack, DTS: at + n*3600, PTS: at + n*3600, Key: true, Payload: make([]byte, 38_000)}); err != nil {
			t.Fatalf("frame %d of the burst behind a stall: %v", n, err)
		}
	}
	b.now = b.now.Add(-time.Hour)
	var m = newMeter(rate)
	if !m.take(1000, b.now) || !m.take(1000, b.now.Add(-time.Hour)) || m.left > rate*bitrateSpan.Seconds() {
		t.Error("a clock that goes back")
	}

	// All tracks count together, and so does what is dropped.
	b, _ = granted(t, map[string]auth.Grant{"k": {MaxBitrate: rate}}, &Settings{KeyframeTimeout: time.Hour})
	if p, err = b.come("show", "k"); err != nil {
		t.Fatal(err)
	}
	for n := 0; err == nil; n++ {
		if n > 400 {
			t.Fatal("frames that are dropped cost nothing")
		}
		b.now = b.now.Add(40 * time.Millisecond)
		err = p.Write(&stream.Frame{Track: videoTrack, DTS: int64(n) * 3600, Payload: make([]byte, 60_000)})
		if err == nil {
			err = p.Write(&stream.Frame{Track: audioTrack, DTS: int64(n) * 1920, Key: true, Payload: make([]byte, 10_000)})
		}
	}
	wantRefusal(t, err, ReasonLimit, "8 Mbit/s")
}

// TestMaxDuration: a show ends for good when it has lasted as long as it may, reconnects included, and the encoder that comes back by
// itself does not begin another.
func TestMaxDuration(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]struct {
		grant, node, want time.Duration
	}{
		"grant": {2 * time.Minute, 0, 2 * time.Minute}, "node": {0, 2 * time.Minute, 2 * time.Minute},
		"the shorter is the grant's": {2 * time.Minute, time.Hour, 2 * time.Minute}, "the shorter is the node's": {time.Hour, 2 * time.Minute, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, g := granted(t, map[string]auth.Grant{"k": {MaxDuration: set.grant}, "free": {}}, &Settings{MaxDuration: set.node})
			began := b.now
			p, err := b.come("show", "k")
			if err != nil {
				t.Fatal(err)
			}
			if n, err := b.send(p, 25*60, 1); err != nil {
				t.Fatalf("after %d frames: %v", n, err)
			}
			p.Close(errors.New("lost"))
			b.now = b.now.Add(10 * time.Second)
			if p, err = b.come("show", "k"); err != nil { // a reconnect does not begin the time anew
				t.Fatal(err)
			}
			_, err = b.send(p, 25*150, 1)
			wantRefusal(t, err, ReasonLimit, "The show has lasted for 2 minutes, which is the longest that it may, and is over.")
			if lasted := b.now.Sub(began); lasted < set.want || lasted > set.want+50*time.Millisecond {
				t.Errorf("it lasted for %v", lasted)
			}
			if b.hub.Get("show") != nil {
				t.Error("the stream waits for its publisher")
			}
			_, again := b.send(p, 1, 1)
			wantRefusal(t, again, ReasonLimit, "longest")
			p.Close(err)
			if g.live() != 0 {
				t.Errorf("%d publishers are held", g.live())
			}
			// An encoder that tries all the time comes to nothing.
			for range 20 {
				b.now = b.now.Add(30 * time.Second)
				_, err := b.come("show", "k")
				wantRefusal(t, err, ReasonLimit, "a new show can begin when it has been off for a minute")
			}
			if _, err := b.come("other", "k"); err != nil {
				t.Error("another name is refused too:", err)
			}
			b.now = b.now.Add(time.Minute)
			if p, err = b.come("show", "k"); err != nil {
				t.Fatal("a minute later:", err)
			}
			if _, err := b.send(p, 25*100, 1); err != nil {
				t.Error("the next show is short:", err)
			}
		})
	}
}

// TestMaxDurationWhileAway: who returns after the end of the time is told so, and the time is not that of another publisher.
func TestMaxDurationWhileAway(t *testing.T) {
	t.Parallel()
	set := &Settings{}
	b, _ := granted(t, map[string]auth.Grant{"k": {MaxDuration: time.Minute}, "long": {}}, set)
	p, err := b.come("show", "k")
	if err != nil {
		t.Fatal(err)
	}
	p.Close(nil)
	b.now = b.now.Add(2 * time.Minute)
	_, err = b.come("show", "k")
	wantRefusal(t, err, ReasonLimit, "has lasted for 1 minute")
	_, err = b.come("show", "long")
	wantRefusal(t, err, ReasonNameTaken, "")

	// A live show without an end is not ended by somebody with a short key.
	if p, err = b.come("other", "long"); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Hour)
	_, err = b.come("other", "k")
	wantRefusal(t, err, ReasonNameTaken, "")
	if _, err := b.send(p, 1000, 1); err != nil {
		t.Error(err)
	}
	// A limit that is set while it lasts counts within a second, and one that is taken back too.
	set.MaxDuration = time.Hour + 2*time.Minute
	if _, err := b.send(p, 25*50, 1); err != nil {
		t.Error(err)
	}
	set.MaxDuration = time.Hour
	n, err := b.send(p, 100, 1)
	wantRefusal(t, err, ReasonLimit, "1 hour,")
	if n > 26 {
		t.Errorf("%d frames later", n)
	}

	// A source that the node fetches may last for ever.
	if p, err = b.Open(Request{Protocol: "rtsp", Remote: local, Stream: "camera", Pulled: true}); err != nil {
		t.Fatal(err)
	}
	if err := p.SetTrack(videoTrack); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(100 * time.Hour)
	if _, err := b.send(p, 100, 1); err != nil {
		t.Error(err)
	}
}

// TestMaxDurationOfStandby: when the show is over it is over for who stands by too.
func TestMaxDurationOfStandby(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &granter{of: map[string]auth.Grant{"main-secret": {MaxDuration: time.Minute}, "spare-secret": {MaxDuration: time.Minute, Standby: true}}}
		s := newStage(t, func(o *Options) { o.Authority = g })
		main, spare := s.enter("main-secret"), s.enter("spare-secret")
		var err error
		for range 2000 {
			time.Sleep(40 * time.Millisecond)
			for _, a := range []*actor{main, spare} {
				a.at += 40
				f := &stream.Frame{Track: a.video, DTS: a.at * 90, PTS: a.at * 90, Key: true, Payload: []byte{1}}
				if e := a.Write(f); a == main && e != nil {
					err = e
				}
			}
			if err != nil {
				break
			}
		}
		wantRefusal(t, err, ReasonLimit, "The show has lasted for 1 minute")
		main.Close(err)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		select {
		case r := <-spare.kicked:
			wantRefusal(t, r, ReasonLimit, "is over")
		default:
			t.Error("who stands by is not told")
		}
		if s.hub.Get("show") != nil {
			t.Error("who stood by began another show")
		}
		spare.Close(nil)
		if g.live() != 0 {
			t.Errorf("%d publishers are held", g.live())
		}
		// It does not keep the name from resting.
		time.Sleep(time.Minute)
		s.enter("main-secret").Close(nil)
	})
}

// TestMaxStreams: never more names than may be, however many come at once, and who goes on with a stream is never refused by it.
func TestMaxStreams(t *testing.T) {
	t.Parallel()
	set := &Settings{MaxStreams: 10}
	b, _ := granted(t, nil, set)
	var mu sync.Mutex
	var in []Publication
	var wg sync.WaitGroup
	for n := range 100 {
		wg.Go(func() {
			p, err := b.Open(Request{Protocol: "rtmp", Remote: local, Stream: fmt.Sprint("show", n), Key: "k"})
			if err != nil {
				var r *Refusal
				if !errors.As(err, &r) || r.Reason != ReasonLimit || !strings.Contains(r.Message, "publish.max_streams") {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			in = append(in, p)
		})
	}
	wg.Wait()
	if len(in) != 10 || len(b.hub.List()) != 10 {
		t.Fatalf("%d were let in, %d streams", len(in), len(b.hub.List()))
	}
	name := in[0].Name()
	in[0].Close(nil) // waits for its publisher
	_, err := b.come("new", "k")
	wantRefusal(t, err, ReasonLimit, "as many streams as it may have")
	if _, err = b.come(name, "k"); err != nil {
		t.Error("who returns is refused:", err)
	}
	if _, err = b.come(in[1].Name(), "k"); err != nil {
		t.Error("who takes over is refused:", err)
	}
	set.MaxStreams = 5 // fewer than there are
	if _, err = b.come(in[2].Name(), "k"); err != nil {
		t.Error("who takes over is refused:", err)
	}
	set.MaxStreams = 11
	if _, err = b.come("new", "k"); err != nil {
		t.Error(err)
	}
	_, err = b.Open(Request{Protocol: "rtsp", Remote: local, Stream: "camera", Pulled: true})
	wantRefusal(t, err, ReasonLimit, "")
	set.MaxStreams = 0
	if _, err = b.come("newer", "k"); err != nil {
		t.Error(err)
	}
}

// TestMaxStreamsInACluster: a stream that this node has no room for is not claimed from the others.
func TestMaxStreamsInACluster(t *testing.T) {
	t.Parallel()
	claims := 0
	b := newDoorBench(t, func(o *Options) {
		o.Authority = &granter{}
		o.Settings = func() Settings { return Settings{MaxStreams: 1} }
		o.Claim = func(context.Context, string, string, bool) (func(), error) { claims++; return nil, nil }
	})
	if _, err := b.come("one", "k"); err != nil {
		t.Fatal(err)
	}
	_, err := b.come("two", "k")
	wantRefusal(t, err, ReasonLimit, "")
	if claims != 1 {
		t.Errorf("%d claims", claims)
	}
}

func TestLength(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 90 * time.Second: "90 seconds", time.Minute: "1 minute", 2 * time.Hour: "2 hours", 61 * time.Minute: "1 hour and 1 minute",
	} {
		if got := length(d); got != want {
			t.Errorf("%v is %q", d, got)
		}
	}
	if bits(8_500_000) != "8.5 Mbit/s" || bits(500_000) != "500 kbit/s" {
		t.Error(bits(8_500_000), bits(500_000))
	}
}

// TestRestsAreBounded: names that rest are forgotten in time, and there are never many.
func TestRestsAreBounded(t *testing.T) {
	t.Parallel()
	var r rests
	now := epoch
	for n := range mostRests + 50 {
		now = now.Add(time.Millisecond)
		r.begin(fmt.Sprint(n), now)
	}
	if len(r.until) > mostRests || !r.resting(fmt.Sprint(mostRests+49), false, now) || r.resting("0", false, now) {
		t.Errorf("%d names", len(r.until))
	}
	r.begin("last", now.Add(time.Hour))
	if len(r.until) != 1 {
		t.Errorf("%d names an hour later", len(r.until))
	}
}

// BenchmarkFramesUnderCaps is BenchmarkFramesThroughTheDoor with a bitrate and a duration to hold to.
func BenchmarkFramesUnderCaps(b *testing.B) {
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return nil },
	})
	defer hub.Close()
	door := NewDoor(Options{
		Hub: hub, Authority: &granter{of: map[string]auth.Grant{"k": {MaxBitrate: 1e15, MaxDuration: 1000 * time.Hour}}},
		Metrics: NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler),
		Settings: func() Settings {
			return Settings{KeyframeTimeout: time.Second, MaxStreams: 10, MaxDuration: 999 * time.Hour}
		},
	})
	p, err := door.Open(Request{Protocol: "rtmp", Remote: netip.MustParseAddrPort("127.0.0.1:5"), Stream: "show", Key: "k"})
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
