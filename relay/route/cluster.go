package route

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"time"

	"pushcart/relay"
)

// Limits of what is shown.
const (
	maxStreams = 500
	maxLinks   = 2000
)

// ClusterOptions sets the operator's view of the cluster up.
type ClusterOptions struct {
	// Directory tells of nodes and streams.
	Directory relay.Directory
	// Certificate returns until when a node's certificate is valid, where this node knows; nil knows of none. It is called for
	// each node.
	Certificate func(node string) (until time.Time, ok bool)
	// Throughput returns what a node receives of a stream in bytes a second, where this node knows; nil knows of none.
	Throughput func(node, stream string) (rate float64, ok bool)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Cluster is the operator's view of the cluster, as this node has it.
type Cluster struct {
	At        time.Time       `json:"at"`
	Self      string          `json:"self"`
	Directory DirectoryHealth `json:"directory"`
	Nodes     []ClusterNode   `json:"nodes"`
	Streams   []ClusterStream `json:"streams"`
	Links     []Link          `json:"links"`
	// Left out of the lists because there are too many.
	MoreNodes   int `json:"more_nodes,omitempty"`
	MoreStreams int `json:"more_streams,omitempty"`
	MoreLinks   int `json:"more_links,omitempty"`
}

// DirectoryHealth tells whether streams can change their origin.
type DirectoryHealth struct {
	Healthy bool `json:"healthy"`
	// Since when it is so.
	Since time.Time `json:"since"`
}

// ClusterNode is a node as the operator sees it. Times are in seconds.
type ClusterNode struct {
	Name    string `json:"name"`
	Region  string `json:"region"`
	Self    bool   `json:"self,omitempty"`
	Version string `json:"version"`
	URL     string `json:"url,omitempty"`
	// Uptime by this node's clock; 0 when it is not known.
	Uptime  float64 `json:"uptime"`
	CPU     float64 `json:"cpu"`
	Viewers int     `json:"viewers"`
	Peers   int     `json:"peers"`
	Full    bool    `json:"full,omitempty"`
	Holds   int     `json:"holds"`
	// SeenAgo is how long ago it was heard of; 0 for this node.
	SeenAgo float64 `json:"seen_ago"`
	// CertificateDays until its certificate expires; nil is not known.
	CertificateDays *float64 `json:"certificate_days,omitempty"`
}

// ClusterStream is a stream of the cluster.
type ClusterStream struct {
	Stream string `json:"stream"`
	Origin string `json:"origin"`
	Region string `json:"region"`
	Gen    int64  `json:"gen"`
	Live   bool   `json:"live"`
	// Standby tells that a publisher that stands by is on.
	Standby bool `json:"standby,omitempty"`
	// OriginLost tells that the origin gave no sign of life lately.
	OriginLost bool `json:"origin_lost,omitempty"`
	// Regions that hold it, by name, and those that may; the latter empty is all.
	Regions []string `json:"regions"`
	Allowed []string `json:"allowed,omitempty"`
	// Holders is how many nodes have it.
	Holders int `json:"holders"`
}

// Link is a copy: who has it from whom.
type Link struct {
	Stream   string   `json:"stream"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Position Position `json:"position"`
	// LagMS is how much later than at the origin the last part came, in milliseconds, as far as clocks agree.
	LagMS float64 `json:"lag_ms"`
	// Rate in bytes a second; nil is not known.
	Rate *float64 `json:"bytes_per_second,omitempty"`
}

// look collects the view.
func (o ClusterOptions) look() Cluster {
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	d, nodes := o.Directory, nodesOf(o.Directory)
	c := Cluster{At: now(), Self: d.Self().Name, Nodes: []ClusterNode{}, Streams: []ClusterStream{}, Links: []Link{}}
	c.Directory.Healthy, c.Directory.Since = d.Healthy()
	for _, p := range nodes {
		c.Nodes = append(c.Nodes, o.node(p, p.Name == c.Self, c.At))
		for _, h := range p.Streams {
			if h.From != "" {
				c.Links = append(c.Links, o.link(p, h))
			}
		}
	}
	for _, e := range d.Entries() {
		c.Streams = append(c.Streams, streamOf(e, nodes))
	}
	slices.SortFunc(c.Streams, func(a, b ClusterStream) int { return cmp.Compare(a.Stream, b.Stream) })
	slices.SortStableFunc(c.Links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	c.Nodes, c.MoreNodes = atMost(c.Nodes, maxNodes)
	c.Streams, c.MoreStreams = atMost(c.Streams, maxStreams)
	c.Links, c.MoreLinks = atMost(c.Links, maxLinks)
	return c
}

// atMost cuts a list and tells how many were cut off.
func atMost[T any](list []T, most int) ([]T, int) {
	if len(list) <= most {
		return list, 0
	}
	return list[:most], len(list) - most
}

func (o ClusterOptions) node(p relay.Peer, self bool, now time.Time) ClusterNode {
	n := ClusterNode{
		Name: p.Name, Region: p.Region, Self: self, Version: p.Version, URL: publicURL(p),
		CPU: finite(p.Load.CPU), Viewers: p.Load.Viewers, Peers: p.Load.Peers, Full: p.Load.Full, Holds: len(p.Streams),
	}
	if !p.Started.IsZero() {
		n.Uptime = max(0, now.Sub(p.Started).Seconds())
	}
	if !self && !p.Seen.IsZero() {
		n.SeenAgo = max(0, now.Sub(p.Seen).Seconds())
	}
	if o.Certificate != nil {
		if until, ok := o.Certificate(p.Name); ok {
			days := until.Sub(now).Hours() / 24
			n.CertificateDays = &days
		}
	}
	return n
}

func (o ClusterOptions) link(p relay.Peer, h relay.Held) Link {
	l := Link{Stream: h.Stream, From: h.From, To: p.Name, Position: Position{Gen: h.Gen, MSN: h.MSN, Part: h.Part}, LagMS: finite(h.Lag * 1000)}
	if o.Throughput != nil {
		if rate, ok := o.Throughput(p.Name, h.Stream); ok {
			rate = finite(rate)
			l.Rate = &rate
		}
	}
	return l
}

func streamOf(e relay.Entry, nodes []relay.Peer) ClusterStream {
	s := ClusterStream{
		Stream: e.Stream, Origin: e.Origin, Region: e.Region, Gen: e.Gen, Live: e.Live, Standby: e.Standby,
		OriginLost: true, Regions: []string{}, Allowed: e.Regions,
	}
	for _, p := range nodes {
		if p.Name == e.Origin {
			s.OriginLost = false
		}
		if _, ok := held(p, e.Stream); ok {
			s.Holders++
			s.Regions = append(s.Regions, p.Region)
		}
	}
	slices.Sort(s.Regions)
	s.Regions = slices.Compact(s.Regions)
	return s
}

// finite is a number that JSON can have: a peer may say anything.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// JSON answers with the cluster as a document, for programs: GET /cluster.json.
func JSON(o ClusterOptions) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		writeJSON(w, http.StatusOK, o.look())
	})
}
