package e2e

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// longRegions has the tests of several nodes look for as long as people would.
var longRegions = flag.Bool("long", false, "have the tests of several regions look for longer")

// regionSettings is what all nodes of a cluster have besides their addresses. The stream "show" has cards, "vip" must not leave
// eu, "twice" has two publishers.
const regionSettings = `
hls: {segment_duration: 1s, max_segment_duration: 2s, dvr: 20s}
publish:
  reconnect_window: 30s
  keys:
    - {stream: show, key: ` + publishKey + `}
    - {stream: vip, key: ` + publishKey + `}
    - {stream: warm, key: ` + publishKey + `}
    - {stream: twice, key: ` + publishKey + `}
    - {stream: twice, key: ` + standbyKey + `, standby: true}
studio: {tokens: [{stream: show, token: ` + operatorToken + `}]}
`

const standbyKey = "the-standby-of-the-show"

// noLadder is for clusters that have none: the trial of encoders takes time.
const noLadder = "ladder: {ffmpeg: \"\"}\n"

// atlas has all that viewers of several nodes were given. What it finds wrong it remembers.
type atlas struct {
	mu sync.Mutex // guards what follows
	// names are media and cards by path: one content each, and the nodes that gave it.
	names map[string]*content
	// tips are states of playlists, by rendition, kind and ETag.
	tips map[string]*content
	// wrong is what must not be.
	wrong []string
}

// content is what a name stands for.
type content struct {
	sum   [sha256.Size]byte
	size  int
	text  string // of playlists, to show what differs
	nodes map[string]bool
}

func newAtlas() *atlas { return &atlas{names: map[string]*content{}, tips: map[string]*content{}} }

// note remembers what a node gave under a name. A name has one content, on whichever node and whenever it is asked for.
func (a *atlas) note(in map[string]*content, node, name string, body []byte, text bool) {
	sum := sha256.Sum256(body)
	a.mu.Lock()
	defer a.mu.Unlock()
	c := in[name]
	if c == nil {
		c = &content{sum: sum, size: len(body), nodes: map[string]bool{}}
		if text {
			c.text = string(body)
		}
		in[name] = c
	}
	if c.sum != sum {
		differ := ""
		if text {
			differ = ": " + firstDifference(c.text, string(body))
		}
		a.failLocked("%s has two contents, of %d bytes on %v and of %d on %s%s", name, c.size, sortedKeys(c.nodes), len(body), node, differ)
	}
	c.nodes[node] = true
}

func (a *atlas) fail(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failLocked(format, args...)
}

func (a *atlas) failLocked(format string, args ...any) {
	if len(a.wrong) < 20 {
		a.wrong = append(a.wrong, fmt.Sprintf(format, args...))
	}
}

// judge reports what was wrong, and how much was looked at.
func (a *atlas) judge(t *testing.T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.wrong {
		t.Error(w)
	}
	t.Logf("no name with two contents: %d media and documents, of which %d were had from more than one node; %d states of playlists, of which %d",
		len(a.names), shared(a.names), len(a.tips), shared(a.tips))
}

func shared(in map[string]*content) (n int) {
	for _, c := range in {
		if len(c.nodes) > 1 {
			n++
		}
	}
	return n
}

func sortedKeys[V any](m map[string]V) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// firstDifference shows the first line that two texts differ in.
func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range max(len(x), len(y)) {
		var p, q string
		if i < len(x) {
			p = x[i]
		}
		if i < len(y) {
			q = y[i]
		}
		if p != q {
			return fmt.Sprintf("line %d is %q, and %q", i+1, p, q)
		}
	}
	return "no difference"
}

// share is a value that so many of sorted ones do not exceed.
func share(sorted []time.Duration, of float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, sort.Search(len(sorted), func(i int) bool { return float64(i+1) >= of*float64(len(sorted)) }))]
}

// waitFor asks a node for a stream until it can be played, and tells how long that took and how often it was refused.
func waitFor(t *testing.T, n *testkit.ClusterNode, stream string) (master string, took time.Duration, refused int) {
	t.Helper()
	began := time.Now()
	tr := &http.Transport{DisableCompression: true}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	for time.Since(began) < sometime {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		status, _, body, err := testkit.Get(ctx, client, n.Master(stream))
		cancel()
		if err == nil && status == http.StatusOK {
			return string(body), time.Since(began), refused
		}
		refused++
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("%s does not give %s", n.Name, stream)
	return "", 0, 0
}

// usualClips are two minutes of a key frame each second. They are made before anybody connects, which takes a while.
func usualClips(t *testing.T) (video, audio *testkit.Clip) {
	t.Helper()
	return testkit.Pictures(t).Repeat(6), testkit.Sound(t).Repeat(6)
}

// onAir publishes the usual pictures and sound at a node, from a time in the clips on. stop ends that without a word.
func onAir(t *testing.T, n *testkit.ClusterNode, key string, from time.Duration) (p *testkit.Publisher, stop func()) {
	t.Helper()
	video, audio := usualClips(t)
	p = testkit.Publish(t, n.RTMP, key)
	halt := p.Live(testkit.Script{Video: video, Audio: audio, From: from, Speed: 1})
	return p, func() { halt(); p.Drop() }
}

// sendUntilLost publishes like onAir, to a node that will be killed: that it is gone is no error.
func sendUntilLost(t *testing.T, n *testkit.ClusterNode, key string, from time.Duration) (stop func()) {
	t.Helper()
	video, audio := usualClips(t)
	p := testkit.Publish(t, n.RTMP, key)
	p.Configure(from, video, audio)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Play(ctx, testkit.Script{Video: video, Audio: audio, From: from, Speed: 1})
	}()
	stop = sync.OnceFunc(func() { cancel(); p.Drop(); <-done })
	t.Cleanup(stop)
	return stop
}

// bodyOf gets a URL of a node, and wants a status.
func bodyOf(t *testing.T, url string, want int) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Fatalf("GET %s: status %d, want %d: %v: %.300s", url, res.StatusCode, want, err, body)
	}
	return body
}

// names of nodes.
func namesOf(nodes []*testkit.ClusterNode) (all []string) {
	for _, n := range nodes {
		all = append(all, n.Name)
	}
	return all
}
