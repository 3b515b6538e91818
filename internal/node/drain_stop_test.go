package node_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// draining is a configuration with short segments and time for a drain.
func draining(timeout time.Duration) func(*config.Config) {
	return func(c *config.Config) {
		c.Drain.Timeout = config.Duration(timeout)
		c.HLS.SegmentDuration, c.HLS.MaxSegmentDuration = config.Duration(500*time.Millisecond), config.Duration(2*time.Second)
	}
}

// stopping ends a node beside the test and tells when that is done.
func stopping(t *testing.T, n *testkit.Node) (done chan struct{}) {
	done = make(chan struct{})
	go func() {
		defer close(done)
		n.Stop()
	}()
	t.Cleanup(func() { <-done })
	return done
}

// ask sends a request to the operator's port.
func ask(t *testing.T, n *testkit.Node, method, path string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, n.Admin()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.Host = r.Header.Get("Host") // "" is the address'
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	var body strings.Builder
	if err := answer.Write(&body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body.String()
}

// TestDrainEndsShows: when the node stops, publishers of every protocol are sent away with a key frame, nobody new is let in, and each
// viewer gets the window up to its end; then the node ends, long before drain.timeout, and leaves nothing behind.
func TestDrainEndsShows(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, draining(time.Minute))
	protocols := []string{"rtmp", "rtsp/tcp", "rtsp/udp", "srt", "whip"}
	var watching, publishing sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	live := make(chan string, len(protocols))
	for i, name := range protocols {
		protocol := testkit.ByName(t, name)
		tracks := protocol.Media(t)
		show := testkit.Show{Name: fmt.Sprint("show", i), Tracks: tracks}
		src := protocol.Must(t, n, show)
		publishing.Go(func() {
			defer src.Drop()
			testkit.Send(ctx, src, tracks, testkit.Stretch{Speed: 1}) //nolint:errcheck // it ends when the server ends it
			select {
			case <-src.Gone():
			case <-time.After(10 * time.Second):
				t.Errorf("%s: the session has not ended", name)
			}
		})
		watching.Go(func() {
			v := testkit.NewViewer(t, n.Master(show.Name))
			v.Join()
			v.Until("video", "a segment", func(p *testkit.Playlist) bool { return len(p.Segments) > 1 })
			live <- name
			p := v.Ended("video")
			for _, s := range p.Segments {
				if len(v.Fetch(s.URI, http.StatusOK)) == 0 {
					t.Errorf("%s: segment %s is empty", name, s.URI)
				}
			}
			// The last segment lasts from one key frame to the next: none comes between.
			if last := p.Segments[len(p.Segments)-1]; name != "whip" && !last.Gap && (last.Duration < 900*time.Millisecond || last.Duration > 1100*time.Millisecond) {
				t.Errorf("%s: the last segment lasts %v, want it to be whole", name, last.Duration)
			}
		})
	}
	for range protocols {
		<-live
	}
	addresses := map[string]net.Addr{}
	for _, name := range []string{"rtmp", "rtsp", "http", "admin"} {
		addresses[name] = n.Address(name)
	}
	began := time.Now()
	done := stopping(t, n)
	n.Log.Wait(t, "publishers are told to reconnect", "publishers=5", "rtmp=1", "rtsp=2", "srt=1", "whip=1")
	if status, body := ask(t, n, "GET", "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "stopping") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	for name, want := range map[string]testkit.Refused{
		"rtmp": {Words: "shutting down"}, "rtsp/tcp": {Code: 503, Words: "shutting down"}, "whip": {Code: 503, Words: "shutting down"},
		"srt": {Words: "REJECT (1ev)"}, // SRT_REJX_DOWN, 1503, in base 32
	} {
		protocol := testkit.ByName(t, name)
		_, err := protocol.Open(t, n, testkit.Show{Name: "late", Tracks: protocol.Media(t)})
		if refused, ok := err.(*testkit.Refused); !ok || refused.Code != want.Code || !strings.Contains(refused.Words, want.Words) {
			t.Errorf("%s: a publisher that comes now: %v", name, err)
		}
	}
	watching.Wait()
	publishing.Wait()
	<-done
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the node took %v to stop, though nobody was left", took)
	}
	n.Log.Wait(t, "no viewer asks for media any more")
	if text := n.Log.String(); strings.Count(text, "publisher sent away") != 5 || strings.Contains(text, "did not leave by themselves") {
		t.Errorf("publishers did not leave with a key frame")
	}
	for name, address := range addresses {
		l, err := net.Listen("tcp", address.String())
		if err != nil {
			t.Errorf("%s: the port is not free: %v", name, err)
			continue
		}
		l.Close()
	}
}

// capable publishes as a client that can be asked to reconnect.
func capable(t *testing.T, n *testkit.Node, key string) *testkit.Publisher {
	t.Helper()
	p := testkit.Dial(t, n.RTMP(), nil)
	p.Command("connect", 1, amf0.Object{{Key: "app", Value: "live"}, {Key: "tcUrl", Value: "rtmp://localhost/live"}, {Key: "capsEx", Value: 1.0}})
	p.Command("createStream", 2, nil)
	p.Command("publish", 3, nil, key, "live")
	if s := p.Status(); s.Code != "NetStream.Publish.Start" {
		t.Fatalf("publish: %+v", s)
	}
	return p
}

// TestDrainOfWhoStays: a publisher that is asked to reconnect, and does not, is sent away when its time is over.
func TestDrainOfWhoStays(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, draining(time.Second))
	p := capable(t, n, "show")
	done := stopping(t, n)
	if s := p.Status(); s.Code != "NetConnection.Connect.ReconnectRequest" {
		t.Errorf("told %+v", s)
	}
	if s := p.Status(); s.Code != "NetConnection.Connect.AppShutdown" {
		t.Errorf("told %+v", s)
	}
	p.Ended()
	<-done
	n.Log.Wait(t, "did not leave by themselves", "publishers=1")
}

// TestHurry: a second signal ends the waiting for viewers that never stop to ask.
func TestHurry(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, draining(time.Minute))
	p := capable(t, n, "show")
	clip := testkit.Pictures(t)
	p.Configure(0, clip)
	for i := range clip.Samples[:60] {
		if err := p.Frame(clip, &clip.Samples[i], clip.Samples[i].DTS); err != nil {
			t.Fatal(err)
		}
	}
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	media := strings.TrimSuffix(v.Master, "index.m3u8") + v.Until("video", "a segment", func(p *testkit.Playlist) bool { return p.Segments[0].Complete }).Segments[0].URI
	asking.Go(func() {
		for ctx.Err() == nil {
			testkit.Get(ctx, v.Client, media) //nolint:errcheck // the node ends meanwhile
		}
	})
	began := time.Now()
	done := stopping(t, n)
	if s := p.Status(); s.Code != "NetConnection.Connect.ReconnectRequest" {
		t.Errorf("told %+v", s)
	}
	p.Unpublish()
	p.Drop()
	n.Log.Wait(t, "viewers are served what there is")
	n.Hurry()
	<-done
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the node took %v to stop", took)
	}
	n.Log.Wait(t, "viewers are left")
}

// TestClusterDrainMovesShows: a node of a cluster that stops ends no show. Its publisher finds another node, and viewers whom it still
// serves see the show go on there.
func TestClusterDrainMovesShows(t *testing.T) {
	t.Parallel()
	all := fleetOf(t, draining(time.Minute), "a", "b")
	air(t, all["b"], firstKey)
	goesOn(t, all["b"], "the show began")
	v := testkit.NewViewer(t, all["b"].Master("show"))
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	segment := v.Until("audio", "a segment", func(p *testkit.Playlist) bool { return p.Segments[0].Complete }).Segments[0].URI
	watching.Go(func() { // so that somebody is left
		media := strings.TrimSuffix(v.Master, "index.m3u8") + segment
		for ctx.Err() == nil {
			testkit.Get(ctx, v.Client, media) //nolint:errcheck // the node ends meanwhile
		}
	})
	done := stopping(t, all["b"])
	all["b"].Log.Wait(t, "publisher sent away", "shutdown")
	if _, err := testkit.OpenRTMP(t, all["b"].RTMP(), testkit.Show{Name: "show", Key: firstKey, Tracks: []testkit.Media{{Clip: testkit.Sound(t)}}}); err == nil {
		t.Error("the node that stops takes the publisher back")
	}
	air(t, all["a"], firstKey)
	goesOn(t, all["a"], "the publisher has come to another node")
	goesOn(t, all["b"], "the show goes on for viewers of the node that stops")
	cancel()
	<-done
	goesOn(t, all["a"], "the node has stopped")
	all["a"].Hurry()
}

// TestDrainOnDemand: POST /drain makes the node unready and has it refuse publishers that come, while those who are there go on;
// DELETE /drain takes that back.
func TestDrainOnDemand(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, draining(0))
	p := capable(t, n, "show")
	state := func(method, path string, want string) {
		t.Helper()
		status, body := ask(t, n, method, path)
		_, text, _ := strings.Cut(body, "\r\n\r\n")
		var got struct {
			State      string
			Publishers map[string]int
		}
		if err := json.Unmarshal([]byte(text), &got); status != http.StatusOK || err != nil || got.State != want || got.Publishers["rtmp"] == 0 {
			t.Errorf("%s %s: %d %s, %v; want %s and the publisher", method, path, status, body, err, want)
		}
	}
	knock := func() string {
		late := testkit.Dial(t, n.RTMP(), nil)
		defer late.Drop()
		return late.Open("other").Code
	}
	testkit.Eventually(t, "ready", func() bool { status, _ := ask(t, n, "GET", "/readyz"); return status == http.StatusOK })
	state("GET", "/drain", "ready")
	state("DELETE", "/drain", "ready")
	if status, _ := ask(t, n, "POST", "/drain", "Origin", "https://elsewhere.example", "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("a page of another site drains the node: %d", status)
	}
	// A name that its owner has made to stand for this host: to the browser the page is of the same site. It sends an Origin all the same,
	// with what changes something, and no Sec-Fetch-Site in clear text.
	for _, method := range []string{"POST", "DELETE"} {
		if status, _ := ask(t, n, method, "/drain", "Host", "rebound.example:9090", "Origin", "http://rebound.example:9090"); status != http.StatusForbidden {
			t.Errorf("%s by a page whose name was made to stand for this host: %d", method, status)
		}
		if status, _ := ask(t, n, method, "/drain", "Sec-Fetch-Site", "same-origin"); status != http.StatusForbidden {
			t.Errorf("%s by a page: %d", method, status)
		}
	}
	if status, _ := ask(t, n, "POST", "/drain?publishers=all"); status != http.StatusBadRequest {
		t.Errorf("an unknown wish: %d", status)
	}
	if status, _ := ask(t, n, "PUT", "/drain"); status != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", status)
	}
	state("GET", "/drain", "ready")
	for range 2 {
		state("POST", "/drain", "drained")
	}
	if status, body := ask(t, n, "GET", "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "DELETE /drain takes that back") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if code := knock(); code == "NetStream.Publish.Start" {
		t.Error("a publisher that comes is let in")
	}
	state("DELETE", "/drain", "ready")
	if status, body := ask(t, n, "GET", "/readyz"); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if code := knock(); code != "NetStream.Publish.Start" {
		t.Errorf("a publisher that comes is told %s", code)
	}
	state("POST", "/drain?publishers=move", "drained")
	if s := p.Status(); s.Code != "NetConnection.Connect.ReconnectRequest" {
		t.Errorf("told %+v", s)
	}
}
