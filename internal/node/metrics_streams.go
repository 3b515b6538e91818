package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/stream"
	"pushcart/packager/hls"
	"pushcart/packager/window"
)

// streamMetrics tells of each stream by itself. It is asked for each scrape and keeps nothing: there are as many series as there are
// streams (publish.max_streams, relay.max_copies), and those of a stream go with it.
type streamMetrics struct {
	hub   *stream.Hub
	shows *hls.Registry
	now   func() time.Time
}

func streamDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pushcart_stream_"+name, help, append([]string{"stream"}, labels...), nil)
}

var (
	descStreams   = prometheus.NewDesc("pushcart_streams", "Streams, by state: live, or waiting for their publisher to return.", []string{"state"}, nil)
	descUp        = streamDesc("live", "1 while the stream's publisher is there, 0 while the stream waits for it. Streams of this node only.")
	descAway      = streamDesc("away_seconds", "How long the stream has waited for its publisher; 0 while that is there.")
	descReconnect = streamDesc("reconnects_total", "Times that the stream's publisher came back.")
	descBytes     = streamDesc("received_bytes_per_second", "What the publisher sends, by kind of track, over the last seconds.", "kind")
	descFrames    = streamDesc("frames_per_second", "Pictures a second of the stream's first video track.")
	descKeys      = streamDesc("keyframe_interval_seconds", "Time between the last two key frames of the stream's first video track; 0 before the second.")
	descAdvice    = streamDesc("advice", "How many things the node would have the stream's host change. The studio and the API say which.")
	descClock     = streamDesc("clock_offset_seconds", "How far the publisher's clock is ahead of this node's, where it is too wrong to be used; else 0.")
	descDropped   = streamDesc("dropped_total", "Access units of the stream that were thrown away before packaging, by reason.", "reason")
	descViewers   = streamDesc("viewers", "Viewers that asked this node for a playlist of the stream within ten seconds, about. Those behind a CDN count as one.")
	descOrigin    = streamDesc("origin", "1 where this node makes the stream's media, 0 where it copies them.")
	descPartAge   = streamDesc("part_age_seconds", "How old the newest part of the stream's first rendition is. It grows while the live edge stands still.")
	descGaps      = streamDesc("window_gap_parts", "Parts of the stream's renditions, as far as they are kept, that are gaps.")
	descWindow    = streamDesc("window_bytes", "Media of the stream that are kept in memory.")
)

// Describe implements prometheus.Collector.
func (m *streamMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descStreams, descUp, descAway, descReconnect, descBytes, descFrames, descKeys, descAdvice,
		descClock, descDropped, descViewers, descOrigin, descPartAge, descGaps, descWindow} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *streamMetrics) Collect(to chan<- prometheus.Metric) {
	now := m.now()
	states := map[stream.State]int{}
	for _, s := range m.hub.List() {
		in := s.Info()
		states[in.State]++
		published(to, &in, now)
	}
	for _, state := range []stream.State{stream.Live, stream.Waiting} {
		to <- prometheus.MustNewConstMetric(descStreams, prometheus.GaugeValue, float64(states[state]), string(state))
	}
	for _, p := range m.shows.All() {
		m.shown(to, p, now)
	}
}

// published tells of what a publisher of this node sends.
func published(to chan<- prometheus.Metric, in *stream.Info, now time.Time) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{in.Name}, labels...)...)
	}
	live, away := 1.0, 0.0
	if in.State != stream.Live {
		live, away = 0, max(0, now.Sub(in.Since).Seconds())
	}
	gauge(descUp, live)
	gauge(descAway, away)
	gauge(descAdvice, float64(len(in.Advice(now))))
	gauge(descClock, in.ClockOff.Seconds())
	to <- prometheus.MustNewConstMetric(descReconnect, prometheus.CounterValue, float64(in.Reconnects), in.Name)
	for reason, n := range in.Drops {
		to <- prometheus.MustNewConstMetric(descDropped, prometheus.CounterValue, float64(n), in.Name, reason)
	}
	var video, audio float64
	first := true
	for i := range in.Tracks {
		t := &in.Tracks[i]
		switch {
		case !t.Track.Video():
			audio += t.Bitrate / 8
		case t.Track.Rung == "":
			video += t.Bitrate / 8
			if first {
				first = false
				gauge(descFrames, t.FrameRate)
				gauge(descKeys, t.KeyframeInterval.Seconds())
			}
		}
	}
	gauge(descBytes, video, "video")
	gauge(descBytes, audio, "audio")
}

// shown tells of what viewers of this node get.
func (m *streamMetrics) shown(to chan<- prometheus.Metric, p *window.Presentation, now time.Time) {
	v := p.Load()
	if v.Ended {
		return
	}
	gauge := func(d *prometheus.Desc, n float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, p.Stream)
	}
	gauge(descViewers, float64(m.shows.Viewers(p.Stream, now)))
	origin := 1.0
	if p.Copied() {
		origin = 0
	}
	gauge(descOrigin, origin)
	bytes, gaps := 0, 0
	for i, r := range v.Renditions {
		s := r.Load()
		if i == 0 && len(s.Segments) > 0 {
			gauge(descPartAge, max(0, now.Sub(s.At).Seconds()))
		}
		bytes += s.Bytes()
		for _, g := range s.Segments {
			for k := range g.Parts {
				if g.Parts[k].Gap {
					gaps++
				}
			}
		}
	}
	gauge(descGaps, float64(gaps))
	gauge(descWindow, float64(bytes))
}
