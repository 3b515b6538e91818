package ladder

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
)

// What is told to encoders is what the codec data claim, or what comes where that is more or nothing is claimed. Pictures that are
// reordered come at their rate all the same.
func TestRateOfInput(t *testing.T) {
	t.Parallel()
	order := []int64{0, 3, 1, 2} // of presentation
	for _, c := range []struct {
		name           string
		claimed, sends float64
		n              int
		want           float64
	}{
		{"nothing known", 0, 30, 1, 0},
		{"claimed, nothing sent", 25, 25, 0, 25},
		{"reordered", 0, 30, 60, 30},
		{"reordered and claimed", 30000.0 / 1001, 30000.0 / 1001, 60, 30000.0 / 1001},
		{"a dark room", 30, 15, 60, 30},
		{"more than claimed", 30, 60, 60, 60},
		{"more than claimed for a moment", 30, 60, 5, 30},
	} {
		in := &input{track: &stream.Track{ClockRate: 90000, FrameRate: c.claimed}}
		for i := range c.n {
			tick := 90000 / c.sends
			at := int64(i) / 4 * 4
			in.measure(&stream.Frame{Track: in.track, DTS: int64(float64(i) * tick), PTS: int64(float64(at+order[i%4]+2) * tick)})
		}
		if got := in.rate(); got < c.want-0.05 || got > c.want+0.05 {
			t.Errorf("%s: %v frames a second, want %v", c.name, got, c.want)
		}
	}
}

// A source that claims no rate, as most WebRTC ones: the encoders are told what comes, and the rung claims nothing.
func TestUnknownRate(t *testing.T) {
	inShow(t, nil, func(s *show) {
		video := full()
		video.FrameRate = 0
		p := s.publish("shop", video, nil)
		p.send(30 * 2)
		if f := s.out().of("720p")[0]; f.Track.FrameRate != 0 {
			t.Errorf("the rung claims %v frames a second, which the encoder was told and nobody measured", f.Track.FrameRate)
		}
		// From here on every other picture is missing: 15 a second.
		for i := range 75 {
			if i == 50 {
				s.newLadder("720p 1.8M")
				if err := p.x.SetTrack(aac()); err != nil {
					t.Fatal(err)
				}
			}
			p.frame()
			p.n++
			time.Sleep(2 * time.Second / fps)
		}
		synctest.Wait()
		all := s.host.all()
		if last := all[len(all)-1].spec.Args; len(all) < 2 || !slices.ContainsFunc(last, func(a string) bool { return strings.Contains(a, "fps=") && !strings.Contains(a, "fps=30") }) {
			t.Errorf("%d children, the last one's arguments: %q", len(all), last)
		}
	})
}

// A stream that pauses teaches nothing about what pictures cost.
func TestPauseTeachesNothing(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.MaxCPU = 80
		s.host.does = func(int, child.Spec) deed { return deed{cpu: 1} }
	}, func(s *show) {
		s.m.room.cores = 8
		p := s.publish("shop", full(), nil)
		p.send(30 * 40)
		was := s.m.Node().Used
		kind := costKind{"cpu", "latency"}
		unit := func() float64 {
			s.m.room.mu.Lock()
			defer s.m.room.mu.Unlock()
			return s.m.room.unitLocked(kind)
		}
		learned := unit()
		s.host.all()[0].idle()
		time.Sleep(5 * time.Minute)
		if got := unit(); got < learned*0.9 {
			t.Errorf("a unit of cost takes %v of a processor after a pause, %v before", got, learned)
		}
		if got := s.m.Node().Used; got < was*0.9 {
			t.Errorf("%v processors in use, %v before the pause: others would get what the stream needs when it goes on", got, was)
		}
	})
}
