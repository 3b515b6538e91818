package rtsp

import (
	"time"

	"pushcart/ingest"
)

// Bounds of holding media back until a sender report tells their time.
const (
	// longestHold is how long the first media may wait.
	longestHold = 500 * time.Millisecond
	// largestHold is how many bytes of them.
	largestHold = 4 << 20
)

// hold keeps the first units of a track back, with the time of their arrival, until the track's time of capture is known. The
// reports of ffmpeg and others come with the first packet, so that nothing waits, or over UDP for a moment. With cameras that
// send their first report after seconds the media go on longestHold after the first of them, with the time of their arrival;
// the reports that come later align the tracks and give the time of capture from then on.
//
// Payloads are kept as they are: gortsplib has a buffer for each packet, and never uses it again.
type hold struct {
	over  bool // nothing is held any more
	since time.Time
	size  int
	units []heldUnit // of all tracks that are held, as they came
}

// heldUnit is a unit, or the place at which something was lost.
type heldUnit struct {
	track *track
	unit
	lost    ingest.DropReason // "" for a unit
	ticks   int64
	arrived time.Time
}

// lost tells the track's sink of a loss, behind what is held back.
func (r *receiver) lost(t *track, reason ingest.DropReason) {
	if t.held {
		r.hold.units = append(r.hold.units, heldUnit{track: t, lost: reason})
		return
	}
	t.sink.lost(reason)
}

// settle releases everything when it was held for long enough.
func (r *receiver) settle(now time.Time) {
	if h := &r.hold; !h.over && !h.since.IsZero() &&
		(now.Sub(h.since) >= longestHold || h.size >= largestHold || len(h.units) >= mostPackets) {
		r.release(nil)
		h.over = true
	}
}

// release sends what is held of a track, or of all.
func (r *receiver) release(t *track) {
	kept := r.hold.units[:0]
	for _, h := range r.hold.units {
		switch {
		case t != nil && h.track != t:
			kept = append(kept, h)
			continue
		case h.lost != "":
			h.track.sink.lost(h.lost)
		default:
			r.send(h)
		}
		h.track.held = false
	}
	clear(r.hold.units[len(kept):])
	r.hold.units = kept
}
