package node

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestStrangers: connections beyond the bounds are closed and counted, and who asks for something, or leaves, makes room.
func TestStrangers(t *testing.T) {
	t.Parallel()
	for name, all := range map[string]bool{"until they ask": false, "until they leave": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused := newRefusedStrangers(prometheus.NewRegistry())
			bounds := newStrangers(refused, "relay", 10, 2, all)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{ConnState: bounds.ConnState, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })}
			done := make(chan error, 1)
			go func() { done <- s.Serve(bounds.listen(l)) }()
			t.Cleanup(func() { s.Close(); <-done })
			// asked tells whether a connection is answered; nil is that it was closed.
			asked := func(c net.Conn) bool {
				c.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					return false
				}
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					return false
				}
				defer res.Body.Close()
				_, err = io.Copy(io.Discard, res.Body)
				return err == nil
			}
			dial := func() net.Conn {
				c, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			first, second, third := dial(), dial(), dial()
			if asked(third) {
				t.Error("a third connection of one address is let in")
			}
			if n := testutil.ToFloat64(refused.WithLabelValues("relay", "address")); n != 1 {
				t.Errorf("%v are counted as refused, want 1", n)
			}
			if !asked(first) {
				t.Error("the first connection is not answered")
			}
			if asked(dial()) == all {
				t.Errorf("after one has asked, another's luck is %v", !all)
			}
			first.Close()
			second.Close()
			for end := time.Now().Add(10 * time.Second); ; {
				if asked(dial()) {
					break
				}
				if time.Now().After(end) {
					t.Fatal("who left makes no room")
				}
			}
		})
	}
}
