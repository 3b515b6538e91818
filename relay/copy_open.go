package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// dialTimeout bounds how long it takes to connect to a node and to get its answer.
const dialTimeout = 2500 * time.Millisecond

// maxAnswer bounds the head of an answer, and what is read of the text of one that refuses.
const (
	maxAnswer  = 64 << 10
	maxRefusal = 512
)

// dial connects to a node: over a connection that it made itself where it has no address, or cannot be called.
func (m *Manager) dial(ctx context.Context, p Peer) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, m.pace.dial)
	defer cancel()
	if p.Address == "" {
		if m.opt.Reverse == nil {
			return nil, fail(failUnreachable, "node %s has no address", p.Name)
		}
		conn, err := m.opt.Reverse.Take(ctx, p.Name)
		if err != nil {
			return nil, fail(failUnreachable, "%w", err)
		}
		return conn, nil
	}
	conn, err := m.opt.Dial(ctx, p)
	if err == nil {
		return conn, nil
	}
	if m.opt.Reverse.Has(p.Name) {
		if conn, err := m.opt.Reverse.Take(ctx, p.Name); err == nil {
			return conn, nil
		}
	}
	return nil, fail(failUnreachable, "call node %s at %s: %w", p.Name, p.Address, err)
}

// reachable tells whether a node can be called, or has called.
func (m *Manager) reachable(p Peer) bool { return p.Address != "" || m.opt.Reverse.Has(p.Name) }

// feed is an open log. It closes when the context that it was opened with ends.
type feed struct {
	*wire.Reader
	conn net.Conn
	stop func() bool
}

func (f *feed) Close() {
	f.stop()
	f.conn.Close()
}

// open asks a node for a log: of a rendition, or with rendition "" the index. conn is a connection that is there already; nil
// makes one.
func (m *Manager) open(ctx context.Context, p Peer, conn net.Conn, e Entry, rendition, have string) (_ *feed, err error) {
	if conn == nil {
		if conn, err = m.dial(ctx, p); err != nil {
			return nil, err
		}
	}
	f := &feed{conn: conn, stop: context.AfterFunc(ctx, func() { conn.Close() })}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	target := url.URL{Scheme: "https", Host: p.Name, Path: "/relay/1/" + e.Stream}
	if rendition != "" {
		target.Path += "/" + rendition
	}
	if have != "" {
		target.RawQuery = "have=" + have
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fail(failAnswer, "ask for a log: %w", err)
	}
	r.Header.Set("Pushcart-Path", m.self.Name)
	if m.opt.Token != nil {
		// Tokens go by the present generation's secret, and this log may be of a link that began before it.
		if now, ok := m.opt.Directory.Lookup(e.Stream); ok && now.Gen > e.Gen {
			e = now
		}
		token, err := m.opt.Token(e)
		if err != nil {
			return nil, fail(failRefused, "make a token for %s: %w", e.Stream, err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if err := conn.SetDeadline(time.Now().Add(m.pace.dial)); err != nil {
		return nil, err
	}
	if err := r.Write(conn); err != nil {
		return nil, fail(failClosed, "ask for a log: %w", err)
	}
	head := &io.LimitedReader{R: &lively{conn: conn, silence: m.pace.silence}, N: maxAnswer}
	answer, err := http.ReadResponse(bufio.NewReaderSize(head, 4096), r)
	if err != nil {
		return nil, fmt.Errorf("read the answer of node %s: %w", p.Name, err)
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
		return nil, answered(answer.StatusCode, answer.Header, strings.TrimSpace(string(text)))
	}
	head.N = 1<<63 - 1 // what follows has limits for each record
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		return nil, err
	}
	m.metrics.logs.Inc()
	f.Reader = wire.NewReader(answer.Body)
	return f, nil
}

// lively reads from a connection on which something has to come every now and then.
type lively struct {
	conn    net.Conn
	silence time.Duration
	moved   time.Time // when the deadline was last moved
}

func (l *lively) Read(p []byte) (int, error) {
	// Moving it costs a timer: it is a tenth too early at most.
	if now := time.Now(); now.Sub(l.moved) > l.silence/10 {
		if err := l.conn.SetReadDeadline(now.Add(l.silence)); err != nil {
			return 0, err
		}
		l.moved = now
	}
	return l.conn.Read(p)
}

// maxHave is how many ranges a request says that it has bytes of.
const maxHave = 8

// have says of which parts a rendition has the bytes: the newest ranges, as the query of a request has them.
func have(s *window.Snapshot) string {
	var ranges []string
	var first, last Position
	open := false
	flush := func() {
		if open {
			ranges = append(ranges, position(first)+"-"+position(last))
			open = false
		}
	}
	for i := len(s.Segments) - 1; i >= 0 && len(ranges) < maxHave; i-- {
		g := s.Segments[i]
		for k := len(g.Parts) - 1; k >= 0 && len(ranges) < maxHave; k-- {
			if part := &g.Parts[k]; part.Absent() {
				flush()
				continue
			}
			first = Position{Gen: g.Gen, MSN: g.MSN, Part: k}
			if !open {
				last, open = first, true
			}
		}
	}
	flush()
	return strings.Join(ranges[:min(len(ranges), maxHave)], ",")
}

func position(p Position) string {
	return strconv.FormatInt(p.Gen, 10) + ":" + strconv.FormatInt(p.MSN, 10) + "." + strconv.Itoa(p.Part)
}
