package load

import (
	"context"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Usage is what the origin used over a time.
type Usage struct {
	// Cores is how many cores' time it used: 0.5 is half of one.
	Cores float64 `json:"cores"`
	// Memory is its resident memory at the end, in bytes.
	Memory int64 `json:"memory_bytes"`
}

// meter measures the origin's process; nil is one that cannot be measured.
type meter func(context.Context) (cpu time.Duration, memory int64, err error)

// processMeter measures a process on this machine.
func processMeter(pid int) meter {
	return func(context.Context) (time.Duration, int64, error) {
		cpu, err := CPUTime(pid)
		if err != nil {
			return 0, 0, err
		}
		memory, err := Resident(pid)
		return cpu, memory, err
	}
}

// metricsMeter measures a process by what it tells of itself, as Prometheus' clients do.
func metricsMeter(admin string) meter {
	page := strings.TrimSuffix(admin, "/") + "/metrics"
	return func(ctx context.Context) (time.Duration, int64, error) {
		v, err := Metrics(ctx, page, "process_cpu_seconds_total", "process_resident_memory_bytes")
		if err != nil {
			return 0, 0, err
		}
		return time.Duration(v[0] * 1e9), int64(v[1]), nil
	}
}

// reading is the beginning of a measurement.
type reading struct {
	cpu, own time.Duration
	at       time.Time
	ok       bool
}

// begin reads a meter, and this process's own.
func (m meter) begin(ctx context.Context) reading {
	r := reading{at: time.Now()}
	r.own, _ = CPUTime(os.Getpid())
	if m != nil {
		var err error
		r.cpu, _, err = m(ctx)
		r.ok = err == nil
	}
	return r
}

// end returns what was used since r; nil when it cannot be told. Own is the share of what this process may use.
func (m meter) end(ctx context.Context, r reading) (u *Usage, own float64) {
	wall := time.Since(r.at)
	if used, err := CPUTime(os.Getpid()); err == nil && wall > 0 {
		own = (used - r.own).Seconds() / wall.Seconds() / float64(runtime.GOMAXPROCS(0))
	}
	if m == nil || !r.ok || wall <= 0 {
		return nil, own
	}
	cpu, memory, err := m(ctx)
	if err != nil {
		return nil, own
	}
	return &Usage{Cores: (cpu - r.cpu).Seconds() / wall.Seconds(), Memory: memory}, own
}

// lagEvery is how often it is looked whether this process is late.
const lagEvery = 20 * time.Millisecond

// lag measures how late this process's timers are, which tells whether it keeps up with its own work.
type lag struct {
	late  histogram
	group sync.WaitGroup
}

// watch measures until ctx ends.
func (l *lag) watch(ctx context.Context) {
	l.group.Go(func() {
		t := time.NewTimer(lagEvery)
		defer t.Stop()
		for {
			due := time.Now().Add(lagEvery)
			t.Reset(lagEvery)
			select {
			case <-t.C:
				l.late.add(time.Since(due))
			case <-ctx.Done():
				return
			}
		}
	})
}
