package directory

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// maxPayload of a NATS message on servers of our own, in bytes.
	maxPayload = 8 << 20
	// Most memory and disk that JetStream takes on a core node.
	maxMemory = 256 << 20
	maxStore  = 1 << 30
	// startWithin is how long a server may take to be up by itself, without any other.
	startWithin = 20 * time.Second
)

// embed starts this node's NATS server. It returns when the server is up, whether others are there or not.
func embed(o *Options) (*server.Server, error) {
	settings := &server.Options{
		ServerName: o.Self.Name,
		NoSigs:     true,
		DontListen: o.Listen == "",
		MaxPayload: maxPayload,
		// A link that died in silence is noticed within fifteen seconds.
		PingInterval:           5 * time.Second,
		MaxPingsOut:            2,
		WriteDeadline:          5 * time.Second,
		DisableJetStreamBanner: true,
		// A core node that is away is told of once, and then at each six hundredth try.
		ConnectErrorReports: 600, ReconnectErrorReports: 600,
		StoreDir:           o.Dir,
		JetStream:          o.Mode == Core,
		JetStreamMaxMemory: maxMemory,
		JetStreamMaxStore:  maxStore,
	}
	if err := listenOn(o.Listen, &settings.Host, &settings.Port); err != nil {
		return nil, err
	}
	if o.TLS != nil {
		settings.TLSConfig, settings.TLS, settings.TLSVerify = o.TLS.Clone(), true, true
		settings.TLSTimeout = 5
	}
	if o.Mode == Core && len(o.Cores) > 1 {
		if err := cluster(o, settings); err != nil {
			return nil, err
		}
	}
	if err := leaves(o, settings); err != nil {
		return nil, err
	}
	if settings.Cluster.Port != 0 && o.Listen == "" {
		// Routes wait for the listener of clients, and there is none with DontListen. So there is one for nobody: on loopback,
		// at any port, and the guard turns away who comes.
		settings.DontListen, settings.Host, settings.Port = false, "127.0.0.1", -1
	}
	settings.CustomClientAuthentication = guard{open: o.Listen != ""}
	s, err := server.NewServer(settings)
	if err != nil {
		return nil, fmt.Errorf("start the node's NATS server: %w", err)
	}
	notes := &serverLog{log: o.Log, fatal: make(chan string, 1)}
	s.SetLoggerV2(notes, false, false, false)
	s.Start()
	for end := time.Now().Add(startWithin); !s.ReadyForConnections(50 * time.Millisecond); {
		why := ""
		select {
		case why = <-notes.fatal:
		default:
			if time.Now().Before(end) {
				continue
			}
			why = "it is not up after " + startWithin.String()
		}
		s.Shutdown()
		return nil, fmt.Errorf("the directory's NATS server cannot start: %s (its folder is %q, it listens at cluster.listen_nats %q and cluster.listen_leaf %q)",
			why, o.Dir, o.Cluster, o.Leaf)
	}
	return s, nil
}

// guard lets clients of this process in, and others only where they are expected: they come over TLS then, if there is any.
type guard struct{ open bool }

// Check implements server.Authentication.
func (g guard) Check(c server.ClientAuthentication) bool {
	if c.Kind() == server.LEAF {
		return true // they have an address of their own, and come with a certificate of the cluster
	}
	a := c.RemoteAddress()
	return g.open || a != nil && a.Network() == "pipe"
}

// cluster sets up the routes among core nodes.
func cluster(o *Options, settings *server.Options) error {
	settings.Cluster = server.ClusterOpts{
		Name: "pushcart", NoAdvertise: true, Advertise: o.advertise,
		// One connection for each pair is enough for what the directory carries.
		PoolSize: 1, PingInterval: 3 * time.Second, MaxPingsOut: 2, WriteDeadline: 5 * time.Second,
	}
	if err := listenOn(o.Cluster, &settings.Cluster.Host, &settings.Cluster.Port); err != nil {
		return err
	}
	if o.TLS != nil {
		settings.Cluster.TLSConfig = o.TLS.Clone()
		settings.Cluster.TLSTimeout = 5
	}
	for _, a := range o.Cores {
		settings.Routes = append(settings.Routes, &url.URL{Scheme: "nats-route", Host: a})
	}
	return nil
}

// leaves sets up the connections between leaf nodes and core nodes, on either side.
func leaves(o *Options, settings *server.Options) error {
	settings.LeafNode.ReconnectInterval = time.Second
	// Leaf nodes have no JetStream of their own, and use that of the core nodes as if they were one of them. Without this both
	// sides keep its subjects from crossing.
	settings.JsAccDefaultDomain = map[string]string{"$G": ""}
	settings.LeafNode.WriteDeadline = 5 * time.Second
	if o.Mode == Core && o.Leaf != "" {
		if err := listenOn(o.Leaf, &settings.LeafNode.Host, &settings.LeafNode.Port); err != nil {
			return err
		}
		settings.LeafNode.NoAdvertise = true
		if o.TLS != nil {
			settings.LeafNode.TLSConfig = o.TLS.Clone()
			settings.LeafNode.TLSTimeout = 5
		}
	}
	if o.Mode != Leaf {
		return nil
	}
	remote := &server.RemoteLeafOpts{DialTimeout: 3 * time.Second}
	for _, a := range o.URLs {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("cluster.leaf_of: %q is not an address: write host:port", a)
		}
		remote.URLs = append(remote.URLs, &url.URL{Scheme: "nats-leaf", Host: a})
	}
	if o.TLS != nil {
		remote.TLS, remote.TLSConfig, remote.TLSTimeout = true, o.TLS.Clone(), 5
	}
	settings.LeafNode.Remotes = []*server.RemoteLeafOpts{remote}
	return nil
}

// anyHost is the host that stands for all addresses of this machine, which the server takes for those of IPv4 if it is left out.
var anyHost = sync.OnceValue(func() string {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return "0.0.0.0"
	}
	_ = l.Close()
	return "::" // IPv4 as well
})

// listenOn splits an address for the server; port 0 is any free one, which the server writes as -1.
func listenOn(address string, host *string, port *int) error {
	if address == "" {
		return nil
	}
	h, p, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address: write host:port", address)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return fmt.Errorf("%q has no port number", address)
	}
	if h == "" {
		h = anyHost()
	}
	*host, *port = h, int(n)
	if n == 0 {
		*port = -1
	}
	return nil
}

// reachable says how many core nodes there are for this one, for the log while it waits for them.
func (d *Directory) reachable() string {
	switch {
	case d.opts.Mode == External:
		return "the operator's NATS is " + strings.ToLower(d.nc.Status().String())
	case d.opts.Mode == Leaf:
		return fmt.Sprintf("connections to core nodes: %d", d.server.NumLeafNodes())
	default:
		all := max(len(d.opts.Cores), 1)
		return fmt.Sprintf("%d of %d reachable", min(d.cores(), all), all)
	}
}

// cores counts the core nodes that are connected to this one, itself among them.
func (d *Directory) cores() int {
	if d.server == nil {
		return 0
	}
	return 1 + d.server.NumRemotes()
}
