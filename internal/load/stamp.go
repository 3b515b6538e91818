package load

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

// A stamp is an SEI message in front of a picture, user_data_unregistered (ITU-T H.264 D.1.7), in an access unit as MP4 has it:
//
//	length(32)  NAL unit header 06  payload type 05  payload size(8)
//	UUID(128)   run, publisher, frame: 8 hexadecimal digits each   rbsp trailing bits 80
//
// Digits need no emulation prevention, so that stamps are found in a part's bytes as they are.
const stampUUID = "\x6b\x1d\xa0\x5e\x93\xc4\x4f\x27\xb8\x72pushc"

const (
	stampDigits = 8
	stampOwn    = 3 * stampDigits
	stampSize   = len(stampUUID) + stampOwn
	stampNAL    = 3 + stampSize + 1
	flvAVCHead  = 5 // type and codec(8) packet type(8) composition time(24)
	// stampAt is where in a tag's data the digits begin.
	stampAt = flvAVCHead + 4 + 3 + len(stampUUID)
)

// withStamp puts room for a stamp in front of a picture in H.264.
func withStamp(t Tag) (Tag, bool) {
	if t.Kind != TagVideo || len(t.Data) < flvAVCHead || t.Data[0]&0x8F != 7 || t.Data[1] != 1 {
		return t, false
	}
	b := append(make([]byte, 0, len(t.Data)+4+stampNAL), t.Data[:flvAVCHead]...)
	b = binary.BigEndian.AppendUint32(b, uint32(stampNAL))
	b = append(b, 6, 5, byte(stampSize))
	b = append(b, stampUUID...)
	b = append(b, bytes.Repeat([]byte{'0'}, stampOwn)...)
	b = append(b, 0x80)
	t.Data = append(b, t.Data[flvAVCHead:]...)
	return t, true
}

// stampsKept is of how many pictures a publisher's departures are remembered: four minutes at 30 frames a second.
const stampsKept = 1 << 13

// Stamps knows when each picture left its publisher. It may be used by any goroutine.
type Stamps struct {
	run   uint32 // tells this run's stamps from others that an origin may still have
	begin time.Time
	// at has for each publisher and picture, modulo stampsKept, when it left in ns since begin, and 0 for never.
	at [][]atomic.Int64
}

// NewStamps is for so many publishers. Times are counted from begin on.
func NewStamps(publishers int, begin time.Time) *Stamps {
	s := &Stamps{run: rand.Uint32(), begin: begin, at: make([][]atomic.Int64, publishers)}
	for i := range s.at {
		s.at[i] = make([]atomic.Int64, stampsKept)
	}
	return s
}

// left notes that a picture is about to be handed to the system.
func (s *Stamps) left(publisher, frame int) {
	s.at[publisher][frame%stampsKept].Store(int64(time.Since(s.begin)))
}

// write puts a stamp's own digits into b.
func (s *Stamps) write(b []byte, publisher, frame int) {
	for i, v := range [...]uint32{s.run, uint32(publisher), uint32(frame)} {
		var raw [4]byte
		binary.BigEndian.PutUint32(raw[:], v)
		hex.Encode(b[i*stampDigits:], raw[:])
	}
}

// last finds the last stamp of this run in a part's bytes, and says when that picture left; 0 is that there is none.
func (s *Stamps) last(part []byte) int64 {
	i := bytes.LastIndex(part, []byte(stampUUID))
	if i < 0 || len(part) < i+stampSize {
		return 0
	}
	digits := part[i+len(stampUUID):]
	var v [3]uint64
	for k := range v {
		n, err := strconv.ParseUint(string(digits[k*stampDigits:(k+1)*stampDigits]), 16, 32)
		if err != nil {
			return 0
		}
		v[k] = n
	}
	if uint32(v[0]) != s.run || v[1] >= uint64(len(s.at)) {
		return 0
	}
	return s.at[v[1]][v[2]%stampsKept].Load()
}
