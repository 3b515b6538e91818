package hls

import "net/http"

// place is where requests are answered: here, or by who the node's viewers were handed to.
type place struct {
	to   http.Handler  // nil is here
	left chan struct{} // closed when there is another place
}

// Move hands all requests to another handler from now on, those that wait as well: nothing has been written for them yet. nil answers
// them here again. Responses under way are finished here. It is for any goroutine.
func (h *Handler) Move(to http.Handler) {
	before := h.place.Swap(&place{to: to, left: make(chan struct{})})
	close(before.left)
}

// left is closed when requests that wait are to be answered elsewhere. Who finds it closed calls elsewhere.
func (h *Handler) left() <-chan struct{} {
	p := h.place.Load()
	if p.to != nil {
		return gone // it was left before the wait began
	}
	return p.left
}

// gone is a channel that is closed.
var gone = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// elsewhere has a request answered that waited here. What the response's head has by then is of the answer that was to be given here,
// and is replaced.
func (h *Handler) elsewhere(w http.ResponseWriter, r *http.Request) {
	if to := h.place.Load().to; to != nil {
		to.ServeHTTP(w, r)
		return
	}
	h.ServeHTTP(w, r) // it has come back in this very moment
}
