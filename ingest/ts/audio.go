package ts

import (
	"pushcart/ingest"
	"pushcart/ingest/feed"
)

// mostCarried is how much of a frame that goes on in the next PES is kept, in bytes: more than any frame has.
const mostCarried = 16 << 10

// framer finds the frames of a coding.
type framer interface {
	// size of the frame at the front of b, which is not empty, as frame has it.
	size(b []byte) int
	// next looks at the front of b, which is not empty. It makes the track when it sees what it is.
	next(b []byte) frame
}

// frame is what stands at the front of some bytes.
type frame struct {
	// size of the frame with its head; 0 when more bytes are needed to tell, less than 0 when no frame begins here.
	size int
	// payload is what to write; nil for nothing.
	payload []byte
	// duration in 1/90,000 s.
	duration float64
	// damaged tells of a frame that is passed over and counted.
	damaged bool
	// err is a *ingest.Refusal.
	err error
}

// audio takes the frames of one stream, of which a PES may hold several, and which may begin in one and end in another: its
// time is that of the first frame which begins in it (ISO/IEC 13818-1 2.4.3.7).
type audio struct {
	r       *Reader
	out     *feed.Audio // nil until a frame told what the coding is
	frames  framer
	carried []byte
	at      float64 // time of the next frame
	timed   bool
	sure    bool // a frame begins where the last one ended
}

func (a *audio) unit(payload []byte, t times) error {
	b := payload
	if len(a.carried) > 0 {
		a.carried = append(a.carried, payload...)
		b = a.carried
	}
	before := len(b) - len(payload) // bytes of a frame that began earlier
	pending, torn := t.hasPTS, false
	for len(b) > 0 {
		if pending && before <= 0 {
			a.at, a.timed, pending = float64(a.r.clock.follow(t.pts)), true, false
		}
		f := frame{size: -1}
		if a.sure || a.begins(b) {
			f = a.frames.next(b)
		}
		if f.err != nil {
			return f.err
		}
		if f.size == 0 {
			break
		}
		if f.size < 0 {
			n := resync(b)
			if !torn {
				a.drop(ingest.DropDamaged)
			}
			torn, a.sure = true, false
			b, before = b[n:], before-n
			continue
		}
		a.sure = true
		b, before = b[f.size:], before-f.size
		if f.damaged {
			a.drop(ingest.DropDamaged)
		}
		if err := a.write(f); err != nil {
			return err
		}
	}
	if pending { // it begins with the next PES's bytes
		a.at, a.timed = float64(a.r.clock.follow(t.pts)), true
	}
	if len(b) > mostCarried {
		a.drop(ingest.DropDamaged)
		b = nil
	}
	a.carried = append(a.carried[:0], b...)
	return nil
}

// begins tells whether a frame begins in front, which a few bits alone do not show in the middle of damage: another one, or
// nothing, is where it ends.
func (a *audio) begins(b []byte) bool {
	n := a.frames.size(b)
	if n <= 0 || n >= len(b) {
		return n >= 0
	}
	rest := b[n:]
	return rest[0] == b[0] && (len(rest) < 2 || (rest[1]^b[1])&0xE0 == 0)
}

func (a *audio) write(f frame) error {
	at := a.at
	a.at += f.duration
	if f.payload == nil || a.out == nil || !a.timed {
		return nil
	}
	a.r.media++
	return a.out.Write(f.payload, feed.Time{PTS: int64(at + 0.5), DTS: int64(at + 0.5), HasDTS: true, Rate: 90000})
}

// resync tells how many bytes to pass over to where a frame may begin: the first byte of ADTS and MPEG audio, of LOAS, and
// of Opus.
func resync(b []byte) int {
	for i := 1; i < len(b); i++ {
		if b[i] == 0xFF || b[i] == 0x56 || b[i] == 0x7F {
			return i
		}
	}
	return len(b)
}

// lost drops a frame too of which the rest is missing.
func (a *audio) lost(reason ingest.DropReason) {
	a.carried, a.timed, a.sure = a.carried[:0], false, false
	a.drop(reason)
}

// drop counts what is not passed on.
func (a *audio) drop(reason ingest.DropReason) {
	if a.out != nil {
		a.out.Lost(reason)
	} else {
		a.r.opt.Publication.Drop(reason)
	}
}

// ADTS frames (ISO/IEC 14496-3 1.A.3.2):
//
//	sync(12) ID(1) layer(2)=0 no CRC(1) profile(2) rate(4) private(1) channels(3) original(1) home(1) copyright(2)
//	length(13) fullness(11) blocks(2); CRC(16)
type adts struct {
	a     *audio
	id    int
	label feed.Label
	head  [3]byte // what the present track was made of
}

var adtsRates = [16]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// adtsHead is the size of the head of a frame.
func adtsHead(b []byte) int { return 9 - 2*int(b[1]&1) }

func (d *adts) size(b []byte) int {
	if len(b) < 7 {
		if b[0] != 0xFF {
			return -1
		}
		return 0
	}
	n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5]>>5)
	if b[0] != 0xFF || b[1]&0xF6 != 0xF0 || adtsRates[b[2]>>2&15] == 0 || n < adtsHead(b) {
		return -1
	}
	if len(b) < n {
		return 0
	}
	return n
}

func (d *adts) next(b []byte) (f frame) {
	n := d.size(b)
	if n <= 0 {
		return frame{size: n}
	}
	head := adtsHead(b)
	f = frame{size: n, duration: 1024 * 90000 / float64(adtsRates[b[2]>>2&15])}
	if b[6]&3 != 0 { // several blocks with a table in front of them: nobody makes these
		f.duration *= float64(b[6]&3 + 1)
		f.damaged = true
		return f
	}
	if key := [3]byte{b[1] & 8, b[2] &^ 2, b[3] & 0xC0}; d.a.out == nil || key != d.head {
		profile, channels := b[2]>>6, b[2]&1<<2|b[3]>>6
		config := []byte{(profile+1)<<3 | b[2]>>3&7, b[2]>>2<<7 | channels<<3}
		out, err := d.a.r.opt.Feed.AAC(d.id, config, d.label)
		if err != nil {
			f.err = err
			return f
		}
		d.a.out, d.head = out, key
	}
	f.payload = b[head:n]
	return f
}

// mpegAudio is layer III of MPEG-1 and MPEG-2 audio (ISO/IEC 11172-3, 13818-3).
type mpegAudio struct{ a *audio }

// Rates and bit rates (kbit/s) of layer III: MPEG-1, and MPEG-2 with half the rates.
var (
	layer3Rates    = [2][4]int{{44100, 48000, 32000}, {22050, 24000, 16000}}
	layer3Bitrates = [2][16]int{
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}
)

// layer3 tells whether a head is of layer III, and what is in it.
func layer3(b []byte) (samples, rate, bitrate int, ok bool) {
	low := int(^b[1] >> 3 & 1)
	return 1152 >> low, layer3Rates[low][b[2]>>2&3], layer3Bitrates[low][b[2]>>4], b[1]>>1&3 == 1
}

func (m *mpegAudio) size(b []byte) int {
	if len(b) < 4 {
		if b[0] != 0xFF {
			return -1
		}
		return 0
	}
	samples, rate, bitrate, ok := layer3(b)
	switch {
	case b[0] != 0xFF || b[1]&0xF0 != 0xF0:
		return -1
	case !ok:
		return len(b)
	case rate == 0 || bitrate == 0:
		return -1
	}
	n := samples/8*1000*bitrate/rate + int(b[2]>>1&1)
	if len(b) < n {
		return 0
	}
	return n
}

func (m *mpegAudio) next(b []byte) (f frame) {
	n := m.size(b)
	if n <= 0 {
		return frame{size: n}
	}
	samples, rate, _, ok := layer3(b)
	if !ok {
		m.a.r.say("MPEG audio of layer I or II is left out: set the encoder to AAC.")
		return frame{size: n}
	}
	return frame{size: n, payload: b[:n], duration: float64(samples) * 90000 / float64(rate)}
}
