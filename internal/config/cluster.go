package config

import (
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pushcart/internal/auth"
	"pushcart/relay/route"
)

// Cluster is how this node finds the others of its cluster, and they it.
type Cluster struct {
	// Address on which the relay listens for other nodes; "" is a node by itself.
	Address Address `yaml:"address" reload:"restart"`
	// Advertise is the address by which other nodes reach the relay, host:port; "" is the host's name and the port of Address.
	Advertise string `yaml:"advertise" reload:"restart"`
	// Region that the node stands in; "" is what its certificate says.
	Region string `yaml:"region" reload:"restart"`
	// PublicURL is where viewers reach this node; "" keeps it out of routing.
	PublicURL string `yaml:"public_url" reload:"restart"`
	// Directory has the certificates: ca.pem, node.pem and node.key.
	Directory string `yaml:"directory" reload:"restart"`
	// Development has the node make the certificates by itself.
	Development bool `yaml:"development" reload:"restart"`
	// Core lists the core nodes' addresses for NATS routes, this node's among them. With any, this node is a core node.
	Core []string `yaml:"core" reload:"restart"`
	// ListenNATS is where a core node listens for the others.
	ListenNATS Address `yaml:"listen_nats" reload:"restart"`
	// ListenLeaf is where a core node listens for nodes that are none; "" is off.
	ListenLeaf Address `yaml:"listen_leaf" reload:"restart"`
	// LeafOf lists the core nodes' addresses for leaf nodes. With any, this node is not a core node.
	LeafOf []string `yaml:"leaf_of" reload:"restart"`
	// NATS lists the servers of the operator's own NATS. With any, the node runs none itself.
	NATS []string `yaml:"nats" reload:"restart"`
	// NATSCredentials is a file with credentials for those.
	NATSCredentials string `yaml:"nats_credentials" reload:"restart"`
}

// Relay is which streams are copied between nodes.
type Relay struct {
	// Idle is how long a stream is copied on after its last viewer left.
	Idle Duration `yaml:"idle" reload:"live" range:"5s 1h"`
	// Prefetch are patterns of streams that are copied without viewers.
	Prefetch []string `yaml:"prefetch" reload:"live"`
	// MaxCopies is how many streams of other nodes this one holds at once.
	MaxCopies int `yaml:"max_copies" reload:"live" range:"1 100000"`
	// MaxPeers is how many copies other nodes may make from this one at once, each of one stream.
	MaxPeers int `yaml:"max_peers" reload:"live" range:"1 100000"`
	// Push lists the relays that cannot reach this node, and to which it keeps connections therefore, host:port.
	Push []string `yaml:"push" reload:"restart"`
	// Regions that may have streams for which Policies say nothing; none is all.
	Regions []string `yaml:"regions" reload:"new-stream"`
	// Policies say which regions may have which streams.
	Policies []Policy `yaml:"policies" reload:"new-stream"`
}

// Policy is where streams may be copied to.
type Policy struct {
	// Stream is a pattern of names.
	Stream string `yaml:"stream"`
	// Regions that may have them.
	Regions []string `yaml:"regions"`
}

// Routing is how viewers are sent to the nearest node.
type Routing struct {
	// Redirect answers the request for a stream's playlist with a redirect where another region is nearer.
	Redirect bool `yaml:"redirect" reload:"live"`
	// CountryHeader is the request header in which a CDN tells the viewer's country; "" is none.
	CountryHeader string `yaml:"country_header" reload:"live"`
	// Countries say which region is nearest to which country.
	Countries []CountryRegion `yaml:"countries" reload:"live"`
	// Fallback lists regions in the order in which to try them for all others.
	Fallback []string `yaml:"fallback" reload:"live"`
}

// CountryRegion gives a country's viewers a region.
type CountryRegion struct {
	// Country as two capital letters (ISO 3166-1), a continent such as europe, or "*" for all others.
	Country string `yaml:"country"`
	// Region that is nearest to it.
	Region string `yaml:"region"`
}

// Clustered tells whether the node is one of several.
func (c *Config) Clustered() bool { return c.Cluster.Address != "" }

// RegionsOf lists the regions that may have a stream: those of the first policy whose pattern fits. None is all.
func (c *Config) RegionsOf(stream string) []string {
	for _, p := range c.Relay.Policies {
		if ok, err := path.Match(p.Stream, stream); err == nil && ok {
			return p.Regions
		}
	}
	return c.Relay.Regions
}

// Places maps countries, continents and "*" to the nearest region.
func (c *Config) Places() map[string]string {
	places := make(map[string]string, len(c.Routing.Countries))
	for _, e := range c.Routing.Countries {
		places[e.Country] = e.Region
	}
	return places
}

// label is how nodes and regions are called: what a host name may have in it.
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// ValidLabel tells why a text cannot be the name of a node or of a region; nil when it can.
func ValidLabel(s string) error {
	if !label.MatchString(s) {
		return fmt.Errorf("%q is not made of 1 to 63 small letters, digits and hyphens, such as eu-west", clip(s))
	}
	return nil
}

// validateCluster checks what ties nodes together.
func (l *loader) validateCluster(c *Config) {
	one := func(key string, err error) {
		if err != nil && !l.wrong[key] {
			l.mistake(l.places[key], key, "%v", err)
		}
	}
	each := func(key string, texts []string, check func(string) error) {
		for i, t := range texts {
			if err := check(t); err != nil {
				l.complain(fmt.Sprintf("%s[%d]", key, i+1), "%v", err)
			}
		}
	}
	optional := func(check func(string) error) func(string) error {
		return func(s string) error {
			if s == "" {
				return nil
			}
			return check(s)
		}
	}
	one("node.name", optional(ValidLabel)(c.Node.Name))
	one("cluster.region", optional(ValidLabel)(c.Cluster.Region))
	one("cluster.advertise", optional(dialable)(c.Cluster.Advertise))
	one("cluster.public_url", optional(publicURL)(c.Cluster.PublicURL))
	each("cluster.core", c.Cluster.Core, dialable)
	each("cluster.leaf_of", c.Cluster.LeafOf, dialable)
	for i, a := range c.Cluster.Core {
		if slices.Contains(c.Cluster.Core[:i], a) {
			l.complain(fmt.Sprintf("cluster.core[%d]", i+1), "%q is in the list already: each core node stands there once", clip(a))
		}
	}
	each("cluster.nats", c.Cluster.NATS, natsURL)
	each("relay.push", c.Relay.Push, dialable)
	each("relay.prefetch", c.Relay.Prefetch, streamPattern)
	each("relay.regions", c.Relay.Regions, ValidLabel)
	each("routing.fallback", c.Routing.Fallback, ValidLabel)
	for i, p := range c.Relay.Policies {
		item := fmt.Sprintf("relay.policies[%d]", i+1)
		if err := streamPattern(p.Stream); err != nil {
			l.complain(item+".stream", "%v", err)
		}
		if len(p.Regions) == 0 {
			l.complain(item+".regions", "has nothing in it: name the regions that may have the stream")
		}
		each(item+".regions", p.Regions, ValidLabel)
	}
	for i, e := range c.Routing.Countries {
		item := fmt.Sprintf("routing.countries[%d]", i+1)
		if err := route.ValidPlace(e.Country); err != nil {
			l.complain(item+".country", "%v", err)
		}
		if slices.ContainsFunc(c.Routing.Countries[:i], func(o CountryRegion) bool { return o.Country == e.Country }) {
			l.complain(item+".country", "%q has an entry before this one: take one of them out", clip(e.Country))
		}
		if err := ValidLabel(e.Region); err != nil {
			l.complain(item+".region", "%v", err)
		}
	}
	if h := c.Routing.CountryHeader; h != "" && !headerName.MatchString(h) {
		one("routing.country_header", fmt.Errorf("%q is not the name of a header, such as CF-IPCountry", clip(h)))
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// dialable wants a host and a port.
func dialable(s string) error {
	host, port, err := net.SplitHostPort(s)
	n, bad := strconv.Atoi(port)
	if err != nil || bad != nil || n < 1 || n > 65535 || host == "" || !validHost(host) {
		return fmt.Errorf("%q is not an address that other nodes can reach: write HOST:PORT", clip(s))
	}
	return nil
}

// publicURL wants the beginning of an address on the web.
func publicURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(s, "/") {
		return fmt.Errorf("%q is not the address of this node for viewers: write https://HOST, without a slash at its end", clip(s))
	}
	return nil
}

// natsURL wants the address of a NATS server.
func natsURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Host == "" || u.Path != "" {
		return fmt.Errorf("%q is not a NATS server: write nats://HOST:4222 or tls://HOST:4222", clip(s))
	}
	return nil
}

// streamPattern wants a stream's name, with * and ? in the place of what may differ.
func streamPattern(s string) error {
	plain := strings.NewReplacer("*", "x", "?", "x").Replace(s)
	if err := auth.ValidName(plain); err != nil {
		return fmt.Errorf("%q cannot be used: write a stream's name, with * for any characters and ? for any one, such as show-*", clip(s))
	}
	return nil
}
