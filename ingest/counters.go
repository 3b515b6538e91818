package ingest

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// reasons are all of them.
var reasons = []Reason{ReasonBadKey, ReasonNoKeys, ReasonBadName, ReasonNameTaken, ReasonTakenOver, ReasonUnsupportedCodec,
	ReasonNoKeyframe, ReasonNoCodecData, ReasonBadMedia, ReasonProtocol, ReasonLimit, ReasonIdle, ReasonShutdown,
	ReasonElsewhere, ReasonStandby, ReasonCluster, ReasonAuthority}

// reasonOther stands for reasons that are not listed.
const reasonOther Reason = "other"

// Refusals counts a protocol's refusals by reason.
type Refusals map[Reason]prometheus.Counter

// NewRefusals makes the counters of a vector with the label "reason", so that each of them shows from the start.
func NewRefusals(c *prometheus.CounterVec) Refusals {
	return Labelled(c, append(reasons[:len(reasons):len(reasons)], reasonOther))
}

// Count counts a refusal.
func (r Refusals) Count(why Reason) {
	c, ok := r[why]
	if !ok {
		c = r[reasonOther]
	}
	c.Inc()
}

// Labelled makes the counters of a vector with one label, so that counting looks nothing up but a small map.
func Labelled[L ~string](c *prometheus.CounterVec, values []L) map[L]prometheus.Counter {
	m := make(map[L]prometheus.Counter, len(values))
	for _, v := range values {
		m[v] = c.WithLabelValues(string(v))
	}
	return m
}

// Registrar registers collectors. One that is there already, from another server of the same protocol, is shared.
type Registrar struct {
	// Registerer that takes them; nil keeps them unregistered.
	Registerer prometheus.Registerer
	// Err is why some could not be registered.
	Err error
}

// Register returns the collector to be used: c, or the one that is there already.
func Register[C prometheus.Collector](r *Registrar, c C) C {
	if r.Registerer == nil {
		return c
	}
	err := r.Registerer.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	r.Err = errors.Join(r.Err, err)
	return c
}
