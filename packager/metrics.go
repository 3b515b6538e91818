package packager

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what packagers make.
type Metrics struct {
	videoParts, audioParts, segments, bytes, gaps prometheus.Counter
	discontinuities, silence, held                prometheus.Counter
	cues, late, superseded                        prometheus.Counter
	drops                                         *prometheus.CounterVec
	lag, delay, cardDelay                         prometheus.Histogram
	queued                                        prometheus.Gauge
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	parts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_packager_parts_total", Help: "Partial segments published, by kind of rendition."}, []string{"kind"})
	drops := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_packager_dropped_frames_total", Help: "Frames that could not be packaged, by reason."}, []string{"reason"})
	lag := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "pushcart_packager_rung_lag_seconds",
		Help:    "How much later than the leading rendition's the parts of the ladder's rungs come, once they have caught up, in media time.",
		Buckets: []float64{0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.4, 4, 8}})
	delay := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "pushcart_packager_part_delay_seconds",
		Help:    "Time from the arrival of a part's last frame to the part's publication: what packaging adds to the latency. Renditions that the node makes are not in it.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}})
	cardDelay := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "pushcart_packager_card_delay_seconds",
		Help:    "Time from the acknowledgement of a state of the cards, with a publisher there and no time asked for, to the publication of the part that tells of it.",
		Buckets: []float64{.005, .01, .025, .05, .1, .2, .3, .4, .5, .75, 1, 2, 5, 10}})
	queued := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pushcart_packager_queued_frames", Help: "Frames that wait for the leading rendition, over all streams."})
	reg.MustRegister(parts, drops, lag, delay, cardDelay, queued)
	return &Metrics{
		lag: lag, delay: delay, cardDelay: cardDelay, queued: queued,
		videoParts: parts.WithLabelValues("video"), audioParts: parts.WithLabelValues("audio"), drops: drops,
		segments:        counter("pushcart_packager_segments_total", "Segments begun, over all renditions."),
		bytes:           counter("pushcart_packager_bytes_total", "Bytes of media published."),
		gaps:            counter("pushcart_packager_gap_parts_total", "Partial segments published as gaps, because no media came for their time."),
		silence:         counter("pushcart_packager_silent_frames_total", "Audio frames of silence published, because no audio came while video did."),
		held:            counter("pushcart_packager_held_frames_total", "Video frames published that repeat the last key frame, because no video came while audio did."),
		cues:            counter("pushcart_packager_card_states_total", "States of the cards that were bound to a frame."),
		late:            counter("pushcart_packager_card_states_late_total", "States of the cards that came too late for the frame they were meant for, and were bound to the next one."),
		superseded:      counter("pushcart_packager_card_states_superseded_total", "States of the cards that were not sent, because many more began with the same frame."),
		discontinuities: counter("pushcart_packager_discontinuities_total", "Discontinuities: publishers that came back, clocks that jumped, codec data that changed."),
	}
}

func (m *Metrics) part(video bool, size int, segment bool) {
	if video {
		m.videoParts.Inc()
	} else {
		m.audioParts.Inc()
	}
	if segment {
		m.segments.Inc()
	}
	m.bytes.Add(float64(size))
}

// Reasons for which the packager drops frames.
const (
	dropBeforeKey    = "before_keyframe"
	dropBeforeStart  = "before_start"
	dropLate         = "late"
	dropOldEra       = "old_era"
	dropQueueFull    = "queue_full"
	dropTrackChange  = "track_change"
	dropUnpackagable = "unpackagable"
	dropElsewhere    = "elsewhere"        // another node has become the stream's origin
	dropImplausible  = "implausible_time" // of a rung: not that of a frame that it can have been made from
)

func (m *Metrics) drop(reason string) { m.drops.WithLabelValues(reason).Inc() }
