package srt

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/crypto"
	"github.com/datarhei/gosrt/packet"
)

// shift is a way on which a peer's numbers and times are moved, so that they wrap in the middle of a short stream.
type shift struct {
	mu            sync.Mutex
	set           bool
	number, stamp uint32
}

func (s *shift) in(b []byte) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	move := func(at int) {
		v := binary.BigEndian.Uint32(b[at:])
		binary.BigEndian.PutUint32(b[at:], v&^packet.MAX_SEQUENCENUMBER|(v+s.number)&packet.MAX_SEQUENCENUMBER)
	}
	if conclusion(b) && !s.set {
		s.set = true
		s.number = packet.MAX_SEQUENCENUMBER - 60 - binary.BigEndian.Uint32(b[24:])
		s.stamp = ^uint32(0) - 1_000_000 - binary.BigEndian.Uint32(b[8:])
	}
	switch {
	case b[0]&0x80 == 0:
		move(0)
	case b[0] == 0x80 && b[1] == 0:
		move(24)
	}
	binary.BigEndian.PutUint32(b[8:], binary.BigEndian.Uint32(b[8:])+s.stamp)
	return [][]byte{b}
}

func (s *shift) out(b []byte) [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	back := func(at int) {
		v := binary.BigEndian.Uint32(b[at:])
		binary.BigEndian.PutUint32(b[at:], v&^packet.MAX_SEQUENCENUMBER|(v-s.number)&packet.MAX_SEQUENCENUMBER)
	}
	switch {
	case b[0] != 0x80:
	case b[1] == 0:
		back(24)
	case b[1] == 2:
		back(16)
	case b[1] == 3:
		for at := 16; at+4 <= len(b); at += 4 {
			back(at)
		}
	}
	return [][]byte{b}
}

// behind passes what comes out of one way on to another.
func behind(first, second func([]byte) [][]byte) func([]byte) [][]byte {
	return func(b []byte) (out [][]byte) {
		for _, d := range first(b) {
			out = append(out, second(d)...)
		}
		return out
	}
}

// TestRealClientOverTheWraps: what an encoder's numbers and timestamps do after weeks and after 71 minutes, on a bad line.
func TestRealClientOverTheWraps(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door})
	var s shift
	_, front := newHole(t, addr, behind(badLine(21), s.in), behind(s.out, badLine(22)))
	run(t, "ffmpeg", camera(srtURL(front, "live/show", "&latency=4000000"), "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-b:v", "3M", "-c:a", "aac")...)
	p := opened(t, door)
	ended(t, p)
	unbroken(t, p, 35)
}

// TestRealClientChangesKeys: libsrt changes its keys under way.
func TestRealClientChangesKeys(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door, Passphrase: "correct-horse"})
	var mu sync.Mutex
	var keys []byte
	announced := map[string]int{}
	_, front := newHole(t, addr, func(b []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case b[0]&0x80 == 0:
			if k := b[4] >> 3 & 3; len(keys) == 0 || keys[len(keys)-1] != k {
				keys = append(keys, k)
			}
		case b[0] == 0xFF && b[3] == byte(packet.EXTTYPE_KMREQ):
			announced[string(b[16:])]++
		}
		return [][]byte{b}
	}, nil)
	run(t, "ffmpeg", camera(srtURL(front, "live/show", "&passphrase=correct-horse&kmrefreshrate=50&kmpreannounce=20&latency=4000000"),
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-b:v", "3M", "-minrate", "3M", "-c:a", "aac")...)
	p := opened(t, door)
	ended(t, p)
	mu.Lock()
	defer mu.Unlock()
	if len(keys) < 3 || len(announced) < 2 {
		t.Fatalf("keys %v, %d announcements: they did not change", keys, len(announced))
	}
	unbroken(t, p, 40)
}

// TestForgedKeysDoNoHarm: keys under another passphrase leave the present ones as they are.
func TestForgedKeysDoNoHarm(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("2", x264...)...)
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door, Passphrase: "correct horse"})
	forger, err := crypto.New(16)
	if err != nil {
		t.Fatal(err)
	}
	var km packet.CIFKeyMaterialExtension
	if err := forger.MarshalKM(&km, "incorrect horse", packet.EvenAndOddKey); err != nil {
		t.Fatal(err)
	}
	var forged strings.Builder
	km.Marshal(&forged)
	_, front := newHole(t, addr, func(b []byte) [][]byte {
		if b[0]&0x80 != 0 || binary.BigEndian.Uint32(b)%10 != 0 {
			return [][]byte{b}
		}
		evil := make([]byte, 16)
		copy(evil, []byte{0xFF, 0xFF, 0, byte(packet.EXTTYPE_KMREQ)})
		copy(evil[12:], b[12:16])
		return [][]byte{b, append(evil, forged.String()...)}
	}, nil)
	c, err := dial(front, "live/show", func(c *gosrt.Config) { c.Passphrase = "correct horse" })
	if err != nil {
		t.Fatal(err)
	}
	send(c, b)
	p := opened(t, door)
	eventually(t, "49 pictures", func() bool { return len(p.of(0)) >= 49 })
	c.Close()
	ended(t, p)
}

// TestNegotiation: what a peer asks for beyond what is here is brought down, or refused with a code.
func TestNegotiation(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	locked, _, _ := startServer(t, Options{Door: door, Passphrase: "correct horse"})
	try := func(harm func([]byte), answer func([]byte)) error {
		_, front := newHole(t, locked, func(b []byte) [][]byte {
			if conclusion(b) {
				harm(b)
			}
			return [][]byte{b}
		}, func(b []byte) [][]byte {
			if conclusion(b) {
				answer(b)
			}
			return [][]byte{b}
		})
		c, err := dial(front, "live/show", func(c *gosrt.Config) { c.Passphrase = "correct horse" })
		if err == nil {
			c.Close()
			ended(t, opened(t, door))
		}
		return err
	}
	var size, socket atomic.Uint32
	err := try(func(b []byte) { binary.BigEndian.PutUint32(b[28:], 9000) }, func(b []byte) {
		size.Store(binary.BigEndian.Uint32(b[28:]))
		socket.Store(binary.BigEndian.Uint32(b[40:]))
	})
	if err != nil || size.Load() != datagram || socket.Load() > mostSocket {
		t.Errorf("jumbo frames: %v, answered with %d by socket %d", err, size.Load(), socket.Load())
	}
	err = try(func(b []byte) { b[92] = 4 }, func([]byte) {}) // AES-GCM
	if err == nil || !strings.Contains(err.Error(), base32(1017)) {
		t.Errorf("AES-GCM: %v", err)
	}
}

// TestSourcesThatWillNotDo: a source that is reached, but with which there is no stream.
func TestSourcesThatWillNotDo(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("2", x264...)...)
	_, patient := newHole(t, encoder(t, "", b, nil), nil, func(b []byte) [][]byte {
		if conclusion(b) {
			binary.BigEndian.PutUint16(b[78:], 60_000)
		}
		return [][]byte{b}
	})
	c := newClient(t, newFakeDoor(), Limits{HandshakeTimeout: 5 * time.Second})
	if err := c.Pull(t.Context(), pullURL(t, "srt://%s?streamid=%s", patient, camID)); err == nil || !strings.Contains(err.Error(), "latency of 1m0s") {
		t.Errorf("a latency of a minute: %v", err)
	}
	for name, options := range map[string]string{"other": "&passphrase=other-passphrase", "none": ""} {
		probe, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := probe.LocalAddr().String()
		probe.Close()
		result := make(chan error, 1)
		go func() {
			result <- c.Pull(t.Context(), pullURL(t, "srt://%s?passphrase=correct-horse", addr))
		}()
		run(t, "ffmpeg", camera(fmt.Sprintf("srt://%s?mode=listener&enforced_encryption=0%s", addr, options), "-c:v", "libx264", "-preset", "ultrafast", "-t", "1")...)
		if err := <-result; err == nil || !strings.Contains(err.Error(), "passphrase") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
