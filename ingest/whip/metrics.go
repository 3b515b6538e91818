package whip

import (
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// result labels how a session, or the attempt at one, went.
type result string

const (
	resultPublished      result = "published"        // media came, however it ended
	resultBadRequest     result = "bad_request"      // not a request that this server takes
	resultUnsupported    result = "unsupported"      // an offer of nothing that can be delivered
	resultRefused        result = "refused"          // by the door
	resultTooMany        result = "too_many"         // MaxSessions
	resultTooManyAddress result = "too_many_address" // MaxSessionsPerAddress
	resultConnectTimeout result = "connect_timeout"  // no ICE and DTLS within ConnectTimeout
	resultMediaTimeout   result = "media_timeout"    // connected, but no media within MediaTimeout
	resultLeft           result = "left"             // it went before media came
	resultShutdown       result = "shutdown"         // the server ended before media came
	resultFault          result = "fault"            // a fault of the server's own
)

var results = []result{resultPublished, resultBadRequest, resultUnsupported, resultRefused, resultTooMany,
	resultTooManyAddress, resultConnectTimeout, resultMediaTimeout, resultLeft, resultShutdown, resultFault}

// fate labels what became of a packet.
type fate string

const (
	fateReceived  fate = "received"  // all of them
	fateLost      fate = "lost"      // never came, or not in time
	fateRecovered fate = "recovered" // came after it had been asked for again
	fateReordered fate = "reordered" // came behind a later one, without having been asked for
	fateLate      fate = "late"      // came after it had been given up, or twice
	fateInvalid   fate = "invalid"   // not what was negotiated
)

var fates = []fate{fateReceived, fateLost, fateRecovered, fateReordered, fateLate, fateInvalid}

// keyReason labels why a key frame was asked for.
type keyReason string

const (
	keyStart    keyReason = "start"    // none has come yet
	keyInterval keyReason = "interval" // segments need one
	keyLoss     keyReason = "loss"     // something was lost or damaged
)

var keyReasons = []keyReason{keyStart, keyInterval, keyLoss}

// metrics holds every counter by its label, so that counting looks nothing up but a small map.
type metrics struct {
	sessions prometheus.Gauge
	bytes    prometheus.Counter
	waits    prometheus.Histogram
	nacks    prometheus.Counter
	restarts prometheus.Counter
	results  map[result]prometheus.Counter
	packets  map[fate]prometheus.Counter
	keys     map[keyReason]prometheus.Counter
	refusals ingest.Refusals
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	r := &ingest.Registrar{Registerer: reg}
	sessions := ingest.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pushcart_whip_open_sessions", Help: "WHIP sessions that are open, publishing or not."}))
	bytes := ingest.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_whip_bytes_received_total", Help: "Bytes of RTP received over WHIP."}))
	waits := ingest.Register(r, prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "pushcart_whip_jitter_wait_seconds", Help: "How long packets waited for one that was missing.",
		Buckets: []float64{.005, .01, .02, .05, .1, .15, .2, .3, .5}}))
	nacks := ingest.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_whip_nacks_total", Help: "Packets that were asked for again, counted each time."}))
	restarts := ingest.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_whip_ice_restarts_total", Help: "ICE restarts that publishers asked for and got."}))
	byResult := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_whip_sessions_total", Help: "WHIP sessions and attempts at one that have ended, by how they went."}, []string{"result"}))
	byFate := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_whip_packets_total", Help: "RTP packets by what became of them; received counts all that came."}, []string{"fate"}))
	byKey := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_whip_keyframe_requests_total", Help: "Picture loss indications sent, by why."}, []string{"reason"}))
	byReason := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_whip_refusals_total", Help: "WHIP publishers refused or sent away, by reason."}, []string{"reason"}))
	if r.Err != nil {
		return nil, r.Err
	}
	m := &metrics{
		sessions: sessions,
		bytes:    bytes,
		waits:    waits,
		nacks:    nacks,
		restarts: restarts,
		results:  ingest.Labelled(byResult, results),
		packets:  ingest.Labelled(byFate, fates),
		keys:     ingest.Labelled(byKey, keyReasons),
		refusals: ingest.NewRefusals(byReason),
	}
	return m, nil
}
