package hls

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

// stuck is a viewer who does not read: what is written to it waits.
type stuck struct {
	nobody
	writes, gone chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	select {
	case s.writes <- struct{}{}:
		<-s.gone
	case <-s.gone:
	}
	return len(b), nil
}

// TestSlowViewersKeepNoSnapshot: a snapshot leads to all that come after it, so that a viewer who takes minutes for a response would
// keep as much of the stream in memory, if the request held on to one.
func TestSlowViewersKeepNoSnapshot(t *testing.T) {
	s := newShow(7)
	s.add(25)
	h := newTestHandler(s)
	h.opt.Settings = func() Settings { return Settings{} }
	gone := make(chan struct{})
	forgotten := make(chan string, 10)
	watch := func(name string) { runtime.AddCleanup(s.video.Load(), func(name string) { forgotten <- name }, name) }
	paths := []string{"video/7-101.m4s", "video/7-102.1.m4s", "video.m3u8", "index.m3u8", "video/7-102.5.m4s", "video.m3u8?_HLS_msn=102&_HLS_part=5"}
	writes := make(chan struct{})
	done := make(chan struct{})
	for _, path := range paths {
		go func() {
			h.ServeHTTP(&stuck{nobody{http.Header{}}, writes, gone}, httptest.NewRequest(http.MethodGet, "/live/show/"+path, nil))
			done <- struct{}{}
		}()
	}
	watch("that they found")
	for range 4 {
		<-writes
	}
	s.add(1)
	watch("that they waited for")
	for range 2 {
		<-writes
	}
	s.add(1)
	for n, deadline := 0, time.Now().Add(5*time.Second); n < 2; {
		runtime.GC()
		select {
		case <-forgotten:
			n++
		case <-time.After(time.Millisecond):
			if time.Now().After(deadline) {
				t.Errorf("%d of 2 snapshots were forgotten", n)
				n = 2
			}
		}
	}
	close(gone)
	for range paths {
		<-done
	}
}
