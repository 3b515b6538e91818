package rtmp

import (
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

// metrics holds every counter by its label, so that counting looks nothing up but a small map.
type metrics struct {
	connections prometheus.Gauge
	bytes       prometheus.Counter
	results     map[result]prometheus.Counter
	refusals    ingest.Refusals
	ignored     map[ignored]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	r := &ingest.Registrar{Registerer: reg}
	connections := ingest.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pushcart_rtmp_open_connections", Help: "RTMP connections that are open, publishing or not."}))
	bytes := ingest.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_rtmp_bytes_received_total", Help: "Bytes received over RTMP, without those of TLS."}))
	byResult := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_rtmp_connections_total", Help: "RTMP connections that have ended, by how they went."}, []string{"result"}))
	byReason := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_rtmp_refusals_total", Help: "RTMP publishers refused or sent away, by reason."}, []string{"reason"}))
	byKind := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_rtmp_ignored_messages_total", Help: "RTMP messages that were passed over, by kind."}, []string{"kind"}))
	if r.Err != nil {
		return nil, r.Err
	}
	m := &metrics{
		connections: connections,
		bytes:       bytes,
		results:     ingest.Labelled(byResult, results),
		refusals:    ingest.NewRefusals(byReason),
		ignored:     ingest.Labelled(byKind, ignoredKinds),
	}
	return m, nil
}
