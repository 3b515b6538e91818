package hls

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/window"
)

// nobody takes a response and keeps nothing of it.
type nobody struct{ head http.Header }

func (n *nobody) Header() http.Header         { return n.head }
func (n *nobody) WriteHeader(int)             {}
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }

// BenchmarkReady is the handler's own share of a request for something that is there.
func BenchmarkReady(b *testing.B) {
	s := newShow(7)
	s.add(95)
	h := newTestHandler(s)
	for name, path := range map[string]string{
		"part":     "/live/show/video/7-108.3.m4s",
		"segment":  "/live/show/video/7-107.m4s",
		"playlist": "/live/show/video.m3u8?_HLS_msn=109&_HLS_part=2",
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept-Encoding", "gzip")
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(&nobody{head: http.Header{}}, r)
			}
		})
	}
}

// BenchmarkWake is one part for a hundred viewers who wait for it, per viewer: the part goes into the window, the playlist is
// rendered and compressed once, and every viewer gets it and asks for the next one.
func BenchmarkWake(b *testing.B) {
	const viewers = 100
	s := newShow(7)
	s.add(95)
	h := newTestHandler(s)
	h.opt.Settings = func() Settings { return Settings{} }
	h.opt.Metrics = NewMetrics(prometheus.NewRegistry())
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		next := s.video.Load().Next()
		path := fmt.Sprintf("/live/show/video.m3u8?_HLS_msn=%d&_HLS_part=%d", next.MSN, next.Part)
		var served sync.WaitGroup
		for range viewers {
			served.Go(func() {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Header.Set("Accept-Encoding", "gzip")
				h.ServeHTTP(&nobody{head: http.Header{}}, r)
			})
		}
		s.add(1)
		served.Wait()
		n++
	}
	if last, _ := s.video.Load().Last(); last == (window.Position{}) {
		b.Fatal("nothing was published")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n*viewers), "ns/viewer")
}
