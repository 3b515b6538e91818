package load

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answering serves the same bytes on each connection, once for each request, and then what follows says.
func answering(t *testing.T, reply string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				for r := bufio.NewReader(nc); ; {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					if _, err := io.WriteString(nc, reply); err != nil {
						return
					}
					if !strings.Contains(reply, "Content-Length") && !strings.Contains(strings.ToLower(reply), "chunked") {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestConn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 30000)
	for name, c := range map[string]struct {
		reply  string
		body   string
		status int
		want   error
		hit    Caching
		closed bool
	}{
		"a length":           {reply: "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + long, body: long, status: 200},
		"chunks":             {reply: "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\nB;x=y\r\n, the world\r\n0\r\nTrailer: x\r\n\r\n", body: "hello, the world", status: 200},
		"up to the end":      {reply: "HTTP/1.1 200 OK\r\n\r\n" + long, body: long, status: 200, closed: true},
		"hints in front":     {reply: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", body: "no", status: 404},
		"a long field":       {reply: "HTTP/1.1 200 OK\r\nX-Long: " + long[:20000] + "\r\nContent-Length: 2\r\n\r\nok", body: "ok", status: 200},
		"a cache":            {reply: "HTTP/1.1 200 OK\r\nAge: 3\r\nX-Cache: MISS\r\nContent-Length: 2\r\n\r\nok", body: "ok", status: 200, hit: CacheMiss},
		"another":            {reply: "HTTP/1.1 200 OK\r\nCache-Status: edge; hit; ttl=3\r\nContent-Length: 2\r\n\r\nok", body: "ok", status: 200, hit: CacheHit},
		"an old one":         {reply: "HTTP/1.1 200 OK\r\nAge: 3\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", body: "ok", status: 200, hit: CacheHit, closed: true},
		"no HTTP":            {reply: "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u5\r\n", want: ErrResponse},
		"no status":          {reply: "HTTP/1.1 abc OK\r\n\r\n", want: ErrResponse},
		"no end of a header": {reply: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20000), want: ErrTooLarge},
		"one endless field":  {reply: "HTTP/1.1 200 OK\r\nX: " + long + "\r\n\r\n", want: ErrTooLarge},
		"a negative length":  {reply: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", want: ErrResponse},
		"a huge length":      {reply: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", want: ErrTooLarge},
		"a huge chunk":       {reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", want: ErrTooLarge},
		"no chunk":           {reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", want: ErrResponse},
		"hints without end":  {reply: strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 50), want: ErrResponse},
		"less than it says":  {reply: "HTTP/1.1 200 OK\r\nX-Length: Content\r\n", want: io.ErrUnexpectedEOF},
		"nothing":            {reply: "", want: io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := answering(t, c.reply)
			for _, keep := range []bool{true, false} {
				v, err := DialConn(t.Context(), address, nil, "test")
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				v.Timeout, v.MaxBody = 5*time.Second, 1<<20
				for turn := range 2 {
					if err := v.Send(v.Request("/", false)); err != nil {
						t.Fatal(err)
					}
					a, err := v.Answer(keep)
					if c.want != nil {
						if !errors.Is(err, c.want) {
							t.Fatalf("%v, want %v", err, c.want)
						}
						break
					}
					if err != nil || a.Status != c.status || a.Size != int64(len(c.body)) || keep && string(a.Body) != c.body || a.Caching != c.hit || v.Closed() != c.closed {
						t.Fatalf("turn %d, keep %v: status %d, %d bytes, caching %v, closed %v, %v", turn, keep, a.Status, a.Size, a.Caching, v.Closed(), err)
					}
					if c.closed {
						break
					}
				}
			}
		})
	}
}

// TestConnTimeout: a server that sends a byte now and then does not hold a viewer longer than a request may take.
func TestConnTimeout(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := io.WriteString(nc, "1\r\nx\r\n"); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	v, err := DialConn(t.Context(), l.Addr().String(), nil, "test")
	if err != nil {
		t.Fatal(err)
	}
	v.Timeout = 100 * time.Millisecond
	_, err = v.Get("/", false)
	if kindOf(err) != "no answer in time" {
		t.Errorf("%v", err)
	}
	v.Close()
	<-ended
}
