package load_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/load"
	"pushcart/internal/testkit"
)

// TestMain holds that no goroutine of a run outlasts the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	testkit.RemoveBuild()
	if left := leftovers(); left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines that runs left behind:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// leftovers are the stacks of goroutines of this package, after those that were about to end had their time.
func leftovers() string {
	var left []string
	for range 100 {
		b := make([]byte, 4<<20)
		left = nil
		for stack := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
			if strings.Contains(stack, "pushcart/internal/load.") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return strings.Join(left, "\n\n")
}

// TestNode: publishers and viewers of a real node, over both versions of HTTP at a time: viewers play without an error, parts are
// waited for by their hints, and stamps are found in the media.
func TestNode(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, func(*config.Config) {})
	clip, err := load.Synthesize(load.Spec{Width: 320, Height: 180, Bitrate: 300_000})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var group sync.WaitGroup
	defer group.Wait()
	for _, c := range []struct {
		http2               bool
		publishers, viewers int
	}{{false, 2, 20}, {true, 1, 5}} {
		group.Go(func() {
			name := fmt.Sprintf("bench-%v-{n}", c.http2)
			report, err := load.Run(t.Context(), load.Options{
				URL: n.HTTP() + "/live/" + name + "/index.m3u8", Publishers: c.publishers, Publish: "rtmp://" + n.RTMP() + "/live/" + name, Clip: clip,
				Steps: []int{c.viewers}, Duration: 2 * time.Second, Ramp: 100 * time.Millisecond, Settle: 200 * time.Millisecond,
				HTTP2: c.http2, MaxStall: 1, Admin: n.Admin(), Timeout: 20 * time.Second,
			})
			if err != nil {
				t.Errorf("HTTP/2 %v: %v", c.http2, err)
				return
			}
			var table strings.Builder
			if err := report.Print(&table); err != nil {
				t.Error(err)
			}
			s := report.Steps[0]
			if !report.Origin.LowLatency || !report.Origin.Sound || s.Playing == 0 || s.Playing+s.Never != c.viewers || len(s.Errors) > 0 {
				t.Errorf("HTTP/2 %v: %+v\n%s", c.http2, report.Origin, &table)
			}
			if s.Parts == 0 || s.Playlists == 0 || s.Hints == 0 || s.Bytes == 0 || s.Start.Count != int64(s.Playing) {
				t.Errorf("HTTP/2 %v: %d files, %d hints and %d playlists:\n%s", c.http2, s.Parts, s.Hints, s.Playlists, &table)
			}
			if s.Added.Count == 0 || s.Added.P50 <= 0 || s.Added.P50 > time.Since(began) || s.Behind.Count < s.Added.Count || s.Reload.Count == 0 || s.Dated.Count == 0 {
				t.Errorf("HTTP/2 %v: added latency %+v, behind the first %+v, dates %+v, reload %+v:\n%s", c.http2, s.Added, s.Behind, s.Dated, s.Reload, &table)
			}
			if report.Idle == nil || report.Idle.Memory == 0 || report.Published == nil || s.Node == nil || s.Node.Memory == 0 || s.Node.Cores <= 0 {
				t.Errorf("HTTP/2 %v: the node's usage is unknown: %+v, %+v, %+v", c.http2, report.Idle, report.Published, s.Node)
			}
			for _, want := range []string{"low-latency HLS", "added latency", "a stream costs it"} {
				if !strings.Contains(table.String(), want) {
					t.Errorf("HTTP/2 %v: no %q in:\n%s", c.http2, want, &table)
				}
			}
		})
	}
}

// live is a playlist of a stream that began at begin, in segments of a second and parts of a tenth.
func live(begin time.Time, parts bool) string {
	const per = 10
	now := int(time.Since(begin) / (100 * time.Millisecond))
	first := max(0, now/per-5)
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n", first)
	if parts {
		b.WriteString("#EXT-X-PART-INF:PART-TARGET=0.1\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.3\n")
	}
	for s := first; s <= now/per; s++ {
		last := per
		if s == now/per {
			last = now % per
		}
		for i := range last {
			if parts {
				fmt.Fprintf(&b, "#EXT-X-PART:DURATION=0.1,INDEPENDENT=YES,URI=\"%d.%d.m4s\"\n", s, i)
			}
		}
		if last == per {
			fmt.Fprintf(&b, "#EXTINF:1,\n%d.m4s\n", s)
		}
	}
	if parts {
		fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"%d.%d.m4s\"\n", now/per, now%per)
	}
	return b.String()
}

const box = "\x00\x00\x00\x08styp"

// enough ends a run when an origin has answered often enough since it is measured, however long that takes.
type enough struct {
	measured atomic.Bool
	left     atomic.Int64
	end      context.CancelFunc
}

func (e *enough) answered() {
	if e.measured.Load() && e.left.Add(-1) == 0 {
		e.end()
	}
}

// progress is for Options.
func (e *enough) progress(format string, _ ...any) {
	if strings.HasPrefix(format, "measuring for") {
		e.measured.Store(true)
	}
}

// until makes options for a run that ends after so many answers.
func until(t *testing.T, answers int64, o load.Options) (context.Context, *enough, load.Options) {
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	e := &enough{end: end}
	e.left.Store(answers)
	o.Progress, o.Duration, o.Ramp, o.Settle = e.progress, 30*time.Second, time.Millisecond, time.Nanosecond
	return ctx, e, o
}

// TestWrongOrigins: whatever an origin does wrong is counted under its name, does not end the run, and is no flood.
func TestWrongOrigins(t *testing.T) {
	t.Parallel()
	begin := time.Now().Add(-20 * time.Second)
	good := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			if r.URL.Query().Has("_HLS_msn") {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-r.Context().Done():
				}
			}
			io.WriteString(w, live(begin, true))
			return
		}
		io.WriteString(w, box)
	}
	endless := func(w http.ResponseWriter, r *http.Request) {
		for b := make([]byte, 32<<10); r.Context().Err() == nil; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
	}
	// What is wrong, from when on: with media, or with playlists that are waited for.
	const media, later = "media", "later"
	cases := map[string]struct {
		what  string
		wrong http.HandlerFunc
		kind  string // of errors that are counted; "" is none
		plays bool
		each  int64 // answers for one error; 0 is 1
	}{
		"all is well":         {what: media, wrong: good, plays: true},
		"media are not there": {what: media, wrong: http.NotFound, kind: "media: status 404"},
		"media are a page":    {what: media, wrong: text("<html>"), kind: "not media"},
		"media are empty":     {what: media, wrong: func(http.ResponseWriter, *http.Request) {}, kind: "an empty file"},
		"media have no end":   {what: media, wrong: endless, kind: "a larger response than allowed|no answer in time"},
		"media never come":    {what: media, wrong: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, kind: "no answer in time"},
		"media break off": {what: media, wrong: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, box)
		}, kind: "connection broken"},
		"playlists become garbage": {what: later, wrong: text("\x1f\x8b garbage"), kind: "not a playlist that can be followed", plays: true},
		"playlists have no end":    {what: later, wrong: endless, kind: "a larger response than allowed|no answer in time", plays: true},
		"playlists never change": {what: later, wrong: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, live(begin, true)[:200]) },
			kind: "a playlist without the part that was waited for|not a playlist that can be followed", plays: true},
		"the server is full":     {what: later, wrong: status(http.StatusServiceUnavailable), kind: "playlist: status 503", plays: true},
		"sent around in circles": {what: later, wrong: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusFound) }, kind: "too many redirections", plays: true, each: 6},
		"sent to a stranger": {what: later, wrong: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.9.9.9:1/x.m3u8", http.StatusFound)
		}, kind: "sent to a host that the stream did not name at first", plays: true},
	}
	const viewers, answers = 5, 12 // of which viewers may not have looked at all
	reports := map[string]*load.Report{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for name, c := range cases {
		group.Go(func() {
			ctx, e, o := until(t, answers*max(1, c.each), load.Options{Steps: []int{viewers}, Timeout: 400 * time.Millisecond, MaxStall: 0.01})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				what := ""
				if !strings.HasSuffix(r.URL.Path, ".m3u8") {
					what = media
				} else if r.URL.Query().Has("_HLS_msn") {
					what = later
				}
				if what != c.what {
					good(w, r)
					return
				}
				c.wrong(w, r)
				e.answered()
			}))
			defer s.Close()
			defer s.CloseClientConnections()
			o.URL = s.URL + "/live.m3u8"
			if c.kind == "" {
				e.left.Store(100) // to have played
				o.Timeout = 20 * time.Second
			}
			report, err := load.Run(ctx, o)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			reports[name] = report
		})
	}
	group.Wait()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			report := reports[name]
			if report == nil {
				t.Fatal("no report")
			}
			step := report.Steps[0]
			if c.kind == "" {
				if len(step.Errors) > 0 || step.Playing != viewers || step.Parts < 20 {
					t.Errorf("%+v", step)
				}
				return
			}
			known := int64(0)
			for _, kind := range strings.Split(c.kind, "|") {
				known += step.Errors[kind]
			}
			all := int64(0)
			for _, n := range step.Errors {
				all += n
			}
			if known == 0 || report.Passed || !c.plays && step.Playing > 0 {
				t.Errorf("passed %v, %d playing, errors %v", report.Passed, step.Playing, step.Errors)
			}
			// Each viewer pauses for 50 ms at least.
			if most := viewers * (2 + int64(step.Duration/(50*time.Millisecond))); all > most {
				t.Errorf("%d errors of %d viewers in %v: a flood", all, viewers, step.Duration)
			}
		})
	}
}

// TestPlain: plain HLS is played by whole segments, and said to be.
func TestPlain(t *testing.T) {
	t.Parallel()
	begin := time.Now().Add(-20 * time.Second)
	ctx, e, o := until(t, 12, load.Options{Steps: []int{3}, MaxStall: 0.5})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			w.Header().Set("X-Cache", "HIT")
			io.WriteString(w, live(begin, false))
			return
		}
		io.WriteString(w, "\x47 transport stream")
		e.answered()
	}))
	defer s.Close()
	o.URL = s.URL + "/live.m3u8?token=secret"
	report, err := load.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	report.Print(&table)
	if step := report.Steps[0]; report.Origin.LowLatency || step.Playing != 3 || step.Parts < 3 || len(step.Errors) > 0 ||
		!strings.Contains(table.String(), "no parts") || strings.Contains(table.String(), "secret") {
		t.Errorf("%s", &table)
	}
}

// TestRefused: what cannot be measured, or is not to be, ends before there is any load.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page":
			io.WriteString(w, "<html>")
		case "/over":
			io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nx\n#EXT-X-ENDLIST\n")
		case "/elsewhere":
			io.WriteString(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://203.0.113.9/x\n")
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	for name, c := range map[string]struct {
		change func(*load.Options)
		want   string
	}{
		"no such stream":      {func(o *load.Options) { o.URL = s.URL + "/none?key=secret" }, "status 404: is the stream live?"},
		"a page":              {func(o *load.Options) { o.URL = s.URL + "/page" }, "not a playlist"},
		"a show that is over": {func(o *load.Options) { o.URL = s.URL + "/over" }, "has ended"},
		"nobody there":        {func(o *load.Options) { o.URL = "http://127.0.0.1:1/x" }, "connection refused"},
		"no address":          {func(o *load.Options) { o.URL = "rtmp://h/x?key=secret" }, "not an http"},
		"a stranger":          {func(o *load.Options) { o.URL = "http://203.0.113.9/x" }, "--yes"},
		"a stranger's media":  {func(o *load.Options) { o.URL = s.URL + "/elsewhere" }, "203.0.113.9"},
		"publishes to another": {func(o *load.Options) {
			o.Steps, o.Publishers, o.Publish = []int{1}, 1, "rtmp://203.0.113.9/live/x?key=secret"
		}, "--yes"},
		"one address for two": {func(o *load.Options) { o.Streams = 2 }, "{n}"},
		"falling steps":       {func(o *load.Options) { o.Steps = []int{5, 5} }, "rise"},
		"nobody":              {func(o *load.Options) { o.Steps = nil }, "neither"},
		"an odd rendition":    {func(o *load.Options) { o.Rendition = "best" }, "720p"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := load.Options{URL: s.URL + "/page", Steps: []int{50}, Duration: time.Second}
			c.change(&o)
			_, err := load.Run(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestInterrupted: ending a run early gives the figures so far, with nothing left behind; an origin that dies ends it too.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	begin := time.Now().Add(-20 * time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("_HLS_msn") {
			cancel()
			<-r.Context().Done()
			return
		}
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			io.WriteString(w, live(begin, true))
			return
		}
		io.WriteString(w, box)
	}))
	defer s.Close()
	report, err := load.Run(ctx, load.Options{URL: s.URL + "/x.m3u8", Steps: []int{3, 6}, Duration: time.Hour, Ramp: time.Second, MaxStall: 1})
	if err != nil || !report.Interrupted || len(report.Steps) != 1 || report.Steps[0].Parts == 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
