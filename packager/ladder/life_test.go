package ladder

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
)

// aligned holds a rung's frames against the publisher's: each has the times, the era, the date and the key of its source.
func aligned(t testing.TB, out *sink, rung string) []stream.Frame {
	t.Helper()
	type at struct {
		era int
		pts int64
	}
	source := map[at]stream.Frame{}
	for _, f := range out.of("") {
		if f.Track.Video() {
			source[at{f.Era, f.PTS}] = f
		}
	}
	got := out.of(rung)
	for i, f := range got {
		s, ok := source[at{f.Era, f.PTS}]
		switch {
		case !ok:
			t.Fatalf("rung %s: frame %d has a time that the source has not", rung, i)
		case f.Key != s.Key || !f.Wall.Equal(s.Wall):
			t.Fatalf("rung %s: frame %d: key %v of %v, the source's is %v of %v", rung, i, f.Key, f.Wall, s.Key, s.Wall)
		case f.DTS > f.PTS, i > 0 && f.Era == got[i-1].Era && f.DTS <= got[i-1].DTS, i > 0 && f.Era < got[i-1].Era:
			t.Fatalf("rung %s: frame %d is decoded at %d of era %d, shown at %d, behind one at %d", rung, i, f.DTS, f.Era, f.PTS, got[max(0, i-1)].DTS)
		case f.Track.CodecString == "" || len(f.Track.Config) == 0 || f.Track.Lag == 0:
			t.Fatalf("rung %s: frame %d comes on a track without codec data", rung, i)
		}
	}
	return got
}

func (s *show) wantFrames(rung string, n int) {
	s.t.Helper()
	if got := aligned(s.t, s.out(), rung); len(got) != n {
		s.t.Fatalf("%d frames of rung %s, want %d\n%s", len(got), rung, n, s.log.String())
	}
}

func TestRungs(t *testing.T) {
	inShow(t, nil, func(s *show) {
		p := s.publish("shop", full(), aac())
		synctest.Wait()
		if got := s.out().rungs(); !slices.Equal(got, []string{"720p", "480p", "audio-64k"}) {
			t.Fatalf("declared before the first frame: %q", got)
		}
		p.send(90)
		s.wantFrames("720p", 90)
		s.wantFrames("480p", 90)
		if f := s.out().of("720p")[0]; !f.Key || string(f.Payload[:6]) != "\x00\x00\x00\x03\x65\x88" {
			t.Errorf("the first frame is %x", f.Payload)
		}
		sound := s.out().of("audio-64k")
		if len(sound) < 130 {
			t.Errorf("%d frames of sound", len(sound))
		}
		for i, f := range sound {
			if i > 0 && f.PTS-sound[i-1].PTS != 1024 || f.Wall.IsZero() {
				t.Fatalf("frame %d of sound at %d, behind %d", i, f.PTS, sound[max(0, i-1)].PTS)
			}
		}
		if len(s.host.all()) != 2 {
			t.Errorf("%d children", len(s.host.all()))
		}
		in, ok := s.m.Info("shop")
		if !ok || in.State != Running || in.Ladder != "mobile" || len(in.Rungs) != 3 || in.Rungs[0].Frames != 90 || in.Rungs[0].Off != "" {
			t.Errorf("info: %+v", in)
		}
		if j := in.Jobs[0]; j.PID == 0 || j.Engine != "cpu" || j.Restarts != 0 || len(j.Args) < 2 || j.Args[0] != "ffmpeg" {
			t.Errorf("job: %+v", j)
		}
		if a := s.m.Advice("shop"); len(a) != 0 {
			t.Errorf("advice: %q", a)
		}
	})
}

func TestPrimingIsLeftOut(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(int, child.Spec) deed { return deed{priming: true} }
	}, func(s *show) {
		p := s.publish("shop", full(), aac())
		p.send(30)
		sound, source := s.out().of("audio-64k"), int64(0)
		for _, f := range s.out().of("") {
			if !f.Track.Video() {
				source = f.PTS
				break
			}
		}
		if len(sound) == 0 || sound[0].PTS != source {
			t.Fatalf("%d frames of sound, the first at %d; want %d", len(sound), sound[0].PTS, source)
		}
		if in, _ := s.m.Info("shop"); in.Rungs[2].Dropped[dropPriming] != 1 {
			t.Errorf("dropped: %v", in.Rungs[2].Dropped)
		}
	})
}

func TestPublisherReturns(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(int, child.Spec) deed { return deed{holds: 3} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(45)
		p.x.Close()
		synctest.Wait()
		s.wantFrames("720p", 45) // what the child held back, too
		if n := len(s.host.running()); n != 0 {
			t.Errorf("%d children while the publisher is away", n)
		}
		if in, _ := s.m.Info("shop"); in.State != Waiting {
			t.Errorf("state %s", in.State)
		}
		time.Sleep(5 * time.Second)
		p = s.publish("shop", full(), nil)
		synctest.Wait()
		if n := len(s.host.running()); n != 1 {
			t.Errorf("%d children before the first frame", n)
		}
		p.send(45)
		p.x.Close()
		synctest.Wait()
		s.wantFrames("720p", 90)
		s.wantFrames("480p", 90)
	})
}

// A publisher that comes from another network takes its own stream over: there is no pause at all.
func TestTakeover(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(int, child.Spec) deed { return deed{holds: 5} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(40)
		p = s.publish("shop", full(), nil)
		p.send(40)
		s.wantFrames("720p", 40+35)
		p.x.Close()
		synctest.Wait()
		s.wantFrames("720p", 80)
	})
}

func TestPhoneIsTurned(t *testing.T) {
	inShow(t, func(s *show) {
		s.host.does = func(int, child.Spec) deed { return deed{holds: 2} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30)
		p.video = full()
		p.video.Width, p.video.Height = 1080, 1920
		if err := p.x.SetTrack(p.video); err != nil {
			t.Fatal(err)
		}
		p.send(30)
		p.x.Close()
		synctest.Wait()
		s.wantFrames("720p", 60)
		all := s.host.all()
		if len(all) != 2 || all[1].head.Width != 1080 || len(all[0].frames()) != 30 || len(all[1].frames()) != 30 {
			t.Fatalf("%d children", len(all))
		}
	})
}

func TestEraWithinSession(t *testing.T) {
	inShow(t, nil, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(30)
		p.era, p.from = p.x.NextEra()
		p.n = 0
		p.send(30)
		s.wantFrames("480p", 60)
		if n := len(s.host.all()); n != 2 {
			t.Errorf("%d children", n)
		}
	})
}

// Without a ladder, what viewers can play needs no child, and what they cannot is converted.
func TestConversionsOnly(t *testing.T) {
	none := func(s *show) { s.set.Streams = nil }
	t.Run("h264", func(t *testing.T) {
		inShow(t, none, func(s *show) {
			s.publish("shop", full(), aac()).send(30)
			if n := len(s.host.all()); n != 0 {
				t.Errorf("%d children", n)
			}
			if in, ok := s.m.Info("shop"); !ok || in.State != Off || len(in.Rungs) != 0 {
				t.Errorf("info: %+v", in)
			}
		})
	})
	t.Run("vp8", func(t *testing.T) {
		inShow(t, none, func(s *show) {
			video := &stream.Track{Codec: stream.VP8, ClockRate: 90000, Width: 1280, Height: 720}
			s.publish("shop", video, nil).send(30)
			rungs := s.out().rungs()
			if len(rungs) != 1 {
				t.Fatalf("declared: %q", rungs)
			}
			s.wantFrames(rungs[0], 30)
			if in, _ := s.m.Info("shop"); !in.Rungs[0].Converts {
				t.Errorf("rung: %+v", in.Rungs[0])
			}
		})
	})
}

func TestKeyOfPublisherChoosesLadder(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Streams = nil
		s.set.Ladders = append(s.set.Ladders, ladderOf(s.t, "small", "240p 300k"))
	}, func(s *show) {
		x, err := s.hub.Publish("shop", stream.Publisher{Credential: "c", Ladder: "small"})
		if err != nil {
			t.Fatal(err)
		}
		if err := x.SetTrack(full()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := s.out().rungs(); !slices.Equal(got, []string{"240p"}) {
			t.Errorf("declared: %q", got)
		}
	})
}

func TestPosters(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Streams, s.set.Poster = nil, 5*time.Second
		s.host.does = func(int, child.Spec) deed { return deed{jpeg: true} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(61)
		if n := len(s.host.all()); n > 0 {
			t.Fatalf("%d children although nobody asked for a poster", n)
		}
		begun := time.Now()
		if _, _, ok := s.m.Poster(s.t.Context(), "shop"); ok || time.Since(begun) != posterWait {
			t.Errorf("a poster, or none after %v, of a stream that sends nothing", time.Since(begun))
		}
		p.send(61)
		jpeg, at, ok := s.m.Poster(s.t.Context(), "shop")
		if !ok || len(jpeg) < 4 || at.IsZero() {
			t.Fatalf("poster %x of %v", jpeg, at)
		}
		// A poster needs key frames only.
		if n := len(s.host.all()[0].frames()); n != 2 {
			t.Errorf("%d frames went to the child", n)
		}
		was := slices.Clone(jpeg)
		p.send(30)
		if next, _, _ := s.m.Poster(s.t.Context(), "shop"); !slices.Equal(jpeg, was) || slices.Equal(next, was) {
			t.Error("a poster changed, or no new one came")
		}
		s.hub.Close()
		synctest.Wait()
		if _, _, ok := s.m.Poster(s.t.Context(), "shop"); ok {
			t.Error("a poster of a stream that has ended")
		}
	})
}

// TestPostersOnDemand: where nothing else is made of a stream, a child for its poster runs while somebody asks; all who ask
// first get the same one, and nobody the one of long ago.
func TestPostersOnDemand(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Streams, s.set.Poster = nil, 5*time.Second
		s.host.does = func(int, child.Spec) deed { return deed{jpeg: true} }
	}, func(s *show) {
		p := s.publish("shop", full(), nil)
		p.send(15)
		const many = 20
		got := make(chan string, many)
		for range many {
			go func() {
				jpeg, _, _ := s.m.Poster(s.t.Context(), "shop")
				got <- string(jpeg)
			}()
		}
		p.send(30)
		first := <-got
		for range many - 1 {
			if next := <-got; next != first || first == "" {
				t.Fatalf("posters %x and %x", first, next)
			}
		}
		p.send(50 * fps)
		if n := len(s.host.running()); n != 1 {
			t.Fatalf("%d children 50 s after the last request", n)
		}
		s.m.Poster(s.t.Context(), "shop")
		p.send(50 * fps)
		if n := len(s.host.running()); n != 1 {
			t.Fatalf("%d children 50 s after another request", n)
		}
		p.send(90 * fps)
		if n := len(s.host.running()); n != 0 {
			t.Fatalf("%d children 140 s after the last request", n)
		}
		ctx, cancel := context.WithCancel(s.t.Context())
		cancel()
		begun := time.Now()
		s.m.Poster(ctx, "shop")
		if time.Since(begun) > 0 {
			t.Errorf("who has gone waited for %v", time.Since(begun))
		}
		asked := make(chan time.Time)
		go func() {
			_, at, _ := s.m.Poster(s.t.Context(), "shop")
			asked <- at
		}()
		begun = time.Now()
		p.send(2 * gop)
		if at := <-asked; at.Before(begun.Add(-posterWait)) {
			t.Errorf("the poster is of %v, it was asked for at %v", at, begun)
		}
	})
}

// TestPostersHaveBounds: strangers who ask for the posters of all streams have a few made at a time, and the others' turn comes.
func TestPostersHaveBounds(t *testing.T) {
	inShow(t, func(s *show) {
		s.set.Streams, s.set.Poster = nil, 5*time.Second
		s.host.does = func(int, child.Spec) deed { return deed{jpeg: true} }
	}, func(s *show) {
		var all []*publisher
		for i := range mostPosters + 3 {
			all = append(all, s.publish(fmt.Sprint("shop", i), full(), nil))
		}
		send := func(frames int) {
			for range frames {
				for _, p := range all {
					p.frame()
				}
				time.Sleep(time.Second / fps)
			}
			synctest.Wait()
		}
		ask := func() (got int) {
			for i := range all {
				go s.m.Poster(s.t.Context(), fmt.Sprint("shop", i))
			}
			send(5 * fps)
			for i := range all {
				if _, _, ok := s.m.of(fmt.Sprint("shop", i)).poster.get(); ok {
					got++
				}
			}
			return got
		}
		for range 2 {
			if got := ask(); got != mostPosters || len(s.host.running()) != mostPosters {
				t.Fatalf("%d posters by %d children, want %d", got, len(s.host.running()), mostPosters)
			}
		}
		all[0].x.Close()
		time.Sleep(2 * time.Hour) // until the stream is over
		synctest.Wait()
		all = all[1:]
		send(2 * fps)
		if n := len(s.host.running()); n != 0 {
			t.Fatalf("%d children two hours after the last request", n)
		}
		if n := s.m.posters.Load(); n != 0 {
			t.Errorf("%d places are taken", n)
		}
		go s.m.Poster(s.t.Context(), fmt.Sprint("shop", mostPosters+2))
		send(5 * fps)
		if _, _, ok := s.m.of(fmt.Sprint("shop", mostPosters+2)).poster.get(); !ok {
			t.Error("a stream whose turn never came has no poster yet")
		}
	})
}

// TestSpeedInMetrics: how fast children work is told without a label for each stream: the slowest, and all together.
func TestSpeedInMetrics(t *testing.T) {
	inShow(t, nil, func(s *show) {
		if slowest, fps := s.metric("pushcart_ladder_slowest_speed", ""), s.metric("pushcart_ladder_frames_per_second", ""); slowest != 0 || fps != 0 {
			t.Errorf("speed %v and %v frames before the first child", slowest, fps)
		}
		both(s.publish("shop", full(), nil), s.publish("other", full(), nil), 20*fps)
		slowest, rate := s.metric("pushcart_ladder_slowest_speed", ""), s.metric("pushcart_ladder_frames_per_second", "")
		if slowest < 0.9 || slowest > 1.1 || rate != 60 {
			t.Errorf("speed %v and %v frames a second of two children at 30", slowest, rate)
		}
	})
}
