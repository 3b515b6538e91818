package whip

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"pushcart/internal/auth"
	"pushcart/internal/stream"
)

// TestPublish: pictures and sound arrive whole, with the time of their capture, in step.
func TestPublish(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, ""), opus()).post("show")
	if p.status != http.StatusCreated {
		t.Fatalf("status %d: %s", p.status, p.body)
	}
	p.reach(webrtc.PeerConnectionStateConnected)
	begun := time.Now()
	p.send()
	eventually(t, "two seconds of media", func() bool { return len(h.seen.of(0)) >= 60 && len(h.seen.of(100)) >= 100 })
	video, audio := h.seen.of(0), h.seen.of(100)
	if c := video[0].Track; c.Codec != stream.H264 || c.Width != 320 || c.Height != 180 || !video[0].Key {
		t.Errorf("the first picture is %+v, key %v", c, video[0].Key)
	}
	clip := h264Clip(t, "h.h264")
	for i, f := range video {
		// Sender reports may move pictures by a fiftieth of the time.
		if i > 0 && (abs(f.PTS-video[i-1].PTS-3000) > 3000/slewPart || f.Era != video[0].Era) {
			t.Errorf("picture %d is %d ticks behind the former", i, f.PTS-video[i-1].PTS)
		}
		if want := strings.Count(string(clip[i%len(clip)]), "\x00\x00\x00\x01"); nals(f.Payload) > want || nals(f.Payload) == 0 {
			t.Errorf("picture %d has %d NAL units, and %d were sent", i, nals(f.Payload), want)
		}
	}
	for i, f := range audio[1:] {
		if f.PTS-audio[i].PTS != 960 {
			t.Errorf("audio frame %d is %d ticks behind the former", i+1, f.PTS-audio[i].PTS)
		}
	}
	// Both began to be sent at the same time.
	skew := time.Duration(scale(video[0].PTS, 90000) - scale(audio[0].PTS, 48000))
	if skew.Abs() > 40*time.Millisecond {
		t.Errorf("sound and pictures are %v apart", skew)
	}
	if d := video[0].Wall.Sub(begun); d.Abs() > 200*time.Millisecond {
		t.Errorf("the first picture's time of capture is %v off", d)
	}
	if r := p.request(http.MethodDelete, p.location, "", "", ""); r.StatusCode != http.StatusOK {
		t.Errorf("DELETE: %s", r.Status)
	}
	p.reach(webrtc.PeerConnectionStateClosed)
	if r := p.request(http.MethodDelete, p.location, "", "", ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("second DELETE: %s", r.Status)
	}
	eventually(t, "the session is counted", func() bool { return h.metric(t, "sessions_total", "published") == 1 })
}

// nals counts NAL units with 4-byte lengths.
func nals(b []byte) (n int) {
	for len(b) >= 4 {
		size := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if size > len(b)-4 {
			return -1
		}
		b = b[4+size:]
		n++
	}
	return n
}

// TestCodecs: what browsers can send besides H.264 arrives, VP8 where it can be delivered.
func TestCodecs(t *testing.T) {
	t.Parallel()
	for mime, want := range map[string]stream.Codec{webrtc.MimeTypeVP8: stream.VP8, webrtc.MimeTypeVP9: stream.VP9} {
		t.Run(want.String(), func(t *testing.T) {
			t.Parallel()
			h := openHouse(t, nil, func(o *Options) { o.Deliverable = func(stream.Codec) bool { return true } })
			clip := ivfClip(t, strings.ToLower(want.String())+".ivf")
			p := newPublisher(t, h, source{mime: mime, units: clip}).post("show")
			if p.status != http.StatusCreated {
				t.Fatalf("status %d: %s", p.status, p.body)
			}
			p.reach(webrtc.PeerConnectionStateConnected)
			p.send()
			eventually(t, "a second of pictures", func() bool { return len(h.seen.of(0)) >= 30 })
			for i, f := range h.seen.of(0)[:30] {
				if f.Track.Codec != want || f.Track.Width != 320 || string(f.Payload) != string(clip[i]) || f.Key != (i == 0) {
					t.Fatalf("picture %d: %s, %d pixels wide, key %v, %d bytes; %d were sent", i, f.Track.Codec, f.Track.Width, f.Key, len(f.Payload), len(clip[i]))
				}
			}
		})
	}
}

// TestUndeliverable: an offer of nothing that can be delivered is refused before anything is published.
func TestUndeliverable(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, source{mime: webrtc.MimeTypeVP8, units: ivfClip(t, "vp8.ivf")}).post("show")
	if p.status != http.StatusUnprocessableEntity || !strings.Contains(p.body, "VP8") || !strings.Contains(p.body, "H.264") {
		t.Errorf("status %d: %s", p.status, p.body)
	}
	if h.hub.Get("show") != nil {
		t.Error("the stream exists")
	}
	if h.metric(t, "refusals_total", "unsupported_codec") != 1 {
		t.Error("the refusal is not counted")
	}
}

// TestLayers: simulcast layers are tracks by their size, whatever their names and order, of one time and with common key
// frames.
func TestLayers(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h,
		source{mime: webrtc.MimeTypeH264, layer: "a", units: h264Clip(t, "f.h264")},
		source{mime: webrtc.MimeTypeH264, layer: "b", units: h264Clip(t, "q.h264")},
		source{mime: webrtc.MimeTypeH264, layer: "c", units: h264Clip(t, "h.h264")},
		opus()).post("show")
	if p.status != http.StatusCreated {
		t.Fatalf("status %d: %s", p.status, p.body)
	}
	p.reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "two seconds of three layers", func() bool {
		return len(h.seen.keys(0)) >= 3 && len(h.seen.keys(1)) >= 3 && len(h.seen.keys(2)) >= 3
	})
	for id, width := range []int{160, 320, 640} {
		keys := h.seen.keys(id)
		if keys[0].Track.Width != width {
			t.Errorf("track %d is %d pixels wide", id, keys[0].Track.Width)
		}
		for i := range 3 {
			if lead := h.seen.keys(0)[i].PTS; keys[i].PTS != lead {
				t.Errorf("key frame %d of track %d is %d ticks off", i, id, keys[i].PTS-lead)
			}
		}
	}
}

// TestLayersComeAndGo: a layer that begins later, or pauses, is a track of its own all the time, in step with the lead.
func TestLayersComeAndGo(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h,
		source{mime: webrtc.MimeTypeH264, layer: "q", units: h264Clip(t, "q.h264")},
		source{mime: webrtc.MimeTypeH264, layer: "h", units: h264Clip(t, "h.h264"), off: func(n int) bool { return n > 20 && n < 60 }},
		source{mime: webrtc.MimeTypeH264, layer: "f", units: h264Clip(t, "f.h264"), off: func(n int) bool { return n < 50 }},
	).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "three layers", func() bool {
		return len(h.seen.keys(0)) >= 5 && len(h.seen.keys(1)) >= 3 && len(h.seen.keys(2)) >= 2
	})
	layers := [][]stream.Frame{h.seen.of(0), h.seen.of(1), h.seen.of(2)}
	lead := map[int64]bool{}
	last := int64(0) // of the lead's: what is behind it has overtaken it
	for _, f := range h.seen.of(0) {
		lead[f.PTS], last = true, f.PTS
	}
	for id, width := range []int{160, 320, 640} {
		if got := layers[id][0].Track.Width; got != width {
			t.Errorf("track %d is %d pixels wide", id, got)
		}
		for i, f := range layers[id] {
			if !lead[f.PTS] && f.PTS < last {
				best := f.PTS
				for p := range lead {
					if abs(p-f.PTS) < abs(best-f.PTS) || best == f.PTS {
						best = p
					}
				}
				t.Errorf("picture %d of %d of track %d is none of the lead's: the next one is %d ticks away", i, len(layers[id]), id, best-f.PTS)
			}
		}
	}
}

// TestShutdown: publishers see at once that the server goes.
func TestShutdown(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, ""), opus()).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "pictures", func() bool { return len(h.seen.of(0)) >= 5 })
	offer := p.offer()
	h.server.Close()
	p.reach(webrtc.PeerConnectionStateClosed)
	if r, detail := h.do(t, "POST", "/whip/show", offer, "Content-Type", typeSDP); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("%s %s", r.Status, detail)
	}
	if h.metric(t, "refusals_total", "shutdown") != 1 {
		t.Error("the refusal is not counted")
	}
}

// TestChannels: a page that opens channels without end is sent away.
func TestChannels(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, ""))
	for range maxChannels + 1 {
		p.channel("more")
	}
	p.post("show")
	p.reach(webrtc.PeerConnectionStateClosed)
	eventually(t, "it is counted", func() bool { return h.metric(t, "refusals_total", "limit") == 1 })
}

// TestBitrate: a publisher beyond the limit is sent away.
func TestBitrate(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) { o.Limits = func() Limits { return Limits{MaxBitrate: 20_000} } })
	p := newPublisher(t, h, picture(t, "")).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	p.reach(webrtc.PeerConnectionStateClosed)
	eventually(t, "it is counted", func() bool { return h.metric(t, "refusals_total", "limit") == 1 })
}

// TestLoss: on a bad network what is lost is asked for again, and nothing damaged is passed on.
func TestLoss(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, ""), opus()).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.line.loss.Store(50)
	p.line.swap.Store(50)
	p.send()
	eventually(t, "three seconds of pictures", func() bool { return len(h.seen.of(0)) >= 90 })
	if h.metric(t, "packets_total", "recovered") == 0 || h.metric(t, "packets_total", "reordered") == 0 {
		t.Errorf("recovered %v, reordered %v", h.metric(t, "packets_total", "recovered"), h.metric(t, "packets_total", "reordered"))
	}
	whole := map[string]bool{}
	clean := openHouse(t, nil, nil)
	q := newPublisher(t, clean, picture(t, "")).post("show").reach(webrtc.PeerConnectionStateConnected)
	q.send()
	eventually(t, "all pictures once", func() bool { return len(clean.seen.of(0)) >= 31 })
	for _, f := range clean.seen.of(0) {
		whole[string(f.Payload)] = true
	}
	for i, f := range h.seen.of(0) {
		if !whole[string(f.Payload)] {
			t.Errorf("picture %d is damaged", i)
		}
	}
}

// TestUnrepaired: what retransmission does not bring costs the pictures up to the next key frame, and asks for one.
func TestUnrepaired(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) { o.Limits = func() Limits { return Limits{JitterBuffer: 5 * time.Millisecond} } })
	p := newPublisher(t, h, picture(t, "")).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "pictures", func() bool { return len(h.seen.of(0)) >= 10 })
	p.line.loss.Store(200)
	eventually(t, "something is lost", func() bool { return h.metric(t, "packets_total", "lost") > 0 })
	p.line.loss.Store(0)
	have := len(h.seen.keys(0))
	eventually(t, "a key frame after it", func() bool { return len(h.seen.keys(0)) > have })
	eventually(t, "a key frame was asked for", func() bool { return h.metric(t, "keyframe_requests_total", "loss") > 0 })
	broken := false
	for i, f := range h.seen.of(0)[1:] {
		if before := h.seen.of(0)[i]; f.PTS-before.PTS != 3000 {
			broken = true
			if !f.Key {
				t.Errorf("picture %d follows a gap of %d ticks and is no key frame", i+1, f.PTS-before.PTS)
			}
		}
	}
	if !broken {
		t.Error("nothing was dropped")
	}
}

// TestCards: commands over the data channel reach the stream, and are answered.
func TestCards(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, ""))
	d := p.channel("cards")
	other := p.channel("chat")
	p.post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "the channel is open", func() bool { return d.ReadyState() == webrtc.DataChannelStateOpen })
	eventually(t, "another channel is closed", func() bool { return other.ReadyState() == webrtc.DataChannelStateClosed })
	if err := d.SendText(`{"pushcart":"show","card":"lamp","key":"k1"}`); err != nil {
		t.Fatal(err)
	}
	if got, want := <-p.replies, `{"key":"k1","ok":true,"epoch":7,"seq":8,"card":"lamp","rev":9}`; got != want {
		t.Errorf("answer %s", got)
	}
	if err := d.Send([]byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if got := <-p.replies; !strings.Contains(got, `"ok":false`) || !strings.Contains(got, "as text") {
		t.Errorf("answer %s", got)
	}
	h.seen.mu.Lock()
	defer h.seen.mu.Unlock()
	if len(h.seen.data) != 1 || h.seen.data[0].Name != stream.DataChannel {
		t.Errorf("data %+v", h.seen.data)
	}
}

// TestTakeover: the same key takes its stream over at once, and the former publisher's connection is closed.
func TestTakeover(t *testing.T) {
	t.Parallel()
	h := openHouse(t, keysOf(t), nil)
	first := newPublisher(t, h, picture(t, ""))
	first.key = "first-secret-0001"
	first.post("show").reach(webrtc.PeerConnectionStateConnected)
	stop := first.send()
	eventually(t, "the first one's pictures", func() bool { return len(h.seen.of(0)) >= 5 })
	second := newPublisher(t, h, picture(t, ""))
	second.key = first.key
	second.post("show").reach(webrtc.PeerConnectionStateConnected)
	second.send()
	first.reach(webrtc.PeerConnectionStateClosed)
	stop()
	era := h.seen.of(0)[0].Era
	eventually(t, "the second one's pictures", func() bool {
		all := h.seen.of(0)
		return all[len(all)-1].Era > era
	})
	if r := first.request(http.MethodPatch, first.location, typeFragment, "", first.tag); r.StatusCode != http.StatusGone || !strings.Contains(first.body, "took this stream over") {
		t.Errorf("the former session answers %s: %s", r.Status, first.body)
	}
	first.key = "other-secret-0002"
	if r := first.request(http.MethodPatch, first.location, typeFragment, "", first.tag); r.StatusCode != http.StatusNotFound {
		t.Errorf("the former session answers another's token with %s: %s", r.Status, first.body)
	}
	if h.metric(t, "refusals_total", "taken_over") != 1 {
		t.Error("the takeover is not counted")
	}
}

func keysOf(t *testing.T) *auth.Keys {
	t.Helper()
	keys, err := auth.NewKeys([]auth.Entry{{Stream: "show", Key: "first-secret-0001"}, {Stream: "other", Key: "other-secret-0002"}})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestRestart: ICE is restarted from another port, as when a phone changes its network, and the stream goes on.
func TestRestart(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, "")).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "pictures", func() bool { return len(h.seen.of(0)) >= 5 })
	offer, err := p.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.pc.SetLocalDescription(offer); err != nil {
		t.Fatal(err)
	}
	f := credentials(offer.SDP)
	r := p.request(http.MethodPatch, p.location, typeFragment, attrUfrag+f.ufrag+"\r\n"+attrPassword+f.password+"\r\n", "*")
	tag := r.Header.Get("ETag")
	if r.StatusCode != http.StatusOK || tag == "" || tag == p.tag || r.Header.Get("Content-Type") != typeFragment {
		t.Fatalf("restart: %s, ETag %q, formerly %q: %s", r.Status, tag, p.tag, p.body)
	}
	for _, want := range []string{"a=ice-lite", "a=ice-ufrag:", "a=ice-pwd:", "m=video", "a=mid:0", "typ host"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the fragment lacks %s:\n%s", want, p.body)
		}
	}
	fresh := credentials(p.body)
	answer := p.answer
	for line := range strings.Lines(p.answer) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, attrUfrag):
			answer = strings.Replace(answer, line, attrUfrag+fresh.ufrag, 1)
		case strings.HasPrefix(line, attrPassword):
			answer = strings.Replace(answer, line, attrPassword+fresh.password, 1)
		}
	}
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	have := len(h.seen.of(0))
	eventually(t, "pictures over the new path", func() bool { return len(h.seen.of(0)) >= have+60 })
	// What is sent for the former ICE session comes too late.
	if r := p.request(http.MethodPatch, p.location, typeFragment, "", p.tag); r.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("an old ETag: %s", r.Status)
	}
	if r := p.request(http.MethodPatch, p.location, typeFragment, "", tag); r.StatusCode != http.StatusNoContent || r.Header.Get("ETag") != "" {
		t.Errorf("the new ETag: %s", r.Status)
	}
}

// TestTCP: where UDP does not get through, media come over the TCP port of the same number.
func TestTCP(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	h.tcp = true
	p := newPublisher(t, h, picture(t, ""), opus()).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "a second of pictures", func() bool { return len(h.seen.of(0)) >= 30 })
}

// TestVanish: a publisher whose cable is pulled is given up, so that it can come back within the stream's window.
func TestVanish(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) {
		o.Limits = func() Limits { return Limits{IdleTimeout: time.Second} }
	})
	p := newPublisher(t, h, picture(t, "")).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "pictures", func() bool { return len(h.seen.of(0)) >= 5 })
	p.line.cut.Store(true)
	eventually(t, "the stream waits for its publisher", func() bool {
		h.seen.mu.Lock()
		defer h.seen.mu.Unlock()
		return h.seen.away == 1
	})
}

// TestHalfOpen: a session whose connection never comes ends by itself.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) {
		o.Limits = func() Limits { return Limits{ConnectTimeout: 300 * time.Millisecond} }
	})
	p := newPublisher(t, h, picture(t, ""))
	p.line.cut.Store(true)
	p.post("show")
	eventually(t, "the session is gone", func() bool { return h.metric(t, "sessions_total", "connect_timeout") == 1 })
	eventually(t, "its place is free", func() bool { return h.metric(t, "open_sessions", "") == 0 })
}

// TestSilent: a connection over which no media come ends by itself.
func TestSilent(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) {
		o.Limits = func() Limits { return Limits{MediaTimeout: 300 * time.Millisecond} }
	})
	p := newPublisher(t, h, picture(t, "")).post("show")
	p.reach(webrtc.PeerConnectionStateClosed)
	eventually(t, "the session is counted", func() bool { return h.metric(t, "sessions_total", "media_timeout") == 1 })
}
