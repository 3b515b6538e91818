package feed

import "math"

// mostReorder is how many pictures may precede another in decoding order and follow it in output order: the largest decoded
// picture buffer of H.264 and HEVC has 16.
const mostReorder = 16

// Bounds of what passes for the same stretch of time, in 1/90,000 s.
const (
	orderAhead = 3 * 90000
	orderBack  = 10 * 90000
	// orderStep is how far back a clock steps to be another one; the door takes the same for that.
	orderStep = 90000 / 2
)

// order finds decoding times for pictures that come in decoding order with presentation times only. When at most n pictures
// may precede another in decoding order and follow it in output order, then the decoding time of a picture is the presentation
// time that is the n+1st latest of all pictures so far: it rises, lies at or before the picture's own presentation, and is exact
// at a constant frame rate. A lost picture leaves a hole in it and nothing else. n is what the codec data say; where they say
// too little, it shows.
//
// No picture in front of a key frame is shown after it (ITU-T H.264 C.4.4, H.265 7.4.2.2), and no more than mostReorder are shown
// after any other: what comes like that is by a clock that stepped back.
type order struct {
	started bool
	hole    bool                   // all up to the next key frame was dropped
	depth   int                    // n
	latest  [mostReorder + 1]int64 // presentation times, the latest first
	last    int64                  // decoding time of the picture before
	seen    int                    // pictures since quiet began
	shrunk  bool                   // depth was found to be too large, once
}

// quietPictures is how many pictures without reordering tell that the codec data claimed it for nothing.
const quietPictures = 256

// claim sets what the codec data say.
func (o *order) claim(depth int) {
	*o = order{depth: min(max(depth, 0), mostReorder), last: o.last, started: o.started, hole: o.hole, latest: o.latest}
}

// lost tells that the pictures up to the next key frame were dropped, which is the next that comes.
func (o *order) lost() { o.hole = true }

// next takes the presentation time of the next picture, in 1/90,000 s, and tells its decoding time. duration is that of a
// picture as far as that is known.
func (o *order) next(pts, duration int64, key bool) int64 {
	switch {
	case !o.started, o.hole, pts > o.latest[0]+orderAhead, pts < o.last-orderBack, key && pts <= o.latest[0], !o.insert(pts):
		o.restart(pts, duration)
	}
	o.last = max(o.latest[o.depth], o.last+1)
	return o.last
}

// restart begins with a picture that nothing precedes, as if pictures had come before it.
func (o *order) restart(pts, duration int64) {
	if !o.started || pts < o.last-orderStep {
		o.last = math.MinInt64 // another clock, which the door sees
	}
	o.started, o.hole, o.seen = true, false, 0
	for i := range o.latest {
		o.latest[i] = pts - int64(i)*duration
	}
}

// insert puts a picture among the latest ones; false when it cannot be one of them. How many of them are later is how far it was
// reordered.
func (o *order) insert(pts int64) bool {
	later := 0
	for later < len(o.latest) && o.latest[later] > pts {
		later++
	}
	if later == len(o.latest) {
		return false
	}
	copy(o.latest[later+1:], o.latest[later:])
	o.latest[later] = pts
	if later > 0 {
		o.depth, o.seen = max(o.depth, later), 0
		return true
	}
	if o.seen++; o.seen == quietPictures && !o.shrunk {
		// Some encoders claim the most that a decoder could have to expect.
		o.depth, o.shrunk = 0, true
	}
	return true
}
