package packager

import (
	"math"
	"slices"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// How cards are marked in the media: "Carriage of ID3 Timed Metadata in CMAF", 2.2.
const (
	cueScheme = "https://aomedia.org/emsg/ID3"
	cueValue  = "live.pushcart.cards"
)

// Bounds of cues.
const (
	// recentFrames is how many of the leading rendition's frames are remembered, to find the one that is meant.
	recentFrames = 64
	// lateParts is how many part targets behind the open part a frame may be and still get a message. Players stay three
	// behind the newest part, so that they have the message before they show the frame.
	lateParts = 2
	// deepestReorder is how many pictures may come between a picture and one that is shown before it (H.264 A.4.2, HEVC A.4.2).
	deepestReorder = 16
	// mostAtOnce is how many states may begin with the same frame and all be sent, although only the last is ever seen.
	mostAtOnce = 16
	// mostRanges is how many date ranges are kept; the oldest closed ones go first.
	mostRanges = 4096
)

// cue is a state bound to a frame.
type cue struct {
	at      window.Ticks // presentation time of the frame
	date    time.Time    // of the frame
	id      uint32
	message []byte
	open    []window.DateRange

	since     time.Time // when the state was announced; zero where that is not what made it wait
	published func()    // nil is nobody
}

// cues binds announcements to frames of the leading rendition, and remembers what the others have still to carry.
type cues struct {
	waiting []Announcement // in order, for their frame
	bound   []cue          // in order of time, for the leading rendition's next part
	last    cue            // the last one that was bound
	lastID  uint32

	frames [recentFrames]mark // a ring
	next   int                // where the next frame goes in it

	told    []telling // what the leading rendition has told, in order
	base    int       // number of told[0], counted from the first of all
	state   []byte    // message of the last state that it told
	stateAt window.Ticks

	sets    []rangeSet // as the leading rendition published them; the last one is in force
	setBase int        // number of sets[0]

	fresh []cue // told by the leading rendition's part that is being published

	repeated window.Ticks // the latest time at which a state was told again
}

// mark is a frame that was seen: the n-th.
type mark struct {
	era, n int
	pts    window.Ticks
}

// rangeSet is the date ranges from a time on.
type rangeSet struct {
	at  window.Ticks
	set *window.RangeSet
}

// newID numbers a message. The numbers begin with the time of day, so that those of a node's next life are others.
func (p *Packager) newID() uint32 {
	p.cues.lastID++
	return p.cues.lastID
}

// seen notes a frame of the leading rendition and binds what was waiting for it.
func (p *Packager) seen(w *writer, f *stream.Frame) {
	c := &p.cues
	p.takeInbox()
	pts, dts := inTicks(f.PTS, f.Track), inTicks(f.DTS, f.Track)
	p.ahead.Store(int64(p.dateOf(pts).Sub(p.opt.Now())))
	c.frames[c.next%recentFrames] = mark{p.era, c.next, pts}
	c.next++
	if len(c.waiting) == 0 {
		return
	}
	done := 0
	for ; done < len(c.waiting); done++ {
		a := &c.waiting[done]
		at, late, ok := p.frameFor(w, a, pts, dts)
		if !ok {
			break
		}
		if late {
			p.opt.Metrics.late.Inc()
		}
		p.bind(a, at)
	}
	c.waiting = slices.Delete(c.waiting, 0, done)
}

// takeInbox takes what was announced. Of what waits too long, the oldest goes: each state replaces the one before.
func (p *Packager) takeInbox() {
	c := &p.cues
	var dropped int
	c.waiting, dropped = p.inbox.take(c.waiting)
	if n := len(c.waiting) - mostInbox; n > 0 {
		c.waiting = slices.Delete(c.waiting, 0, n)
		dropped += n
	}
	if dropped > 0 {
		p.opt.Metrics.superseded.Add(float64(dropped))
	}
}

// bindLast binds what came with the pictures of the open part, which is the last one for now: no picture will come that is
// shown before them.
func (p *Packager) bindLast(w *writer) {
	c := &p.cues
	p.takeInbox()
	done := 0
	for ; done < len(c.waiting) && c.waiting[done].Framed; done++ {
		at, late, ok := p.frameFor(w, &c.waiting[done], 0, math.MaxInt64/2)
		if !ok || late {
			break
		}
		p.bind(&c.waiting[done], at)
	}
	c.waiting = slices.Delete(c.waiting, 0, done)
}

// frameFor finds the presentation time of the frame at which an announcement takes effect; false while it is not known.
// pts and dts are those of the frame that has just come.
func (p *Packager) frameFor(w *writer, a *Announcement, pts, dts window.Ticks) (at window.Ticks, late, ok bool) {
	want := a.PTS
	switch {
	case a.Framed && a.Era > p.era:
		return 0, false, false
	case a.Framed && a.Era < p.era:
		return pts, true, true
	case a.Framed:
	case a.At.IsZero() || p.current == nil:
		if pts-dts > p.keyOffset && a.passed < deepestReorder/4 {
			a.passed++ // pictures that come later are shown before this one
			return 0, false, false
		}
		return pts, false, true
	default:
		want = p.current.at + window.FromDuration(a.At.Sub(p.current.begin.Wall))
	}
	best, found, since := window.Ticks(0), false, 0
	for _, m := range p.cues.recent() {
		if m.era == p.era && m.pts >= want && (!found || m.pts < best) {
			best, found, since = m.pts, true, p.cues.next-1-m.n
		}
	}
	switch {
	case !found:
		return 0, false, false
	case since == recentFrames-1 && best > want, best < w.end-lateParts*p.target:
		return pts, true, true // players may have shown that frame
	case best > dts+w.length() && since < deepestReorder:
		return 0, false, false // a frame between may come, to be shown before it
	}
	return best, false, true
}

// recent is the frames remembered, in no order.
func (c *cues) recent() []mark { return c.frames[:min(c.next, recentFrames)] }

// bind makes a cue.
func (p *Packager) bind(a *Announcement, at window.Ticks) {
	c := &p.cues
	earliest := c.repeated // a segment that begins later has told the state before again: a player would go back to that
	if !c.last.date.IsZero() {
		earliest = max(earliest, c.last.at)
	}
	if at < earliest {
		at = earliest
		if a.Framed || !a.At.IsZero() {
			p.opt.Metrics.late.Inc()
		}
	}
	p.opt.Metrics.cues.Inc()
	made := cue{at: at, date: p.dateOf(at), message: a.Message, open: a.Open, published: a.Published}
	if a.At.IsZero() && a.since.After(p.returned) {
		made.since = a.since // what waited for its time, or for a publisher, was not slow
	}
	if a.Bound != nil {
		a.Bound()
	}
	if made.date.Before(c.last.date) {
		made.date = c.last.date
	}
	same := 0
	for same < len(c.bound) && c.bound[len(c.bound)-1-same].at == at {
		same++
	}
	if same >= mostAtOnce {
		p.opt.Metrics.superseded.Inc()
		made.id = c.last.id
		c.bound = c.bound[:len(c.bound)-1]
	} else {
		made.id = p.newID()
	}
	c.last = made
	c.bound = append(c.bound, made)
}

// dateOf is the EXT-X-PROGRAM-DATE-TIME of a presentation time.
func (p *Packager) dateOf(at window.Ticks) time.Time {
	if p.current == nil {
		return p.opt.Now()
	}
	return p.current.begin.Wall.Add(window.Duration(at - p.current.at)).Truncate(time.Millisecond)
}

// Clock is the time of capture that the stream has reached: that of the newest frame, moved on with the clock since it came.
// Before the first frame it is the clock. It may be called from any goroutine.
func (p *Packager) Clock() time.Time { return p.opt.Now().Add(time.Duration(p.ahead.Load())) }

// ranges returns the date ranges of the part that is about to be appended and ends at the given time; nil where they are as
// before it. The leading rendition decides: cards that came and went within one of its parts are left out. The others follow
// where they get as far.
func (w *writer) ranges(end window.Ticks, media bool) *window.RangeSet {
	p, c := w.p, &w.p.cues
	if w == p.lead && media {
		p.newRanges(w) // with the part that has the messages
	}
	var found *window.RangeSet
	for i := range c.sets {
		if s := &c.sets[i]; c.setBase+i >= w.set && (w == p.lead || s.at < end) {
			found, w.set = s.set, c.setBase+i+1
		}
	}
	p.forgetTold()
	p.forgetSets()
	return found
}

// forgetSets drops the sets that all renditions have, but for the last one.
func (p *Packager) forgetSets() {
	c := &p.cues
	done := c.setBase + len(c.sets) - 1
	for _, r := range p.renditions {
		if r.w != nil {
			done = min(done, r.w.set-1)
		}
	}
	if done > c.setBase {
		c.sets = slices.Delete(c.sets, 0, done-c.setBase)
		c.setBase = done
	}
}

// newRanges makes another set where cues came since the last one.
func (p *Packager) newRanges(w *writer) {
	c := &p.cues
	fresh := c.bound
	if len(fresh) == 0 {
		return
	}
	c.bound = c.bound[:0]
	var old []window.DateRange
	if n := len(c.sets); n > 0 {
		old = c.sets[n-1].set.All
	}
	set := keptRanges(old, w.r.Load(), p.out.Settings.RemovedFor())
	for i := range set {
		if set[i].End.IsZero() {
			set[i].End = vanished(set[i].ID, fresh)
		}
	}
	for _, o := range fresh[len(fresh)-1].open {
		if !slices.ContainsFunc(set, func(d window.DateRange) bool { return d.ID == o.ID }) {
			o.Start = appeared(o.ID, fresh)
			set = append(set, o)
		}
	}
	if !slices.Equal(set, old) {
		c.sets = append(c.sets, rangeSet{at: fresh[0].at, set: &window.RangeSet{All: set}})
	}
	c.fresh = append(c.fresh, fresh...)
	clear(fresh)
}

// vanished is the date of the first cue without a range; zero when all have it.
func vanished(id string, list []cue) time.Time {
	for i := range list {
		if !slices.ContainsFunc(list[i].open, func(d window.DateRange) bool { return d.ID == id }) {
			return list[i].date
		}
	}
	return time.Time{}
}

// appeared is the date of the first cue with a range, which the last one has.
func appeared(id string, list []cue) time.Time {
	i := slices.IndexFunc(list, func(c cue) bool {
		return slices.ContainsFunc(c.open, func(d window.DateRange) bool { return d.ID == id })
	})
	return list[i].date
}

// keptRanges copies the ranges without those that ended too long ago.
func keptRanges(old []window.DateRange, s *window.Snapshot, after time.Duration) []window.DateRange {
	set := make([]window.DateRange, 0, len(old)+2)
	var horizon time.Time
	if len(s.Segments) > 0 {
		horizon = s.Segments[s.Listed].Wall.Add(-after)
	}
	excess := len(old) + 2 - mostRanges
	for _, d := range old {
		if !d.End.IsZero() && (d.End.Before(horizon) || excess > 0) {
			excess--
			continue
		}
		set = append(set, d)
	}
	return set
}
