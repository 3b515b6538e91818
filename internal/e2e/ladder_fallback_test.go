package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// gpuRungs is a ladder whose encoders are given.
const gpuRungs = `
ladder:
  ffmpeg: %s
  encoders: [nvenc, cpu]
  poster_interval: 1s
  max_cpu: 100
  threads: 1
  nice: 0
  ladders:
    - {name: mobile, rungs: [144p 150k, 90p 80k]}
  streams:
    - {stream: "*", ladder: mobile}
`

// onGPU is a node on a host with a GPU as far as it can tell, with a show that the GPU encodes.
func onGPU(t *testing.T, text string) (*testkit.Node, *testkit.Program, *testkit.Viewer, func()) {
	t.Helper()
	program := testkit.NewProgram(t)
	program.Become(testkit.GPU)
	n := laddered(t, program, text, func(*config.Config) {})
	v, src, stop := usualLadder(t, n, long, "144p", "90p")
	if d := ladderOf(t, n.HTTP()); d.Backend != "nvenc" {
		t.Fatalf("the back-end is %q, want nvenc: %+v", d.Backend, d)
	}
	return n, program, v, func() { stop(); src.Leave() }
}

// TestLadderFallsBack loses the GPU in mid-show: the CPU goes on within three seconds of media and a group of pictures, with one
// discontinuity at most.
func TestLadderFallsBack(t *testing.T) {
	t.Parallel()
	n, program, v, leave := onGPU(t, gpuRungs)
	watched := []*follower{watch(t, v, "video"), watch(t, v, "audio")}
	before := v.Playlist("video")
	program.Become(testkit.GPULost)
	testkit.EventuallyWithin(t, sometime, "another back-end encodes", func() bool { return ladderOf(t, n.HTTP()).Backend == "cpu" })
	after := before.Last().MSN
	for _, rung := range []string{"144p", "90p"} {
		recovered(v, rung, after+1, 3)
	}
	for _, f := range watched {
		f.whole(t)
	}
	all := taken(v, "video", "144p", "90p")
	for i := range all[1:] {
		rung := &all[1+i]
		rung.heldAgainst(t, &all[0], 0)
		rung.decodes(t, v, rungSizes[rung.name])
		hole := longestHole(rung.segments, before.Segments[0].MSN)
		t.Logf("%s: %v of media are missing between the back-ends", rung.name, hole)
		if most := 3*time.Second + time.Second; hole > most {
			t.Errorf("%s: %v of media are missing, want %v at most", rung.name, hole, most)
		}
		if d := rung.playlist.Discontinuities(); d > 1 {
			t.Errorf("%s: %d discontinuities", rung.name, d)
		}
	}
	d := ladderOf(t, n.HTTP())
	if child := pictureChild(d); d.State != "running" || child.Backend != "cpu" || child.Restarts == 0 || !strings.Contains(child.LastError+strings.Join(child.Stderr, " "), "OpenEncodeSessionEx") {
		t.Errorf("API: %+v", d)
	}
	if s := stream(t, n, "show"); !s.adviceWith("nvenc") && !s.adviceWith("NVENC") && !s.adviceWith("GPU") {
		t.Errorf("advice: %q", s.Advice)
	}
	if got := testkit.Scrape(t, n.Admin()).Value("pushcart_ladder_engine_failures_total", "backend", "nvenc"); got < 1 {
		t.Errorf("pushcart_ladder_engine_failures_total is %v", got)
	}
	leave()
}

// TestLadderDoesNotFallBack loses the GPU where nothing else may encode: the rungs stop, the source does not, and the host is
// told.
func TestLadderDoesNotFallBack(t *testing.T) {
	t.Parallel()
	n, program, v, leave := onGPU(t, strings.Replace(gpuRungs, "[nvenc, cpu]", "[nvenc]", 1))
	watched := []*follower{watch(t, v, "video"), watch(t, v, "audio")}
	lost := v.Playlist("video").Last().MSN
	program.Become(testkit.GPULost)
	testkit.EventuallyWithin(t, sometime, "the ladder has failed", func() bool {
		d := ladderOf(t, n.HTTP())
		return d.State == "failed" && d.Reason != ""
	})
	d := ladderOf(t, n.HTTP())
	t.Logf("the API says: %s", d.Reason)
	for _, j := range program.Jobs(true) {
		if slices.ContainsFunc(j.Args, func(a string) bool { return strings.Contains(a, "libx264") }) {
			t.Errorf("the CPU encodes: %q", j.Args)
		}
	}
	v.Until("video", "more of the show", func(l *testkit.Playlist) bool { return l.Last().MSN >= lost+6 })
	if l := v.Playlist("90p"); !slices.ContainsFunc(l.Segments, func(g testkit.Segment) bool { return g.MSN > lost && g.Complete && !wholeSegment(&g) }) {
		t.Errorf("90p has no gap:\n%s", l.Text)
	}
	if s := stream(t, n, "show"); !s.adviceWith("nvenc") && !s.adviceWith("NVENC") && !s.adviceWith("GPU") {
		t.Errorf("advice: %q", s.Advice)
	}
	for _, f := range watched {
		f.whole(t)
	}
	leave()
}

// longestHole is the most media that lies between two pictures, from a segment on.
func longestHole(segments []testkit.TakenSegment, from int64) (longest time.Duration) {
	last := int64(-1)
	for _, g := range segments {
		for _, s := range g.Samples {
			if last >= 0 && g.MSN > from {
				longest = max(longest, time.Duration(float64(s.PTS-last)/float64(g.Rate)*1e9))
			}
			last = s.PTS
		}
	}
	return longest
}
