package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/overlay"
	"pushcart/overlay/card"
	"pushcart/overlay/timed"
)

// Tokens of the tests.
const (
	showToken  = "token-of-the-show"
	otherToken = "token-of-another"
	anyToken   = "token-for-any-stream"
)

// testKey signs in all tests.
var testKey = sync.OnceValue(func() *timed.Key {
	k, err := timed.NewKey()
	if err != nil {
		panic(err)
	}
	return k
})

// house is an API over desks in a temporary folder.
type house struct {
	*API
	t      testing.TB
	mux    http.Handler
	desks  *overlay.Desks
	tokens *auth.Store
	reg    *prometheus.Registry
	// sources are what streams are fetched from: show and other have one from the start.
	sources *shelf
	// ladders are what is made of streams: show has one from the start.
	ladders *ladders
	// broken, if not nil, is what opening a desk comes to, and refusal what each command does.
	broken, refusal *overlay.Refusal
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, tokens: &auth.Store{}, reg: prometheus.NewRegistry(), sources: newShelf("show", "other"), ladders: newLadders("show")}
	var err error
	h.desks, err = overlay.New(overlay.Options{
		Dir: t.TempDir(), Key: testKey(), Registerer: prometheus.NewRegistry(),
		Policy: func() card.Policy { return card.Policy{Hosts: []string{"shop.example.com"}} },
		InBand: func() bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.desks.Close)
	h.permit(auth.Entry{Stream: "show", Key: showToken}, auth.Entry{Stream: "other", Key: otherToken}, auth.Entry{Stream: "*", Key: anyToken})
	h.API = New(Options{
		Desk: h.desk, Document: h.desks.Document, Keys: testKey().Public().JWKS, Tokens: h.tokens,
		Streams: func() []Stream { return []Stream{described("show")} },
		Stream: func(name string) (Stream, bool) {
			return described(name), name == "show"
		},
		Sources: h.sources, Ladder: h.ladders.of, LadderNode: h.ladders.node, LadderCommand: h.ladders.command, Log: slog.New(slog.DiscardHandler), Registerer: h.reg,
	})
	t.Cleanup(h.Close)
	mux := http.NewServeMux()
	h.Register(mux)
	documents := h.Documents()
	h.mux = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/live/") {
			documents.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
	return h
}

// described is a stream that has everything.
func described(name string) Stream {
	now := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	ladder := laddered(name).Ladder
	return Stream{
		Name: name, State: "live", Playlist: "/live/" + name + "/index.m3u8", Watch: "/watch/" + name, StartedAt: now, PublisherSince: &now,
		Protocol: "rtmp", Agent: "test", Viewers: 3, Bitrate: 1000, KeyframeSeconds: 2, Cards: 1, Drops: map[string]uint64{"late": 1}, Advice: []string{"Do better."},
		Tracks: []Track{{ID: 1, Kind: "video", Codec: "H.264", Codecs: "avc1.64001f", Bitrate: 1000, Width: 16, Height: 9, FrameRate: 29.97, Frames: 7},
			{ID: 2, Kind: "audio", Codec: "AAC", Codecs: "mp4a.40.2", Language: "en", Name: "Main", Undelivered: true, Bitrate: 10, SampleRate: 48000, Channels: 2, Frames: 9}},
		Ladder: &ladder,
	}
}

// permit puts other tokens in force.
func (h *house) permit(entries ...auth.Entry) {
	h.t.Helper()
	keys, err := auth.NewKeys(entries)
	if err != nil {
		h.t.Fatal(err)
	}
	h.tokens.Store(keys)
}

func (h *house) desk(name string) (Desk, error) {
	if h.broken != nil {
		return nil, h.broken
	}
	d, err := h.desks.Desk(name)
	if err != nil {
		return nil, err
	}
	if h.refusal != nil {
		return refusing{d, h.refusal}, nil
	}
	return d, nil
}

// refusing is a desk that carries nothing out.
type refusing struct {
	Desk
	why *overlay.Refusal
}

func (r refusing) Do(context.Context, overlay.Command) (overlay.Result, error) {
	return overlay.Result{}, r.why
}

// answer is what the API said.
type answer struct {
	t      testing.TB
	what   string // request
	status int
	header http.Header
	body   []byte
}

// do sends a request without a token. Headers come in pairs. Each answer is held to the description of the API.
func (h *house) do(method, target, body string, header ...string) *answer {
	h.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", kindJSON)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	a := &answer{h.t, method + " " + target, w.Code, w.Result().Header, w.Body.Bytes()}
	described := describedAs(h.t)
	described.check(a, method, r.URL.Path)
	return a
}

// ask is do with the stream's token, below the stream's address.
func (h *house) ask(method, path, body string, header ...string) *answer {
	h.t.Helper()
	return h.do(method, "/api/v1/streams/show"+path, body, append([]string{"Authorization", "Bearer " + showToken}, header...)...)
}

// must is ask for what has to be granted.
func (h *house) must(method, path, body string, header ...string) *answer {
	h.t.Helper()
	a := h.ask(method, path, body, header...)
	if a.status/100 != 2 {
		h.t.Fatalf("%s: %d %s", a.what, a.status, a.body)
	}
	return a
}

// into takes the answer's JSON.
func (a *answer) into(v any) {
	a.t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.body)
	}
}

// refused holds an answer to a status, a reason and a field, and returns the sentence.
func (a *answer) refused(status int, reason overlay.Reason, field string) string {
	a.t.Helper()
	var p Problem
	if a.header.Get("Content-Type") != "application/problem+json" {
		a.t.Fatalf("%s: %d is no problem: %s", a.what, a.status, a.body)
	}
	a.into(&p)
	if a.status != status || p.Status != status || p.Reason != reason || p.Field != field {
		a.t.Errorf("%s: %d %s %q: %s; want %d %s %q", a.what, a.status, p.Reason, p.Field, p.Detail, status, reason, field)
	}
	if !sentence.MatchString(p.Detail) {
		a.t.Errorf("%s: %q is no sentence", a.what, p.Detail)
	}
	return p.Detail
}

var sentence = regexp.MustCompile(`(?s)^["A-Z].*[.)]$`)

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lamp is a card document.
const lamp = `{"id":"lamp","name":"Desk lamp","offers":[{"price":"19.99","priceCurrency":"EUR"}]}`

func doc(id string) string { return `{"id":"` + id + `","name":"The ` + id + `"}` }

// serverLimit is how long the test's server lets an answer take.
const serverLimit = 150 * time.Millisecond

// serve runs a server like the node's, on a free port.
func (h *house) serve(t *testing.T, second bool) (*http.Client, string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h.mux)
	s.Config.WriteTimeout = serverLimit
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!second)
	protocols.SetUnencryptedHTTP2(second)
	s.Config.Protocols = protocols
	s.Start()
	t.Cleanup(s.Close)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}, s.URL
}

// reader returns a function that returns the data of the next event, "" at the end.
func reader(body io.Reader) func() string {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	return func() string {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return data
			}
		}
		return ""
	}
}
