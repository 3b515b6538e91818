package directory

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/relay"
)

// Mode is how a node takes part in NATS.
type Mode int

// Modes.
const (
	// Core runs a NATS server of its own, which keeps the directory together with those of the other core nodes.
	Core Mode = iota
	// Leaf runs a NATS server that keeps nothing and is connected to core nodes.
	Leaf
	// External uses the operator's NATS.
	External
)

// Options of a directory. Self.Name is required, and Dir in mode Core; in mode Leaf and External URLs.
type Options struct {
	// Self is this node. Load, Streams and Seen in it are not used.
	Self relay.Peer
	Mode Mode
	// Listen is where NATS clients that are not of this process may connect, host:port; "" is nowhere, which is usual.
	Listen string
	// Cluster is where the routes of other core nodes are taken, host:port. "" listens nowhere; with Cores of more than one
	// node it is required.
	Cluster string
	// Leaf is where leaf nodes are taken, host:port; "" is nowhere.
	Leaf string
	// Cores are the addresses of all core nodes' routes, host:port, with this node's own among them. Core nodes need the same
	// number of them, since it tells how many make a majority. Empty or one: this node is the only core node.
	Cores []string
	// URLs are what is connected to: in mode Leaf host:port of core nodes' Leaf, in mode External nats://host:port.
	URLs []string
	// Credentials is a file with the operator's NATS user, in mode External; "" is none.
	Credentials string
	// Replicas of what is kept; 0 is 3 with three or more core nodes, else 1.
	Replicas int
	// TLS is used on both sides of all connections: it has to ask for the other side's certificate and to verify it against the
	// cluster's authority in both roles. nil is without TLS, for a trusted network and tests.
	TLS *tls.Config
	// Dir is the folder for JetStream's files, of this node alone.
	Dir string
	// Load and Held are asked for each heartbeat, once a second; nil is nothing. They must not block.
	Load func() relay.Load
	Held func() []relay.Held
	// Superseded is called when another node has taken a stream whose origin this node is, or takes itself for; gen is the
	// winner's. Calls come one after the other from a goroutine of the directory; nil is none.
	Superseded func(stream string, gen int64)
	Log        *slog.Logger
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time

	advertise string // where other core nodes are told that this one is; tests have an address at which nobody is

	pace pace // zero is the usual one; tests have a quicker one
}

// pace has the directory's durations.
type pace struct {
	beat    time.Duration // between heartbeats
	node    time.Duration // a node that is not heard for as long is dead
	sick    time.Duration // without an acknowledged heartbeat for as long the directory is not healthy
	entry   time.Duration // an entry that is not renewed for as long is gone
	renew   time.Duration // between renewals of an entry
	grave   time.Duration // how long a released entry's generation is remembered
	away    time.Duration // after which a standby takes over from a publisher that went
	claim   time.Duration // for an answer to a claim
	retry   time.Duration // between tries in the background
	check   time.Duration // between checks that the watch follows
	list    time.Duration // a list that has not come further for as long is read anew
	grace   time.Duration // for the watch to give a change, before the bucket is asked
	cards   time.Duration // between two snapshots of one stream's cards
	silence time.Duration // a carried request is over when its other side is not heard for as long
	keep    time.Duration // how long the memory of a dead node is kept
}

var usual = pace{
	beat: time.Second, node: 5 * time.Second, sick: 3 * time.Second,
	entry: 30 * time.Second, renew: 10 * time.Second, grave: 5 * time.Minute,
	away: 2 * time.Second, claim: 2 * time.Second, retry: 500 * time.Millisecond,
	check: time.Second, list: 5 * time.Second, grace: 100 * time.Millisecond, cards: 100 * time.Millisecond, silence: 5 * time.Second, keep: 10 * time.Minute,
}

// complete checks the options and fills in what is not set.
func (o *Options) complete() error {
	if !validNode(o.Self.Name) {
		return fmt.Errorf("the node's name %q cannot be used: give node.name 1 to 63 characters of a-z, 0-9 and \"-\"", o.Self.Name)
	}
	switch o.Mode {
	case Core:
		if o.Dir == "" {
			return errors.New("a core node needs a folder for its directory")
		}
		if len(o.Cores) > 1 && o.Cluster == "" {
			return errors.New("there are several core nodes, but no address for their routes: set cluster.listen_nats")
		}
	case Leaf, External:
		if len(o.URLs) == 0 {
			return errors.New("there is no NATS server to connect to: set cluster.leaf_of or cluster.nats")
		}
	default:
		return fmt.Errorf("there is no mode %d", o.Mode)
	}
	for _, a := range append([]string{o.Listen, o.Cluster, o.Leaf}, o.Cores...) {
		if a == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("%q is not an address: write host:port", a)
		}
	}
	if o.TLS != nil && o.TLS.ClientAuth != tls.RequireAnyClientCert && o.TLS.ClientAuth != tls.RequireAndVerifyClientCert {
		return errors.New("the TLS configuration of the directory does not ask for the other side's certificate")
	}
	if o.Replicas == 0 {
		o.Replicas = 1
		if len(o.Cores) >= 3 || o.Mode == External {
			o.Replicas = 3
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.pace == (pace{}) {
		o.pace = usual
	}
	o.Self.URL = strings.TrimSuffix(o.Self.URL, "/")
	return nil
}
