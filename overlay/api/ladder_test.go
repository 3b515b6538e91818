package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/overlay"
)

// ladders are what a node makes of its streams, in memory.
type ladders struct {
	all   map[string]LadderDetail
	about LadderNode
	asked []string // stream and source of each dry run
	err   error    // of a dry run
}

func newLadders(names ...string) *ladders {
	l := &ladders{all: map[string]LadderDetail{}, about: LadderNode{
		Program: "ffmpeg", Version: "5.1.9", Error: "Nothing encodes.", BudgetCores: 1.6, UsedCores: 0.5, Transcodes: 1, MaxTranscodes: 16,
		Engines: []LadderEngine{
			{Backend: "vaapi", Device: "/dev/dri/renderD128", Filters: true, Reason: "No such device."},
			{Backend: "cpu", Codecs: []string{"H.264"}, Works: true, InUse: true},
		},
	}}
	for _, n := range names {
		l.all[n] = laddered(n)
		l.about.Streams = append(l.about.Streams, LadderStream{Stream: n, Ladder: "mobile", State: "running", Backend: "cpu", Rungs: 1, RungsPlanned: 2, CPU: 50})
	}
	return l
}

// laddered is a ladder that has everything.
func laddered(name string) LadderDetail {
	return LadderDetail{
		Stream: name,
		Ladder: Ladder{
			Name: "mobile", Mode: "latency", State: "reduced", Reason: "The node is full.", Backend: "cpu", Converts: []string{"Opus to AAC"},
			Rungs: []LadderRung{
				{Name: "720p", Kind: "video", Codec: "H.264", Width: 1280, Height: 720, FrameRate: 29.97, Bitrate: 1_800_000, State: "off", Reason: "It did not keep up."},
				{Name: "audio-64k", Kind: "audio", Codec: "AAC", Bitrate: 64_000, Measured: 63_900, Frames: 99, Dropped: 1, Lag: 0.12, State: "running"},
			},
		},
		Children: []LadderChild{{
			Kind: "picture", Pid: 4711, Backend: "cpu", Restarts: 2, LastError: "It gave nothing for 3 s.", Stderr: []string{"Conversion failed!"},
			Speed: 1.01, FPS: 29.9, Dropped: 3, CPU: 50.5, Queue: 2, Command: []string{"ffmpeg", "-i", "pipe:0"},
		}, {Kind: "sound"}},
		Notes: []string{"The rung 1080p is left out: it is larger than the source."},
	}
}

func (l *ladders) of(name string) (LadderDetail, bool) {
	d, ok := l.all[name]
	return d, ok
}

func (l *ladders) node() LadderNode { return l.about }

func (l *ladders) command(name, source string) (LadderCommand, error) {
	l.asked = append(l.asked, name+": "+source)
	return LadderCommand{Program: "ffmpeg", Commands: [][]string{{"-i", "pipe:0"}}}, l.err
}

const ladderPath = "/api/v1/streams/show/ladder"

// TestLadder: a stream's ladder, to its operator with the processes behind it, and to everybody without them.
func TestLadder(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var d LadderDetail
	a := h.as(showToken, "GET", ladderPath, "")
	a.into(&d)
	if d.Name != "mobile" || len(d.Rungs) != 2 || len(d.Children) != 2 || d.Children[0].Pid != 4711 || d.Children[0].LastError == "" || len(d.Notes) != 1 ||
		a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s", a.body)
	}
	if d.Children[1].Stderr == nil || d.Children[1].Command == nil {
		t.Errorf("lists of a process that has nothing yet are null: %s", a.body)
	}
	var s Stream
	a = h.do("GET", "/api/v1/streams/show", "")
	if a.into(&s); s.Ladder == nil || s.Ladder.Rungs[0].Reason != "It did not keep up." {
		t.Errorf("%s", a.body)
	}
	for _, secret := range []string{"4711", "Conversion", "pipe:0", "children"} {
		if strings.Contains(string(a.body), secret) {
			t.Errorf("everybody reads %s", secret)
		}
	}
	if h.desks.Peek("show") != nil {
		t.Error("asking for a ladder opens a desk")
	}
	h.as(anyToken, "GET", "/api/v1/streams/other/ladder", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "name")
	h.as(showToken, "GET", "/api/v1/streams/other/ladder", "").refused(http.StatusUnauthorized, reasonUnauthorized, "Authorization")
	h.as(showToken, "GET", ladderPath+"?all=1", "").refused(http.StatusBadRequest, reasonMalformed, "all")
}

// TestLadderLists: what is not filled in is an empty list, and what was handed over is left as it was.
func TestLadderLists(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.ladders.all["show"] = LadderDetail{Stream: "show", Ladder: Ladder{State: "starting"}, Children: []LadderChild{{Kind: "sound"}}}
	bare := described("show")
	bare.Ladder = &Ladder{State: "starting"}
	h.opt.Streams = func() []Stream { return []Stream{bare} }
	h.opt.Stream = func(string) (Stream, bool) { return bare, true }
	// That the answers are what is described is checked with each.
	for _, path := range []string{ladderPath, "/api/v1/streams", "/api/v1/streams/show", "/api/v1/ladder"} {
		if a := h.as(showToken, "GET", path, ""); a.status != http.StatusOK || strings.Contains(string(a.body), "null") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if bare.Ladder.Rungs != nil || h.ladders.all["show"].Children[0].Stderr != nil || h.ladders.about.Engines[0].Codecs != nil {
		t.Error("the node's own lists were changed")
	}
}

// TestLadderNode: any operator may see what the node has.
func TestLadderNode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, token := range []string{anyToken, showToken, otherToken} {
		var n LadderNode
		h.as(token, "GET", "/api/v1/ladder", "").into(&n)
		if len(n.Engines) != 2 || !n.Engines[1].InUse || n.BudgetCores != 1.6 || n.MaxTranscodes != 16 || len(n.Streams) != 1 || n.Streams[0].Stream != "show" {
			t.Errorf("%+v", n)
		}
	}
	h.as("a-wrong-token", "GET", "/api/v1/ladder", "").refused(http.StatusUnauthorized, reasonUnauthorized, "Authorization")
}

// TestLadderCommand: a dry run, and what is wrong with one.
func TestLadderCommand(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const path = ladderPath + "/command"
	for _, target := range []string{path, path + "?source=h264+1280x720%20opus", path + "?source=%20"} {
		var cmd LadderCommand
		if h.as(showToken, "GET", target, "").into(&cmd); cmd.Program != "ffmpeg" || len(cmd.Commands) != 1 || cmd.Notes == nil {
			t.Errorf("%s: %+v", target, cmd)
		}
	}
	if want := []string{"show: ", "show: h264 1280x720 opus", "show: "}; !slices.Equal(h.ladders.asked, want) {
		t.Errorf("asked for %q", h.ladders.asked)
	}
	for _, source := range []string{strings.Repeat("a", maxSource+1), "h264%00", "h264%0Aopus", "%ff"} {
		h.as(showToken, "GET", path+"?source="+source, "").refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "source")
	}
	h.as(showToken, "GET", path+"?source=a&source=b", "").refused(http.StatusBadRequest, reasonMalformed, "source")
	if len(h.ladders.asked) != 3 {
		t.Errorf("asked for %q", h.ladders.asked)
	}
	for _, tt := range []struct {
		err    error
		status int
		reason overlay.Reason
		field  string
		detail string
	}{
		{errors.New("source: h265 is no codec: write hevc"), 422, overlay.ReasonInvalid, "source", "H265 is no codec: write hevc."},
		{errors.New("nothing can be encoded"), 422, overlay.ReasonInvalid, "", "Nothing can be encoded."},
		{errors.New(""), 422, overlay.ReasonInvalid, "", "It cannot be read."},
		{&overlay.Refusal{Reason: overlay.ReasonNotFound, Field: "name", Message: "It is not live."}, 404, overlay.ReasonNotFound, "name", "It is not live."},
		{fmt.Errorf("plan: %w", &overlay.Refusal{Reason: overlay.ReasonConflict, Message: "Why."}), 409, overlay.ReasonConflict, "source", "Why."},
	} {
		h.ladders.err = tt.err
		if got := h.as(showToken, "GET", path, "").refused(tt.status, tt.reason, tt.field); got != tt.detail {
			t.Errorf("%v: %q", tt.err, got)
		}
	}
}

// TestNoLadders: a node that makes none says so to whoever may know.
func TestNoLadders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.API = New(Options{Tokens: h.tokens, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	mux := http.NewServeMux()
	h.Register(mux)
	h.mux = mux
	for _, path := range []string{ladderPath, ladderPath + "/command", "/api/v1/ladder"} {
		if said := h.as(showToken, "GET", path, "").refused(http.StatusNotFound, overlay.ReasonNotFound, ""); !strings.Contains(said, "ladder.ffmpeg") {
			t.Errorf("%s: %s", path, said)
		}
		h.do("GET", path, "").refused(http.StatusUnauthorized, reasonUnauthorized, "Authorization")
	}
}
