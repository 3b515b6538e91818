package rtsp

import (
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

// metrics holds every counter by its label, so that counting looks nothing up but a small map.
type metrics struct {
	connections prometheus.Gauge
	bytes       prometheus.Counter
	results     map[result]prometheus.Counter
	refusals    ingest.Refusals
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
	r := &ingest.Registrar{Registerer: reg}
	counter := func(name, help string) prometheus.Counter {
		return ingest.Register(r, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
	}
	byResult := vector("pushcart_rtsp_connections_total", "RTSP connections of publishers that have ended, by how they went.", "result")
	byReason := vector("pushcart_rtsp_refusals_total", "RTSP publishers refused or sent away, and sources left, by reason.", "reason")
	byTransport := vector("pushcart_rtsp_sessions_total", "RTSP sessions that sent media, pushed and pulled, by transport.", "transport")
	byWhy := vector("pushcart_rtsp_ignored_tracks_total", "Tracks of session descriptions that were not taken, by why.", "why")
	byFate := vector("pushcart_rtsp_packets_total", "RTP packets, by kind of media and by what became of them.", "kind", "result")
	m := &metrics{
		connections: ingest.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: "pushcart_rtsp_open_connections",
			Help: "RTSP connections of publishers that are open, publishing or not."})),
		bytes:    counter("pushcart_rtsp_bytes_received_total", "Bytes received over RTSP connections, and RTP payloads over UDP."),
		reports:  counter("pushcart_rtsp_sender_reports_total", "RTCP sender reports taken."),
		results:  ingest.Labelled(byResult, results),
		refusals: ingest.NewRefusals(byReason),
		sessions: ingest.Labelled(byTransport, []string{transportUDP, transportTCP}),
		tracks:   ingest.Labelled(byWhy, []string{trackUnknown, trackExcess}),
		packets:  map[fate]*[2]prometheus.Counter{},
		jitter: ingest.Register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pushcart_rtsp_jitter_seconds",
			Help:    "Interarrival jitter of RTP packets (RFC 3550 6.4.1), looked at with each sender report.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1}}, []string{"kind"})),
	}
	if r.Err != nil {
		return nil, r.Err
	}
	for _, v := range fates {
		m.packets[v] = &[2]prometheus.Counter{byFate.WithLabelValues("video", string(v)), byFate.WithLabelValues("audio", string(v))}
	}
	return m, nil
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
