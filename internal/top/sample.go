package top

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Stream is one stream as the node's API has it; see package overlay/api.
type Stream struct {
	Name            string            `json:"name"`
	State           string            `json:"state"`
	Origin          string            `json:"origin"`
	CopiedFrom      string            `json:"copied_from"`
	LagSeconds      float64           `json:"lag_seconds"`
	UptimeSeconds   float64           `json:"uptime_seconds"`
	Protocol        string            `json:"protocol"`
	Agent           string            `json:"agent"`
	Reconnects      int               `json:"reconnects"`
	Viewers         int               `json:"viewers"`
	Bitrate         int64             `json:"bitrate_bps"`
	KeyframeSeconds float64           `json:"keyframe_interval_seconds"`
	Cards           int               `json:"cards"`
	Tracks          []Track           `json:"tracks"`
	Drops           map[string]uint64 `json:"drops"`
	Advice          []string          `json:"advice"`
	Ladder          *Ladder           `json:"ladder"`
}

// Track is what is shown of a track.
type Track struct {
	Kind      string  `json:"kind"`
	Codec     string  `json:"codec"`
	Width     int     `json:"width"`
	Height    int     `json:"height"`
	FrameRate float64 `json:"frame_rate"`
}

// Ladder is what is shown of a ladder.
type Ladder struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Backend string `json:"backend"`
	Rungs   []struct {
		Name  string `json:"name"`
		State string `json:"state"`
	} `json:"rungs"`
}

// ParseStreams reads the answer of GET /api/v1/streams.
func ParseStreams(b []byte) ([]Stream, error) {
	var list struct {
		Streams []Stream `json:"streams"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("read the list of streams: %w", err)
	}
	return list.Streams, nil
}

// Cluster is the answer of GET /cluster.json on the admin port; see package relay/route.
type Cluster struct {
	Self      string `json:"self"`
	Directory struct {
		Healthy bool `json:"healthy"`
	} `json:"directory"`
	Nodes []struct {
		Name    string  `json:"name"`
		Region  string  `json:"region"`
		Self    bool    `json:"self"`
		Version string  `json:"version"`
		Uptime  float64 `json:"uptime"`
		CPU     float64 `json:"cpu"`
		Viewers int     `json:"viewers"`
		Peers   int     `json:"peers"`
		Full    bool    `json:"full"`
		Holds   int     `json:"holds"`
		SeenAgo float64 `json:"seen_ago"`
	} `json:"nodes"`
}

// ParseCluster reads that answer.
func ParseCluster(b []byte) (*Cluster, error) {
	c := &Cluster{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("read the view of the cluster: %w", err)
	}
	return c, nil
}

// Metrics are a node's at one moment, by name.
type Metrics map[string]*dto.MetricFamily

// ParseMetrics reads the text format of /metrics (Prometheus exposition format 0.0.4).
func ParseMetrics(r io.Reader) (Metrics, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	m, err := p.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("read /metrics: %w", err)
	}
	return m, nil
}

// value of a counter, gauge or untyped metric.
func value(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	case m.GetUntyped() != nil:
		return m.GetUntyped().GetValue()
	}
	return 0
}

// Sum adds a metric up over all its labels; ok is false when there is none of the name.
func (m Metrics) Sum(name string) (sum float64, ok bool) {
	f := m[name]
	if f == nil {
		return 0, false
	}
	for _, x := range f.GetMetric() {
		if v := value(x); !math.IsNaN(v) && !math.IsInf(v, 0) {
			sum += v
		}
	}
	return sum, true
}

// Label is a label of the first metric of a name; "" when there is none.
func (m Metrics) Label(name, label string) string {
	for _, x := range m[name].GetMetric() {
		for _, l := range x.GetLabel() {
			if l.GetName() == label {
				return l.GetValue()
			}
		}
	}
	return ""
}

// buckets adds a histogram's cumulative buckets up over all its labels.
func (m Metrics) buckets(name string) map[float64]float64 {
	f := m[name]
	if f == nil {
		return nil
	}
	out := map[float64]float64{}
	for _, x := range f.GetMetric() {
		for _, b := range x.GetHistogram().GetBucket() {
			out[b.GetUpperBound()] += float64(b.GetCumulativeCount())
		}
	}
	return out
}

// Sample is a node at one moment.
type Sample struct {
	At      time.Time
	Streams []Stream
	// Metrics and Cluster are nil where the admin port could not be asked, or the node is by itself.
	Metrics Metrics
	Cluster *Cluster
	// AdminErr is why the admin port could not be asked, in a short sentence; "" when it could.
	AdminErr string
}
