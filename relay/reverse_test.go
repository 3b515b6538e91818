package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// reversed is a pool behind an HTTP server; who asks says its name.
func reversed(t *testing.T) (*ReversePool, string) {
	p := NewReversePool(ReverseOptions{Identify: func(r *http.Request) (string, error) {
		if name := r.Header.Get("Name"); name != "" {
			return name, nil
		}
		return "", errors.New("no name")
	}})
	s := httptest.NewServer(p)
	t.Cleanup(func() {
		s.Close()
		p.Close()
	})
	return p, s.Listener.Addr().String()
}

// offer makes a connection and returns it with the head of the answer.
func offer(t *testing.T, addr, head string) (net.Conn, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	var answer []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(answer), "\r\n\r\n"); answer = append(answer, one...) {
		if _, err := conn.Read(one); err != nil {
			t.Fatal(err)
		}
	}
	return conn, string(answer)
}

const offerHead = "POST /relay/1/reverse HTTP/1.1\r\nHost: a\r\nName: node\r\nConnection: Upgrade\r\nUpgrade: pushcart-relay\r\n\r\n"

// TestReversePool: what waits can be taken once, and what has died is not given out.
func TestReversePool(t *testing.T) {
	t.Parallel()
	p, addr := reversed(t)
	dead, head := offer(t, addr, offerHead)
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatal(head)
	}
	eventually(t, "connection", func() bool { return p.Has("node") })
	dead.Close()
	eventually(t, "its end", func() bool { return !p.Has("node") })

	loud, _ := offer(t, addr, offerHead)
	eventually(t, "connection", func() bool { return p.Has("node") })
	_, _ = io.WriteString(loud, "unasked")
	eventually(t, "end of one that speaks unasked", func() bool { return !p.Has("node") })

	// Who waits gets the one that comes; both ends can speak.
	taken := make(chan net.Conn, 1)
	go func() {
		c, err := p.Take(t.Context(), "node")
		if err != nil {
			t.Error(err)
		}
		taken <- c
	}()
	far, _ := offer(t, addr, offerHead)
	near := <-taken
	if near == nil {
		t.Fatal("nothing was taken")
	}
	defer near.Close()
	if p.Has("node") {
		t.Error("it is there twice")
	}
	for _, c := range [][2]net.Conn{{near, far}, {far, near}} {
		if _, err := io.WriteString(c[0], "hello"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		_ = c[1].SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.ReadFull(c[1], b); err != nil || string(b) != "hello" {
			t.Fatalf("%q, %v", b, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Take(ctx, "node"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("taken from nothing: %v", err)
	}
	var none *ReversePool
	if none.Has("node") {
		t.Error("no pool has something")
	}
}

// TestReverseRefused: who is not let in, and how much one node may leave.
func TestReverseRefused(t *testing.T) {
	t.Parallel()
	p, addr := reversed(t)
	for _, c := range []struct{ name, head, want string }{
		{"no upgrade", "POST / HTTP/1.1\r\nHost: a\r\nName: node\r\nContent-Length: 0\r\n\r\n", "426"},
		{"GET", strings.Replace(offerHead, "POST", "GET", 1), "426"},
		{"nobody", strings.Replace(offerHead, "Name: node", "Other: node", 1), "403"},
	} {
		if _, head := offer(t, addr, c.head); !strings.HasPrefix(head, "HTTP/1.1 "+c.want) {
			t.Errorf("%s: %s", c.name, head)
		}
	}
	for range maxSparePerNode {
		if _, head := offer(t, addr, offerHead); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatal(head)
		}
	}
	eventually(t, "the last one", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.count == maxSparePerNode
	})
	if _, head := offer(t, addr, offerHead); !strings.HasPrefix(head, "HTTP/1.1 503 ") {
		t.Errorf("one more: %s", head)
	}
	other, head := offer(t, addr, strings.Replace(offerHead, "node", "other", 1))
	defer other.Close()
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Errorf("another node: %s", head)
	}
	p.Close()
	if p.Has("node") || p.Has("other") {
		eventually(t, "end of all", func() bool { return !p.Has("node") && !p.Has("other") })
	}
	if _, err := p.Take(t.Context(), "node"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("taken from a closed pool: %v", err)
	}
}

// TestTurnRefused: a peer that does not turn the connection round is told of with what it says.
func TestTurnRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, answer, want string }{
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"},
		{"no HTTP", "what\r\n\r\n", "malformed"},
		{"endless", strings.Repeat("a", 5000), "no end"},
	} {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			if _, err := http.ReadRequest(bufioReader(far)); err == nil {
				_, _ = io.WriteString(far, c.answer)
			}
		}()
		if err := turn(near); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		near.Close()
	}
}
