package ts

import (
	"encoding/binary"
	"encoding/json"
	"net/url"
	"strings"

	"pushcart/internal/stream"
)

// Cues (ANSI/SCTE 35 2023 9.6.1), whose checksum is right:
//
//	table(8)=0xFC syntax(1) private(1) SAP(2) length(12) protocol(8)=0 encrypted(1) algorithm(6) adjustment(33) cw(8)
//	tier(12) command length(12) command(8) ...; descriptors length(16) ...; CRC-32
//
// A card command is carried in a segmentation descriptor's UPID, or as a private command with our identifier and the command
// as JSON behind it.
const (
	cueInsert  = 0x05
	cueSignal  = 0x06
	cuePrivate = 0xFF

	tagSegmentation = 0x02
	upidMPU         = 0x0C // format identifier(32), then what its owner likes
	upidURI         = 0x0F
	upidMID         = 0x0D // several, each with type(8) and length(8)

	cueIdentifier = "CUEI"
	ourIdentifier = "PUSH"
	ourScheme     = "pushcart:"

	unknownLength = 0xFFF // of a command: older senders leave it out
)

// cue is what is of interest in a section.
type cue struct {
	// at is the time of the cue in 33 bits, where hasTime.
	at      int64
	hasTime bool
	// commands as JSON text.
	commands [][]byte
}

// reading is a sticky reader: behind the end everything is zero, and bad.
type reading struct {
	b   []byte
	bad bool
}

func (r *reading) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, max(0, min(n, 8)))
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reading) u8() int  { return int(r.take(1)[0]) }
func (r *reading) u16() int { return int(binary.BigEndian.Uint16(r.take(2))) }

// u33 reads flag bits(7) and a time of 33 bits.
func (r *reading) u33() (flags byte, v int64) {
	b := r.take(5)
	return b[0] &^ 1, int64(b[0]&1)<<32 | int64(binary.BigEndian.Uint32(b[1:]))
}

// time reads splice_time() (9.8.1).
func (r *reading) time() (v int64, ok bool) {
	if len(r.b) == 0 || r.b[0]&0x80 == 0 {
		r.take(1)
		return 0, false
	}
	_, v = r.u33()
	return v, true
}

// readCue takes a section apart. ok is false for one that is damaged, encrypted, or of another protocol.
func readCue(section []byte) (c cue, ok bool) {
	if len(section) < 20 || section[0] != tableSCTE35 {
		return c, false
	}
	r := reading{b: section[sectionHead : len(section)-4]}
	version := r.u8()
	flags, adjustment := r.u33()
	r.take(1)
	low := r.take(3)
	length := int(low[1]&0x0F)<<8 | int(low[2])
	if r.bad || version != 0 || flags&0x80 != 0 {
		return c, false
	}
	kind := r.u8()
	rest := r.b
	if length != unknownLength {
		rest = r.take(length)
	}
	body := reading{b: rest}
	c.command(kind, &body)
	if length == unknownLength {
		r.b = body.b
	}
	if r.bad || body.bad {
		return cue{}, false
	}
	n := r.u16()
	c.descriptors(r.take(n))
	if r.bad {
		return cue{}, false
	}
	if c.hasTime {
		c.at = (c.at + adjustment) & (clockPeriod - 1)
	}
	return c, true
}

// command reads the splice command (9.7).
func (c *cue) command(kind int, r *reading) {
	switch kind {
	case cueSignal:
		c.at, c.hasTime = r.time()
	case cueInsert:
		c.insert(r)
	case cuePrivate:
		if string(r.take(4)) == ourIdentifier && !r.bad {
			c.commands = append(c.commands, r.take(len(r.b)))
		}
	}
}

// insert reads splice_insert() (9.7.3).
func (c *cue) insert(r *reading) {
	r.take(4) // event
	if r.u8()&0x80 != 0 {
		return // cancelled
	}
	flags := r.u8()
	program, duration, immediate := flags&0x40 != 0, flags&0x20 != 0, flags&0x10 != 0
	if program {
		if !immediate {
			c.at, c.hasTime = r.time()
		}
	} else {
		for range r.u8() {
			r.take(1)
			if !immediate {
				c.at, c.hasTime = r.time()
			}
		}
	}
	if duration {
		r.take(5)
	}
	r.take(4) // program, avail, avails expected
}

// descriptors reads the loop of splice descriptors (10.2): tag(8) length(8) identifier(32) ...
func (c *cue) descriptors(b []byte) {
	r := reading{b: b}
	for len(r.b) > 0 {
		tag := r.u8()
		d := reading{b: r.take(r.u8())}
		if r.bad {
			return
		}
		if tag == tagSegmentation && string(d.take(4)) == cueIdentifier {
			c.segmentation(&d)
		}
	}
}

// segmentation reads segmentation_descriptor() (10.3.3) up to its UPID.
func (c *cue) segmentation(r *reading) {
	r.take(4) // event
	if r.u8()&0x80 != 0 {
		return // cancelled
	}
	flags := r.u8()
	if flags&0x80 == 0 { // by component: tag(8) reserved(7) offset(33)
		r.take(6 * r.u8())
	}
	if flags&0x40 != 0 {
		r.take(5) // duration
	}
	kind := r.u8()
	upid := r.take(r.u8())
	if r.bad {
		return
	}
	if kind != upidMID {
		c.upid(kind, upid)
		return
	}
	for m := (reading{b: upid}); len(m.b) > 0; {
		kind := m.u8()
		if v := m.take(m.u8()); !m.bad {
			c.upid(kind, v)
		}
	}
}

// upid finds the command in a segmentation UPID (10.3.3.1).
func (c *cue) upid(kind int, b []byte) {
	switch kind {
	case upidMPU:
		if text, ours := strings.CutPrefix(string(b), ourIdentifier); ours {
			c.commands = append(c.commands, []byte(text))
		}
	case upidURI:
		if text := uriCommand(string(b)); text != nil {
			c.commands = append(c.commands, text)
		}
	}
}

// uriCommand makes a command of pushcart:show?card=lamp&slot=main. The members are judged where commands are; nil for what
// is no such URI.
func uriCommand(uri string) []byte {
	rest, ours := strings.CutPrefix(uri, ourScheme)
	if !ours {
		return nil
	}
	op, query, _ := strings.Cut(strings.TrimLeft(rest, "/"), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil
	}
	command := map[string]string{"pushcart": op}
	for name, v := range values {
		if name != "pushcart" {
			command[name] = v[0]
		}
	}
	text, err := json.Marshal(command)
	if err != nil {
		return nil
	}
	return text
}

// cue hands a cue's commands on.
func (r *Reader) cue(section []byte) error {
	if section[0] != tableSCTE35 {
		return nil
	}
	c, ok := readCue(section)
	if !ok {
		r.say("A SCTE-35 cue cannot be read: it is damaged, or encrypted.")
		return nil
	}
	at := int64(0)
	if c.hasTime {
		at = r.clock.unwrap(c.at)
	}
	for _, text := range c.commands {
		if err := r.opt.Feed.Command(stream.DataSCTE35, at, text, nil); err != nil {
			return err
		}
	}
	return nil
}
