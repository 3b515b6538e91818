package directory

import (
	"fmt"
	"time"

	"pushcart/relay"
)

// present is what a claim is decided on.
type present struct {
	entry relay.Entry
	held  bool // there is an entry
	// gone is for how long nothing has been heard of the origin's node; 0 while it is well, and while this node cannot tell.
	gone time.Duration
	// away is for how long the publisher has been away; 0 while it is there.
	away time.Duration
}

// decide tells whether a claim may have the stream: nil, ErrTaken or ErrStandby.
func decide(c relay.Claim, p present, t pace) error {
	switch {
	case !p.held:
		return nil
	case p.entry.Credential == c.Credential:
		// A phone that changed its network comes back while its old connection still seems alive.
		return nil
	case c.Standby:
		if p.gone >= t.node || !p.entry.Live && p.away >= t.away {
			return nil
		}
		return fmt.Errorf("%w: %s has it", relay.ErrStandby, p.entry.Origin)
	case p.entry.Standby:
		return nil
	case p.gone >= t.entry:
		return nil
	case !p.entry.Live && p.gone >= t.node:
		return nil
	case p.entry.Live:
		return fmt.Errorf("%w: its publisher is at node %s", relay.ErrTaken, p.entry.Origin)
	default:
		return fmt.Errorf("%w: node %s waits for its publisher to return", relay.ErrTaken, p.entry.Origin)
	}
}
