package ladder

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the room does.
type metrics struct {
	children, transcodes    prometheus.Gauge
	wanted, running, off    prometheus.Gauge
	budget, used, idle      prometheus.Gauge
	slowest, fps            prometheus.Gauge
	starts                  *prometheus.CounterVec
	restarts, drops         *prometheus.CounterVec
	engineFailures          *prometheus.CounterVec
	engineInfo              *prometheus.GaugeVec
	fed, posters, unaligned prometheus.Counter
	frames                  *prometheus.CounterVec
	lag                     *prometheus.HistogramVec
	cpu                     *prometheus.CounterVec
}

// Reasons for which frames are dropped. Those of the first group go to no child, those of the second come back and are not
// passed on.
const (
	dropFull      = "queue_full"
	dropBeforeKey = "before_keyframe"
	dropOld       = "old_track"

	dropUnknown = "unknown_time"
	dropPriming = "priming"
	dropOrder   = "out_of_order"
	dropEmpty   = "no_picture"
	// what refers to a picture that was dropped
	dropReference = "broken_reference"
)

// Reasons for which children end before their time, and are replaced.
const (
	whyExit    = "exit"    // it ended by itself, or was killed
	whyStuck   = "stuck"   // nothing came back
	whyGarbage = "garbage" // what came back cannot be read
	whyStart   = "start"   // it could not be started
)

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "pushcart_ladder_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "pushcart_ladder_" + name, Help: help})
	}
	by := func(label, name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pushcart_ladder_" + name, Help: help}, []string{label})
	}
	x := &metrics{
		children:       gauge("children", "ffmpeg processes that run."),
		transcodes:     gauge("transcodes", "ffmpeg processes that encode pictures."),
		wanted:         gauge("rungs_wanted", "Renditions that the streams' ladders ask for."),
		running:        gauge("rungs_running", "Renditions that are made."),
		off:            gauge("rungs_taken_off", "Renditions that are not made because the host has no room for them."),
		budget:         gauge("budget_cores", "Processors that ffmpeg processes may take; 0 is without a limit."),
		used:           gauge("used_cores", "Processors that ffmpeg processes take, by measurement, or estimated while they are new."),
		idle:           gauge("idle_cores", "Processors that the host leaves unused; -1 where that is not known."),
		slowest:        gauge("slowest_speed", "Media time per real time of the slowest ffmpeg process that encodes pictures: 1 keeps up. 0 while none runs."),
		fps:            gauge("frames_per_second", "Pictures a second that ffmpeg processes report, all together."),
		starts:         by("kind", "starts_total", "ffmpeg processes that were started, by what they work on."),
		restarts:       by("reason", "restarts_total", "ffmpeg processes that failed and were replaced, by reason."),
		drops:          by("reason", "dropped_frames_total", "Frames that went to no child, or came back and were not passed on, by reason."),
		engineFailures: by("backend", "engine_failures_total", "Children that failed on an engine, by back-end."),
		engineInfo: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pushcart_ladder_engine_works", Help: "Whether an engine that was tried works: 1 when it does."}, []string{"backend"}),
		fed:       counter("fed_frames_total", "Frames that went to ffmpeg."),
		posters:   counter("posters_total", "Posters that were made."),
		unaligned: counter("unaligned_keyframes_total", "Key frames that encoders made where the source has none."),
		frames:    by("kind", "frames_total", "Frames that came back and were passed on, by kind."),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pushcart_ladder_lag_seconds", Help: "Time from a frame's arrival to the return of its rendition, by kind.",
			Buckets: []float64{0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 10},
		}, []string{"kind"}),
		cpu: by("kind", "cpu_seconds_total", "Time of processors that ffmpeg processes took, by what they work on."),
	}
	for _, kind := range []string{"picture", "sound"} {
		x.starts.WithLabelValues(kind)
		x.frames.WithLabelValues(kind)
		x.cpu.WithLabelValues(kind)
	}
	if reg != nil {
		reg.MustRegister(x.children, x.transcodes, x.wanted, x.running, x.off, x.budget, x.used, x.idle, x.slowest, x.fps, x.starts, x.restarts, x.drops,
			x.engineFailures, x.engineInfo, x.fed, x.posters, x.unaligned, x.frames, x.lag, x.cpu)
	}
	return x
}

func (x *metrics) drop(reason string) { x.drops.WithLabelValues(reason).Inc() }

func (x *metrics) engine(backend string, works bool) {
	x.engineInfo.WithLabelValues(backend).Set(float64(rank(works)))
}

// look brings the gauges up to date.
func (x *metrics) look(in *NodeInfo) {
	x.children.Set(float64(in.Children))
	x.transcodes.Set(float64(in.Transcodes))
	x.wanted.Set(float64(in.Wanted))
	x.running.Set(float64(in.Running))
	x.off.Set(float64(in.Off))
	x.budget.Set(in.Budget)
	x.used.Set(in.Used)
	x.idle.Set(in.Idle)
	x.slowest.Set(in.Slowest)
	x.fps.Set(in.FPS)
}

// kindOf is a label.
func kindOf(picture bool) string {
	if picture {
		return "picture"
	}
	return "sound"
}

// meter is a rate over the last whole seconds. The zero value is ready.
type meter struct {
	begun   time.Time
	buckets [meterSeconds + 1]struct {
		second int64
		n      uint64
	}
}

// meterSeconds is over how many whole seconds rates are averaged.
const meterSeconds = 5

func (m *meter) add(now time.Time, n int) {
	if m.begun.IsZero() || now.Before(m.begun) { // the clock was put back
		*m = meter{begun: now}
	}
	sec := now.Unix()
	b := &m.buckets[sec%int64(len(m.buckets))]
	if b.second != sec {
		b.second, b.n = sec, 0
	}
	b.n += uint64(n)
}

// rate is a second's share of what was added in the whole seconds before now; 0 when that cannot be said yet.
func (m *meter) rate(now time.Time) float64 {
	sec, sum := now.Unix(), uint64(0)
	for _, b := range m.buckets {
		if b.second < sec && b.second >= sec-meterSeconds {
			sum += b.n
		}
	}
	span := min(meterSeconds, float64(sec)-float64(m.begun.UnixMilli())/1000)
	if m.begun.IsZero() || span < 0.5 {
		return 0
	}
	return float64(sum) / span
}
