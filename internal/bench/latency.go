package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/internal/load"
)

const (
	latencyStream  = "latency"
	latencyViewers = 100
)

// latencyRow measures how long after the last byte of a part's last frame the waiting viewers have their whole response.
// Publisher and viewers are in this process, so that one clock times both ends.
func latencyRow(ctx context.Context, o options) ([]row, error) {
	n, err := startNode(ctx, o.binary)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	show, err := startShow(ctx, n)
	if err != nil {
		return nil, err
	}
	defer show.end()
	if err := load.Pause(ctx, 4*time.Second); err != nil {
		return nil, err
	}
	var rows []row
	for _, kind := range []struct {
		name string
		ask  func(*crowd, *load.Conn) error
	}{{"playlist reload", (*crowd).waitForPlaylist}, {"hinted part", (*crowd).waitForPart}} {
		var half, most samples
		for turn := range o.turns() {
			ended := func() {}
			if o.profiles != "" {
				ended = n.profile(o.profiles, "latency", o.seconds/2)
			}
			late, err := show.watch(ctx, o.seconds/2, latencyViewers, kind.ask)
			ended()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
			half.add(late.quantile(0.5))
			most.add(late.quantile(0.99))
			progress("latency %d/%d: %s, %d responses: p50 %.2f ms, p99 %.2f ms, max %.2f ms", turn+1, o.turns(), kind.name,
				len(late), late.quantile(0.5), late.quantile(0.99), late.quantile(1))
		}
		rows = append(rows,
			figure(fmt.Sprintf("Last byte in to %s out, %d viewers, p50", kind.name, latencyViewers), half, " ms", 2, atMost),
			figure("  p99", most, " ms", 10, atMost))
	}
	return rows, nil
}

// show is a stream whose frames are timed as they leave.
type show struct {
	node  *node
	name  string
	stop  context.CancelFunc
	ended chan struct{}
	err   error // how the publisher ended; to be read after ended

	sent  []atomic.Int64 // when each video frame left, ns since begin
	begin time.Time
	// skipped is how many frames at the start the node did not get, -1 when that is not known yet.
	skipped int

	parts partTable
}

// startShow publishes until end is called.
func startShow(ctx context.Context, n *node) (*show, error) {
	rec, err := loadRecording(ctx)
	if err != nil {
		return nil, err
	}
	session, err := publish(ctx, n.RTMP, latencyStream)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	s := &show{node: n, name: latencyStream, stop: stop, ended: make(chan struct{}), begin: time.Now()}
	s.sent = make([]atomic.Int64, int(limit.Seconds())*frameRate)
	p := load.Publisher{
		Session: session, Reel: load.NewReel(rec), Pace: load.Pace{Begin: s.begin},
		Before: func(frame int) { s.sent[frame].Store(int64(time.Since(s.begin))) },
	}
	go func() {
		defer close(s.ended)
		defer session.Close()
		s.err = p.Play(ctx)
	}()
	return s, nil
}

// left is when a part with so many frames up to its end had left. A protocol may lose what is sent before its way is open, up
// to a key frame: then parts are a whole number of times that distance further on than their count, which shows since no part
// comes as late as that.
func (s *show) left(frames int, got time.Time) (time.Time, bool) {
	if s.skipped < 0 {
		for s.skipped = 0; s.skipped < 5*keyFrames; s.skipped += keyFrames {
			at := s.sent[frames-1+s.skipped].Load()
			if at == 0 {
				return time.Time{}, false
			}
			if got.Sub(s.begin.Add(time.Duration(at))) < keyFrames*time.Second/frameRate {
				break
			}
		}
	}
	at := s.sent[frames-1+s.skipped].Load()
	return s.begin.Add(time.Duration(at)), at != 0
}

func (s *show) end() {
	s.stop()
	<-s.ended
}

// crowd is everyone who watches a show at a time.
type crowd struct {
	show *show
	till time.Time

	mu       sync.Mutex // guards what follows
	waits    []wait
	missed   int // hinted parts that never came under that name
	tooLate  int // requests that were sent when the part was there already
	firstErr error
}

// wait is one request that waited for a part.
type wait struct {
	at        position
	sent, got time.Time
}

// watch has so many viewers wait for parts in their way for a time and returns how late each of their responses was, in
// ms after the part's last frame was handed to the operating system.
func (s *show) watch(ctx context.Context, d time.Duration, viewers int, ask func(*crowd, *load.Conn) error) (samples, error) {
	c := &crowd{show: s, till: time.Now().Add(d)}
	var group sync.WaitGroup
	for range viewers {
		v, err := dialViewer(s.node.HTTP)
		if err != nil {
			return nil, err
		}
		defer v.Close()
		group.Go(func() {
			for time.Now().Before(c.till) && ctx.Err() == nil {
				if err := ask(c, v); err != nil {
					c.fail(err)
					return
				}
			}
		})
	}
	for time.Now().Before(c.till) {
		if err := s.learn(); err != nil {
			c.fail(err)
		}
		if err := load.Pause(ctx, min(time.Until(c.till)+time.Millisecond, 2*time.Second)); err != nil {
			c.fail(err)
		}
	}
	group.Wait()
	if err := s.learn(); err != nil {
		c.fail(err)
	}
	select {
	case <-s.ended:
		c.fail(fmt.Errorf("the publisher ended: %v", s.err))
	default:
	}
	return c.lateness()
}

// learn takes note of the parts that the playlist has.
func (s *show) learn() error {
	b, _, err := get(s.node.HTTP, "/live/"+s.name+"/video.m3u8")
	if err != nil {
		return err
	}
	return s.parts.learn(string(b))
}

// lateness turns what was noted into samples.
func (c *crowd) lateness() (samples, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firstErr != nil {
		return nil, c.firstErr
	}
	var late samples
	for _, w := range c.waits {
		frames, known := c.show.parts.frames[w.at]
		if !known {
			continue // a part that ended up with fewer numbers than announced
		}
		left, ok := c.show.left(frames, w.got)
		if !ok {
			continue
		}
		if w.sent.After(left) {
			c.tooLate++
			continue
		}
		late.add(float64(w.got.Sub(left)) / 1e6)
	}
	if len(late) < len(c.waits)/2 || len(late) == 0 {
		return nil, fmt.Errorf("of %d responses only %d had been waited for (%d came too late, %d hints did not hold)",
			len(c.waits), len(late), c.tooLate, c.missed)
	}
	return late, nil
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firstErr == nil {
		c.firstErr = err
	}
}

func (c *crowd) note(w wait) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, w)
}

// breather is the time that a player spends on what it has got before it asks again. It keeps the viewers' own work out of
// the moment that is measured.
func breather() { time.Sleep(20*time.Millisecond + rand.N(60*time.Millisecond)) }

// next finds out which part comes next.
func (c *crowd) next(v *load.Conn) (string, position, error) {
	a, err := v.Get("/live/"+c.show.name+"/video.m3u8", true)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("the playlist: status %d", a.Status)
	}
	if err != nil {
		return "", position{}, err
	}
	text, err := unzipped(a)
	if err != nil {
		return "", position{}, err
	}
	return hint(text)
}

// waitForPlaylist waits for one playlist with the part that is announced.
func (c *crowd) waitForPlaylist(v *load.Conn) error {
	_, at, err := c.next(v)
	for err == nil && time.Now().Before(c.till) {
		w := wait{at: at, sent: time.Now()}
		var a load.Answer
		if a, err = v.Get(reload(c.show.name, at), true); err != nil {
			return err
		}
		if a.Status != http.StatusOK {
			return fmt.Errorf("waiting for the playlist with part %v: status %d", at, a.Status)
		}
		w.got = a.At
		c.note(w)
		breather()
		var text string
		if text, err = unzipped(a); err == nil {
			_, at, err = hint(text)
		}
	}
	return err
}

// waitForPart waits for the part that is announced.
func (c *crowd) waitForPart(v *load.Conn) error {
	uri, at, err := c.next(v)
	if err != nil {
		return err
	}
	w := wait{at: at, sent: time.Now()}
	if err := v.Send(v.Request("/live/"+c.show.name+"/"+uri, false)); err != nil {
		return err
	}
	a, err := v.Answer(false)
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusNotFound: // the segment ended before it
		c.mu.Lock()
		c.missed++
		c.mu.Unlock()
	case a.Status != http.StatusOK:
		return errors.New("waiting for " + uri + ": status " + fmt.Sprint(a.Status))
	default:
		w.got = a.At
		c.note(w)
	}
	breather()
	return nil
}
