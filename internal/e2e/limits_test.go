package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

func blockingURL(n *testkit.Node, rendition string, msn int64, part int) string {
	return fmt.Sprintf("%s/live/show/%s.m3u8?_HLS_msn=%d&_HLS_part=%d", n.HTTP(), rendition, msn, part)
}

func errStatus(status int) error { return fmt.Errorf("status %d", status) }

// showing starts a node with three seconds of a show.
func showing(t *testing.T, change func(*config.Config), args ...string) (*testkit.Node, *testkit.Publisher, *testkit.Viewer, *testkit.Playlist) {
	t.Helper()
	n := testkit.Start(t, func(c *config.Config) { quick(c); change(c) })
	p := testkit.Publish(t, n.RTMP(), "show")
	burst(t, p, testkit.Pictures(t, args...), testkit.Sound(t), 0, 3*time.Second)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	return n, p, v, reached(v, "video", 2500*time.Millisecond)
}

// TestTooManyWaitingRequests answers 429 to an address beyond its share, and only to it.
func TestTooManyWaitingRequests(t *testing.T) {
	t.Parallel()
	n, p, v, l := showing(t, func(c *config.Config) { c.HTTP.MaxWaitingPerAddress = 3 })
	msn, part := l.Next()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 3)
	for range 3 {
		go func() {
			status, _, _, err := testkit.Get(ctx, v.Client, blockingURL(n, "video", msn, part))
			if err == nil && status != http.StatusOK {
				err = errStatus(status)
			}
			done <- err
		}()
	}
	waiting := func(want float64) func() bool {
		return func() bool { return testkit.Scrape(t, n.Admin()).Value("pushcart_hls_waiting_requests") == want }
	}
	testkit.Eventually(t, "three requests wait", waiting(3))
	status, header, body, err := testkit.Get(t.Context(), v.Client, blockingURL(n, "video", msn, part))
	if err != nil || status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !strings.Contains(string(body), "max_waiting_per_address") {
		t.Errorf("the fourth: status %d, %v, %v: %s", status, header, err, body)
	}
	v.Playlist("video") // what need not wait is not refused
	if err := p.Play(t.Context(), testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), From: 3 * time.Second, To: 4 * time.Second}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Errorf("a request that was let wait: %v", err)
		}
	}
	// Viewers who give up free their places.
	l = v.Playlist("video")
	msn, part = l.Next()
	for range 3 {
		go func() {
			_, _, _, err := testkit.Get(ctx, v.Client, blockingURL(n, "video", msn, part))
			done <- err
		}()
	}
	testkit.Eventually(t, "three requests wait again", waiting(3))
	cancel()
	testkit.Eventually(t, "nobody waits", waiting(0))
	for range 3 {
		<-done
	}
}

// TestRequestHeaderTooLarge is refused with 431.
func TestRequestHeaderTooLarge(t *testing.T) {
	t.Parallel()
	n, _, v, _ := showing(t, func(c *config.Config) { c.HTTP.MaxHeaderSize = 4 << 10 })
	for name, size := range map[string]int{"fits": 2 << 10, "does not fit": 64 << 10} {
		req, err := http.NewRequest(http.MethodGet, n.Master("show"), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Filler", strings.Repeat("x", size))
		res, err := v.Client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if want := map[bool]int{true: http.StatusOK, false: http.StatusRequestHeaderFieldsTooLarge}[size < 4<<10]; res.StatusCode != want {
			t.Errorf("a header that %s: status %d, want %d", name, res.StatusCode, want)
		}
	}
}

// TestSlowReaderIsCut has a viewer ask for a segment and not read it: it is cut off by the configured rate, and counted out.
func TestSlowReaderIsCut(t *testing.T) {
	t.Parallel()
	n, _, v, l := showing(t, func(c *config.Config) { c.HTTP.MinReadRate = 10 << 20 }, "-crf", "0")
	v.Fetch(l.Segments[0].URI, http.StatusOK)
	nc, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", n.Address("http").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	// Many requests in a pipeline, none of whose answers is read, fill what the sockets hold.
	request := fmt.Sprintf("GET /live/show/%s HTTP/1.1\r\nHost: test\r\n\r\n", l.Segments[0].URI)
	if _, err := io.WriteString(nc, strings.Repeat(request, 100)); err != nil {
		t.Fatal(err)
	}
	n.WaitConnections(t, 1, 40*time.Second)
	nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, nc); errors.Is(err, context.DeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

// TestSilentConnectionIsClosed sends no request, and half of one.
func TestSilentConnectionIsClosed(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, func(c *config.Config) { c.HTTP.HeaderTimeout = config.Duration(time.Second) })
	testkit.WantClosedAfter(t, n.Address("http").String(), "GET /live/show/index.m3u8 HTTP/1.1\r\nHost:")
	testkit.WantClosedAfter(t, n.Address("http").String(), "")
}

// TestTooManyConnections closes those beyond the limit, of viewers and of publishers, and takes new ones when others leave.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, func(c *config.Config) {
		c.HTTP.MaxConnections = 2
		c.RTMP.MaxConnections = 2
	})
	var open []net.Conn
	for range 2 {
		nc, err := net.Dial("tcp", n.Address("http").String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		open = append(open, nc)
	}
	n.WaitConnections(t, 2, 10*time.Second)
	testkit.WantClosed(t, n.Address("http").String())
	if got := testkit.Scrape(t, n.Admin()).Value("pushcart_http_connections_refused_total"); got != 1 {
		t.Errorf("%v connections were refused, want 1", got)
	}
	open[0].Close()
	open[1].Close()
	n.WaitConnections(t, 0, 10*time.Second)
	if status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, n.HTTP()+"/api/v1/streams"); err != nil || status != http.StatusOK {
		t.Errorf("after the others left: status %d, %v", status, err)
	}

	first, second := testkit.Publish(t, n.RTMP(), "a"), testkit.Publish(t, n.RTMP(), "b")
	testkit.WantClosed(t, n.RTMP())
	first.Leave()
	testkit.Eventually(t, "one publisher is left", func() bool {
		return testkit.Scrape(t, n.Admin()).Value("pushcart_rtmp_open_connections") == 1
	})
	testkit.Publish(t, n.RTMP(), "c").Leave()
	second.Leave()
}
