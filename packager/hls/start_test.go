package hls

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/packager/window"
)

// source counts who asks for the stream "show", which it can fetch.
type source struct {
	*Handler
	asked atomic.Int64
}

func newSource(shows ...*show) *source {
	s := &source{Handler: newTestHandler(shows...)}
	s.opt.Demand = func(name string) bool {
		if name != "show" {
			return false
		}
		s.asked.Add(1)
		return true
	}
	return s
}

// begins gives the stream a presentation in which nothing can be played yet.
func (s *source) begins(gen int64) *show {
	p := window.NewPresentation("show", window.Settings{TargetDuration: 4, DVR: 20 * time.Second, FirstMSN: 100, Gen: gen})
	s.opt.Registry.Add(p)
	return &show{Presentation: p}
}

// plays makes it playable.
func (s *show) plays() {
	s.video = s.AddRendition("video", true, 100)
	s.AddInit(s.video, &window.Init{Name: "init-abc.mp4", Data: []byte("init")})
	s.SetPartTarget(partTicks)
	s.SetVariants([]window.Variant{{Video: s.video, Codecs: "avc1.64001f"}})
	s.add(1)
}

// asks sends a request and returns where its answer will be.
func asks(ctx context.Context, h http.Handler, path string) <-chan *httptest.ResponseRecorder {
	answer := make(chan *httptest.ResponseRecorder, 1)
	go func() { answer <- ask(ctx, h, http.MethodGet, path) }()
	return answer
}

const index = "/live/show/index.m3u8"

// TestDemand: a viewer who asks for a stream that is to be fetched waits until it can be played, and no longer.
func TestDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSource()
		answer := asks(t.Context(), h, index)
		time.Sleep(4 * time.Second)
		h.opt.Registry.Add(newShow(5).Presentation)
		if got := <-answer; got.Code != 200 {
			t.Errorf("%d %s", got.Code, got.Body)
		}

		h = newSource()
		answer = asks(t.Context(), h, index)
		time.Sleep(3 * time.Second)
		other := window.NewPresentation("other", window.Settings{TargetDuration: 4})
		h.opt.Registry.Add(other)
		time.Sleep(3 * time.Second)
		s := h.begins(7)
		time.Sleep(3 * time.Second)
		if len(answer) != 0 {
			t.Fatal("answered before there was anything to play")
		}
		began := time.Now()
		s.plays()
		if got := <-answer; got.Code != 200 || !strings.Contains(got.Body.String(), "video.m3u8") || time.Since(began) != 0 {
			t.Errorf("%d %s after %v", got.Code, got.Body, time.Since(began))
		}
		if n := h.asked.Load(); n != 1 {
			t.Errorf("demanded %d times", n)
		}
		if len(h.waiting.byHost) != 0 {
			t.Errorf("still waiting: %v", h.waiting.byHost)
		}
	})
}

// TestDemandInVain: a source that does not come in time is said to be on its way, and one that nobody has is not waited for.
func TestDemandInVain(t *testing.T) {
	for what, prepare := range map[string]func(*source){
		"nothing comes": func(*source) {},
		"it connects":   func(h *source) { h.begins(7) },
		"it breaks off": func(h *source) { h.begins(7).End() },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newSource()
			answer := asks(t.Context(), h, index)
			began := time.Now()
			synctest.Wait()
			prepare(h)
			got := <-answer
			if got.Code != 503 || got.Body.String() != "the stream is being fetched; try again\n" || got.Header().Get("Retry-After") != "2" ||
				got.Header().Get("Cache-Control") != cacheFailure || time.Since(began) != demandWait {
				t.Errorf("%s: %d %v %s after %v", what, got.Code, got.Header(), got.Body, time.Since(began))
			}
			if len(h.waiting.byHost) != 0 {
				t.Errorf("%s: still waiting: %v", what, h.waiting.byHost)
			}
			if got := get(h, "/live/other/index.m3u8"); got.Code != 404 || got.Body.String() != noStream+"\n" || got.Header().Get("Retry-After") != "" {
				t.Errorf("another: %d %s", got.Code, got.Body)
			}
			if time.Since(began) != demandWait {
				t.Error("a stream that nobody has is waited for")
			}
		})
	}
}

// TestDemandIsBounded: by address, and by the viewer's patience.
func TestDemandIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSource()
		ctx, leave := context.WithCancel(t.Context())
		var answers []<-chan *httptest.ResponseRecorder
		for range 3 {
			answers = append(answers, asks(ctx, h, index))
		}
		synctest.Wait()
		if got := get(h, index); got.Code != 429 || got.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("the fourth: %d %v", got.Code, got.Header())
		}
		began := time.Now()
		leave()
		for _, a := range answers {
			if got := <-a; got.Body.Len() != 0 {
				t.Errorf("to one who left: %s", got.Body)
			}
		}
		if time.Since(began) != 0 || len(h.waiting.byHost) != 0 {
			t.Errorf("after %v, %v wait", time.Since(began), h.waiting.byHost)
		}
	})
}

// TestDemandAfterTheEnd: who comes to a show that is over has the source fetched again; who goes on asking for its playlist
// does not.
func TestDemandAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(25)
		h := newSource(s)
		if got := get(h, index); got.Code != 200 || h.asked.Load() != 1 {
			t.Errorf("while it is live: %d, demanded %d times", got.Code, h.asked.Load())
		}
		// The source may have been given up, and the stream be kept open for it.
		if got := get(h, "/live/show/video.m3u8"); got.Code != 200 || h.asked.Load() != 2 {
			t.Errorf("its playlist: %d, demanded %d times", got.Code, h.asked.Load())
		}
		get(h, "/live/show/video/7-100.m4s")
		s.End()
		for range 5 {
			if got := get(h, "/live/show/video.m3u8"); got.Code != 200 || !strings.Contains(got.Body.String(), "ENDLIST") {
				t.Errorf("the ended playlist: %d", got.Code)
			}
		}
		if n := h.asked.Load(); n != 2 {
			t.Errorf("demanded %d times by who polls what has ended, or by media", n)
		}
		answer := asks(t.Context(), h, index)
		time.Sleep(time.Second)
		if len(answer) != 0 || h.asked.Load() != 3 {
			t.Errorf("demanded %d times", h.asked.Load())
		}
		next := newShow(8)
		next.add(5)
		h.opt.Registry.Add(next.Presentation)
		if got := <-answer; got.Code != 200 {
			t.Errorf("the next show: %d", got.Code)
		}
		if got := get(h, "/live/show/video.m3u8"); strings.Contains(got.Body.String(), "ENDLIST") {
			t.Error("the name still stands for the old show")
		}

		// Without a source an ended show is what is there.
		over := newShow(7)
		over.add(5)
		over.End()
		if got := get(newTestHandler(over), index); got.Code != 200 {
			t.Errorf("an ended show without a source: %d", got.Code)
		}
	})
}
