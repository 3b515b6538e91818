package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// What a node may hold more of when everybody has left than before anybody came. Goroutines and descriptors: connections to the API and
// to /metrics that are kept open for reuse. Each stream of another name adds one of both on top: its cards' journal stays open for a
// while, for operators who go on after the show. Heap: pools, and buffers of the size that they once needed.
const (
	soakGoroutines  = 16
	soakDescriptors = 10
	soakHeap        = 24 << 20
)

// What it may grow by in the second half of a long run, by the line of least squares. What is on the air is the same all the time, so
// anything beyond the noise of who happens to be there is a leak; a leak of one frame a second, or of one goroutine for each visit,
// exceeds it in ten minutes. RSS follows the heap's highest mark and ffmpeg's bursts, so it is given more.
const (
	soakTrendHeap       = 12 << 20
	soakTrendResident   = 40 << 20
	soakTrendGoroutines = 30
	soakTrendFiles      = 20
)

// sample is what the node's process holds at a time.
type sample struct {
	at                     time.Duration
	goroutines, files      float64
	resident, heap, window float64 // bytes; heap is after a collection, and without the window
}

func (s sample) String() string {
	const mega = 1 << 20
	return fmt.Sprintf("%.0f goroutines, %.0f descriptors, RSS %.1f MiB, heap %.1f MiB, window %.1f MiB", s.goroutines, s.files, s.resident/mega, s.heap/mega, s.window/mega)
}

// samples are those of a run. One goroutine adds to them.
type samples struct {
	begin time.Time
	mu    sync.Mutex // guards all
	all   []sample
}

// take makes one. Heap is what a collection leaves.
func (k *soak) take() (s sample, err error) {
	status, _, _, err := testkit.Get(k.t.Context(), k.admin, "http://"+k.s.Admin+"/debug/pprof/heap?gc=1&debug=0")
	if err != nil || status != http.StatusOK {
		return s, fmt.Errorf("heap profile: status %d, %v", status, err)
	}
	var m testkit.Metrics
	if err := testkit.Act(k.t.Context(), k.t, func(t testing.TB) { m = testkit.Scrape(t, "http://"+k.s.Admin) }); err != nil {
		return s, err
	}
	s = sample{time.Since(k.samples.begin), m.Value("go_goroutines"), m.Value("process_open_fds"), m.Value("process_resident_memory_bytes"),
		m.Value("go_memory_classes_heap_objects_bytes"), m.Value("pushcart_window_bytes")}
	s.heap -= s.window
	return s, nil
}

// watch samples until the soak is over.
func (k *soak) watch() {
	for k.on() {
		s, err := k.take()
		if err != nil {
			if k.on() {
				k.fault("sample: %v", err)
			}
			return
		}
		k.samples.mu.Lock()
		k.samples.all = append(k.samples.all, s)
		k.samples.mu.Unlock()
		k.wait(k.scaled(time.Second, 5*time.Second))
	}
}

// growth is by how much a figure grows over samples, by the line of least squares from the first to the last.
func growth(all []sample, of func(sample) float64) float64 {
	n := float64(len(all))
	if n < 3 {
		return 0
	}
	var x, y, xx, xy float64
	for _, s := range all {
		t, v := s.at.Seconds(), of(s)
		x, y, xx, xy = x+t, y+v, xx+t*t, xy+t*v
	}
	d := n*xx - x*x
	if d == 0 {
		return 0
	}
	return (n*xy - x*y) / d * (all[len(all)-1].at - all[0].at).Seconds()
}

// figures of a sample that must not grow, and by how much they may.
var soakFigures = []struct {
	name string
	of   func(sample) float64
	most float64
}{
	{"heap without the window", func(s sample) float64 { return s.heap }, soakTrendHeap},
	{"RSS", func(s sample) float64 { return s.resident }, soakTrendResident},
	{"goroutines", func(s sample) float64 { return s.goroutines }, soakTrendGoroutines},
	{"descriptors", func(s sample) float64 { return s.files }, soakTrendFiles},
}

// trend judges the second half of a long run.
func (k *soak) trend() {
	if k.length < soakTrendFrom {
		return
	}
	k.samples.mu.Lock()
	all := k.samples.all
	k.samples.mu.Unlock()
	half := all[len(all)/2:]
	for _, f := range soakFigures {
		g := growth(half, f.of)
		k.t.Logf("%s: grew by %.0f in the second half, of which %.0f are allowed", f.name, g, f.most)
		if g > f.most {
			k.fault("%s grew by %.0f in the second half of the run, more than %.0f", f.name, g, f.most)
		}
	}
}

// settle waits until the node holds no more than it did before anybody came, and tells what it holds.
func (k *soak) settle(before sample, names int) sample {
	var now sample
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); k.pause(300 * time.Millisecond) {
		var err error
		if now, err = k.take(); err != nil {
			k.fault("sample: %v", err)
			return now
		}
		if now.goroutines <= before.goroutines+soakGoroutines+float64(names) && now.files <= before.files+soakDescriptors+float64(names) &&
			now.heap <= before.heap+soakHeap && now.window == 0 {
			return now
		}
	}
	_, _, stacks, _ := testkit.Get(k.t.Context(), k.admin, "http://"+k.s.Admin+"/debug/pprof/goroutine?debug=1")
	k.fault("before anybody came the node held %v; with everybody gone, and cards of %d streams open, it holds %v; goroutines:\n%.8000s", before, names, now, stacks)
	return now
}
