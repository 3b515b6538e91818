package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"pushcart/overlay"
)

// Problem is an error as the API tells it (RFC 9457).
type Problem struct {
	// Type is "about:blank": Status and Reason say what kind of problem it is.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail is a whole sentence that says what is wrong and what to do.
	Detail string `json:"detail"`
	// Reason is for programs: one of those of overlay.Reason and of the constants below.
	Reason overlay.Reason `json:"reason"`
	// Field is what is wrong, as a path in the document, or the name of a header or of a query parameter; "" when it is no
	// single one.
	Field string `json:"field,omitempty"`

	header http.Header
}

// Reasons of the API's own.
const (
	reasonMalformed    overlay.Reason = "malformed"
	reasonUnauthorized overlay.Reason = "unauthorized"
	reasonBlocked      overlay.Reason = "too_many_failures"
	reasonMethod       overlay.Reason = "method_not_allowed"
	reasonMediaType    overlay.Reason = "unsupported_media_type"
	reasonInternal     overlay.Reason = "internal"
	reasonOrigin       overlay.Reason = "origin_unreachable"
)

// statusOf has the status of every reason.
var statusOf = map[overlay.Reason]int{
	overlay.ReasonInvalid:   http.StatusUnprocessableEntity,
	overlay.ReasonNotFound:  http.StatusNotFound,
	overlay.ReasonConflict:  http.StatusConflict,
	overlay.ReasonStale:     http.StatusPreconditionFailed,
	overlay.ReasonReused:    http.StatusUnprocessableEntity,
	overlay.ReasonTooLarge:  http.StatusRequestEntityTooLarge,
	overlay.ReasonBusy:      http.StatusTooManyRequests,
	overlay.ReasonStorage:   http.StatusInsufficientStorage,
	overlay.ReasonClosed:    http.StatusServiceUnavailable,
	overlay.ReasonForbidden: http.StatusForbidden,

	reasonMalformed:    http.StatusBadRequest,
	reasonUnauthorized: http.StatusUnauthorized,
	reasonBlocked:      http.StatusTooManyRequests,
	reasonMethod:       http.StatusMethodNotAllowed,
	reasonMediaType:    http.StatusUnsupportedMediaType,
	reasonInternal:     http.StatusInternalServerError,
	reasonOrigin:       http.StatusServiceUnavailable,
}

// retryAfter is how many seconds a client waits before it asks again, for the reasons that pass by themselves.
var retryAfter = map[overlay.Reason]string{overlay.ReasonBusy: "1", overlay.ReasonClosed: "5", reasonOrigin: "2"}

// Error implements error.
func (p *Problem) Error() string {
	if p.Field == "" {
		return p.Detail
	}
	return p.Field + ": " + p.Detail
}

// problemf makes a problem; field is "" where it is no single one.
func problemf(reason overlay.Reason, field, format string, args ...any) *Problem {
	status, known := statusOf[reason]
	if !known {
		status = http.StatusInternalServerError
	}
	p := &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: fmt.Sprintf(format, args...), Reason: reason, Field: field, header: http.Header{},
	}
	if after := retryAfter[reason]; after != "" {
		p.header.Set("Retry-After", after)
	}
	return p
}

// with adds a header.
func (p *Problem) with(name, value string) *Problem {
	p.header.Set(name, value)
	return p
}

// problemOf words an error.
func problemOf(err error) *Problem {
	var p *Problem
	var refusal *overlay.Refusal
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		return problemf(refusal.Reason, refusal.Field, "%s", refusal.Message)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		// The client is gone, so hardly anybody reads this; the command may have been carried out.
		return problemf(overlay.ReasonBusy, "", "The request ended before it was known what became of it. Send it again with the same Idempotency-Key.")
	}
	return problemf(reasonInternal, "", "Something unexpected went wrong: %v. The node's log may say more.", err)
}

// write answers with the problem.
func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	for name, values := range p.header {
		h[name] = values
	}
	h.Del("ETag")
	writeJSON(w, p.Status, "application/problem+json", p)
}

// quoted lists words for a sentence: "a", "b".
func quoted(words []string) string { return `"` + strings.Join(words, `", "`) + `"` }
