package whip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"

	"pushcart/internal/stream"
)

const (
	gatherTimeout  = 5 * time.Second
	resolveTimeout = 2 * time.Second
	// replayWindow in packets: a retransmission may come that far behind its place.
	replayWindow = 1024
	// Silence of the peer's ICE after which it counts as away, and then as gone. Consent is checked every 5 s or more often
	// (RFC 7675 5.1), and media come all the time.
	iceDisconnected = 4 * time.Second
	iceFailed       = 5 * time.Second
	iceKeepalive    = 2 * time.Second
)

// Limits on what comes over data channels.
const (
	maxMessage       = 16 << 10 // bytes
	maxReceiveBuffer = 128 << 10
)

// connection makes the peer connection for an offer; buffer makes a buffer for each RTP and RTCP stream that comes.
func (s *Server) connection(o *offer, buffer bufferFactory) (*webrtc.PeerConnection, error) {
	media := &webrtc.MediaEngine{}
	interceptors := &interceptor.Registry{}
	if err := configureMedia(media, interceptors, o); err != nil {
		return nil, err
	}
	settings := webrtc.SettingEngine{LoggerFactory: libraryLog{s.opt.Log}}
	settings.SetLite(true)
	var networks []webrtc.NetworkType
	udp, tcp := s.sockets.begin()
	if udp != nil {
		settings.SetICEUDPMux(udp)
		networks = append(networks, webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6)
	}
	if tcp != nil {
		settings.SetICETCPMux(tcp)
		networks = append(networks, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	settings.SetNetworkTypes(networks)
	settings.DisableActiveTCP(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetIncludeLoopbackCandidate(s.sockets.loopback)
	settings.SetIPFilter(s.listensOn)
	settings.SetICETimeouts(iceDisconnected, iceFailed, iceKeepalive)
	settings.SetReceiveMTU(mtu)
	settings.BufferFactory = buffer
	settings.SetSRTPReplayProtectionWindow(replayWindow)
	settings.SetSCTPMaxMessageSize(maxMessage)
	settings.SetSCTPMaxReceiveBufferSize(maxReceiveBuffer)
	// ICE has shown already that the address is the peer's own, so a cookie would only cost time.
	settings.SetDTLSInsecureSkipHelloVerify(true)
	// The publisher begins the handshake as soon as it has a path.
	if err := settings.SetAnsweringDTLSRole(webrtc.DTLSRoleServer); err != nil {
		return nil, err
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(interceptors), webrtc.WithSettingEngine(settings))
	return api.NewPeerConnection(webrtc.Configuration{
		Certificates: []webrtc.Certificate{s.certificate}, BundlePolicy: webrtc.BundlePolicyMaxBundle,
		SDPSemantics: webrtc.SDPSemanticsUnifiedPlan,
	})
}

// listensOn tells whether a local address is one of the media ports'.
func (s *Server) listensOn(ip net.IP) bool {
	a, ok := netip.AddrFromSlice(ip)
	for _, own := range s.sockets.addresses {
		if ok && own.WithZone("") == a.Unmap() {
			return true
		}
	}
	return false
}

// configureMedia makes known the formats that are taken of the offer, with their feedback. Lost packets are asked for by the
// jitter buffer, which knows at once what is missing; the library reports what came, for the publisher's congestion control.
func configureMedia(m *webrtc.MediaEngine, r *interceptor.Registry, o *offer) error {
	for _, p := range o.payloads {
		kind, name := webrtc.RTPCodecTypeAudio, "audio/"
		if p.video {
			kind, name = webrtc.RTPCodecTypeVideo, "video/"
		}
		err := m.RegisterCodec(webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(p.number), RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: name + p.encoding, ClockRate: uint32(p.rate), Channels: uint16(p.channels), SDPFmtpLine: p.fmtp,
		}}, kind)
		if err != nil {
			return fmt.Errorf("format %d: %w", p.number, err)
		}
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		m.RegisterFeedback(webrtc.RTCPFeedback{Type: "nack"}, kind)
		m.RegisterFeedback(webrtc.RTCPFeedback{Type: webrtc.TypeRTCPFBTransportCC}, kind)
		for _, uri := range []string{sdp.TransportCCURI, sdp.SDESMidURI} {
			if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, kind); err != nil {
				return err
			}
		}
	}
	m.RegisterFeedback(webrtc.RTCPFeedback{Type: "nack", Parameter: "pli"}, webrtc.RTPCodecTypeVideo)
	for _, uri := range []string{sdp.SDESRTPStreamIDURI, sdp.SDESRepairRTPStreamIDURI} {
		if err := m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, webrtc.RTPCodecTypeVideo); err != nil {
			return err
		}
	}
	reports, err := report.NewReceiverInterceptor()
	if err != nil {
		return err
	}
	congestion, err := twcc.NewSenderInterceptor()
	if err != nil {
		return err
	}
	r.Add(reports)
	r.Add(congestion)
	return nil
}

// negotiate answers an offer: the first one, or one with new ICE credentials, which restarts ICE.
func negotiate(ctx context.Context, pc *webrtc.PeerConnection, offer string) (string, error) {
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	for _, t := range pc.GetTransceivers() {
		// One without a mid the library made itself, for a stream that the offer did not announce.
		if t.Mid() != "" && t.Direction() == webrtc.RTPTransceiverDirectionSendrecv {
			return "", errors.New("a section is not for sending")
		}
	}
	answer, err := pc.CreateAnswer(nil)
	if err != nil {
		return "", err
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(answer); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	select {
	case <-gathered:
		return pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", fmt.Errorf("gathering candidates: %w", ctx.Err())
	}
}

// dress makes of the library's answer the one that is sent: with the candidates by which publishers reach this node, with
// what the sound should be like, and with the bitrate that is the most.
func (s *Server) dress(ctx context.Context, o *offer, answer string, maxBitrate int) string {
	opus, pictures := map[string]bool{}, map[string]bool{}
	for _, p := range o.payloads {
		opus[fmt.Sprint("a=fmtp:", p.number)] = p.codec == stream.Opus
		pictures[fmt.Sprint("a=fmtp:", p.number)] = p.codec.Video()
	}
	candidates := s.candidates(ctx)
	var b strings.Builder
	placed, video := false, false
	for line := range strings.Lines(answer) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, attrCandidate) || line == attrEnd {
			continue
		}
		if strings.HasPrefix(line, "m=") {
			video = strings.HasPrefix(line, "m=video ")
		}
		switch format, _, _ := strings.Cut(line, " "); {
		case opus[format]:
			line = stereo(line)
		case pictures[format]:
			line += startBitrate
		}
		b.WriteString(line + "\r\n")
		if video && strings.HasPrefix(line, "c=") {
			fmt.Fprintf(&b, "b=AS:%d\r\n", maxBitrate/1000)
		}
		if !placed && strings.HasPrefix(line, attrPassword) { // of the first section, whose transport the bundle has
			placed = true
			b.WriteString(candidates)
		}
	}
	return b.String()
}

// startBitrate, in kbit/s, is for browsers built on libwebrtc, which otherwise begin with 300 and grow the picture step by step:
// each step is another size, which costs viewers a new initialisation.
const startBitrate = ";x-google-start-bitrate=1500"

// stereo asks for two channels, and for no pauses in the sound (RFC 7587 6.1).
func stereo(fmtp string) string {
	var kept []string
	format, parameters, _ := strings.Cut(fmtp, " ")
	for part := range strings.SplitSeq(parameters, ";") {
		key, _, _ := strings.Cut(strings.TrimSpace(part), "=")
		if key != "" && key != "stereo" && key != "usedtx" {
			kept = append(kept, strings.TrimSpace(part))
		}
	}
	return format + " " + strings.Join(append(kept, "stereo=1", "usedtx=0"), ";")
}

// Candidate priorities (RFC 8445 5.1.2.1): host candidates, UDP before TCP.
const (
	hostPriority = 126 << 24
	udpLocal     = 65535
	tcpLocal     = 32767 // with the direction preference of passive in its upper bits (RFC 6544 4.2)
)

// candidates lists where media may be sent, as lines of SDP.
func (s *Server) candidates(ctx context.Context) string {
	addresses := s.sockets.addresses
	if public := s.opt.PublicAddresses(); len(public) > 0 {
		addresses = s.resolve(ctx, public)
	}
	var b strings.Builder
	for i, a := range addresses {
		udp, tcp := hostPriority|(udpLocal-i)<<8|255, hostPriority|(tcpLocal-i)<<8|255
		if s.sockets.udpPort != 0 {
			fmt.Fprintf(&b, "%s%d 1 udp %d %s %d typ host\r\n", attrCandidate, 2*i+1, udp, a.WithZone(""), s.sockets.udpPort)
		}
		if s.sockets.tcpPort != 0 {
			fmt.Fprintf(&b, "%s%d 1 tcp %d %s %d typ host tcptype passive\r\n", attrCandidate, 2*i+2, tcp, a.WithZone(""), s.sockets.tcpPort)
		}
	}
	return b.String() + attrEnd + "\r\n"
}

// resolve finds the public addresses; a name that cannot be resolved is left out.
func (s *Server) resolve(ctx context.Context, public []string) (found []netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	for _, name := range public {
		if a, err := netip.ParseAddr(name); err == nil {
			found = append(found, a.Unmap())
			continue
		}
		list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		if err != nil {
			s.opt.Log.Error("whip: resolving a public address; publishers cannot reach the media port by it", "name", name, "error", err)
		}
		for _, a := range list {
			found = append(found, a.Unmap())
		}
	}
	return found
}

// restartFragment is the ICE part of an answer (RFC 8840 9, RFC 9725 4.3.3).
func restartFragment(answer string) string {
	var head, section strings.Builder
	in := 0
	for line := range strings.Lines(answer) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "m="):
			if in++; in == 1 {
				section.WriteString(line + "\r\n")
			}
		case in == 0 && (line == "a=ice-lite" || strings.HasPrefix(line, "a=ice-options:") || strings.HasPrefix(line, "a=group:BUNDLE")):
			head.WriteString(line + "\r\n")
		case in == 1 && (strings.HasPrefix(line, "a=mid:") || strings.HasPrefix(line, attrUfrag) || strings.HasPrefix(line, attrPassword) ||
			strings.HasPrefix(line, attrCandidate) || line == attrEnd):
			section.WriteString(line + "\r\n")
		}
	}
	return head.String() + section.String()
}
