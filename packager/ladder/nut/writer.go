package nut

// What is written into headers.
const (
	version      = 4
	minorVersion = 1
	maxDistance  = 32767 // bytes between startcodes: what nut.txt recommends at most
)

// Codes of frames that Append uses; all others are marked invalid. The flags of a frame of code c are codeFlags[c].
const (
	codeOther = 1 + iota // not a key frame
	codeKey
	codeOtherChecked // with a checksum of the frame's header
	codeKeyChecked
	codesEnd
)

// codeFlags are the flags of the codes above. Each frame has its timestamp and its size in its header.
var codeFlags = [codesEnd]uint64{
	0:                flagInvalid,
	codeOther:        flagCodedPTS | flagSizeMSB,
	codeKey:          flagCodedPTS | flagSizeMSB | flagKey,
	codeOtherChecked: flagCodedPTS | flagSizeMSB | flagChecksum,
	codeKeyChecked:   flagCodedPTS | flagSizeMSB | flagChecksum | flagKey,
}

// AppendHeader appends to b what a file begins with: the file id, the main header, the stream header, and for pictures their
// rate. What it writes of s is not checked; ffmpeg refuses a size, a sample rate or a number of channels of 0.
func AppendHeader(b []byte, s Stream) []byte {
	b = append(b, fileID...)
	b = appendPacket(b, mainStart, mainHeader(s))
	b = appendPacket(b, streamStart, streamHeader(s))
	if s.Video {
		b = appendPacket(b, infoStart, rateInfo(s.FrameRate))
	}
	return b
}

// mainHeader makes the body of a main header (nut.txt, main_header, with the fields that version 4 adds).
func mainHeader(s Stream) []byte {
	b := appendV(nil, version)
	b = appendV(b, minorVersion)
	b = appendV(b, 1) // streams
	b = appendV(b, maxDistance)
	b = appendV(b, 1) // time bases
	b = appendV(b, 1) // seconds
	b = appendV(b, uint64(s.Rate))
	for _, flags := range codeFlags {
		b = appendV(b, flags)
		b = appendV(b, 0) // no fields: one code, of size 0 plus what the frame's header says
	}
	b = appendV(b, flagInvalid)
	b = appendV(b, 6)              // fields:
	b = appendV(b, 0)              // PTS
	b = appendV(b, 1)              // multiplier of the size
	b = appendV(b, 0)              // stream
	b = appendV(b, 0)              // size
	b = appendV(b, 0)              // reserved
	b = appendV(b, 256-1-codesEnd) // count: all that are left, without 'N', which does not count
	b = appendV(b, 0)              // headers that are left out
	return appendV(b, flagPipe)
}

// streamHeader makes the body of a stream header (nut.txt, stream_header).
func streamHeader(s Stream) []byte {
	class := uint64(classAudio)
	if s.Video {
		class = classVideo
	}
	tag := s.Tag[:]
	if tag[2] == 0 && tag[3] == 0 {
		tag = tag[:2]
	}
	b := appendV(nil, 0) // stream
	b = appendV(b, class)
	b = appendV(b, uint64(len(tag)))
	b = append(b, tag...)
	b = appendV(b, 0) // time base
	b = appendV(b, maxPTSShift)
	b = appendV(b, uint64(s.Rate)) // ticks between frames without a checksum
	b = appendV(b, uint64(s.Delay))
	b = appendV(b, 0) // flags
	b = appendV(b, uint64(len(s.Config)))
	b = append(b, s.Config...)
	if s.Video {
		b = appendV(b, uint64(s.Width))
		b = appendV(b, uint64(s.Height))
		b = appendV(b, 0)    // aspect ratio of samples: the codec knows
		b = appendV(b, 0)    //
		return appendV(b, 0) // colour space: the codec knows
	}
	b = appendV(b, uint64(s.SampleRate))
	b = appendV(b, 1)
	return appendV(b, uint64(s.Channels))
}

// Writer makes the frames of one file. It is for one goroutine.
type Writer struct {
	rate    int64
	delay   int
	started bool
	last    int64 // PTS
}

// NewWriter makes a Writer of the frames that follow what AppendHeader makes of s.
func NewWriter(s Stream) *Writer { return &Writer{rate: int64(s.Rate), delay: s.Delay} }

// Append appends f to b, in the order of decoding. A frame with a PTS below 0 is left out: NUT has no timestamps before 0.
func (w *Writer) Append(b []byte, f Frame) []byte {
	if f.PTS < 0 {
		return b
	}
	if !w.started {
		w.started = true
		b = w.appendSyncpoint(b, f.PTS)
	}
	checked := len(f.Payload) > 2*maxDistance || distance(f.PTS, w.last) > w.rate
	start := len(b)
	b = append(b, frameCodeOf(f.Key, checked))
	b = appendV(b, codedPTS(f.PTS, w.last))
	b = appendV(b, uint64(len(f.Payload)))
	if checked {
		crc := updateCRC(0, b[start:])
		b = append(b, byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc))
	}
	w.last = f.PTS
	return append(b, f.Payload...)
}

// appendSyncpoint appends the syncpoint before the first frame (nut.txt, syncpoint). Its time must not be after any frame;
// with reordering, frames that come later may be shown before the first.
func (w *Writer) appendSyncpoint(b []byte, pts int64) []byte {
	if w.delay > 0 {
		pts -= min(pts, w.rate)
	}
	w.last = pts
	var body [16]byte
	at := appendV(body[:0], uint64(pts))
	at = appendV(at, 0) // no syncpoint before this one
	return appendPacket(b, syncStart, at)
}

// frameCodeOf is the code of a frame.
func frameCodeOf(key, checked bool) byte {
	switch {
	case key && checked:
		return codeKeyChecked
	case key:
		return codeKey
	case checked:
		return codeOtherChecked
	}
	return codeOther
}

// codedPTS is how a timestamp is stored: its least significant bits where they suffice (nut.txt, coded_pts).
func codedPTS(pts, last int64) uint64 {
	lsb := uint64(pts) & (1<<maxPTSShift - 1)
	if lsbPTS(lsb, maxPTSShift, last) == pts {
		return lsb
	}
	return uint64(pts) + 1<<maxPTSShift
}
