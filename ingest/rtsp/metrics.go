package rtsp

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// result labels how a connection went.
type result string

const (
	resultPublished      result = "published"        // it published, however it ended
	resultRefused        result = "refused"          // a refusal before anything was published
	resultNoPublish      result = "no_publish"       // it left without trying
	resultBadHandshake   result = "bad_handshake"    // its TLS handshake failed
	resultProtocol       result = "protocol_error"   // it broke the protocol before publishing
	resultTimeout        result = "timeout"          // it was too slow before publishing
	resultTooMany        result = "too_many"         // MaxConnections
	resultTooManyAddress result = "too_many_address" // MaxConnectionsPerAddress
	resultShutdown       result = "shutdown"         // the server ended before it published
)

var results = []result{resultPublished, resultRefused, resultNoPublish, resultBadHandshake, resultProtocol, resultTimeout,
	resultTooMany, resultTooManyAddress, resultShutdown}

// fate labels what became of an RTP packet.
type fate string

const (
	fateTaken     fate = "taken"
	fateLost      fate = "lost"      // it never came
	fateLate      fate = "late"      // it came again, or after what follows it had been given up waiting for it
	fateSkipped   fate = "skipped"   // it belongs to an access unit of which packets are missing
	fateDamaged   fate = "damaged"   // it breaks its payload format
	fateUnwanted  fate = "unwanted"  // its track is not taken
	fateMalformed fate = "malformed" // it is no packet of the session
)

var fates = []fate{fateTaken, fateLost, fateLate, fateSkipped, fateDamaged, fateUnwanted, fateMalformed}

// transports are label values.
const (
	transportUDP = "udp"
	transportTCP = "tcp"
)

// refusalReasons are the label values of pushcart_rtsp_refusals_total; whatever else a door may think of is "other".
var refusalReasons = []ingest.Reason{ingest.ReasonBadKey, ingest.ReasonNoKeys, ingest.ReasonBadName,
	ingest.ReasonNameTaken, ingest.ReasonTakenOver, ingest.ReasonUnsupportedCodec, ingest.ReasonNoKeyframe,
	ingest.ReasonNoCodecData, ingest.ReasonBadMedia, ingest.ReasonProtocol, ingest.ReasonLimit, ingest.ReasonIdle,
	ingest.ReasonShutdown}

// reasonOther stands for reasons that are not listed.
const reasonOther ingest.Reason = "other"

// metrics holds every counter by its label, so that counting looks nothing up but a small map.
type metrics struct {
	connections prometheus.Gauge
	bytes       prometheus.Counter
	results     map[result]prometheus.Counter
	refusals    map[ingest.Reason]prometheus.Counter
	sessions    map[string]prometheus.Counter // by transport
	tracks      map[string]prometheus.Counter // not taken, by why
	reports     prometheus.Counter
	packets     map[fate]*[2]prometheus.Counter // of video and of audio
	jitter      *prometheus.HistogramVec
}

// Why a track was not taken.
const (
	trackUnknown = "unknown_codec"
	trackExcess  = "too_many"
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	r := registrar{reg: reg}
	counter := func(name, help string) prometheus.Counter {
		return r.add(prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})).(prometheus.Counter)
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return r.add(prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)).(*prometheus.CounterVec)
	}
	m := &metrics{
		connections: r.add(prometheus.NewGauge(prometheus.GaugeOpts{Name: "pushcart_rtsp_connections",
			Help: "RTSP connections of publishers that are open, publishing or not."})).(prometheus.Gauge),
		bytes:    counter("pushcart_rtsp_bytes_received_total", "Bytes received over RTSP connections, and RTP payloads over UDP."),
		reports:  counter("pushcart_rtsp_sender_reports_total", "RTCP sender reports taken."),
		results:  map[result]prometheus.Counter{},
		refusals: map[ingest.Reason]prometheus.Counter{},
		sessions: map[string]prometheus.Counter{},
		tracks:   map[string]prometheus.Counter{},
		packets:  map[fate]*[2]prometheus.Counter{},
		jitter: r.add(prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pushcart_rtsp_jitter_seconds",
			Help:    "Interarrival jitter of RTP packets (RFC 3550 6.4.1), looked at with each sender report.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1}}, []string{"kind"})).(*prometheus.HistogramVec),
	}
	byResult := vector("pushcart_rtsp_connections_total", "RTSP connections of publishers that have ended, by how they went.", "result")
	byReason := vector("pushcart_rtsp_refusals_total", "RTSP publishers refused or sent away, and sources left, by reason.", "reason")
	byTransport := vector("pushcart_rtsp_sessions_total", "RTSP sessions that sent media, pushed and pulled, by transport.", "transport")
	byWhy := vector("pushcart_rtsp_ignored_tracks_total", "Tracks of session descriptions that were not taken, by why.", "why")
	byFate := vector("pushcart_rtsp_packets_total", "RTP packets, by kind of media and by what became of them.", "kind", "result")
	if r.err != nil {
		return nil, r.err
	}
	for _, v := range results {
		m.results[v] = byResult.WithLabelValues(string(v))
	}
	for _, v := range append(refusalReasons, reasonOther) {
		m.refusals[v] = byReason.WithLabelValues(string(v))
	}
	for _, v := range []string{transportUDP, transportTCP} {
		m.sessions[v] = byTransport.WithLabelValues(v)
	}
	for _, v := range []string{trackUnknown, trackExcess} {
		m.tracks[v] = byWhy.WithLabelValues(v)
	}
	for _, v := range fates {
		m.packets[v] = &[2]prometheus.Counter{byFate.WithLabelValues("video", string(v)), byFate.WithLabelValues("audio", string(v))}
	}
	return m, nil
}

// refused counts a refusal.
func (m *metrics) refused(r ingest.Reason) {
	c, ok := m.refusals[r]
	if !ok {
		c = m.refusals[reasonOther]
	}
	c.Inc()
}

// kind labels a track by its ID.
func kind(id int) int {
	if id >= firstAudio {
		return 1
	}
	return 0
}

// packet counts packets of a track.
func (m *metrics) packet(id int, f fate, n int) { m.packets[f][kind(id)].Add(float64(n)) }

// codecKind labels by codec.
func codecKind(c stream.Codec) string {
	if c.Video() {
		return "video"
	}
	return "audio"
}

// registrar registers collectors; one that is there already, from another server, is shared.
type registrar struct {
	reg prometheus.Registerer
	err error
}

func (r *registrar) add(c prometheus.Collector) prometheus.Collector {
	if r.reg == nil {
		return c
	}
	err := r.reg.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		return there.ExistingCollector
	}
	r.err = errors.Join(r.err, err)
	return c
}
