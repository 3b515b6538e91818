package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"pushcart/internal/load"
)

// hop has one viewer of each stream at each node wait for the same parts, and returns how much later they came from the peer,
// in ms.
func (p *pair) hop(ctx context.Context, d time.Duration) (samples, error) {
	type arrival struct{ sent, got time.Time }
	var (
		mu       sync.Mutex // guards what follows
		arrivals [2]map[string]arrival
		failed   error
		group    sync.WaitGroup
	)
	end := time.Now().Add(d)
	for side, n := range []*node{p.origin, p.peer} {
		arrivals[side] = map[string]arrival{}
		for i := range relayStreams {
			v, err := dialViewer(n.HTTP)
			if err != nil {
				return nil, err
			}
			defer v.Close()
			group.Go(func() {
				for ctx.Err() == nil && time.Now().Before(end) {
					path, sent, got, err := hinted(v, streamName(i))
					mu.Lock()
					if err != nil {
						failed = fmt.Errorf("a viewer of %s at %s: %w", streamName(i), [...]string{"the origin", "the peer"}[side], err)
					} else if path != "" {
						arrivals[side][path] = arrival{sent, got}
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
	}
	group.Wait()
	if failed != nil {
		return nil, failed
	}
	var late samples
	for path, first := range arrivals[0] {
		// Only where both had waited: a part that is there already is no news.
		if second, ok := arrivals[1][path]; ok && first.sent.Before(first.got.Add(-hopWait)) && second.sent.Before(first.got.Add(-hopWait)) {
			late.add(float64(second.got.Sub(first.got)) / 1e6)
		}
	}
	if len(late) < relayStreams {
		return nil, fmt.Errorf("of %d parts of the origin and %d of the peer only %d had been waited for at both",
			len(arrivals[0]), len(arrivals[1]), len(late))
	}
	return late, ctx.Err()
}

// hopWait is how long before a part a request for it must have been sent to count as one that waited.
const hopWait = 20 * time.Millisecond

// hinted waits for the part that is announced; path is empty where the segment ended before it.
func hinted(v *load.Conn, stream string) (path string, sent, got time.Time, err error) {
	a, err := v.Get("/live/"+stream+"/video.m3u8", true)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("the playlist of %s: status %d", stream, a.Status)
	}
	if err != nil {
		return "", sent, got, err
	}
	text, err := unzipped(a)
	if err != nil {
		return "", sent, got, err
	}
	uri, _, err := hint(text)
	if err != nil {
		return "", sent, got, err
	}
	path, sent = "/live/"+stream+"/"+uri, time.Now()
	if err = v.Send(v.Request(path, false)); err == nil {
		a, err = v.Answer(false)
	}
	switch {
	case err == nil && a.Status == http.StatusNotFound:
		path = ""
	case err == nil && a.Status != http.StatusOK:
		err = fmt.Errorf("waiting for %s: status %d", path, a.Status)
	}
	return path, sent, a.At, err
}
