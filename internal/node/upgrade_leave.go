package node

import (
	"context"
	"sync"
	"time"
)

// shortestStay is how long a process passes requests on, at least, that come on connections which nobody has used for a moment.
const shortestStay = 3 * time.Second

// leave ends what this process still does when another one serves: publishers' servers first, so that the other one can read their
// sockets. Then it stays as long as viewers' connections do: each ends with its next response. Those that have not been used for the time of
// two segments are closed, and responses under way may take as long as drain.timeout.
func (u *upgrade) leave(ctx context.Context, stopIngest func(), ingesting *sync.WaitGroup) {
	u.n.hub.Close()
	stopIngest()
	ingesting.Wait()
	close(u.quiet)
	u.endEvents()
	cfg := u.n.cfg.Load()
	within, cancel := context.WithTimeout(ctx, time.Duration(cfg.Drain.Timeout))
	stay := time.NewTimer(max(shortestStay, 2*time.Duration(cfg.HLS.SegmentDuration)))
	defer stay.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for staying := true; staying && u.connections.Load() > 0; {
		select {
		case <-tick.C:
		case <-stay.C:
			staying = false
		case <-within.Done():
			staying = false
		case <-u.n.drain.hurry:
			cancel()
		}
	}
	var hurrying sync.WaitGroup
	hurrying.Go(func() {
		select {
		case <-u.n.drain.hurry:
			cancel()
		case <-within.Done():
		}
	})
	defer hurrying.Wait()
	defer cancel()
	if u.server.Shutdown(within) != nil {
		u.n.log.Info("connections of viewers are closed in the middle of a response", "open", u.connections.Load(), "hint", "raise drain.timeout")
	}
}
