package ts

import (
	"bytes"
	"log/slog"

	"pushcart/ingest"
	"pushcart/ingest/feed"
)

// Bounds on what a publisher may cost.
const (
	// DefaultMaxUnit is the longest PES in bytes.
	DefaultMaxUnit = 8 << 20
	// mostGarbage is after how many bytes in a row without a packet the stream is no transport stream.
	mostGarbage = 256 << 10
	// decisivePackets is how many packets in a row may be missing so that the continuity counter of 4 bits still tells whose
	// they were.
	decisivePackets = 15
	// datagramPackets is the most that a datagram holds.
	datagramPackets = 7
)

// Options sets a reader up.
type Options struct {
	// Feed takes the elementary streams; required.
	Feed *feed.Feed
	// Publication counts what is dropped without belonging to a track; required.
	Publication ingest.Publication
	// Log is of the session; required.
	Log *slog.Logger
	// MaxUnit is the longest PES in bytes; 0 is DefaultMaxUnit.
	MaxUnit int
}

// Stats counts what a reader saw.
type Stats struct {
	// Packets that were read, of all PIDs.
	Packets uint64
	// Gaps are places at which packets of a stream in use were missing.
	Gaps uint64
	// Broken are packets with the transport error indicator or with impossible lengths.
	Broken uint64
	// Resyncs are stretches of bytes without packets.
	Resyncs uint64
	// Damaged are PES and sections that were thrown away.
	Damaged uint64
	// Media are access units of video and frames of audio that were handed on.
	Media uint64
}

// Reader reads one publisher's transport stream. It is for one goroutine at a time. It holds at most about four times MaxUnit.
type Reader struct {
	opt     Options
	index   [pids]uint8 // of lines, plus one; 0 is a PID of no interest
	lines   []*line
	program program
	clock   clock
	stats   Stats
	media   uint64
	held    int   // capacity of the lines' buffers
	ending  *line // whose picture is taken for complete, if the next packet is not of it too
	careful bool  // pictures wait for the next one to begin

	part    [packetSize]byte // of a packet that came cut
	partial int
	garbage int // bytes since the last packet
	said    map[string]bool
}

// line is what is known of a PID that is in use: it carries sections, or PES.
type line struct {
	pid     uint16
	counter uint8
	seen    bool
	before  [packetSize]byte // the last payload, to know a packet that was sent twice
	size    int

	sections *sections
	section  func([]byte) error

	pes   assembly
	out   consumer
	video *video // out, where it is one
}

// consumer takes the PES of a stream.
type consumer interface {
	// unit takes a whole PES packet's payload, which is lent. Its error is a *ingest.Refusal.
	unit(payload []byte, t times) error
	// lost tells that something in front of the next unit is missing.
	lost(ingest.DropReason)
}

// NewReader makes a reader.
func NewReader(opt Options) *Reader {
	if opt.MaxUnit <= 0 {
		opt.MaxUnit = DefaultMaxUnit
	}
	r := &Reader{opt: opt, said: map[string]bool{}}
	r.listen(&line{pid: pidPAT, sections: &sections{}, section: r.pat})
	return r
}

// Stats returns the counts so far.
func (r *Reader) Stats() Stats {
	s := r.stats
	s.Media = r.media
	return s
}

// Write takes bytes as they come, which need not be whole packets. They are lent for the call. An error is a *ingest.Refusal
// and ends the session.
func (r *Reader) Write(b []byte) error {
	if err := r.read(b); err != nil {
		return err
	}
	return r.ended()
}

// ended hands on the picture that was taken for complete.
func (r *Reader) ended() error {
	l := r.ending
	if r.ending = nil; l == nil {
		return nil
	}
	l.pes.early = true
	return r.finish(l)
}

func (r *Reader) read(b []byte) error {
	if r.partial > 0 {
		n := copy(r.part[r.partial:], b)
		b = b[n:]
		if r.partial += n; r.partial < packetSize {
			return nil
		}
		r.partial = 0
		if err := r.packet(r.part[:]); err != nil {
			return err
		}
	}
	for len(b) > 0 {
		if b[0] != syncByte {
			n := nextSync(b)
			if r.garbage == 0 {
				r.stats.Resyncs++
				r.gapAll()
			}
			if r.garbage += n; r.garbage > mostGarbage {
				return ingest.Refuse(ingest.ReasonBadMedia, "What comes is no MPEG transport stream: set the encoder's format to MPEG-TS.")
			}
			b = b[n:]
			continue
		}
		if len(b) < packetSize {
			r.partial = copy(r.part[:], b)
			return nil
		}
		if err := r.packet(b[:packetSize]); err != nil {
			return err
		}
		b = b[packetSize:]
	}
	return nil
}

// nextSync tells how many bytes there are in front of what looks like a packet.
func nextSync(b []byte) int {
	for at := 1; at < len(b); at++ {
		n := bytes.IndexByte(b[at:], syncByte)
		if n < 0 {
			break
		}
		if at += n; at+packetSize >= len(b) || b[at+packetSize] == syncByte {
			return at
		}
	}
	return len(b)
}

// Lost tells that a number of datagrams is missing in front of the next bytes. As long as the packets' own counters can tell
// whose packets they had, they are left to; behind more than that nothing is known to be whole.
func (r *Reader) Lost(datagrams int) {
	r.partial = 0
	if datagrams > decisivePackets/datagramPackets {
		r.gapAll()
	}
}

func (r *Reader) gapAll() {
	for _, l := range r.lines {
		if l.seen {
			r.gap(l)
		}
		l.seen = false
	}
}

// packet takes 188 bytes.
func (r *Reader) packet(b []byte) error {
	if b[0] != syncByte { // of a packet that came cut
		r.stats.Resyncs++
		r.gapAll()
		return nil
	}
	r.garbage = 0
	r.stats.Packets++
	p := readPacket(b)
	if l := r.ending; l != nil && l.pid == p.pid && p.hasPayload && !p.start {
		r.ending, l.pes.trust = nil, distrustStuffing
	} else if err := r.ended(); err != nil {
		return err
	}
	i := r.index[p.pid]
	if i == 0 {
		return nil
	}
	l := r.lines[i-1]
	if p.broken {
		r.stats.Broken++
		r.gap(l)
		l.seen = false
		return nil
	}
	if !p.hasPayload {
		return nil
	}
	if p.scrambled {
		return ingest.Refuse(ingest.ReasonBadMedia, "The transport stream is scrambled: send it in the clear, and set a passphrase for SRT if it must not be read on the way.")
	}
	if again, err := r.continuous(l, &p); again || err != nil {
		return err
	}
	if l.sections != nil {
		whole, err := l.sections.push(p.start, p.payload, l.section)
		if !whole {
			r.stats.Damaged++
		}
		return err
	}
	return r.pes(l, &p)
}

// continuous checks the continuity counter (ISO/IEC 13818-1 2.4.3.3). again tells of a packet that was sent twice.
func (r *Reader) continuous(l *line, p *packet) (again bool, err error) {
	if l.seen && p.counter == l.counter && !p.discontinuity && bytes.Equal(l.before[:l.size], p.payload) {
		return true, nil
	}
	if l.seen && p.counter != (l.counter+1)&0x0F {
		if p.discontinuity && p.start && l.sections == nil && l.pes.open && l.pes.wanted() == 0 {
			// The sender left something out on purpose, and what is open ended before.
			err = r.finish(l)
		}
		r.gap(l)
	}
	l.counter, l.seen = p.counter, true
	l.size = copy(l.before[:], p.payload)
	return false, err
}

// gap notes that packets of a PID are missing.
func (r *Reader) gap(l *line) {
	r.stats.Gaps++
	if l.sections != nil {
		l.sections.lost()
		return
	}
	if l.pes.open {
		l.pes.damaged = true
	}
	l.pes.early = false
	l.out.lost(ingest.DropLost)
}

// pes takes a packet of a stream.
func (r *Reader) pes(l *line, p *packet) error {
	if p.start {
		if rest, ok := r.goesOn(l, p); ok {
			l.pes.goOn()
			p.payload, p.start = rest, false
			return r.more(l, p)
		}
		if l.pes.open {
			if err := r.finish(l); err != nil {
				return err
			}
		}
		l.pes.begin()
	} else if !l.pes.open {
		if l.pes.early { // what was taken for the end was not
			l.pes.trust, l.pes.early = distrustStuffing, false
			r.stats.Damaged++
			l.out.lost(ingest.DropDamaged)
		}
		return nil
	}
	return r.more(l, p)
}

// goesOn tells whether a PES has the rest of the picture that is open.
func (r *Reader) goesOn(l *line, p *packet) (rest []byte, ok bool) {
	if l.video == nil || !l.pes.open {
		return nil, false
	}
	return l.video.goesOn(p.payload)
}

// more takes a packet of the PES that is open.
func (r *Reader) more(l *line, p *packet) error {
	if !r.room(l, len(p.payload)) {
		return ingest.Refuse(ingest.ReasonLimit, "A picture has more than %d bytes: lower the encoder's bit rate or its quality limit.", r.opt.MaxUnit)
	}
	if l.pes.add(p) && (l.video == nil || r.complete(l)) {
		return r.finish(l)
	}
	return nil
}

// complete tells whether what looks like the whole of a picture is taken for it.
func (r *Reader) complete(l *line) bool {
	a := &l.pes
	if r.careful {
		a.early = false
		return false
	}
	if a.wanted() != 0 {
		return a.apart >= trustLength && len(a.buf) < longLength
	}
	if a.early = false; a.slices > 0 && l.video.slices(a.buf) == a.slices {
		r.ending = l
	}
	return false
}

// room makes room for n bytes more in the PES that is open.
func (r *Reader) room(l *line, n int) bool {
	a := &l.pes
	if len(a.buf)+n > r.opt.MaxUnit {
		return false
	}
	if have := cap(a.buf); len(a.buf)+n > have {
		want := min(max(2*have, pesRoom), r.opt.MaxUnit)
		if r.held+want-have > 4*r.opt.MaxUnit {
			return false
		}
		r.held += want - have
		a.buf = append(make([]byte, 0, want), a.buf...)
	}
	return true
}

// finish hands the PES on that is open.
func (r *Reader) finish(l *line) error {
	told := l.pes.damaged // the gap was
	if l.video != nil && !told && l.pes.wanted() == 0 && !l.pes.early && l.pes.trust != distrustStuffing {
		l.pes.consists(l.video.slices(l.pes.buf))
	}
	b := l.pes.end()
	payload, t, ok := readPES(b)
	if !ok {
		r.stats.Damaged++
		if !told {
			l.out.lost(ingest.DropDamaged)
		}
		return nil
	}
	return l.out.unit(payload, t)
}

// listen adds a line.
func (r *Reader) listen(l *line) {
	r.lines = append(r.lines, l)
	r.index[l.pid] = uint8(len(r.lines))
}

// forget takes lines out for which gone is true.
func (r *Reader) forget(gone func(*line) bool) {
	if r.ending != nil && gone(r.ending) {
		r.ending = nil
	}
	keep := r.lines[:0:0]
	for _, l := range r.lines {
		r.index[l.pid] = 0
		if gone(l) {
			r.held -= cap(l.pes.buf)
			continue
		}
		keep = append(keep, l)
	}
	r.lines = keep
	for i, l := range r.lines {
		r.index[l.pid] = uint8(i + 1)
	}
}

// say tells the operator something, once.
func (r *Reader) say(sentence string) {
	if !r.said[sentence] && len(r.said) < 64 {
		r.said[sentence] = true
		r.opt.Log.Warn("ts: " + sentence)
	}
}
