package load

import (
	"testing"
	"time"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestPlayback(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	type event struct {
		track    int
		at, have time.Duration // have < 0: the rendition ends
	}
	steady := func(from, to, ahead time.Duration) (all []event) {
		for at := from; at <= to; at += 200 * ms {
			all = append(all, event{0, at, at + ahead})
		}
		return all
	}
	for name, c := range map[string]struct {
		tracks int
		events []event
		at     time.Duration
		want   Watched
	}{
		"nothing comes": {tracks: 1, at: 5000 * ms, want: Watched{}},
		"too little to begin": {
			tracks: 1, events: []event{{0, 100 * ms, 400 * ms}}, at: 5000 * ms, want: Watched{},
		},
		"begins with enough, plays it, and stalls": {
			tracks: 1, events: []event{{0, 100 * ms, 600 * ms}}, at: 1000 * ms,
			want: Watched{Begun: true, Start: 100 * ms, Stalls: 1, Stalled: 300 * ms, Played: 600 * ms},
		},
		"steady": {
			tracks: 1, events: steady(0, 4000*ms, 600*ms), at: 4100 * ms,
			want: Watched{Begun: true, Played: 4100 * ms},
		},
		"late by less than the buffer": {
			tracks: 1, events: []event{{0, 0, 600 * ms}, {0, 590 * ms, 1200 * ms}}, at: 1000 * ms,
			want: Watched{Begun: true, Played: 1000 * ms},
		},
		"late by just as much": {
			tracks: 1, events: []event{{0, 0, 600 * ms}, {0, 600 * ms, 1200 * ms}}, at: 600 * ms,
			want: Watched{Begun: true, Played: 600 * ms},
		},
		"late by more, and resumes only with enough": {
			tracks: 1, events: []event{{0, 0, 600 * ms}, {0, 700 * ms, 700 * ms}, {0, 900 * ms, 800 * ms}}, at: 1000 * ms,
			want: Watched{Begun: true, Stalls: 1, Stalled: 300 * ms, Played: 700 * ms},
		},
		"two stalls": {
			tracks: 1, events: []event{{0, 0, 600 * ms}, {0, 700 * ms, 900 * ms}, {0, 1100 * ms, 2000 * ms}}, at: 1200 * ms,
			want: Watched{Begun: true, Stalls: 2, Stalled: 200 * ms, Played: 1000 * ms},
		},
		"the picture waits for the sound": {
			tracks: 2, events: []event{{0, 0, 5000 * ms}, {1, 300 * ms, 600 * ms}}, at: 1000 * ms,
			want: Watched{Begun: true, Start: 300 * ms, Stalls: 1, Stalled: 100 * ms, Played: 600 * ms},
		},
		"the end of one rendition leaves the other": {
			tracks: 2, events: []event{{0, 0, 600 * ms}, {1, 0, 600 * ms}, {1, 100 * ms, -1}, {0, 500 * ms, 1000 * ms}}, at: 1500 * ms,
			want: Watched{Begun: true, Stalls: 1, Stalled: 500 * ms, Played: 1000 * ms},
		},
		"after the end there is no stall": {
			tracks: 1, events: []event{{0, 0, 600 * ms}, {0, 300 * ms, -1}}, at: 9000 * ms,
			want: Watched{Begun: true, Played: 300 * ms},
		},
		"a stall ends with the stream": {
			tracks: 1, events: []event{{0, 0, 600 * ms}, {0, 800 * ms, -1}}, at: 9000 * ms,
			want: Watched{Begun: true, Stalls: 1, Stalled: 200 * ms, Played: 600 * ms},
		},
		"times that go back count as the latest": {
			tracks: 1, events: []event{{0, 500 * ms, 600 * ms}, {0, 200 * ms, 900 * ms}}, at: 600 * ms,
			want: Watched{Begun: true, Start: 500 * ms, Played: 100 * ms},
		},
		"what a viewer has does not become less": {
			tracks: 1, events: []event{{0, 0, 900 * ms}, {0, 100 * ms, 300 * ms}}, at: 800 * ms,
			want: Watched{Begun: true, Played: 800 * ms},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := NewPlayback(c.tracks, 600*ms, 200*ms)
			for _, e := range c.events {
				if e.have < 0 {
					p.End(e.track, e.at)
				} else {
					p.Arrive(e.track, e.at, e.have)
				}
			}
			if got := p.At(c.at); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if got := p.At(c.at); got != c.want {
				t.Errorf("asked again: %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	h.add(-time.Second)
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(q); got < want*98/100 || got > want*102/100 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	for d := time.Duration(1); d < 2*time.Hour; d = d*3/2 + 1 {
		got := valueOf(bucketOf(d))
		if diff := max(got-d, d-got); d < time.Hour && diff > max(d/60, 16) {
			t.Errorf("%v is counted as %v", d, got)
		}
	}
}
