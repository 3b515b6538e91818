package hls

import (
	"net/http"
	"time"

	"pushcart/packager/window"
)

// Bounds of waiting for something to play.
const (
	// startupWait is how long the first viewers wait for a presentation whose publisher has only just arrived.
	startupWait = 5 * time.Second
	// demandWait is how long they wait for one that the node has to fetch first, and demandRetry after how many seconds those
	// that waited in vain may ask again.
	demandWait  = 10 * time.Second
	demandRetry = "2"
)

// demand tells whether the node can fetch a stream, and has it do so.
func (h *Handler) demand(name string) bool { return h.opt.Demand != nil && h.opt.Demand(name) }

// arrived returns what a viewer who comes to a stream can play: of one that the node fetches, it waits for that. v is nil
// after answering the request itself.
func (h *Handler) arrived(w http.ResponseWriter, r *http.Request, name string) (e *entry, v *window.View) {
	e = h.opt.Registry.get(name)
	fetched := h.demand(name)
	if e != nil {
		v = e.presentations[0].Load()
	}
	switch {
	case e == nil && !fetched:
		h.fail(w, kindOther, http.StatusNotFound, noStream)
		return nil, nil
	case !fetched:
		return e, h.started(w, r, kindMultivariant, e.presentations[0])
	case playable(v):
		return e, v
	}
	release, ok := h.enter(w, r, waitStream)
	if !ok {
		return nil, nil
	}
	defer release()
	timer := time.NewTimer(demandWait)
	defer timer.Stop()
	for {
		// In this order: what comes after the look is told by the channels.
		e, added := h.opt.Registry.watch(name)
		var changed <-chan struct{}
		if e != nil {
			if v = e.presentations[0].Load(); playable(v) {
				return e, v
			}
			changed = v.Changed()
		}
		select {
		case <-added:
		case <-changed:
		case <-h.left():
			h.elsewhere(w, r)
			return nil, nil
		case <-timer.C:
			h.stalled(waitStream)
			w.Header().Set("Retry-After", demandRetry)
			h.fail(w, kindMultivariant, http.StatusServiceUnavailable, "the stream is being fetched; try again")
			return nil, nil
		case <-r.Context().Done():
			return nil, nil
		}
	}
}

// unknown tells whether a stream is not there, or is a copy that has nothing of a rendition yet.
func unknown(e *entry, rendition string) bool {
	if e == nil {
		return true
	}
	p := e.presentations[0]
	if !p.Copied() {
		return false
	}
	v := p.Load()
	if r := v.Rendition(rendition); r != nil {
		s := r.Load()
		return len(s.Segments) == 0 && s.NextMSN == 0
	}
	return len(v.Variants) == 0
}

// brought waits for what another node has of a rendition, and returns its stream. A viewer may come in the middle of a show, from a
// node that is no more. It returns nil after answering the request itself.
func (h *Handler) brought(w http.ResponseWriter, r *http.Request, name, rendition string) *entry {
	if !h.demand(name) {
		if e := h.opt.Registry.get(name); e != nil {
			return e
		}
		h.fail(w, kindOther, http.StatusNotFound, noStream)
		return nil
	}
	release, ok := h.enter(w, r, waitStream)
	if !ok {
		return nil
	}
	defer release()
	timer := time.NewTimer(demandWait)
	defer timer.Stop()
	for {
		// In this order: what comes after the look is told by the channels.
		e, added := h.opt.Registry.watch(name)
		if !unknown(e, rendition) {
			return e
		}
		var changed, first <-chan struct{}
		if e != nil {
			v := e.presentations[0].Load()
			changed = v.Changed()
			if rend := v.Rendition(rendition); rend != nil {
				first = rend.Load().Changed()
			}
			if !unknown(e, rendition) {
				return e
			}
		}
		select {
		case <-added:
		case <-changed:
		case <-first:
		case <-h.left():
			h.elsewhere(w, r)
			return nil
		case <-timer.C:
			h.stalled(waitStream)
			w.Header().Set("Retry-After", demandRetry)
			h.fail(w, kindOther, http.StatusServiceUnavailable, "the stream is being fetched; try again")
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

// playable tells whether there is something to play in a presentation that goes on.
func playable(v *window.View) bool { return v != nil && len(v.Variants) > 0 && !v.Ended }

// started waits until a presentation can be played, and returns it; nil after answering the request itself.
func (h *Handler) started(w http.ResponseWriter, r *http.Request, k kind, p *window.Presentation) *window.View {
	v := p.Load()
	if len(v.Variants) == 0 && !v.Ended {
		release, ok := h.enter(w, r, waitStart)
		if !ok {
			return nil
		}
		defer release()
		timer := time.NewTimer(startupWait)
		defer timer.Stop()
		for len(v.Variants) == 0 && !v.Ended {
			select {
			case <-v.Changed():
				v = p.Load()
			case <-h.left():
				h.elsewhere(w, r)
				return nil
			case <-timer.C:
				h.stalled(waitStart)
				h.fail(w, k, http.StatusNotFound, "the stream has begun, but nothing to play has come yet")
				return nil
			case <-r.Context().Done():
				return nil
			}
		}
	}
	if len(v.Variants) == 0 {
		h.fail(w, k, http.StatusNotFound, "the stream ended before anything to play had come")
		return nil
	}
	return v
}
