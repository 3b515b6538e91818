package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// settings is a configuration file with free ports, to which tests add.
const settings = `
log: {level: debug}
rtmp: {address: "127.0.0.1:%s"%s}
http: {address: "127.0.0.1:%s"}
admin: {address: "127.0.0.1:0"}
publish:
  reconnect_window: %s
  keys:
    - {stream: show, key: %s}
hls: {segment_duration: 1s, max_segment_duration: 2s}
`

func masterOf(s *testkit.Server) string { return "http://" + s.HTTP + "/live/show/index.m3u8" }

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// TestNodeCrashesAndComesBack kills the program in mid-stream and starts it again on the same ports: a player that kept its
// URL plays on, and numbers go forward.
func TestNodeCrashesAndComesBack(t *testing.T) {
	t.Parallel()
	const key = "crash-secret"
	s := testkit.Serve(t, testkit.WriteFile(t, "pushcart.yaml", fmt.Sprintf(settings, "0", "", "0", "10s", key)))
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, s.RTMP, "show?key="+key)
	stop := p.Live(testkit.Script{Video: video, Audio: audio, To: 5 * time.Second, Speed: 1})
	v := testkit.NewViewer(t, masterOf(s))
	v.Join()
	before := reached(v, "video", 4700*time.Millisecond)
	sample := v.Samples(before)
	stop()
	s.Kill()

	again := testkit.Serve(t, testkit.WriteFile(t, "pushcart.yaml", fmt.Sprintf(settings, port(s.RTMP), "", port(s.HTTP), "10s", key)))
	p = testkit.Publish(t, again.RTMP, "show?key="+key)
	burst(t, p, video, audio, 6*time.Second, 9*time.Second)
	v.Join()
	after := reached(v, "video", 2500*time.Millisecond)
	if after.Sequence <= before.Last().MSN {
		t.Errorf("after the crash the media sequence number is %d, before it was up to %d", after.Sequence, before.Last().MSN)
	}
	if old, now := sample[len(sample)-1].DTS, v.Samples(after)[0].DTS; now <= old {
		t.Errorf("media time goes back by the crash, from %v to %v", old, now)
	}
	for _, g := range before.Segments {
		for _, f := range after.Segments {
			if g.Parts != nil && f.Parts != nil && g.Parts[0].URI == f.Parts[0].URI {
				t.Errorf("%s stands for two parts", g.Parts[0].URI)
			}
		}
	}
	p.Leave()
}

// TestReloadWhileLive changes keys and limits under a running stream.
func TestReloadWhileLive(t *testing.T) {
	t.Parallel()
	write := func(file, text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := testkit.WriteFile(t, "pushcart.yaml", fmt.Sprintf(settings, "0", "", "0", "10s", "first-secret"))
	s := testkit.Serve(t, file)
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	p := testkit.Publish(t, s.RTMP, "show?key=first-secret")
	burst(t, p, video, audio, 0, 2*time.Second)
	v := testkit.NewViewer(t, masterOf(s))
	v.Join()
	reached(v, "video", 1500*time.Millisecond)

	// A file with a mistake changes nothing, and says where the mistake is.
	write(file, strings.Replace(fmt.Sprintf(settings, "0", "", "0", "10s", "second-secret"), "reconnect_window: 10s", "reconnect_window: 10", 1))
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, "configuration kept as it was", "reconnect_window", "pushcart.yaml:7")
	if q := testkit.Dial(t, s.RTMP, nil); q.Open("show?key=second-secret").Code != "NetStream.Publish.Denied" {
		t.Error("a key of the file with the mistake is good")
	} else {
		q.Ended()
	}

	// A good one takes effect at once, for those who come from now on. Who was refused counts until its connection is closed.
	testkit.Eventually(t, "those who were refused are gone", func() bool {
		return testkit.Scrape(t, "http://"+s.Admin).Value("pushcart_rtmp_open_connections") == 1
	})
	write(file, fmt.Sprintf(settings, "0", ", max_connections_per_address: 2", "0", "10s", "second-secret"))
	s.Signal(syscall.SIGHUP)
	s.Log.Wait(t, "setting changed", "publish.keys")
	s.Log.Wait(t, "setting changed", "rtmp.max_connections_per_address")
	if s.Log.Has("second-secret") || s.Log.Has("first-secret") {
		t.Error("the log has a secret")
	}
	if q := testkit.Dial(t, s.RTMP, nil); q.Open("show?key=first-secret").Code != "NetStream.Publish.Denied" {
		t.Error("the old key is still good")
	} else {
		q.Ended()
	}
	if err := p.Play(t.Context(), testkit.Script{Video: video, Audio: audio, From: 2 * time.Second, To: 5 * time.Second}); err != nil {
		t.Errorf("the running stream was dropped: %v", err)
	}
	if l := reached(v, "video", 4500*time.Millisecond); l.Discontinuities() != 0 {
		t.Errorf("the running stream was interrupted: %s", describe(l))
	}
	testkit.Eventually(t, "those who were refused are gone", func() bool {
		return testkit.Scrape(t, "http://"+s.Admin).Value("pushcart_rtmp_open_connections") == 1
	})
	// The new limit: one connection publishes, one more may come, the third is closed.
	second := testkit.Dial(t, s.RTMP, nil)
	testkit.WantClosed(t, s.RTMP)
	second.Drop()
	p.Leave()
}

// TestShutdownTellsEveryone sends SIGTERM to a program with a publisher and a waiting viewer.
func TestShutdownTellsEveryone(t *testing.T) {
	t.Parallel()
	s := testkit.Serve(t, testkit.WriteFile(t, "pushcart.yaml", fmt.Sprintf(settings, "0", "", "0", "10s", "some-secret")))
	p := testkit.Publish(t, s.RTMP, "show?key=some-secret")
	burst(t, p, testkit.Pictures(t), testkit.Sound(t), 0, 3*time.Second)
	v := testkit.NewViewer(t, masterOf(s))
	v.Join()
	reached(v, "video", 2500*time.Millisecond)
	ended := make(chan *testkit.Playlist, 1)
	go func() { ended <- v.Ended("video") }()
	testkit.Eventually(t, "a request waits", func() bool {
		return testkit.Scrape(t, "http://"+s.Admin).Value("pushcart_hls_waiting_requests") > 0
	})
	s.Signal(syscall.SIGTERM)
	if m := p.Status(); !strings.Contains(m.Description, "shutting down") {
		t.Errorf("the publisher is told %+v", m)
	}
	p.Ended()
	select {
	case l := <-ended:
		if !l.Last().Complete {
			t.Error("the ended playlist has an incomplete segment")
		}
	case <-time.After(10 * time.Second):
		t.Error("the waiting viewer was not told")
	}
	if code := s.Wait(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.Log)
	}
	s.Log.Wait(t, "msg=stopped")
	if s.Log.Has("panic") || s.Log.Has("DATA RACE") {
		t.Errorf("%s", s.Log)
	}
}

// TestShutdownWithFFmpeg has real ffmpeg publish to a node within this process that is stopped: no goroutine stays, which
// the test kit checks.
func TestShutdownWithFFmpeg(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, quick)
	args := append(testkit.Live(picture, sound441), strings.Fields(ordinaryX+"-tune zerolatency -g 25"+ordinaryA)...)
	p := testkit.FFmpeg(t, append(args, testkit.ToFLV(n.PublishURL("show"))...)...)
	v := testkit.NewViewer(t, n.Master("show"))
	n.Log.Wait(t, "publisher arrived")
	v.Join()
	reached(v, "video", time.Second)
	n.Stop()
	if code := p.Wait(t); code == 0 {
		t.Error("ffmpeg takes a shutdown for success")
	}
	if !strings.Contains(p.Log.String(), "This server is shutting down") {
		t.Errorf("ffmpeg does not print why:\n%s", p.Log)
	}
}

// TestCommandLine looks at exit codes and at what is printed where.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	program := testkit.Build(t)
	good := testkit.WriteFile(t, "good.yaml", fmt.Sprintf(settings, "0", "", "0", "10s", "some-secret"))
	bad := testkit.WriteFile(t, "bad.yaml", "rtmp:\n  adress: \":1935\"\nhls: {part_duration: 200}\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"check", good}, 0, "ok"},
		{[]string{"check", bad}, 1, "bad.yaml:2"},
		{[]string{"check", bad}, 1, "bad.yaml:3"},
		{[]string{"serve", "--config", bad}, 1, "bad.yaml:2"},
		{[]string{"serve", "--config", "/nowhere.yaml"}, 1, "/nowhere.yaml"},
		{[]string{"version"}, 0, ""},
		{[]string{"nonsense"}, 2, "pushcart"},
		{[]string{"health", "--address", "127.0.0.1:1"}, 1, "127.0.0.1:1"},
	} {
		p := testkit.Run(t, nil, program, c.args...)
		if code := p.Wait(t); code != c.code || !strings.Contains(p.Log.String(), c.want) {
			t.Errorf("%v: exit code %d, want %d with %q:\n%s", c.args, code, c.code, c.want, p.Log)
		}
	}
	s := testkit.Serve(t, good)
	if p := testkit.Run(t, nil, program, "health", "--address", s.Admin); p.Wait(t) != 0 {
		t.Errorf("health: %s", p.Log)
	}
	status, _, body, err := testkit.Get(t.Context(), http.DefaultClient, "http://"+s.HTTP+"/api/v1/streams")
	if err != nil || status != http.StatusOK || !json.Valid(body) {
		t.Errorf("API: status %d, %v: %s", status, err, body)
	}
	// A second one finds the port taken and says which setting to change.
	taken := testkit.WriteFile(t, "taken.yaml", fmt.Sprintf(settings, port(s.RTMP), "", "0", "10s", "some-secret"))
	if p := testkit.Run(t, testkit.Doors, program, "serve", "--config", taken); p.Wait(t) != 1 || !strings.Contains(p.Log.String(), "rtmp.address") {
		t.Errorf("on a port that is taken:\n%s", p.Log)
	}
}
