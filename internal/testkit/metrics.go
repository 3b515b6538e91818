package testkit

import (
	"context"
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics is one scrape.
type Metrics map[string]*dto.MetricFamily

// Scrape gets an admin address's /metrics.
func Scrape(t testing.TB, admin string) Metrics {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	status, _, body, err := Get(ctx, http.DefaultClient, admin+"/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("scrape: status %d: %v", status, err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("scrape: %v", err)
	}
	return families
}

// Value adds up the counters and gauges of a name that have all of the labels, given as name, value, name, value.
func (m Metrics) Value(name string, labels ...string) float64 {
	sum := 0.0
	f := m[name]
	if f == nil {
		return 0
	}
	for _, one := range f.Metric {
		if matches(one, labels) {
			sum += one.GetCounter().GetValue() + one.GetGauge().GetValue()
		}
	}
	return sum
}

func matches(one *dto.Metric, labels []string) bool {
	for i := 0; i+1 < len(labels); i += 2 {
		found := false
		for _, l := range one.Label {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}
