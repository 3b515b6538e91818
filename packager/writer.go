package packager

import (
	"math"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/fmp4"
	"pushcart/packager/window"
)

// writer makes one rendition's parts. All its times are on the stream's timeline.
type writer struct {
	p     *Packager
	own   *rendition // whose parts they are
	r     *window.Rendition
	track *stream.Track
	init  *window.Init

	pending *cut         // begins with the next part
	segment window.Ticks // announced start of the present segment
	started bool         // a segment has begun in this era
	end     window.Ticks // announced end of what is closed; the start of the open part

	sequence uint32
	earlier  uint32 // what sequence began with in the chunks, where the presentation is continued
	decode   int64  // decoding time of the next sample, in the track's ticks
	fresh    bool   // decode is to be taken from the next frame
	skipped  bool   // the last part is a gap
	samples  []fmp4.Sample
	dts, pts []int64
	payload  []byte
	slab     []byte // memory for parts: its length is in use, the rest is for the next ones

	arrived time.Time // of the last frame; zero when it is not known

	lastDTS  int64 // of the last frame, ticks of the track
	interval int64 // predicted distance of DTS, ticks of the track
	measured int   // how many distances went into interval
	odd      int   // distances in a row that were far from interval
	hinted   bool  // the last part announced a cut behind it

	rate   float64 // that the variants state, of video
	surely bool    // they were made, or looked at, when many frames had come

	msn      int64    // of the present segment, or of the pending one
	cue      int      // number of the first message of the leading rendition that this one has not carried
	missed   *telling // the last of those for whose time this one had nothing
	repeatAs uint32   // of the leading one: number of the message that tells the state again in its next part; 0 for none
	set      int      // number of the first set of date ranges that no part has had
	alone    bool     // audio that has carried messages
	front    []byte   // event messages of the part that is being written
}

// begin makes the next part the first one behind c.
func (w *writer) begin(c *cut) {
	w.pending = c
	w.repeatAs, w.msn = c.id, c.msn
	w.segment = w.end
	w.started = true
}

// restart takes the writer to a new era, or to another place on the timeline.
func (w *writer) restart(at window.Ticks) {
	w.end, w.segment = at, at
	w.started, w.fresh = false, true
	w.pending = nil
	w.skipped = false
	w.lastDTS = -1
}

// reached is the announced time up to which the rendition's frames have come.
func (w *writer) reached() window.Ticks {
	if w.open() {
		return inTicks(w.lastDTS+w.frameTicks(), w.track)
	}
	return w.end
}

// open tells whether the present part has samples.
func (w *writer) open() bool { return len(w.samples) > 0 }

// holes is how much of a second must be missing in front of a key frame for decoding time to begin anew with it, instead
// of having its part last from before the hole. Behind an announced gap it does in any case.
const holes = 4

// add puts a frame into the open part.
func (w *writer) add(f *stream.Frame) {
	w.put(f)
	if w == w.p.lead {
		w.p.seen(w, f)
	}
}

func (w *writer) put(f *stream.Frame) {
	hole := f.Key && !w.open() && f.DTS-w.decode > int64(w.track.ClockRate/holes)
	if w.fresh || hole || w.skipped && f.Key {
		w.fresh = false
		w.decode = f.DTS
	}
	w.skipped = false
	pts := f.PTS
	if missing := f.DTS - w.decode; w.r.Video && f.Key && w.pending != nil && !w.open() && w.started && missing > w.interval*3/2 {
		pts -= missing // pictures in front of it are lost: it is shown in their stead from where its segment is dated
	}
	w.samples = append(w.samples, fmp4.Sample{Size: uint32(len(f.Payload)), Key: f.Key})
	w.dts = append(w.dts, f.DTS)
	w.pts = append(w.pts, pts)
	w.payload = append(w.payload, f.Payload...)
	w.lastDTS, w.arrived = f.DTS, f.Arrived
}

// close ends the open part at the announced time end, or where the part target does. next is the decoding time of the frame that follows, in the track's
// ticks: known, or predicted so that the part need not wait for it.
//
// A wrong prediction is made good in the part after: its first sample starts in decoding time where this part's last one
// ends, so that decoding time has neither holes nor overlaps (players take a hole for a seek and wait for a key frame),
// and its composition offset takes up the difference, so that presentation times are exact.
func (w *writer) close(end window.Ticks, next int64) {
	w.p.settle(w)
	if w.repeatAs == 0 && w == w.p.lead && w.r.Video && w.samples[0].Key {
		w.repeatAs = w.p.newID() // players join at each part that decoding can start with
	}
	end = min(end, w.end+w.p.target, w.latest())
	next = min(next, stream.Rescale(end, window.Rate, w.track.ClockRate))
	decode := w.decode
	for i := range w.samples {
		following := next
		if i+1 < len(w.dts) {
			following = w.dts[i+1]
		}
		d := max(1, following-w.decode)
		w.samples[i].Duration = uint32(d)
		w.samples[i].Offset = int32(w.pts[i] - w.decode)
		w.decode += d
	}
	w.sequence++
	w.hinted = w.p.expectCut(w, end)
	w.append(window.Part{
		Data:        w.chunk(decode),
		Duration:    max(1, end-w.end),
		Independent: w.samples[0].Key,
		ExpectCut:   w.hinted,
	})
	w.samples, w.dts, w.pts, w.payload = w.samples[:0], w.dts[:0], w.pts[:0], w.payload[:0]
}

// flush closes the open part, if there is one, behind its last frame.
func (w *writer) flush() { w.flushBefore(math.MaxInt64) }

// flushBefore does so in front of a decoding time, in the track's ticks, that may come sooner than the frame's length tells.
func (w *writer) flushBefore(dts int64) {
	if w.open() {
		if w == w.p.lead {
			w.p.bindLast(w)
		}
		next := min(w.lastDTS+w.frameTicks(), max(dts, w.lastDTS+1))
		w.close(inTicks(next, w.track), next)
	}
}

// Bounds of a slab in bytes, but for a part that is bigger by itself.
const (
	leastSlab = 16 << 10
	mostSlab  = 512 << 10
	slabParts = 12
)

// chunk writes the open part's bytes. Parts share slabs of memory: a segment then goes to a viewer in one or two writes
// instead of one for each part, and the allocator rounds up a slab rather than every part.
func (w *writer) chunk(decode int64) []byte {
	w.front = w.messages(w.front[:0])
	size := len(w.front) + fmp4.ChunkSize(len(w.samples), len(w.payload))
	if cap(w.slab)-len(w.slab) < size {
		w.slab = make([]byte, 0, max(size, min(max(slabParts*size, leastSlab), mostSlab)))
	}
	from := len(w.slab)
	w.slab = append(w.slab, w.front...)
	w.slab = fmp4.AppendChunk(w.slab, w.earlier+w.sequence, decode, w.samples, w.payload)
	return w.slab[from:]
}

// latest is where the present segment has to end at the latest, for its EXTINF, rounded to whole seconds, not to exceed the target
// duration (rfc8216bis 4.4.3.1). The leading rendition ends it sooner, but not where the next picture of a following one, whose
// offset may have become another, has its place.
func (w *writer) latest() window.Ticks {
	return w.segment + window.Ticks(w.p.out.Settings.TargetDuration)*window.Rate + window.Rate*45/100
}

// full tells whether the open part, ending at the given time, lasts long enough to be closed (rfc8216bis 4.4.4.9).
func (w *writer) full(end window.Ticks) bool { return (end-w.end)*100 >= w.p.target*fullPercent }

// gap announces that there is nothing until the given time, in parts no longer than the target.
func (w *writer) gap(until window.Ticks) {
	w.p.settle(w)
	w.tellUnseen()
	w.skipped = true
	for until = min(until, w.latest()); until > w.end; {
		length := min(w.p.target, until-w.end)
		cut := w != w.p.lead && w.p.expectCut(w, w.end+length)
		w.append(window.Part{Gap: true, Duration: length, ExpectCut: cut})
		w.skipTold(w.end + w.own.offset)
		w.p.opt.Metrics.gaps.Inc()
	}
}

// append hands a part to the window.
func (w *writer) append(part window.Part) {
	var begin *window.Segment
	if c := w.pending; c != nil {
		b := c.begin
		b.Init = w.init
		begin = &b
		w.pending = nil
	}
	w.end += part.Duration
	part.Ranges = w.ranges(w.end, !part.Gap)
	if w.own.rung != nil && w != w.p.lead {
		w.p.measure(w.own, part.Gap)
	}
	part.Lag = w.p.lag
	w.p.out.Append(w.r, part, begin)
	w.p.parted = true
	w.p.opt.Metrics.part(w.r.Video, len(part.Data), begin != nil)
	w.told(&part)
}

// predict updates the expected distance to the next frame after one with the given DTS came behind one with the DTS last,
// which is negative where there was none.
func (w *writer) predict(last, dts int64) {
	rate := int64(w.track.ClockRate)
	if last < 0 {
		if w.measured == 0 && w.track.FrameRate >= 1 && w.track.FrameRate <= 240 {
			w.interval = int64(float64(rate)/w.track.FrameRate + 0.5)
		} else if w.interval == 0 {
			w.interval = rate / 30
		}
		return
	}
	d := min(max(dts-last, rate/240), rate)
	switch far := d > 2*w.interval || 2*d < w.interval; {
	case w.measured == 0:
		w.interval, w.odd = d, 0
	case far && w.odd < 2:
		w.odd++ // a pause, until it turns out to be a new rate
	case far:
		w.interval, w.odd = d, 0
	default:
		w.interval += (d - w.interval) / int64(min(w.measured+1, 8))
		w.odd = 0
	}
	w.measured++
}

// length is the predicted distance in window ticks.
func (w *writer) length() window.Ticks { return inTicks(w.interval, w.track) }
