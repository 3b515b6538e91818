package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// seen is what a viewer who reloads the playlist all the time saw first when.
type seen struct {
	ranges map[string]time.Time
	parts  []time.Time
}

// follow reloads a rendition's playlist, waiting for each part, until stop is called.
func follow(t *testing.T, v *testkit.Viewer, rendition string) (stop func() seen) {
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan seen, 1)
	go func() {
		s := seen{ranges: map[string]time.Time{}}
		defer func() { result <- s }()
		url := v.Master[:len(v.Master)-len("index.m3u8")] + rendition + ".m3u8"
		ask := url
		for last := ""; ctx.Err() == nil; {
			status, _, body, err := testkit.Get(ctx, v.Client, ask)
			if err != nil || status != http.StatusOK {
				continue
			}
			now := time.Now()
			l := testkit.ParsePlaylist(string(body))
			msn, part := l.Next()
			ask = fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", url, msn, part)
			if ask != last {
				s.parts = append(s.parts, now)
			}
			last = ask
			for _, r := range rangesOf(l) {
				if _, ok := s.ranges[r.id]; !ok {
					s.ranges[r.id] = now
				}
			}
		}
	}()
	return func() seen { cancel(); return <-result }
}

// quantile of sorted or unsorted durations.
func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// TestCardsReachThePlaylist measures from the acknowledgement to the presence in the playlist, which is promised within a
// part and 50 ms. The figure is printed; the test fails only where it is off by far more than a busy machine can explain.
func TestCardsReachThePlaylist(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, withCards(t))
	h := newHost(t, n.HTTP())
	h.products(2)
	p := testkit.Publish(t, n.RTMP(), "show?key="+publishKey)
	p.Live(testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), Speed: 1})
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	target := reached(v, "video", 1200*time.Millisecond).PartTarget
	stop := follow(t, v, "video")

	type change struct {
		id string
		at time.Time
	}
	var changes []change
	for i := range 30 {
		r := h.show("main", fmt.Sprint("c", i%2), time.Time{})
		changes = append(changes, change{fmt.Sprintf("main-%d-%d", r.Epoch, r.Seq), time.Now()})
		<-time.After(310 * time.Millisecond) // longer than a part, and such that all places within one have their turn
	}
	last := changes[len(changes)-1].id
	v.Until("video", "the last change", func(l *testkit.Playlist) bool {
		return slices.ContainsFunc(rangesOf(l), func(r cardRange) bool { return r.id == last })
	})
	s := stop()
	var took []time.Duration
	for _, c := range changes {
		// One that was replaced within a part, because the machine stood still, is in no playlist.
		if at, ok := s.ranges[c.id]; ok {
			took = append(took, max(0, at.Sub(c.at)))
		}
	}
	if len(took) < 20 {
		t.Fatalf("%d of %d changes are in the playlist", len(took), len(changes))
	}
	t.Logf("from acknowledgement to presence in the playlist, %d changes: p50 %v, p95 %v, max %v; promised: %v + 50ms",
		len(took), quantile(took, 0.5), quantile(took, 0.95), quantile(took, 1), target)
	if worst := quantile(took, 1); worst > target+2*time.Second {
		t.Errorf("a change took %v", worst)
	}
}

// TestFiftyChangesASecond changes cards fifty times a second for ten seconds: each state is in the media, and the media go
// on as if nothing were.
func TestFiftyChangesASecond(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, withCards(t))
	h := newHost(t, n.HTTP())
	h.products(3)
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, n.RTMP(), "show?key="+publishKey)
	stopPublisher := p.Live(testkit.Script{Video: video, Audio: audio, Speed: 1})
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	reached(v, "video", 1200*time.Millisecond)
	stop := follow(t, v, "video")

	const total = 500
	acked := make(map[int64]bool)
	var mu sync.Mutex // guards acked
	var all sync.WaitGroup
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	begun := time.Now()
	for i := range total {
		<-tick.C
		all.Go(func() {
			a, err := h.ask(http.MethodPut, "/slots/main", map[string]any{"card": fmt.Sprint("c", i%3)})
			r, ok := granted(a, err)
			if !ok {
				t.Errorf("change %d: status %d, %v: %s", i, a.status, err, a.body)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			acked[r.Seq] = true
		})
	}
	all.Wait()
	took := time.Since(begun)
	last := slices.Max(keysOf(acked))
	v.Until("video", "two more parts", func() func(*testkit.Playlist) bool {
		parts := 0
		return func(*testkit.Playlist) bool { parts++; return parts > 3 }
	}())
	s := stop()
	stopPublisher()
	sent := p.Sent()
	p.Leave()

	l := v.Until("video", "all that was sent", func(l *testkit.Playlist) bool { return lengthOf(l) >= sent[len(sent)-1].DTS-200*time.Millisecond })
	m := readCards(t, v, "video", l)
	there := map[int64]bool{}
	for _, e := range m.events {
		there[e.state.Seq] = true
	}
	lost := 0
	for seq := range acked {
		if !there[seq] {
			lost++
		}
	}
	// Showing a card that is shown changes nothing; commands that overtook each other may ask for that.
	if lost > 0 || len(acked) < total/2 {
		t.Errorf("%d states acknowledged, up to %d; %d of them are not in the media", len(acked), last, lost)
	}
	judgeMessages(t, m)
	if video, audio := rangesOf(l), rangesOf(v.Playlist("audio")); len(video) == 0 || !slices.Equal(video, audio) {
		t.Errorf("the date ranges of video are\n%v\nthose of audio\n%v", video, audio)
	}
	allArrived(t, v, "video", true, sent, nil)
	for _, g := range l.Segments {
		if g.Gap || g.Discontinuity {
			t.Errorf("segment %d: gap %v, discontinuity %v", g.MSN, g.Gap, g.Discontinuity)
		}
	}
	var waits []time.Duration
	for i := 1; i < len(s.parts); i++ {
		waits = append(waits, s.parts[i].Sub(s.parts[i-1]))
	}
	t.Logf("%d changes in %v, %d states, %d lost; between two parts p50 %v, p95 %v, max %v; the playlist has %d KB",
		total, took.Round(time.Millisecond), len(acked), lost, quantile(waits, 0.5), quantile(waits, 0.95), quantile(waits, 1), len(l.Text)/1000)
	if worst := quantile(waits, 1); worst > 3*time.Second {
		t.Errorf("media stood still for %v", worst)
	}
}

func keysOf(m map[int64]bool) (all []int64) {
	for k := range m {
		all = append(all, k)
	}
	return all
}
