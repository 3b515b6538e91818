package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/internal/auth"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// stage is a door at which a main publisher and one that stands by come and go. Its clock is that of the test's bubble.
type stage struct {
	*Door
	t    *testing.T
	hub  *stream.Hub
	reg  *prometheus.Registry
	took *seen
}

// seen keeps what came out of a hub.
type seen struct {
	mu     sync.Mutex // guards what follows
	frames []stream.Frame
	tracks int
}

func (c *seen) Tracks(t []*stream.Track) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracks = len(t)
}

func (c *seen) Frame(f *stream.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, *f)
}
func (c *seen) Data(*stream.Data) {}
func (c *seen) Away()             {}
func (c *seen) End()              {}

// since returns the frames behind the first n.
func (c *seen) since(n int) []stream.Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames[n:])
}

func newStage(t *testing.T, set ...func(*Options)) *stage {
	t.Helper()
	s := &stage{t: t, reg: prometheus.NewRegistry(), took: &seen{}}
	s.hub = stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return 30 * time.Second },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{s.took} },
	})
	t.Cleanup(s.hub.Close)
	keys, err := auth.NewKeys([]auth.Entry{{Stream: "show", Key: "main-secret"}, {Stream: "show", Key: "spare-secret", Standby: true}, {Stream: "show", Key: "third-secret", Standby: true}})
	if err != nil {
		t.Fatal(err)
	}
	store := new(auth.Store)
	store.Store(keys)
	opt := Options{
		Hub: s.hub, Authority: authority.New(authority.Options{Keys: store}), Metrics: NewMetrics(s.reg), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Settings:    func() Settings { return Settings{KeyframeTimeout: 10 * time.Second} },
		Deliverable: func(c stream.Codec) bool { return c != stream.VP8 },
	}
	for _, f := range set {
		f(&opt)
	}
	s.Door = NewDoor(opt)
	return s
}

// actor is a publisher.
type actor struct {
	Publication
	*stage
	video, audio *stream.Track
	kicked       chan *Refusal
	at           int64 // ms
}

// enter has a publisher come with a key, with a camera and a microphone.
func (s *stage) enter(key string) *actor {
	s.t.Helper()
	a, err := s.knock(key)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *stage) knock(key string) (*actor, error) {
	a := &actor{
		stage: s, kicked: make(chan *Refusal, 2), at: 500_000,
		video: &stream.Track{ID: 0, Codec: stream.H264, ClockRate: 90000}, audio: &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000},
	}
	p, err := s.Open(Request{Protocol: "rtmp", Remote: netip.MustParseAddrPort("192.0.2.7:1234"), Stream: "show", Key: key, Kick: func(r *Refusal) { a.kicked <- r }})
	if err != nil {
		return nil, err
	}
	a.Publication = p
	for _, track := range []*stream.Track{a.video, a.audio} {
		if err := p.SetTrack(track); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// send sends a picture and then a frame of sound, 40 ms after the ones before, and lets 40 ms pass.
func (a *actor) send(key bool) {
	a.t.Helper()
	for _, track := range []*stream.Track{a.video, a.audio} {
		at := stream.Rescale(a.at, 1000, track.ClockRate)
		f := &stream.Frame{Track: track, DTS: at, PTS: at, Key: key || track == a.audio, Duration: int64(track.ClockRate / 25), Payload: []byte{1}}
		if err := a.Write(f); err != nil {
			a.t.Fatalf("%v", err)
		}
	}
	a.at += 40
	time.Sleep(40 * time.Millisecond)
	synctest.Wait()
}

// play sends for a time, with a key frame in the beginning.
func (a *actor) play(d time.Duration) {
	a.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		a.send(a.at%1000 == 0)
	}
}

// value is a metric's.
func (s *stage) value(name string, labels ...string) float64 {
	s.t.Helper()
	all, err := s.reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	total := 0.0
	for _, f := range all {
		for _, m := range f.Metric {
			has := func(l string) bool {
				return slices.ContainsFunc(m.Label, func(p *dto.LabelPair) bool { return p.GetValue() == l })
			}
			if f.GetName() == name && !slices.ContainsFunc(labels, func(l string) bool { return !has(l) }) {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return total
}

// TestStandby: who stands by is let in and waits; it goes on with the stream when the main publisher has been away for two seconds,
// from a key frame on, with sound from there, too; it gives way when that one is back, without losing its connection; and again.
func TestStandby(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		first := s.enter("main-secret")
		spare := s.enter("spare-secret")
		for range 2 {
			first.play(time.Second)
			n := len(s.took.since(0))
			spare.play(3 * time.Second)
			if got := s.took.since(n); len(got) != 0 {
				t.Fatalf("%d frames of who waits came through", len(got))
			}
			if s.value("pushcart_ingest_standbys") != 1 || s.value("pushcart_ingest_dropped_total", "standby") < 100 {
				t.Errorf("%v wait, %v frames dropped", s.value("pushcart_ingest_standbys"), s.value("pushcart_ingest_dropped_total", "standby"))
			}
			era := s.took.since(0)[n-1].Era
			first.Close(nil)
			gone := time.Now()
			for len(s.took.since(n)) == 0 {
				spare.send(spare.at%1000 == 0)
				if time.Since(gone) > 10*time.Second {
					t.Fatal("nobody goes on with the stream")
				}
			}
			// Two seconds, what lies between two looks, and the time to the next key frame.
			if took := time.Since(gone); took < stream.StandbyAfter || took > stream.StandbyAfter+standbyRetry+1100*time.Millisecond {
				t.Errorf("it goes on after %v", took)
			}
			spare.play(time.Second)
			got := s.took.since(n)
			if !got[0].Track.Video() || !got[0].Key || got[0].Era <= era || got[1].Track.Video() {
				t.Errorf("it begins with %+v and %+v", got[0], got[1])
			}
			if s.took.tracks != 2 || s.value("pushcart_ingest_standbys") != 0 {
				t.Errorf("%d tracks, %v wait", s.took.tracks, s.value("pushcart_ingest_standbys"))
			}
			first = s.enter("main-secret")
			spare.send(true)
			m := len(s.took.since(0))
			first.send(true)
			if got := s.took.since(m); len(got) != 2 || got[0].Era <= s.took.since(0)[m-1].Era {
				t.Errorf("the main publisher is back with %d frames", len(got))
			}
		}
		if s.value("pushcart_ingest_standby_takeovers_total") != 2 || s.value("pushcart_ingest_publishers", "rtmp") != 2 {
			t.Errorf("%v takeovers, %v sessions", s.value("pushcart_ingest_standby_takeovers_total"), s.value("pushcart_ingest_publishers", "rtmp"))
		}
		select {
		case r := <-spare.kicked:
			t.Errorf("who stands by was sent away: %v", r)
		default:
		}
		spare.Close(nil)
		spare.Close(nil)
		first.Close(nil)
		if s.value("pushcart_ingest_standbys") != 0 || s.value("pushcart_ingest_publishers", "rtmp") != 0 {
			t.Errorf("afterwards %v wait, %v sessions", s.value("pushcart_ingest_standbys"), s.value("pushcart_ingest_publishers", "rtmp"))
		}
	})
}

// TestStandbyReturnsInTime: a main publisher that is back within two seconds finds its stream as it left it.
func TestStandbyReturnsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		first, spare := s.enter("main-secret"), s.enter("spare-secret")
		first.play(time.Second)
		for range 3 {
			first.Close(errors.New("the network changed"))
			spare.play(1900 * time.Millisecond)
			first = s.enter("main-secret")
			first.play(time.Second)
		}
		if s.value("pushcart_ingest_standby_takeovers_total") != 0 {
			t.Error("the standby did not wait")
		}
		spare.Close(nil)
		first.Close(nil)
	})
}

// TestStandbyAlone: with nobody to stand by for it publishes at once, and gives way to the main publisher; of two that stand by the
// second waits for the first.
func TestStandbyAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		spare := s.enter("spare-secret")
		spare.send(true)
		if n := len(s.took.since(0)); n != 2 {
			t.Errorf("%d frames", n)
		}
		third := s.enter("third-secret")
		third.play(3 * time.Second)
		if n := len(s.took.since(0)); n != 2 {
			t.Errorf("%d frames: the second one does not wait", n)
		}
		spare.Close(nil)
		third.play(4 * time.Second)
		n := len(s.took.since(0))
		if n < 10 {
			t.Errorf("%d frames: the second one does not go on", n)
		}
		first := s.enter("main-secret")
		third.play(time.Second)
		if m := len(s.took.since(0)); m != n {
			t.Errorf("%d frames of who should have given way", m-n)
		}
		third.Close(nil)
		first.Close(nil)
	})
}

// TestStandbySameKey: a connection of the same standby key comes in the place of the one before, whether that waits or not.
func TestStandbySameKey(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			var first *actor
			if !live {
				first = s.enter("main-secret")
			}
			old := s.enter("spare-secret")
			next := s.enter("spare-secret")
			wantRefusal(t, <-old.kicked, ReasonTakenOver, "same stream key")
			old.Close(nil)
			if live {
				next.send(true)
				if n := len(s.took.since(0)); n != 2 {
					t.Errorf("%d frames", n)
				}
			}
			synctest.Wait()
			select {
			case r := <-next.kicked:
				t.Errorf("the newer one was sent away: %v", r)
			case r := <-old.kicked:
				t.Errorf("the older one was sent away twice: %v", r)
			default:
			}
			next.Close(nil)
			if first != nil {
				first.Close(nil)
			}
			if len(s.standbys.taken) != 0 {
				t.Errorf("%d seats are taken afterwards", len(s.standbys.taken))
			}
		})
	}
}

// TestStandbyHeldToTheRules: what would be refused when the stream is taken over is refused while there is time.
func TestStandbyHeldToTheRules(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		first, spare := s.enter("main-secret"), s.enter("spare-secret")
		wantRefusal(t, spare.SetTrack(&stream.Track{ID: 1, Codec: stream.VP8, ClockRate: 90000}), ReasonUnsupportedCodec, "VP8")
		var err error
		for i := range int64(500) {
			if err = spare.Write(&stream.Frame{Track: spare.video, DTS: i * 3600, PTS: i * 3600, Payload: []byte{1}}); err != nil {
				break
			}
		}
		wantRefusal(t, err, ReasonNoKeyframe, "10 seconds")
		if err := spare.Write(&stream.Frame{Track: spare.audio, Payload: bytes.Repeat([]byte{0}, mostAudio+1)}); err != nil || s.value("pushcart_ingest_dropped_total", "damaged") != 1 {
			t.Errorf("oversized sound: %v", err)
		}
		var reply stream.Reply
		if err := spare.WriteData(&stream.Data{Name: stream.DataCard, Reply: func(r stream.Reply) { reply = r }}); err != nil || !strings.Contains(reply.Refused, "stands by") {
			t.Errorf("a command: %v, %+v", err, reply)
		}
		spare.Drop(DropBeforeConfig)
		spare.Drop(DropLost)
		spare.Close(err)
		first.Close(nil)
	})
}

// TestStandbySound: a standby with video that sends no key frame goes on with sound alone after four seconds; one without video at
// once.
func TestStandbySound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		first, spare := s.enter("main-secret"), s.enter("spare-secret")
		spare.send(true)
		first.Close(nil)
		gone := time.Now()
		for len(s.took.since(0)) == 0 {
			spare.send(false)
		}
		if took := time.Since(gone); took < stream.StandbyAfter+standbySound || took > stream.StandbyAfter+standbyRetry+standbySound+time.Second || s.took.since(0)[0].Track.Video() {
			t.Errorf("after %v", took)
		}
		spare.Close(nil)
	})
}

// TestElsewhere: when another node takes the stream over, its publisher is told so, and who stands by waits again.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var here atomic.Bool
		here.Store(true)
		s := newStage(t, func(o *Options) {
			o.Claim = func(_ context.Context, _, _ string, standby bool) (func(), error) {
				if standby && !here.Load() {
					return nil, ErrStandby
				}
				return nil, nil
			}
		})
		spare := s.enter("spare-secret")
		spare.send(true)
		here.Store(false)
		s.hub.Yield("show")
		spare.play(3 * time.Second)
		if n := len(s.took.since(0)); n != 2 || s.value("pushcart_ingest_standbys") != 1 {
			t.Errorf("%d frames, %v wait", n, s.value("pushcart_ingest_standbys"))
		}
		here.Store(true)
		spare.play(3 * time.Second)
		if n := len(s.took.since(0)); n < 10 {
			t.Errorf("%d frames: it does not go on", n)
		}
		first := s.enter("main-secret")
		first.send(true)
		s.hub.Yield("show")
		wantRefusal(t, <-first.kicked, ReasonElsewhere, "Another node took this stream over: ")
		wantRefusal(t, first.Write(&stream.Frame{Track: first.video, DTS: 1 << 30, PTS: 1 << 30, Key: true}), ReasonElsewhere, "Another node took this stream over: ")
		select {
		case r := <-spare.kicked:
			t.Errorf("who stands by was sent away: %v", r)
		default:
		}
		spare.Close(nil)
		first.Close(nil)
	})
}

// TestPromoted: who waits tries when it is told, at once, and not all the time where it is told all the time.
func TestPromoted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		told := make(chan struct{})
		tries, grant := 0, false
		var asked []bool
		s := newStage(t, func(o *Options) {
			o.Claim = func(_ context.Context, name, credential string, standby bool) (func(), error) {
				mu.Lock()
				defer mu.Unlock()
				tries++
				asked = append(asked, name == "show" && len(credential) == 32 && standby)
				if !grant {
					return nil, ErrStandby
				}
				return nil, nil
			}
			o.Promoted = func(string) <-chan struct{} {
				mu.Lock()
				defer mu.Unlock()
				return told
			}
		})
		spare := s.enter("spare-secret")
		time.Sleep(10 * time.Second)
		mu.Lock()
		if tries < 5 || tries > 12 {
			t.Errorf("%d tries in ten seconds", tries)
		}
		close(told)
		tries = 0
		mu.Unlock()
		time.Sleep(time.Second)
		mu.Lock()
		if tries < 5 || tries > 12 {
			t.Errorf("%d tries in a second in which it was told all the time", tries)
		}
		told = make(chan struct{})
		mu.Unlock()
		time.Sleep(1200 * time.Millisecond)
		mu.Lock()
		grant = true
		close(told)
		mu.Unlock()
		begin := time.Now()
		for len(s.took.since(0)) == 0 {
			spare.send(true)
		}
		if took := time.Since(begin); took > 300*time.Millisecond {
			t.Errorf("it went on %v after it was told", took)
		}
		if slices.Contains(asked, false) {
			t.Error("a claim names another stream, no credential or no standby")
		}
		spare.Close(nil)
	})
}

// TestClaim: what the cluster says of a publisher is what it is told; a claim is given up where the publisher is not let in after all,
// and only there.
func TestClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		claims, released := 0, 0
		var during func(context.Context) error
		s := newStage(t, func(o *Options) {
			o.Claim = func(ctx context.Context, _, _ string, _ bool) (func(), error) {
				claims++
				if during != nil {
					if err := during(ctx); err != nil {
						return nil, err
					}
				}
				return func() { released++ }, nil
			}
		})
		during = func(context.Context) error { return RefuseTaken("show") }
		_, err := s.knock("main-secret")
		wantRefusal(t, err, ReasonNameTaken, "already live from another publisher")
		during = func(context.Context) error { return ErrStandby } // which is for those who stand by
		_, err = s.knock("main-secret")
		wantRefusal(t, err, ReasonCluster, "Try again in a moment.")
		during = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		begin := time.Now()
		_, err = s.knock("main-secret")
		wantRefusal(t, err, ReasonCluster, "Try again in a moment.")
		if took := time.Since(begin); took != claimTime {
			t.Errorf("a claim may take %v", took)
		}
		during = nil
		first := s.enter("main-secret")
		if claims != 4 || released != 0 {
			t.Errorf("%d claims, %d given up", claims, released)
		}
		spare := s.enter("spare-secret")
		if claims != 4 {
			t.Error("the stream is claimed for a standby while this node itself has its publisher")
		}
		spare.Close(nil)
		first.Close(nil)
		time.Sleep(time.Minute) // the show ends
		during = func(context.Context) error {
			go s.hub.Close()
			<-s.hub.Closing()
			return nil
		}
		_, err = s.knock("main-secret")
		wantRefusal(t, err, ReasonShutdown, "shutting down")
		if released != 1 {
			t.Errorf("%d given up", released)
		}
	})
}

// TestStandbyLeavesWhileItClaims: a claim that comes through when the publisher has gone is given up, and Close waits for it.
func TestStandbyLeavesWhileItClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		released, late := 0, false
		s := newStage(t, func(o *Options) {
			o.Claim = func(ctx context.Context, _, _ string, _ bool) (func(), error) {
				if !late {
					late = true
					return nil, ErrStandby
				}
				<-ctx.Done()
				return func() { released++ }, nil // it held in the same moment
			}
		})
		spare := s.enter("spare-secret")
		time.Sleep(2 * time.Second)
		spare.Close(nil)
		if released != 1 || s.hub.Get("show") != nil {
			t.Errorf("%d claims given up, stream %v", released, s.hub.Get("show"))
		}
	})
}

// TestStandbyStops: who waits is sent away when the node stops.
func TestStandbyStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		first, spare := s.enter("main-secret"), s.enter("spare-secret")
		s.hub.Close()
		wantRefusal(t, <-first.kicked, ReasonShutdown, "shutting down")
		wantRefusal(t, <-spare.kicked, ReasonShutdown, "shutting down")
		spare.Close(nil)
		first.Close(nil)
	})
}

// TestPulledElsewhere: two nodes that fetch the same source are two publishers, so that they do not take over from one another for
// ever.
func TestPulledElsewhere(t *testing.T) {
	t.Parallel()
	credential := func(node string) (got string) {
		b := newDoorBench(t, func(o *Options) {
			o.Node = node
			o.Claim = func(_ context.Context, _, credential string, _ bool) (func(), error) {
				got = credential
				return nil, nil
			}
		})
		p, err := b.Open(Request{Protocol: "rtsp", Remote: local, Stream: "camera", Pulled: true})
		if err != nil {
			t.Fatal(err)
		}
		p.Close(nil)
		return got
	}
	if a, b := credential("eu-1"), credential("eu-2"); a == b || a != credential("eu-1") {
		t.Errorf("%q and %q", a, b)
	}
}
