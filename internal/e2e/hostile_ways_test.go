package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// attackersAtOnce is how many attackers of one way are at one door.
const attackersAtOnce = 6

// often is how much is thrown at a door: conversations that are cut off, each at another place, mutants, and random ones. Each run has
// the same, so that what fails fails again.
func often() int {
	if *longRegions {
		return 100
	}
	return 24
}

// attackWay is an attack. Those without a list of doors are for all.
type attackWay struct {
	name  string
	doors []string
	run   func(s *siege, d *door, way string)
	// waits tells that it waits for the node, and takes nothing of the machine.
	waits bool
}

// attackWays is the table.
func attackWays() []attackWay {
	tcp := []string{"rtmp", "rtmps", "rtsp", "rtsps", "whip-tcp", "http", "https", "admin", "relay", "leaf"}
	web := []string{"http", "https"}
	return []attackWay{
		{"silent", tcp, silent, true}, {"slow", tcp, slow, true}, {"half", tcp, half, true}, {"half-closed", tcp, halfClosed, true},
		{"silent before TLS", []string{"rtmps", "rtsps", "https", "relay"}, silentTLS, true},
		{"in clear", []string{"rtmps", "rtsps", "https", "relay"}, inClear, false}, {"no certificate", []string{"relay"}, noCertificate, false},
		{"truncated", nil, truncated, false},
		{"replayed", nil, replayed, false}, {"shuffled", nil, shuffled, false}, {"spliced", nil, spliced, false}, {"stolen name", []string{"rtmp", "rtsp", "http"}, stolenName, false},
		{"random", nil, random, false}, {"mutated", nil, mutated, false},
		{"endless", tcp, endless, false},
		{"huge", nil, huge, false}, {"nested", nil, nested, false},
		{"h2 flood", web, floods, false},
		{"tables", []string{"srt"}, tables, false},
	}
}

// attack does all of it, at all doors at once.
func (s *siege) attack() {
	s.t.Helper()
	var group sync.WaitGroup
	known := map[string]bool{}
	for _, w := range attackWays() {
		for _, d := range s.doors {
			if w.doors != nil && !slices.Contains(w.doors, d.name) {
				continue
			}
			known[d.name] = true
			if w.waits {
				group.Go(func() { w.run(s, d, w.name) })
			}
		}
	}
	for _, d := range s.doors {
		if !known[d.name] {
			s.t.Errorf("%v: nothing attacks it", d)
		}
		group.Go(func() {
			for _, w := range attackWays() {
				if (w.doors == nil || slices.Contains(w.doors, d.name)) && !w.waits {
					w.run(s, d, w.name)
				}
			}
		})
	}
	group.Wait()
}

// few is how many wait to be closed, of a way and a door.
const few = 3

// silent says nothing, in TLS where that is spoken.
func silent(s *siege, d *door, way string) {
	eachOf(few, few, func(int) {
		if c, err := s.enter(d, way, 0); err == nil {
			defer c.Close()
			s.wantClosed(d, way, c, d.limit)
		}
	})
}

// silentTLS says nothing, and half of a ClientHello.
func silentTLS(s *siege, d *door, way string) {
	eachOf(few, few, func(i int) {
		c, err := s.knock(d, way, 0)
		if err != nil {
			return
		}
		defer c.Close()
		c.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xFC}[:3*i])
		s.wantClosed(d, way, c, d.limit)
	})
}

// inClear speaks without TLS where TLS is spoken.
func inClear(s *siege, d *door, way string) {
	clear := *d
	clear.secure = nil
	eachOf(few, 10, func(i int) { s.say(&clear, way, d.pieces(i)...) })
}

// noCertificate speaks TLS as a node does, and has no certificate of the cluster's.
func noCertificate(s *siege, d *door, way string) {
	anybody := *d
	anybody.secure = &tls.Config{InsecureSkipVerify: true}
	eachOf(few, 10, func(int) { s.say(&anybody, way, []byte("GET /relay/1/evening HTTP/1.1\r\nHost: x\r\n\r\n")) })
}

// slow sends a good conversation a byte at a time, so that it is never silent.
func slow(s *siege, d *door, way string) {
	eachOf(few, few, func(int) {
		c, err := s.enter(d, way, 0)
		if err != nil {
			return
		}
		defer c.Close()
		over := make(chan struct{})
		var sending sync.WaitGroup
		sending.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for _, b := range d.tape[0].Bytes() {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-over:
					return
				}
			}
		})
		s.wantClosed(d, way, c, d.limit)
		close(over)
		sending.Wait()
	})
}

// half sends the beginning of a good conversation, up to the middle of its handshake or header.
func half(s *siege, d *door, way string) {
	eachOf(few, few, func(i int) {
		if c, err := s.enter(d, way, 0); err == nil {
			defer c.Close()
			c.Write(d.halfOf(i))
			s.wantClosed(d, way, c, d.limit)
		}
	})
}

// halfOf is the beginning of a good conversation: of its handshake, or of a header.
func (d *door) halfOf(i int) []byte {
	b := d.tape[i%len(d.tape)].Pieces()[0]
	if d.start > 0 {
		b = d.tape[0].Bytes()[:d.start]
	}
	if header, _, ok := bytes.Cut(b, []byte("\r\n\r\n")); ok {
		b = header
	}
	return b[:len(b)/(i%3+2)]
}

// halfClosed says something, and that it was all.
func halfClosed(s *siege, d *door, way string) {
	eachOf(few, few, func(i int) {
		if c, err := s.enter(d, way, 0); err == nil {
			defer c.Close()
			c.Write(d.halfOf(i))
			c.(interface{ CloseWrite() error }).CloseWrite()
			s.wantClosed(d, way, c, d.limit)
		}
	})
}

// pieces are a good conversation at a door, by a number.
func (d *door) pieces(i int) [][]byte {
	if len(d.tape) == 0 {
		return datagrams(d, i)
	}
	return d.tape[i%len(d.tape)].Pieces()
}

// datagrams are made where there is no conversation to be recorded: RTP and RTCP of nobody's session.
func datagrams(_ *door, i int) (all [][]byte) {
	for n := range 20 {
		b := binary.BigEndian.AppendUint32([]byte{0x80, 96, byte(i), byte(n)}, uint32(3600*n))
		all = append(all, append(binary.BigEndian.AppendUint32(b, 0xC0FFEE), bytes.Repeat([]byte{0x41}, 200)...))
	}
	return all
}

// truncated sends good conversations up to each of some places.
func truncated(s *siege, d *door, way string) {
	cuts := often()
	eachOf(attackersAtOnce, cuts, func(i int) {
		pieces := d.pieces(i)
		if d.udp {
			// Each datagram is cut, and so is the conversation.
			var cut [][]byte
			for _, p := range pieces[:1+i*(len(pieces)-1)/cuts] {
				cut = append(cut, p[:i*len(p)/cuts])
			}
			s.say(d, way, cut...)
			return
		}
		all := slices.Concat(pieces...)
		s.say(d, way, all[:1+i*(len(all)-1)/cuts])
	})
}

// replayed sends good conversations again: as they were, and twice in a row.
func replayed(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, 20, func(i int) {
		pieces := d.pieces(i)
		if i%2 == 1 {
			pieces = slices.Concat(pieces, pieces)
		}
		s.say(d, way, pieces...)
	})
}

// shuffled sends the pieces of good conversations in another order.
func shuffled(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, 20, func(i int) {
		pieces := slices.Clone(d.pieces(i))
		if len(pieces) == 1 { // what came at once is taken apart
			pieces = slices.Collect(slices.Chunk(pieces[0], 1+len(pieces[0])/7))
		}
		r := rand.New(rand.NewPCG(1, uint64(i)))
		r.Shuffle(len(pieces), func(a, b int) { pieces[a], pieces[b] = pieces[b], pieces[a] })
		s.say(d, way, pieces...)
	})
}

// spliced begins as one conversation, and goes on as that of another door.
func spliced(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, len(s.doors)*2, func(i int) {
		other := s.doors[i%len(s.doors)]
		head, tail := slices.Concat(d.pieces(i)...), slices.Concat(other.pieces(i)...)
		at := len(head) * (1 + i%3) / 4
		if d.udp {
			s.say(d, way, slices.Concat(d.pieces(i)[:1], slices.Collect(slices.Chunk(tail, 1200))[:1], other.pieces(i)[:1])...)
			return
		}
		s.say(d, way, head[:at], tail)
	})
}

// stolenName publishes under the name that is on air, by the credentials of another: names are equally long, so that all lengths hold.
func stolenName(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, 10, func(int) {
		var pieces [][]byte
		for _, p := range d.tape[0].Pieces() {
			pieces = append(pieces, bytes.ReplaceAll(p, []byte("mallory"), []byte("evening")))
		}
		s.say(d, way, pieces...)
	})
}

// noise is n bytes by a seed.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	rand.NewChaCha8(key).Read(b)
	return b
}

// random sends random bytes, in front of them as much of what is right as gets it further.
func random(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, often(), func(i int) {
		b := noise(uint64(i), 1+i*i%8192)
		if d.udp {
			var all [][]byte
			for chunk := range slices.Chunk(b, 1+i%1400) {
				copy(chunk, [][]byte{nil, {0x80}, {0x80, 0, 0, 0, 0, 0, 0, 0}, {0, 1, 0, 0x10, 0x21, 0x12, 0xA4, 0x42}, {22, 254, 253}}[i%5])
				all = append(all, chunk)
			}
			s.say(d, way, all...)
			return
		}
		switch i % 4 {
		case 1:
			s.say(d, way, d.beginning(), b)
		case 2:
			s.say(d, way, d.halfOf(i), b)
		default:
			s.say(d, way, b)
		}
	})
}

// mutated sends good conversations with bits flipped, lengths exaggerated, and stretches doubled or left out.
func mutated(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, often(), func(i int) {
		r := rand.New(rand.NewPCG(2, uint64(i)))
		var pieces [][]byte
		for _, p := range d.pieces(i) {
			if d.udp || len(d.tape[i%len(d.tape)].Pieces()) < 4 || r.IntN(4) == 0 {
				p = mutant(r, p)
			}
			pieces = append(pieces, p)
		}
		s.say(d, way, pieces...)
	})
}

// mutant spoils bytes in some places.
func mutant(r *rand.Rand, p []byte) []byte {
	b := bytes.Clone(p)
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		to := min(len(b), at+1+r.IntN(16))
		switch r.IntN(5) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = []byte{0, 1, 0x7F, 0x80, 0xFF}[r.IntN(5)]
		case 2: // what may be a length
			for j := at; j < min(len(b), at+4); j++ {
				b[j] = 0xFF
			}
		case 3:
			b = slices.Concat(b[:to], b[at:to], b[to:])
		case 4:
			b = slices.Concat(b[:at], b[to:])
		}
	}
	return b
}

// endlessBytes bounds what one endless conversation sends when nobody ends it.
const endlessBytes = 8 << 20

// endless begins well, and goes on with what never ends. Whoever takes it in takes it into memory, or ends it.
func endless(s *siege, d *door, way string) {
	for i, filler := range []string{"a", "\x00", "a: b\r\n", "\r\n", "(", "\xff"} {
		c, err := s.enter(d, way, 0)
		if err != nil {
			continue
		}
		var listening sync.WaitGroup
		listening.Go(func() { discard(c) })
		c.SetDeadline(time.Now().Add(2 * time.Second))
		c.Write(d.halfOf(i % 3))
		chunk := bytes.Repeat([]byte(filler), 64<<10/len(filler))
		for sent := 0; sent < endlessBytes; {
			n, err := c.Write(chunk)
			sent += n
			s.count(d, way, tally{sent: int64(n)})
			if err != nil {
				break
			}
		}
		c.Close()
		listening.Wait()
	}
}

func discard(c net.Conn) {
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

// huge claims more than there is, and sends more than anybody should.
func huge(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, len(hugeAt(d)), func(i int) { s.say(d, way, append([][]byte{d.beginning()}, hugeAt(d)[i]...)...) })
}

// nested is deep.
func nested(s *siege, d *door, way string) {
	eachOf(attackersAtOnce, len(nestedAt(d)), func(i int) { s.say(d, way, append([][]byte{d.beginning()}, nestedAt(d)[i]...)...) })
}
