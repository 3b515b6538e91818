package ingest

import "context"

// Journey follows one publisher from its knock to what it publishes, for traces. The door calls its methods in the order in which they
// stand here; they do not block, and may be called from any goroutine. What a publisher does not get to is left out.
type Journey interface {
	// Authorised tells that the publisher was recognised, and which stream it is let in to.
	Authorised(stream string)
	// Context is ctx for what is done on the publisher's behalf: the claim.
	Context(ctx context.Context) context.Context
	// Claimed tells that the stream is the publisher's, from an era on.
	Claimed(era int)
	// KeyFrame tells that the first key frame of a video track was taken.
	KeyFrame()
	// Ended tells that the publisher is gone, waits as a standby, or was not let in: why is a Reason, or another word that tells of no
	// secret; "" is that it left. Nothing follows.
	Ended(why string)
}

// unfollowed is the journey of a publisher that nobody follows.
type unfollowed struct{}

func (unfollowed) Authorised(string)                           {}
func (unfollowed) Context(ctx context.Context) context.Context { return ctx }
func (unfollowed) Claimed(int)                                 {}
func (unfollowed) KeyFrame()                                   {}
func (unfollowed) Ended(string)                                {}

// journey begins a publisher's.
func (d *Door) journey(req Request) Journey {
	if d.opt.Journey != nil {
		if j := d.opt.Journey(req); j != nil {
			return j
		}
	}
	return unfollowed{}
}

// Other words for how a journey ends.
const (
	journeyLost  = "lost"
	journeyWaits = "stands_by"
)
