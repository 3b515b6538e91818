package hls

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pushcart/packager/window"
)

// TestMoved: requests that wait when the handler is moved are answered by the other handler, all of them at once; so are those that
// begin to wait afterwards. Back here they wait here again.
func TestMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShow(7)
		s.add(3)
		empty := window.NewPresentation("empty", window.Settings{TargetDuration: 2})
		h := newTestHandler(s)
		h.opt.Registry.Add(empty)
		h.opt.Settings = func() Settings { return Settings{} }
		h.opt.Demand = func(name string) bool { return name == "fetched" || name == "media" }
		last, _ := s.video.Load().Last()
		waits := []string{
			"/live/show/video.m3u8?_HLS_msn=" + strconv.FormatInt(last.MSN, 10) + "&_HLS_part=" + strconv.Itoa(last.Part+1),
			"/live/show/video/7-" + strconv.FormatInt(last.MSN, 10) + "." + strconv.Itoa(last.Part+1) + ".m4s",
			"/live/empty/index.m3u8", "/live/fetched/index.m3u8", "/live/media/video/7-1.0.m4s",
		}
		var answered atomic.Int64
		other := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answered.Add(1)
			io.WriteString(w, "elsewhere "+r.URL.RequestURI())
		})
		var asking sync.WaitGroup
		all := func(want string, change func()) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			for _, path := range waits {
				asking.Go(func() {
					body := ask(ctx, h, http.MethodGet, path).Body.String()
					if want != "" && body != want+path {
						t.Errorf("GET %s: %q", path, body)
					}
				})
			}
			synctest.Wait()
			change()
			synctest.Wait()
			if want == "" {
				cancel()
			}
			asking.Wait()
			cancel()
		}
		all("elsewhere ", func() {
			if answered.Load() != 0 {
				t.Error("somebody did not wait")
			}
			h.Move(other)
		})
		all("elsewhere ", func() {})
		if n := answered.Load(); n != int64(2*len(waits)) {
			t.Errorf("%d requests were answered elsewhere, want %d", n, 2*len(waits))
		}
		if body := ask(t.Context(), h, http.MethodGet, "/live/show/video.m3u8").Body.String(); !strings.HasPrefix(body, "#EXTM3U") {
			t.Errorf("what does not wait is answered with %q", body)
		}
		h.Move(nil)
		all("", func() {
			if n := answered.Load(); n != int64(2*len(waits)) {
				t.Errorf("%d requests were answered elsewhere after the return", n-int64(2*len(waits)))
			}
		})
	})
}
