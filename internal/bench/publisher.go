package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
)

const (
	publishChunk   = 4096 // as OBS sends
	publishTimeout = 10 * time.Second
	chunkHeader    = 12 // fmt 0: basic header(8) time(24) length(24) type(8) stream id(32, little-endian)
	chunkNext      = 3 << 6
)

// packet is a frame as it goes over the wire: chunked once, for all streams and turns of the loop.
type packet struct {
	at    int64 // ms from the loop's start
	video bool
	head  [chunkHeader]byte // without its time
	body  []byte            // with the headers of all further chunks
}

// newPacket chunks a tag.
func newPacket(t tag) packet {
	p := packet{at: int64(t.at), video: t.kind == tagVideo}
	chunk := byte(4)
	if p.video {
		chunk = 6
	}
	p.head[0] = chunk
	n := len(t.data)
	p.head[4], p.head[5], p.head[6], p.head[7] = byte(n>>16), byte(n>>8), byte(n), t.kind
	p.head[8] = 1 // the message stream that createStream makes
	for b := t.data; ; {
		k := min(len(b), publishChunk)
		p.body = append(p.body, b[:k]...)
		if b = b[k:]; len(b) == 0 {
			return p
		}
		p.body = append(p.body, chunkNext|chunk)
	}
}

// newPackets chunks a whole recording.
func newPackets(r *recording) (configs, frames []packet) {
	for _, t := range r.configs {
		configs = append(configs, newPacket(t))
	}
	for _, t := range r.frames {
		frames = append(frames, newPacket(t))
	}
	return configs, frames
}

// publisher sends one stream.
type publisher struct {
	nc   net.Conn
	head [chunkHeader]byte
	bufs [2][]byte
}

// publish connects and begins to publish under a name. Whatever the server says is read and thrown away: a refusal shows
// as a broken connection.
func publish(address, name string) (*publisher, error) {
	nc, err := net.DialTimeout("tcp", address, publishTimeout)
	if err != nil {
		return nil, err
	}
	p := &publisher{nc: nc}
	if err := p.begin(address, name); err != nil {
		nc.Close()
		return nil, fmt.Errorf("publish %s at %s: %w", name, address, err)
	}
	return p, nil
}

func (p *publisher) begin(address, name string) error {
	p.nc.SetDeadline(time.Now().Add(publishTimeout))
	if _, _, err := handshake.DoClient(p.nc, false, false); err != nil {
		return err
	}
	p.nc.SetDeadline(time.Time{})
	go io.Copy(io.Discard, p.nc)
	size := append([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0}, 0, 0, publishChunk>>8, publishChunk&255)
	if _, err := p.nc.Write(size); err != nil {
		return err
	}
	commands := []struct {
		on   uint32
		data amf0.Data
	}{
		{0, amf0.Data{"connect", 1.0, amf0.Object{
			{Key: "app", Value: "live"}, {Key: "tcUrl", Value: "rtmp://" + address + "/live"}, {Key: "flashVer", Value: "pushcart-bench"}}}},
		{0, amf0.Data{"createStream", 2.0, nil}},
		{1, amf0.Data{"publish", 3.0, nil, name, "live"}},
	}
	for _, c := range commands {
		body, err := c.data.Marshal()
		if err != nil {
			return err
		}
		k := newPacket(tag{kind: 20, data: body})
		k.head[0] = 3
		binary.LittleEndian.PutUint32(k.head[8:], c.on)
		if err := p.send(&k, 0); err != nil {
			return err
		}
	}
	return nil
}

// send writes a packet as of the given time in ms, which must be less than RTMP's 2^24 (4.6 hours).
func (p *publisher) send(k *packet, at int64) error {
	p.head = k.head
	p.head[1], p.head[2], p.head[3] = byte(at>>16), byte(at>>8), byte(at)
	p.bufs = [2][]byte{p.head[:], k.body}
	b := net.Buffers(p.bufs[:])
	p.nc.SetWriteDeadline(time.Now().Add(publishTimeout))
	_, err := b.WriteTo(p.nc)
	return err
}

func (p *publisher) close() { p.nc.Close() }

// pace says when media is sent: some of it ahead of time and fast, so that windows fill, and the rest as it is made.
type pace struct {
	begin time.Time
	ahead time.Duration // sent at speed
	speed int64
}

// due is when media of the given time, in ms from the stream's start, is to be sent.
func (p pace) due(at int64) time.Time {
	d := time.Duration(at) * time.Millisecond
	if d < p.ahead {
		return p.begin.Add(d / time.Duration(p.speed))
	}
	return p.begin.Add(p.ahead/time.Duration(p.speed) + d - p.ahead)
}

// play sends the loop again and again until stop is closed or the connection fails. before is called ahead of each video
// frame, with its number; nil is nothing.
func (p *publisher) play(configs, frames []packet, pace pace, stop <-chan struct{}, before func(frame int)) error {
	for i := range configs {
		if err := p.send(&configs[i], 0); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	pictures := 0
	for turn := int64(0); ; turn++ {
		for i := range frames {
			k := &frames[i]
			at := k.at + turn*loopMillis
			timer.Reset(time.Until(pace.due(at)))
			select {
			case <-timer.C:
			case <-stop:
				return nil
			}
			if k.video && before != nil {
				before(pictures)
				pictures++
			}
			if err := p.send(k, at); err != nil {
				return fmt.Errorf("the server ended the stream: %w", err)
			}
		}
	}
}
