package rtsp

import (
	"io"
	"testing"
	"time"

	"github.com/pion/rtp"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// nowhere takes frames.
type nowhere struct{ frames int }

func (*nowhere) Name() string                 { return "show" }
func (*nowhere) SetTrack(*stream.Track) error { return nil }
func (n *nowhere) Write(*stream.Frame) error  { n.frames++; return nil }
func (*nowhere) WriteData(*stream.Data) error { return nil }
func (*nowhere) Drop(ingest.DropReason)       {}
func (*nowhere) Close(error)                  {}

// BenchmarkPacket takes a picture of 20 packets, about 5 Mbit/s at 25 a second, from RTP to the publication. What gortsplib
// allocates for reading a packet is not in it.
func BenchmarkPacket(b *testing.B) {
	m, err := newMetrics(nil)
	if err != nil {
		b.Fatal(err)
	}
	pub := &nowhere{}
	r := newReceiver(pub, textLog(io.Discard), m, time.Now, func() int { return 1 << 40 }, func(err error) { b.Error(err) })
	s := newShow(b)
	if err := r.setup(pub, plans{take: []plan{{media: s.video, format: s.video.Formats[0], codec: stream.H264, rate: 90000}}}); err != nil {
		b.Fatal(err)
	}
	t := r.tracks[0]
	t.clock.advance(uint32(videoStart))
	r.timing.reported(&t.clock, time.Now(), uint32(videoStart), nil)
	const packets = 20
	key := []byte{0x65, 0x88, 0x84, 0}
	fragments := make([]*rtp.Packet, packets)
	for i := range fragments {
		payload := make([]byte, 1200)
		payload[0] = 0x7c // FU-A
		payload[1] = key[0] & 0x1f
		switch i {
		case 0:
			payload[1] |= 0x80
			copy(payload[2:], key[1:])
		case packets - 1:
			payload[1] |= 0x40
		}
		for j := 5; j < len(payload); j++ {
			payload[j] = byte(j) | 1
		}
		fragments[i] = &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: i == packets-1}, Payload: payload}
	}
	b.ReportAllocs()
	b.ResetTimer()
	seq, at := uint16(0), uint32(videoStart)
	for b.Loop() {
		for _, p := range fragments {
			p.SequenceNumber, p.Timestamp = seq, at
			seq++
			r.packet(t, p)
		}
		at += 3600
	}
	if pub.frames != b.N {
		b.Errorf("%d frames of %d", pub.frames, b.N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/packets, "ns/packet")
}
