package load

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

const (
	chunkHeader = 12 // fmt 0: basic header(8) time(24) length(24) type(8) stream id(32, little-endian)
	chunkNext   = 3 << 6
	// maxTime is where 24 bits of milliseconds end, after 4.6 hours: packets have no extended time.
	maxTime = 1 << 24
)

// Packet is a message of media as it goes over the wire: chunked once, for all streams and turns of a loop.
type Packet struct {
	at    int64 // ms from the loop's start
	video bool
	head  [chunkHeader]byte // without its time
	body  []byte            // with the headers of all further chunks
	stamp int               // where a stamp's own part begins in body; 0 is no stamp
}

// NewPacket chunks a tag, for the chunk size that Connect announces.
func NewPacket(t Tag) Packet {
	p := Packet{at: int64(t.At), video: t.Kind == TagVideo}
	chunk := byte(4)
	if p.video {
		chunk = 6
	}
	p.head[0] = chunk
	n := len(t.Data)
	p.head[4], p.head[5], p.head[6], p.head[7] = byte(n>>16), byte(n>>8), byte(n), t.Kind
	p.head[8] = 1 // the message stream that createStream makes
	for b := t.Data; ; {
		k := min(len(b), ChunkSize)
		p.body = append(p.body, b[:k]...)
		if b = b[k:]; len(b) == 0 {
			return p
		}
		p.body = append(p.body, chunkNext|chunk)
	}
}

// Reel is a clip, ready to be sent.
type Reel struct {
	configs, frames []Packet
	loop            int64 // ms
}

// NewReel chunks a whole clip.
func NewReel(c *Clip) *Reel {
	r := &Reel{loop: c.Loop}
	for _, t := range c.Configs {
		r.configs = append(r.configs, NewPacket(t))
	}
	for _, t := range c.Frames {
		r.frames = append(r.frames, NewPacket(t))
	}
	return r
}

// NewStampedReel chunks a clip and puts a stamp into each of its pictures. A clip that is not H.264 is sent without.
func NewStampedReel(c *Clip) *Reel {
	r := NewReel(c)
	for i, t := range c.Frames {
		if stamped, ok := withStamp(t); ok {
			r.frames[i] = NewPacket(stamped)
			r.frames[i].stamp = stampAt
		}
	}
	return r
}

// Pace says when media are sent: some of them ahead of time and fast, so that windows fill, and the rest as they are made.
type Pace struct {
	Begin time.Time
	Ahead time.Duration // of media, sent at Speed
	Speed int64         // times real time; 1 at least where there is an Ahead
}

// due is when media of the given time, in ms from the stream's start, are to be sent.
func (p Pace) due(at int64) time.Time {
	d := time.Duration(at) * time.Millisecond
	if p.Ahead <= 0 {
		return p.Begin.Add(d)
	}
	speed := time.Duration(max(1, p.Speed))
	if d < p.Ahead {
		return p.Begin.Add(d / speed)
	}
	return p.Begin.Add(p.Ahead/speed + d - p.Ahead)
}

// Publisher sends a reel over a session. Its fields are set before Play.
type Publisher struct {
	Session *Session
	Reel    *Reel
	Pace    Pace
	// Stamps notes when stamped pictures leave; nil is nobody.
	Stamps *Stamps
	// Number tells this publisher's stamps from those of others, in Stamps.
	Number int
	// Before is called ahead of each video frame, with its number from 0 on; nil is nothing.
	Before func(frame int)

	behind atomic.Int64 // ns by which the last frame was late
	head   [chunkHeader]byte
	mark   [stampAt + stampOwn]byte
	bufs   [3][]byte
}

// Behind is by how much the last frame went out later than it was due.
func (p *Publisher) Behind() time.Duration { return time.Duration(p.behind.Load()) }

// Play sends the reel again and again until ctx ends, which is no error, or the connection fails.
func (p *Publisher) Play(ctx context.Context) error {
	for i := range p.Reel.configs {
		if err := p.send(&p.Reel.configs[i], 0, 0); err != nil {
			return err
		}
	}
	if len(p.Reel.frames) == 0 || p.Reel.loop <= 0 {
		return fmt.Errorf("%w: nothing to send", ErrFLV)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	pictures := 0
	for turn := int64(0); ; turn++ {
		for i := range p.Reel.frames {
			k := &p.Reel.frames[i]
			at := k.at + turn*p.Reel.loop
			due := p.Pace.due(at)
			timer.Reset(time.Until(due))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
			p.behind.Store(int64(time.Since(due)))
			if k.video {
				if p.Before != nil {
					p.Before(pictures)
				}
				if p.Stamps != nil {
					p.Stamps.left(p.Number, pictures)
				}
			}
			if err := p.send(k, at, pictures); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("the server ended the stream: %w", err)
			}
			if k.video {
				pictures++
			}
		}
	}
}

// send writes a packet as of the given time in ms. Times from 2^24 on wrap, which servers take for a stream that began anew.
func (p *Publisher) send(k *Packet, at int64, frame int) error {
	at %= maxTime
	p.head = k.head
	p.head[1], p.head[2], p.head[3] = byte(at>>16), byte(at>>8), byte(at)
	p.bufs = [3][]byte{p.head[:], k.body, nil}
	b := net.Buffers(p.bufs[:2])
	if k.stamp > 0 && p.Stamps != nil {
		n := copy(p.mark[:], k.body)
		p.Stamps.write(p.mark[k.stamp:], p.Number, frame)
		p.bufs = [3][]byte{p.head[:], p.mark[:n], k.body[n:]}
		b = p.bufs[:]
	}
	p.Session.nc.SetWriteDeadline(time.Now().Add(sendTimeout))
	_, err := b.WriteTo(p.Session.nc)
	return err
}
