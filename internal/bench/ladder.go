package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pushcart/internal/load"
)

// ladderStreams is how many streams are encoded at once: no more than two cores can, besides what publishes them.
const ladderStreams = 3

// ladderSettings make three rungs of each stream, whose source is 720p30.
var ladderSettings = []string{
	"PUSHCART_LADDER_FFMPEG=ffmpeg", "PUSHCART_LADDER_MAX_CPU=100",
	`PUSHCART_LADDER_LADDERS=[{name: bench, rungs: [480p 900k, 360p 600k, 240p 350k]}]`,
	`PUSHCART_LADDER_STREAMS=[{stream: "*", ladder: bench}]`,
}

// ladderRow measures what a ladder of three rungs costs the node itself, against what it costs ffmpeg, and how far the rungs
// are behind the source.
func ladderRow(ctx context.Context, o options) ([]row, error) {
	var ratios, own, children, lags samples
	for turn := range o.turns() {
		without, err := ladderCost(ctx, o, "PUSHCART_LADDER_FFMPEG=")
		if err != nil {
			return nil, err
		}
		with, err := ladderCost(ctx, o, ladderSettings...)
		if err != nil {
			return nil, err
		}
		ratios.add((with.node - without.node) / with.children * 100)
		own.add((with.node - without.node) / ladderStreams * 100)
		children.add(with.children / ladderStreams * 100)
		lags.add(with.lag * 1000)
		progress("ladder %d/%d: the node takes %.2f %% of a core more, ffmpeg %.1f %%; the slowest rung is %.0f ms behind",
			turn+1, o.turns(), (with.node-without.node)*100, with.children*100, with.lag*1000)
	}
	return []row{
		figure("The node's own CPU for a ladder, of ffmpeg's", ratios, " %", 3, atMost),
		figure("  the node, a stream, of one core", own, " %", 0, shown),
		figure("  ffmpeg, a stream of three rungs, of one core", children, " %", 0, shown),
		figure("  the slowest rung behind the source", lags, " ms", 0, shown),
	}, nil
}

// ladderUse is what one turn took, in cores, and how far the slowest rung was behind, in seconds.
type ladderUse struct{ node, children, lag float64 }

// ladderCost publishes to a fresh node with the given settings and measures it and its children.
func ladderCost(ctx context.Context, o options, settings ...string) (u ladderUse, err error) {
	n, err := startNode(ctx, o.binary, settings...)
	if err != nil {
		return u, err
	}
	defer n.Stop()
	l, err := publishAll(ctx, n.RTMP, ladderStreams, 0)
	if err != nil {
		return u, err
	}
	defer l.Stop()
	if err := n.live(ctx, ladderStreams); err != nil {
		return u, err
	}
	rungs := len(settings) > 1
	if rungs {
		if err := load.Until(ctx, load.StartTimeout, "rungs of all streams", func() (bool, error) { _, err := n.slowestRung(); return err == nil, err }); err != nil {
			return u, err
		}
	}
	if err := load.Pause(ctx, 3*time.Second); err != nil {
		return u, err
	}
	if o.profiles != "" && rungs {
		defer n.profile(o.profiles, "ladder", o.seconds)()
	}
	before, err := childrenTime(n.PID())
	if err != nil {
		return u, err
	}
	used, wall, err := measure(ctx, n.PID(), o.seconds)
	if err != nil {
		return u, err
	}
	after, err := childrenTime(n.PID())
	if err != nil {
		return u, err
	}
	if err := l.Alive(); err != nil {
		return u, err
	}
	u.node, u.children = used.Seconds()/wall.Seconds(), (after-before).Seconds()/wall.Seconds()
	if rungs {
		u.lag, err = n.slowestRung()
	}
	return u, err
}

// slowestRung is how far the slowest rung of all streams is behind its source, in seconds.
func (n *node) slowestRung() (slowest float64, err error) {
	for i := range ladderStreams {
		b, _, err := get(n.HTTP, "/api/v1/streams/"+streamName(i))
		if err != nil {
			return 0, err
		}
		var s struct {
			Ladder struct {
				Rungs []struct {
					Lag    float64 `json:"lag_seconds"`
					Frames uint64  `json:"frames"`
				} `json:"rungs"`
			} `json:"ladder"`
		}
		if err := json.Unmarshal(b, &s); err != nil {
			return 0, err
		}
		if len(s.Ladder.Rungs) == 0 {
			return 0, errors.New("the stream has no rungs")
		}
		for _, r := range s.Ladder.Rungs {
			if r.Frames == 0 {
				return 0, fmt.Errorf("a rung of %s has no frames yet", streamName(i))
			}
			slowest = max(slowest, r.Lag)
		}
	}
	return slowest, nil
}
