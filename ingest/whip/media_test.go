package whip

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// desk is a session's media without a network, under a clock of its own, and the publication behind them.
type desk struct {
	t      *testing.T
	now    time.Time
	media  *media
	frames []stream.Frame
	drops  map[ingest.DropReason]int
}

func (d *desk) Name() string                 { return "show" }
func (d *desk) SetTrack(*stream.Track) error { return nil }
func (d *desk) WriteData(*stream.Data) error { return nil }
func (d *desk) Drop(r ingest.DropReason)     { d.drops[r]++ }
func (d *desk) Close(error)                  {}
func (d *desk) Write(f *stream.Frame) error {
	own := *f
	own.Payload = nil
	d.frames = append(d.frames, own)
	return nil
}

func newDesk(t *testing.T, sections ...section) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Unix(1e9, 0), drops: map[ingest.DropReason]int{}}
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	opt, err := Options{Door: ingest.NewDoor(ingest.Options{}), UDPAddress: ":0", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return d.now }}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	o := &offer{sections: sections, payloads: []payload{{number: 96, codec: stream.H264, video: true}, {number: 111, codec: stream.Opus}}}
	c := &session{server: &Server{opt: opt, metrics: m}, pub: d, log: opt.Log, offer: o, wake: make(chan struct{}, 1)}
	c.media.init(c, feed.New(feed.Options{Publication: d, Log: opt.Log, Now: opt.Now}))
	d.media = &c.media
	return d
}

// desk's sender is one RTP stream with numbers and stamps of its own.
type deskSender struct {
	desk   *desk
	track  *track // whose reader gets its packets
	ssrc   uint32
	seq    uint16
	base   uint32
	rate   int
	format uint8
}

func (d *desk) sender(mid, layer string, ssrc uint32) *deskSender {
	d.t.Helper()
	s := &deskSender{desk: d, ssrc: ssrc, seq: uint16(ssrc * 31), base: ssrc * 7919, rate: 90000, format: 96}
	if mid == "a" {
		s.rate, s.format = 48000, 111
	}
	s.track = d.media.add(arrival{ssrc: ssrc, format: s.format, mid: mid, layer: layer, rate: s.rate, asks: mid != "a"})
	if s.track == nil {
		d.t.Fatal("the stream is not taken")
	}
	return s
}

// at is the stamp of a moment of the sender's clock.
func (s *deskSender) at(when time.Duration) uint32 {
	return s.base + uint32(ticks(int64(when), s.rate))
}

// report is a sender report at a moment of the sender's clock.
func (s *deskSender) report(when time.Duration) {
	s.desk.media.timing.reported(s.clock(when), s.track.unit == nil, s.desk.media.hasSound(), s.desk.now)
}

func (s *deskSender) clock(when time.Duration) *trackClock {
	s.track.clock.report(s.at(when), 1_700_000_000e9+int64(when), false)
	return &s.track.clock
}

// send sends payloads as one access unit of a moment.
func (s *deskSender) send(when time.Duration, payloads ...[]byte) {
	s.desk.t.Helper()
	for i, body := range payloads {
		s.packet(s.at(when), i == len(payloads)-1, body)
	}
}

func (s *deskSender) packet(stamp uint32, marker bool, body []byte) {
	s.desk.t.Helper()
	raw := s.raw(stamp, marker, body)
	p := packets.Get().(*packet)
	if err := s.track.take(p, copy(p.buf[:], raw)); err != nil {
		s.desk.t.Fatal(err)
	}
}

// raw makes the next packet.
func (s *deskSender) raw(stamp uint32, marker bool, body []byte) []byte {
	s.desk.t.Helper()
	raw, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: s.format, SequenceNumber: s.seq, Timestamp: stamp, SSRC: s.ssrc, Marker: marker}, Payload: body}).Marshal()
	if err != nil {
		s.desk.t.Fatal(err)
	}
	s.seq++
	return raw
}

// picture sends an access unit of a clip.
func (s *deskSender) picture(when time.Duration, unit []byte) {
	s.desk.t.Helper()
	s.send(when, (&codecs.H264Payloader{}).Payload(1100, unit)...)
}

// tick passes time, and returns how many key frames were asked for of each SSRC.
func (d *desk) tick(by time.Duration) int {
	d.t.Helper()
	d.now = d.now.Add(by)
	list, err := d.media.tick(d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	n := 0
	for _, p := range list {
		if fmt.Sprintf("%T", p) == "*rtcp.PictureLossIndication" {
			n++
		}
	}
	return n
}

func (d *desk) of(id int) (list []stream.Frame) {
	for _, f := range d.frames {
		if f.Track.ID == id {
			list = append(list, f)
		}
	}
	return list
}

// TestLayerReturns: a layer, the lead too, that comes back with another SSRC, other numbers and other stamps keeps its track, goes on
// with a key frame, and is in step; however often.
func TestLayerReturns(t *testing.T) {
	t.Parallel()
	clips := map[string][][]byte{"q": h264Clip(t, "q.h264"), "h": h264Clip(t, "h.h264")}
	for _, returning := range []string{"q", "h"} {
		d := newDesk(t, section{mid: "0", video: true, codec: stream.H264, layers: []string{"q", "h"}})
		senders := map[string]*deskSender{"q": d.sender("0", "q", 1), "h": d.sender("0", "h", 2)}
		n := 0
		offset := map[string]int{} // pictures sent when the layer began: it begins with a key frame
		show := func(pictures int) {
			for range pictures {
				when := time.Duration(n) * time.Second / 30
				for _, layer := range []string{"q", "h"} {
					senders[layer].picture(when, clips[layer][(n-offset[layer])%len(clips[layer])])
					if n%10 == 0 {
						senders[layer].report(when)
					}
				}
				d.tick(time.Second / 30)
				n++
			}
		}
		show(60)
		for round := range 40 {
			old := *senders[returning]
			senders[returning] = d.sender("0", returning, uint32(100+round))
			old.picture(time.Duration(n)*time.Second/30, clips[returning][1]) // comes too late
			offset[returning] = n
			show(30)
		}
		low, high := d.of(0), d.of(1)
		if len(low)+len(high) != len(d.frames) || len(low) < 1000 || len(high) < 1000 {
			t.Fatalf("%s: %d and %d pictures of %d; dropped %v", returning, len(low), len(high), len(d.frames), d.drops)
		}
		if low[len(low)-1].Track.Width != 160 || high[len(high)-1].Track.Width != 320 {
			t.Errorf("%s: the tracks are %d and %d pixels wide", returning, low[len(low)-1].Track.Width, high[len(high)-1].Track.Width)
		}
		at := map[int64]bool{}
		for _, f := range low {
			at[f.PTS] = true
		}
		apart := 0
		for _, f := range high {
			if !at[f.PTS] {
				apart++
			}
		}
		// While the lead is waited for, the layer goes by itself.
		if apart > len(high)/20 {
			t.Errorf("%s: %d of %d pictures are none of the lead's", returning, apart, len(high))
		}
		for _, list := range [][]stream.Frame{low, high} {
			for i := range list[1:] {
				if d := list[i+1].PTS - list[i].PTS; d <= 0 || d > 90000 || d > 3100 && !list[i+1].Key {
					t.Fatalf("%s: picture %d is %d ticks behind the former, key %v", returning, i+1, d, list[i+1].Key)
				}
			}
		}
		if len(d.media.held) != 0 || d.media.size != 0 {
			t.Errorf("%s: %d units, %d bytes are still held", returning, len(d.media.held), d.media.size)
		}
	}
}

// TestUnfinishedPicture: a picture whose end the sender left out is not passed over as if it had not been.
func TestUnfinishedPicture(t *testing.T) {
	t.Parallel()
	d := newDesk(t, section{mid: "0", video: true, codec: stream.H264})
	s := d.sender("0", "", 1)
	clip := h264Clip(t, "h.h264")
	n := 0
	next := func() time.Duration { n++; d.tick(time.Second / 30); return time.Duration(n) * time.Second / 30 }
	for i := range 30 {
		s.picture(next(), clip[i])
	}
	have := len(d.frames)
	s.send(next(), []byte{0x7c, 0x81, 1, 2, 3})
	for i := 1; i < 10; i++ {
		s.picture(next(), clip[i])
	}
	if got := len(d.frames); have < 25 || got != have {
		t.Errorf("%d pictures, and then %d that refer to one that is missing", have, got-have)
	}
	if d.drops[ingest.DropDamaged] != 1 {
		t.Errorf("dropped %v", d.drops)
	}
	s.picture(next(), clip[0])
	if got := len(d.frames); got != have+1 {
		t.Errorf("%d pictures after the key frame", got-have)
	}
}

// script is an rtpReader that gives packets and errors.
type script struct {
	desk  *desk
	steps []any // []byte or error
}

func (s *script) SetReadDeadline(time.Time) error { return nil }

func (s *script) Read(b []byte) (int, interceptor.Attributes, error) {
	step := s.steps[0]
	s.steps = s.steps[1:]
	if err, ok := step.(error); ok {
		return 0, nil, err
	}
	return copy(b, step.([]byte)), nil, nil
}

// TestOversizePacket: a packet that is longer than any network carries, and one of a format that nobody knows, cost themselves
// only; the end of the connection ends the reading.
func TestOversizePacket(t *testing.T) {
	t.Parallel()
	d := newDesk(t, section{mid: "0", video: true, codec: stream.H264})
	s := d.sender("0", "", 1)
	in := &script{desk: d}
	for i, payload := range (&codecs.H264Payloader{}).Payload(1100, h264Clip(t, "h.h264")[0]) {
		in.steps = append(in.steps, s.raw(s.base, false, payload))
		if i == 0 {
			in.steps = append(in.steps, io.ErrShortBuffer, webrtc.ErrCodecNotFound)
		}
	}
	in.steps = append(in.steps, s.raw(s.base+3000, true, []byte{0x41, 0x9a, 1, 2}), io.EOF)
	s.track.readPackets(in)
	d.tick(time.Second)
	if len(in.steps) != 0 || len(d.frames) != 2 {
		t.Errorf("%d steps are left, %d pictures", len(in.steps), len(d.frames))
	}
}

// TestForeignFormats: what is of another format than the section's is not taken for media.
func TestForeignFormats(t *testing.T) {
	t.Parallel()
	d := newDesk(t, section{mid: "0", video: true, codec: stream.H264})
	s := d.sender("0", "", 1)
	clip := h264Clip(t, "h.h264")
	for i := range 60 {
		s.picture(time.Duration(i)*time.Second/30, clip[i%30])
		s.format = 111
		seq := s.seq
		s.send(time.Duration(i)*time.Second/30, []byte{0xfc, 0xff, 0xfe})
		s.format, s.seq = 96, seq
		d.tick(time.Second / 30)
	}
	if got := len(d.frames); got != 60 || len(d.drops) != 0 {
		t.Errorf("%d pictures; dropped %v", got, d.drops)
	}
	if d.media.add(arrival{ssrc: 2, format: 97, mid: "0", rate: 90000}) != nil {
		t.Error("a stream of a format that was not agreed on is taken")
	}
}

// TestKeyRequests: a request that is lost is made again soon, and a layer that never answers does not keep the others at it.
func TestKeyRequests(t *testing.T) {
	t.Parallel()
	d := newDesk(t, section{mid: "0", video: true, codec: stream.H264, layers: []string{"q", "h"}})
	good, bad := d.sender("0", "q", 1), d.sender("0", "h", 2)
	clip := h264Clip(t, "q.h264")
	n, asked := 0, 0
	show := func(pictures int) {
		for range pictures {
			when := time.Duration(n) * time.Second / 30
			good.picture(when, clip[n%30]) // a key frame every second by itself
			bad.picture(when, clip[1])
			asked += d.tick(time.Second / 30)
			n++
		}
	}
	show(60 * 30)
	if requests := asked / 2; requests < 5 || requests > 15 {
		t.Errorf("asked %d times in a minute", requests)
	}

	d = newDesk(t, section{mid: "0", video: true, codec: stream.H264})
	good = d.sender("0", "", 1)
	for i := range 45 { // with a key frame half a second ago
		good.picture(time.Duration(i)*time.Second/30, clip[i%30])
		d.tick(time.Second / 30)
	}
	good.seq++ // lost for good
	asked = 0
	for i := 45; i < 45+30; i++ {
		good.picture(time.Duration(i)*time.Second/30, clip[1])
		asked += d.tick(time.Second / 30)
	}
	if asked != 2 {
		t.Errorf("asked %d times in the second after the loss", asked)
	}
}

// TestHours: stamps and clocks over 14 hours, in which those of the pictures begin anew and the sound card's clock drifts by
// 100 ppm; what comes then is in step, too.
func TestHours(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		card    float64 // of the sound card's clock, against the sender's
		sender  float64 // of the sender's clock, against this host's
		reports bool
	}{
		"with reports":  {card: 1e-4, sender: -1e-4, reports: true},
		"a fast sender": {sender: 1e-4},
		"a slow sender": {sender: -1e-4},
	} {
		d := newDesk(t, section{mid: "a", codec: stream.Opus}, section{mid: "0", video: true, codec: stream.H264}, section{mid: "1", video: true, codec: stream.H264})
		sound, camera := d.sender("a", "", 1), d.sender("0", "", 2)
		clip := h264Clip(t, "q.h264")
		const step = 10 * time.Second
		var when time.Duration
		play := func(others ...*deskSender) {
			// The same moment by the sender's clock and by the sound card's.
			heard := when + time.Duration(float64(when)*c.card)
			sound.send(heard, []byte{0xfc, 0xff, 0xfe})
			for _, s := range append(others, camera) {
				s.picture(when, clip[0])
			}
			if c.reports {
				sound.track.clock.report(sound.at(heard), 1_700_000_000e9+int64(when), false)
				d.media.timing.reported(&sound.track.clock, true, true, d.now)
				for _, s := range append(others, camera) {
					s.report(when)
				}
			}
		}
		latest := func(id int) time.Duration {
			for _, f := range slices.Backward(d.frames) {
				if f.Track.ID == id {
					return time.Duration(scale(f.PTS, f.Track.ClockRate))
				}
			}
			return 0
		}
		begun := d.now
		for when < 14*time.Hour {
			play()
			when += step
			d.now = begun.Add(when - time.Duration(float64(when)*c.sender))
			d.tick(0)
			if skew := latest(0) - latest(100); when > 2*step && c.reports && skew.Abs() > 25*time.Millisecond {
				t.Fatalf("%s: at %v: %v apart", name, when, skew)
			}
		}
		if got := len(d.of(0)); got != int(14*time.Hour/step) || len(d.drops) != 0 {
			t.Errorf("%s: %d pictures; dropped %v", name, got, d.drops)
		}
		second := d.sender("1", "", 3)
		for range 30 {
			play(second)
			when += 40 * time.Millisecond
			d.now = d.now.Add(40 * time.Millisecond)
			d.tick(0)
		}
		if skew := latest(1) - latest(0); skew.Abs() > 25*time.Millisecond {
			t.Errorf("%s: a camera that came after %v is %v off", name, when, skew)
		}
	}
}

// TestEarlyReport: a report that was made before the first packet, with a stamp of any kind, does not place a track, whether it
// comes before the packets or behind them; one that foresaw the stamps does.
func TestEarlyReport(t *testing.T) {
	t.Parallel()
	d := newDesk(t, section{mid: "0", video: true, codec: stream.H264})
	s := d.sender("0", "", 1)
	s.picture(0, h264Clip(t, "h.h264")[0])
	s.track.report(&rtcp.SenderReport{SSRC: 1, NTPTime: (2208988800 + 1e9) << 32, RTPTime: s.base + 1<<30}, d.now)
	if s.track.clock.usable() {
		t.Error("it is taken")
	}
	s.track.report(&rtcp.SenderReport{SSRC: 1, NTPTime: (2208988800 + 1e9) << 32, RTPTime: s.base, PacketCount: 1}, d.now)
	if !s.track.clock.usable() {
		t.Error("a good one is not taken")
	}
	for off, want := range map[uint32]bool{0: true, 9 * 90000: true, 1 << 30: false, 1<<32 - 11*90000: false} {
		c := trackClock{rate: 90000}
		c.report(7000+off, 1e18, true)
		c.unwrap(7000)
		behind := trackClock{rate: 90000}
		behind.unwrap(7000)
		behind.report(7000+off, 1e18, true)
		if c.usable() != want || behind.usable() != want {
			t.Errorf("%d ticks off: taken %v and %v, want %v", int32(off), c.usable(), behind.usable(), want)
		}
	}
}
