package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/overlay"
	"pushcart/overlay/api"
)

// cameras are a node's sources, in memory.
type cameras struct {
	mu  sync.Mutex // guards what follows
	all []api.Source
	put []api.SourceRequest
}

func (c *cameras) List() []api.Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

func (c *cameras) Get(string) (api.Source, bool) { return api.Source{}, false }

func (c *cameras) Put(stream string, r api.SourceRequest) (api.Source, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.HasPrefix(r.URL, "rtsp://") {
		return api.Source{}, false, &overlay.Refusal{Reason: overlay.ReasonInvalid, Field: "url", Message: "The URL has to begin with rtsp://."}
	}
	c.put = append(c.put, r)
	s := api.Source{
		Stream: stream, URL: strings.ReplaceAll(r.URL, "secret", "…"), OnDemand: r.OnDemand, Transport: r.Transport, Redirects: r.Redirects,
		State: "waiting", Since: time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC),
	}
	c.all = append(c.all, s)
	return s, true, nil
}

func (c *cameras) Remove(stream string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.all {
		if s.Stream == stream {
			c.all = append(c.all[:i:i], c.all[i+1:]...)
			return nil
		}
	}
	return &overlay.Refusal{Reason: overlay.ReasonNotFound, Field: "name", Message: "The stream has no source."}
}

// yard is a node's API with cameras, and its operator's shell.
type yard struct {
	cameras
	t   *testing.T
	env []string
}

func openYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{t: t}
	keys, err := auth.NewKeys([]auth.Entry{{Stream: auth.AnyStream, Key: "operators-token"}, {Stream: "show", Key: "token-of-show"}})
	if err != nil {
		t.Fatal(err)
	}
	tokens := &auth.Store{}
	tokens.Store(keys)
	a := api.New(api.Options{Tokens: tokens, Sources: &y.cameras, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	mux := http.NewServeMux()
	a.Register(mux)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(a.Close)
	y.env = []string{"PUSHCART_URL=" + s.URL, "PUSHCART_TOKEN=operators-token", "TZ=UTC"}
	return y
}

// says runs a source command, which has to succeed and print what the pattern describes.
func (y *yard) says(pattern, stdin string, args ...string) string {
	y.t.Helper()
	stdout, stderr, code := feed(y.t, stdin, y.env, append([]string{"source"}, args...)...)
	if code != 0 || stderr != "" || !regexp.MustCompile(`^(?s:`+pattern+`)$`).MatchString(stdout) {
		y.t.Errorf("source %q:\n%s%s(%d)\nwant\n%s", args, stdout, stderr, code, pattern)
	}
	return stdout
}

// fails runs a source command that has to fail with a sentence.
func (y *yard) fails(code int, sentence, stdin string, args ...string) {
	y.t.Helper()
	stdout, stderr, got := feed(y.t, stdin, y.env, append([]string{"source"}, args...)...)
	if got != code || stdout != "" || !strings.HasPrefix(stderr, "pushcart: "+sentence) || strings.Contains(stderr, "secret") {
		y.t.Errorf("source %q: %q, %q (%d)\nwant %q (%d)", args, stdout, stderr, got, sentence, code)
	}
}

// TestSource adds, lists and removes sources at the shell.
func TestSource(t *testing.T) {
	t.Parallel()
	y := openYard(t)
	y.says("STREAM  FETCHED  STATE  SINCE  FROM  LAST ERROR\n", "", "list")
	y.says(`door is fetched from rtsp://u:…@camera\.example/1 \(always\)`+"\n", "", "add", "door", "rtsp://u:secret@camera.example/1")
	y.says(`yard is fetched from rtsp://u:…@camera\.example/2 \(on demand\)`+"\n", "rtsp://u:secret@camera.example/2\n", "add", "yard", "-",
		"--on-demand", "--transport", "tcp", "--redirects")
	want := []api.SourceRequest{
		{URL: "rtsp://u:secret@camera.example/1", Transport: "auto"},
		{URL: "rtsp://u:secret@camera.example/2", OnDemand: true, Transport: "tcp", Redirects: true},
	}
	if len(y.put) != 2 || y.put[0] != want[0] || y.put[1] != want[1] {
		t.Errorf("it sends %+v", y.put)
	}
	y.mu.Lock()
	next := time.Date(2026, 3, 1, 20, 0, 30, 0, time.UTC)
	y.all[0].State, y.all[0].Error, y.all[0].NextTry = "failed", "It does not answer.", &next
	y.mu.Unlock()
	y.says(`STREAM +FETCHED +STATE +SINCE +FROM +LAST ERROR\n`+
		`door +always +failed +2026-03-01 20:00:00  rtsp://u:…@camera\.example/1  It does not answer\. \(next try at 2026-03-01 20:00:30\)\n`+
		`yard +on demand  waiting  2026-03-01 20:00:00  rtsp://u:…@camera\.example/2\n`, "", "list")
	var list api.SourceList
	if raw := y.says(`\{.*\}\n`, "", "list", "--json"); json.Unmarshal([]byte(raw), &list) != nil || len(list.Sources) != 2 {
		t.Errorf("as JSON: %s", raw)
	}
	y.says("door is fetched no more\n", "", "remove", "door")
	y.says("", "", "remove", "yard", "--json")
	y.says(`\{.*"stream": "gate".*\}`+"\n", "", "add", "gate", "rtsp://camera.example", "--json")
}

// TestSourceOfANode: a real node keeps what was added, over its restart.
func TestSourceOfANode(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	start := func() (*served, *yard) {
		s := serve(t, []string{"PUSHCART_DATA_DIRECTORY=" + dir})
		up := s.until("pushcart is up")
		return s, &yard{t: t, env: []string{fmt.Sprint("PUSHCART_URL=http://", up["http"]), "PUSHCART_DATA_DIRECTORY=" + dir}}
	}
	node, y := start()
	y.says("cam is fetched from rtsp://u:…@127.0.0.1:1/1 \\(on demand\\)\n", "", "add", "cam", "rtsp://u:secret@127.0.0.1:1/1", "--on-demand")
	y.says("STREAM .*cam +on demand  waiting .*", "", "list")
	y.fails(1, "url: The URL has no host", "", "add", "door", "rtsp:///secret")
	if code := node.end(os.Interrupt); code != 0 {
		t.Errorf("the node exits with %d", code)
	}
	node, y = start()
	y.says("STREAM .*cam +on demand  waiting .*", "", "list")
	y.says("cam is fetched no more\n", "", "remove", "cam")
	y.says("STREAM [^\n]*\n", "", "list")
	node.end(os.Interrupt)
}

// TestSourceFailures: each says what is wrong, without the secrets, and ends with the right code.
func TestSourceFailures(t *testing.T) {
	t.Parallel()
	y := openYard(t)
	y.fails(1, "url: The URL has to begin with", "", "add", "door", "http://u:secret@camera.example/")
	y.fails(1, "url: it is empty", " \n", "add", "door", "-")
	y.fails(1, "name: The stream has no source", "", "remove", "door")
	y.fails(1, "name: There is no stream of this name", "", "remove", "../door")
	y.fails(1, "Authorization: This token is not one of this node's", "", "list", "--token", "a-wrong-token")
	y.fails(1, "Authorization: This needs an operator token with the role admin", "", "add", "show", "rtsp://camera.example", "--token", "token-of-show")
	y.fails(1, `--url: "localhost" is not an address`, "", "list", "--url", "localhost")
	y.fails(2, `--transport must be one of "auto","udp","tcp"`, "", "add", "door", "rtsp://camera.example", "--transport", "sctp")
	y.fails(2, `expected "<name> <source>"`, "", "add")
	y.fails(2, `expected "<source>"`, "", "add", "door")
	y.says("STREAM .*", "", "list")
	y.env = append(y.env, "PUSHCART_TOKEN=")
	y.fails(1, "no operator token for http://node.example", "", "list", "--url", "http://node.example")
}
