package rtmp

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
)

// rawDial shakes hands and returns the bare connection.
func rawDial(t *testing.T, addr string) net.Conn {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, _, err := handshake.DoClient(nc, false, false); err != nil {
		t.Fatal(err)
	}
	return nc
}

func TestZZAttack(t *testing.T) {
	var connectB, pubB bytes.Buffer
	w := messageWriter{w: &connectB, size: 128}
	w.command(0, "connect", 1, amf0.Object{{Key: "app", Value: "live"}})
	w = messageWriter{w: &pubB, size: 128}
	w.command(0, "connect", 1, amf0.Object{{Key: "app", Value: "live"}})
	w.command(1, "publish", 3, nil, "show", "live")
	pub := pubB.Bytes()
	msg := func(cs int, typ byte, body []byte) []byte {
		var b bytes.Buffer
		w := messageWriter{w: &b, size: 128}
		w.send(byte(cs), typ, 1, body)
		return b.Bytes()
	}
	inter := func(n int) []byte {
		var out []byte
		for i := range n {
			out = append(out, join(0, i, head0(0, 10000, 9, 1), text(128))...)
		}
		return out
	}
	for _, a := range []struct {
		name string
		in   []byte
	}{
		{"fmt3 first", []byte{0xC3, 0xC3, 0xC3}},
		{"giant length pre", join(3, head0(0, 0xFFFFFF, 20, 0), text(128))},
		{"giant length post", append(bytes.Clone(pub), join(3, head0(0, 0xFFFFFF, 9, 1), text(128))...)},
		{"chunk size 0", msg(2, 1, be32(0))},
		{"chunk size 2^31-1", append(msg(2, 1, be32(0x7FFFFFFF)), connectB.Bytes()...)},
		{"chunk size 2^31", msg(2, 1, be32(0x80000000))},
		{"chunk size 1", append(msg(2, 1, be32(1)), join(3, head0(0, 3, 9, 1), 1, 0xC3, 2, 0xC3, 3)...)},
		{"abort mid", append(append(bytes.Clone(pub), join(6, head0(0, 300, 9, 1), text(128))...), join(msg(2, 2, be32(6)), 0xC6, text(128))...)},
		{"64 pre", inter(64)},
		{"64 post", append(bytes.Clone(pub), inter(64)...)},
		{"deep cmd", msg(3, 20, nested(3000))},
		{"deep cmd post", append(append(bytes.Clone(pub), msg(2, 1, be32(0xFFFFFF))...), join(3, head0(0, 5000001, 20, 1), nested(1000000))...)},
		{"deep data post", append(append(bytes.Clone(pub), msg(2, 1, be32(0xFFFFFF))...), join(3, head0(0, 5000001, 18, 1), nested(1000000))...)},
		{"deep data AMF3 post", append(append(bytes.Clone(pub), msg(2, 1, be32(0xFFFFFF))...), join(3, head0(0, 5000002, 15, 1), 0, nested(1000000))...)},
		{"ecma count", append(bytes.Clone(pub), msg(4, 18, join(marshal(t, "onMetaData"), 8, 0xFF, 0xFF, 0xFF, 0xFF, 0, 1, "k", 5, 0, 0, 9))...)},
		{"amf3 data", append(bytes.Clone(pub), msg(4, 15, join(0, marshal(t, "onMetaData"), 0x11, 0x0A, 0x0B, 1))...)},
		{"zero length everything", func() []byte {
			out := bytes.Clone(pub)
			for typ := range 256 {
				out = append(out, msg(7, byte(typ), nil)...)
			}
			return out
		}()},
		{"one byte everything", func() []byte {
			out := bytes.Clone(pub)
			for typ := range 256 {
				for v := range 256 {
					if typ == 1 {
						continue
					}
					out = append(out, msg(7, byte(typ), []byte{byte(v)})...)
				}
			}
			return out
		}()},
		{"nested aggregates", append(bytes.Clone(pub), msg(4, 22, join(22, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))...)},
		{"ack storm", append(append(bytes.Clone(pub), msg(2, 5, be32(1))...), bytes.Repeat(msg(4, 8, join(0xAF, 1, text(100))), 2000)...)},
		{"ping flood", append(bytes.Clone(pub), bytes.Repeat(msg(2, 4, []byte{0, 6, 0, 0, 0, 1}), 5000)...)},
		{"createStream flood", append(bytes.Clone(connectB.Bytes()), bytes.Repeat(msg(3, 20, marshal(t, "createStream", 2.0, nil)), 5000)...)},
		{"connect flood", bytes.Repeat(connectB.Bytes(), 3000)},
		{"pubunpub", append(bytes.Clone(connectB.Bytes()), bytes.Repeat(append(msg(3, 20, marshal(t, "publish", 2.0, nil, "show", "live")), msg(3, 20, marshal(t, "deleteStream", 2.0, nil, 1.0))...), 500)...)},
		{"FCUnpublish mid-frame", append(append(bytes.Clone(pub), join(6, head0(0, 300, 9, 1), text(128))...), join(msg(3, 20, marshal(t, "FCUnpublish", 5.0, nil, "show")), 0xC6, text(128), 0xC6, text(44))...)},
	} {
		t.Run(a.name, func(t *testing.T) {
			door := newFakeDoor()
			door.opened = nil
			var log bytes.Buffer
			addr, stop := startServer(t, Options{Door: door, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
			before := memory()
			nc := rawDial(t, addr)
			begin := time.Now()
			go func() {
				nc.Write(a.in)
				nc.(*net.TCPConn).CloseWrite()
			}()
			n, _ := io.Copy(io.Discard, nc)
			t.Logf("sent %d got %d in %v, mem %+d KB", len(a.in), n, time.Since(begin), (memory()-before)/1024)
			stop()
			t.Logf("%.600s", log.String())
		})
	}
}

func TestZZHalfOpen(t *testing.T) {
	addr, _ := startServer(t, Options{Door: newFakeDoor(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	before := memory()
	var all []net.Conn
	for range 3000 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Log(err)
			break
		}
		all = append(all, nc)
	}
	open := 0
	for _, nc := range all {
		nc.SetReadDeadline(time.Now().Add(2 * time.Millisecond))
		if _, err := nc.Read(make([]byte, 1)); err != nil && err != io.EOF {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				open++
			}
		}
	}
	fmt.Println("open", open, "goroutines", runtime.NumGoroutine(), "mem KB", (memory()-before)/1024)
	for _, nc := range all {
		nc.Close()
	}
}
