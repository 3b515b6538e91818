package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Scripts of the glass-to-glass measurement, below webFolder.
const (
	webFolder   = "overlay/web"
	clockScript = "bench/clock-source.mjs"
	glassScript = "bench/glass.mjs"
)

// seen is what glassScript prints; times in seconds.
type seen struct {
	Samples, Unreadable   int
	P50, P95, P99         float64
	Min, Max              float64
	Stalls, DroppedFrames int
	Complaints            []string
}

// glassRow measures how old the picture in a browser is: a clock is burned into the frames before they are encoded, and
// read off the page that plays them.
func glassRow(ctx context.Context, o options) ([]row, error) {
	for _, f := range []string{clockScript, glassScript, "node_modules/playwright-core"} {
		if _, err := os.Stat(filepath.Join(webFolder, f)); err != nil {
			return nil, fmt.Errorf("%w (run make build in the repository's root, and the benchmarks from there)", err)
		}
	}
	js, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	n, err := startNode(ctx, o.binary)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	clock, err := start(ctx, nil, js, filepath.Join(webFolder, clockScript), "--publish", "rtmp://"+n.RTMP+"/live/clock")
	if err != nil {
		return nil, err
	}
	defer clock.Stop()
	if err := n.live(ctx, 1); err != nil {
		return nil, errors.Join(err, clock.Alive())
	}
	var half, most samples
	for turn := range min(o.runs, 2) {
		s, err := look(ctx, js, "http://"+n.HTTP+"/watch/clock", 2*o.seconds)
		if err != nil {
			return nil, err
		}
		half.add(s.P50)
		most.add(s.P95)
		progress("glass %d: %d samples, %d unreadable: p50 %.2f s, p95 %.2f s, max %.2f s; %d stalls, %d frames dropped %v",
			turn+1, s.Samples, s.Unreadable, s.P50, s.P95, s.Max, s.Stalls, s.DroppedFrames, s.Complaints)
	}
	return []row{
		figure("Glass to glass in Chromium, p50", half, " s", 0, shown),
		figure("  p95", most, " s", 1.5, atMost),
	}, nil
}

// look opens a browser on the page for a time.
func look(ctx context.Context, js, url string, d time.Duration) (s seen, err error) {
	c, err := start(ctx, nil, js, filepath.Join(webFolder, glassScript), "--url", url,
		"--seconds", fmt.Sprint(int(d.Seconds())))
	if err != nil {
		return s, err
	}
	defer c.Stop()
	err = c.Read(ctx, d+90*time.Second, &s)
	if err == nil && s.Samples-s.Unreadable < s.Samples/2 {
		err = fmt.Errorf("of %d pictures %d had no readable clock", s.Samples, s.Unreadable)
	}
	return s, err
}
