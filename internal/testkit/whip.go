package testkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// WHIP is a publisher over WebRTC (RFC 9725).
type WHIP struct {
	ledger
	show   *Show
	pc     *webrtc.PeerConnection
	clock  captureClock
	tracks []*whipTrack

	// Location is the session's URL, ETag its first entity tag, Answer the server's description as it came.
	Location, ETag, Answer string
	// Messages are what the server says on the data channel.
	Messages chan string

	key      string
	channel  *webrtc.DataChannel
	opened   chan struct{} // closed when the data channel is open
	gone     chan struct{}
	end      func()
	keyAsked atomic.Int64
	readers  sync.WaitGroup
}

// whipTrack is one track, or one layer of simulcast.
type whipTrack struct {
	*rtpTrack
	local    *webrtc.TrackLocalStaticRTP
	sender   *webrtc.RTPSender
	mid, rid uint8 // identifiers of header extensions; 0 is none
	name     string
	reported time.Time
}

func openWHIP(t testing.TB, n Target, s Show) (Source, error) {
	return OpenWHIP(t, n, s, WHIPOptions{})
}

// WHIPOptions is what only WHIP has.
type WHIPOptions struct {
	// TCP connects over ICE-TCP instead of UDP.
	TCP bool
	// Channel opens the data channel "cards".
	Channel bool
	// Relay that datagrams go through; nil is one of its own where the show has a Line, else none.
	Relay *Relay
}

// OpenWHIP begins to publish a show. It returns when media can flow.
func OpenWHIP(t testing.TB, n Target, s Show, opt WHIPOptions) (*WHIP, error) {
	t.Helper()
	if s.Line != nil && opt.Relay == nil {
		opt.Relay = NewRelay(t, n.Address("whip-udp").String(), *s.Line)
	}
	p := &WHIP{show: &s, key: s.Key, Messages: make(chan string, 64), opened: make(chan struct{}), gone: make(chan struct{})}
	p.end = sync.OnceFunc(func() { close(p.gone) })
	if err := p.prepare(opt); err != nil {
		return nil, err
	}
	t.Cleanup(p.Drop)
	connected := make(chan struct{})
	once := sync.OnceFunc(func() { close(connected) })
	p.pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			once()
		case webrtc.PeerConnectionStateClosed, webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateDisconnected:
			p.end()
		}
	})
	offer, err := p.Offer()
	if err != nil {
		return nil, err
	}
	if err := p.post(t.Context(), n.HTTP()+"/whip/"+s.Name, offer); err != nil {
		p.Drop()
		return nil, err
	}
	answer := p.Answer
	if opt.Relay != nil {
		answer = rerouted(answer, opt.Relay.Addr())
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		return nil, fmt.Errorf("the server's answer: %w\n%s", err, answer)
	}
	select {
	case <-connected:
	case <-p.gone:
		return nil, errors.New("WHIP: the connection failed")
	case <-time.After(patience):
		return nil, fmt.Errorf("WHIP: no connection came about; the answer was\n%s", p.Answer)
	}
	p.learn()
	return p, nil
}

// prepare makes the connection and its tracks.
func (p *WHIP) prepare(opt WHIPOptions) error {
	var engine webrtc.MediaEngine
	if err := registerCodecs(&engine, p.show.Tracks); err != nil {
		return err
	}
	if err := webrtc.ConfigureSimulcastExtensionHeaders(&engine); err != nil {
		return err
	}
	var interceptors interceptor.Registry
	if err := webrtc.ConfigureNack(&engine, &interceptors); err != nil {
		return err
	}
	if err := webrtc.ConfigureTWCCHeaderExtensionSender(&engine, &interceptors); err != nil {
		return err
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(net.IP.IsLoopback)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if opt.TCP {
		settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&engine), webrtc.WithInterceptorRegistry(&interceptors), webrtc.WithSettingEngine(settings))
	var err error
	if p.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return err
	}
	if opt.Channel {
		if p.channel, err = p.pc.CreateDataChannel("cards", nil); err != nil {
			return err
		}
		p.channel.OnOpen(sync.OnceFunc(func() { close(p.opened) }))
		p.channel.OnMessage(func(m webrtc.DataChannelMessage) {
			select {
			case p.Messages <- string(m.Data):
			default:
			}
		})
	}
	return p.addTracks()
}

// registerCodecs makes an engine that offers the show's codings only.
func registerCodecs(engine *webrtc.MediaEngine, tracks []Media) error {
	feedback := []webrtc.RTCPFeedback{{Type: "ccm", Parameter: "fir"}, {Type: "nack"}, {Type: "nack", Parameter: "pli"}}
	for _, m := range tracks {
		c := capability(m.Clip.Codec)
		kind, payload := webrtc.RTPCodecTypeAudio, webrtc.PayloadType(111)
		if m.Clip.Codec.Video() {
			kind, payload, c.RTCPFeedback = webrtc.RTPCodecTypeVideo, 102, feedback
		} else if m.Clip.Codec == PCMA {
			payload = 8
		}
		err := engine.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: c, PayloadType: payload}, kind)
		if err != nil && !errors.Is(err, webrtc.ErrCodecAlreadyRegistered) {
			return err
		}
	}
	return nil
}

func capability(codec FourCC) webrtc.RTPCodecCapability {
	switch codec {
	case AVC:
		return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
			SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"}
	case HEVC:
		return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH265, ClockRate: 90000}
	case VP8:
		return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}
	case PCMA:
		return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypePCMA, ClockRate: 8000, Channels: 1}
	}
	return webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1;stereo=1"}
}

func (p *WHIP) addTracks() error {
	var layered *webrtc.RTPSender
	for i, m := range p.show.Tracks {
		name := fmt.Sprint("track", i)
		var options []func(*webrtc.TrackLocalStaticRTP)
		if m.RID != "" {
			name, options = "layers", append(options, webrtc.WithRTPStreamID(m.RID))
		}
		local, err := webrtc.NewTrackLocalStaticRTP(capability(m.Clip.Codec), name, "testkit", options...)
		if err != nil {
			return err
		}
		t := &whipTrack{rtpTrack: newRTPTrack(i, m, p.show.Origin), local: local, name: m.RID}
		if m.RID != "" && layered != nil {
			t.sender = layered
			err = layered.AddEncoding(local)
		} else {
			var transceiver *webrtc.RTPTransceiver
			transceiver, err = p.pc.AddTransceiverFromTrack(local, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
			if err == nil {
				t.sender = transceiver.Sender()
			}
		}
		if err != nil {
			return err
		}
		if m.RID != "" {
			layered = t.sender
		}
		p.tracks = append(p.tracks, t)
	}
	return nil
}

// Offer makes the description with all candidates in it.
func (p *WHIP) Offer() (string, error) {
	gathered := webrtc.GatheringCompletePromise(p.pc)
	offer, err := p.pc.CreateOffer(nil)
	if err == nil {
		err = p.pc.SetLocalDescription(offer)
	}
	if err != nil {
		return "", err
	}
	<-gathered
	return p.pc.LocalDescription().SDP, nil
}

// post sends the offer.
func (p *WHIP) post(ctx context.Context, endpoint, offer string) error {
	res, body, err := p.Request(ctx, http.MethodPost, endpoint, "application/sdp", offer)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusCreated {
		return &Refused{Code: res.StatusCode, Words: strings.TrimSpace(string(body))}
	}
	base, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	location, err := base.Parse(res.Header.Get("Location"))
	if err != nil || res.Header.Get("Location") == "" {
		return fmt.Errorf("WHIP: Location %q: %w", res.Header.Get("Location"), err)
	}
	p.Location, p.ETag, p.Answer = location.String(), res.Header.Get("ETag"), string(body)
	return nil
}

// Request sends a request with the show's key as a bearer token.
func (p *WHIP) Request(ctx context.Context, method, to, contentType, body string, header ...string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if p.key != "" {
		req.Header.Set("Authorization", "Bearer "+p.key)
	}
	req.Header.Set("User-Agent", "testkit/1.0")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return res, got, err
}

var candidateLine = regexp.MustCompile(`(?m)^(a=candidate:\S+ \d+ )(\S+)( \d+) \S+ \d+ (typ host)(.*)\r$`)

// rerouted sends media to another address than the answer's: candidates of UDP are replaced, those of TCP are taken away.
func rerouted(answer string, to *net.UDPAddr) string {
	answer = candidateLine.ReplaceAllStringFunc(answer, func(line string) string {
		m := candidateLine.FindStringSubmatch(line)
		if !strings.EqualFold(m[2], "udp") {
			return "a=x-left-out\r"
		}
		return fmt.Sprintf("%s%s%s %s %d %s%s\r", m[1], m[2], m[3], to.IP, to.Port, m[4], m[5])
	})
	return answer
}

// learn takes over what was negotiated, and reads what the server says of each sender.
func (p *WHIP) learn() {
	read := map[*webrtc.RTPSender]bool{}
	for _, t := range p.tracks {
		parameters := t.sender.GetParameters()
		for _, x := range parameters.HeaderExtensions {
			switch x.URI {
			case sdp.SDESMidURI:
				t.mid = uint8(x.ID)
			case sdp.SDESRTPStreamIDURI:
				t.rid = uint8(x.ID)
			}
		}
		for _, e := range parameters.Encodings {
			if e.RID == t.name {
				t.ssrc = uint32(e.SSRC)
			}
		}
		if sender := t.sender; !read[sender] && t.name == "" {
			read[sender] = true
			p.readers.Go(func() { p.listen(sender.ReadRTCP) })
		} else if t.name != "" {
			p.readers.Go(func() {
				p.listen(func() ([]rtcp.Packet, interceptor.Attributes, error) { return sender.ReadSimulcastRTCP(t.name) })
			})
		}
	}
}

// listen counts the key frames that are asked for.
func (p *WHIP) listen(read func() ([]rtcp.Packet, interceptor.Attributes, error)) {
	for {
		packets, _, err := read()
		if err != nil {
			return
		}
		for _, k := range packets {
			switch k.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				p.keyAsked.Add(1)
			}
		}
	}
}

// KeyframesAsked is how often the server has asked for a key frame.
func (p *WHIP) KeyframesAsked() int { return int(p.keyAsked.Load()) }

// Write implements Source.
func (p *WHIP) Write(track int, s *Sample) error {
	select {
	case <-p.gone:
		return fmt.Errorf("WHIP: %w", net.ErrClosed)
	default:
	}
	t := p.tracks[track]
	if now := time.Now(); now.Sub(t.reported) >= time.Second {
		t.reported = now
		at := s.DTS + s.Offset
		if err := p.pc.WriteRTCP([]rtcp.Packet{t.report(at, p.clock.at(p.show, at))}); err != nil {
			return err
		}
	}
	for _, packet := range t.pack(s) {
		if t.name != "" {
			packet.Header.SetExtension(t.mid, []byte(p.midOf(t.sender)))
			packet.Header.SetExtension(t.rid, []byte(t.name))
		}
		if err := t.local.WriteRTP(packet); err != nil {
			return err
		}
	}
	p.note(track, t.media, s)
	return nil
}

func (p *WHIP) midOf(sender *webrtc.RTPSender) string {
	for _, t := range p.pc.GetTransceivers() {
		if t.Sender() == sender {
			return t.Mid()
		}
	}
	return ""
}

// Say sends a message over the data channel, once that is open.
func (p *WHIP) Say(message string) error {
	select {
	case <-p.opened:
		return p.channel.SendText(message)
	case <-time.After(patience):
		return errors.New("WHIP: the data channel did not open")
	}
}

// Leave implements Source.
func (p *WHIP) Leave() {
	if p.Location != "" {
		p.Request(context.Background(), http.MethodDelete, p.Location, "", "")
	}
	p.Drop()
}

// Drop implements Source: without a DELETE. The library says good-bye to the server's DTLS; to vanish, pull the cable of a
// relay.
func (p *WHIP) Drop() {
	p.pc.Close()
	p.end()
	p.readers.Wait()
}

// Gone implements Source.
func (p *WHIP) Gone() <-chan struct{} { return p.gone }
