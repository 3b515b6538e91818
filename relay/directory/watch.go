package directory

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Why the list of streams is read anew.
var (
	errReset  = errors.New("reset")  // the bucket is another one, or has lost what it had
	errBehind = errors.New("behind") // changes did not come
	errClosed = errors.New("closed")
	errStuck  = errors.New("stuck") // the list did not come to its end
)

// relistEvery is how often the list is read anew although nothing seems to be wrong.
const relistEvery = 5 * time.Minute

// watch follows the streams' bucket for as long as the context lasts.
func (d *Directory) watch(ctx context.Context) {
	tick := time.NewTicker(d.opts.pace.retry)
	defer tick.Stop()
	var ending sync.WaitGroup // watches that are being given up
	defer ending.Wait()
	for ctx.Err() == nil {
		if s := d.buckets.streams.Load(); s != nil {
			if err := d.follow(ctx, *s, &ending); err != nil && ctx.Err() == nil {
				d.metrics.watches.WithLabelValues(reasonOf(err)).Inc()
				d.log.Debug("the list of streams is read anew", "reason", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// reasonOf is the label of a restart.
func reasonOf(err error) string {
	for _, e := range []error{errReset, errBehind, errClosed, errStuck} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	var r relistError
	if errors.As(err, &r) {
		return string(r)
	}
	return "unreachable"
}

type relistError string

func (e relistError) Error() string { return string(e) }

// follow reads the list of streams and then its changes, until there is a reason to begin anew. A watch is fed by one NATS server.
// NATS mends it by itself when that one is lost, but only after ten to twenty seconds, and it does not mend one whose bucket
// lost its memory and counts from the beginning again. So the bucket's last number is held against what has come.
func (d *Directory) follow(ctx context.Context, s jetstream.Stream, ending *sync.WaitGroup) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	info, err := infoOf(ctx, s)
	if err != nil {
		return err
	}
	d.sameBucket(info)
	kv, err := d.js.KeyValue(ctx, streamsBucket)
	if err != nil {
		return err
	}
	// NATS would wait for five seconds while there is no leader.
	hurry := time.AfterFunc(d.opts.pace.claim, cancel)
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	hurry.Stop()
	// The next watch does not wait for the end of this one, which NATS sees to when the context ends: the server that feeds it
	// may be the one that is gone.
	defer ending.Go(func() { drain(w) })
	defer cancel()
	check := time.NewTicker(d.opts.pace.check)
	defer check.Stop()
	f := following{began: d.now(), created: info.Created, seen: info.State.LastSeq}
	f.moved = f.began
	last := f.seen
	listed := map[string]bool{} // nil when the list is complete
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case why := <-d.relist:
			return relistError(why)
		case u, ok := <-w.Updates():
			f.moved = d.now()
			switch {
			case !ok:
				return errClosed
			case u == nil:
				d.listed(listed)
				d.sawUpTo(last)
				listed = nil
			default:
				f.seen = max(f.seen, u.Revision())
				if d.apply(update{u.Key(), u.Value(), u.Operation(), u.Revision()}) && listed != nil {
					listed[u.Key()] = true
				}
				d.sawUpTo(u.Revision())
			}
		case <-check.C:
			if listed != nil && d.now().Sub(f.moved) >= d.opts.pace.list {
				return errStuck
			}
			info, err := infoOf(ctx, s)
			if err != nil {
				continue // not healthy: what is known is kept
			}
			if err := f.check(info, d.now()); err != nil {
				if errors.Is(err, errReset) {
					d.forgetNumbers()
				}
				return err
			}
		}
	}
}

// drain takes what is still on its way from a watch that is over, since its goroutine may be stuck with that.
func drain(w jetstream.KeyWatcher) {
	t := time.NewTimer(2 * time.Second)
	defer t.Stop()
	for {
		select {
		case _, ok := <-w.Updates():
			if !ok {
				return
			}
		case <-t.C:
			return
		}
	}
}

// following is how far a watch has come.
type following struct {
	began   time.Time
	moved   time.Time // when the last change came
	created time.Time // the bucket's beginning
	seen    uint64    // the last number that has come, or that the bucket had at the beginning
	behind  uint64    // the bucket's last number at the last check
	under   bool      // at the last check it was less than what has come
}

// check says why the list has to be read anew; nil where it need not be.
func (f *following) check(info *jetstream.StreamInfo, now time.Time) error {
	last := info.State.LastSeq
	switch under := f.under; {
	case !info.Created.Equal(f.created):
		return errReset
	case last < f.seen && under:
		return errReset // twice: a new leader may need a moment for what it has not applied yet
	case f.behind > f.seen:
		return errBehind
	case now.Sub(f.began) > relistEvery:
		return relistError("regular")
	}
	f.behind, f.under = last, last < f.seen
	return nil
}

// sameBucket forgets the bucket's numbers when it is another one than before.
func (d *Directory) sameBucket(info *jetstream.StreamInfo) {
	d.mu.Lock()
	another := !info.Created.Equal(d.created)
	d.created = info.Created
	d.mu.Unlock()
	if another {
		d.forgetNumbers()
	}
}

// forgetNumbers is for a bucket that counts from the beginning again.
func (d *Directory) forgetNumbers() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = 0
	for _, r := range d.records {
		r.rev = 0
	}
}

// sawUpTo notes that the watch has given all changes up to this one.
func (d *Directory) sawUpTo(rev uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = max(d.seen, rev)
}

func infoOf(ctx context.Context, s jetstream.Stream) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return s.Info(ctx)
}
