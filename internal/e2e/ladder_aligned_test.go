package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// TestLadderAligned publishes to a ladder of three rungs and sound, by all kinds of pictures: every rendition is held against
// the source frame by frame, decodes, and is within the rules.
func TestLadderAligned(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		clip, protocol, mode string
		off                  []conformance.RuleID
		// ends is how far boundaries of segments may lie apart: between two frames nobody can tell where one is.
		ends time.Duration
	}{
		{clip: "30", protocol: "rtmp"},
		{clip: "29.97", protocol: "srt"},
		{clip: "25", protocol: "rtsp/tcp"},
		// Frames lie further apart than a part has play, so its length follows them; FRAME-RATE is the highest, not the mean; a card is
		// shown with a frame, and its date is that of a boundary.
		{clip: "variable", protocol: "rtmp", ends: 300 * time.Millisecond, off: []conformance.RuleID{conformance.RulePartMin,
			conformance.RulePartEven, conformance.RuleVariantRate, conformance.RuleRangeEvent}},
		{clip: "B-frames", protocol: "srt"},
		{clip: "portrait", protocol: "rtmp"},
		{clip: "HEVC", protocol: "rtmp"},
		{clip: "25", protocol: "rtmp", mode: "quality"}, // rungs have B-frames and look ahead
	} {
		t.Run(strings.TrimSpace(c.clip+" "+c.mode), func(t *testing.T) {
			t.Parallel()
			text := threeRungs
			if c.mode != "" {
				text = strings.Replace(text, "name: mobile,", "name: mobile, mode: "+c.mode+",", 1)
			}
			n := laddered(t, testkit.NewProgram(t), text, nil)
			h := newHost(t, n.HTTP())
			h.products(3)
			show := showOf(testkit.LadderPictures(t, c.clip).Repeat(long), testkit.Sound(t).Repeat(long))
			p := testkit.ByName(t, c.protocol)
			src := p.Must(t, n, show)
			stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Patience = sometime
			v.Join()
			climbed(t, v, append(slices.Clone(pictureRungs), soundRung)...)
			h.show("main", "c0", time.Time{})
			judgedBy(t, n, conformance.Options{Duration: 5 * time.Second, LooseHints: true, DecodeSlack: time.Millisecond,
				RaisedHold: true, Off: append(slices.Clone(hasty), c.off...)}) // on a busy machine rungs lag, and hold-backs follow
			h.show("side", "c1", time.Time{})
			h.show("main", "c2", time.Time{})
			last := v.Playlist("video").Last().MSN
			v.Until("video", "the cards", func(l *testkit.Playlist) bool { return l.Last().MSN >= last+2 })
			for _, rung := range pictureRungs {
				recovered(v, rung, last, 1)
			}

			all := taken(v, append([]string{"video", "audio", soundRung}, pictureRungs...)...)
			stop()
			source, rungs := &all[0], all[3:]
			upright := c.clip == "portrait"
			for i := range rungs {
				begun(t, n, source, rungs[i].name, rungs[i].heldAgainst(t, source, c.ends))
				size := rungSizes[rungs[i].name]
				if upright {
					size[0], size[1] = size[1], size[0]
				}
				rungs[i].decodes(t, v, size)
			}
			for i := range all[1:3] {
				all[1+i].sounds(t, source, c.ends/10)
				all[1+i].decodes(t, v, [2]int{})
			}
			sameRanges(t, all)
			if source.playlist.Discontinuities() != 0 {
				t.Errorf("%s", describe(source.playlist))
			}
			complete(t, source, src.Sent())
			master := v.Join()
			for _, rung := range pictureRungs {
				size := testkit.Attribute(variantOf(master, rung), "RESOLUTION")
				if want := resolution(rungSizes[rung], upright); size != want {
					t.Errorf("%s: RESOLUTION=%s, want %s:\n%s", rung, size, want, master)
				}
			}
			for _, attribute := range []string{"BANDWIDTH", "AVERAGE-BANDWIDTH", "SCORE"} {
				if testkit.Attribute(variantOf(master, "180p"), attribute) == "" {
					t.Errorf("180p has no %s:\n%s", attribute, master)
				}
			}
			src.Leave()
		})
	}
}

func resolution(size [2]int, upright bool) string {
	if upright {
		size[0], size[1] = size[1], size[0]
	}
	return decimal(int64(size[0])) + "x" + decimal(int64(size[1]))
}

// begun wants no pictures missing but at the beginning, where ffmpeg had to start; a busy machine may be late, which the node
// counts.
func begun(t *testing.T, n *testkit.Node, source *climb, rung string, missing holes) {
	t.Helper()
	const start = 3 // segments
	first := source.segments[0].MSN
	for _, msn := range missing {
		if msn < first+start {
			continue
		}
		if late := lateFrames(t, n); late > 0 && len(missing) < len(source.segments)/2 {
			t.Logf("%s lacks pictures of segment %d; the node counts %d frames that came too late", rung, msn, late)
			continue
		}
		t.Errorf("%s lacks pictures of segment %d; the show began with %d", rung, msn, first)
	}
}

// TestLadderReconnects loses the publisher in mid-show: every rendition has the discontinuity at the same number, and goes on
// aligned behind it.
func TestLadderReconnects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, first, second string }{{"the same", "30", "30"}, {"turned", "30", "portrait"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := laddered(t, testkit.NewProgram(t), threeRungs, func(c *config.Config) { c.Publish.ReconnectWindow = config.Duration(time.Minute) })
			h := newHost(t, n.HTTP())
			h.products(2)
			show := showOf(testkit.LadderPictures(t, c.first).Repeat(long), testkit.Sound(t).Repeat(long))
			p := testkit.ByName(t, "rtmp")
			first := p.Must(t, n, show)
			stop := testkit.OnAir(t, first, show.Tracks, testkit.Stretch{Speed: 1})
			v := testkit.NewViewer(t, n.Master("show"))
			v.Patience = sometime
			v.Join()
			climbed(t, v, pictureRungs...)
			h.show("main", "c0", time.Time{})
			reached(v, "video", 4*time.Second)
			stop()
			first.Drop()
			testkit.Eventually(t, "the stream waits", func() bool { return stream(t, n, "show").State == "waiting" })

			show.Tracks[0].Clip = testkit.LadderPictures(t, c.second).Repeat(long)
			second := p.Must(t, n, show)
			stop = testkit.OnAir(t, second, show.Tracks, testkit.Stretch{From: 8 * time.Second, Speed: 1})
			cut := v.Until("video", "a discontinuity", func(l *testkit.Playlist) bool { return l.Discontinuities() == 1 && l.Last().Discontinuity })
			seam := cut.Last().MSN
			for _, rung := range pictureRungs {
				recovered(v, rung, seam, 3)
			}
			all := taken(v, append([]string{"video", "audio", soundRung}, pictureRungs...)...)
			stop()
			source, rungs := &all[0], all[3:]
			for i := range rungs {
				missing := rungs[i].heldAgainst(t, source, 0)
				for _, msn := range missing {
					// ffmpeg starts twice, and what it had not given back when the publisher went may be lost.
					if msn >= source.segments[0].MSN+3 && msn < seam-1 || msn >= seam+4 {
						if lateFrames(t, n) == 0 {
							t.Errorf("%s lacks pictures of segment %d; the seam is %d", rungs[i].name, msn, seam)
						}
					}
				}
				var maps []string
				for _, s := range rungs[i].segments {
					if s.Media != nil && !slices.Contains(maps, s.Map) {
						maps = append(maps, s.Map)
					}
				}
				if c.first == c.second {
					rungs[i].decodes(t, v, rungSizes[rungs[i].name])
				} else if len(maps) != 2 {
					t.Errorf("%s has %d EXT-X-MAP over a turn of the phone", rungs[i].name, len(maps))
				} else {
					rungs[i].decodes(t, v, [2]int{})
				}
			}
			for i := range all[1:3] {
				all[1+i].sounds(t, source, 0)
			}
			sameRanges(t, all)
			master := v.Join()
			if want := resolution(rungSizes["144p"], c.second == "portrait"); testkit.Attribute(variantOf(master, "144p"), "RESOLUTION") != want {
				t.Errorf("144p is not %s:\n%s", want, master)
			}
			second.Leave()
		})
	}
}

// TestLadderEncoderKilled kills ffmpeg in mid-show: rungs have a gap, at most a discontinuity that all share, and recover; the
// source does not notice.
func TestLadderEncoderKilled(t *testing.T) {
	t.Parallel()
	program := testkit.NewProgram(t)
	n := laddered(t, program, threeRungs, nil)
	newHost(t, n.HTTP()).products(2)
	v, src, stop := usualLadder(t, n, long, pictureRungs...)
	newHost(t, n.HTTP()).show("main", "c0", time.Time{})
	watched := watch(t, v, "video")
	reached(v, "video", 4*time.Second)
	job := program.Picture()
	if child := pictureChild(ladderOf(t, n.HTTP())); child.Pid != job.PID {
		t.Errorf("the API says that %d encodes, it is %d", child.Pid, job.PID)
	}
	killed := v.Playlist("video").Last().MSN
	program.Signal(job, syscall.SIGKILL)
	for _, rung := range pictureRungs {
		recovered(v, rung, killed+1, 3)
	}
	watched.whole(t)
	all := taken(v, append([]string{"video", "audio", soundRung}, pictureRungs...)...)
	stop()
	source := &all[0]
	for i := range all[3:] {
		rung := &all[3+i]
		missing := rung.heldAgainst(t, source, 0)
		for _, msn := range missing {
			if (msn >= source.segments[0].MSN+3 && msn < killed-2 || msn > killed+4) && lateFrames(t, n) == 0 {
				t.Errorf("%s lacks pictures of segment %d; ffmpeg was killed in %d", rung.name, msn, killed)
			}
		}
		rung.decodes(t, v, rungSizes[rung.name])
	}
	for i := range all[1:3] {
		all[1+i].sounds(t, source, 0)
	}
	sameRanges(t, all)
	if source.playlist.Discontinuities() > 1 {
		t.Errorf("%s", describe(source.playlist))
	}
	child := pictureChild(ladderOf(t, n.HTTP()))
	if child.Restarts != 1 || child.LastError == "" || child.Pid == job.PID {
		t.Errorf("API: %+v", child)
	}
	complete(t, source, src.Sent())
	if s := stream(t, n, "show"); !strings.Contains(strings.Join(s.Advice, " "), "ffmpeg") {
		t.Logf("advice after a recovery: %q", s.Advice)
	}
	src.Leave()
}
