package rtmp

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// result labels how a connection went.
type result string

const (
	resultPublished      result = "published"        // it published, however it ended
	resultRefused        result = "refused"          // a refusal before anything was published
	resultNoPublish      result = "no_publish"       // it left without trying
	resultBadHandshake   result = "bad_handshake"    // it speaks something else, or nothing
	resultEncrypted      result = "rtmpe"            // it asked for RTMPE
	resultProtocol       result = "protocol_error"   // it broke the protocol before publishing
	resultTimeout        result = "timeout"          // it was too slow before publishing
	resultTooMany        result = "too_many"         // MaxConnections
	resultTooManyAddress result = "too_many_address" // MaxConnectionsPerAddress
	resultShutdown       result = "shutdown"         // the server ended before it published
	resultPanic          result = "panic"            // a fault of the server's own ended it
)

var results = []result{resultPublished, resultRefused, resultNoPublish, resultBadHandshake, resultEncrypted,
	resultProtocol, resultTimeout, resultTooMany, resultTooManyAddress, resultShutdown, resultPanic}

// ignored labels what was passed over without harm.
type ignored string

const (
	ignoredType         ignored = "unknown_type"
	ignoredCommand      ignored = "unknown_command"
	ignoredEvent        ignored = "unknown_event"
	ignoredData         ignored = "undecodable_data"
	ignoredDataName     ignored = "unknown_data"
	ignoredSharedObject ignored = "shared_object"
	ignoredUnasked      ignored = "media_before_publish"
	ignoredPacket       ignored = "unknown_packet"
	ignoredEmpty        ignored = "empty_frame"
)

var ignoredKinds = []ignored{ignoredType, ignoredCommand, ignoredEvent, ignoredData, ignoredDataName,
	ignoredSharedObject, ignoredUnasked, ignoredPacket, ignoredEmpty}

// refusalReasons are the label values of pushcart_rtmp_refusals_total; whatever else a door may think of is "other".
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
	ignored     map[ignored]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	r := registrar{reg: reg}
	connections := r.add(prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pushcart_rtmp_connections", Help: "RTMP connections that are open, publishing or not."}))
	bytes := r.add(prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_rtmp_bytes_received_total", Help: "Bytes received over RTMP, without those of TLS."}))
	byResult := r.add(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_rtmp_connections_total", Help: "RTMP connections that have ended, by how they went."}, []string{"result"}))
	byReason := r.add(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_rtmp_refusals_total", Help: "RTMP publishers refused or sent away, by reason."}, []string{"reason"}))
	byKind := r.add(prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_rtmp_ignored_messages_total", Help: "RTMP messages that were passed over, by kind."}, []string{"kind"}))
	if r.err != nil {
		return nil, r.err
	}
	m := &metrics{
		connections: connections.(prometheus.Gauge),
		bytes:       bytes.(prometheus.Counter),
		results:     map[result]prometheus.Counter{},
		refusals:    map[ingest.Reason]prometheus.Counter{},
		ignored:     map[ignored]prometheus.Counter{},
	}
	for _, v := range results {
		m.results[v] = byResult.(*prometheus.CounterVec).WithLabelValues(string(v))
	}
	for _, v := range append(refusalReasons, reasonOther) {
		m.refusals[v] = byReason.(*prometheus.CounterVec).WithLabelValues(string(v))
	}
	for _, v := range ignoredKinds {
		m.ignored[v] = byKind.(*prometheus.CounterVec).WithLabelValues(string(v))
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
