package directory

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

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

// TestCannotStart has what keeps a server from starting: it is told at once, with the reason.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := l.Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		o    Options
		want string
	}{
		"the address for leaf nodes is taken":   {Options{Leaf: taken, Dir: t.TempDir()}, "address already in use"},
		"the address for other nodes is taken":  {Options{Cluster: taken, Cores: []string{taken, "127.0.0.1:1"}, Dir: t.TempDir()}, "address already in use"},
		"the folder cannot be written":          {Options{Dir: filepath.Join(file, "nats")}, file},
		"the address for NATS clients is taken": {Options{Listen: taken, Dir: t.TempDir()}, "address already in use"},
	} {
		c.o.Self = self(1)
		began := time.Now()
		d, err := Open(c.o)
		if err == nil {
			d.Close()
			t.Errorf("%s: it started", what)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || time.Since(began) > startWithin/2 {
			t.Errorf("%s: after %s: %v", what, time.Since(began), err)
		}
	}
}

// TestListensEverywhere has a server without a host in its address take connections of both kinds.
func TestListensEverywhere(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(freePorts(t, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	up(t, Options{Self: self(1), Mode: Core, Leaf: ":" + port, Dir: t.TempDir()})
	for _, host := range []string{"127.0.0.1", "::1"} {
		if host == "::1" && anyHost() != "::" {
			continue // this machine has no IPv6
		}
		c, err := net.Dial("tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Error(err)
			continue
		}
		_ = c.Close()
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
