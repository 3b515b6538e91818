package e2e

import (
	"net/http"
	"slices"
	"testing"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
	"pushcart/overlay/api"
)

// rungState is what the API says of a rung.
func rungState(d api.LadderDetail, name string) (state, reason string) {
	for _, r := range d.Rungs {
		if r.Name == name {
			return r.State, r.Reason
		}
	}
	return "", ""
}

// TestLadderOverload has ffmpeg keep up no more: the source never misses a part, the costliest rung is taken off, which the
// advice says. It comes back after a while in which the rest kept up; package ladder has that with a clock of its own.
func TestLadderOverload(t *testing.T) {
	t.Parallel()
	program := testkit.NewProgram(t)
	n := laddered(t, program, threeRungs, nil)
	v, src, stop := usualLadder(t, n, 2*long, append(slices.Clone(pictureRungs), soundRung)...)
	watched := []*follower{watch(t, v, "video"), watch(t, v, "audio"), watch(t, v, soundRung)}
	job := program.Picture()
	program.Become(testkit.Crawls)
	program.Signal(job, 9)
	var d api.LadderDetail
	testkit.EventuallyWithin(t, sometime, "a rung is taken off", func() bool {
		d = ladderOf(t, n.HTTP())
		return slices.ContainsFunc(d.Rungs, func(r api.LadderRung) bool { return r.State == "off" })
	})
	if state, reason := rungState(d, "180p"); state != "off" || reason == "" {
		t.Errorf("180p is %q, %q, want off: %+v", state, reason, d.Rungs)
	}
	if state, _ := rungState(d, "90p"); state == "off" {
		t.Errorf("90p was taken off, too: %+v", d.Rungs)
	}
	testkit.Eventually(t, "the API says that the ladder is reduced", func() bool {
		d = ladderOf(t, n.HTTP())
		return d.State == "reduced" && d.Reason != ""
	})
	t.Logf("the API says: %s", d.Reason)
	testkit.Eventually(t, "the advice names the rung", func() bool { return stream(t, n, "show").adviceWith("180p") })
	testkit.Eventually(t, "the metrics tell", func() bool {
		return testkit.Scrape(t, n.Admin()).Value("pushcart_ladder_rungs_taken_off") >= 1
	})
	for _, f := range watched {
		f.whole(t)
	}
	stop()
	src.Leave()
}

// TestLadderAdmission has room for the pictures of one stream: the second one's viewers get the source, its host is told, and it
// gets its rungs when the first has gone.
func TestLadderAdmission(t *testing.T) {
	t.Parallel()
	const two = `
ladder:
  ffmpeg: %s
  encoders: [cpu]
  poster_interval: 0s
  max_cpu: 100
  max_transcodes: 1
  threads: 1
  nice: 0
  ladders:
    - {name: mobile, rungs: [90p 80k]}
  streams:
    - {stream: "*", ladder: mobile}
`
	program := testkit.NewProgram(t)
	n := laddered(t, program, two, func(c *config.Config) {
		c.Publish.Keys = append(c.Publish.Keys, config.Key{Stream: "other", Key: publishKey})
		c.Publish.ReconnectWindow = 0
	})
	publish := func(name string) (testkit.Source, func()) {
		show := showOf(testkit.LadderPictures(t, "30").Repeat(long), testkit.Sound(t).Repeat(long))
		show.Name = name
		src := testkit.ByName(t, "rtmp").Must(t, n, show)
		return src, testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
	}
	other, stopOther := publish("other")
	w := testkit.NewViewer(t, n.Master("other"))
	w.Patience = sometime
	w.Join()
	climbed(t, w, "90p")
	src, stop := publish("show")
	v := testkit.NewViewer(t, n.Master("show"))
	v.Patience = sometime
	v.Join()
	reached(v, "video", 3e9)
	var d api.LadderDetail
	testkit.Eventually(t, "the API says that there is no room", func() bool {
		d = ladderOf(t, n.HTTP())
		return d.Reason != "" && (d.State == "off" || d.State == "reduced" || d.State == "failed")
	})
	t.Logf("the API says: %s: %s", d.State, d.Reason)
	if s := stream(t, n, "show"); !s.adviceWith("max_transcodes") && !s.adviceWith("room") {
		t.Errorf("advice: %q", s.Advice)
	}
	if jobs := program.Jobs(true); len(jobs) != 1 {
		t.Errorf("%d processes encode pictures", len(jobs))
	}
	var node api.LadderNode
	if status := ask(t, n.HTTP()+"/api/v1/ladder", &node); status != http.StatusOK || node.Transcodes != 1 || node.MaxTranscodes != 1 {
		t.Errorf("status %d: %+v", status, node)
	}
	stopOther()
	other.Leave()
	testkit.EventuallyWithin(t, sometime, "there is room", func() bool { return variantOf(v.Join(), "90p") != "" })
	recovered(v, "90p", 0, 2)
	if d := ladderOf(t, n.HTTP()); d.State != "running" {
		t.Errorf("API: %+v", d)
	}
	stop()
	src.Leave()
}
