package load

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Limits of a response, besides those of its body.
const (
	readBuffer = 4 << 10  // of a connection
	maxHeader  = 64 << 10 // bytes of a response's header
	maxEarly   = 8        // informational responses in front of it
	// keepAtFirst is how much room a body of unknown size is given to begin with.
	keepAtFirst = 64 << 10
)

// Reasons why a response cannot be used.
var (
	ErrResponse = errors.New("not an HTTP/1.1 response")
	ErrTooLarge = errors.New("a larger response than allowed")
)

// Caching is what a response's header tells of the cache that it came through.
type Caching byte

// What may be told.
const (
	CacheUntold Caching = iota
	CacheHit
	CacheMiss
)

// Answer is a response.
type Answer struct {
	Status   int
	Zipped   bool  // in gzip
	Size     int64 // bytes of the body, as transferred
	Body     []byte
	Location string // of a redirection
	Caching  Caching
	Page     bool      // in HTML, by its header
	At       time.Time // when its last byte had been read
	// URL is where the answer came from, where that is another than was asked; nil otherwise.
	URL *Address
}

// Conn is one keep-alive connection of someone who watches, as thin as can be, since thousands share a core. It is for one
// goroutine at a time.
type Conn struct {
	// Timeout is how long a request and its answer may take together; 0 is 20 seconds.
	Timeout time.Duration
	// MaxBody is the largest body in bytes; 0 is 64 MiB.
	MaxBody int64

	nc     net.Conn
	raw    syscall.RawConn // of a plain TCP connection, whose bytes can be thrown away unread; nil otherwise
	r      *bufio.Reader
	host   string
	agent  string
	body   []byte // of the last answer that was kept
	waste  []byte // where unwanted bytes go
	skip   skipping
	closed bool // by the server, behind the last answer
}

const (
	connTimeout = 20 * time.Second
	maxBody     = 64 << 20
)

// DialConn connects to host:port, with TLS unless secure is nil. Agent is what it calls itself.
func DialConn(ctx context.Context, address string, secure *tls.Config, agent string) (*Conn, error) {
	d := net.Dialer{Timeout: connTimeout}
	nc, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &Conn{nc: nc, host: address, agent: agent}
	if secure != nil {
		client := tls.Client(nc, secure)
		hello, cancel := context.WithTimeout(ctx, connTimeout)
		defer cancel()
		if err := client.HandshakeContext(hello); err != nil {
			nc.Close()
			return nil, err
		}
		c.nc = client
	} else if tcp, ok := nc.(*net.TCPConn); ok && canSkip {
		if c.raw, err = tcp.SyscallConn(); err != nil {
			nc.Close()
			return nil, err
		}
	}
	c.skip.init()
	c.r = bufio.NewReaderSize(c.nc, readBuffer)
	return c, nil
}

// Close ends the connection. It may be called from any goroutine, and more than once.
func (c *Conn) Close() { c.nc.Close() }

// Request is what a browser's player sends, in short. It can be sent again and again.
func (c *Conn) Request(path string, zipped bool) []byte {
	return c.appendRequest(nil, path, zipped, 0, 0)
}

// appendRequest writes a request, of a range of bytes unless size is 0.
func (c *Conn) appendRequest(b []byte, path string, zipped bool, from, size int64) []byte {
	b = append(b, "GET "...)
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, c.host...)
	b = append(b, "\r\nUser-Agent: "...)
	b = append(b, c.agent...)
	b = append(b, "\r\nAccept: */*\r\n"...)
	if zipped {
		b = append(b, "Accept-Encoding: gzip\r\n"...)
	}
	if size > 0 {
		b = append(b, "Range: bytes="...)
		b = strconv.AppendInt(b, from, 10)
		b = append(b, '-')
		b = strconv.AppendInt(b, from+size-1, 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// Get asks for a path and returns the answer with its body.
func (c *Conn) Get(path string, zipped bool) (Answer, error) {
	if err := c.Send(c.Request(path, zipped)); err != nil {
		return Answer{}, err
	}
	return c.Answer(true)
}

// Send sends a request. The time that its answer may take begins.
func (c *Conn) Send(request []byte) error {
	limit := c.Timeout
	if limit == 0 {
		limit = connTimeout
	}
	if err := c.nc.SetDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err := c.nc.Write(request)
	return err
}

// Answer reads a response. Its body is lent until the next answer if keep is set, and thrown away otherwise.
func (c *Conn) Answer(keep bool) (Answer, error) {
	var a Answer
	var length int64
	var chunked bool
	for early := 0; ; early++ {
		var err error
		if a, length, chunked, err = c.head(); err != nil {
			return a, err
		}
		if a.Status >= 200 {
			break
		}
		if early == maxEarly || a.Status == 101 {
			return a, fmt.Errorf("%w: status %d", ErrResponse, a.Status)
		}
	}
	c.body = c.body[:0]
	var err error
	switch limit := c.limit(); {
	case a.Status == 204 || a.Status == 304:
	case chunked:
		err = c.chunks(&a, keep, limit)
	case length < 0: // up to the connection's end (RFC 9112 6.3)
		c.closed = true
		err = c.rest(&a, keep, limit)
	case length > limit:
		err = fmt.Errorf("%w: %d bytes", ErrTooLarge, length)
	default:
		err = c.take(&a, length, keep)
	}
	if keep {
		a.Body = c.body
	}
	a.At = time.Now()
	return a, err
}

func (c *Conn) limit() int64 {
	if c.MaxBody == 0 {
		return maxBody
	}
	return c.MaxBody
}

// Closed tells whether the server takes no further request on this connection.
func (c *Conn) Closed() bool { return c.closed }

// head reads a status line and a header. The length is -1 when the header does not tell it.
func (c *Conn) head() (a Answer, length int64, chunked bool, err error) {
	length = -1
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return a, 0, false, unfinished(err)
	}
	if len(line) < 13 || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return a, 0, false, fmt.Errorf("%w: it begins with %.40q", ErrResponse, line)
	}
	if a.Status, err = strconv.Atoi(string(line[9:12])); err != nil || a.Status < 100 {
		return a, 0, false, fmt.Errorf("%w: it begins with %.40q", ErrResponse, line)
	}
	c.closed = line[7] == '0'
	for size := 0; ; {
		line, err := c.r.ReadSlice('\n')
		size += len(line)
		if size > maxHeader {
			return a, 0, false, fmt.Errorf("%w: a header of more than %d bytes", ErrTooLarge, maxHeader)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			// A long field. What is of use here is short; the rest of the line is passed over.
			for errors.Is(err, bufio.ErrBufferFull) && size <= maxHeader {
				line, err = c.r.ReadSlice('\n')
				size += len(line)
			}
			if err == nil {
				continue
			}
			if size > maxHeader {
				return a, 0, false, fmt.Errorf("%w: a header of more than %d bytes", ErrTooLarge, maxHeader)
			}
		}
		if err != nil {
			return a, 0, false, unfinished(err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return a, length, chunked, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return a, 0, false, fmt.Errorf("%w: a header field %.40q", ErrResponse, line)
		}
		value = bytes.Trim(value, " \t")
		switch len(name) {
		case len("Content-Length"):
			if equalFold(name, "Content-Length") {
				n, err := strconv.ParseInt(string(value), 10, 64)
				if err != nil || n < 0 {
					return a, 0, false, fmt.Errorf("%w: Content-Length %.40q", ErrResponse, value)
				}
				length = n
				continue
			}
		case len("Transfer-Encoding"):
			chunked = chunked || equalFold(name, "Transfer-Encoding") && equalFold(value, "chunked")
		case len("Content-Encoding"):
			a.Zipped = a.Zipped || equalFold(name, "Content-Encoding") && equalFold(value, "gzip")
		case len("Content-Type"):
			a.Page = a.Page || equalFold(name, "Content-Type") && len(value) >= len("text/html") && equalFold(value[:len("text/html")], "text/html")
		case len("Connection"):
			c.closed = c.closed || equalFold(name, "Connection") && equalFold(value, "close")
		case len("Location"):
			if equalFold(name, "Location") && a.Status/100 == 3 {
				a.Location = string(value)
			}
		}
		a.Caching = cachingOf(a.Caching, name, value)
	}
}

// equalFold compares ASCII without regard to case, without making a string of it.
func equalFold(b []byte, s string) bool {
	return len(b) == len(s) && strings.EqualFold(string(b), s)
}

// cachingOf looks into a header field that tells of a cache: Cache-Status (RFC 9211), and what caches said before that.
func cachingOf(known Caching, name, value []byte) Caching {
	switch len(name) {
	case 3, 7, 12, 14, 15: // of the names below
	default:
		return known
	}
	switch {
	case equalFold(name, "Age"):
		if known == CacheUntold && len(value) > 0 && string(value) != "0" {
			return CacheHit
		}
	case equalFold(name, "X-Cache"), equalFold(name, "Cache-Status"), equalFold(name, "X-Cache-Status"), equalFold(name, "CF-Cache-Status"):
		low := strings.ToLower(string(value))
		if strings.Contains(low, "hit") || strings.Contains(low, "stale") || strings.Contains(low, "revalidated") {
			return CacheHit
		}
		return CacheMiss
	}
	return known
}

// unfinished words the end of a connection in the middle of a response.
func unfinished(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// take reads n bytes of the body.
func (c *Conn) take(a *Answer, n int64, keep bool) error {
	a.Size += n
	if !keep {
		return c.discard(n)
	}
	// Room is made as the bytes come, so that a server that only says it has many costs nothing.
	for n > 0 {
		step := int(min(n, keepAtFirst))
		at := len(c.body)
		c.body = slices.Grow(c.body, step)[:at+step]
		if _, err := io.ReadFull(c.r, c.body[at:]); err != nil {
			c.body = c.body[:at]
			return unfinished(err)
		}
		n -= int64(step)
	}
	return nil
}

// chunks reads a chunked body (RFC 9112 7.1) and its trailer.
func (c *Conn) chunks(a *Answer, keep bool, limit int64) error {
	for {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return unfinished(err)
		}
		digits, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		n, err := strconv.ParseUint(string(bytes.Trim(digits, " \t")), 16, 40)
		if err != nil {
			return fmt.Errorf("%w: a chunk's size %.40q", ErrResponse, line)
		}
		if n == 0 {
			return c.trailer()
		}
		if a.Size+int64(n) > limit {
			return fmt.Errorf("%w: %d bytes and more", ErrTooLarge, limit)
		}
		if err := c.take(a, int64(n), keep); err != nil {
			return err
		}
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return unfinished(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			return fmt.Errorf("%w: no end of a chunk", ErrResponse)
		}
	}
}

func (c *Conn) trailer() error {
	for size := 0; ; {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return unfinished(err)
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return nil
		}
		if size += len(line); size > maxHeader {
			return ErrTooLarge
		}
	}
}

// rest reads up to the connection's end.
func (c *Conn) rest(a *Answer, keep bool, limit int64) error {
	if c.waste == nil {
		c.waste = make([]byte, keepAtFirst)
	}
	for {
		n, err := c.r.Read(c.waste)
		if a.Size += int64(n); a.Size > limit {
			return fmt.Errorf("%w: %d bytes and more", ErrTooLarge, limit)
		}
		if keep {
			c.body = append(c.body, c.waste[:n]...)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// discard skips bytes of a response. What has not been read yet of a plain connection is thrown away by the kernel without
// being copied, where that can be: real viewers do not share the server's memory bus.
func (c *Conn) discard(n int64) error {
	k, err := c.r.Discard(int(min(n, int64(c.r.Buffered()))))
	n -= int64(k)
	for n > 0 && err == nil {
		if c.raw != nil {
			k, err = c.skip.some(c.raw, int(min(n, 1<<30)))
		} else {
			k, err = c.r.Discard(int(min(n, 1<<30)))
			if err != nil {
				err = unfinished(err)
			}
		}
		n -= int64(k)
	}
	return err
}
