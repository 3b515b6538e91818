package whip

import (
	"sync"
	"time"

	"github.com/pion/rtp"
)

// The jitter buffer puts packets in order. What comes in order passes at once. Behind a packet that is missing the others
// wait until it comes or its time is up; meanwhile it is asked for again (RFC 4585 6.2.1).
const (
	jitterSize = 1024 // packets; a power of two. At 10 Mbit/s 200 ms are about 220
	// askAfter leaves a packet that was only overtaken time to come by itself.
	askAfter = 10 * time.Millisecond
	// askEvery is the distance of further requests: a retransmission can hardly come sooner over a long way.
	askEvery = 40 * time.Millisecond
	// maxMissing bounds what is asked for: with more missing a key frame is the shorter way.
	maxMissing = 256
)

// mtu is the longest packet in bytes that is read whole.
const mtu = 2048

// packet is an RTP packet that was read.
type packet struct {
	at      time.Time
	seq     uint16
	ts      uint32
	marker  bool
	payload []byte // in buf
	header  rtp.Header
	buf     [mtu]byte
}

var packets = sync.Pool{New: func() any { return new(packet) }}

// parse reads the packet in buf[:n].
func (p *packet) parse(n int, at time.Time) error {
	size, err := p.header.Unmarshal(p.buf[:n])
	if err != nil {
		return err
	}
	end := n
	if p.header.Padding {
		if end <= size || int(p.buf[n-1]) > end-size || p.buf[n-1] == 0 {
			return errPadding
		}
		end -= int(p.buf[n-1])
	}
	p.at, p.seq, p.ts, p.marker, p.payload = at, p.header.SequenceNumber, p.header.Timestamp, p.header.Marker, p.buf[size:end]
	return nil
}

// missing is a packet that has not come.
type missing struct {
	seq   uint16
	since time.Time
	ask   time.Time // when to ask for it next
	asked bool
}

// jitter buffers the packets of one stream.
type jitter struct {
	wait time.Duration // for a packet that is missing
	asks bool          // retransmission was negotiated

	started bool
	next    uint16 // what is to come out next
	end     uint16 // one behind the highest that came
	slots   [jitterSize]*packet
	held    int
	gaps    []missing // by sequence number

	suspect    uint16 // a sequence number far away that came; a second one behind it is a new start
	suspicious bool
}

// push takes a packet, or tells why it does not: the packet is then the caller's again.
func (j *jitter) push(p *packet) (fate, bool) {
	if !j.started {
		j.started, j.next, j.end = true, p.seq, p.seq
	}
	d := int(int16(p.seq - j.next))
	if d >= jitterSize || d < -jitterSize {
		if !j.suspicious || p.seq != j.suspect {
			j.suspicious, j.suspect = true, p.seq+1
			return fateInvalid, false
		}
		j.restart(p.seq)
		d = 0
	}
	j.suspicious = false
	if d < 0 || j.slots[p.seq%jitterSize] != nil {
		return fateLate, false
	}
	j.slots[p.seq%jitterSize] = p
	j.held++
	if ahead := int16(p.seq - j.end); ahead >= 0 {
		for s := j.end; s != p.seq; s++ {
			j.gaps = append(j.gaps, missing{seq: s, since: p.at, ask: p.at.Add(askAfter)})
		}
		j.end = p.seq + 1
		return fateReceived, true
	}
	return j.found(p.seq), true
}

// found takes a packet off the missing ones.
func (j *jitter) found(seq uint16) fate {
	for i := range j.gaps {
		if j.gaps[i].seq == seq {
			asked := j.gaps[i].asked
			j.gaps = append(j.gaps[:i], j.gaps[i+1:]...)
			if asked {
				return fateRecovered
			}
			return fateReordered
		}
	}
	return fateReordered
}

// restart begins anew at a sequence number: the sender did. What waited is older than what was lost.
func (j *jitter) restart(seq uint16) {
	for i, p := range j.slots {
		if p != nil {
			packets.Put(p)
			j.slots[i] = nil
		}
	}
	j.held, j.gaps = 0, j.gaps[:0]
	j.next, j.end = seq-1, seq // one is lost, so that what depends on it is dropped
	j.gaps = append(j.gaps, missing{seq: seq - 1})
}

// pop returns the next packet that may pass, and how many in front of it were given up; nil when there is none yet.
func (j *jitter) pop(now time.Time) (p *packet, lost int) {
	for j.held > 0 {
		if p = j.slots[j.next%jitterSize]; p != nil {
			j.slots[j.next%jitterSize] = nil
			j.held--
			j.next++
			return p, lost
		}
		if len(j.gaps) == 0 || len(j.gaps) <= maxMissing && now.Sub(j.gaps[0].since) < j.wait {
			return nil, lost
		}
		j.gaps = append(j.gaps[:0], j.gaps[1:]...)
		j.next++
		lost++
	}
	return nil, lost
}

// due is when the buffer needs attention without a packet; the zero time is never.
func (j *jitter) due() time.Time {
	if len(j.gaps) == 0 {
		return time.Time{}
	}
	t := j.gaps[0].since.Add(j.wait)
	if j.asks {
		for i := range j.gaps {
			if a := j.gaps[i].ask; a.Before(t) {
				t = a
			}
		}
	}
	return t
}

// ask lists what is to be asked for now.
func (j *jitter) ask(now time.Time, seqs []uint16) []uint16 {
	if !j.asks {
		return seqs
	}
	for i := range j.gaps {
		g := &j.gaps[i]
		if g.since.IsZero() || now.Before(g.ask) {
			continue
		}
		g.ask, g.asked = now.Add(askEvery), true
		seqs = append(seqs, g.seq)
	}
	return seqs
}

// clear gives back what is held.
func (j *jitter) clear() {
	for i, p := range j.slots {
		if p != nil {
			packets.Put(p)
			j.slots[i] = nil
		}
	}
	j.held, j.gaps = 0, nil
}
