package whip

import (
	"testing"
	"time"
)

// TestNTP holds the conversion against known times, also behind the end of the first era.
func TestNTP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ntp  uint64
		want time.Time
	}{
		{2208988800 << 32, time.Unix(0, 0)},
		{(2208988800+1e9)<<32 | 1<<31, time.Unix(1e9, 5e8)},
		{1 << 32, time.Date(2036, 2, 7, 6, 28, 17, 0, time.UTC)},
	} {
		if got := time.Unix(0, unixOfNTP(c.ntp)); !got.Equal(c.want) {
			t.Errorf("%x is %v, not %v", c.ntp, got.UTC(), c.want.UTC())
		}
	}
}

// sim is a sender with a sound card and a camera, each with its clock.
type sim struct {
	wall         time.Time // of the sender, at its start
	audio, video trackClock
	timing       timing
	now          time.Duration // since the start
	drift        float64       // of the sound card's clock
}

func newSim() *sim {
	s := &sim{wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	s.audio.rate, s.video.rate = 48000, 90000
	return s
}

const (
	audioBase uint32 = 4294960000 // wraps soon
	videoBase uint32 = 77
)

func (s *sim) audioStamp() uint32 {
	return audioBase + uint32(int64(s.now.Seconds()*48000*(1+s.drift)))
}
func (s *sim) videoStamp() uint32 { return videoBase + uint32(int64(s.now.Seconds()*90000)) }

func (s *sim) report(video, audio bool) {
	at := s.wall.Add(s.now)
	if video {
		s.video.report(s.videoStamp(), at.UnixNano(), false)
		s.timing.reported(&s.video, false, s.audio.placed, at)
	}
	if audio {
		s.audio.report(s.audioStamp(), at.UnixNano(), false)
		s.timing.reported(&s.audio, true, true, at)
	}
}

// frame is a picture and a piece of sound of the same moment; it returns how far they are apart, and the date.
func (s *sim) frame(videoDelay, audioDelay time.Duration) (skew time.Duration, wall time.Time) {
	local := time.Unix(1e9, 0).Add(s.now) // this host's clock is another
	a, v := s.audio.unwrap(s.audioStamp()), s.video.unwrap(s.videoStamp())
	s.audio.arrival(a, local.Add(audioDelay))
	s.video.arrival(v, local.Add(videoDelay))
	if !s.timing.open {
		return 0, time.Time{}
	}
	ap, vp := s.audio.pts(a, nil), s.video.pts(v, nil)
	return time.Duration(scale(vp, 90000) - scale(ap, 48000)), s.timing.wall(vp, 90000)
}

// TestTimingReports: with reports from the start sound and pictures are in step, and dated by the sender's clock.
func TestTimingReports(t *testing.T) {
	t.Parallel()
	s := newSim()
	s.frame(200*time.Millisecond, 20*time.Millisecond)
	s.report(true, true)
	s.timing.begin([]*trackClock{&s.audio, &s.video})
	for range 300 {
		s.now += 33 * time.Millisecond
		skew, wall := s.frame(200*time.Millisecond, 20*time.Millisecond)
		if skew.Abs() > 100*time.Microsecond || wall.Sub(s.wall.Add(s.now)).Abs() > time.Millisecond {
			t.Fatalf("at %v: %v apart, dated %v off", s.now, skew, wall.Sub(s.wall.Add(s.now)))
		}
	}
}

// TestTimingLateReport: until the report on the sound comes, arrival tells; then the pictures are moved gently, the sound not.
func TestTimingLateReport(t *testing.T) {
	t.Parallel()
	s := newSim()
	s.frame(100*time.Millisecond, 20*time.Millisecond)
	s.report(true, false)
	s.timing.begin([]*trackClock{&s.audio, &s.video})
	s.now += 33 * time.Millisecond
	if skew, _ := s.frame(100*time.Millisecond, 20*time.Millisecond); skew.Abs() < 70*time.Millisecond {
		t.Fatalf("the test is about a skew, and there are %v", skew)
	}
	audio := s.audio.offset
	last := s.video.offset
	for i := range 600 {
		s.now += 33 * time.Millisecond
		if i%30 == 0 {
			s.report(true, i%150 == 0)
		}
		s.frame(100*time.Millisecond, 20*time.Millisecond)
		if d := s.video.offset - last; abs(d) > 2970/slewPart+1 {
			t.Fatalf("a step of %d ticks", d)
		}
		last = s.video.offset
	}
	if skew, wall := s.frame(100*time.Millisecond, 20*time.Millisecond); skew.Abs() > 2*time.Millisecond || wall.Sub(s.wall.Add(s.now)).Abs() > 2*time.Millisecond {
		t.Errorf("in the end %v apart, dated %v off", skew, wall.Sub(s.wall.Add(s.now)))
	}
	if s.audio.offset != audio {
		t.Error("the sound was moved")
	}
}

// TestTimingDrift: a sound card that runs fast by 100 ppm is followed for an hour.
func TestTimingDrift(t *testing.T) {
	t.Parallel()
	s := newSim()
	s.drift = 100e-6
	s.frame(0, 0)
	s.report(true, true)
	s.timing.begin([]*trackClock{&s.audio, &s.video})
	for i := range 36000 {
		s.now += 100 * time.Millisecond
		if i%10 == 0 {
			s.report(true, i%50 == 0)
		}
		if skew, _ := s.frame(0, 0); skew.Abs() > 15*time.Millisecond {
			t.Fatalf("at %v: %v apart", s.now, skew)
		}
	}
}

// TestTimingClockSet: a sender whose clock is set moves neither sound nor pictures; their date follows in time.
func TestTimingClockSet(t *testing.T) {
	t.Parallel()
	s := newSim()
	s.frame(0, 0)
	s.report(true, true)
	s.timing.begin([]*trackClock{&s.audio, &s.video})
	s.wall = s.wall.Add(time.Hour)
	for i := range 1200 {
		s.now += 33 * time.Millisecond
		if i%30 == 0 {
			s.report(true, i%150 == 0)
		}
		if skew, _ := s.frame(0, 0); skew.Abs() > 5*time.Millisecond {
			t.Fatalf("at %v: %v apart", s.now, skew)
		}
	}
	if _, wall := s.frame(0, 0); wall.Sub(s.wall.Add(s.now)).Abs() > 10*time.Millisecond {
		t.Errorf("dated %v off in the end", wall.Sub(s.wall.Add(s.now)))
	}
}

// TestFollow: a layer whose report is some milliseconds off is tied to the lead's pictures, in whatever order they come.
func TestFollow(t *testing.T) {
	t.Parallel()
	lead, layer := &trackClock{rate: 90000}, &trackClock{rate: 90000}
	lead.unwrap(1000)
	layer.unwrap(500000)
	lead.set(0)
	layer.set(scale(-499000-300, 90000)) // 3 ms off
	lead.offsetAt(1000)
	layer.follow(500000, lead)
	if !layer.linked || layer.pts(500000, lead) != 1000 {
		t.Fatalf("linked %v, at %d", layer.linked, layer.pts(500000, lead))
	}
	lead.target += 90000 // a correction is under way
	for i := int64(1); i < 200; i += 3 {
		var of, mine [3]int64
		leads := func() {
			for k := range int64(3) {
				of[k] = 1000 + 3000*(i+k) + lead.offsetAt(1000+3000*(i+k))
			}
		}
		if i%2 == 0 {
			leads()
		}
		for k := range int64(3) {
			mine[k] = layer.pts(500000+3000*(i+k), lead)
		}
		if i%2 != 0 { // the layer is three pictures ahead
			leads()
		}
		if of != mine {
			t.Fatalf("picture %d: %v and %v", i, of, mine)
		}
	}
	stranger := &trackClock{rate: 90000}
	stranger.unwrap(0)
	lead.leadAt = 0
	lead.shown(0)
	lead.shown(3000)
	stranger.set(scale(1500, 90000) + scale(lead.offset, 90000))
	stranger.follow(0, lead)
	if stranger.linked {
		t.Error("a picture between two of the lead's is taken for one of them")
	}
}
