package main

import (
	"context"
	"fmt"
	"time"

	"pushcart/internal/load"
)

const (
	memoryStreams  = 20
	memoryPerMedia = 1.3     // of the window's bytes
	memoryPerShow  = 2 << 20 // bytes a stream
	idleViewers    = 1000
	mega           = 1e6
)

// memoryRow measures what full windows and waiting viewers take.
func memoryRow(ctx context.Context, o options) ([]row, error) {
	rows, err := windowMemory(ctx, o)
	if err != nil {
		return rows, err
	}
	var each samples
	for turn := range o.runs {
		v, err := viewerMemory(ctx, o)
		if err != nil {
			return rows, err
		}
		progress("memory %d/%d: %.1f KB per waiting viewer", turn+1, o.runs, v/1024)
		each.add(v / 1024)
	}
	return append(rows, figure(fmt.Sprintf("Memory per idle waiting viewer, of %d", idleViewers), each, " KB", 24, atMost)), nil
}

// windowMemory holds a node's RSS against the media that it keeps.
func windowMemory(ctx context.Context, o options) ([]row, error) {
	var settings []string
	ahead := 3 * fullWindow // for the garbage of the time after it has filled
	if o.quick {
		settings = []string{"PUSHCART_HLS_DVR=12s", "PUSHCART_HLS_MAX_SEGMENT_DURATION=2s"}
		ahead = 100 * time.Second
	}
	n, err := startNode(ctx, o.binary, settings...)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	l, err := publishAll(ctx, n.RTMP, memoryStreams, ahead)
	if err != nil {
		return nil, err
	}
	defer l.Stop()
	if err := n.live(ctx, memoryStreams); err != nil {
		return nil, err
	}
	var shares, sizes, windows samples
	for end := time.Now().Add(2 * o.seconds); time.Now().Before(end); {
		bytes, err := n.metric("pushcart_window_bytes")
		if err != nil {
			return nil, err
		}
		rss, err := load.Resident(n.PID())
		if err != nil {
			return nil, err
		}
		sizes.add(float64(rss) / mega)
		windows.add(bytes / mega)
		shares.add(float64(rss) / (memoryPerMedia*bytes + memoryStreams*memoryPerShow))
		if err := load.Pause(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
	if err := l.Alive(); err != nil {
		return nil, err
	}
	progress("memory: %.0f MB resident, %.0f MB of media", sizes.quantile(1), windows.median())
	return []row{
		figure(fmt.Sprintf("Memory of %d streams, against media x 1.3 + 2 MB each", memoryStreams), shares, "", 1, atMost),
		figure("  resident", sizes, " MB", 0, shown),
		figure("  media in the windows", windows, " MB", 0, shown),
	}, nil
}

// viewerMemory returns how many bytes a viewer costs that waits for a publisher to return.
func viewerMemory(ctx context.Context, o options) (float64, error) {
	n, err := startNode(ctx, o.binary, "PUSHCART_HTTP_MAX_WAITING_PER_ADDRESS=1000000")
	if err != nil {
		return 0, err
	}
	defer n.Stop()
	l, err := publishAll(ctx, n.RTMP, 1, 20*time.Second)
	if err != nil {
		return 0, err
	}
	defer l.Stop()
	v, err := dialViewer(n.HTTP)
	if err != nil {
		return 0, err
	}
	defer v.Close()
	// Some requests of each kind first, so that what the node makes once is not taken for the viewers'.
	playlist := "/live/" + streamName(0) + "/video.m3u8"
	var at position
	for range 200 {
		a, err := v.Get(playlist, true)
		if err != nil {
			return 0, err
		}
		text, err := unzipped(a)
		if err != nil {
			return 0, err
		}
		var uri string
		if uri, at, err = hint(text); err != nil {
			return 0, err
		}
		if at.part%4 == 0 {
			if _, err := v.Get("/live/"+streamName(0)+"/"+uri, false); err != nil {
				return 0, err
			}
		}
	}
	l.Stop()
	if err := n.live(ctx, 0); err != nil {
		return 0, err
	}
	a, err := v.Get(playlist, true)
	if err != nil {
		return 0, err
	}
	text, err := unzipped(a)
	if err != nil {
		return 0, err
	}
	if _, at, err = hint(text); err != nil {
		return 0, err
	}
	return waitingMemory(ctx, n, reload(streamName(0), at))
}

// waitingMemory has a crowd ask for what does not come, and returns by how much the node grows for each of them.
func waitingMemory(ctx context.Context, n *node, path string) (float64, error) {
	before, err := load.Resident(n.PID())
	if err != nil {
		return 0, err
	}
	for range idleViewers {
		v, err := dialViewer(n.HTTP)
		if err != nil {
			return 0, err
		}
		defer v.Close()
		if err := v.Send(v.Request(path, true)); err != nil {
			return 0, err
		}
	}
	err = load.Until(ctx, 5*time.Second, fmt.Sprintf("%d waiting requests", idleViewers), func() (bool, error) {
		waiting, err := n.metric("pushcart_hls_waiting_requests")
		return int(waiting) == idleViewers, err
	})
	if err != nil {
		return 0, err
	}
	after, err := load.Resident(n.PID())
	return float64(after-before) / idleViewers, err
}
