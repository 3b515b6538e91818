package whip

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// feedJitter pushes a packet at a time and returns what comes out.
func feedJitter(j *jitter, seq uint16, at time.Time) (out []uint16, lost int, how fate) {
	p := packets.Get().(*packet)
	p.seq, p.at = seq, at
	how, kept := j.push(p)
	if !kept {
		packets.Put(p)
	}
	out, lost = drainJitter(j, at)
	return out, lost, how
}

func drainJitter(j *jitter, at time.Time) (out []uint16, lost int) {
	for {
		p, n := j.pop(at)
		lost += n
		if p == nil {
			return out, lost
		}
		out = append(out, p.seq)
		packets.Put(p)
	}
}

// TestJitter: order, waiting, retransmission, giving up.
func TestJitter(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	j := &jitter{wait: 100 * time.Millisecond, asks: true}
	expect := func(what string, out []uint16, lost int, wantOut []uint16, wantLost int) {
		t.Helper()
		if !slices.Equal(out, wantOut) || lost != wantLost {
			t.Errorf("%s: %v out, %d lost", what, out, lost)
		}
	}
	for _, seq := range []uint16{65533, 65534, 65535, 0} {
		out, lost, _ := feedJitter(j, seq, now)
		expect("in order", out, lost, []uint16{seq}, 0)
	}
	out, lost, _ := feedJitter(j, 2, now)
	expect("a gap", out, lost, nil, 0)
	if seqs := j.ask(now.Add(askAfter-1), nil); seqs != nil {
		t.Errorf("asked at once for %v", seqs)
	}
	out, lost, how := feedJitter(j, 1, now.Add(time.Millisecond))
	expect("overtaken", out, lost, []uint16{1, 2}, 0)
	if how != fateReordered {
		t.Errorf("it is %s", how)
	}
	feedJitter(j, 5, now)
	if seqs := j.ask(now.Add(askAfter), nil); !slices.Equal(seqs, []uint16{3, 4}) {
		t.Errorf("asked for %v", seqs)
	}
	if seqs := j.ask(now.Add(askAfter+time.Millisecond), nil); seqs != nil {
		t.Errorf("asked again at once for %v", seqs)
	}
	out, lost, how = feedJitter(j, 4, now.Add(30*time.Millisecond))
	expect("one of two", out, lost, nil, 0)
	if how != fateRecovered {
		t.Errorf("it is %s", how)
	}
	if due := j.due(); due != now.Add(askAfter+askEvery) {
		t.Errorf("due at %v", due.Sub(now))
	}
	out, lost = drainJitter(j, now.Add(100*time.Millisecond))
	expect("given up", out, lost, []uint16{4, 5}, 1)
	out, lost, how = feedJitter(j, 3, now.Add(110*time.Millisecond))
	expect("too late", out, lost, nil, 0)
	if how != fateLate {
		t.Errorf("it is %s", how)
	}
	if _, _, how = feedJitter(j, 5, now); how != fateLate {
		t.Errorf("a second copy is %s", how)
	}
}

// TestJitterRestart: a sender that starts its numbers anew is followed, a single stray packet is not.
func TestJitterRestart(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	j := &jitter{wait: 100 * time.Millisecond}
	feedJitter(j, 10, now)
	if _, _, how := feedJitter(j, 30000, now); how != fateInvalid {
		t.Errorf("a stray packet is %s", how)
	}
	if out, lost, _ := feedJitter(j, 11, now); !slices.Equal(out, []uint16{11}) || lost != 0 {
		t.Errorf("behind it %v, %d lost", out, lost)
	}
	feedJitter(j, 30001, now)
	if out, lost, _ := feedJitter(j, 30002, now); !slices.Equal(out, []uint16{30002}) || lost != 1 {
		t.Errorf("a restart: %v, %d lost", out, lost)
	}
}

// TestJitterAnything: whatever comes, packets come out in order and once, and each one is out or lost.
func TestJitterAnything(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(1e9, 0)
		j := &jitter{wait: 50 * time.Millisecond, asks: true}
		start := uint16(rng.Uint32())
		var sent []uint16
		for i := range uint16(2000) {
			if i == 0 || rng.IntN(20) > 0 {
				sent = append(sent, start+i)
			}
		}
		for i := range len(sent) - 1 {
			if k := i + rng.IntN(4); i > 0 && k < len(sent) {
				sent[i], sent[k] = sent[k], sent[i]
			}
		}
		next, given := start, 0
		check := func(out []uint16, lost int) {
			for _, seq := range out {
				if int16(seq-next) < 0 {
					t.Fatalf("seed %d: %d came behind %d", seed, seq, next-1)
				}
				next = seq + 1
			}
			given += len(out) + lost
		}
		for _, seq := range sent {
			now = now.Add(time.Duration(rng.IntN(3)) * time.Millisecond)
			out, lost, _ := feedJitter(j, seq, now)
			check(out, lost)
			j.ask(now, nil)
		}
		check(drainJitter(j, now.Add(time.Second)))
		if given != int(uint16(next-start)) || j.held != 0 {
			t.Fatalf("seed %d: %d packets are accounted for of %d; %d are held", seed, given, next-start, j.held)
		}
	}
}

// FuzzPacket: any bytes are a packet or none.
func FuzzPacket(f *testing.F) {
	good, err := (&rtp.Packet{Header: rtp.Header{Version: 2, Padding: true, PaddingSize: 3}, Payload: []byte{1, 2}}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x17, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, in []byte) {
		p := packets.Get().(*packet)
		defer packets.Put(p)
		n := copy(p.buf[:], in)
		if p.parse(n, time.Unix(1e9, 0)) == nil && len(p.payload) > n {
			t.Error("the payload is longer than the packet")
		}
	})
}

// BenchmarkJitter is a packet in order, read and passed.
func BenchmarkJitter(b *testing.B) {
	raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, 1100)}).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	j := &jitter{wait: 100 * time.Millisecond, asks: true}
	now := time.Unix(1e9, 0)
	b.ReportAllocs()
	for seq := uint16(0); b.Loop(); seq++ {
		p := packets.Get().(*packet)
		n := copy(p.buf[:], raw)
		p.buf[2], p.buf[3] = byte(seq>>8), byte(seq)
		if err := p.parse(n, now); err != nil {
			b.Fatal(err)
		}
		j.push(p)
		out, _ := j.pop(now)
		packets.Put(out)
	}
}
