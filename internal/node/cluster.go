package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/stream"
	"pushcart/packager"
	"pushcart/relay"
	"pushcart/relay/directory"
	"pushcart/relay/route"
	"pushcart/relay/trust"
)

// cluster is what ties this node to others. A node by itself has none.
type cluster struct {
	n          *Node
	trust      *trust.Credentials
	directory  *directory.Directory
	manager    *relay.Manager
	server     *relay.Server
	reverse    *relay.ReversePool
	pusher     *relay.Pusher // nil where all nodes can reach this one
	congestion *relay.Congestion

	spread  *spread
	router  *route.Router
	view    route.ClusterOptions
	meter   meter
	posters *posters

	gates gates

	// handing is held while a stream goes from being this node's to being a copy, and when a claim is settled. Taken before mu, and
	// before the locks of the hub and of the relay.
	handing sync.Mutex

	mu     sync.Mutex // guards what follows
	claims map[string]*claim
	moved  map[string]movedTo
	// coming are streams that this node is about to claim, or to take over; the channel is closed when that is settled.
	coming map[string]chan struct{}
	// handed counts why a stream is about to be this node's, or a copy, while its presentation goes from one to the other.
	handed map[string]int
	// prepared are streams without an origin whose desk here is up to date.
	prepared map[string]*prepared
	// strays are streams that began when their claim was another node's already, until they are sent away.
	strays map[*stream.Stream]*packager.Packager
	left   bool // the node stops
}

func newCluster(n *Node) *cluster {
	return &cluster{
		n: n, gates: gates{seed: maphash.MakeSeed()}, spread: newSpread(), claims: map[string]*claim{}, moved: map[string]movedTo{},
		coming: map[string]chan struct{}{}, handed: map[string]int{}, prepared: map[string]*prepared{}, strays: map[*stream.Stream]*packager.Packager{},
	}
}

// directoryFolder in the data folder has what the directory keeps on disk.
const directoryFolder = "directory"

// nodeName is what the node is called where its operator gives no name: the host, as far as that makes a name.
func nodeName(cfg *config.Config) string {
	if cfg.Node.Name != "" {
		return cfg.Node.Name
	}
	host, err := os.Hostname()
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	if err != nil || config.ValidLabel(host) != nil {
		return "pushcart"
	}
	return host
}

// open makes what the relay needs, and opens its listener.
func (c *cluster) open(cfg *config.Config) error {
	c.congestion = relay.NewCongestion(c.n.log, c.n.reg)
	listen := net.ListenConfig{Control: c.congestion.Control}
	l, err := listen.Listen(context.Background(), "tcp", string(cfg.Cluster.Address))
	if err != nil {
		return portTaken("relay", err)
	}
	if err := c.openDirectory(cfg, l.Addr()); err != nil {
		l.Close()
		return err
	}
	c.openRelay(cfg)
	c.openRouting()
	c.posters = newPosters(c)
	c.n.services = append(c.n.services, service{
		name: "relay", address: l.Addr(), close: func() error { c.directory.Close(); return l.Close() },
		serve: func(ctx context.Context) error { return c.serve(ctx, l) },
	})
	return nil
}

// openTrust reads the node's certificate, or makes it.
func (c *cluster) openTrust(cfg *config.Config) error {
	opt := trust.Options{Name: cfg.Node.Name, Region: cfg.Cluster.Region, Log: c.n.log, Registerer: c.n.reg}
	var err error
	if cfg.Cluster.Development {
		region := cfg.Cluster.Region
		if region == "" {
			region = "local"
		}
		opt.Name, opt.Region = nodeName(cfg), region
		c.trust, err = trust.Development(cfg.Cluster.Directory, opt.Name, region, opt)
	} else {
		c.trust, err = trust.Open(cfg.Cluster.Directory, opt)
	}
	if err != nil {
		return fmt.Errorf("cluster.directory: %w", err)
	}
	return nil
}

// openDirectory makes the node's place in the directory.
func (c *cluster) openDirectory(cfg *config.Config, at net.Addr) error {
	id := c.trust.Identity()
	opt := directory.Options{
		Self: relay.Peer{
			Name: id.Name, Region: id.Region, Address: advertised(cfg, at), URL: cfg.Cluster.PublicURL,
			Version: c.n.opt.Version, Started: time.Now(), Keys: string(c.n.signingKeys),
		},
		TLS: c.trust.NATSTLS(), Dir: c.n.data.path(directoryFolder),
		Load: c.load, Held: c.held, Superseded: c.superseded,
		Log: c.n.log, Registerer: c.n.reg,
	}
	switch s := cfg.Cluster; {
	case len(s.NATS) > 0:
		opt.Mode, opt.URLs, opt.Credentials, opt.TLS = directory.External, s.NATS, s.NATSCredentials, nil
		if slices.ContainsFunc(s.NATS, func(u string) bool { return strings.HasPrefix(u, "tls:") }) {
			opt.TLS = &tls.Config{MinVersion: tls.VersionTLS12} // the operator's servers have certificates of their own
		}
	case len(s.LeafOf) > 0:
		opt.Mode, opt.URLs = directory.Leaf, s.LeafOf
	default:
		opt.Mode, opt.Cores, opt.Cluster, opt.Leaf = directory.Core, s.Core, string(s.ListenNATS), string(s.ListenLeaf)
		if len(s.Core) < 2 {
			opt.Cluster = ""
		}
	}
	var err error
	if c.directory, err = directory.Open(opt); err != nil {
		return fmt.Errorf("open the directory: %w", err)
	}
	return nil
}

// openRelay makes both sides of the relay.
func (c *cluster) openRelay(cfg *config.Config) {
	n := c.n
	c.reverse = relay.NewReversePool(relay.ReverseOptions{Identify: c.identify, Log: n.log, Registerer: n.reg})
	c.manager = relay.NewManager(relay.ManagerOptions{
		Directory: c.directory,
		Dial:      func(ctx context.Context, p relay.Peer) (net.Conn, error) { return c.dial(ctx, p.Address, p.Name) },
		Token:     c.token,
		Added:     n.registry.Add, Removed: n.registry.Remove, Own: c.own,
		Viewers: func(stream string) int { return n.registry.Viewers(stream, time.Now()) },
		Peers:   func(stream string) int { return c.server.Peers(stream) },
		Cards:   func(stream string) relay.CardSink { return copiedCards{c, stream} },
		Settings: func() relay.Settings {
			s := n.cfg.Load()
			return relay.Settings{
				Idle: time.Duration(s.Relay.Idle), Prefetch: s.Relay.Prefetch, MaxCopies: s.Relay.MaxCopies, Keep: lingers(s),
			}
		},
		Reverse: c.reverse, Log: n.log, Registerer: n.reg,
	})
	c.server = relay.NewServer(relay.ServerOptions{
		Directory: c.directory, Identity: trust.Peer, Verify: c.verify,
		Presentation: n.registry.Get, Path: c.manager.Path, Incoming: c.manager.Incoming, Await: c.manager.Await,
		Cards: c.cards, Reverse: c.reverse,
		Limits: func() relay.Limits { return relay.Limits{MaxPeers: n.cfg.Load().Relay.MaxPeers} },
		Log:    n.log, Registerer: n.reg,
	})
	if len(cfg.Relay.Push) > 0 {
		c.pusher = relay.NewPusher(relay.PushOptions{
			Peers: cfg.Relay.Push, Handler: c.server, Log: n.log, Registerer: n.reg,
			Dial: func(ctx context.Context, peer string) (net.Conn, error) { return c.dial(ctx, peer, "") },
		})
	}
}

// dialTime is how long a connection to another node may take to be made.
const dialTime = 5 * time.Second

// dial makes a connection to another node's relay, and sees that it is that node: "" is any of the cluster.
func (c *cluster) dial(ctx context.Context, address, name string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	d := net.Dialer{Control: c.congestion.Control}
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, c.trust.ClientTLS(name))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// pepper makes publishers' credentials the same on all nodes.
func (c *cluster) pepper() []byte { return c.trust.Shared("credentials of publishers") }

// token is what this node shows for a stream that it copies.
func (c *cluster) token(e relay.Entry) (string, error) {
	return trust.Token(e.Secret, e.Stream, c.trust.Identity().Name, time.Now().Add(trust.TokenLife)), nil
}

// verify checks what another node shows for a stream.
func (c *cluster) verify(token, stream, node string) error {
	e, ok := c.directory.Lookup(stream)
	if !ok {
		return fmt.Errorf("the directory does not know the stream")
	}
	return trust.Verify(e.Secret, token, stream, node, time.Now())
}

// identify tells which node a request comes from.
func (c *cluster) identify(r *http.Request) (string, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return "", errors.New("no certificate")
	}
	name, _, err := trust.Peer(r.TLS.PeerCertificates[0])
	return name, err
}

// serve runs all of it until ctx ends.
func (c *cluster) serve(ctx context.Context, l net.Listener) error {
	var running sync.WaitGroup
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	running.Go(func() { c.trust.Run(inner) })
	running.Go(func() { c.directory.Run(inner) })
	running.Go(func() { c.manager.Run(inner) })
	running.Go(func() { c.spreadCards(inner) })
	if c.pusher != nil {
		running.Go(func() { c.pusher.Run(inner) })
	}
	s := &http.Server{
		Handler: c.relayHandler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(c.n.log.Handler(), slog.LevelDebug), Protocols: onlyHTTP1(),
	}
	bounds := newStrangers(c.n.strangers, "relay", mostStrangers, mostStrangersOfAddress, false)
	s.ConnState = bounds.ConnState
	done := make(chan error, 1)
	go func() {
		done <- s.Serve(bounds.listen(tls.NewListener(c.congestion.Listener(l), c.trust.ServerTLS("http/1.1"))))
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		// Peers are told to go elsewhere; what they were given until then arrives.
		c.server.Close()
		s.Close()
		<-done
	}
	stop()
	running.Wait()
	c.posters.client.CloseIdleConnections()
	c.reverse.Close()
	c.directory.Close()
	return err
}

// onlyHTTP1: a rendition has a connection of its own, so that none of them waits for another's lost packets.
func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// advertised is the address by which other nodes are to reach the relay.
func advertised(cfg *config.Config, at net.Addr) string {
	if a := cfg.Cluster.Advertise; a != "" {
		return a
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return at.String()
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return at.String()
	}
	name, err := os.Hostname()
	if err != nil {
		name = host
	}
	return net.JoinHostPort(name, port)
}
