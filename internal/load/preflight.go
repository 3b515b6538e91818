package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// hosts are those that may be asked: the one that was named, and those that its playlists named before there was any load. An
// origin that names others later is not followed there.
type hosts struct {
	mu     sync.Mutex
	known  map[string]bool
	closed bool
}

// allowed tells whether a host may be asked. Until close is called, each that is asked for becomes one.
func (h *hosts) allowed(host string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.known[host] = true
	}
	return h.known[host]
}

func (h *hosts) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
}

// elsewhere returns the hosts that are not this machine.
func (h *hosts) elsewhere() (others []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for host := range h.known {
		here, err := OnThisHost(host)
		if err != nil {
			return nil, err
		}
		if !here {
			others = append(others, host)
		}
	}
	return others, nil
}

// probe looks at a stream as one viewer does, and says what it is.
func (a *audience) probe(ctx context.Context, at Address) (o Origin, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*a.timeout)
	defer cancel()
	v := &viewer{audience: a, stream: at}
	if a.http2 {
		v.client = a.newSharedClient()
		defer v.client.CloseIdleConnections()
		defer v.requests.Wait()
		defer cancel()
	}
	w := v.wire(ctx)
	defer w.close()
	o.URL = at.String()
	r, err := fetch(w, at, 0, 0, true, true)
	if err == nil && r.Status != 200 {
		err = &statusError{"multivariant playlist", r.Status}
	}
	if err != nil {
		return o, fmt.Errorf("%s: %w", at, bareError(err))
	}
	if r.URL != nil {
		at = *r.URL
	}
	all, err := a.lib.multivariant(at, r)
	if err != nil {
		return o, fmt.Errorf("%s: %w", at, err)
	}
	o.Variants = len(all)
	if len(all) > 0 {
		c := a.choose(all, 0)
		at, o.Bandwidth, o.Sound = c.video, c.bandwidth, c.hasSound
		for _, c := range all {
			a.allowed(c.video.Host)
			if c.hasSound {
				a.allowed(c.sound.Host)
			}
		}
		if r, err = fetch(w, at, 0, 0, true, true); err == nil && r.Status != 200 {
			err = &statusError{"playlist", r.Status}
		}
		if err != nil {
			return o, fmt.Errorf("%s: %w", at, bareError(err))
		}
		if r.URL != nil {
			at = *r.URL
		}
	}
	t, err := a.lib.track(at)
	if err != nil {
		return o, err
	}
	p, err := t.playlist(at, r)
	if err != nil {
		return o, fmt.Errorf("%s: %w", at, err)
	}
	f := follower{list: p}
	o.PartTarget, o.Target, o.LowLatency = p.partTarget, p.target, p.partTarget > 0 && p.canBlock
	o.HoldBack, _ = f.holdBack()
	for _, s := range p.list {
		for _, file := range append([]*file{s.file, s.init}, p.hint) {
			if file != nil {
				a.allowed(file.at.Host)
			}
		}
		for _, part := range s.parts {
			if part.file != nil {
				a.allowed(part.file.at.Host)
			}
		}
	}
	if p.ended {
		return o, fmt.Errorf("%s: the stream has ended", at)
	}
	if len(p.list) == 0 {
		return o, errNothingYet
	}
	return o, nil
}

var errNothingYet = errors.New("the playlist has no media yet")

// bareError words an error of a request in few words: net/http's would repeat the address with its query.
func bareError(err error) error {
	var status *statusError
	if errors.As(err, &status) {
		if status.status == http.StatusNotFound {
			return fmt.Errorf("%w: is the stream live?", err)
		}
		if hint := hints[status.Error()]; hint != "" {
			return fmt.Errorf("%w: %s", err, hint)
		}
		return err
	}
	kind := kindOf(err)
	if hint := hints[kind]; hint != "" {
		return fmt.Errorf("%s: %s", kind, hint)
	}
	return errors.New(kind)
}

// probePatience is how long streams that are published from here may take until they can be watched.
const probePatience = 20 * time.Second

// await probes until a stream can be watched.
func (a *audience) await(ctx context.Context, at Address) (o Origin, err error) {
	end := time.Now().Add(probePatience)
	for {
		o, err = a.probe(ctx, at)
		var refused *statusError
		forGood := errors.As(err, &refused) && (refused.status == http.StatusUnauthorized || refused.status == http.StatusForbidden) || kindOf(err) == kindUntrusted
		if err == nil || forGood || time.Now().After(end) || ctx.Err() != nil {
			return o, err
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return o, ctx.Err()
		}
	}
}
