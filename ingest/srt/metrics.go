package srt

import (
	gosrt "github.com/datarhei/gosrt"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/ingest/ts"
)

// result labels how a connection went.
type result string

const (
	resultPublished      result = "published"        // it published, however it ended
	resultRefused        result = "refused"          // by the door, or before any media came
	resultNoMedia        result = "no_media"         // it was let in, and left without video or audio
	resultBadIdentifier  result = "bad_stream_id"    // the stream identifier names no stream
	resultPlay           result = "play"             // it wanted to be sent a stream
	resultPassphrase     result = "passphrase"       // none, a wrong one, or one where none is wanted
	resultBadHandshake   result = "bad_handshake"    // it asked for what cannot be
	resultTooMany        result = "too_many"         // MaxConnections
	resultTooManyAddress result = "too_many_address" // MaxConnectionsPerAddress
	resultShutdown       result = "shutdown"         // the server ended before it published
	resultPanic          result = "panic"            // a fault of the server's own ended it
	resultUnreachable    result = "unreachable"      // pulled: the source did not answer
	resultRejected       result = "rejected"         // pulled: the source did not take the call
)

var results = []result{resultPublished, resultRefused, resultNoMedia, resultBadIdentifier, resultPlay, resultPassphrase,
	resultBadHandshake, resultTooMany, resultTooManyAddress, resultShutdown, resultPanic, resultUnreachable, resultRejected}

// metrics holds every counter by its label.
type metrics struct {
	connections prometheus.Gauge
	bytes       prometheus.Counter
	results     map[result]prometheus.Counter
	refusals    ingest.Refusals
	rtt         prometheus.Histogram

	received, lost, retransmitted, dropped, undecryptable prometheus.Counter
	gaps, broken, resyncs, damaged                        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	r := &ingest.Registrar{Registerer: reg}
	connections := ingest.Register(r, prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pushcart_srt_open_connections", Help: "SRT connections that are open."}))
	bytes := ingest.Register(r, prometheus.NewCounter(prometheus.CounterOpts{
		Name: "pushcart_srt_bytes_received_total", Help: "Bytes received in SRT data packets, with their headers."}))
	byResult := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_srt_connections_total", Help: "SRT connections that have ended, by how they went."}, []string{"result"}))
	byReason := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_srt_refusals_total", Help: "SRT publishers refused or sent away, by reason."}, []string{"reason"}))
	byKind := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_srt_packets_total", Help: "SRT data packets: received in all; found missing (lost), of which most come again (retransmitted); too late or twice (dropped); undecryptable."}, []string{"kind"}))
	byFault := ingest.Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_srt_ts_faults_total", Help: "Faults of the transport streams in SRT: gaps in a stream, broken packets, resyncs, damaged PES and sections."}, []string{"kind"}))
	rtt := ingest.Register(r, prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "pushcart_srt_rtt_seconds", Help: "Round-trip time of SRT connections as it was when they ended.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .15, .25, .5, 1}}))
	if r.Err != nil {
		return nil, r.Err
	}
	kind := byKind.WithLabelValues
	fault := byFault.WithLabelValues
	m := &metrics{
		connections: connections,
		bytes:       bytes,
		results:     ingest.Labelled(byResult, results),
		refusals:    ingest.NewRefusals(byReason),
		rtt:         rtt,
		received:    kind("received"), lost: kind("lost"), retransmitted: kind("retransmitted"), dropped: kind("dropped"),
		undecryptable: kind("undecryptable"),
		gaps:          fault("gap"), broken: fault("broken_packet"), resyncs: fault("resync"), damaged: fault("damaged"),
	}
	return m, nil
}

// traffic counts what came since the statistics before.
func (m *metrics) traffic(before, now *gosrt.StatisticsAccumulated) {
	add := func(c prometheus.Counter, before, now uint64) {
		if now > before {
			c.Add(float64(now - before))
		}
	}
	add(m.bytes, before.ByteRecv, now.ByteRecv)
	add(m.received, before.PktRecv, now.PktRecv)
	add(m.lost, before.PktRecvLoss, now.PktRecvLoss)
	add(m.retransmitted, before.PktRecvRetrans, now.PktRecvRetrans)
	add(m.dropped, before.PktRecvDrop, now.PktRecvDrop)
	add(m.undecryptable, before.PktRecvUndecrypt, now.PktRecvUndecrypt)
}

// faults counts what was wrong with a session's transport stream.
func (m *metrics) faults(s ts.Stats) {
	m.gaps.Add(float64(s.Gaps))
	m.broken.Add(float64(s.Broken))
	m.resyncs.Add(float64(s.Resyncs))
	m.damaged.Add(float64(s.Damaged))
}
