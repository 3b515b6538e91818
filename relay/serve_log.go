package relay

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// log is one that is being given: the part that index logs and those of renditions have in common. But for end, its methods are
// for the goroutine that runs it.
type log struct {
	s            *Server
	w            http.ResponseWriter
	control      *http.ResponseController
	key          logKey
	region       string
	presentation *window.Presentation
	rendition    *window.Rendition // nil of the index
	have         []span

	// out gathers what is written into whole TLS records. Larger pieces pass it by without being copied.
	out      *bufio.Writer
	scratch  []byte
	sequence int64 // of states and steps
	written  time.Time
	pinged   time.Time
	checked  time.Time // when it was last looked at whether the peer may have it
	moved    time.Time // when the deadline of writing was set last
	timer    *time.Timer
	farSince time.Time // when the way here became too long for one more hop; zero while it is not

	ending sync.Once
	ended  chan struct{} // closed when the log has to end
	why    wire.Reason   // set before ended is closed
}

// gathered is how many bytes a TLS record has at most (RFC 8446 5.1).
const gathered = 16 << 10

// maxWrite is how many bytes are written at a time: what a deadline is for.
const maxWrite = 64 << 10

// end has the log end soon, with a bye. It is for any goroutine, with the server's lock: the log is not over then.
func (l *log) end(why wire.Reason) {
	l.ending.Do(func() {
		l.why = why
		close(l.ended)
		// A write that is stuck need not be waited for as long as usual. Where the connection cannot do that, it is.
		_ = l.control.SetWriteDeadline(time.Now().Add(time.Second))
	})
}

// reasonError ends a log with a bye.
type reasonError struct {
	reason wire.Reason
	detail string
}

func (e *reasonError) Error() string { return string(e.reason) + ": " + e.detail }

// run gives the log, until it has to end or the peer goes.
func (l *log) run(ctx context.Context) {
	h := l.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "no-store")
	// The body lasts as long as the connection. Chunks would only frame what has frames.
	h.Set("Transfer-Encoding", "identity")
	l.out = bufio.NewWriterSize(limited{l}, gathered)
	l.written = time.Now()
	l.pinged = l.written
	l.timer = time.NewTimer(pingEvery)
	defer l.timer.Stop()
	l.s.opts.Log.Debug("a log begins", "peer", l.key.node, "stream", l.key.stream, "rendition", l.key.rendition)

	var err error
	if l.rendition == nil {
		err = (&indexLog{log: l}).run(ctx)
	} else {
		err = l.s.runRendition(ctx, l)
	}
	reason := "gone"
	var bye *reasonError
	switch {
	case errors.As(err, &bye):
		reason = string(bye.reason)
		if l.scratch, err = wire.AppendJSON(l.scratch[:0], wire.TypeBye, wire.Bye{Reason: bye.reason, Detail: bye.detail}); err == nil {
			_, _ = l.out.Write(l.scratch)
			_ = l.flush() // the peer need not be there any more
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		reason = string(wire.TooSlow)
	case errors.Is(err, wire.ErrTooLong):
		reason = "failed"
		l.s.opts.Log.Error("what is to be told to a peer does not fit into a record", "peer", l.key.node, "stream", l.key.stream, "rendition", l.key.rendition, "error", err)
	}
	l.s.metrics.endings.WithLabelValues(reason).Inc()
	l.s.opts.Log.Debug("a log has ended", "peer", l.key.node, "stream", l.key.stream, "rendition", l.key.rendition, "reason", reason, "error", err)
}

// limited writes to the peer, a bounded stretch at a time with a deadline for each.
type limited struct{ l *log }

func (d limited) Write(p []byte) (n int, err error) {
	l := d.l
	for len(p) > 0 {
		now := time.Now()
		within := writeWithin
		select {
		case <-l.ended:
			within = time.Second
		default:
		}
		// The deadline is moved now and then only: that takes a timer of the runtime each time.
		if within < writeWithin || now.Sub(l.moved) > writeWithin/20 {
			l.moved = now
			// Without deadlines (a connection of another kind) the peer's end has to show by itself.
			if err := l.control.SetWriteDeadline(now.Add(within)); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return n, err
			}
		}
		k, err := l.w.Write(p[:min(len(p), maxWrite)])
		l.s.metrics.sent.Add(float64(k))
		n += k
		if err != nil {
			return n, err
		}
		p = p[k:]
	}
	return n, nil
}

// flush sends what was written.
func (l *log) flush() error {
	if err := l.out.Flush(); err != nil {
		return err
	}
	l.written = time.Now()
	return l.control.Flush()
}

// record writes what an Append function of wire has made.
func (l *log) record(b []byte, err error) error {
	l.scratch = b[:0]
	if err != nil {
		return err
	}
	_, err = l.out.Write(b)
	return err
}

// hello says what the log is of.
func (l *log) hello() wire.Hello {
	self := l.s.self
	keys := self.Keys
	if c := l.cards(); c != nil {
		if k := c.Snapshot().Keys; k != "" {
			keys = k
		}
	}
	p := l.presentation
	return wire.Hello{
		Version: wire.Version, Node: self.Name, Region: self.Region, Stream: l.key.stream, Gen: p.Gen(), Path: l.s.path(l.key.stream),
		TargetDuration: p.Settings.TargetDuration, DVR: int64(p.Settings.DVR), FirstMSN: p.Settings.FirstMSN, FirstGen: p.Settings.Gen, Keys: keys,
	}
}

func (l *log) cards() Cards {
	if l.s.opts.Cards == nil {
		return nil
	}
	return l.s.opts.Cards(l.key.stream)
}

// tick sends a ping when it is time for one, and looks whether the log may go on.
func (l *log) tick(ctx context.Context) error {
	select {
	case <-l.ended:
		return &reasonError{reason: l.why}
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
	}
	now := time.Now()
	if now.Sub(l.checked) >= checkEvery {
		l.checked = now
		if reason, detail := l.s.permitted(l); reason != "" {
			return &reasonError{reason, detail}
		}
	}
	if now.Sub(l.written) < pingEvery && now.Sub(l.pinged) < pingAtLeast {
		return nil
	}
	l.pinged = now
	l.scratch = wire.AppendPing(l.scratch[:0], wire.Ping{Clock: l.s.opts.Now(), Sequence: l.sequence})
	if _, err := l.out.Write(l.scratch); err != nil {
		return err
	}
	return l.flush()
}

// wait returns when one of the channels is closed or it is time for a ping; of what is written nothing is left behind. The error
// is why the log has to end.
func (l *log) wait(ctx context.Context, a, b, c <-chan struct{}) error {
	now := time.Now()
	l.timer.Reset(max(0, min(pingEvery-now.Sub(l.written), pingAtLeast-now.Sub(l.pinged), checkEvery-now.Sub(l.checked))))
	select {
	case <-a:
	case <-b:
	case <-c:
	case <-l.timer.C:
	case <-l.ended:
	case <-ctx.Done():
	}
	return l.tick(ctx)
}
