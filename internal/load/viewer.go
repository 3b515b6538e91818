package load

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Viewers ask as players do, and no more often: this is how they take failures.
const (
	retryFirst = 250 * time.Millisecond
	retryMost  = 5 * time.Second
	// giveUp is how many failures in a row end a viewer, after some twenty seconds.
	giveUp = 8
)

// audience is what viewers share.
type audience struct {
	*dialer
	lib     *library
	now     func() time.Time
	choose  func(all []choice, viewer int) choice
	figures atomic.Pointer[figures] // of the present step
	http2   bool
}

// since is the present time from the run's beginning on.
func (a *audience) since() time.Duration { return a.now().Sub(a.lib.begin) }

// viewer is one who watches a stream: a rendition and the sound that goes with it.
type viewer struct {
	*audience
	number int
	stream Address
	began  time.Duration

	client   *http.Client // of HTTP/2; nil otherwise
	requests sync.WaitGroup

	mu       sync.Mutex // guards what follows
	playback *Playback  // nil: the viewer has not got so far
	tracks   int
	gaveUp   bool
	ended    bool
}

// outcome is how a viewer has fared so far.
type outcome struct {
	Watched
	gaveUp, ended bool
}

// outcome tells how the viewer has fared. It may be called from any goroutine.
func (v *viewer) outcome(now time.Duration) outcome {
	v.mu.Lock()
	defer v.mu.Unlock()
	o := outcome{gaveUp: v.gaveUp, ended: v.ended}
	if v.playback != nil {
		o.Watched = v.playback.At(now)
		o.Start -= v.began
	}
	return o
}

// wire makes one of the viewer's connections.
func (v *viewer) wire(ctx context.Context) wire {
	if v.client != nil {
		return v.newSharedWire(ctx, v.client, &v.requests)
	}
	return &plainWire{dialer: v.dialer, ctx: ctx}
}

// run watches until ctx ends, the stream does, or too much fails. It waits for whatever it starts.
func (v *viewer) run(ctx context.Context) {
	// What fails in one rendition for good ends the others.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if v.http2 {
		v.client = v.newSharedClient()
		defer v.client.CloseIdleConnections()
	}
	defer v.requests.Wait()
	defer cancel()
	found, ok := v.open(ctx)
	if !ok {
		return
	}
	addresses := []Address{found.video}
	if found.hasSound {
		addresses = append(addresses, found.sound)
	}
	v.mu.Lock()
	v.tracks = len(addresses)
	v.mu.Unlock()
	var group sync.WaitGroup
	over := make([]bool, len(addresses))
	for i, at := range addresses {
		f := &follower{viewer: v, number: i, at: at}
		group.Go(func() {
			over[i] = f.run(ctx)
			if !over[i] {
				cancel()
			}
		})
	}
	group.Wait()
	all := true
	for _, o := range over {
		all = all && o
	}
	v.mu.Lock()
	v.ended = all
	v.mu.Unlock()
}

// open gets the multivariant playlist and chooses. A media playlist in its place is the only choice.
func (v *viewer) open(ctx context.Context) (c choice, ok bool) {
	w := v.wire(ctx)
	defer w.close()
	for failures := 0; ; failures++ {
		if failures > 0 && !v.pause(ctx, failures) {
			return c, false
		}
		begin := v.now()
		a, err := fetch(w, v.stream, 0, 0, true, true)
		var all []choice
		at := v.stream
		if err == nil {
			if a.URL != nil {
				at = *a.URL
			}
			if err = v.checked(&a, "multivariant playlist", begin); err == nil {
				all, err = v.lib.multivariant(at, a)
			}
		}
		if err == nil {
			if len(all) == 0 {
				return choice{video: at}, true
			}
			return v.choose(all, v.number), true
		}
		if ctx.Err() != nil {
			return c, false
		}
		v.figures.Load().fail(kindOf(err))
	}
}

// pause waits before another try, longer with each failure in a row. It is false when there is to be none.
func (v *viewer) pause(ctx context.Context, failures int) bool {
	if failures >= giveUp {
		v.mu.Lock()
		v.gaveUp = true
		v.mu.Unlock()
		return false
	}
	d := min(retryFirst<<(failures-1), retryMost)
	return sleep(ctx, d/2+rand.N(d))
}

// sleep waits unless ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// checked counts an answer, and is an error when its status is no success. A zero begin is a request that had to wait.
func (v *viewer) checked(a *Answer, what string, begin time.Time) error {
	f := v.figures.Load()
	f.bytes.Add(a.Size)
	switch a.Caching {
	case CacheHit:
		f.hits.Add(1)
	case CacheMiss:
		f.misses.Add(1)
	}
	if a.Status != http.StatusOK && a.Status != http.StatusPartialContent {
		return &statusError{what, a.Status}
	}
	if !begin.IsZero() {
		f.request.add(a.At.Sub(begin))
	}
	if a.Size == 0 {
		return errEmpty
	}
	return nil
}

// joined tells what a rendition asks to stay behind the end. The player's buffer is there once all renditions have said so.
func (v *viewer) joined(track int, hold, resume time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.playback == nil {
		v.playback = NewPlayback(v.tracks, hold, resume)
		return
	}
	// Renditions of a stream ask for the same, nearly; the most counts.
	v.playback.hold, v.playback.resume = max(v.playback.hold, hold), max(v.playback.resume, resume)
}

// credit tells the model of the player what a rendition has.
func (v *viewer) credit(track int, at int64, have time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.playback.Arrive(track, time.Duration(at), have)
}

// finished tells the model of the player that a rendition is over.
func (v *viewer) finished(track int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.playback != nil {
		v.playback.End(track, v.since())
	}
}
