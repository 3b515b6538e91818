package rtsp

import (
	"io"
	"math"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"pushcart/ingest"
)

// heard is a receiver with a clock of its own.
type heard struct {
	*show
	*receiver
	pub *fakePub
	at  time.Time
	bad error
}

func newHeard(t testing.TB) *heard {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{show: newShow(t), at: time.Unix(1_800_000_000, 0),
		pub: &fakePub{drops: map[ingest.DropReason]int{}, closed: make(chan struct{}), wrote: make(chan struct{}, 1)}}
	h.receiver = newReceiver(h.pub, textLog(io.Discard), m, func() time.Time { return h.at }, func() int { return 100_000_000 }, func(err error) { h.bad = err })
	if err := h.setup(h.pub, readPlans(h.description(), nil)); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *heard) take(i int, packets ...*rtp.Packet) {
	for _, p := range packets {
		h.packet(h.tracks[i], p)
	}
}

// TestHold: without sender reports the media go on after half a second, all of them, in order, and from then on at once.
func TestHold(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	for n := range 30 {
		h.take(0, h.picture(n, 1)...)
		h.take(1, h.sound(n))
		want := 0
		if h.at.Sub(time.Unix(1_800_000_000, 0)) >= longestHold {
			want = n + 1
		}
		if v := len(h.pub.of(0)); v != want {
			t.Fatalf("%d pictures after %v, want %d", v, h.at.Sub(time.Unix(1_800_000_000, 0)), want)
		}
		h.at = h.at.Add(time.Second / 30)
	}
	if a := len(h.pub.of(100)); a != 30 {
		t.Errorf("%d sounds", a)
	}
	for _, f := range h.pub.of(0) {
		if !f.Wall.IsZero() {
			t.Fatal("a time of capture without a report")
		}
	}
	// A report that comes now tells the time of capture from then on, and moves nothing.
	h.control(h.tracks[0], &rtcp.SenderReport{NTPTime: toNTP(h.at.Add(-time.Hour)), RTPTime: uint32(videoStart + 30*3000)})
	h.take(0, h.picture(30, 1)...)
	v := h.pub.of(0)
	if last := v[30]; last.PTS-v[29].PTS != 3000 || last.Wall.Sub(h.at.Add(-time.Hour)).Abs() > time.Microsecond {
		t.Errorf("%v after the one before, captured at %v", last.PTS-v[29].PTS, last.Wall)
	}
}

// TestHoldIsBounded in bytes.
func TestHoldIsBounded(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	for n := 0; n*60_000 < largestHold; n++ {
		if len(h.pub.of(0)) > 0 {
			t.Fatalf("released after %d", n)
		}
		k := h.picture(n, 1)[0]
		k.Payload = append(k.Payload, make([]byte, 60_000)...)
		h.take(0, k)
	}
	if len(h.pub.of(0)) == 0 {
		t.Error("held for ever")
	}
}

// TestEndReleases what is held, and what comes after the end is nothing.
func TestEndReleases(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.take(0, h.picture(0, 1)...)
	h.end()
	h.take(0, h.picture(1, 1)...)
	if n := len(h.pub.of(0)); n != 1 {
		t.Errorf("%d pictures", n)
	}
}

// TestMidStream: a stream that was running begins with its next whole access unit, and nobody is warned.
func TestMidStream(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.take(0, h.picture(0, 4)[2:]...) // the rest of a key frame
	for n := 1; n < 32; n++ {
		h.take(0, h.picture(n, 4)...)
	}
	h.end()
	for _, f := range h.pub.of(0) {
		if n := f.Payload[4+3]; n == 0 {
			t.Error("the rest of a key frame came through")
		}
	}
	if got := counted(t, h.metrics.packets[fateDamaged][0]); got != 0 || h.pub.dropped(ingest.DropLost) != 1 {
		t.Errorf("%v damaged, drops %v", got, h.pub.drops)
	}
}

// TestDamagedPackets are dropped up to the next key frame, and end nothing.
func TestDamagedPackets(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	for n := range 60 {
		packets := h.picture(n, 2)
		if n == 7 {
			packets[1].Payload = []byte{0x78, 0xff} // STAP-A without what it says
		}
		h.take(0, packets...)
	}
	h.end()
	if n := len(h.pub.of(0)); n != 7+30 || h.bad != nil {
		t.Errorf("%d pictures, want 37; %v", n, h.bad)
	}
	if h.pub.dropped(ingest.DropDamaged) != 1 {
		t.Errorf("drops %v", h.pub.drops)
	}
}

// TestEmptyPackets keep a way through a NAT open (RFC 6263 4.1), or pad; nothing is missing where one was.
func TestEmptyPackets(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	for n := range 10 {
		packets := h.picture(n, 3)
		empty := *packets[1]
		empty.Payload = nil
		h.seq[0]++
		packets[2].SequenceNumber++
		packets[1].SequenceNumber++
		h.take(0, packets[0], &empty, packets[1], packets[2])
		empty.Marker, empty.SequenceNumber = true, h.seq[0]
		h.seq[0]++
		h.take(0, &empty)
	}
	h.end()
	if n := len(h.pub.of(0)); n != 10 || len(h.pub.drops) > 0 {
		t.Errorf("%d pictures of 10, drops %v", n, h.pub.drops)
	}
}

// TestOnlyEmptyPackets are no media.
func TestOnlyEmptyPackets(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.at = h.at.Add(time.Minute)
	empty := h.picture(0, 1)[0]
	empty.Payload = nil
	h.take(0, empty)
	if h.silent() != time.Minute {
		t.Errorf("silent for %v", h.silent())
	}
}

// TestTimestampsBeginAnew: what a report said of the old ones is not true of the new.
func TestTimestampsBeginAnew(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.control(h.tracks[0], &rtcp.SenderReport{NTPTime: toNTP(h.at), RTPTime: uint32(videoStart)})
	send := func(n int, shift uint32) {
		k := h.picture(n, 1)[0]
		k.Timestamp += shift
		h.take(0, k)
	}
	const shift = 1 << 30
	send(0, 0)
	send(30, shift)
	later := h.at.Add(time.Minute)
	h.control(h.tracks[0], &rtcp.SenderReport{NTPTime: toNTP(later), RTPTime: uint32((videoStart+60*3000)&math.MaxUint32) + shift})
	send(60, shift)
	h.end()
	v := h.pub.of(0)
	if len(v) != 3 {
		t.Fatalf("%d pictures", len(v))
	}
	if !v[0].Wall.Equal(h.at) || v[1].Wall.Sub(later.Add(-time.Second)).Abs() > time.Microsecond || v[2].Wall.Sub(later).Abs() > time.Microsecond {
		t.Errorf("captured at %v, %v, %v", v[0].Wall, v[1].Wall, v[2].Wall)
	}
}

// TestAccessUnitWithoutEnd: fragments that never end are bounded.
func TestAccessUnitWithoutEnd(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.take(0, h.picture(0, 1)...)
	for i := range 3 * mostPackets {
		k := h.picture(1, 1)[0]
		k.Marker, k.Payload = false, []byte{0x7c, 0x05}
		if i == 0 {
			k.Payload = []byte{0x7c, 0x85, 0x88}
		}
		h.take(0, k)
	}
	h.end()
	if h.pub.dropped(ingest.DropDamaged) == 0 {
		t.Error("nothing was dropped")
	}
}

// TestNoMarkers: access units end where the next one's timestamp begins, and have their own.
func TestNoMarkers(t *testing.T) {
	t.Parallel()
	h := newHeard(t)
	h.control(h.tracks[0], &rtcp.SenderReport{NTPTime: toNTP(h.at), RTPTime: uint32(videoStart)})
	for n := range 10 {
		for _, p := range h.picture(n, 3) {
			p.Marker = false
			h.take(0, p)
		}
	}
	v := h.pub.of(0)
	if len(v) != 9 {
		t.Fatalf("%d pictures, want 9", len(v))
	}
	for i, f := range v {
		if d := f.Wall.Sub(h.at) - time.Duration(i)*time.Second/30; d.Abs() > time.Microsecond {
			t.Errorf("picture %d is off by %v", i, d)
		}
	}
}

// FuzzPackets gives a track of each codec packets that nobody sends.
func FuzzPackets(f *testing.F) {
	f.Add(byte(0), []byte{0x65, 0x88, 0x84, 0}, []byte{0x41, 0x9a}, true)
	f.Add(byte(4), []byte{0x00, 0x10, 0x00, 0x10, 0x21, 0x10}, []byte{0x00, 0x10}, true)
	f.Add(byte(8), []byte{0x03, 1, 2, 3}, []byte{0xff, 0x01}, true)
	f.Add(byte(1), []byte{0x62, 0x01, 0x93, 1, 2, 3}, []byte{0x62, 0x01, 0x53, 4}, false)
	formats := []format.Format{
		&format.H264{PayloadTyp: 96, PacketizationMode: 1}, &format.H265{PayloadTyp: 96}, &format.AV1{PayloadTyp: 96}, &format.VP9{PayloadTyp: 96},
		newShow(f).audio.Formats[0], &format.MPEG1Audio{}, &format.Opus{PayloadTyp: 96, ChannelCount: 2}, &format.G711{SampleRate: 8000, ChannelCount: 1},
		&format.MPEG4AudioLATM{PayloadTyp: 96, StreamMuxConfig: &mpeg4audio.StreamMuxConfig{Programs: []*mpeg4audio.StreamMuxConfigProgram{{
			Layers: []*mpeg4audio.StreamMuxConfigLayer{{AudioSpecificConfig: newShow(f).audio.Formats[0].(*format.MPEG4Audio).Config}}}}}},
	}
	f.Fuzz(func(t *testing.T, which byte, one, two []byte, marker bool) {
		m, err := newMetrics(nil)
		if err != nil {
			t.Fatal(err)
		}
		log := &logBuffer{}
		pub := &fakePub{drops: map[ingest.DropReason]int{}, wrote: make(chan struct{}, 1), closed: make(chan struct{})}
		r := newReceiver(pub, textLog(log), m, time.Now, func() int { return 1 << 40 }, func(err error) {
			if err == errPanic {
				t.Error(log)
			}
		})
		desc := &description.Session{Medias: []*description.Media{{Formats: []format.Format{formats[int(which)%len(formats)]}}}}
		if err := r.setup(pub, readPlans(desc, nil)); err != nil {
			return
		}
		tr := r.tracks[0]
		r.control(tr, &rtcp.SenderReport{NTPTime: 1 << 63, RTPTime: 0})
		for i, payload := range [][]byte{one, two, one, two} {
			r.packet(tr, &rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(i), Timestamp: uint32(i) * 3000, Marker: marker == (i%2 == 0)}, Payload: payload})
		}
		r.end()
	})
}
