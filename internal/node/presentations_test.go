package node

import (
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/config"
	"pushcart/internal/stream"
	"pushcart/packager"
	"pushcart/packager/hls"
)

// stage is what a node makes presentations with, and a hub of its own.
type stage struct {
	*presentations
	hub    *stream.Hub
	latest *lingering
}

func newStage(cfg *config.Config) *stage {
	p := &stage{presentations: &presentations{
		registry: hls.NewRegistry(), metrics: packager.NewMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler), now: time.Now,
		settings: func() *config.Config { return cfg },
		lastMSN:  map[string]func() int64{}, timers: map[*time.Timer]struct{}{},
	}}
	p.hub = stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Duration(cfg.Publish.ReconnectWindow) },
		Attach: func(s *stream.Stream) []stream.Consumer {
			consumers := p.attach(s)
			p.latest = consumers[0].(*lingering)
			return consumers
		},
	})
	return p
}

// broadcast publishes audio of so many seconds and leaves.
func broadcast(t *testing.T, h *stream.Hub, seconds int) {
	t.Helper()
	s, err := h.Publish("show", stream.Publisher{Credential: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	track := &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000, Config: []byte{0x11, 0x90}, CodecString: "mp4a.40.2", Channels: 2, FrameSamples: 1024}
	if err := s.SetTrack(track); err != nil {
		t.Fatal(err)
	}
	era, from := s.Start()
	dts := stream.Rescale(from, 90000, 48000)
	for range seconds * 48000 / 1024 {
		if err := s.Write(&stream.Frame{Track: track, Era: era, DTS: dts, PTS: dts, Duration: 1024, Key: true, Wall: time.Now(), Payload: []byte{1, 2}}); err != nil {
			t.Fatal(err)
		}
		dts += 1024
	}
	s.Close()
}

// TestShowsFollowOneAnother: numbers go on from one show of a name to the next even when the first had more segments than
// the clock has numbers for, and what it left is forgotten after a while.
func TestShowsFollowOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config.Default()
		p := newStage(cfg)
		next, gen := int64(0), int64(0)
		for range 3 {
			broadcast(t, p.hub, 600) // at once: ten minutes of media in no time
			view := p.latest.Presentation()
			r := view.Load().Rendition("audio").Load()
			if r.Segments[0].MSN < next || view.Settings.FirstMSN < next || view.Settings.Gen <= gen {
				t.Errorf("a show begins at %d, generation %d; the one before ended at %d, generation %d",
					view.Settings.FirstMSN, view.Settings.Gen, next, gen)
			}
			next, gen = r.NextMSN, view.Settings.Gen
			time.Sleep(time.Duration(cfg.Publish.ReconnectWindow) + time.Second)
			synctest.Wait()
			if !view.Load().Ended || p.hub.Get("show") != nil {
				t.Error("the show has not ended with its reconnect window")
			}
		}
		if p.registry.Bytes() == 0 {
			t.Error("an ended show is gone at once")
		}
		time.Sleep(time.Duration(cfg.HLS.DVR) + 4*time.Duration(cfg.HLS.MaxSegmentDuration))
		synctest.Wait()
		if n := p.registry.Bytes(); n != 0 || len(p.timers) != 0 {
			t.Errorf("%d bytes and %d timers are left", n, len(p.timers))
		}
		p.hub.Close()
		p.close()
	})
}

// TestShowsEndWithTheNode: nothing is left to run once the node stops.
func TestShowsEndWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newStage(config.Default())
		broadcast(t, p.hub, 3)
		p.hub.Close()
		if !p.latest.Presentation().Load().Ended {
			t.Error("the show has not ended")
		}
		p.close()
	})
}

// TestNumbersNeverGoBack: neither later nor with longer segments.
func TestNumbersNeverGoBack(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	last := int64(0)
	for _, segment := range []time.Duration{2 * time.Second, 4 * time.Second, 6 * time.Second, 30 * time.Second, time.Second, 500 * time.Millisecond} {
		first := firstMSN(now, segment)
		if first < last {
			t.Errorf("segments of %v begin at %d, behind %d", segment, first, last)
		}
		if perSegment := firstMSN(now.Add(time.Hour), segment) - first; perSegment < int64(2*time.Hour/segment)-1 {
			t.Errorf("%d numbers for an hour of segments of %v", perSegment, segment)
		}
		last = first
		now = now.Add(time.Second)
	}
}

// TestPresentationYielded: what another node has taken over stays for whoever follows it there, without an end, and the packager, which
// has all that it worked on, is let go of.
func TestPresentationYielded(t *testing.T) {
	t.Parallel()
	p := newStage(config.Default())
	broadcast(t, p.hub, 5)
	k := weak.Make(p.latest.Packager)
	next := p.latest.NextMSN()
	p.latest = nil
	p.hub.Yield("show")
	if v := p.registry.Get("show"); v == nil || v.Load().Ended || !v.Copied() {
		t.Errorf("viewers have %v", v)
	}
	p.mu.Lock()
	if last := p.lastMSN["show"]; last == nil || last() != next || len(p.timers) != 0 {
		t.Errorf("the next show does not number on from %d, or %d timers run", next, len(p.timers))
	}
	p.mu.Unlock()
	for deadline := time.Now().Add(5 * time.Second); k.Value() != nil; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("the packager is still there")
		}
	}
	runtime.KeepAlive(p)
}
