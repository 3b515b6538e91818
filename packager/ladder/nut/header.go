package nut

import (
	"errors"
	"fmt"
	"math"
)

// Bounds on what headers may claim.
const (
	maxPacket     = 64 << 10 // bytes of a header; codec data is part of it
	maxBases      = 256      // time bases; a file of one stream has one
	maxCodeFields = 1 << 24  // size_mul and size_lsb of a frame code
	maxElided     = 1024     // bytes of all headers that frames leave out
	maxDelay      = 1000     // frames of decode_delay
	maxSide       = 1 << 16  // pixels
	maxRate       = 1 << 31  // ticks a second, and samples a second
	maxChannels   = 255
	maxReserved   = 255 // reserved fields in a frame's header
)

// frameCode says what a frame code stands for (nut.txt, main_header).
type frameCode struct {
	flags    uint64
	pts      int64  // pts_delta
	mul, lsb uint64 // data_size_mul, data_size_lsb
	stream   uint64
	reserved uint64
	header   uint64 // index of the header that is left out
}

// layout is what the headers say of how frames are stored.
type layout struct {
	codes       [256]frameCode
	elided      [][]byte // headers that are left out; the first is empty
	maxDistance uint64   // bytes
	pipe        bool
	bases       []timeBase
	base        uint64 // of the stream
	shift       int    // msb_pts_shift
	maxJump     int64  // max_pts_distance
}

// timeBase is the length of a tick in seconds.
type timeBase struct{ num, den uint64 }

var errShort = errors.New("ends before its last field, or has one that is not possible")

// readMain reads a main header (nut.txt, main_header; the fields of version 4 as ffmpeg has them).
func (l *layout) readMain(body []byte) error {
	f := fields{b: body}
	v := f.v()
	if v < 3 || v > 4 {
		return fmt.Errorf("version %d is not known", v)
	}
	if v > 3 {
		f.v() // minor version
	}
	if n := f.v(); n != 1 && !f.bad {
		return fmt.Errorf("a file of %d streams; there must be one", n)
	}
	l.maxDistance = min(f.v(), 65536)
	l.readBases(&f)
	l.readCodes(&f)
	l.elided = [][]byte{nil}
	if !f.bad && len(f.b) > 0 {
		l.readElided(&f)
	}
	if !f.bad && v > 3 && len(f.b) > 0 {
		l.pipe = f.v()&flagPipe != 0
	}
	if f.bad {
		return errShort
	}
	return nil
}

// readBases reads the time bases.
func (l *layout) readBases(f *fields) {
	n := f.at(maxBases)
	for range n {
		b := timeBase{f.at(math.MaxInt32), f.at(math.MaxInt32)}
		if b.num == 0 || b.den == 0 {
			f.bad = true
			return
		}
		l.bases = append(l.bases, b)
	}
}

// readCodes reads the table of frame codes. What a run of codes does not say is as with the one before, but for its size
// and its reserved fields.
func (l *layout) readCodes(f *fields) {
	run := frameCode{mul: 1}
	for i := 0; i < 256 && !f.bad; {
		count := l.readRun(f, &run)
		if left := 256 - i; count == 0 || count > uint64(left) {
			f.bad = true
			return
		}
		for ; count > 0 && i < 256; i++ {
			if i == 'N' {
				l.codes[i] = frameCode{flags: flagInvalid}
				continue
			}
			l.codes[i] = run
			run.lsb++
			count--
		}
	}
}

// readRun reads the fields of a run of frame codes and returns their number.
func (l *layout) readRun(f *fields, run *frameCode) (count uint64) {
	run.flags, run.lsb, run.reserved = f.v(), 0, 0
	n := f.v()
	if n > 0 {
		run.pts = f.s()
	}
	if n > 1 {
		run.mul = f.at(maxCodeFields)
	}
	if n > 2 {
		run.stream = f.v()
	}
	if n > 3 {
		run.lsb = f.at(maxCodeFields)
	}
	if n > 4 {
		run.reserved = f.at(maxReserved)
	}
	count = run.mul - run.lsb
	if n > 5 {
		count = f.v()
	}
	if n > 6 {
		f.s() // a time to match
	}
	if n > 7 {
		run.header = f.v()
	}
	for ; n > 8 && !f.bad; n-- {
		f.v()
	}
	if run.pts != int64(int32(run.pts)) {
		f.bad = true
	}
	return count
}

// readElided reads the headers that frames may leave out.
func (l *layout) readElided(f *fields) {
	total := 0
	for n := f.at(127); n > 0 && !f.bad; n-- {
		h := f.bytes()
		if total += len(h); len(h) == 0 || len(h) > 255 || total > maxElided {
			f.bad = true
			return
		}
		l.elided = append(l.elided, append([]byte(nil), h...))
	}
}

// readStream reads a stream header (nut.txt, stream_header).
func (l *layout) readStream(body []byte) (Stream, error) {
	f := fields{b: body}
	var s Stream
	f.at(0) // the stream's number
	class := f.v()
	if class > classAudio {
		return s, fmt.Errorf("stream class %d is neither video nor audio", class)
	}
	s.Video = class == classVideo
	tag := f.bytes()
	if len(tag) != 2 && len(tag) != 4 {
		f.bad = true
	}
	copy(s.Tag[:], tag)
	l.base = f.v()
	l.shift = int(f.at(maxPTSShift))
	l.maxJump = int64(min(f.v(), math.MaxInt64))
	s.Delay = int(f.at(maxDelay))
	f.v() // flags
	s.Config = append([]byte(nil), f.bytes()...)
	if s.Video {
		s.Width, s.Height = int(f.at(maxSide)), int(f.at(maxSide))
	} else {
		s.SampleRate = int(f.at(maxRate))
		if f.v() != 1 {
			f.bad = true // fractions of a sample a second
		}
		s.Channels = int(f.at(maxChannels))
	}
	if f.bad || l.base >= uint64(len(l.bases)) {
		return Stream{}, errShort
	}
	b := l.bases[l.base]
	if b.den%b.num != 0 {
		return Stream{}, fmt.Errorf("a tick of %d/%d s; a second must be a whole number of ticks", b.num, b.den)
	}
	s.Rate = int(b.den / b.num)
	return s, nil
}
