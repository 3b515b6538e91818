package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxRedirects is how many redirections in a row are followed.
const maxRedirects = 5

// wire carries one request at a time. It is for one goroutine at a time.
type wire interface {
	// ask sends a request for what is at an address: for all of it, or for a range of bytes unless size is 0.
	ask(to Address, from, size int64, zipped bool) error
	// answer reads the response to it, of any status. The body is lent until the next one if keep is set.
	answer(keep bool) (Answer, error)
	// close ends it.
	close()
}

// dialer makes wires.
type dialer struct {
	agent   string
	secure  *tls.Config // nil: the system's certificates
	timeout time.Duration
	allowed func(host string) bool
}

// plainWire is HTTP/1.1 on a connection of its own, which is kept as long as it can be.
type plainWire struct {
	*dialer
	ctx     context.Context
	conn    *Conn
	host    string
	secure  bool
	request []byte
	used    bool // the connection has had an answer
	forget  func() bool
}

func (w *plainWire) ask(to Address, from, size int64, zipped bool) error {
	if !w.allowed(to.Host) {
		return errHost
	}
	if w.conn != nil && (w.conn.Closed() || w.host != to.Host || w.secure != to.Secure) {
		w.close()
	}
	if w.conn == nil {
		if err := w.dial(to); err != nil {
			return err
		}
	}
	w.request = w.conn.appendRequest(w.request[:0], to.Path, zipped, from, size)
	err := w.conn.Send(w.request)
	if err != nil && w.used && w.ctx.Err() == nil {
		err = w.again(to)
	}
	if err != nil {
		w.close()
	}
	return err
}

func (w *plainWire) dial(to Address) error {
	var secure *tls.Config
	if to.Secure {
		secure = &tls.Config{}
		if w.dialer.secure != nil {
			secure = w.dialer.secure.Clone()
		}
		secure.ServerName = to.url().Hostname()
		secure.NextProtos = []string{"http/1.1"}
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	conn, err := DialConn(ctx, to.dial(), secure, w.agent)
	if err != nil {
		return err
	}
	conn.Timeout, conn.host = w.timeout, to.Host
	w.conn, w.host, w.secure, w.used = conn, to.Host, to.Secure, false
	// Whoever reads from it is woken by the run's end.
	w.forget = context.AfterFunc(w.ctx, conn.Close)
	return nil
}

// again sends the request once more on a new connection: servers close what has been idle (RFC 9110 9.2.2).
func (w *plainWire) again(to Address) error {
	w.close()
	if err := w.dial(to); err != nil {
		return err
	}
	return w.conn.Send(w.request)
}

func (w *plainWire) answer(keep bool) (Answer, error) {
	a, err := w.conn.Answer(keep)
	if err != nil && a.Status == 0 && w.used && errors.Is(err, io.ErrUnexpectedEOF) && w.ctx.Err() == nil {
		if err = w.again(Address{Secure: w.secure, Host: w.host}); err == nil {
			a, err = w.conn.Answer(keep)
		}
	}
	if err != nil {
		w.close()
		return a, err
	}
	w.used = true
	return a, nil
}

func (w *plainWire) close() {
	if w.conn != nil {
		w.forget()
		w.conn.Close()
		w.conn = nil
	}
}

// fetch asks, and follows redirections.
func fetch(w wire, to Address, from, size int64, zipped, keep bool) (Answer, error) {
	if err := w.ask(to, from, size, zipped); err != nil {
		return Answer{}, err
	}
	return follow(w, to, from, size, zipped, keep)
}

// follow takes the answer to what was asked, and follows redirections.
func follow(w wire, to Address, from, size int64, zipped, keep bool) (Answer, error) {
	for n := 0; ; n++ {
		a, err := w.answer(keep)
		if err != nil || a.Location == "" || a.Status/100 != 3 {
			if n > 0 {
				a.URL = &to
			}
			return a, err
		}
		if n == maxRedirects {
			return a, errRedirect
		}
		if to, err = to.resolve(a.Location); err != nil {
			return a, fmt.Errorf("%w: its Location", errRedirect)
		}
		if err := w.ask(to, from, size, zipped); err != nil {
			return a, err
		}
	}
}

// sharedWire is one of several that share a connection of HTTP/2.
type sharedWire struct {
	*dialer
	ctx    context.Context
	client *http.Client
	group  *sync.WaitGroup // of requests under way
	got    chan fetched
	keep   chan bool
	body   []byte
}

type fetched struct {
	answer Answer
	err    error
}

// newSharedClient is a viewer's connection of HTTP/2.
func (d *dialer) newSharedClient() *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{
		Transport: &http.Transport{
			Protocols: &protocols, TLSClientConfig: d.secure.Clone(), DisableCompression: true, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: d.timeout, MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (d *dialer) newSharedWire(ctx context.Context, client *http.Client, group *sync.WaitGroup) *sharedWire {
	return &sharedWire{dialer: d, ctx: ctx, client: client, group: group, got: make(chan fetched, 1), keep: make(chan bool, 1)}
}

func (w *sharedWire) ask(to Address, from, size int64, zipped bool) error {
	if !w.allowed(to.Host) {
		return errHost
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.url().String(), nil)
	if err != nil {
		cancel()
		return errAddress
	}
	r.Header.Set("User-Agent", w.agent)
	if zipped {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	if size > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+size-1))
	}
	w.group.Go(func() {
		defer cancel()
		a, err := w.fetch(r)
		w.got <- fetched{a, err}
	})
	return nil
}

// fetch carries a request out. Whether its body is kept is told by answer, which is called for each ask.
func (w *sharedWire) fetch(r *http.Request) (a Answer, err error) {
	res, err := w.client.Do(r)
	if err != nil {
		<-w.keep
		return a, err
	}
	defer res.Body.Close()
	a.Status, a.Zipped = res.StatusCode, res.Header.Get("Content-Encoding") == "gzip"
	a.Location, a.Page = res.Header.Get("Location"), strings.HasPrefix(res.Header.Get("Content-Type"), "text/html")
	for _, name := range []string{"Cache-Status", "X-Cache", "X-Cache-Status", "Cf-Cache-Status", "Age"} {
		if v := res.Header.Get(name); v != "" {
			a.Caching = cachingOf(a.Caching, []byte(name), []byte(v))
		}
	}
	body := io.LimitReader(res.Body, maxBody+1)
	if <-w.keep {
		w.body, err = readInto(w.body[:0], body)
		a.Body, a.Size = w.body, int64(len(w.body))
	} else {
		a.Size, err = io.Copy(io.Discard, body)
	}
	if err == nil && a.Size > maxBody {
		err = ErrTooLarge
	}
	a.At = time.Now()
	return a, err
}

// readInto reads to the end into b's room.
func readInto(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

func (w *sharedWire) answer(keep bool) (Answer, error) {
	w.keep <- keep
	f := <-w.got
	return f.answer, f.err
}

func (w *sharedWire) close() {}
