package handover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// folder is one whose name leaves room for a socket's.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ho-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// listening runs a listener, whose connections go to handle, until the test ends.
func listening(t *testing.T, path string, handle func(context.Context, Purpose, *net.UnixConn)) *Listener {
	t.Helper()
	l, err := Listen(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, handle) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l
}

// talk is both ends of a connection for messages.
func talk(t *testing.T) (a, b *Conn) {
	t.Helper()
	path := filepath.Join(folder(t), "s")
	there := make(chan *net.UnixConn, 1)
	listening(t, path, func(_ context.Context, _ Purpose, c *net.UnixConn) { there <- c })
	c, err := Dial(t.Context(), path, Takeover)
	if err != nil {
		t.Fatal(err)
	}
	d := <-there
	t.Cleanup(func() { c.Close(); d.Close() })
	return NewConn(c), NewConn(d)
}

// TestMessages: what is sent arrives as it was, and no byte behind a message is read.
func TestMessages(t *testing.T) {
	t.Parallel()
	a, b := talk(t)
	sent := strings.Repeat("x", 1<<20)
	failed := make(chan error, 1)
	go func() { failed <- a.Send("one", sent) }()
	m, err := b.Expect("one", 5*time.Second)
	var got string
	if err := errors.Join(err, <-failed); err != nil {
		t.Fatal(err)
	}
	if err := m.Read(&got); err != nil || got != sent {
		t.Errorf("%d bytes came, %v", len(got), err)
	}
	a.Send("two", nil)
	a.Unix.Write([]byte("!"))
	if _, err := b.Expect("two", 5*time.Second); err != nil {
		t.Error(err)
	}
	one := make([]byte, 1)
	if _, err := io.ReadFull(b.Unix, one); err != nil || one[0] != '!' {
		t.Errorf("behind the message came %q, %v", one, err)
	}
	if _, err := b.Receive(10 * time.Millisecond); !errors.Is(err, ErrTime) {
		t.Errorf("silence is %v", err)
	}
	a.Send("three", nil)
	if _, err := b.Expect("four", 5*time.Second); err == nil || !strings.Contains(err.Error(), `"three"`) {
		t.Errorf("another step is %v", err)
	}
	a.Stop("the reason")
	var s *Stopped
	if _, err := b.Expect("five", 5*time.Second); !errors.As(err, &s) || s.Reason != "the reason" {
		t.Errorf("the end is %v", err)
	}
	if err := a.Send("six", strings.Repeat("x", mostMessage)); err == nil {
		t.Error("a message of any size is sent")
	}
	a.Unix.Close()
	if _, err := b.Receive(5 * time.Second); !errors.Is(err, ErrGone) {
		t.Errorf("the other process's death is %v", err)
	}
	if err := a.Send("seven", nil); !errors.Is(err, ErrGone) {
		t.Errorf("sending behind the end is %v", err)
	}
}

// TestMessagesOfNone: lengths are bounded, and what is cut off or no message is an error.
func TestMessagesOfNone(t *testing.T) {
	t.Parallel()
	for _, junk := range []string{"\xff\xff\xff\xff", "\x00\x00\x00\x05abc", "\x00\x00\x00\x02{]", "\x00", "\x00\x00\x00\x10{\"step\":\"stop\"  }"} {
		a, b := talk(t)
		a.Unix.Write([]byte(junk))
		a.Unix.Close()
		if m, err := b.Receive(5 * time.Second); err == nil {
			t.Errorf("%q is the message %+v", junk, m)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{`{"step":"hello","body":{"pid":1}}`, `{"step":"stop","body":"why"}`, `{"step":"stop"}`, `{`, `{"step":"stop","body":{}}`, "null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parse(text)
		if err == nil && m.Step == stop {
			t.Error("the end is taken for a step")
		}
		if _, again := parse(bytes.Clone(text)); fmt.Sprint(again) != fmt.Sprint(err) {
			t.Errorf("%v and %v", err, again)
		}
	})
}

// TestGreeting: a connection says what it is for, in the version that this process speaks, and soon.
func TestGreeting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder(t), "s")
	came := make(chan Purpose, 10)
	listening(t, path, func(_ context.Context, p Purpose, c *net.UnixConn) { came <- p; c.Close() })
	for _, p := range []Purpose{Takeover, Media, Viewers} {
		c, err := Dial(t.Context(), path, p)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-came; got != p {
			t.Errorf("%c came as %c", p, got)
		}
		c.Close()
	}
	for _, hello := range [][]byte{{Protocol + 1, 'T'}, {Protocol, 'X'}, {Protocol}} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.Write(hello)
		if len(hello) == 1 {
			c.(*net.UnixConn).CloseWrite()
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := c.Read(make([]byte, 1)); err == nil || n > 0 || os.IsTimeout(err) {
			t.Errorf("%v is not refused: %v", hello, err)
		}
		c.Close()
	}
	if len(came) > 0 {
		t.Errorf("%c came", <-came)
	}
}

// TestListen: the file is for the user alone and takes the place of what is there; whoever comes second has it, and the first one's end
// leaves it to him.
func TestListen(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	path := filepath.Join(dir, "folder", "s")
	if _, err := Dial(t.Context(), path, Viewers); !Nobody(err) {
		t.Errorf("nobody is %v", err)
	}
	one := listening(t, path, func(_ context.Context, _ Purpose, c *net.UnixConn) { c.Close() })
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder has the mode %v, %v", info.Mode(), err)
	}
	two := listening(t, path, func(_ context.Context, _ Purpose, c *net.UnixConn) { c.Write([]byte("two")); c.Close() })
	if one.Holds() || !two.Holds() {
		t.Error("the name stands for the first listener still")
	}
	one.Close()
	c, err := Dial(t.Context(), path, Viewers)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(c); string(text) != "two" {
		t.Errorf("%q answers", text)
	}
	c.Close()
	two.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	if all, err := os.ReadDir(filepath.Dir(path)); len(all) > 0 {
		t.Errorf("%v are left, %v", all, err)
	}

	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{filepath.Join(open, "s"), filepath.Join(dir, strings.Repeat("x", 120))} {
		if _, err := Listen(wrong, nil); err == nil || !strings.Contains(err.Error(), "upgrade.socket") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestForward: requests arrive as they came, with the viewer's address and never with one that the viewer claims; answers come back with
// their heads in the place of what stood there, and bodies piece by piece.
func TestForward(t *testing.T) {
	t.Parallel()
	path := filepath.Join(folder(t), "s")
	q := NewQueue()
	more := make(chan struct{})
	s := Passed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Etag", `"new"`)
		if r.URL.Path == "/slow" {
			io.WriteString(w, "first")
			http.NewResponseController(w).Flush()
			<-more
			io.WriteString(w, "second")
			return
		}
		if r.URL.Path == "/cut" {
			io.WriteString(w, "first")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s %s %v %s %q", r.Method, r.Host, r.URL.RequestURI(), r.RemoteAddr, r.TLS != nil, body, r.Header.Get(headRemote))
	}))
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(q) })
	defer serving.Wait()
	defer s.Close()
	listening(t, path, func(ctx context.Context, p Purpose, c *net.UnixConn) { q.Put(ctx, c) })
	f := NewForward(path)
	defer f.Close()
	failures := make(chan string, 10)
	front := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "old")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if began, err := f.ServeFrom(w, r); err != nil {
			failures <- fmt.Sprint(began)
			panic(http.ErrAbortHandler)
		}
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving.Go(func() { front.Serve(l) })
	defer front.Close()
	base := "http://" + l.Addr().String()

	r, err := http.NewRequest(http.MethodPost, base+"/a%2Fb?c=d", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(headRemote, "1.2.3.4:5")
	r.Header.Set(headSecure, "1")
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	var local string
	tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			local = c.LocalAddr().String()
		}
		return c, err
	}
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	want := fmt.Sprintf(`POST %s /a%%2Fb?c=d %s false body ""`, l.Addr(), local)
	if string(body) != want || res.StatusCode != http.StatusTeapot || !res.Close {
		t.Errorf("%d %q, want %q; the connection is closed: %v", res.StatusCode, body, want, res.Close)
	}
	if v := res.Header.Values("Access-Control-Allow-Origin"); len(v) != 1 || v[0] != "*" || res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Etag") != `"new"` {
		t.Errorf("the heads are %v", res.Header)
	}

	if res, err = http.Get(base + "/slow"); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 5)
	if _, err := io.ReadFull(res.Body, first); err != nil || string(first) != "first" {
		t.Errorf("the first piece is %q, %v", first, err)
	}
	close(more)
	if rest, err := io.ReadAll(res.Body); err != nil || string(rest) != "second" {
		t.Errorf("the rest is %q, %v", rest, err)
	}
	res.Body.Close()

	if res, err = http.Get(base + "/cut"); err == nil {
		if all, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("an answer that was cut off looks whole: %q", all)
		}
		res.Body.Close()
	}
	if began := <-failures; began != "true" {
		t.Error("an answer that had begun is told to be one that had not")
	}
}

// TestForwardToNobody: a request that cannot be passed on has not been answered.
func TestForwardToNobody(t *testing.T) {
	t.Parallel()
	f := NewForward(filepath.Join(folder(t), "s"))
	defer f.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://here/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if began, err := f.ServeFrom(nil, r); began || !Nobody(err) {
		t.Errorf("%v, %v", began, err)
	}
}

// TestQueue: connections that nobody takes are closed.
func TestQueue(t *testing.T) {
	t.Parallel()
	q := NewQueue()
	a, b := net.Pipe()
	go q.Put(t.Context(), a)
	if c, err := q.Accept(); err != nil || c != a {
		t.Error(c, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	q.Put(ended, a)
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is %v", err)
	}
	q.Close()
	q.Close()
	if _, err := q.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	_, d := net.Pipe()
	q.Put(t.Context(), d)
	if _, err := d.Write([]byte{1}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection is %v", err)
	}
}
