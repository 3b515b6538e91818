package whip

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
)

// do sends a request and returns the answer, whose body is in the publisher.
func (h *house) do(t *testing.T, method, path, body string, fields ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, h.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	answer, err := h.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var problem struct {
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	if answer.StatusCode >= 400 {
		if kind := answer.Header.Get("Content-Type"); kind != "application/problem+json" {
			t.Errorf("%s %s: %s as %q", method, path, answer.Status, kind)
		}
		if err := json.NewDecoder(answer.Body).Decode(&problem); err != nil || problem.Status != answer.StatusCode || problem.Detail == "" {
			t.Errorf("%s %s: %s without a sentence: %v", method, path, answer.Status, err)
		}
	}
	return answer, problem.Detail
}

// TestRefusals: each reason has its status, and those that pass say when to try again.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newDesk(t).media.session.server
	for reason, want := range map[ingest.Reason]struct {
		status int
		again  bool
	}{
		ingest.ReasonBadKey:           {http.StatusUnauthorized, false},
		ingest.ReasonNoKeys:           {http.StatusForbidden, false},
		ingest.ReasonBadName:          {http.StatusBadRequest, false},
		ingest.ReasonUnsupportedCodec: {http.StatusForbidden, false},
		ingest.ReasonNameTaken:        {http.StatusConflict, true},
		ingest.ReasonStandby:          {http.StatusConflict, true},
		ingest.ReasonElsewhere:        {http.StatusConflict, true},
		ingest.ReasonLimit:            {http.StatusTooManyRequests, true},
		ingest.ReasonShutdown:         {http.StatusServiceUnavailable, true},
		ingest.ReasonCluster:          {http.StatusServiceUnavailable, true},
		ingest.ReasonAuthority:        {http.StatusServiceUnavailable, true},
	} {
		w := httptest.NewRecorder()
		s.refuse(w, netip.AddrPort{}, "", ingest.Refuse(reason, "Why not."))
		if again := w.Header().Get("Retry-After") != ""; w.Code != want.status || again != want.again || !strings.Contains(w.Body.String(), "Why not.") {
			t.Errorf("%s: status %d, Retry-After %t: %s", reason, w.Code, again, w.Body)
		}
	}
}

// TestHTTP holds the statuses and header fields against RFC 9725.
func TestHTTP(t *testing.T) {
	t.Parallel()
	h := openHouse(t, keysOf(t), func(o *Options) {
		o.ICEServers = func() []ICEServer {
			return []ICEServer{{URL: "stun:stun.example.org"}, {URL: "turn:turn.example.org?transport=udp", Username: "u", Credential: `a"b`}}
		}
	})
	p := newPublisher(t, h, picture(t, ""), opus())
	p.key = "first-secret-0001"
	p.post("show")
	if p.status != http.StatusCreated || !strings.HasPrefix(p.location, "/whip/show/") || !strings.HasPrefix(p.tag, `"`) {
		t.Fatalf("status %d, Location %q, ETag %s: %s", p.status, p.location, p.tag, p.body)
	}
	offer := p.offer()
	bearer := "Bearer " + p.key
	const some = attrUfrag + "abcd\r\n" + attrPassword + "abcdefghijklmnopqrstuv\r\n"
	for _, c := range []struct {
		method, path, body string
		want               int
		fields             []string
	}{
		{"GET", "/whip/show", "", 405, nil},
		{"HEAD", "/whip/show", "", 405, nil},
		{"PUT", "/whip/show", offer, 405, nil},
		{"DELETE", "/whip/show", "", 405, nil},
		{"POST", "/whip/show", offer, 415, []string{"Content-Type", "text/plain", "Authorization", bearer}},
		{"POST", "/whip/show", offer, 401, []string{"Content-Type", typeSDP}},
		{"POST", "/whip/show", offer, 401, []string{"Content-Type", typeSDP, "Authorization", "Bearer wrong"}},
		{"POST", "/whip/show", "v=0\r\ngarbage", 400, []string{"Content-Type", typeSDP, "Authorization", bearer}},
		{"POST", "/whip/show", "", 400, []string{"Content-Type", typeSDP, "Authorization", bearer}},
		{"POST", "/whip/show", strings.Repeat("a=x\r\n", maxOffer), 413, []string{"Content-Type", typeSDP, "Authorization", bearer}},
		{"POST", "/whip/show", manySections(1000), 422, []string{"Content-Type", typeSDP, "Authorization", bearer}},
		{"POST", "/whip/show", strings.ReplaceAll(offer, "sendonly", "recvonly"), 422, []string{"Content-Type", typeSDP, "Authorization", bearer}},
		{"POST", "/whip/live/show", offer, 404, []string{"Content-Type", typeSDP, "Authorization", bearer}},
		{"GET", p.location, "", 405, []string{"Authorization", bearer}},
		{"PATCH", p.location, some, 401, []string{"Content-Type", typeFragment, "If-Match", "*"}},
		{"PATCH", p.location, some, 401, []string{"Content-Type", typeFragment, "If-Match", "*", "Authorization", "Bearer other-secret-0002"}},
		{"PATCH", "/whip/other/" + p.location[len("/whip/show/"):], some, 404, []string{"Content-Type", typeFragment, "If-Match", "*", "Authorization", bearer}},
		{"PATCH", p.location, some, 415, []string{"Content-Type", "application/json", "If-Match", "*", "Authorization", bearer}},
		{"PATCH", p.location, some, 428, []string{"Content-Type", typeFragment, "Authorization", bearer}},
		{"PATCH", p.location, some, 412, []string{"Content-Type", typeFragment, "If-Match", `"other"`, "Authorization", bearer}},
		{"PATCH", p.location, "v=0\r\n", 400, []string{"Content-Type", typeFragment, "If-Match", "*", "Authorization", bearer}},
		{"PATCH", p.location, attrUfrag + "abcd\r\n", 400, []string{"Content-Type", typeFragment, "If-Match", "*", "Authorization", bearer}},
		{"PATCH", p.location, "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=candidate:2 1 udp 1 x.local 9 typ host\r\n", 204,
			[]string{"Content-Type", typeFragment, "If-Match", p.tag, "Authorization", bearer}},
		{"DELETE", p.location, "", 401, nil},
		{"DELETE", p.location, "", 200, []string{"Authorization", bearer, "If-Match", `"other"`}},
		{"DELETE", p.location, "", 404, []string{"Authorization", bearer}},
	} {
		if c.method == "HEAD" {
			r, err := http.Head(h.http.URL + c.path)
			if err != nil || r.StatusCode != c.want {
				t.Errorf("HEAD %s: %v, %v", c.path, r, err)
			}
			continue
		}
		r, detail := h.do(t, c.method, c.path, c.body, c.fields...)
		if r.StatusCode != c.want {
			t.Errorf("%s %s %q: %s (%s), not %d", c.method, c.path, c.fields, r.Status, detail, c.want)
		}
		if r.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s %s: no CORS", c.method, c.path)
		}
		if c.want == 405 && r.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
		if c.want == 401 && r.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: no WWW-Authenticate", c.method, c.path)
		}
	}
	r, _ := h.do(t, "OPTIONS", "/whip/show", "")
	if r.StatusCode != 200 || r.Header.Get("Accept-Post") != typeSDP || !strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "If-Match") ||
		!strings.Contains(r.Header.Get("Access-Control-Expose-Headers"), "Location") || !strings.Contains(r.Header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("OPTIONS: %s %v", r.Status, r.Header)
	}
	// Where else the key may stand.
	for i, fields := range [][]string{{"Authorization", "Bearer " + p.key}, nil, {"Authorization", "Basic YTpmaXJzdC1zZWNyZXQtMDAwMQ=="}} {
		path := "/whip/show"
		if fields == nil {
			path += "?key=" + p.key
		}
		r, detail := h.do(t, "POST", path, offer, append([]string{"Content-Type", typeSDP}, fields...)...)
		if r.StatusCode != http.StatusCreated {
			t.Errorf("%d: %s %s", i, r.Status, detail)
		}
		if links := r.Header.Values("Link"); len(links) != 2 || links[0] != `<stun:stun.example.org>; rel="ice-server"` ||
			links[1] != `<turn:turn.example.org?transport=udp>; rel="ice-server"; username="u"; credential="a\"b"; credential-type="password"` {
			t.Errorf("Link %q", links)
		}
	}
}

func manySections(n int) string {
	var b strings.Builder
	b.WriteString("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n")
	for range n {
		b.WriteString("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n")
	}
	return b.String()
}

// TestForeignPage: a page of another site cannot use this host's right to publish without a key.
func TestForeignPage(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, nil)
	offer := newPublisher(t, h, picture(t, "")).offer()
	for origin, want := range map[string]int{"http://elsewhere.example": 403, "null": 403, h.http.URL: 201} {
		if r, detail := h.do(t, "POST", "/whip/show", offer, "Content-Type", typeSDP, "Origin", origin); r.StatusCode != want {
			t.Errorf("%s: %s %s", origin, r.Status, detail)
		}
	}
}

// TestPublicAddress: the answer names what publishers reach the node by, and nothing else.
func TestPublicAddress(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) {
		o.PublicAddresses = func() []string { return []string{"203.0.113.9", "localhost", "2001:db8::9"} }
	})
	p := newPublisher(t, h, picture(t, "")).post("show")
	port := h.server.sockets.udpPort
	for _, want := range []string{fmt.Sprintf(" 203.0.113.9 %d typ host\r\n", port), fmt.Sprintf(" 2001:db8::9 %d typ host tcptype passive\r\n", port),
		fmt.Sprintf(" 127.0.0.1 %d typ host\r\n", port), "a=ice-lite", "a=setup:passive", "b=AS:60000", "stereo=1"} {
		if !strings.Contains(p.answer+"stereo=1", want) {
			t.Errorf("the answer lacks %q:\n%s", want, p.answer)
		}
	}
	p.reach(webrtc.PeerConnectionStateConnected) // by the name
}

// TestTooMany: sessions are limited, and a place that is free again is taken.
func TestTooMany(t *testing.T) {
	t.Parallel()
	h := openHouse(t, nil, func(o *Options) { o.Limits = func() Limits { return Limits{MaxSessions: 1} } })
	first := newPublisher(t, h, picture(t, "")).post("one")
	second := newPublisher(t, h, picture(t, "")).post("two")
	if first.status != 201 || second.status != 503 || h.metric(t, "sessions_total", "too_many") != 1 {
		t.Errorf("%d, %d", first.status, second.status)
	}
	first.request(http.MethodDelete, first.location, "", "", "")
	eventually(t, "the place is free", func() bool { return h.metric(t, "open_sessions", "") == 0 })
	if third := newPublisher(t, h, picture(t, "")).post("three"); third.status != 201 {
		t.Errorf("%d: %s", third.status, third.body)
	}
}

// TestNothingLeft: sessions that end badly leave no goroutine behind, and the ports are free. It runs by itself.
func TestNothingLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	var patience atomic.Int64 // for the connection
	h := openHouse(t, nil, func(o *Options) {
		o.Limits = func() Limits {
			return Limits{ConnectTimeout: time.Duration(patience.Load()), IdleTimeout: 500 * time.Millisecond}
		}
	})
	settled := runtime.NumGoroutine()
	for n := range 3 {
		cut := newPublisher(t, h, picture(t, ""), opus())
		cut.channel("cards")
		patience.Store(int64(15 * time.Second))
		cut.post(fmt.Sprint("cut", n)).reach(webrtc.PeerConnectionStateConnected)
		stop := cut.send()
		eventually(t, "media", func() bool { return h.metric(t, "packets_total", "received") > 0 })
		cut.line.cut.Store(true)
		patience.Store(int64(300 * time.Millisecond))
		half := newPublisher(t, h, picture(t, ""))
		half.line.cut.Store(true)
		half.post(fmt.Sprint("half", n))
		newPublisher(t, h, picture(t, "")).post("never").stop()
		eventually(t, "the sessions have ended", func() bool { return h.metric(t, "open_sessions", "") == 0 })
		stop()
		cut.stop()
		half.stop()
	}
	h.http.CloseClientConnections()
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "their goroutines have ended", func() bool { return runtime.NumGoroutine() <= settled+2 })
	address := h.server.AddrUDP().String()
	h.stop()
	eventually(t, "the server's goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+1 })
	again, err := NewServer(Options{Door: h.server.opt.Door, UDPAddress: address, TCPAddress: address})
	if err != nil {
		t.Fatal("the ports are still taken: ", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
