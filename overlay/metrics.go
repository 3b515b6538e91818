package overlay

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what desks do, over all of them.
type metrics struct {
	commands *prometheus.CounterVec // by source and outcome
	inBand   *prometheus.CounterVec // refusals, by reason
	syncs    prometheus.Histogram
	bytes    prometheus.Gauge
	shown    prometheus.Gauge
	open     prometheus.Gauge
	busy     prometheus.Counter
	late     prometheus.Counter
	damaged  prometheus.Counter
	failures prometheus.Counter
	imports  *prometheus.CounterVec // by outcome

	discarded prometheus.Counter
}

// Outcomes of importing another node's state.
const (
	importTaken   = "taken"
	importOlder   = "older"
	importRefused = "refused"
)

// Outcomes of commands besides the reasons of refusals.
const (
	outcomeDone      = "done"
	outcomeUnchanged = "unchanged"
	outcomeReplayed  = "replayed"
	outcomeScheduled = "scheduled"
	outcomeGone      = "gone" // the sender did not wait
)

// Reasons of in-band refusals besides those of commands.
const (
	inBandRate  = "rate"
	inBandQueue = "queue_full"
	inBandSize  = "oversized"
)

// sources are the values of the label; whatever else somebody may call itself is "other".
var sources = []string{"api", "rtmp", "sei", "datachannel", "id3", "scte35"}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_cards_commands_total", Help: "Commands to desks, by source and what became of them."}, []string{"source", "outcome"}),
		inBand: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_cards_in_band_refusals_total", Help: "Commands that came with the media and were not carried out, by reason."}, []string{"reason"}),
		syncs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pushcart_cards_journal_sync_seconds", Help: "Time to write a group of commands to a journal and flush it to the disk.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_cards_journal_bytes", Help: "Size of the journals that are open."}),
		shown: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_cards_shown", Help: "Slots that show a card, over the desks that are open."}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_cards_desks_open", Help: "Desks whose journal is open."}),
		busy: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_cards_busy_total", Help: "Commands refused because too many waited."}),
		late: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_cards_late_total", Help: "Commands given a time that had passed."}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_cards_journals_damaged_total", Help: "Journals found damaged, and set aside."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pushcart_cards_journal_failures_total", Help: "Writes of a journal that failed."}),
		imports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_cards_imports_total", Help: "States of cards that came from other nodes, by what became of them."}, []string{"outcome"}),
	}
	m.discarded = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_cards_journals_discarded_total", Help: "Journals removed because their shows ended long ago."})
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.discarded, m.commands, m.inBand, m.syncs, m.bytes, m.shown, m.open, m.busy, m.late, m.damaged, m.failures, m.imports} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// command counts what became of a command.
func (m *metrics) command(q *request, outcome string) {
	source := q.Source
	switch {
	case q.plan != nil:
		source = "schedule"
	case !slices.Contains(sources, source):
		source = "other"
	}
	m.commands.WithLabelValues(source, outcome).Inc()
}
