package config

import "pushcart/ingest/pull"

// RTSP is where and within which limits publishers come in over RTSP. Cameras that the node fetches from are in Pull.
type RTSP struct {
	// Address to listen on; "" is off.
	Address Address `yaml:"address" reload:"restart"`
	// TLSAddress to listen on for RTSPS; "" is off.
	TLSAddress Address `yaml:"tls_address" reload:"restart"`
	// UDPAddress is where RTP comes in from publishers that send over UDP: an even port, and RTCP at the next one; "" is off.
	UDPAddress Address `yaml:"udp_address" reload:"restart"`
	// HandshakeTimeout is how long a new connection may take until it publishes.
	HandshakeTimeout Duration `yaml:"handshake_timeout" reload:"live" range:"1s 1m"`
	// IdleTimeout is how long a publisher may send nothing.
	IdleTimeout Duration `yaml:"idle_timeout" reload:"live" range:"1s 10m"`
	// MaxConnections is how many may be open at once.
	MaxConnections int `yaml:"max_connections" reload:"live" range:"1 1000000"`
	// MaxConnectionsPerAddress is how many may be open at once from one IP address.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address" reload:"live" range:"1 1000000"`
	// MaxBitrate is the most that one publisher may send, over a few seconds.
	MaxBitrate Bitrate `yaml:"max_bitrate" reload:"live" range:"100kbps 1Gbps"`
}

// SRT is where and within which limits publishers come in over SRT.
type SRT struct {
	// Address to listen on; "" is off.
	Address Address `yaml:"address" reload:"restart"`
	// Passphrase that publishers must encrypt with; "" is none.
	Passphrase Secret `yaml:"passphrase" reload:"restart"`
	// Latency is the least time that the node waits for lost packets to be sent again. A publisher may ask for more.
	Latency Duration `yaml:"latency" reload:"restart" range:"20ms 8s"`
	// HandshakeTimeout is how long a new connection may take until media comes.
	HandshakeTimeout Duration `yaml:"handshake_timeout" reload:"live" range:"1s 1m"`
	// IdleTimeout is how long a publisher may send nothing.
	IdleTimeout Duration `yaml:"idle_timeout" reload:"live" range:"1s 10m"`
	// MaxConnections is how many may be open at once.
	MaxConnections int `yaml:"max_connections" reload:"live" range:"1 1000000"`
	// MaxConnectionsPerAddress is how many may be open at once from one IP address.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address" reload:"live" range:"1 1000000"`
	// MaxBitrate is the most that one publisher may send, over a few seconds.
	MaxBitrate Bitrate `yaml:"max_bitrate" reload:"live" range:"100kbps 1Gbps"`
}

// WHIP is how publishers come in over WebRTC. Their requests come over HTTP.
type WHIP struct {
	// UDPAddress is where all sessions' media comes in over UDP; "" is off.
	UDPAddress Address `yaml:"udp_address" reload:"restart"`
	// TCPAddress is where media comes in from networks that let no UDP through; "" is off.
	TCPAddress Address `yaml:"tcp_address" reload:"restart"`
	// PublicAddresses are the addresses that publishers reach this host by, where they differ from its own.
	PublicAddresses []string `yaml:"public_addresses" reload:"live"`
	// ICEServers are told to publishers, for networks from which the node cannot be reached otherwise.
	ICEServers []ICEServer `yaml:"ice_servers" reload:"live"`
	// JitterBuffer is the longest that a missing packet is waited for. Without losses nothing waits.
	JitterBuffer Duration `yaml:"jitter_buffer" reload:"live" range:"20ms 2s"`
	// SetupTimeout is how long a new session may take to connect, and then again until media comes.
	SetupTimeout Duration `yaml:"setup_timeout" reload:"live" range:"1s 1m"`
	// IdleTimeout is how long a publisher may send nothing.
	IdleTimeout Duration `yaml:"idle_timeout" reload:"live" range:"1s 10m"`
	// MaxSessions is how many may be open at once.
	MaxSessions int `yaml:"max_sessions" reload:"live" range:"1 1000000"`
	// MaxSessionsPerAddress is how many may be open at once from one IP address.
	MaxSessionsPerAddress int `yaml:"max_sessions_per_address" reload:"live" range:"1 1000000"`
	// MaxBitrate is the most that one publisher may send, over a few seconds.
	MaxBitrate Bitrate `yaml:"max_bitrate" reload:"live" range:"100kbps 1Gbps"`
}

// ICEServer is a STUN or TURN server (RFC 7064, RFC 7065).
type ICEServer struct {
	// URL such as stun:stun.example.com:3478 or turn:turn.example.com?transport=tcp.
	URL string `yaml:"url"`
	// Username and Credential are for TURN.
	Username   string `yaml:"username" optional:"yes"`
	Credential Secret `yaml:"credential" optional:"yes"`
}

// Pull is what the node fetches by itself.
type Pull struct {
	// Idle is how long a source that is fetched on demand goes on without viewers.
	Idle Duration `yaml:"idle" reload:"live" range:"5s 1h"`
	// Sources are cameras and encoders.
	Sources []Source `yaml:"sources" reload:"live"`
}

// Source is a camera or an encoder that the node fetches a stream from.
type Source struct {
	// Stream is the name under which it is published.
	Stream string `yaml:"stream"`
	// URL has the user and password, so it is a secret.
	URL Secret `yaml:"url"`
	// OnDemand fetches it only while somebody watches.
	OnDemand bool `yaml:"on_demand" optional:"yes"`
	// Transport of RTSP; "" is auto.
	Transport Word `yaml:"transport" optional:"yes" oneof:"auto udp tcp"`
	// Redirects tells that a redirect to another host may be followed.
	Redirects bool `yaml:"redirects" optional:"yes"`
}

// Language says what an audio track of a stream is in.
type Language struct {
	// Stream is the name, or "*" for any.
	Stream string `yaml:"stream"`
	// Track counts the audio tracks from 1.
	Track int `yaml:"track" range:"1 16"`
	// Language is a BCP 47 tag.
	Language string `yaml:"language"`
	// Name is what viewers choose it by; "" is the language's own name.
	Name string `yaml:"name" optional:"yes"`
}

// Sources are the sources as package pull takes them.
func (c *Config) Sources() []pull.Source {
	out := make([]pull.Source, len(c.Pull.Sources))
	for i, s := range c.Pull.Sources {
		out[i] = pull.Source{
			Stream: s.Stream, URL: string(s.URL), OnDemand: s.OnDemand, Transport: string(s.Transport), Redirects: s.Redirects,
		}
	}
	return out
}

// AudioLabel is what the configuration says of a stream's audio track, counted from 1: an entry with the stream's name comes
// before one for any. ok is false when there is none.
func (c *Config) AudioLabel(stream string, track int) (language, name string, ok bool) {
	for _, e := range c.Publish.Languages {
		if e.Track != track || e.Stream != stream && (ok || e.Stream != "*") {
			continue
		}
		language, name, ok = e.Language, e.Name, true
		if e.Stream == stream {
			break
		}
	}
	return language, name, ok
}
