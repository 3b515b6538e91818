package node

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/front"
	"pushcart/internal/front/certs"
	"pushcart/packager/hls"
)

// certificatesFolder in the data folder has what an authority on the net gave, and the keys.
const certificatesFolder = "acme"

// openFront makes the node's edge towards viewers, and the source of its TLS certificate.
func (n *Node) openFront(cfg *config.Config) error {
	var err error
	n.front, err = front.New(front.Options{Registerer: n.reg, Log: n.log, ClientCA: cfg.HTTP.CDNClientCA != ""}, frontSettings(cfg))
	if err != nil {
		return err
	}
	n.certs = certs.New(certs.Options{
		Files: func() (string, string) {
			c := n.cfg.Load().TLS
			return c.Certificate, c.Key
		},
		Domains: cfg.ACME.Domains, Email: cfg.ACME.Email, Directory: cfg.ACME.Directory, Root: cfg.ACME.Root,
		Storage: n.data.path(certificatesFolder), Registerer: n.reg, Log: n.log,
	})
	return nil
}

// frontSettings are what the edge is told of the configuration.
func frontSettings(c *config.Config) front.Settings {
	s := front.Settings{
		CountryHeader:  c.Routing.CountryHeader,
		MaxConnections: c.HTTP.MaxConnections, MaxConnectionsPerAddress: c.HTTP.MaxConnectionsPerAddress,
		HandshakeTimeout: time.Duration(c.HTTP.HeaderTimeout),
		AllowedOrigins:   c.HTTP.AllowedOrigins, HSTS: time.Duration(c.HTTP.HSTS),
	}
	for _, text := range c.HTTP.TrustedProxies {
		// What cannot be read was refused when the configuration was.
		if network, err := config.ParseNetwork(text); err == nil {
			s.TrustedProxies = append(s.TrustedProxies, network)
		}
	}
	for _, secret := range c.HTTP.CDNSecrets {
		s.CDNSecrets = append(s.CDNSecrets, string(secret))
	}
	return s
}

// serverFor makes the server for viewers around what answers them.
func (n *Node) serverFor(cfg *config.Config, handler http.Handler) *http.Server {
	return n.front.Server(front.ServerOptions{
		Handler:       handler,
		HeaderTimeout: time.Duration(cfg.HTTP.HeaderTimeout), IdleTimeout: time.Duration(cfg.HTTP.IdleTimeout),
		WriteTimeout: hls.WriteTimeout, MaxHeaderBytes: int(cfg.HTTP.MaxHeaderSize), ConnContext: hls.GatherContext,
	})
}

// serveViewers adapts the server for viewers to a service. secure is nil for clear text.
func (n *Node) serveViewers(s *http.Server, secure *tls.Config) func(context.Context, net.Listener) error {
	return func(ctx context.Context, l net.Listener) error {
		if secure != nil {
			return serveHTTP(ctx, s, n.front.TLSListener(l, secure))
		}
		return serveHTTP(ctx, s, hls.GatherListener(n.front.Listener(l)))
	}
}

// viewerTLS is the TLS configuration of the listener for viewers.
func (n *Node) viewerTLS(cfg *config.Config) (*tls.Config, error) {
	secure, err := n.certs.Config("h2", "http/1.1")
	if err == nil && cfg.HTTP.CDNClientCA != "" {
		err = front.TrustClients(secure, cfg.HTTP.CDNClientCA)
	}
	return secure, err
}

// openACME listens for the authority that gives the certificate, and begins to look after that. The other listeners are open.
func (n *Node) openACME(cfg *config.Config) error {
	if len(cfg.ACME.Domains) == 0 {
		return nil
	}
	if a := string(cfg.ACME.HTTPAddress); a != "" {
		port := 443
		if at, err := netip.ParseAddrPort(addressText(n.Address("https"))); err == nil {
			port = int(at.Port())
		}
		s := &http.Server{
			Handler: n.certs.Challenge(n.front.ToTLS(port)), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second,
			IdleTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10, ConnState: n.front.ConnState,
			ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
		}
		if err := n.listen("acme", a, func(ctx context.Context, l net.Listener) error {
			return serveHTTP(ctx, s, n.front.Listener(l))
		}); err != nil {
			return err
		}
	}
	return n.certs.Open(n.Address("https"), n.Address("acme"))
}

// addressText is an address as text; "" for none.
func addressText(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}
