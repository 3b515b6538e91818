package relay

import (
	"context"
	"errors"
	"time"
)

// Peer is a node of the cluster, as it tells of itself.
type Peer struct {
	// Name of the node, unique in the cluster; the one in its certificate.
	Name string `json:"name"`
	// Region that the node stands in, as in its certificate.
	Region string `json:"region"`
	// Address at which its relay listens, host:port; "" where it cannot be dialled.
	Address string `json:"address,omitempty"`
	// URL at which viewers reach it, without a slash at its end; "" is not told.
	URL string `json:"url,omitempty"`
	// Version of the program.
	Version string `json:"version"`
	// Started is when the node began.
	Started time.Time `json:"started"`
	// Keys is the JSON Web Key Set that the node's card states are verified with.
	Keys string `json:"keys,omitempty"`
	// Load of the node at its last sign of life.
	Load Load `json:"load"`
	// Streams are the copies and streams that the node holds, with how far they got; by name.
	Streams []Held `json:"streams,omitempty"`
	// Seen is when this node last heard of it, by this node's clock.
	Seen time.Time `json:"-"`
}

// Load is how busy a node is.
type Load struct {
	// CPU of the process over the last seconds, in cores.
	CPU float64 `json:"cpu"`
	// Viewers and Peers that it serves, Full when it takes no further peers.
	Viewers int  `json:"viewers"`
	Peers   int  `json:"peers"`
	Full    bool `json:"full,omitempty"`
	// Draining tells that the node is drained or stops: viewers are sent to it only where there is no other.
	Draining bool `json:"draining,omitempty"`
}

// Held is a presentation on a node.
type Held struct {
	Stream string `json:"stream"`
	Gen    int64  `json:"gen"`
	// MSN and Part of the last part of the leading rendition.
	MSN  int64 `json:"msn"`
	Part int   `json:"part"`
	// From is the node that it is copied from; "" on the origin.
	From string `json:"from,omitempty"`
	// Lag is how much later than at the origin its last part came, in seconds, as far as the clocks agree; 0 on the origin.
	Lag float64 `json:"lag,omitempty"`
}

// Entry is what the directory has of a stream.
type Entry struct {
	Stream string `json:"stream"`
	// Origin is the name of the node that packages the stream.
	Origin string `json:"origin"`
	// Region of the origin.
	Region string `json:"region"`
	// Gen is the generation: it rises with each change of the origin, and with each new show. Peers refuse a lower one.
	Gen int64 `json:"gen"`
	// Credential is of the publisher's, for takeovers by the same one; it tells nothing of the secret.
	Credential string `json:"credential"`
	// Standby tells that the publisher is one that gives way to any other of the stream.
	Standby bool `json:"standby,omitempty"`
	// Live tells that the publisher is there; false while it is waited for.
	Live bool `json:"live"`
	// Regions that may have the stream; empty is all.
	Regions []string `json:"regions,omitempty"`
	// Secret is what tokens of this stream and generation are made with: 32 bytes.
	Secret []byte `json:"secret"`
}

// Claim asks to become the origin of a stream.
type Claim struct {
	Stream, Credential string
	Standby            bool
	Regions            []string
}

// Errors of Directory.Claim, which wraps them with what is known.
var (
	// ErrTaken: the stream has an origin whose publisher has another credential and is live, or has not been away for long.
	ErrTaken = errors.New("the stream is live under another credential")
	// ErrStandby: the claim is a standby's, and the stream has an origin that is well.
	ErrStandby = errors.New("the stream has an origin, which this publisher stands by for")
	// ErrUnreachable: the directory cannot be asked. The node goes on with what it knows.
	ErrUnreachable = errors.New("the directory cannot be reached")
)

// Directory knows who is the origin of what and which nodes there are. Methods without a context do no I/O: they tell what
// this node has heard so far. All are for any goroutine.
type Directory interface {
	// Self is this node as the others see it.
	Self() Peer
	// Peers are the other nodes that gave a sign of life lately, by name.
	Peers() []Peer
	// Lookup returns a stream's entry; false when there is none.
	Lookup(stream string) (Entry, bool)
	// Entries are all, by stream.
	Entries() []Entry
	// Changed returns a channel that is closed at the next change of Peers or Entries.
	Changed() <-chan struct{}
	// Claim makes this node the origin of a stream, with a generation above all before. The directory cannot tell yesterday's
	// generations from the clock alone: a generation is the clock's milliseconds, or one more than the last one known, whichever
	// is greater. What this node has already it keeps, with its generation: for the same credential, and for a standby's place taken by
	// the one it stood by for. Its errors are ErrTaken, ErrStandby, ErrUnreachable and that of the context.
	Claim(context.Context, Claim) (Entry, error)
	// SetLive tells whether the publisher of a stream that this node is the origin of is there.
	SetLive(stream string, gen int64, live bool)
	// Release gives a claim up, when the show is over. It does nothing where another node has taken the stream.
	Release(stream string, gen int64)
	// Healthy tells whether the directory takes claims at this time, and since when it is so.
	Healthy() (bool, time.Time)
}

// Position of a part in a presentation: the generation of its segment, the segment's number, the part's index.
type Position struct {
	Gen, MSN int64
	Part     int
}
