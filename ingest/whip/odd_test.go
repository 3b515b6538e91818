package whip

import (
	"bytes"
	"crypto/sha256"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// forger is an interceptor of a publisher's that changes what it sends.
type forger struct {
	interceptor.NoOp
	mu    sync.Mutex // guards what follows
	forge func(*rtp.Header)
}

func (f *forger) NewInterceptor(string) (interceptor.Interceptor, error) { return f, nil }

func (f *forger) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, b []byte, a interceptor.Attributes) (int, error) {
		f.mu.Lock()
		own := *h
		if f.forge != nil {
			f.forge(&own)
		}
		f.mu.Unlock()
		return w.Write(&own, b, a)
	})
}

func (f *forger) set(forge func(*rtp.Header)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forge = forge
}

// TestSlowPictures: what is sent again is taken in time, though the next picture is long in coming.
func TestSlowPictures(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) { o.Limits = func() Limits { return Limits{JitterBuffer: 700 * time.Millisecond} } })
	p := newPublisher(t, h, source{mime: webrtc.MimeTypeH264, units: h264Clip(t, "h.h264")[:1]}) // key frames, of several packets
	p.distance = time.Second
	p.post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "a picture", func() bool { return len(h.seen.of(0)) >= 1 })
	p.line.lose.Store(1)
	eventually(t, "one more", func() bool { return h.metric(t, "packets_total", "recovered") == 1 })
	if lost := h.metric(t, "packets_total", "lost"); lost != 0 {
		t.Errorf("%v packets were given up", lost)
	}
}

// TestStrangersWait: requests of those who have no key take nobody's place, and their offers are not even waited for.
func TestStrangersWait(t *testing.T) {
	t.Parallel()
	h := openHouse(t, keysOf(t), func(o *Options) { o.Limits = func() Limits { return Limits{MaxSessions: 1} } })
	body, rest := io.Pipe()
	r, err := http.NewRequest(http.MethodPost, h.http.URL+"/whip/show", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", typeSDP)
	status := make(chan int, 1)
	go func() {
		answer, err := h.http.Client().Do(r)
		if err != nil {
			status <- 0
			return
		}
		answer.Body.Close()
		status <- answer.StatusCode
	}()
	defer rest.Close()
	eventually(t, "a request whose offer has not come is refused", func() bool { return h.metric(t, "refusals_total", "bad_key") == 1 })
	p := newPublisher(t, h, picture(t, ""))
	p.key = "first-secret-0001"
	if p.post("show"); p.status != http.StatusCreated {
		t.Errorf("the only place is taken: %d %s", p.status, p.body)
	}
	rest.Close()
	if got := <-status; got != http.StatusUnauthorized {
		t.Errorf("without a key: %d", got)
	}
}

// TestUnanswerable: an offer that cannot be answered does not end the stream's present publisher.
func TestUnanswerable(t *testing.T) {
	t.Parallel()
	h := openHouse(t, keysOf(t), nil)
	p := newPublisher(t, h, picture(t, ""))
	p.key = "first-secret-0001"
	p.post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "pictures", func() bool { return len(h.seen.of(0)) >= 5 })
	other := newPublisher(t, h, picture(t, ""))
	offer := regexp.MustCompile(`(?m)^a=fingerprint:.*\r\n`).ReplaceAllString(other.offer(), "")
	if r, detail := h.do(t, "POST", "/whip/show", offer, "Content-Type", typeSDP, "Authorization", "Bearer "+p.key); r.StatusCode != http.StatusBadRequest {
		t.Errorf("%s: %s", r.Status, detail)
	}
	have := len(h.seen.of(0))
	eventually(t, "more pictures", func() bool { return len(h.seen.of(0)) >= have+10 })
	if h.metric(t, "refusals_total", "taken_over") != 0 || h.metric(t, "open_sessions", "") != 1 {
		t.Error("the former publisher was sent away, or the other's place is not free")
	}
}

// TestRebinding: a site whose name stands for this host is foreign all the same.
func TestRebinding(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	offer := newPublisher(t, h, picture(t, "")).offer()
	for host, want := range map[string]int{"elsewhere.example:8080": 403, "203.0.113.9": 403, "localhost:8080": 201, "[::1]:8080": 201} {
		r, err := http.NewRequest(http.MethodPost, h.http.URL+"/whip/show", strings.NewReader(offer))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set("Origin", "http://"+host)
		r.Header.Set("Content-Type", typeSDP)
		answer, err := h.http.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %s", host, answer.Status)
		}
	}
}

// TestStreamFlood: a publisher cannot make the node keep RTP streams without end.
func TestStreamFlood(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, ""))
	p.distance = 5 * time.Millisecond
	p.post("show").reach(webrtc.PeerConnectionStateConnected)
	p.forger.set(func(h *rtp.Header) { h.SSRC = rand.Uint32() })
	p.send()
	p.reach(webrtc.PeerConnectionStateClosed)
	eventually(t, "it is counted", func() bool { return h.metric(t, "refusals_total", "limit") == 1 })
	eventually(t, "its place is free", func() bool { return h.metric(t, "open_sessions", "") == 0 })
}

// TestChannelFlood: what comes over data channels counts against the bitrate, too.
func TestChannelFlood(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) { o.Limits = func() Limits { return Limits{MaxBitrate: 10_000} } })
	p := newPublisher(t, h, picture(t, ""))
	d := p.channel("cards")
	p.post("show").reach(webrtc.PeerConnectionStateConnected)
	eventually(t, "the channel is open", func() bool { return d.ReadyState() == webrtc.DataChannelStateOpen })
	for range 4 {
		if err := d.SendText(strings.Repeat("x", 8<<10)); err != nil {
			break // it is closed
		}
	}
	eventually(t, "it is counted", func() bool { return h.metric(t, "refusals_total", "limit") == 1 })
}

// TestUnannounced: a video-only offer without SSRCs is good, and so is a restart of its ICE.
func TestUnannounced(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h, picture(t, ""))
	p.change = func(offer string) string {
		return regexp.MustCompile(`(?m)^a=ssrc.*\r\n`).ReplaceAllString(offer, "")
	}
	p.post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "pictures", func() bool { return len(h.seen.of(0)) >= 30 })
	const fresh = attrUfrag + "abcd\r\n" + attrPassword + "abcdefghijklmnopqrstuv\r\n"
	if r := p.request(http.MethodPatch, p.location, typeFragment, fresh, "*"); r.StatusCode != http.StatusOK {
		t.Errorf("restart: %s %s", r.Status, p.body)
	}
}

// TestAnotherSSRC: a layer that goes on with another SSRC over a real connection keeps its track.
func TestAnotherSSRC(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	p := newPublisher(t, h,
		source{mime: webrtc.MimeTypeH264, layer: "q", units: h264Clip(t, "q.h264")},
		source{mime: webrtc.MimeTypeH264, layer: "h", units: h264Clip(t, "h.h264")},
	).post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "two layers", func() bool { return len(h.seen.of(0)) >= 30 && len(h.seen.of(1)) >= 30 })
	former := uint32(p.senders[1].rtp.GetParameters().Encodings[1].SSRC)
	p.forger.set(func(h *rtp.Header) {
		if h.SSRC == former {
			h.SSRC, h.SequenceNumber, h.Timestamp = former+1, h.SequenceNumber+7000, h.Timestamp+1<<30
		}
	})
	have := len(h.seen.of(1))
	eventually(t, "more of both layers", func() bool { return len(h.seen.of(1)) >= have+60 })
	if got := h.seen.of(2); len(got) != 0 {
		t.Errorf("there is a third track of %d pictures", len(got))
	}
	if f := h.seen.of(1); f[len(f)-1].Track.Width != 320 {
		t.Errorf("it is %d pixels wide", f[len(f)-1].Track.Width)
	}
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestLogSecrets: neither keys nor passwords of ICE are in the log, with all its details.
func TestLogSecrets(t *testing.T) {
	t.Parallel()
	var log safeBuffer
	h := openHouse(t, keysOf(t), func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	p := newPublisher(t, h, picture(t, ""))
	p.key = "first-secret-0001"
	p.post("show").reach(webrtc.PeerConnectionStateConnected)
	p.send()
	eventually(t, "pictures", func() bool { return len(h.seen.of(0)) >= 5 })
	offer := p.pc.LocalDescription().SDP
	h.do(t, "POST", "/whip/show?key=wrong-secret-0009", offer, "Content-Type", typeSDP)
	h.do(t, "POST", "/whip/show", strings.ReplaceAll(offer, "a=fingerprint", "a=fing"), "Content-Type", typeSDP, "Authorization", "Bearer "+p.key)
	p.stop()
	h.stop()
	said := log.String()
	for what, secret := range map[string]string{"the key": p.key, "a wrong key": "wrong-secret-0009", "the publisher's ICE password": credentials(offer).password,
		"our ICE password": credentials(p.answer).password, "the session's address": p.location[len("/whip/show/"):]} {
		if secret == "" || strings.Contains(said, secret) {
			t.Errorf("%s is in the log (or empty: %x)", what, sha256.Sum256([]byte(secret)))
		}
	}
	if !strings.Contains(said, "webrtc:") {
		t.Error("the log has no details, so the test shows nothing")
	}
}
