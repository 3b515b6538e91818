package main

import (
	"context"
	"fmt"
	"time"

	"pushcart/internal/load"
)

const (
	cpuStreams = 20
	// fullWindow is how much media a node holds at default settings: 60 s that are listed, and what section 6.2.2 of
	// rfc8216bis asks to keep beyond.
	fullWindow = 140 * time.Second
)

// cpuRow measures what a stream costs, against only reading it.
func cpuRow(ctx context.Context, o options) ([]row, error) {
	n, err := startNode(ctx, o.binary)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	var only listening
	d, err := self(ctx, &only, "discard")
	if err != nil {
		return nil, err
	}
	defer d.Stop()

	sides := []struct {
		name, address string
		pid           int
		used          samples
	}{
		{name: "node", address: n.RTMP, pid: n.PID()},
		{name: "only reading", address: only.Address, pid: d.PID()},
	}
	var ratios samples
	ahead := fullWindow
	for turn := range o.turns() {
		var cores [2]float64
		for i := range sides {
			s := &sides[i]
			if i > 0 {
				ahead = 0 // only the node has a window to fill, and only at first
			}
			used, err := cpuOf(ctx, o, n, s.address, s.pid, ahead)
			if err != nil {
				return nil, err
			}
			cores[i] = used
			s.used.add(used / cpuStreams * 100)
			progress("cpu %d/%d: %s uses %.3f %% of a core per stream", turn+1, o.turns(), s.name, used/cpuStreams*100)
		}
		ratios.add(cores[0] / cores[1])
	}
	return []row{
		figure("CPU per stream, against only reading it", ratios, "", 1.6, atMost).aim(1.3),
		figure("  the node, of one core", sides[0].used, " %", 0, shown),
		figure("  only reading, of one core", sides[1].used, " %", 0, shown),
	}, nil
}

// cpuOf publishes to one side and returns how many cores that side's process used meanwhile.
func cpuOf(ctx context.Context, o options, n *node, address string, pid int, ahead time.Duration) (float64, error) {
	l, err := publishAll(ctx, address, cpuStreams, ahead)
	if err != nil {
		return 0, err
	}
	defer l.Stop()
	if address == n.RTMP {
		if err := n.live(ctx, cpuStreams); err != nil {
			return 0, err
		}
		if o.profiles != "" {
			defer n.profile(o.profiles, "cpu", o.seconds)()
		}
	}
	used, wall, err := measure(ctx, pid, o.seconds)
	if err != nil {
		return 0, err
	}
	if err := l.Alive(); err != nil {
		return 0, err
	}
	return used.Seconds() / wall.Seconds(), nil
}

// measure returns the CPU time that a process uses within about d.
func measure(ctx context.Context, pid int, d time.Duration) (used, wall time.Duration, err error) {
	from, err := load.CPUTime(pid)
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := load.Pause(ctx, d); err != nil {
		return 0, 0, err
	}
	to, err := load.CPUTime(pid)
	if err != nil {
		return 0, 0, fmt.Errorf("the process has ended: %w", err)
	}
	return to - from, time.Since(begin), nil
}
