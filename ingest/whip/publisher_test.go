package whip

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/internal/auth"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// house is a server with a real door, over HTTP.
type house struct {
	server   *Server
	http     *httptest.Server
	hub      *stream.Hub
	registry *prometheus.Registry
	seen     *record
	tcp      bool // publishers have TCP only
	stop     func()
}

// open starts a server on loopback; change, where not nil, adapts its options.
func openHouse(t *testing.T, keys *auth.Keys, change func(*Options)) *house {
	t.Helper()
	h := &house{seen: &record{}, registry: prometheus.NewRegistry()}
	h.hub = stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return 10 * time.Second },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{h.seen} },
	})
	store := &auth.Store{}
	store.Store(keys)
	log := slog.New(slog.DiscardHandler)
	opt := Options{
		Door: ingest.NewDoor(ingest.Options{Hub: h.hub, Authority: authority.New(authority.Options{Keys: store}), Log: log, Metrics: ingest.NewMetrics(h.registry),
			Settings: func() ingest.Settings { return ingest.Settings{KeyframeTimeout: 20 * time.Second} }}),
		UDPAddress: "127.0.0.1:0", TCPAddress: "127.0.0.1:0", Log: log, Registerer: h.registry,
	}
	if change != nil {
		change(&opt)
	}
	var err error
	if h.server, err = NewServer(opt); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.server.Register(mux)
	h.http = httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.server.Run(ctx) }()
	h.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.http.Close()
		h.hub.Close()
	})
	t.Cleanup(h.stop)
	return h
}

// metric reads a counter of the server's: a name without prefix, and the value of its one label.
func (h *house) metric(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "pushcart_whip_"+name {
			continue
		}
		for _, m := range f.Metric {
			if label == "" || m.Label[0].GetValue() == label {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// record is a consumer that remembers.
type record struct {
	mu     sync.Mutex // guards what follows
	frames []stream.Frame
	data   []*stream.Data
	away   int
}

func (r *record) Tracks([]*stream.Track) {}
func (r *record) End()                   {}

func (r *record) Frame(f *stream.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := *f
	own.Payload = bytes.Clone(f.Payload)
	r.frames = append(r.frames, own)
}

func (r *record) Data(d *stream.Data) {
	r.mu.Lock()
	r.data = append(r.data, d)
	r.mu.Unlock()
	if d.Reply != nil {
		d.Reply(stream.Reply{Epoch: 7, Seq: 8, Card: "lamp", Rev: 9})
	}
}

func (r *record) Away() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away++
}

// of returns the frames of a track.
func (r *record) of(id int) (list []stream.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.frames {
		if f.Track.ID == id {
			list = append(list, f)
		}
	}
	return list
}

func (r *record) keys(id int) (list []stream.Frame) {
	for _, f := range r.of(id) {
		if f.Key {
			list = append(list, f)
		}
	}
	return list
}

// line is a publisher's socket with a network behind it that can be bad.
type line struct {
	net.PacketConn
	cut  atomic.Bool
	loss atomic.Int32 // per mille of RTP packets that are lost
	lose atomic.Int32 // so many RTP packets are lost that are not the last of their picture
	swap atomic.Int32 // per mille of RTP packets that are overtaken by the next one

	mu   sync.Mutex // guards what follows
	late []byte
	rng  *rand.Rand
}

func (l *line) WriteTo(p []byte, a net.Addr) (int, error) {
	if l.cut.Load() {
		return len(p), nil
	}
	if len(p) < 12 || p[0]>>6 != 2 || p[1] >= 192 && p[1] < 224 { // not RTP
		return l.PacketConn.WriteTo(p, a)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p[1]&0x80 == 0 && l.lose.Load() > 0 {
		l.lose.Add(-1)
		return len(p), nil
	}
	if l.rng.Int32N(1000) < l.loss.Load() {
		return len(p), nil
	}
	if l.late == nil && l.rng.Int32N(1000) < l.swap.Load() {
		l.late = bytes.Clone(p)
		return len(p), nil
	}
	n, err := l.PacketConn.WriteTo(p, a)
	if l.late != nil {
		l.PacketConn.WriteTo(l.late, a)
		l.late = nil
	}
	return n, err
}

func (l *line) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, a, err := l.PacketConn.ReadFrom(p)
		if err != nil || !l.cut.Load() {
			return n, a, err
		}
	}
}

// source of media: pictures of one layer, or sound.
type source struct {
	mime  string
	layer string
	units [][]byte         // access units, repeated; nil is Opus silence
	off   func(n int) bool // tells of pictures that are not sent; nil is none
}

// publisher is a WebRTC client.
type publisher struct {
	t        *testing.T
	pc       *webrtc.PeerConnection
	line     *line
	house    *house
	location string
	tag      string
	key      string
	answer   string
	status   int
	body     string
	states   chan webrtc.PeerConnectionState
	stop     func()
	senders  []*sender
	replies  chan string
	forger   *forger
	distance time.Duration       // of pictures; 0 is a 30th of a second
	change   func(string) string // what is done to the offer; nil is nothing
}

type sender struct {
	track *webrtc.TrackLocalStaticRTP
	rtp   *webrtc.RTPSender
	src   source
}

// newPublisher makes a client with the sources; layers of one mime type are one section's simulcast.
func newPublisher(t *testing.T, h *house, sources ...source) *publisher {
	t.Helper()
	p := &publisher{t: t, house: h, states: make(chan webrtc.PeerConnectionState, 16), replies: make(chan string, 16), forger: &forger{}}
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	var interceptors interceptor.Registry
	interceptors.Add(p.forger) // behind all others
	if err := webrtc.RegisterDefaultInterceptors(media, &interceptors); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.line = &line{PacketConn: conn, rng: rand.New(rand.NewPCG(1, 2))}
	var settings webrtc.SettingEngine
	mux := webrtc.NewICEUDPMux(libraryLog{slog.New(slog.DiscardHandler)}.NewLogger("ice"), p.line)
	settings.SetICEUDPMux(mux)
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	if h.tcp {
		settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4})
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(&interceptors), webrtc.WithSettingEngine(settings))
	if p.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		t.Fatal(err)
	}
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		select {
		case p.states <- s:
		default:
		}
	})
	byMime := map[string]*webrtc.RTPSender{}
	for _, src := range sources {
		p.add(src, byMime)
	}
	p.stop = sync.OnceFunc(func() {
		p.pc.GracefulClose()
		mux.Close()
	})
	t.Cleanup(p.stop)
	return p
}

func (p *publisher) add(src source, byMime map[string]*webrtc.RTPSender) {
	var options []func(*webrtc.TrackLocalStaticRTP)
	if src.layer != "" {
		options = append(options, webrtc.WithRTPStreamID(src.layer))
	}
	capability := webrtc.RTPCodecCapability{MimeType: src.mime, ClockRate: 90000}
	if src.mime == webrtc.MimeTypeH264 {
		capability.SDPFmtpLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
	}
	id := "video"
	if src.units == nil {
		capability, id = webrtc.RTPCodecCapability{MimeType: src.mime, ClockRate: 48000, Channels: 2}, "audio"
	}
	track, err := webrtc.NewTrackLocalStaticRTP(capability, id, "stream", options...)
	if err != nil {
		p.t.Fatal(err)
	}
	s := &sender{track: track, src: src}
	if first := byMime[id]; first != nil {
		if err := first.AddEncoding(track); err != nil {
			p.t.Fatal(err)
		}
		s.rtp = first
	} else {
		tr, err := p.pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			p.t.Fatal(err)
		}
		if src.units != nil { // nothing but this codec is offered
			if err := tr.SetCodecPreferences(only(tr.Sender().GetParameters().Codecs, capability)); err != nil {
				p.t.Fatal(err)
			}
		}
		s.rtp, byMime[id] = tr.Sender(), tr.Sender()
		go func() { // lets the interceptors see RTCP
			b := make([]byte, 1500)
			for {
				if _, _, err := s.rtp.Read(b); err != nil {
					return
				}
			}
		}()
	}
	p.senders = append(p.senders, s)
}

// only is a codec and its retransmission format.
func only(all []webrtc.RTPCodecParameters, want webrtc.RTPCodecCapability) (list []webrtc.RTPCodecParameters) {
	for _, c := range all {
		fits := strings.EqualFold(c.MimeType, want.MimeType) && (want.SDPFmtpLine == "" || c.SDPFmtpLine == want.SDPFmtpLine)
		if fits && len(list) == 0 || len(list) == 1 && c.SDPFmtpLine == fmt.Sprint("apt=", list[0].PayloadType) {
			list = append(list, c)
		}
	}
	return list
}

// channel opens a data channel before the offer.
func (p *publisher) channel(label string) *webrtc.DataChannel {
	d, err := p.pc.CreateDataChannel(label, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	d.OnMessage(func(m webrtc.DataChannelMessage) { p.replies <- string(m.Data) })
	return d
}

func (p *publisher) offer() string {
	p.t.Helper()
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		p.t.Fatal(err)
	}
	<-gathered
	return p.pc.LocalDescription().SDP
}

// post sends the offer to a name and takes the answer.
func (p *publisher) post(name string) *publisher {
	p.t.Helper()
	offer := p.offer()
	if p.change != nil {
		offer = p.change(offer)
	}
	r := p.request(http.MethodPost, "/whip/"+name, typeSDP, offer, "")
	p.status = r.StatusCode
	if r.StatusCode != http.StatusCreated {
		return p
	}
	p.location, p.tag = r.Header.Get("Location"), r.Header.Get("ETag")
	p.answer = p.body
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: p.answer}); err != nil {
		p.t.Fatal(err)
	}
	return p
}

func (p *publisher) request(method, path, kind, body, match string) *http.Response {
	p.t.Helper()
	r, err := http.NewRequest(method, p.house.http.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if p.key != "" {
		r.Header.Set("Authorization", "Bearer "+p.key)
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	answer, err := p.house.http.Client().Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.body = string(all)
	return answer
}

// reach waits for a state of the connection.
func (p *publisher) reach(want webrtc.PeerConnectionState) *publisher {
	p.t.Helper()
	eventually(p.t, "the publisher's connection is "+want.String(), func() bool { return p.pc.ConnectionState() == want })
	return p
}

// send sends 30 pictures and 50 audio frames a second until the function that it returns is called.
func (p *publisher) send() (stop func()) {
	p.t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	begun := time.Now()
	var video []*sender
	for _, s := range p.senders {
		if s.src.units == nil {
			wg.Go(func() { p.sendSound(s, begun, done) })
		} else {
			video = append(video, s)
		}
	}
	wg.Go(func() { sendPictures(video, begun, cmp.Or(p.distance, time.Second/30), done) })
	stop = sync.OnceFunc(func() {
		close(done)
		wg.Wait()
	})
	p.t.Cleanup(stop)
	return stop
}

func (p *publisher) sendSound(s *sender, begun time.Time, done chan struct{}) {
	seq, base := uint16(rand.Uint32()), rand.Uint32()
	for n := uint32(0); ; n++ {
		s.track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq + uint16(n), Timestamp: base + n*960},
			Payload: []byte{0xfc, 0xff, 0xfe}})
		select {
		case <-done:
			return
		case <-time.After(time.Until(begun.Add(time.Duration(n+1) * 20 * time.Millisecond))):
		}
	}
}

// sendPictures sends the layers' pictures together, as a browser does.
func sendPictures(layers []*sender, begun time.Time, distance time.Duration, done chan struct{}) {
	span := uint32((distance*90000 + time.Second/2) / time.Second)
	type out struct {
		*sender
		packets rtp.Packetizer
		mid     uint8
		rid     uint8
	}
	var outs []out
	for _, s := range layers {
		var payloader rtp.Payloader
		switch s.src.mime {
		case webrtc.MimeTypeH264:
			payloader = &codecs.H264Payloader{}
		case webrtc.MimeTypeVP8:
			payloader = &codecs.VP8Payloader{EnablePictureID: true}
		case webrtc.MimeTypeVP9:
			payloader = &codecs.VP9Payloader{}
		}
		o := out{sender: s, packets: rtp.NewPacketizer(1100, 0, 0, payloader, rtp.NewRandomSequencer(), 90000)}
		for _, e := range s.rtp.GetParameters().HeaderExtensions {
			switch e.URI {
			case sdp.SDESMidURI:
				o.mid = uint8(e.ID)
			case sdp.SDESRTPStreamIDURI:
				o.rid = uint8(e.ID)
			}
		}
		outs = append(outs, o)
	}
	for n := 0; len(outs) > 0; n++ {
		for _, o := range outs {
			if o.src.off != nil && o.src.off(n) {
				o.packets.SkipSamples(span)
				continue
			}
			for _, p := range o.packets.Packetize(o.src.units[n%len(o.src.units)], span) {
				if o.src.layer != "" {
					p.Header.SetExtension(o.mid, []byte("0"))
					p.Header.SetExtension(o.rid, []byte(o.src.layer))
				}
				o.track.WriteRTP(p)
			}
		}
		select {
		case <-done:
			return
		case <-time.After(time.Until(begun.Add(time.Duration(n+1) * distance))):
		}
	}
}

// h264Clip reads an Annex B file of testdata as access units.
func h264Clip(t *testing.T, name string) (units [][]byte) {
	t.Helper()
	all, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var unit []byte
	picture := false
	for _, nal := range bytes.Split(bytes.ReplaceAll(all, []byte{0, 0, 0, 1}, []byte{0, 0, 1}), []byte{0, 0, 1}) {
		if len(nal) < 2 {
			continue
		}
		kind := nal[0] & 0x1f
		slice := kind == 1 || kind == 5
		if picture && (!slice || nal[1]&0x80 != 0) { // first_mb_in_slice is 0
			units, unit, picture = append(units, unit), nil, false
		}
		picture = picture || slice
		unit = append(append(unit, 0, 0, 0, 1), nal...)
	}
	return append(units, unit)
}

// ivfClip reads an IVF file of testdata.
func ivfClip(t *testing.T, name string) (units [][]byte) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, _, err := ivfreader.NewWith(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		frame, _, err := in.ParseNextFrame()
		if err == io.EOF {
			return units
		}
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, frame)
	}
}

func opus() source { return source{mime: webrtc.MimeTypeOpus} }

func picture(t *testing.T, layer string) source {
	return source{mime: webrtc.MimeTypeH264, layer: layer, units: h264Clip(t, "h.h264")}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("did not come true: %s", what)
		}
	}
}
