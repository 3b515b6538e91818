package relay

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// failure is why a log could not be opened or went no further.
type failure struct {
	reason string
	err    error
	// node is another one that the peer sends this one to; "" is none.
	node string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(reason, format string, args ...any) error {
	return &failure{reason: reason, err: fmt.Errorf(format, args...)}
}

// Reasons of failures, as metrics have them.
const (
	failUnreachable = "unreachable" // no connection
	failSilent      = "silent"      // nothing came for too long
	failClosed      = "closed"      // the connection ended
	failRefused     = "refused"     // the peer does not give the log to this node
	failUnknown     = "unknown"     // the peer does not have the stream
	failFull        = "full"        // the peer gives logs to enough nodes already
	failBehind      = "behind"      // the peer, or this node, does not know of the present origin
	failLoop        = "loop"        // the peer has the stream from this node, or is too far from the origin
	failAnswer      = "answer"      // an answer that makes no sense
	failChecksum    = "checksum"    // a record was garbled
	failMalformed   = "malformed"   // a record is not what it says
	failTooLong     = "too_long"    // beyond a limit
	failSum         = "sum"         // media are not the origin's: their SHA-256 is another
	failPosition    = "position"    // media or a step for a place that is not next
	failGeneration  = "generation"  // a lower generation than is known of, or one that cannot be
	failSuperseded  = "superseded"  // the peer has another presentation now
	failStopping    = "stopping"    // the peer ends
	failStalled     = "stalled"     // the peer is there, and other nodes are further
	failSlow        = "slow"        // this node was too slow
	failOther       = "other"
)

// again are the reasons for which one rendition's log is opened anew at the same node. For all others the node is left alone
// for a while.
var again = map[string]bool{failSilent: true, failClosed: true, failUnreachable: true, failUnknown: true, failSlow: true, failPosition: true}

// patience is how often a rendition's log is opened anew without any progress, before the node is left alone.
const patience = 3

// reasonOf names why a log ended.
func reasonOf(err error) string {
	var f *failure
	var timeout net.Error
	switch {
	case errors.As(err, &f):
		return f.reason
	case errors.Is(err, wire.ErrChecksum):
		return failChecksum
	case errors.Is(err, wire.ErrTooLong):
		return failTooLong
	case errors.Is(err, wire.ErrMalformed):
		return failMalformed
	case errors.Is(err, window.ErrMismatch):
		return failPosition
	case errors.As(err, &timeout) && timeout.Timeout():
		return failSilent
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe), errors.As(err, new(*net.OpError)), errors.Is(err, net.ErrClosed):
		return failClosed
	}
	return failOther
}

// answered makes a failure of an answer that is not 200; text is the beginning of its body.
func answered(status int, header http.Header, text string) error {
	reason, node := failAnswer, ""
	switch status {
	case http.StatusTemporaryRedirect:
		reason, node = failFull, header.Get("Pushcart-Node")
	case http.StatusServiceUnavailable:
		reason = failFull
	case http.StatusForbidden, http.StatusUnauthorized, http.StatusUnavailableForLegalReasons:
		reason = failRefused
	case http.StatusNotFound:
		reason = failUnknown
	case http.StatusConflict:
		reason = failBehind
	case http.StatusLoopDetected:
		reason = failLoop
	}
	return &failure{reason: reason, node: node, err: fmt.Errorf("it answers %d: %q", status, text)}
}

// said makes a failure of a bye; nil where the log has come to its end.
func said(b *wire.Bye) error {
	switch b.Reason {
	case wire.Ended:
		return nil
	case wire.Superseded, wire.Replaced:
		return fail(failSuperseded, "it ends the log: %s %s", b.Reason, b.Detail)
	case wire.Stopping:
		return fail(failStopping, "it ends the log: %s %s", b.Reason, b.Detail)
	case wire.Redirect:
		return fail(failFull, "it ends the log: %s %s", b.Reason, b.Detail)
	case wire.TooSlow:
		return fail(failSlow, "it ends the log: %s %s", b.Reason, b.Detail)
	case wire.Refused:
		return fail(failRefused, "it ends the log: %s %s", b.Reason, b.Detail)
	}
	return fail(failOther, "it ends the log: %q", b.Reason)
}
