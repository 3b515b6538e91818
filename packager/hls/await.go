package hls

import (
	"net/http"
	"time"

	"pushcart/packager/window"
)

// await waits until a rendition's snapshot satisfies done, and returns it. With bytes, what it waits for may be the bytes of media
// that a copy knows of. It returns nil after answering the request itself: with 503 when the wait outlasted three target durations
// (rfc8216bis 6.2.5.2) and what renditions may come later than others.
func (h *Handler) await(w http.ResponseWriter, r *http.Request, k kind, p *window.Presentation, rend *window.Rendition, bytes bool, done func(*window.Snapshot) bool) *window.Snapshot {
	s := rend.Load()
	if done(s) {
		return s
	}
	release, ok := h.enter(w, r, waitPart)
	if !ok {
		return nil
	}
	defer release()
	wait := 3*time.Duration(p.Settings.TargetDuration)*time.Second + window.Duration(s.Lag())
	if wait > WriteTimeout/2 {
		// Segments of that length are rare: only they pay for a deadline of their own.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + WriteTimeout))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		var filled <-chan struct{}
		if bytes {
			filled = s.Filled()
		}
		select {
		case <-s.Changed():
			if s = rend.Load(); done(s) {
				h.opt.Metrics.wake.Observe(h.opt.Now().Sub(s.At).Seconds())
				return s
			}
		case <-filled:
			if s = rend.Load(); done(s) {
				return s
			}
		case <-h.left():
			h.elsewhere(w, r)
			return nil
		case <-timer.C:
			h.stalled(waitPart)
			h.fail(w, k, http.StatusServiceUnavailable, "nothing new came within three target durations")
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}
