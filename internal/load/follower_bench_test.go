package load

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// instant answers as an origin whose parts are there as soon as they are asked for, one to a segment: n.m4s, and the playlist up to
// the number that is waited for. It makes nothing anew, so that it does not count beside what is measured.
type instant struct {
	part  []byte // response
	texts []byte // of the playlist, in turn
}

func (o *instant) serve(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		list := bytes.HasPrefix(line, []byte("GET /m.m3u8"))
		n := int64(0)
		if _, rest, ok := bytes.Cut(line, []byte("_HLS_msn=")); ok {
			for _, c := range rest {
				if c < '0' || c > '9' {
					break
				}
				n = n*10 + int64(c-'0')
			}
		}
		for len(line) > 2 {
			if line, err = r.ReadSlice('\n'); err != nil {
				return
			}
		}
		if !list {
			if _, err := nc.Write(o.part); err != nil {
				return
			}
			continue
		}
		o.texts = append(o.texts[:0], "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6\n#EXT-X-MEDIA-SEQUENCE:"...)
		o.texts = strconv.AppendInt(o.texts, n, 10)
		o.texts = append(o.texts, "\n#EXT-X-PART:DURATION=0.2,INDEPENDENT=YES,URI=\"p"...)
		o.texts = strconv.AppendInt(o.texts, n, 10)
		o.texts = append(o.texts, "\"\n#EXTINF:0.2,\ns\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p"...)
		o.texts = strconv.AppendInt(o.texts, n+1, 10)
		o.texts = append(o.texts, "\"\n"...)
		if _, err := fmt.Fprintf(nc, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(o.texts), o.texts); err != nil {
			return
		}
	}
}

// BenchmarkPart is what a viewer costs for one part: the playlist that is waited for and the part that is hinted, both there at once.
// The first viewer reads each playlist and looks into each part; all others have only what it has read.
func BenchmarkPart(b *testing.B) {
	b.Run("first viewer", func(b *testing.B) { benchmarkPart(b, false) })
	b.Run("another", func(b *testing.B) { benchmarkPart(b, true) })
}

func benchmarkPart(b *testing.B, another bool) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	body := "\x00\x00\x00\x08moof" + strings.Repeat("x", 37_000)
	part := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nCache-Control: max-age=60\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go (&instant{part: part}).serve(nc)
		}
	}()
	a := &audience{
		dialer: &dialer{agent: "bench", timeout: time.Minute, allowed: func(string) bool { return true }},
		lib:    newLibrary(time.Now(), nil), now: time.Now,
	}
	a.figures.Store(&figures{})
	stream := Address{Host: l.Addr().String(), Path: "/m.m3u8"}
	follow := func() *follower {
		f := &follower{viewer: &viewer{audience: a, tracks: 1}, at: stream}
		f.lists, f.media = f.wire(b.Context()), f.wire(b.Context())
		if f.track, err = f.lib.track(stream); err != nil {
			b.Fatal(err)
		}
		return f
	}
	ahead, f := follow(), follow()
	for _, f := range []*follower{ahead, f} {
		defer f.lists.close()
		defer f.media.close()
	}
	// The one who is ahead has read what is to be measured, outside of the measurement, as far as the library keeps it.
	const turn = readKept / 2
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if another && i%turn == 0 {
			b.StopTimer()
			for range turn {
				if _, err := ahead.step(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.StartTimer()
		}
		if _, err := f.step(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if kinds, n := a.figures.Load().failed(); n > 0 || a.figures.Load().jumps.Load() > 0 {
		b.Fatal(kinds, a.figures.Load().jumps.Load())
	}
}
