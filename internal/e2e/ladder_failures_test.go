package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/testkit"
	"pushcart/overlay/api"
)

// long is how often clips of twenty seconds are repeated where a failure has to run its course.
const long = 4

// TestLadderFailures breaks ffmpeg in mid-show in all ways that it breaks in: the source and the sound never miss a part, rungs
// show gaps and come back as soon as ffmpeg does, and the API, the metrics and the advice say what is wrong.
func TestLadderFailures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		// role of what is started in place of the one that the signal is sent to.
		role   testkit.Role
		signal syscall.Signal
		// reason by which it is counted, and words that the API has of it.
		reason, words string
	}{
		{"killed", "", syscall.SIGKILL, "exit", ""},
		{"stopped", "", syscall.SIGSTOP, "stuck", ""},
		{"garbage", testkit.Babbles, syscall.SIGKILL, "garbage", ""},
		{"ends at once", testkit.Dies, syscall.SIGKILL, "exit", testkit.WordsOfDeath},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program := testkit.NewProgram(t)
			n := laddered(t, program, threeRungs, nil)
			v, src, stop := usualLadder(t, n, long, append(slices.Clone(pictureRungs), soundRung)...)
			watched := []*follower{watch(t, v, "video"), watch(t, v, "audio"), watch(t, v, soundRung)}
			job := program.Picture()
			if c.role != "" {
				program.Become(c.role)
			}
			broken := v.Playlist("video").Last().MSN
			program.Signal(job, c.signal)

			times := uint64(1)
			if c.role != "" {
				times = 2
			}
			var child api.LadderChild
			testkit.EventuallyWithin(t, sometime, "the API tells of the failure", func() bool {
				child = pictureChild(ladderOf(t, n.HTTP()))
				return child.Restarts >= times && child.LastError != ""
			})
			if said := child.LastError + strings.Join(child.Stderr, " "); !strings.Contains(said, c.words) {
				t.Errorf("the API does not say %q: %+v", c.words, child)
			}
			t.Logf("the API says of the failure: %s", child.LastError)
			if c.role != "" {
				testkit.EventuallyWithin(t, sometime, "the advice tells of the failure", func() bool {
					return stream(t, n, "show").adviceWith("ffmpeg")
				})
				t.Logf("advice: %q", stream(t, n, "show").Advice)
				v.Until("180p", "a gap", func(l *testkit.Playlist) bool {
					return slices.ContainsFunc(l.Segments, func(g testkit.Segment) bool { return g.MSN >= broken && !wholeSegment(&g) && g.Complete })
				})
				program.Become(testkit.Honest)
			}
			// A new one is there, and no old one.
			for _, rung := range pictureRungs {
				recovered(v, rung, broken+1, 2)
			}
			testkit.Eventually(t, "one ffmpeg encodes pictures", func() bool {
				jobs := program.Jobs(true)
				return len(jobs) == 1 && jobs[0].PID != job.PID
			})
			for _, f := range watched {
				f.whole(t)
			}
			all := taken(v, append([]string{"video"}, pictureRungs...)...)
			stop()
			for i := range all[1:] {
				missing := all[1+i].heldAgainst(t, &all[0], 0)
				if i := slices.IndexFunc(missing, func(msn int64) bool { return msn >= all[0].segments[0].MSN+3 && msn < broken-2 }); i >= 0 && lateFrames(t, n) == 0 {
					t.Errorf("%s lacks pictures of segment %d; ffmpeg broke in %d", all[1+i].name, missing[i], broken)
				}
				all[1+i].decodes(t, v, rungSizes[all[1+i].name])
			}
			if d := all[0].playlist.Discontinuities(); d > 0 {
				t.Errorf("the source has %d discontinuities", d)
			}
			d := ladderOf(t, n.HTTP())
			if d.State != "running" || pictureChild(d).Restarts < times {
				t.Errorf("API after the recovery: %+v", d)
			}
			if got := testkit.Scrape(t, n.Admin()).Value("pushcart_ladder_restarts_total", "reason", c.reason); got < float64(times) {
				t.Errorf("pushcart_ladder_restarts_total{reason=%q} is %v", c.reason, got)
			}
			src.Leave()
		})
	}
}

// programSettings is a configuration file for the real program with cards and a ladder.
func programSettings(t *testing.T, program *testkit.Program) string {
	t.Helper()
	return testkit.WriteFile(t, "pushcart.yaml", fmt.Sprintf(settings, "0", "", "0", "10s", publishKey)+
		"studio: {tokens: [{stream: show, token: "+operatorToken+"}]}\n"+fmt.Sprintf(threeRungs, program.Path))
}

// TestLadderOnAFullDisk has every write to a file fail in mid-show: cards are refused, and neither the source nor the rungs
// notice, nor those of an ffmpeg that is started then.
func TestLadderOnAFullDisk(t *testing.T) {
	t.Parallel()
	program := testkit.NewProgram(t)
	s := testkit.Serve(t, programSettings(t, program))
	tried(t, "http://"+s.HTTP)
	h := newHost(t, "http://"+s.HTTP)
	h.products(2)
	show := showOf(testkit.LadderPictures(t, "30").Repeat(long), testkit.Sound(t).Repeat(long))
	src := testkit.ByName(t, "rtmp").Must(t, s.Target(t), show)
	stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
	v := testkit.NewViewer(t, masterOf(s))
	v.Patience = sometime
	v.Join()
	climbed(t, v, append(slices.Clone(pictureRungs), soundRung)...)
	h.show("main", "c0", time.Time{})
	watched := []*follower{watch(t, v, "video"), watch(t, v, "audio"), watch(t, v, soundRung)}
	testkit.LimitFiles(t, s.PID())
	full := v.Playlist("video").Last().MSN
	if a, err := h.ask(http.MethodPut, "/slots/main", map[string]any{"card": "c1"}); err != nil || a.status/100 != 5 {
		t.Errorf("a card that cannot be written down is answered %d, %v: %s", a.status, err, a.body)
	}
	for _, rung := range pictureRungs {
		recovered(v, rung, full, 2)
	}
	job := program.Picture()
	program.Signal(job, syscall.SIGKILL)
	program.Other(job)
	killed := v.Playlist("video").Last().MSN
	for _, rung := range pictureRungs {
		recovered(v, rung, killed+1, 2)
	}
	for _, f := range watched {
		f.whole(t)
	}
	all := taken(v, append([]string{"video"}, pictureRungs...)...)
	stop()
	for i := range all[1:] {
		all[1+i].heldAgainst(t, &all[0], 0)
	}
	src.Leave()
	s.Signal(syscall.SIGTERM)
	s.Wait(t)
	program.None()
	if s.Log.Has("panic") {
		t.Errorf("%s", s.Log)
	}
}

// TestLadderLeavesNoOrphan kills the node while it encodes, and while ffmpeg stands still besides: no ffmpeg outlives it.
func TestLadderLeavesNoOrphan(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"that work": 0, "that are stopped": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := testkit.NewProgram(t)
			s := testkit.Serve(t, programSettings(t, program))
			tried(t, "http://"+s.HTTP)
			show := showOf(testkit.LadderPictures(t, "30").Repeat(long), testkit.Sound(t).Repeat(long))
			src := testkit.ByName(t, "rtmp").Must(t, s.Target(t), show)
			ended := make(chan error, 1)
			go func() { ended <- testkit.Send(t.Context(), src, show.Tracks, testkit.Stretch{Speed: 1}) }()
			v := testkit.NewViewer(t, masterOf(s))
			v.Patience = sometime
			v.Join()
			climbed(t, v, "90p", soundRung)
			sounds := program.Jobs(false)
			if len(sounds) == 0 {
				t.Error("no ffmpeg makes sound")
			}
			for _, job := range append(program.Jobs(true), sounds...) {
				if job.PID == s.PID() {
					t.Fatalf("process %d is the node", job.PID)
				}
				if group, err := syscall.Getpgid(job.PID); err != nil || group != job.PID {
					t.Errorf("process %d is of group %d: %v", job.PID, group, err)
				}
				if signal != 0 {
					program.Signal(job, signal)
				}
			}
			s.Kill()
			program.None()
			if err := <-ended; err != nil && !testkit.Gone(err) {
				t.Errorf("publisher: %v", err)
			}
		})
	}
}

// TestLadderSoundEncoderKilled kills the ffmpeg that makes sound: no picture is missing anywhere, and the rung of sound goes on.
func TestLadderSoundEncoderKilled(t *testing.T) {
	t.Parallel()
	program := testkit.NewProgram(t)
	n := laddered(t, program, threeRungs, nil)
	newHost(t, n.HTTP()).products(1)
	v, src, stop := usualLadder(t, n, long, append(slices.Clone(pictureRungs), soundRung)...)
	watched := []*follower{watch(t, v, "video"), watch(t, v, "audio"), watch(t, v, "90p")}
	picture := program.Picture()
	var jobs []testkit.Job
	testkit.Eventually(t, "one ffmpeg makes sound", func() bool { jobs = program.Jobs(false); return len(jobs) == 1 })
	killed := v.Playlist(soundRung).Last().MSN
	program.Signal(jobs[0], syscall.SIGKILL)
	recovered(v, soundRung, killed+1, 3)
	if program.Picture().PID != picture.PID {
		t.Error("the picture's ffmpeg is another one")
	}
	for _, f := range watched {
		f.whole(t)
	}
	all := taken(v, "video", soundRung)
	stop()
	all[1].sounds(t, &all[0], 0)
	all[1].decodes(t, v, [2]int{})
	src.Leave()
}
