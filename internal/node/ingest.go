package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"pushcart/ingest"
	"pushcart/ingest/pull"
	"pushcart/ingest/rtmp"
	"pushcart/ingest/rtsp"
	"pushcart/ingest/srt"
	"pushcart/ingest/whip"
	"pushcart/internal/config"
	"pushcart/internal/stream"
)

// sourcesFile in the data folder has the sources that were added to a running node.
const sourcesFile = "sources.json"

// firstAudio is the number of the first audio track of a publisher.
const firstAudio = 100

// openIngest makes the door, the servers of all protocols by which publishers come in, and what fetches streams.
func (n *Node) openIngest(cfg *config.Config) error {
	n.openAuthority()
	opt := ingest.Options{
		Hub: n.hub, Authority: n.authority, Metrics: ingest.NewMetrics(n.reg), Log: n.log,
		Settings:    func() ingest.Settings { return doorSettings(n.cfg.Load()) },
		Deliverable: n.deliverable,
		Label: func(name string, t *stream.Track) (language, label string) {
			language, label, _ = n.cfg.Load().AudioLabel(name, t.ID-firstAudio+1)
			return language, label
		},
	}
	if c := n.cluster; c != nil {
		opt.Claim, opt.Promoted, opt.Node = c.claim, c.promoted, c.trust.Identity().Name
	}
	if n.joins != nil {
		opt.Journey = n.joins.follow
	}
	n.door = ingest.NewDoor(opt)
	door := pull.NewDoor(n.door)
	for _, open := range []func(*config.Config, *pull.Door) error{n.openRTMP, n.openRTSP, n.openSRT, n.openWHIP, n.openPull} {
		if err := open(cfg, door); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openRTMP(cfg *config.Config, door *pull.Door) error {
	opt := rtmp.Options{Door: door, Limits: func() rtmp.Limits { return rtmpLimits(n.cfg.Load()) }, Log: n.log, Registerer: n.reg}
	if a := string(cfg.RTMP.Address); a != "" {
		if err := n.listenRTMP("rtmp", a, opt); err != nil {
			return err
		}
	}
	if a := string(cfg.RTMP.TLSAddress); a != "" {
		secure, err := n.certs.Config()
		if err != nil {
			return err
		}
		opt.TLS = secure
		return n.listenRTMP("rtmps", a, opt)
	}
	return nil
}

func (n *Node) listenRTMP(name, address string, opt rtmp.Options) error {
	s, err := rtmp.NewServer(opt)
	if err != nil {
		return fmt.Errorf("set up %s: %w", name, err)
	}
	return n.listen(name, address, s.Serve)
}

func rtmpLimits(c *config.Config) rtmp.Limits {
	return rtmp.Limits{
		HandshakeTimeout:         time.Duration(c.RTMP.HandshakeTimeout),
		IdleTimeout:              time.Duration(c.RTMP.IdleTimeout),
		MaxConnections:           c.RTMP.MaxConnections,
		MaxConnectionsPerAddress: c.RTMP.MaxConnectionsPerAddress,
		MaxMessageSize:           int(c.RTMP.MaxMessageSize),
		MaxBitrate:               int(c.RTMP.MaxBitrate),
	}
}

// server is one that opens its sockets itself.
type server interface {
	Run(context.Context) error
	Close() error
}

// run adds a server with its addresses, by name; those that are nil are off. The first of the others stands for the server.
func (n *Node) run(s server, names []string, addresses ...net.Addr) {
	added := service{ingest: true, serve: s.Run, close: s.Close}
	for i, a := range addresses {
		if a != nil {
			added.name, added.address = names[i], a
			n.services = append(n.services, added)
			added.serve, added.close = nil, nil
		}
	}
}

func (n *Node) openRTSP(cfg *config.Config, door *pull.Door) error {
	opt := rtsp.Options{
		Door: door, Address: string(cfg.RTSP.Address), UDPAddress: string(cfg.RTSP.UDPAddress),
		Limits: func() rtsp.Limits { return rtspLimits(n.cfg.Load()) }, Log: n.log, Registerer: n.reg,
		Listen: n.upgrade.sockets.Listen("rtsp"), ListenPacket: n.upgrade.sockets.ListenPacket("rtsp-udp"),
	}
	if opt.Address != "" {
		s, err := rtsp.NewServer(opt)
		if err != nil {
			return portTaken("rtsp", err)
		}
		n.run(s, []string{"rtsp", "rtsp-udp"}, s.Addr(), s.AddrUDP())
	}
	if a := string(cfg.RTSP.TLSAddress); a != "" {
		secure, err := n.certs.Config()
		if err != nil {
			return err
		}
		opt.Address, opt.UDPAddress, opt.TLS, opt.Listen = a, "", secure, n.upgrade.sockets.Listen("rtsps")
		s, err := rtsp.NewServer(opt)
		if err != nil {
			return portTaken("rtsps", err)
		}
		n.run(s, []string{"rtsps"}, s.Addr())
	}
	return nil
}

func rtspLimits(c *config.Config) rtsp.Limits {
	return rtsp.Limits{
		HandshakeTimeout:         time.Duration(c.RTSP.HandshakeTimeout),
		IdleTimeout:              time.Duration(c.RTSP.IdleTimeout),
		MaxConnections:           c.RTSP.MaxConnections,
		MaxConnectionsPerAddress: c.RTSP.MaxConnectionsPerAddress,
		MaxBitrate:               int(c.RTSP.MaxBitrate),
	}
}

func (n *Node) openSRT(cfg *config.Config, door *pull.Door) error {
	if cfg.SRT.Address == "" {
		return nil
	}
	s, err := srt.NewServer(srt.Options{
		Door: door, Address: string(cfg.SRT.Address), Passphrase: string(cfg.SRT.Passphrase), Latency: time.Duration(cfg.SRT.Latency),
		Limits: func() srt.Limits { return srtLimits(n.cfg.Load()) }, Log: n.log, Registerer: n.reg,
		ListenPacket: n.upgrade.sockets.ListenPacket("srt"),
	})
	if err != nil {
		return portTaken("srt", err)
	}
	n.run(s, []string{"srt"}, s.Addr())
	return nil
}

func srtLimits(c *config.Config) srt.Limits {
	return srt.Limits{
		HandshakeTimeout:         time.Duration(c.SRT.HandshakeTimeout),
		IdleTimeout:              time.Duration(c.SRT.IdleTimeout),
		MaxConnections:           c.SRT.MaxConnections,
		MaxConnectionsPerAddress: c.SRT.MaxConnectionsPerAddress,
		MaxBitrate:               int(c.SRT.MaxBitrate),
	}
}

func (n *Node) openWHIP(cfg *config.Config, door *pull.Door) error {
	if cfg.WHIP.UDPAddress == "" && cfg.WHIP.TCPAddress == "" {
		return nil
	}
	s, err := whip.NewServer(whip.Options{
		Door: door, UDPAddress: string(cfg.WHIP.UDPAddress), TCPAddress: string(cfg.WHIP.TCPAddress),
		PublicAddresses:  func() []string { return n.cfg.Load().WHIP.PublicAddresses },
		ICEServers:       func() []whip.ICEServer { return iceServers(n.cfg.Load()) },
		Deliverable:      n.deliverable,
		KeyframeInterval: func() time.Duration { return time.Duration(n.cfg.Load().HLS.SegmentDuration) },
		Limits:           func() whip.Limits { return whipLimits(n.cfg.Load()) }, Log: n.log, Registerer: n.reg,
		Listen: n.upgrade.sockets.Listen("whip-tcp"), ListenPacket: n.upgrade.sockets.ListenPacket("whip-udp"),
	})
	if err != nil {
		return portTaken("whip", err)
	}
	n.whip = s.Register
	n.run(s, []string{"whip-udp", "whip-tcp"}, s.AddrUDP(), s.AddrTCP())
	return nil
}

func iceServers(c *config.Config) []whip.ICEServer {
	out := make([]whip.ICEServer, len(c.WHIP.ICEServers))
	for i, s := range c.WHIP.ICEServers {
		out[i] = whip.ICEServer{URL: s.URL, Username: s.Username, Credential: string(s.Credential)}
	}
	return out
}

func whipLimits(c *config.Config) whip.Limits {
	return whip.Limits{
		MaxSessions:           c.WHIP.MaxSessions,
		MaxSessionsPerAddress: c.WHIP.MaxSessionsPerAddress,
		ConnectTimeout:        time.Duration(c.WHIP.SetupTimeout),
		MediaTimeout:          time.Duration(c.WHIP.SetupTimeout),
		IdleTimeout:           time.Duration(c.WHIP.IdleTimeout),
		JitterBuffer:          time.Duration(c.WHIP.JitterBuffer),
		MaxBitrate:            int(c.WHIP.MaxBitrate),
	}
}

// openPull makes what fetches streams.
func (n *Node) openPull(cfg *config.Config, door *pull.Door) error {
	overRTSP, err := rtsp.NewClient(rtsp.ClientOptions{
		Door: door, Limits: func() rtsp.Limits { return rtspLimits(n.cfg.Load()) }, Log: n.log, Registerer: n.reg,
	})
	if err != nil {
		return fmt.Errorf("set up pulling over RTSP: %w", err)
	}
	overSRT, err := srt.NewClient(srt.Options{
		Door: door, Latency: time.Duration(cfg.SRT.Latency),
		Limits: func() srt.Limits { return srtLimits(n.cfg.Load()) }, Log: n.log, Registerer: n.reg,
	})
	if err != nil {
		return fmt.Errorf("set up pulling over SRT: %w", err)
	}
	n.pulls = pull.New(pull.Options{
		Door: door, Pullers: map[string]ingest.Puller{"rtsp": overRTSP, "rtsps": overRTSP, "srt": overSRT},
		File: n.data.path(sourcesFile), Viewers: func(s string) int { return n.registry.Viewers(s, time.Now()) },
		Idle: func() time.Duration { return time.Duration(n.cfg.Load().Pull.Idle) }, Log: n.log, Registerer: n.reg,
	})
	n.pulls.Configure(cfg.Sources())
	return nil
}

// registerWHIP mounts the endpoint of WebRTC, where there is one.
func (n *Node) registerWHIP(mux *http.ServeMux) {
	if n.whip != nil {
		n.whip(mux)
	}
}
