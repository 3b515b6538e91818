package directory

import (
	"context"
	"crypto/tls"
	"os"
	"runtime"
	"strings"
	"testing"

	"pushcart/relay"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	good := Options{Self: relay.Peer{Name: "node-1"}, Dir: "x"}
	for _, c := range []struct {
		what   string
		change func(*Options)
		want   string // in the error; "" is none
	}{
		{"a core node", func(*Options) {}, ""},
		{"no name", func(o *Options) { o.Self.Name = "" }, "node.name"},
		{"a name that is no token", func(o *Options) { o.Self.Name = "a.b" }, "node.name"},
		{"no folder", func(o *Options) { o.Dir = "" }, "folder"},
		{"no routes", func(o *Options) { o.Cores = []string{"a:1", "b:1"} }, "cluster.listen_nats"},
		{"no core node", func(o *Options) { o.Mode = Leaf }, "cluster.leaf_of"},
		{"no NATS", func(o *Options) { o.Mode = External }, "cluster.nats"},
		{"no port", func(o *Options) { o.Leaf = "here" }, "host:port"},
		{"no certificates asked for", func(o *Options) { o.TLS = &tls.Config{MinVersion: tls.VersionTLS13} }, "certificate"},
		{"no such mode", func(o *Options) { o.Mode = 9 }, "mode"},
	} {
		o := good
		c.change(&o)
		err := o.complete()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	three := good
	three.Cluster, three.Cores = ":1", []string{"a:1", "b:1", "c:1"}
	if err := three.complete(); err != nil || three.Replicas != 3 {
		t.Errorf("three core nodes have %d replicas, %v", three.Replicas, err)
	}
}

// BenchmarkClaim has what a claim and a release cost on one embedded node, and reports what the idle node takes.
func BenchmarkClaim(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines, rss := runtime.NumGoroutine(), resident()
	s := cores(b, 1, func(_ int, o *Options) { o.pace = usual })[0]
	runtime.GC()
	runtime.ReadMemStats(&after)
	used, heap, size := runtime.NumGoroutine()-goroutines, float64(after.HeapAlloc)-float64(before.HeapAlloc), resident()-rss
	for b.Loop() {
		e, err := s.Claim(context.Background(), claimOf("show", "host"))
		if err != nil {
			b.Fatal(err)
		}
		s.Release("show", e.Gen)
	}
	b.ReportMetric(float64(used), "goroutines")
	b.ReportMetric(heap/(1<<20), "heap-MiB")
	b.ReportMetric(float64(size)/(1<<20), "rss-MiB")
}

// resident is the process's memory in bytes, where the system tells it.
func resident() int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	pages := 0
	for _, c := range fields[1] {
		pages = pages*10 + int(c-'0')
	}
	return pages * os.Getpagesize()
}
