package config

import (
	"log/slog"
	"time"

	"pushcart/internal/auth"
)

// Config is all settings of a node.
//
// Tags: yaml is the key; reload says when a changed value takes effect (see Class); range, on numbers, has the lowest and
// the highest value allowed, "0|" before it that zero is allowed as well; oneof has the words allowed.
type Config struct {
	Log      Log      `yaml:"log"`
	RTMP     RTMP     `yaml:"rtmp"`
	RTSP     RTSP     `yaml:"rtsp"`
	SRT      SRT      `yaml:"srt"`
	WHIP     WHIP     `yaml:"whip"`
	Pull     Pull     `yaml:"pull"`
	HTTP     HTTP     `yaml:"http"`
	TLS      TLS      `yaml:"tls"`
	ACME     ACME     `yaml:"acme"`
	Admin    Admin    `yaml:"admin"`
	Publish  Publish  `yaml:"publish"`
	Callback Callback `yaml:"callback"`
	JWT      JWT      `yaml:"jwt"`
	Playback Playback `yaml:"playback"`
	HLS      HLS      `yaml:"hls"`
	Ladder   Ladder   `yaml:"ladder"`
	Cards    Cards    `yaml:"cards"`
	Studio   Studio   `yaml:"studio"`
	Node     Node     `yaml:"node"`
	Cluster  Cluster  `yaml:"cluster"`
	Relay    Relay    `yaml:"relay"`
	Routing  Routing  `yaml:"routing"`
	Drain    Drain    `yaml:"drain"`
	Upgrade  Upgrade  `yaml:"upgrade"`
	Webhooks Webhooks `yaml:"webhooks"`
	Tracing  Tracing  `yaml:"tracing"`
	Data     Data     `yaml:"data"`
}

// Log says what is logged, on standard error.
type Log struct {
	// Level is the least severe level that is logged.
	Level Word `yaml:"level" reload:"live" oneof:"debug info warn error"`
	// Format of a line: text for people, json for machines.
	Format Word `yaml:"format" reload:"restart" oneof:"text json"`
}

// RTMP is where and within which limits publishers come in.
type RTMP struct {
	// Address to listen on; "" is off.
	Address Address `yaml:"address" reload:"restart"`
	// TLSAddress to listen on for RTMPS; "" is off.
	TLSAddress Address `yaml:"tls_address" reload:"restart"`
	// HandshakeTimeout is how long a new connection may take for the handshake, and then again until it publishes.
	HandshakeTimeout Duration `yaml:"handshake_timeout" reload:"live" range:"1s 1m"`
	// IdleTimeout is how long a publisher may send nothing.
	IdleTimeout Duration `yaml:"idle_timeout" reload:"live" range:"1s 10m"`
	// MaxConnections is how many may be open at once.
	MaxConnections int `yaml:"max_connections" reload:"live" range:"1 1000000"`
	// MaxConnectionsPerAddress is how many may be open at once from one IP address.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address" reload:"live" range:"1 1000000"`
	// MaxMessageSize is the largest RTMP message, and so the largest frame.
	MaxMessageSize Size `yaml:"max_message_size" reload:"live" range:"64KiB 15MiB"`
	// MaxBitrate is the most that one publisher may send, over a few seconds.
	MaxBitrate Bitrate `yaml:"max_bitrate" reload:"live" range:"100kbps 1Gbps"`
}

// HTTP is where and within which limits viewers come in.
type HTTP struct {
	// Address to listen on; "" is off.
	Address Address `yaml:"address" reload:"restart"`
	// TLSAddress to listen on for HTTPS; "" is off.
	TLSAddress Address `yaml:"tls_address" reload:"restart"`
	// HeaderTimeout is how long a request may take to arrive.
	HeaderTimeout Duration `yaml:"header_timeout" reload:"restart" range:"1s 5m"`
	// MaxHeaderSize is the largest request header.
	MaxHeaderSize Size `yaml:"max_header_size" reload:"restart" range:"4KiB 1MiB"`
	// IdleTimeout is how long a connection stays open between requests.
	IdleTimeout Duration `yaml:"idle_timeout" reload:"restart" range:"1s 1h"`
	// MinReadRate is how many bytes a second a viewer has to take at least while a response is under way; 0 is any.
	MinReadRate Size `yaml:"min_read_rate" reload:"live" range:"0| 1KiB 10MiB"`
	// MaxConnections is how many may be open at once.
	MaxConnections int `yaml:"max_connections" reload:"live" range:"1 10000000"`
	// MaxConnectionsPerAddress is how many of them may come from one IP address.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address" reload:"live" range:"1 10000000"`
	// MaxWaitingPerAddress is how many requests of one IP address may wait at once for media that is still to come.
	MaxWaitingPerAddress int `yaml:"max_waiting_per_address" reload:"live" range:"1 10000000"`
	// TrustedProxies are addresses and networks of proxies that are believed whom they ask for.
	TrustedProxies []string `yaml:"trusted_proxies" reload:"live"`
	// CDNSecrets are what a CDN that is trusted sends in the header Pushcart-CDN.
	CDNSecrets []Secret `yaml:"cdn_secrets" reload:"live"`
	// CDNClientCA is a PEM file with the authority of certificates by which a CDN that is trusted is known; "" is none.
	CDNClientCA string `yaml:"cdn_client_ca" reload:"restart"`
	// AllowedOrigins are the sites whose pages may play and use the API; "*" is all.
	AllowedOrigins []string `yaml:"allowed_origins" reload:"live"`
	// HSTS is for how long browsers that came by TLS come by nothing else; 0 is off.
	HSTS Duration `yaml:"hsts" reload:"live" range:"0| 1m 17520h"`
}

// TLS is the certificate of all TLS listeners, in files that are read again when they change.
type TLS struct {
	// Certificate is a PEM file with the certificate and its chain; "" is none.
	Certificate string `yaml:"certificate" reload:"live"`
	// Key is a PEM file with the certificate's private key; "" is none.
	Key string `yaml:"key" reload:"live"`
}

// Admin is where the operator's side listens: metrics, health and profiles.
type Admin struct {
	// Address to listen on; "" is off.
	Address Address `yaml:"address" reload:"restart"`
}

// Publish says who may publish, and what happens when a publisher falters.
type Publish struct {
	// ReconnectWindow is how long a stream stays open for a publisher that went away.
	ReconnectWindow Duration `yaml:"reconnect_window" reload:"live" range:"0| 1s 1h"`
	// KeyframeTimeout is how long a publisher may send video without a keyframe.
	KeyframeTimeout Duration `yaml:"keyframe_timeout" reload:"live" range:"1s 5m"`
	// MaxStreams is how many streams there may be at once.
	MaxStreams int `yaml:"max_streams" reload:"live" range:"1 1000000"`
	// MaxDuration is how long a show may last; 0 is as long as it likes.
	MaxDuration Duration `yaml:"max_duration" reload:"live" range:"0| 1m 720h"`
	// GenerateKey makes a random key for any stream at start when Keys is empty, and prints it.
	GenerateKey bool `yaml:"generate_key" reload:"live"`
	// Keys are the stream keys. None leaves publishing open to loopback addresses only, unless GenerateKey is set.
	Keys []Key `yaml:"keys" reload:"live"`
	// Languages say what audio tracks are in, before what publishers say.
	Languages []Language `yaml:"languages" reload:"new-stream"`
}

// Key lets whoever has it publish.
type Key struct {
	// Stream is the name that the key is for, or "*" for any.
	Stream string `yaml:"stream"`
	// Key is the secret or its hash.
	Key Secret `yaml:"key"`
	// Ladder is the name of the ladder that its publishers get; "" leaves it to the stream's name.
	Ladder string `yaml:"ladder" optional:"yes"`
	// Standby lets its publishers stand by: they take over when those with another key of the stream are gone.
	Standby bool `yaml:"standby" optional:"yes"`
	// MaxBitrate is the most that its publishers may send, all tracks together; 0 is what their protocol allows.
	MaxBitrate Bitrate `yaml:"max_bitrate" optional:"yes" range:"0| 100kbps 1Gbps"`
	// MaxDuration is how long their shows may last; 0 is Publish.MaxDuration.
	MaxDuration Duration `yaml:"max_duration" optional:"yes" range:"0| 1m 720h"`
}

// HLS is how media is cut and how much of it is kept.
type HLS struct {
	// SegmentDuration is the goal: a segment ends at the first keyframe at or after it.
	SegmentDuration Duration `yaml:"segment_duration" reload:"new-stream" range:"500ms 30s"`
	// MaxSegmentDuration is the longest segment, and the EXT-X-TARGETDURATION (rfc8216bis 4.4.3.1): whole seconds.
	MaxSegmentDuration Duration `yaml:"max_segment_duration" reload:"new-stream" range:"1s 60s"`
	// PartDuration is the longest partial segment, and the PART-TARGET (rfc8216bis 4.4.3.7).
	PartDuration Duration `yaml:"part_duration" reload:"new-stream" range:"100ms 1s"`
	// DVR is how much media stays playable behind the live edge.
	DVR Duration `yaml:"dvr" reload:"new-stream" range:"3s 6h"`
}

// Cards is what product cards may hold and where they may come from.
type Cards struct {
	// Hosts are the hosts that the URLs of cards may point to, as card.ValidHostPattern has them. None allows no URL.
	Hosts []string `yaml:"hosts" reload:"live"`
	// InBand tells whether streams take cards that come with the media, unless they have a setting of their own.
	InBand bool `yaml:"in_band" reload:"live"`
}

// Studio says who may run a show's cards.
type Studio struct {
	// Tokens are the operators' tokens. With none, the node makes one for all streams and keeps it in the data folder.
	Tokens []Token `yaml:"tokens" reload:"live"`
}

// Token lets whoever has it use the studio and the card API.
type Token struct {
	// Stream is the name that the token is for, or "*" for any.
	Stream string `yaml:"stream"`
	// Token is the secret or its hash.
	Token Secret `yaml:"token"`
	// Role is what it is good for; "" is producer for a stream, and admin for "*".
	Role Word `yaml:"role" optional:"yes" oneof:"viewer producer admin"`
}

// Node is what this node is called and where it stands.
type Node struct {
	// Name of the node, unique in its cluster; "" is the host's name.
	Name string `yaml:"name" reload:"restart"`
	// Region of the node's viewers; "" is not known.
	Region Region `yaml:"region" reload:"restart"`
}

// Data is what the node keeps on disk.
type Data struct {
	// Directory for journals, the signing key and the operator token; made when it is not there.
	Directory string `yaml:"directory" reload:"restart"`
	// KeepEnded is how long the cards of a show that is over are kept; 0 is for good.
	KeepEnded Duration `yaml:"keep_ended" reload:"live" range:"0| 1h 87600h"`
}

// Default returns the built-in settings.
func Default() *Config {
	return &Config{
		Log: Log{Level: "info", Format: "text"},
		RTMP: RTMP{
			Address:                  ":1935",
			HandshakeTimeout:         Duration(5 * time.Second),
			IdleTimeout:              Duration(15 * time.Second),
			MaxConnections:           1000,
			MaxConnectionsPerAddress: 32,
			MaxMessageSize:           8 * MiB,
			MaxBitrate:               60 * Mbps,
		},
		RTSP: RTSP{
			Address:                  ":8554",
			UDPAddress:               ":8000",
			HandshakeTimeout:         Duration(10 * time.Second),
			IdleTimeout:              Duration(15 * time.Second),
			MaxConnections:           1000,
			MaxConnectionsPerAddress: 32,
			MaxBitrate:               60 * Mbps,
		},
		SRT: SRT{
			Address:                  ":8890",
			Latency:                  Duration(120 * time.Millisecond),
			HandshakeTimeout:         Duration(10 * time.Second),
			IdleTimeout:              Duration(15 * time.Second),
			MaxConnections:           1000,
			MaxConnectionsPerAddress: 32,
			MaxBitrate:               60 * Mbps,
		},
		WHIP: WHIP{
			UDPAddress:            ":8189",
			TCPAddress:            ":8189",
			JitterBuffer:          Duration(200 * time.Millisecond),
			SetupTimeout:          Duration(15 * time.Second),
			IdleTimeout:           Duration(15 * time.Second),
			MaxSessions:           1000,
			MaxSessionsPerAddress: 32,
			MaxBitrate:            60 * Mbps,
		},
		Pull: Pull{Idle: Duration(time.Minute)},
		HTTP: HTTP{
			Address:                  ":8080",
			HeaderTimeout:            Duration(10 * time.Second),
			MaxHeaderSize:            16 * KiB,
			IdleTimeout:              Duration(75 * time.Second),
			MinReadRate:              16 * KiB,
			MaxConnections:           20000,
			MaxConnectionsPerAddress: 2000,
			MaxWaitingPerAddress:     1000,
			AllowedOrigins:           []string{"*"},
		},
		ACME:  ACME{HTTPAddress: ":80"},
		Admin: Admin{Address: "127.0.0.1:9090"},
		Publish: Publish{
			ReconnectWindow: Duration(30 * time.Second),
			KeyframeTimeout: Duration(10 * time.Second),
			MaxStreams:      1000,
		},
		Callback: Callback{
			Timeout: Duration(3 * time.Second), Cache: Duration(time.Minute), WhenDown: "deny", Grace: Duration(time.Hour),
		},
		JWT: JWT{Refresh: Duration(10 * time.Minute), Leeway: Duration(30 * time.Second)},
		HLS: HLS{
			SegmentDuration:    Duration(2 * time.Second),
			MaxSegmentDuration: Duration(4 * time.Second),
			PartDuration:       Duration(200 * time.Millisecond),
			DVR:                Duration(60 * time.Second),
		},
		Ladder: Ladder{
			FFmpeg:         "ffmpeg",
			Convert:        true,
			Encoders:       []string{"nvenc", "qsv", "vaapi", "amf", "cpu"},
			MaxTranscodes:  16,
			MaxCPU:         80,
			Nice:           5,
			PosterInterval: Duration(5 * time.Second),
		},
		Cards:    Cards{InBand: true},
		Cluster:  Cluster{Directory: "cluster", ListenNATS: ":6222", ListenLeaf: ":7422"},
		Relay:    Relay{Idle: Duration(time.Minute), MaxCopies: 200, MaxPeers: 1000},
		Drain:    Drain{Timeout: Duration(30 * time.Second)},
		Webhooks: Webhooks{Queue: 64 * MiB, RetryFor: Duration(24 * time.Hour)},
		Tracing:  Tracing{Sample: 10},
		Data:     Data{Directory: "pushcart-data"},
	}
}

// SlogLevel is the level in the logger's terms.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo // of a Log that was never loaded
	}
	return level
}

// AuthEntries are the stream keys as package auth takes them.
func (c *Config) AuthEntries() []auth.Entry {
	entries := make([]auth.Entry, len(c.Publish.Keys))
	for i, k := range c.Publish.Keys {
		entries[i] = auth.Entry{Stream: k.Stream, Key: string(k.Key), Ladder: k.Ladder, Standby: k.Standby, MaxBitrate: int64(k.MaxBitrate), MaxDuration: time.Duration(k.MaxDuration)}
	}
	return entries
}

// TokenEntries are the operators' tokens as package auth takes them.
func (c *Config) TokenEntries() []auth.Entry {
	entries := make([]auth.Entry, len(c.Studio.Tokens))
	for i, t := range c.Studio.Tokens {
		entries[i] = auth.Entry{Stream: t.Stream, Key: string(t.Token), Role: auth.Role(t.Role)}
	}
	return entries
}
