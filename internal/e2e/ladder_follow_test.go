package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// follower watches a rendition by blocking reload, part by part, from a goroutine of its own.
type follower struct {
	rendition string
	cancel    context.CancelFunc
	done      chan struct{}

	mu    sync.Mutex // guards what follows
	parts []followed
	err   error
}

// followed is a part as it was first seen.
type followed struct {
	msn  int64
	part int
	// length of the part, and the time since the one before was seen.
	length, after time.Duration
	gap           bool
}

// watch begins to watch. It ends with whole, or with the test.
func watch(t *testing.T, v *testkit.Viewer, rendition string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{rendition: rendition, cancel: cancel, done: make(chan struct{})}
	msn, part := v.Playlist(rendition).Next()
	go func() {
		defer close(f.done)
		err := f.run(ctx, v, msn, part)
		f.mu.Lock()
		defer f.mu.Unlock()
		if ctx.Err() == nil {
			f.err = err
		}
	}()
	t.Cleanup(func() { cancel(); <-f.done })
	return f
}

// run asks for each part in turn.
func (f *follower) run(ctx context.Context, v *testkit.Viewer, msn int64, part int) error {
	before := time.Now()
	for {
		url := fmt.Sprintf("%s?_HLS_msn=%d&_HLS_part=%d", v.Beside(f.rendition+".m3u8"), msn, part)
		status, _, body, err := testkit.Get(ctx, v.Client, url)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("GET %s: status %d: %w: %.200s", url, status, err, body)
		}
		l := testkit.ParsePlaylist(string(body))
		if l.Ended {
			return nil
		}
		now := time.Now()
		for progress := true; progress; {
			progress = false
			i := slices.IndexFunc(l.Segments, func(g testkit.Segment) bool { return g.MSN == msn })
			switch {
			case i < 0 && len(l.Segments) > 0 && msn <= l.Last().MSN:
				return fmt.Errorf("%s: segment %d is not listed any more", f.rendition, msn)
			case i < 0:
			case part < len(l.Segments[i].Parts):
				p := l.Segments[i].Parts[part]
				f.mu.Lock()
				f.parts = append(f.parts, followed{msn, part, p.Duration, now.Sub(before), p.Gap})
				f.mu.Unlock()
				before, part, progress = now, part+1, true
			case l.Segments[i].Complete:
				msn, part, progress = msn+1, 0, true
			}
		}
	}
}

// whole ends the watch and wants that every part was there: none a gap, none left out, and none later than the rest of the
// parts were, by more than the rules of delivery let a part be late.
func (f *follower) whole(t *testing.T) {
	t.Helper()
	f.cancel()
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		t.Errorf("%s: %v", f.rendition, f.err)
	}
	if len(f.parts) < 10 {
		t.Errorf("%s: %d parts were seen", f.rendition, len(f.parts))
		return
	}
	var media, late time.Duration
	for i, p := range f.parts {
		media += p.length
		late = max(late, p.after)
		if p.gap {
			t.Errorf("%s: part %d of %d is a gap", f.rendition, p.part, p.msn)
		}
		if i > 0 {
			if b := f.parts[i-1]; p.msn == b.msn && p.part != b.part+1 || p.msn > b.msn+1 || p.msn == b.msn+1 && p.part != 0 {
				t.Errorf("%s: part %d of %d follows part %d of %d", f.rendition, p.part, p.msn, b.part, b.msn)
			}
		}
	}
	t.Logf("%s: all of %d parts with %v of media were there; the longest wait for one was %v", f.rendition, len(f.parts), media, late)
}
