package srt

import (
	"net"
	"strings"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/circular"
	"github.com/datarhei/gosrt/packet"

	"pushcart/ingest"
)

// newTestReceiver makes one that has begun, with whatever it sends going nowhere.
func newTestReceiver(t testing.TB, first, timestamp uint32, delay time.Duration) *receiver {
	t.Helper()
	c := newReceiver(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}, func([]byte) {}, func() {})
	c.begin(circular.New(first, packet.MAX_SEQUENCENUMBER), timestamp, time.Now(), delay)
	t.Cleanup(func() { c.Close() })
	return c
}

// media is a data packet with a number and a time.
func media(number, timestamp uint32, payload string) packet.Packet {
	p := packet.NewPacket(nil)
	h := p.Header()
	h.PacketSequenceNumber, h.Timestamp = circular.New(number, packet.MAX_SEQUENCENUMBER), timestamp
	p.SetData([]byte(payload))
	return p
}

// TestPacketsWithNothingInThem cost memory and work too: those that wait are bounded, and so is how many may come.
func TestPacketsWithNothingInThem(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]uint32{"for a time that is far off": 600_000_000, "in time": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestReceiver(t, 0, 0, DefaultLatency)
			s := newSession(Options{Door: newFakeDoor()}.withDefaults(), nil)
			s.metrics, _ = newMetrics(nil)
			now := time.Now()
			w := watcher{session: s, link: c, started: now, mediaAt: now, lookedAt: now}
			var refusal *ingest.Refusal
			for i := range uint32(1_000_000) {
				c.handle(media(i, ahead, ""))
				if i%50_000 == 0 {
					if refusal = w.look(now); refusal != nil {
						break
					}
				}
			}
			if refusal == nil || refusal.Reason != ingest.ReasonLimit {
				t.Errorf("a million empty packets: %v", refusal)
			}
		})
	}
}

// TestReceiverWraps: numbers wrap at 31 bits, and timestamps at 32 bits, which is each 71 minutes.
func TestReceiverWraps(t *testing.T) {
	t.Parallel()
	const n, from = 400, packet.MAX_SEQUENCENUMBER - 150
	stamp := ^uint32(0) - 100_000 // 100 ms before the wrap
	c := newTestReceiver(t, from, stamp, 20*time.Millisecond)
	for i := uint32(0); i < n; i++ {
		if i%7 == 3 { // the one before comes after it
			continue
		}
		c.handle(media((from+i)&packet.MAX_SEQUENCENUMBER, stamp+i*500, "x"))
		if i%7 == 4 {
			c.handle(media((from+i-1)&packet.MAX_SEQUENCENUMBER, stamp+(i-1)*500, "x"))
		}
	}
	for i := uint32(0); i < n; i++ {
		p, err := c.ReadPacket()
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Header().PacketSequenceNumber.Val(); got != (from+i)&packet.MAX_SEQUENCENUMBER {
			t.Fatalf("packet %d is number %d", i, got)
		}
	}
	var s gosrt.Statistics
	if c.Stats(&s); s.Accumulated.PktRecv != n || s.Accumulated.PktRecvDrop != 0 {
		t.Errorf("%+v", s.Accumulated)
	}
}

// TestPeerClockInATrafficJam: packets that are held up for seconds say nothing about the peer's clock.
func TestPeerClockInATrafficJam(t *testing.T) {
	t.Parallel()
	const step = 4000 // microseconds
	c := peerClock{base: clockOrigin}
	for i := range int64(10 * 60 * 1_000_000 / step) {
		sent := i * step
		late := int64(0)
		if in := sent % 60_000_000; in > 50_000_000 && in < 53_000_000 {
			late = 53_000_000 - in // the line stood still for 3 s, and then all of it came
		}
		if off := c.place(uint32(sent), clockOrigin+sent+late, false) - clockOrigin - sent; off != 0 {
			t.Fatalf("after %d s packets are placed %d µs from their time", sent/1_000_000, off)
		}
	}
}

// TestWaitingForTheDoorAddsNoLatency: the peer's clock counts from when its handshake came.
func TestWaitingForTheDoorAddsNoLatency(t *testing.T) {
	t.Parallel()
	c := newReceiver(&net.UDPAddr{}, func([]byte) {}, func() {})
	c.start = c.start.Add(-time.Hour)
	c.begin(circular.New(0, packet.MAX_SEQUENCENUMBER), 5_000_000, time.Now().Add(-3*time.Second), DefaultLatency)
	defer c.Close()
	if late := c.now() - c.times.place(8_000_000, c.now(), true); late < -100_000 || late > 500_000 {
		t.Errorf("a packet of now is placed %d µs ago", late)
	}
}

// TestWarningsAreBounded: a warning costs its cause one datagram.
func TestWarningsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := &Server{opt: Options{Now: func() time.Time { return now }}}
	loud := 0
	for range 10_000 {
		if s.loudness() > 0 {
			loud++
		}
	}
	if loud != warningsAtOnce {
		t.Errorf("%d warnings", loud)
	}
	now = now.Add(time.Minute)
	if s.loudness() <= 0 {
		t.Error("none afterwards")
	}
}

// TestEscapedIdentifiers: ffmpeg does not take the escapes out of a URL's parameter.
func TestEscapedIdentifiers(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]identifier{
		"%23%21%3A%3Ar%3Dlive/show%2Cm%3Dpublish": {name: "show"},
		"%23!::r=live/show,m=publish,s=secret":    {name: "show", key: "secret"},
		"#!::r=live%2Fshow,m=publish":             {name: "show"},
		"publish:live%2fshow":                     {name: "show"},
		"publish%3Alive%2Fshow%3Fkey%3Dsecret":    {name: "show", key: "secret"},
		"live%2Fshow%3Fkey=secret":                {name: "show", key: "secret"},
		"#!::r=live/show,m=publish,s=a%2Fb":       {name: "show", key: "a%2Fb"},
		"#!::r=show,m=publish,s=a%2Cb":            {name: "show", key: "a%2Cb"},
	} {
		if got, no := readIdentifier(id); no != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", id, got, no, want)
		}
	}
	for _, id := range []string{"live%2Fsh%00ow", "%23!:{r=live/show}", "%zz", "live%2", strings.Repeat("%2F", 170)} {
		if got, no := readIdentifier(id); no == nil {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// TestLastMoments: what waits for its time when the peer says good-bye is not lost, however much it is.
func TestLastMoments(t *testing.T) {
	t.Parallel()
	const n = 2*queued + 7
	c := newTestReceiver(t, 0, 0, 8*time.Second)
	for i := range uint32(n) {
		c.handle(media(i, i*500, "x"))
	}
	bye := packet.NewPacket(nil)
	bye.Header().IsControlPacket, bye.Header().ControlType = true, packet.CTRLTYPE_SHUTDOWN
	c.wg.Go(func() { c.handle(bye) })
	for i := range uint32(n) {
		p, err := c.ReadPacket()
		if err != nil {
			t.Fatalf("%d packets of %d: %v", i, n, err)
		}
		if got := p.Header().PacketSequenceNumber.Val(); got != i {
			t.Fatalf("packet %d is number %d", i, got)
		}
	}
}

// TestNumbersFromNowhere: a packet whose number is a billion ahead is not the end of a loss of a billion.
func TestNumbersFromNowhere(t *testing.T) {
	t.Parallel()
	c := newTestReceiver(t, 0, 0, 20*time.Millisecond)
	for i := range uint32(100) {
		c.handle(media(i, i*100, "x"))
		c.handle(media(i+1<<29, i*100, "x"))
	}
	for i := range uint32(100) {
		if p, err := c.ReadPacket(); err != nil || p.Header().PacketSequenceNumber.Val() != i {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
	var s gosrt.Statistics
	if c.Stats(&s); s.Accumulated.PktRecvLoss != 0 || s.Accumulated.PktRecvDrop != 100 {
		t.Errorf("%+v", s.Accumulated)
	}
}
