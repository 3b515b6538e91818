package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"pushcart/internal/auth/playback"
	"pushcart/internal/testkit"
)

// upFields are the listeners that the node tells of.
var upFields = regexp.MustCompile(` ([a-z-]+)=(\S+:\d+)`)

// Timeouts that are no settings: of the relay, the admin port and NATS, and of WebRTC's TCP port.
const fixedTimeout = 5 * time.Second

// open lists the listeners. One that the node opens and this does not know is a mistake: it would not be attacked. What challenges of
// certificates are answered at is off, for it needs a domain; NATS among core nodes is, for there is one.
func (s *siege) open(c *testkit.Cluster) {
	s.t.Helper()
	anybody := &tls.Config{InsecureSkipVerify: true}
	known := map[string]door{
		// A publisher has the time for the handshake, and then again until it publishes.
		"rtmp": {limit: 2 * s.stated, start: 3073}, "rtmps": {limit: 2 * s.stated, start: 3073, secure: anybody},
		"rtsp": {limit: 2 * s.stated}, "rtsps": {limit: 2 * s.stated, secure: anybody},
		"rtsp-udp": {udp: true}, "srt": {udp: true}, "whip-udp": {udp: true}, "whip-tcp": {limit: fixedTimeout},
		"http": {limit: s.stated}, "https": {limit: 2 * s.stated, secure: anybody},
		"admin": {limit: fixedTimeout}, "relay": {limit: 2 * fixedTimeout, secure: s.node.TLS("keep")},
		"leaf": {limit: fixedTimeout},
	}
	told := map[string]string{"leaf": net.JoinHostPort(s.node.IP, "7422")}
	for _, f := range upFields.FindAllStringSubmatch(s.node.Log.Wait(s.t, "pushcart is up"), -1) {
		told[f[1]] = f[2]
	}
	for name, address := range told {
		d, ok := known[name]
		if !ok {
			s.t.Errorf("the node listens for %s at %s, which this test does not attack", name, address)
			continue
		}
		d.name, d.address = name, address
		s.doors = append(s.doors, &d)
		delete(known, name)
	}
	for name := range known {
		s.t.Errorf("the node does not listen for %s", name)
	}
}

func (s *siege) door(name string) *door {
	for _, d := range s.doors {
		if d.name == name {
			return d
		}
	}
	s.t.Fatalf("no door %s", name)
	return nil
}

// record has real clients talk to the node by each protocol, and keeps what they said.
func (s *siege) record() {
	s.t.Helper()
	tape := func(said *testkit.Tape, names ...string) {
		if len(said.Bytes()) == 0 {
			s.t.Fatalf("nothing was recorded for %v", names)
		}
		for _, name := range names {
			s.door(name).tape = append(s.door(name).tape, said)
		}
	}
	publish := func(protocol, listener string, said *testkit.Tape, address string, doors ...string) {
		p := testkit.ByName(s.t, protocol)
		show := testkit.Show{Name: "mallory", Key: malloryKey, Tracks: p.Media(s.t)}
		src := p.Must(s.t, testkit.Elsewhere{Target: s.to, Instead: map[string]string{listener: address}}, show)
		if err := testkit.Send(s.t.Context(), src, show.Tracks, testkit.Stretch{To: 400 * time.Millisecond, Speed: 1}); err != nil {
			s.t.Fatal(err)
		}
		src.Leave()
		tape(said, doors...)
	}
	for _, p := range []struct {
		protocol string
		doors    []string
	}{{"rtmp", []string{"rtmp", "rtmps"}}, {"rtsp/tcp", []string{"rtsp", "rtsps"}}, {"whip", []string{"http", "https"}}} {
		address, said := testkit.TapTCP(s.t, s.door(p.doors[0]).address)
		publish(p.protocol, p.doors[0], said, address, p.doors...)
	}
	address, said := testkit.TapUDP(s.t, s.door("srt").address)
	publish("srt", "srt", said, address, "srt")

	// WebRTC's media by way of a tap: its answer names the node, so that the tap stands at the test's side of a relay.
	relayed, media := testkit.TapUDP(s.t, s.door("whip-udp").address)
	relay := testkit.NewRelay(s.t, relayed, testkit.Impairment{})
	p := testkit.ByName(s.t, "whip")
	show := testkit.Show{Name: "mallory", Key: malloryKey, Tracks: p.Media(s.t)}
	src, err := testkit.OpenWHIP(s.t, s.to, show, testkit.WHIPOptions{Relay: relay})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := testkit.Send(s.t.Context(), src, show.Tracks, testkit.Stretch{To: 400 * time.Millisecond, Speed: 1}); err != nil {
		s.t.Fatal(err)
	}
	src.Leave()
	tape(media, "whip-udp")
	var framed [][]byte // RFC 4571: over TCP each has its length in front
	for _, p := range media.Pieces() {
		framed = append(framed, append(binary.BigEndian.AppendUint16(nil, uint16(len(p))), p...))
	}
	tape(testkit.NewTape(framed...), "whip-tcp")

	for _, ask := range s.requests() {
		address, said := testkit.TapTCP(s.t, s.door("http").address)
		s.ask("http://"+address, ask)
		tape(said, "http", "https")
	}
	address, said = testkit.TapTCP(s.t, s.door("admin").address)
	s.ask("http://"+address, request{path: "/metrics"})
	tape(said, "admin")

	// What another node says in its handshake, and inside of it.
	address, said = testkit.TapTCP(s.t, s.door("relay").address)
	tr := &http.Transport{TLSClientConfig: s.node.TLS("keep"), DisableKeepAlives: true}
	if res, err := (&http.Client{Transport: tr}).Get("https://" + address + "/relay/1/mallory"); err != nil {
		s.t.Fatal(err)
	} else {
		res.Body.Close()
	}
	tape(said, "relay", "leaf")
}

// request is one that is answered.
type request struct {
	method, path, body string
	header             map[string]string
	status             int // 0 is 200
}

// requests are what viewers and operators ask for. The addresses of mallory's show are there as long as its publisher is.
func (s *siege) requests() []request {
	keys, err := playback.NewKeys([]playback.Key{{ID: "k1", Secret: hostileSign}})
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := keys.Sign(playback.Token{Stream: "hidden", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		s.t.Fatal(err)
	}
	operator := map[string]string{"Authorization": "Bearer " + operatorToken, "Content-Type": "application/json"}
	return []request{
		{path: "/live/mallory/index.m3u8", status: http.StatusNotFound},
		{path: "/api/v1/streams"},
		{path: "/watch/mallory"},
		{path: playback.Prefix + token + "/live/hidden/index.m3u8", status: http.StatusNotFound},
		{method: http.MethodPut, path: "/api/v1/streams/mallory/cards/lamp", header: operator,
			body: `{"id":"lamp","@type":"Product","name":{"en":"Lamp"}}`, status: http.StatusCreated},
		{path: "/api/v1/streams/mallory/cards", header: operator},
	}
}

// ask sends a request and wants its answer.
func (s *siege) ask(base string, q request) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	if q.method == "" {
		q.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, q.method, base+q.path, strings.NewReader(q.body))
	if err != nil {
		s.t.Fatal(err)
	}
	for k, v := range q.header {
		req.Header.Set(k, v)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var text bytes.Buffer
	text.ReadFrom(res.Body)
	if want := max(q.status, http.StatusOK); res.StatusCode != want && !(q.status == http.StatusNotFound && res.StatusCode < 500) {
		s.t.Errorf("%s %s: status %d, want %d: %.300s", q.method, q.path, res.StatusCode, want, text.String())
	}
}

// beginning of the good conversation at a door, as far as the handshake.
func (d *door) beginning() []byte {
	if d.start == 0 || len(d.tape) == 0 {
		return nil
	}
	all := d.tape[0].Bytes()
	return all[:min(d.start, len(all))]
}

// String names the door.
func (d *door) String() string { return fmt.Sprintf("%s at %s", d.name, d.address) }
