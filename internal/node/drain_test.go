package node

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newTestDrain() *drain {
	return newDrain(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
}

// TestDrainWaits: for what is waited for, no longer than told, and not at all when somebody is in a hurry; the log hears of it.
func TestDrainWaits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		comes, hurry, within, want time.Duration
		done                       bool
		told                       int
	}{
		"it comes":           {comes: 3 * time.Second, hurry: -1, within: 30 * time.Second, want: 3 * time.Second, done: true},
		"it is there":        {hurry: -1, within: 30 * time.Second, done: true},
		"it is there, late":  {hurry: -1, done: true},
		"it comes too late":  {comes: time.Minute, hurry: -1, within: 17 * time.Second, want: 17 * time.Second, told: 3},
		"hurry":              {comes: time.Minute, hurry: 7 * time.Second, within: 30 * time.Second, want: 7 * time.Second, told: 1},
		"in a hurry already": {comes: time.Minute, within: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newTestDrain()
				n := &Node{drain: d}
				if test.hurry == 0 {
					n.Hurry()
				} else if test.hurry > 0 {
					time.AfterFunc(test.hurry, n.Hurry)
				}
				began, told := time.Now(), 0
				done := d.wait(test.within, func(now time.Time) bool { return now.Sub(began) >= test.comes }, func(left time.Duration) {
					told++
					if want := test.within - time.Duration(told)*drainTell; left < want-time.Second || left > want+time.Second {
						t.Errorf("the log says that %v are left, want %v", left, want)
					}
				})
				if took := time.Since(began); done != test.done || took < test.want || took > test.want+drainLook || told != test.told {
					t.Errorf("done %t after %v, %d lines; want %t, %v, %d", done, took, told, test.done, test.want, test.told)
				}
				n.Hurry() // twice does no harm
			})
		})
	}
}

// TestDrainViewers: nothing is done to viewers before; then more and more connections are closed, and all in the end; and they are gone
// when none has asked for a while and nothing is being answered.
func TestDrainViewers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newTestDrain()
		answer := make(chan struct{})
		close(answer)
		h := d.watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-answer }))
		closed := func(path string) (n int) {
			for range 400 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
				if w.Header().Get("Connection") == "close" {
					n++
				}
			}
			return n
		}
		gone := d.viewersGone(4 * time.Second)
		if n := closed("/live/show/index.m3u8"); n != 0 || !gone(time.Now()) || d.unready() != "" {
			t.Errorf("%d connections closed before the drain, viewers gone %t, %q", n, gone(time.Now()), d.unready())
		}
		if !d.begin(time.Now()) || d.begin(time.Now()) {
			t.Error("begun twice, or not at all")
		}
		if n := closed("/watch/show") + closed("/live/show/index.m3u8"); n != 0 || !gone(time.Now()) {
			t.Errorf("%d connections closed in the first moment; a page that waits for the next show is no viewer: %t", n, gone(time.Now()))
		}
		time.Sleep(closeSpread / 2)
		if n := closed("/live/show/video/17-5.m4s"); n < 130 || n > 270 {
			t.Errorf("%d of 400 connections closed at half time", n)
		}
		time.Sleep(closeSpread / 2)
		if n := closed("/live/show/video/17-5.m4s"); n != 400 {
			t.Errorf("%d of 400 connections closed in the end", n)
		}
		if gone(time.Now().Add(3*time.Second)) || !gone(time.Now().Add(4*time.Second)) {
			t.Error("not gone after the time in which nobody asked")
		}
		answer = make(chan struct{})
		var waiting sync.WaitGroup
		waiting.Go(func() { closed("/live/show/video/17-6.1.m4s") })
		synctest.Wait()
		time.Sleep(time.Minute)
		if gone(time.Now()) {
			t.Error("gone while a request waits")
		}
		close(answer)
		waiting.Wait()
		if gone(time.Now()) {
			t.Error("gone at the moment of an answer")
		}
		if d.unready() == "" || !d.takeBack(func() {}) || d.unready() != "" || d.takeBack(func() {}) {
			t.Error("a drain is not taken back, or twice")
		}
		if n := closed("/live/show/video/17-5.m4s"); n != 0 {
			t.Errorf("%d connections closed after the drain was taken back", n)
		}
		d.stop(time.Now())
		if d.takeBack(func() {}) || d.unready() != "stopping" {
			t.Errorf("stopping was taken back: %q", d.unready())
		}
	})
}

// TestDrainClosesConnections: a client's next request comes on another connection, with HTTP/1.1 and with HTTP/2, and no request fails.
func TestDrainClosesConnections(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*http.Protocols){
		"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2":   func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newTestDrain()
			d.spread = time.Nanosecond
			s := httptest.NewUnstartedServer(d.watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			s.Config.Protocols = new(http.Protocols)
			s.Config.Protocols.SetHTTP1(true)
			s.Config.Protocols.SetUnencryptedHTTP2(true)
			s.Start()
			defer s.Close()
			p := new(http.Protocols)
			set(p)
			client := &http.Client{Transport: &http.Transport{Protocols: p}}
			defer client.CloseIdleConnections()
			reused := func() (was bool) {
				trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { was = i.Reused }}
				r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", s.URL+"/live/show/index.m3u8", nil)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				if answer.Proto != name && answer.Proto != name+".0" {
					t.Fatalf("%s was spoken", answer.Proto)
				}
				return was
			}
			if reused() || !reused() {
				t.Error("connections are not kept before the drain")
			}
			d.begin(time.Now())
			time.Sleep(time.Microsecond)
			reused() // is told
			fresh := 0
			for range 20 {
				if !reused() {
					fresh++
				}
			}
			// HTTP/2's good-bye may come a moment after the response.
			if name == "HTTP/1.1" && fresh != 20 || fresh == 0 {
				t.Errorf("%d of 20 requests came on a new connection", fresh)
			}
		})
	}
}

// BenchmarkDrainWatch: what a node that is not drained pays for each request.
func BenchmarkDrainWatch(b *testing.B) {
	h := newTestDrain().watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/live/show/video.m3u8", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
