package srt

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"pushcart/ingest"
)

// conclusion tells whether a datagram is the handshake that asks for a connection.
func conclusion(b []byte) bool {
	return len(b) >= 64 && b[0] == 0x80 && b[1] == 0 && binary.BigEndian.Uint32(b[36:]) == 0xFFFFFFFF
}

func TestHostileHandshakes(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, log, _ := startServer(t, Options{Door: door})
	for name, harm := range map[string]func([]byte) []byte{
		// gosrt would allocate 4 GiB.
		"datagrams smaller than their headers": func(b []byte) []byte { binary.BigEndian.PutUint32(b[28:], 10); return b },
		// gosrt panics.
		"extension cut off":   func(b []byte) []byte { return b[:67] },
		"extension too long":  func(b []byte) []byte { binary.BigEndian.PutUint16(b[66:], 0xFFFF); return b },
		"another cookie":      func(b []byte) []byte { b[47] ^= 1; return b },
		"version":             func(b []byte) []byte { binary.BigEndian.PutUint32(b[16:], 9); return b },
		"unknown extension":   func(b []byte) []byte { binary.BigEndian.PutUint16(b[64:], 999); return b },
		"latency of a minute": func(b []byte) []byte { binary.BigEndian.PutUint16(b[78:], 60000); return b },
	} {
		_, front := newHole(t, addr, func(b []byte) [][]byte {
			if conclusion(b) {
				b = harm(b)
			}
			return [][]byte{b}
		}, nil)
		if c, err := dial(front, "live/show", func(c *gosrt.Config) { c.ConnectionTimeout = 300 * time.Millisecond }); err == nil {
			c.Close()
			t.Errorf("%s: was let in", name)
		}
	}
	raw, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	rng := rand.New(rand.NewPCG(8, 9))
	for range 2000 {
		b := make([]byte, rng.IntN(200))
		for i := range b {
			b[i] = byte(rng.Int())
		}
		if len(b) > 40 && rng.IntN(2) == 0 { // as a handshake
			copy(b, []byte{0x80, 0, 0, 0})
			copy(b[12:], []byte{0, 0, 0, 0})
			copy(b[36:], []byte{0xFF, 0xFF, 0xFF, 0xFF})
		}
		raw.Write(b)
	}
	c, err := dial(addr, "live/show", nil)
	if err != nil {
		t.Fatalf("afterwards: %v\n%s", err, log)
	}
	opened(t, door)
	c.Close()
	if strings.Contains(log.String(), "please report") {
		t.Errorf("log:\n%s", log)
	}
}

// TestGarbageAfterTheHandshake sends packets of every kind with random contents in a publisher's name.
func TestGarbageAfterTheHandshake(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door})
	rng := rand.New(rand.NewPCG(10, 11))
	_, front := newHole(t, addr, func(b []byte) [][]byte {
		out := [][]byte{b}
		if len(b) > 16 && b[0]&0x80 == 0 { // beside each packet of media
			for kind := range 10 {
				g := make([]byte, 16+4*rng.IntN(20)+rng.IntN(2))
				for i := range g {
					g[i] = byte(rng.Int())
				}
				copy(g, []byte{0x80, byte(kind)})
				if kind == 5 { // a shutdown would be one
					copy(g, []byte{0xFF, 0xFF, 0, byte(1 + rng.IntN(5))})
				}
				copy(g[12:], b[12:16])
				out = append(out, g)
			}
		}
		return out
	}, nil)
	c, err := dial(front, "live/show", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(c, clip(t, secondsOf("2", x264...)...))
	p := opened(t, door)
	eventually(t, "pictures, or the end", func() bool {
		select {
		case <-p.closed: // gosrt takes some of it for the end
			return true
		default:
			return len(p.of(0)) >= 25
		}
	})
	other, err := dial(addr, "live/show", nil)
	if err != nil {
		t.Fatalf("afterwards: %v", err)
	}
	other.Close()
}

func TestCablePulled(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door})
	var pulled atomic.Bool
	gate := func(b []byte) [][]byte {
		if pulled.Load() {
			return nil
		}
		return [][]byte{b}
	}
	_, front := newHole(t, addr, gate, gate)
	c, err := dial(front, "live/show", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send(c, clip(t, secondsOf("2", x264...)...))
	p := opened(t, door)
	eventually(t, "pictures", func() bool { return len(p.of(0)) >= 40 })
	pulled.Store(true)
	var refusal *ingest.Refusal
	if err := ended(t, p); !errors.As(err, &refusal) || refusal.Reason != ingest.ReasonIdle || !strings.Contains(refusal.Message, "broke") {
		t.Errorf("ended with %v", err)
	}
}

// TestNothingIsLeft counts goroutines and sockets after sessions that ended badly.
func TestNothingIsLeft(t *testing.T) {
	ours := []string{"srt.(*listener)", "srt.(*incoming)", "srt.(*receiver)", "srt.(*Server)", "srt.(*session)", "srt.(*watcher)", "srt.(*Client)", "srt.(*handshake)"}
	left := func() (all []string) {
		for _, word := range ours {
			all = append(all, stacks(word)...)
		}
		return all
	}
	sockets := func() (n int) {
		files, _ := filepath.Glob("/proc/self/fd/*")
		for _, f := range files {
			if target, _ := os.Readlink(f); strings.HasPrefix(target, "socket:") {
				n++
			}
		}
		return n
	}
	b := clip(t, secondsOf("2", x264...)...)
	if l := left(); len(l) > 0 {
		t.Fatalf("before: %s", strings.Join(l, "\n\n"))
	}
	open := sockets()
	door := newFakeDoor()
	addr, _, stop := startServer(t, Options{Door: door})
	var conns []gosrt.Conn
	for i := range 12 {
		c, err := dial(addr, "live/show", nil)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		p := opened(t, door)
		switch i % 4 {
		case 0: // in the middle of everything
			send(c, b[:len(b)/2])
		case 1:
			send(c, []byte(strings.Repeat("garbage", 40000)))
			ended(t, p)
		case 2:
			c.Close()
			ended(t, p)
		case 3: // says nothing
		}
	}
	for range 5 {
		if _, err := dial(addr, "nonsense", nil); err == nil {
			t.Error("was let in")
		}
	}
	client := newClient(t, door, Limits{HandshakeTimeout: 300 * time.Millisecond})
	for range 2 {
		client.Pull(context.Background(), pullURL(t, "srt://%s?streamid=live/show", addr)) // sends nothing
		client.Pull(context.Background(), pullURL(t, "srt://%s?streamid=nonsense", addr))
		client.Pull(context.Background(), pullURL(t, "srt://127.0.0.1:1?streamid=nonsense"))
	}
	stop()
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "the last goroutine's end", func() bool { return len(left()) == 0 })
	eventually(t, "the last socket's end", func() bool { return sockets() <= open })
}
