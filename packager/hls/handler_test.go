package hls

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/window"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const partTicks = window.Rate / 5

// show is a presentation that the test writes part by part: two parts a second... five, and ten to a segment.
type show struct {
	*window.Presentation
	video *window.Rendition
	n     int
}

func newShow(gen int64) *show {
	p := window.NewPresentation("show", window.Settings{TargetDuration: 4, DVR: 20 * time.Second, FirstMSN: 100, Gen: gen})
	s := &show{Presentation: p, video: p.AddRendition("video", true, 100)}
	p.AddInit(s.video, &window.Init{Name: "init-abc.mp4", Data: []byte("init")})
	p.SetPartTarget(partTicks)
	p.SetVariants([]window.Variant{{Video: s.video, Codecs: "avc1.64001f", Width: 1280, Height: 720, FrameRate: 30}})
	return s
}

// add appends parts; each tenth begins a segment.
func (s *show) add(parts int) {
	for range parts {
		var begin *window.Segment
		if s.n%10 == 0 {
			begin = &window.Segment{Init: s.video.Init("init-abc.mp4"), Wall: epoch.Add(time.Duration(s.n) * 200 * time.Millisecond)}
		}
		data := fmt.Appendf(nil, "<part %d>", s.n)
		s.Append(s.video, window.Part{Data: data, Duration: partTicks, Independent: s.n%10 == 0, ExpectCut: s.n%10 == 9}, begin)
		s.n++
	}
}

func newTestHandler(shows ...*show) *Handler {
	reg := NewRegistry()
	for _, s := range shows {
		reg.Add(s.Presentation)
	}
	return NewHandler(Options{Registry: reg, Metrics: NewMetrics(prometheus.NewRegistry()),
		Settings: func() Settings { return Settings{MaxWaitingPerAddress: 3, MinReadRate: 1 << 14} }})
}

// get asks the handler as a client on one address would.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	return ask(context.Background(), h, http.MethodGet, path, header...)
}

func ask(ctx context.Context, h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStatusCodes(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(25)
	h := newTestHandler(s)
	for path, want := range map[string]int{
		"/live/show/index.m3u8":                           200,
		"/live/other/index.m3u8":                          404,
		"/live/show/video.m3u8":                           200,
		"/live/show/audio.m3u8":                           404,
		"/live/show/video.m3u8?_HLS_msn=101&_HLS_part=3":  200,
		"/live/show/video.m3u8?_HLS_msn=102&_HLS_part=4":  200,
		"/live/show/video.m3u8?_HLS_msn=99":               200,
		"/live/show/video.m3u8?_HLS_msn=105":              400,
		"/live/show/video.m3u8?_HLS_msn=102&_HLS_part=20": 400,
		"/live/show/video.m3u8?_HLS_msn=abc":              400,
		"/live/show/video.m3u8?_HLS_msn=-1":               400,
		"/live/show/video.m3u8?_HLS_msn=":                 400,
		"/live/show/video.m3u8?_HLS_part=1":               400,
		"/live/show/video.m3u8?_HLS_skip=NO":              400,
		"/live/show/video.m3u8?_HLS_skip=v2":              200,
		"/live/show/video.m3u8?_HLS_new=1":                200,
		"/live/show/video/init-abc.mp4":                   200,
		"/live/show/video/init-abd.mp4":                   404,
		"/live/show/video/7-100.m4s":                      200,
		"/live/show/video/7-0100.m4s":                     404,
		"/live/show/video/8-100.m4s":                      404,
		"/live/show/video/7-103.m4s":                      404,
		"/live/show/video/7-100.9.m4s":                    200,
		"/live/show/video/7-100.10.m4s":                   404,
		"/live/show/video/7-102.7.m4s":                    404,
		"/live/show/video/7-102.x.m4s":                    404,
		"/live/show/audio/7-100.m4s":                      404,
		"/live/show/":                                     404,
		"/live/":                                          404,
	} {
		if got := get(h, path); got.Code != want {
			t.Errorf("%s: %d %s, want %d", path, got.Code, strings.TrimSpace(got.Body.String()), want)
		}
	}
	if got := ask(context.Background(), h, http.MethodPost, "/live/show/index.m3u8"); got.Code != 405 || got.Header().Get("Allow") == "" {
		t.Errorf("POST: %d", got.Code)
	}
	if got := ask(context.Background(), h, http.MethodOptions, "/live/show/index.m3u8"); got.Code != 204 {
		t.Errorf("OPTIONS: %d", got.Code)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(25)
	h := newTestHandler(s)

	media := get(h, "/live/show/video/7-100.m4s")
	for name, want := range map[string]string{
		"Content-Type": "video/mp4", "Cache-Control": "public, max-age=31536000, immutable", "Content-Length": "80",
		"Etag": `"7-100"`, "Accept-Ranges": "bytes", "Access-Control-Allow-Origin": "*",
	} {
		if got := media.Header().Get(name); got != want {
			t.Errorf("segment's %s is %q, want %q", name, got, want)
		}
	}
	if got := get(h, "/live/show/video/7-100.m4s", "Range", "bytes=5-10"); got.Code != 206 || got.Body.String() != media.Body.String()[5:11] {
		t.Errorf("range: %d %q", got.Code, got.Body)
	}
	if got := get(h, "/live/show/video/7-100.m4s", "Range", "bytes=12-20"); got.Code != 206 || got.Body.String() != media.Body.String()[12:21] {
		t.Errorf("range over parts: %d %q", got.Code, got.Body)
	}
	if got := get(h, "/live/show/video/7-100.m4s", "Range", "bytes=900-"); got.Code != 416 {
		t.Errorf("range beyond the end: %d", got.Code)
	}
	if got := get(h, "/live/show/video/7-100.m4s", "If-None-Match", `"7-100"`); got.Code != 304 {
		t.Errorf("If-None-Match: %d", got.Code)
	}

	plain := get(h, "/live/show/video.m3u8")
	if got := plain.Header().Get("Cache-Control"); got != "public, max-age=1" {
		t.Errorf("bare playlist is cached %q", got)
	}
	at := get(h, "/live/show/video.m3u8?_HLS_msn=102&_HLS_part=4", "Accept-Encoding", "br, gzip;q=0.5")
	if got := at.Header().Get("Cache-Control"); got != "public, max-age=24" {
		t.Errorf("playlist by position is cached %q", got)
	}
	if at.Header().Get("Content-Encoding") != "gzip" || at.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("no gzip: %v", at.Header())
	}
	z, err := gzip.NewReader(at.Body)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(z); string(text) != plain.Body.String() {
		t.Error("the gzip form is another playlist")
	}
	if at.Header().Get("Etag") == plain.Header().Get("Etag") {
		t.Error("both codings have the same strong ETag")
	}
	if got := get(h, "/live/show/video.m3u8", "Accept-Encoding", "gzip;q=0"); got.Header().Get("Content-Encoding") != "" {
		t.Error("gzip against the client's wish")
	}
	again := get(h, "/live/show/video.m3u8", "If-None-Match", plain.Header().Get("Etag"))
	if again.Code != 304 || again.Body.Len() != 0 {
		t.Errorf("If-None-Match on a playlist: %d", again.Code)
	}
	head := ask(context.Background(), h, http.MethodHead, "/live/show/video.m3u8")
	if head.Body.Len() != 0 || head.Header().Get("Content-Length") != plain.Header().Get("Content-Length") {
		t.Errorf("HEAD: %d bytes, %v", head.Body.Len(), head.Header())
	}
}

// TestSameBytesForAll: a playlist is rendered once.
func TestSameBytesForAll(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(25)
	snap := s.video.Load()
	a, b := render(s.Presentation, snap, 0, unmeasured), render(s.Presentation, snap, 0, unmeasured)
	if &a.plain[0] != &b.plain[0] || &a.gzip()[0] != &b.gzip()[0] {
		t.Error("rendered twice")
	}
	if c := render(s.Presentation, snap, 1, unmeasured); &c.plain[0] == &a.plain[0] || c.etag == a.etag {
		t.Error("the delta update is taken for the whole playlist")
	}
}

func TestBlockingReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		h := newTestHandler(s)
		answers := make(chan *httptest.ResponseRecorder, 2)
		for _, path := range []string{"/live/show/video.m3u8?_HLS_msn=102&_HLS_part=6", "/live/show/video/7-102.5.m4s"} {
			go func() { answers <- get(h, path) }()
		}
		synctest.Wait()
		if len(answers) != 0 {
			t.Fatal("answered before the part was there")
		}
		s.add(1)
		synctest.Wait()
		if len(answers) != 1 {
			t.Fatalf("%d answers after the hinted part, want 1", len(answers))
		}
		if part := <-answers; part.Body.String() != "<part 25>" {
			t.Errorf("hinted part: %d %q", part.Code, part.Body)
		}
		s.add(1)
		list := <-answers
		if list.Code != 200 || !strings.Contains(list.Body.String(), "7-102.6.m4s\"\n#EXT-X-PRELOAD") && !strings.Contains(list.Body.String(), `7-102.6.m4s"`) {
			t.Errorf("playlist: %d %s", list.Code, list.Body)
		}
	})
}

// TestNextSegment: a position behind a segment's last part means the first part of the next.
func TestNextSegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(30)
		h := newTestHandler(s)
		answers := make(chan *httptest.ResponseRecorder, 3)
		for _, path := range []string{
			"/live/show/video.m3u8?_HLS_msn=102&_HLS_part=10", "/live/show/video.m3u8?_HLS_msn=102", "/live/show/video/7-102.m4s",
		} {
			go func() { answers <- get(h, path) }()
		}
		synctest.Wait()
		if len(answers) != 0 {
			t.Fatal("answered although the segment is not known to be complete")
		}
		s.add(1)
		for range 3 {
			if a := <-answers; a.Code != 200 {
				t.Errorf("%d %s", a.Code, a.Body)
			}
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		h := newTestHandler(s)
		began := time.Now()
		if got := get(h, "/live/show/video.m3u8?_HLS_msn=103&_HLS_part=0"); got.Code != 503 {
			t.Errorf("%d", got.Code)
		}
		if waited := time.Since(began); waited != 12*time.Second {
			t.Errorf("waited %v, want three target durations", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ask(ctx, h, http.MethodGet, "/live/show/video.m3u8?_HLS_msn=103&_HLS_part=0")
		if waited := time.Since(began); waited != 13*time.Second {
			t.Errorf("the viewer left after 1 s, its request after %v", waited-12*time.Second)
		}
		if len(h.waiting.byHost) != 0 {
			t.Errorf("still waiting: %v", h.waiting.byHost)
		}
	})
}

func TestWaitingIsLimitedPerAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		h := newTestHandler(s)
		answers := make(chan int, 4)
		for range 4 {
			go func() { answers <- get(h, "/live/show/video.m3u8?_HLS_msn=102&_HLS_part=5").Code }()
		}
		if code := <-answers; code != 429 {
			t.Errorf("the fourth request got %d", code)
		}
		synctest.Wait()
		s.add(1)
		for range 3 {
			if code := <-answers; code != 200 {
				t.Errorf("a waiting request got %d", code)
			}
		}
	})
}

func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		h := newTestHandler(s)
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() { answer <- get(h, "/live/show/video.m3u8?_HLS_msn=103&_HLS_part=0") }()
		synctest.Wait()
		s.End()
		got := <-answer
		if got.Code != 200 || !strings.HasSuffix(got.Body.String(), "#EXT-X-ENDLIST\n") {
			t.Errorf("%d %s", got.Code, got.Body)
		}
		for _, tag := range []string{"PRELOAD-HINT", "RENDITION-REPORT"} {
			if strings.Contains(got.Body.String(), tag) {
				t.Errorf("%s after the end", tag)
			}
		}
		if got := get(h, "/live/show/video/7-102.5.m4s"); got.Code != 404 {
			t.Errorf("a part that will not come: %d", got.Code)
		}
	})
}

// TestOldShowStaysFetchable: a new show under the same name does not take the old one's segments away.
func TestOldShowStaysFetchable(t *testing.T) {
	t.Parallel()
	before := newShow(7)
	before.add(25)
	before.End()
	now := newShow(8)
	now.add(5)
	h := newTestHandler(before, now)
	if got := get(h, "/live/show/video.m3u8"); strings.Contains(got.Body.String(), "ENDLIST") {
		t.Error("the name still stands for the old show")
	}
	if got := get(h, "/live/show/video/7-101.m4s"); got.Code != 200 {
		t.Errorf("the old show's segment: %d", got.Code)
	}
	h.opt.Registry.Remove(before.Presentation)
	if got := get(h, "/live/show/video/7-101.m4s"); got.Code != 404 {
		t.Errorf("after its removal: %d", got.Code)
	}
}

// TestRemovedSegments: section 6.2.2 keeps them fetchable for their own duration and the longest playlist's.
func TestRemovedSegments(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	s.add(130) // 26 s: more than the window of 20 s
	h := newTestHandler(s)
	list := get(h, "/live/show/video.m3u8").Body.String()
	if strings.Contains(list, "7-100.m4s") {
		t.Error("the first segment is still listed")
	}
	if got := get(h, "/live/show/video/7-100.m4s"); got.Code != 200 {
		t.Errorf("just removed: %d", got.Code)
	}
	s.add(300)
	if got := get(h, "/live/show/video/7-100.m4s"); got.Code != 404 {
		t.Errorf("removed a minute ago: %d", got.Code)
	}
	if n := s.video.Load().Bytes(); n > 10*8*40 {
		t.Errorf("%d bytes kept", n)
	}
}

func TestViewers(t *testing.T) {
	t.Parallel()
	a := newAudience()
	now := epoch
	for i := range 1000 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:%d", i%250, i)
		r.Header.Set("User-Agent", fmt.Sprint("player ", i/250))
		a.seen(r, now)
		a.seen(r, now)
	}
	if n := a.count(now); n < 950 || n > 1050 {
		t.Errorf("counted %d of 1000", n)
	}
	if n := a.count(now.Add(15 * time.Second)); n != 0 {
		t.Errorf("counted %d after 15 s", n)
	}
}

func FuzzDirectives(f *testing.F) {
	f.Add("_HLS_msn=1&_HLS_part=2&_HLS_skip=YES")
	f.Add("_HLS_msn=99999999999999999999")
	f.Fuzz(func(t *testing.T, query string) {
		d, err := parseDirectives(query)
		if err == nil && (d.position.MSN < 0 || d.position.Part < -1) {
			t.Errorf("%q gives %+v", query, d)
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("7-100.3.m4s")
	f.Fuzz(func(t *testing.T, file string) {
		gen, pos, ok := parseName(file)
		if ok && nameOf(gen, pos)+".m4s" != file {
			t.Errorf("%q is taken for %s", file, nameOf(gen, pos))
		}
	})
}

// TestFirstPlaylist: the bare playlist may be waited for when the first part has yet to come. It is no less out of date a
// moment later than any other bare one.
func TestFirstPlaylist(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		h := newTestHandler(s)
		answers := make(chan *httptest.ResponseRecorder, 1)
		go func() { answers <- get(h, "/live/show/video.m3u8") }()
		synctest.Wait()
		s.add(1)
		got := <-answers
		if cache := got.Header().Get("Cache-Control"); got.Code != 200 || cache != "public, max-age=1" {
			t.Errorf("%d, cached %q", got.Code, cache)
		}
	})
}

// TestTooFarBeforeTheFirstPart: a position that cannot be next is refused at once.
func TestTooFarBeforeTheFirstPart(t *testing.T) {
	t.Parallel()
	h := newTestHandler(newShow(7))
	for path, want := range map[string]int{
		"/live/show/video.m3u8?_HLS_msn=103":              400,
		"/live/show/video.m3u8?_HLS_msn=100&_HLS_part=16": 400,
	} {
		if got := get(h, path); got.Code != want {
			t.Errorf("%s: %d, want %d", path, got.Code, want)
		}
	}
}

// TestTagsTellBytes: two playlists with the same ETag are the same bytes, also when only a rendition report differs.
func TestTagsTellBytes(t *testing.T) {
	t.Parallel()
	s := newShow(7)
	audio := s.AddRendition("audio", false, 100)
	s.SetVariants([]window.Variant{{Video: s.video}, {Video: audio}})
	h := newTestHandler(s)
	s.add(1)
	before := get(h, "/live/show/video.m3u8")
	s.Append(audio, window.Part{Data: []byte("sound"), Duration: partTicks}, &window.Segment{})
	after := get(h, "/live/show/video.m3u8", "If-None-Match", before.Header().Get("Etag"))
	if after.Code != 200 || after.Body.String() == before.Body.String() {
		t.Errorf("%d: the report on audio is kept from a cache", after.Code)
	}
}

// TestRefusalsAreNotShared: that one address waits too often must not be told to others by a cache.
func TestRefusalsAreNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		h := newTestHandler(s)
		const path = "/live/show/video.m3u8?_HLS_msn=102&_HLS_part=5"
		for range 3 {
			go get(h, path)
		}
		synctest.Wait()
		got := get(h, path)
		if cache := got.Header().Get("Cache-Control"); got.Code != 429 || cache != "no-store" {
			t.Errorf("%d, cached %q", got.Code, cache)
		}
		s.add(1)
	})
}

// deadlines notes the write deadline that a handler asks for.
type deadlines struct {
	*httptest.ResponseRecorder
	at time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error { d.at = at; return nil }

// TestLongWaits: the server's write timeout does not cut a wait for long segments short.
func TestLongWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := window.NewPresentation("show", window.Settings{TargetDuration: 60, DVR: time.Hour, FirstMSN: 100, Gen: 7})
		s := &show{Presentation: p, video: p.AddRendition("video", true, 100)}
		p.SetPartTarget(partTicks)
		s.add(1)
		h := newTestHandler(s)
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/live/show/video.m3u8?_HLS_msn=101", nil))
		if w.Code != 503 || time.Since(began) != 3*time.Minute || w.at.Before(time.Now()) {
			t.Errorf("%d after %v, to be written until %v", w.Code, time.Since(began), w.at.Sub(began))
		}
	})
}

// TestNoDeltaAfterTheEnd: an ended playlist is given whole, whatever is asked for (6.2.5.1).
func TestNoDeltaAfterTheEnd(t *testing.T) {
	t.Parallel()
	p := window.NewPresentation("show", window.Settings{TargetDuration: 1, DVR: time.Minute, FirstMSN: 100, Gen: 7})
	s := &show{Presentation: p, video: p.AddRendition("video", true, 100)}
	p.SetPartTarget(partTicks)
	s.add(100)
	h := newTestHandler(s)
	const path = "/live/show/video.m3u8?_HLS_skip=YES"
	if got := get(h, path); !strings.Contains(got.Body.String(), "EXT-X-SKIP") {
		t.Errorf("no delta update: %s", got.Body)
	}
	s.End()
	if got := get(h, path); strings.Contains(got.Body.String(), "EXT-X-SKIP") {
		t.Errorf("a delta update after the end: %s", got.Body)
	}
}
