package node

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Garbage collection is paced by what the heap holds. By Go's default the heap doubles between two collections, which for
// a node that holds half a gigabyte of media means another half of garbage. Media deserve less room than that: their bytes
// hold no pointers, so that a collection costs the same for one stream as for a hundred, and they become garbage no faster
// than they arrive.
const (
	// mediaRoom is what part of the media's size may be garbage: one in so many bytes.
	mediaRoom = 10
	// mediaWaste is by how much the allocator rounds parts up: one in so many bytes.
	mediaWaste = 8
	// leastRoom in bytes, as the Go runtime has it.
	leastRoom = 4 << 20
	// Bounds of the percentage.
	leastPercent, mostPercent = 10, 400
	memoryInterval            = 5 * time.Second
)

// gcPercent is the collector's pace for a heap of live bytes, of which media are the windows': everything else has the room
// that Go gives by default, as much again.
func gcPercent(live, media int64) int {
	other := live - media - media/mediaWaste
	room := media/mediaRoom + max(leastRoom, other)
	return int(min(max(100*room/max(live, 1), leastPercent), mostPercent))
}

// paceMemory adapts the collector to the media in memory until ctx ends. An operator's GOGC stands.
func (n *Node) paceMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	now := 100
	defer func() { debug.SetGCPercent(100) }()
	tick := time.NewTicker(memoryInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(live)
		want := gcPercent(int64(live[0].Value.Uint64()), int64(n.registry.Bytes()))
		// A change stops the world for a moment, so it must be worth it.
		if d := want - now; d > now/8 || -d > now/8 {
			now = want
			debug.SetGCPercent(now)
		}
	}
}
