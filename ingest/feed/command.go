package feed

import (
	"slices"
	"time"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// Bounds of finding the frame of a command that came beside the media. Times are in 1/90,000 s.
const (
	recentPictures = 32
	// samePicture is how far two times of the same millisecond may lie apart.
	samePicture = 45
	// mostPending is how many commands may wait for their pictures.
	mostPending = 64
	// patience is how long a command waits for a picture whose time is near.
	patience = 500 * time.Millisecond
	// farAhead is how far ahead of the pictures a command's time may lie: the door knows what to do with others.
	farAhead = 10 * videoRate
)

// shown remembers the times of the pictures that came last. The door tells frames by their decoding times, and a command's
// time is one of presentation.
type shown struct {
	ring  [recentPictures]struct{ pts, dts int64 }
	count int
}

func (s *shown) note(pts, dts int64) {
	p := &s.ring[s.count%recentPictures]
	p.pts, p.dts = pts, dts
	s.count++
}

// last is the decoding time of the newest picture.
func (s *shown) last() int64 { return s.ring[(s.count-1)%recentPictures].dts }

// find returns the decoding time of the picture that is shown at a time, or of the next one behind it. It is sure once the picture has
// come or all that are shown before it.
func (s *shown) find(pts int64) (dts int64, sure bool) {
	var next int64
	found := false
	for i := s.count - 1; i >= max(0, s.count-recentPictures); i-- {
		p := &s.ring[i%recentPictures]
		if off := p.pts - pts; off >= -samePicture && off <= samePicture {
			return p.dts, true
		} else if off > 0 && (!found || p.pts < next) {
			next, dts, found = p.pts, p.dts, true
		}
	}
	if !found {
		return pts, false
	}
	return dts, s.last() >= pts
}

// pendingCommand waits for its picture.
type pendingCommand struct {
	data  *stream.Data
	until time.Time
}

// message counts a message that is no media, or drops it because there are too many: each one costs far more than its bytes.
func (f *Feed) message() bool {
	if f.messages.Take(f.opt.Now(), mostMessages, mostMessages) {
		return true
	}
	f.opt.Publication.Drop(ingest.DropExcessMessage)
	return false
}

// Data hands on a timed message of a protocol that has decoding times, if its size is within the limit and there are not too many: read
// makes it, nil when there is nothing to pass on.
func (f *Feed) Data(size int, read func() *stream.Data) error {
	if size > LargestMessage {
		f.opt.Publication.Drop(ingest.DropLargeMessage)
		return nil
	}
	if !f.message() {
		return nil
	}
	d := read()
	if d == nil {
		return nil
	}
	return f.opt.Publication.WriteData(d)
}

// Command hands on a card command that came beside the media, under one of stream's Data names, for the frame at a time in
// 1/90,000 s of the publisher's clock; 0 is now, for what has no time. Too many and too long ones are dropped and counted, and
// reply, where not nil, is told so.
func (f *Feed) Command(name string, pts90k int64, text []byte, reply func(stream.Reply)) error {
	refuse := func(why string) error {
		if reply != nil {
			reply(stream.Reply{Refused: why})
		}
		return nil
	}
	if len(text) > LargestMessage {
		f.opt.Publication.Drop(ingest.DropLargeMessage)
		return refuse("The command is too long: it has at most 16 KB.")
	}
	if !f.message() {
		return refuse("Too many commands: at most 200 a second are taken.")
	}
	d := &stream.Data{Name: name, PTS: f.commandTime(pts90k), Values: []any{string(text)}, Reply: reply}
	v := f.lead()
	if pts90k == 0 || v == nil {
		return f.opt.Publication.WriteData(d)
	}
	if off := d.PTS - v.shown.last(); off < -farAhead || off > farAhead {
		return f.opt.Publication.WriteData(d)
	}
	if len(f.pending) == mostPending {
		if err := f.release(0); err != nil {
			return err
		}
	}
	f.pending = append(f.pending, pendingCommand{data: d, until: f.opt.Now().Add(patience + max(0, ticks(d.PTS-v.shown.last())))})
	return f.settle()
}

func ticks(v int64) time.Duration { return time.Duration(v) * time.Second / videoRate }

// commandTime is the time of a command by the publisher's clock. One without a time belongs to the next picture.
func (f *Feed) commandTime(pts90k int64) int64 {
	if pts90k != 0 {
		return rescale(pts90k, videoRate, videoRate)
	}
	if v := f.lead(); v != nil {
		return v.shown.last() + samePicture + 1
	}
	for _, a := range f.audios {
		if a != nil && a.wrote {
			return a.at90k
		}
	}
	return 0
}

// lead is the video track to whose pictures commands belong: the lowest that has any.
func (f *Feed) lead() *Video {
	for _, v := range f.videos {
		if v != nil && v.shown.count > 0 {
			return v
		}
	}
	return nil
}

// settle passes on the commands whose pictures have come on the leading track, and those that have waited for too long: it is
// called with each frame of whatever track, since the leading one may have stopped.
func (f *Feed) settle() error {
	if len(f.pending) == 0 {
		return nil
	}
	v, now := f.lead(), f.opt.Now()
	for i := 0; i < len(f.pending); {
		p := &f.pending[i]
		dts, sure := v.shown.find(p.data.PTS)
		if !sure && now.Before(p.until) {
			i++
			continue
		}
		p.data.PTS = dts
		if err := f.release(i); err != nil {
			return err
		}
	}
	return nil
}

// Flush passes on the commands that still wait for their pictures, because nothing follows. To be called before the publication
// is closed.
func (f *Feed) Flush() error {
	for len(f.pending) > 0 {
		if err := f.release(0); err != nil {
			return err
		}
	}
	return nil
}

// release passes on a command that waited.
func (f *Feed) release(i int) error {
	d := f.pending[i].data
	f.pending = slices.Delete(f.pending, i, i+1)
	return f.opt.Publication.WriteData(d)
}
