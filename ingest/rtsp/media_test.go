package rtsp

import (
	"crypto/tls"
	"encoding/binary"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"pushcart/ingest"
)

// Parameter sets of a 1920x1080 stream without reordered pictures.
var (
	testSPS = []byte{
		0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04,
		0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20,
	}
	testPPS = []byte{0x68, 0xcb, 0x8c, 0xb2}
)

// show is a publisher of one picture and one sound track, of which a test sends each packet by itself.
type show struct {
	t      testing.TB
	client *gortsplib.Client
	video  *description.Media
	audio  *description.Media
	seq    [2]uint16
}

const (
	videoStart = math.MaxUint32 - 90000 // so that the timestamps wrap after a second
	audioStart = 12345
)

func newShow(t testing.TB) *show {
	aac := &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelCount: 2}
	return &show{
		t:   t,
		seq: [2]uint16{65530, 7},
		video: &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{
			&format.H264{PayloadTyp: 96, SPS: testSPS, PPS: testPPS, PacketizationMode: 1}}},
		audio: &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{
			&format.MPEG4Audio{PayloadTyp: 97, Config: aac, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3}}},
	}
}

// publish goes up to RECORD.
func (s *show) publish(url string, transport gortsplib.Transport) {
	s.t.Helper()
	s.client = &gortsplib.Client{Transport: &transport, TLSConfig: &tls.Config{InsecureSkipVerify: true}, DisableRTCPSenderReports: true,
		WriteQueueSize: 2048}
	if err := s.client.StartRecording(url, &description.Session{Medias: []*description.Media{s.video, s.audio}}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.client.Close() })
}

// pictures are access units of a number of slices each. Each slice is a packet of its own; the first of each 30 is a key frame.
func (s *show) picture(n, slices int) []*rtp.Packet {
	var out []*rtp.Packet
	for i := range slices {
		first := byte(0x41)
		if n%30 == 0 {
			first = 0x65
		}
		mb := byte(0x88) // first_mb_in_slice 0
		if i > 0 {
			mb = 0x48 // and not
		}
		out = append(out, &rtp.Packet{
			Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: s.seq[0], Marker: i == slices-1,
				Timestamp: uint32(videoStart + uint64(n)*3000)},
			Payload: []byte{first, mb, 0x84, byte(n), byte(i), 0xab, 0xcd},
		})
		s.seq[0]++
	}
	return out
}

// sound is a packet of one AAC frame.
func (s *show) sound(n int) *rtp.Packet {
	frame := []byte{0x21, 0x10, byte(n), 0x04, 0x60, 0x8c, 0x1c}
	header := binary.BigEndian.AppendUint16([]byte{0, 16}, uint16(len(frame)<<3))
	p := &rtp.Packet{
		Header:  rtp.Header{Version: 2, PayloadType: 97, SequenceNumber: s.seq[1], Marker: true, Timestamp: uint32(audioStart + n*1024)},
		Payload: append(header, frame...),
	}
	s.seq[1]++
	return p
}

// send sends packets of a medium.
func (s *show) send(m *description.Media, packets ...*rtp.Packet) {
	s.t.Helper()
	for _, p := range packets {
		if err := s.client.WritePacketRTP(m, p); err != nil {
			s.t.Fatal(err)
		}
	}
}

// report sends a sender report.
func (s *show) report(m *description.Media, wall time.Time, raw uint32) {
	s.t.Helper()
	if err := s.client.WritePacketRTCP(m, &rtcp.SenderReport{SSRC: 1, NTPTime: toNTP(wall), RTPTime: raw}); err != nil {
		s.t.Fatal(err)
	}
}

// toNTP is the inverse of fromNTP.
func toNTP(t time.Time) uint64 {
	seconds := uint64(t.Unix() + 2208988800)
	return seconds<<32 | (uint64(t.Nanosecond())<<32)/uint64(time.Second)
}

// TestTimeFromSenderReports: the time of capture and the distance of the tracks are those of the reports, from the first
// frame on, although the reports come after it.
func TestTimeFromSenderReports(t *testing.T) {
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportUDP} {
		t.Run(transport.String(), func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			server, _ := startServer(t, Options{Door: door})
			s := newShow(t)
			s.publish(address(server, "/live/show"), transport)
			p := door.next(t)
			captured := time.Date(2026, 3, 4, 5, 6, 7, 800_000_000, time.UTC)
			s.send(s.video, s.picture(0, 2)...)
			s.report(s.video, captured, uint32(videoStart))
			s.send(s.audio, s.sound(0))
			s.report(s.audio, captured.Add(250*time.Millisecond+1024*time.Second/48000), uint32(audioStart+1024))
			for n := 1; n < 60; n++ {
				s.send(s.video, s.picture(n, 2)...)
				s.send(s.audio, s.sound(n))
			}
			v, a := p.await(t, 0, 60), p.await(t, 100, 60)
			near := func(what string, got, want time.Duration) {
				if d := got - want; d > 100*time.Microsecond || d < -100*time.Microsecond {
					t.Errorf("%s: %v, want %v", what, got, want)
				}
			}
			for i := range 60 {
				near("video's time of capture", v[i].Wall.Sub(captured), time.Duration(i)*time.Second/30)
				near("video's time", time.Duration(v[i].PTS-v[0].PTS)*time.Second/90000, time.Duration(i)*time.Second/30)
				near("audio's time of capture", a[i].Wall.Sub(captured), 250*time.Millisecond+time.Duration(i)*1024*time.Second/48000)
			}
			near("distance", time.Duration(a[0].PTS)*time.Second/48000-time.Duration(v[0].PTS)*time.Second/90000, 250*time.Millisecond)
			s.client.Close()
			if err := p.ended(t); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestLossDamagesNoAccessUnit: whatever packets are missing, only whole access units are passed on, and nothing between a
// loss and the next key frame.
func TestLossDamagesNoAccessUnit(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	s := newShow(t)
	s.publish(address(server, "/live/show"), gortsplib.TransportTCP) // nothing else is lost
	p := door.next(t)
	const slices = 4
	// Picture: slice. The one of 59 is in front of a key frame, and 120 is one.
	missing := map[int]int{10: 0, 40: 1, 59: slices - 1, 75: 2, 120: slices - 1}
	s.report(s.video, time.Now(), uint32(videoStart))
	whole := 0
	for n := range 150 {
		packets := s.picture(n, slices)
		if i, ok := missing[n]; ok {
			packets = append(packets[:i:i], packets[i+1:]...)
		}
		s.send(s.video, packets...)
	}
	eventually(t, "all is taken", func() bool {
		return counted(t, server.metrics.packets[fateTaken][0])+counted(t, server.metrics.packets[fateSkipped][0]) == 150*slices-float64(len(missing))
	})
	s.client.Close()
	if err := p.ended(t); err != nil {
		t.Fatal(err)
	}
	for _, f := range p.of(0) {
		units := 0
		n := -1
		for rest := f.Payload; len(rest) > 4; units++ {
			size := binary.BigEndian.Uint32(rest)
			n = int(rest[4+3])
			rest = rest[4+size:]
		}
		if _, bad := missing[n]; bad || units != slices {
			t.Errorf("picture %d came with %d of its %d slices", n, units, slices)
		}
		whole++
	}
	// 0-9, 30-39, 90-119: the key frame of 60 is lost because the end of 59 is, and nobody knows whether that was all.
	if whole != 10+10+30 {
		t.Errorf("%d pictures, want 50", whole)
	}
	if got := p.dropped(ingest.DropLost); got != len(missing) {
		t.Errorf("%d losses told, want %d", got, len(missing))
	}
	if got := counted(t, server.metrics.packets[fateLost][0]); got != float64(len(missing)) {
		t.Errorf("%v packets counted as lost, want %d", got, len(missing))
	}
}

// TestReordering: over UDP packets are put in order, and duplicates are no damage.
func TestReordering(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	began := time.Now()
	server, _ := startServer(t, Options{Door: door, Now: func() time.Time { return began }}) // however long it takes
	s := newShow(t)
	s.publish(address(server, "/live/show"), gortsplib.TransportUDP)
	p := door.next(t)
	s.report(s.video, time.Now(), uint32(videoStart))
	s.send(s.video, s.picture(0, 4)...)
	p.await(t, 0, 1)
	for n := 1; n < 60; n++ {
		k := s.picture(n, 4)
		s.send(s.video, k[2], k[0], k[0], k[3], k[1], k[2])
		p.await(t, 0, n+1)
	}
	s.client.Close()
	p.ended(t)
	if len(p.drops) > 0 || len(p.of(0)) != 60 {
		t.Errorf("%d pictures, drops %v", len(p.of(0)), p.drops)
	}
}

// waiting is how many datagrams of the first track wait for one in front of them.
func waiting(s *Server) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.sessions {
		c.receiver.mu.Lock()
		n += len(c.receiver.tracks[0].order.held)
		c.receiver.mu.Unlock()
	}
	return n
}

// TestLossOverUDP: what the network loses is found by the gap in the sequence.
func TestLossOverUDP(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	began := time.Now()
	var passed atomic.Int64
	server, _ := startServer(t, Options{Door: door, Now: func() time.Time { return began.Add(time.Duration(passed.Load())) }})
	s := newShow(t)
	s.publish(address(server, "/live/show"), gortsplib.TransportUDP)
	p := door.next(t)
	s.report(s.video, time.Now(), uint32(videoStart))
	for n := range 10 {
		s.send(s.video, s.picture(n, 4)...)
	}
	p.await(t, 0, 10)
	k := s.picture(10, 4)
	s.send(s.video, k[0], k[2], k[3])
	for n := 11; n < 69; n++ {
		s.send(s.video, s.picture(n, 4)...)
	}
	eventually(t, "all is there, and waits", func() bool { return waiting(server) == 2+58*4 })
	passed.Add(int64(overtaken))
	s.send(s.video, s.picture(69, 4)...)
	frames := p.await(t, 0, 10+40)
	if f := frames[10]; !f.Key || f.PTS-frames[0].PTS != 30*3000 {
		t.Errorf("after the loss came a frame with key %v at %d, want the key frame at 90000", f.Key, f.PTS-frames[0].PTS)
	}
	if p.dropped(ingest.DropLost) != 1 {
		t.Errorf("drops %v", p.drops)
	}
}

// TestAnswers: what cannot be served is answered with a status and a sentence.
func TestAnswers(t *testing.T) {
	refusing := func(why ingest.Reason, sentence string) *fakeDoor {
		d := newFakeDoor()
		d.refuse = func(ingest.Request) *ingest.Refusal { return ingest.Refuse(why, "%s", sentence) }
		return d
	}
	taken := refusing(ingest.ReasonNameTaken, "The stream is already live from another publisher.")
	generic := func(rtpmap string) []*description.Media {
		f := &format.Generic{PayloadTyp: 96, RTPMa: rtpmap}
		if err := f.Init(); err != nil {
			t.Fatal(err)
		}
		return []*description.Media{{Type: description.MediaTypeVideo, Formats: []format.Format{f}}}
	}
	thousand := make([]*description.Media, 1000)
	for i := range thousand {
		thousand[i] = &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{&format.H264{PayloadTyp: 96, PacketizationMode: 1}}}
	}
	for _, test := range []struct {
		name   string
		door   *fakeDoor
		path   string
		medias []*description.Media
		code   base.StatusCode
		text   string
	}{
		{"wrong key", withKey("right"), "/live/show?key=wr0ngkey", nil, base.StatusUnauthorized, "The key for this stream is wrong"},
		{"no key", withKey("right"), "/live/show", nil, base.StatusUnauthorized, "A key is needed"},
		{"taken", taken, "/live/show", nil, base.StatusForbidden, "already live"},
		{"standby", refusing(ingest.ReasonStandby, "The other one is back."), "/live/show", nil, base.StatusForbidden, "other one is back"},
		{"elsewhere", refusing(ingest.ReasonElsewhere, "Another node has it."), "/live/show", nil, base.StatusForbidden, "Another node"},
		{"cluster", refusing(ingest.ReasonCluster, "It cannot be told who has it."), "/live/show", nil, base.StatusServiceUnavailable, "cannot be told"},
		{"path", newFakeDoor(), "/show", nil, base.StatusNotFound, "publish to rtsp://HOST/live/NAME"},
		{"no name", newFakeDoor(), "/live/", nil, base.StatusNotFound, "name is missing"},
		{"codec", newFakeDoor(), "/live/show", generic("CURIOUS/90000"), base.StatusUnsupportedMediaType, "CURIOUS"},
		{"VP8", newFakeDoor(), "/live/show", []*description.Media{{Type: description.MediaTypeVideo, Formats: []format.Format{&format.VP8{PayloadTyp: 96}}}},
			base.StatusUnsupportedMediaType, "VP8 video cannot be delivered"},
		{"thousand tracks", newFakeDoor(), "/live/show", thousand, base.StatusRequestEntityTooLarge, "1000 tracks"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var log logBuffer
			server, stop := startServer(t, Options{Door: test.door, Log: textLog(&log)})
			s := newShow(t)
			if test.medias == nil {
				test.medias = []*description.Media{s.video}
			}
			c := &gortsplib.Client{}
			err := c.StartRecording(address(server, test.path), &description.Session{Medias: test.medias})
			if err == nil {
				c.Close()
				t.Fatal("it was let in")
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("error %q, want %q", err, test.text)
			}
			if !strings.Contains(err.Error(), itoa(test.code)) {
				t.Errorf("error %q, want status %d", err, test.code)
			}
			eventually(t, "the connection is counted", func() bool { return counted(t, server.metrics.results[resultRefused]) == 1 })
			stop()
			if strings.Contains(log.String(), "wr0ngkey") {
				t.Errorf("the log has the key:\n%s", log.String())
			}
		})
	}
}

// TestUnknownTrackIsIgnored: the others are taken.
func TestUnknownTrackIsIgnored(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	s := newShow(t)
	f := &format.Generic{PayloadTyp: 98, RTPMa: "CURIOUS/90000"}
	if err := f.Init(); err != nil {
		t.Fatal(err)
	}
	odd := &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{f}}
	transport := gortsplib.TransportTCP
	s.client = &gortsplib.Client{Transport: &transport, DisableRTCPSenderReports: true}
	if err := s.client.StartRecording(address(server, "/live/show"), &description.Session{Medias: []*description.Media{odd, s.video}}); err != nil {
		t.Fatal(err)
	}
	p := door.next(t)
	s.send(odd, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 98}, Payload: []byte{1, 2, 3}})
	s.report(s.video, time.Now(), uint32(videoStart))
	s.send(s.video, s.picture(0, 1)...)
	p.await(t, 0, 1)
	s.client.Close()
	p.ended(t)
	if counted(t, server.metrics.tracks[trackUnknown]) != 1 || counted(t, server.metrics.packets[fateUnwanted][0]) != 1 {
		t.Error("it was not counted")
	}
}
