package hls

import "github.com/prometheus/client_golang/prometheus"

// unmeasured is for tests that render by themselves.
var unmeasured = NewMetrics(prometheus.NewRegistry())
