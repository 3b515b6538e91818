package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	srt "github.com/datarhei/gosrt"

	"pushcart/internal/testkit"
)

// impatient is a configuration file whose doors wait for a second only.
const impatient = `
log: {level: debug}
rtmp: {address: "127.0.0.1:0", handshake_timeout: 1s, idle_timeout: 1s, max_connections_per_address: 500}
rtsp: {address: "127.0.0.1:0", udp_address: "127.0.0.1:0", handshake_timeout: 1s, idle_timeout: 1s, max_connections_per_address: 500}
srt: {address: "127.0.0.1:0", handshake_timeout: 1s, idle_timeout: 1s, max_connections_per_address: 500}
whip: {udp_address: "127.0.0.1:0", tcp_address: "127.0.0.1:0", setup_timeout: 1s, idle_timeout: 1s, max_sessions_per_address: 500}
http: {address: "127.0.0.1:0"}
admin: {address: "127.0.0.1:0"}
publish: {reconnect_window: 1s}
hls: {segment_duration: 1s, max_segment_duration: 2s, dvr: 6s}
`

// abused is a node of its own that is treated badly.
type abused struct {
	t *testing.T
	*testkit.Server
	to testkit.Target
	p  testkit.Protocol
	// names is how many streams of other names were begun: each one's cards stay open for a while, with a goroutine and a file.
	names int
}

// resources are what a process holds.
type resources struct{ goroutines, descriptors, heap float64 }

func (a *abused) resources() resources {
	m := testkit.Scrape(a.t, "http://"+a.Admin)
	return resources{m.Value("go_goroutines"), m.Value("process_open_fds"), m.Value("go_memory_classes_heap_objects_bytes")}
}

// address of a listener that must be there.
func (a *abused) address(listener string) string {
	a.t.Helper()
	at := a.to.Address(listener)
	if at == nil {
		a.t.Fatalf("the node does not tell the address of %s", listener)
	}
	return at.String()
}

// sessions is how many publishers are counted as connected.
func (a *abused) sessions() float64 {
	return testkit.Scrape(a.t, "http://"+a.Admin).Value("pushcart_ingest_publishers")
}

// good publishes as one should, and wants to be seen by viewers.
func (a *abused) good(name string) {
	a.t.Helper()
	show := testkit.Show{Name: name, Tracks: a.p.Media(a.t)}
	src := a.p.Must(a.t, a.to, show)
	stop := testkit.OnAir(a.t, src, show.Tracks, testkit.Stretch{Speed: 1})
	v := testkit.NewViewer(a.t, a.to.HTTP()+"/live/"+name+"/index.m3u8")
	v.Join()
	reached(v, "video", 1200*time.Millisecond)
	stop()
	src.Leave()
}

// settled waits until the node holds what it held before: what is kept for reuse may make a little difference.
func (a *abused) settled(before resources) {
	a.t.Helper()
	const someGoroutines, someDescriptors, someHeap = 12, 8, 24 << 20
	var now resources
	for end := time.Now().Add(25 * time.Second); time.Now().Before(end); {
		if now = a.resources(); now.goroutines <= before.goroutines+someGoroutines+float64(a.names) &&
			now.descriptors <= before.descriptors+someDescriptors+float64(a.names) && now.heap <= before.heap+someHeap && a.sessions() == 0 {
			return
		}
		select {
		case <-a.t.Context().Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
	_, _, stacks, _ := testkit.Get(a.t.Context(), http.DefaultClient, "http://"+a.Admin+"/debug/pprof/goroutine?debug=1")
	a.t.Errorf("before the abuse %+v, now %+v, %v sessions; goroutines:\n%.6000s", before, now, a.sessions(), stacks)
}

// TestAbuse treats each door badly, in every way at once. Afterwards nothing is left behind and a good publisher is served.
func TestAbuse(t *testing.T) {
	t.Parallel()
	ways := map[string][]func(*abused){
		"rtmp":     {silentTCP("rtmp"), garbageTCP("rtmp", ""), pulledTCP("rtmp")},
		"rtsp/tcp": {silentTCP("rtsp"), garbageTCP("rtsp", ""), garbageTCP("rtsp", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"), pulledTCP("rtsp"), wrongSDP, garbageRTP, halfRTSP},
		"rtsp/udp": {pulledTCP("rtsp"), garbageUDP("rtsp-udp")},
		"srt":      {silentSRT, garbageUDP("srt"), pulledUDP, garbageTS, manyPIDs},
		"whip":     {silentTCP("whip-tcp"), garbageTCP("whip-tcp", ""), garbageUDP("whip-udp"), pulledUDP, silentWHIP, wrongOffer},
	}
	for name, list := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := testkit.WriteFile(t, "pushcart.yaml", impatient)
			s := testkit.ServeAsWritten(t, file)
			a := &abused{t: t, Server: s, to: s.Target(t), p: testkit.ByName(t, name)}
			a.good("before")
			testkit.Eventually(t, "the first show is over", func() bool {
				status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, a.to.HTTP()+"/api/v1/streams/before")
				return err == nil && status == http.StatusNotFound
			})
			before := a.resources()
			for _, way := range list {
				way(a)
			}
			a.settled(before)
			a.good("after")
			if a.Log.Has("panic") {
				t.Errorf("the node had a fault:\n%s", a.Log.Wait(t, "panic"))
			}
		})
	}
}

// crowdSize is how many come at once.
const crowdSize = 200

// silentTCP connects and says nothing.
func silentTCP(listener string) func(*abused) {
	return func(a *abused) {
		var all []net.Conn
		for range crowdSize {
			nc, err := net.DialTimeout("tcp", a.address(listener), 10*time.Second)
			if err != nil {
				a.t.Fatal(err)
			}
			defer nc.Close()
			all = append(all, nc)
		}
		for _, nc := range all {
			nc.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.Copy(io.Discard, nc); err != nil && strings.Contains(err.Error(), "timeout") {
				a.t.Errorf("%s: a connection that says nothing stays open", listener)
				return
			}
		}
	}
}

// garbageTCP says something and then nonsense.
func garbageTCP(listener, first string) func(*abused) {
	return func(a *abused) {
		noise := rand.NewChaCha8([32]byte{1})
		for range 20 {
			nc, err := net.DialTimeout("tcp", a.address(listener), 10*time.Second)
			if err != nil {
				a.t.Fatal(err)
			}
			nc.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(nc, first)
			io.CopyN(nc, noise, 64<<10) // which the node may end at any point
			if _, err := io.Copy(io.Discard, nc); err != nil && strings.Contains(err.Error(), "timeout") {
				a.t.Errorf("%s: a connection that talks nonsense stays open", listener)
			}
			nc.Close()
		}
	}
}

// garbageUDP throws nonsense at a port, and what looks like its protocol but is cut off.
func garbageUDP(listener string) func(*abused) {
	return func(a *abused) {
		nc, err := net.Dial("udp", a.address(listener))
		if err != nil {
			a.t.Fatal(err)
		}
		defer nc.Close()
		noise := rand.NewChaCha8([32]byte{2})
		b := make([]byte, 1400)
		for i := range 2000 {
			noise.Read(b)
			switch i % 4 {
			case 0:
				b[0] = 0x80 // SRT: control; RTP: version 2
			case 1:
				copy(b, []byte{0x80, 0, 0, 0, 0, 0, 0, 0}) // SRT: handshake
			case 2:
				copy(b, []byte{0, 1, 0, 0x10, 0x21, 0x12, 0xA4, 0x42}) // STUN: binding request
			}
			nc.Write(b[:1+i%len(b)])
		}
	}
}

// pulledTCP pulls a publisher's cable in mid-show.
func pulledTCP(listener string) func(*abused) {
	return func(a *abused) {
		relay := testkit.NewTCPRelay(a.t, a.address(listener))
		show := testkit.Show{Name: "pulled", Tracks: a.p.Media(a.t)}
		var src testkit.Source
		var err error
		if listener == "rtmp" {
			src, err = testkit.OpenRTMP(a.t, relay.Addr(), show)
		} else {
			src, err = testkit.OpenRTSP(a.t, relay.Addr(), show, a.p.Datagrams, nil)
		}
		if err != nil {
			a.t.Fatal(err)
		}
		if err := testkit.Send(a.t.Context(), src, show.Tracks, testkit.Stretch{To: 1500 * time.Millisecond, Speed: 1}); err != nil {
			a.t.Fatal(err)
		}
		relay.Pull()
		a.ended("a publisher whose cable was pulled")
		src.Drop()
	}
}

// pulledUDP is pulledTCP for protocols over UDP.
func pulledUDP(a *abused) {
	listener := map[string]string{"srt": "srt", "whip": "whip-udp"}[a.p.Room]
	relay := testkit.NewRelay(a.t, a.address(listener), testkit.Impairment{})
	show := testkit.Show{Name: "pulled", Tracks: a.p.Media(a.t)}
	var src testkit.Source
	var err error
	if a.p.Room == "srt" {
		src, err = testkit.DialSRT(a.t, relay.Addr().String(), testkit.StreamID("pulled", ""), show, nil)
	} else {
		src, err = testkit.OpenWHIP(a.t, a.to, show, testkit.WHIPOptions{Relay: relay})
	}
	if err != nil {
		a.t.Fatal(err)
	}
	if err := testkit.Send(a.t.Context(), src, show.Tracks, testkit.Stretch{To: 1500 * time.Millisecond, Speed: 1}); err != nil {
		a.t.Fatal(err)
	}
	relay.Pull()
	a.ended("a publisher whose cable was pulled")
	src.Drop()
}

// ended waits until no session is left.
func (a *abused) ended(what string) {
	a.t.Helper()
	testkit.Eventually(a.t, what+" is ended", func() bool { return a.sessions() == 0 })
}

// announce sends a description over RTSP and returns how it was answered.
func (a *abused) announce(sdp string) error {
	p, err := testkit.DialRTSP(a.t, a.address("rtsp"), testkit.Show{Name: "wrong", Tracks: a.p.Media(a.t)}, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer p.Drop()
	return p.Announce(sdp)
}

// wrongSDP describes what cannot be, what nobody knows, and more than anybody has.
func wrongSDP(a *abused) {
	const head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	const unknown = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H261X/90000\r\na=control:streamid=0\r\n"
	for name, sdp := range map[string]string{
		"nothing":            "",
		"no description":     strings.Repeat("nonsense\r\n", 100),
		"no tracks":          head,
		"an unknown codec":   head + unknown,
		"a broken format":    head + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=!!!!,====\r\na=control:streamid=0\r\n",
		"a broken AAC":       head + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/0/0\r\na=fmtp:97 mode=AAC-hbr;sizelength=999;config=FF\r\na=control:streamid=0\r\n",
		"1,000 tracks":       head + strings.Repeat(strings.Replace(unknown, "H261X", "H264", 1), 1000),
		"a line without end": head + "a=" + strings.Repeat("x", 200<<10),
	} {
		err := a.announce(sdp)
		if err == nil && (name == "no tracks" || name == "an unknown codec" || name == "nothing" || name == "no description") {
			a.t.Errorf("ANNOUNCE of %s is answered with OK", name)
		}
	}
	a.ended("whoever announced nonsense")
}

// garbageRTP records and then sends interleaved packets that are none.
func garbageRTP(a *abused) {
	show := testkit.Show{Name: "noise", Tracks: a.p.Media(a.t)}
	p, err := testkit.OpenRTSP(a.t, a.address("rtsp"), show, false, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{3})
	for i := range 500 {
		b := make([]byte, 4+i)
		noise.Read(b)
		b[0], b[1] = '$', byte(i%6)
		binary.BigEndian.PutUint16(b[2:], uint16(i))
		if i%3 == 0 && i > 12 {
			b[4], b[5] = 0x80, 96|b[5]&0x81
		}
		if p.Raw(b) != nil {
			break // it is sent away, as it may be
		}
	}
	p.Drop()
	a.ended("whoever sent nonsense")
}

// halfRTSP announces and goes no further.
func halfRTSP(a *abused) {
	for i := range 50 {
		p, err := testkit.DialRTSP(a.t, a.address("rtsp"), testkit.Show{Name: fmt.Sprint("half", i), Tracks: a.p.Media(a.t)}, nil)
		if err != nil {
			a.t.Fatal(err)
		}
		if err := p.Announce(p.SDP()); err != nil {
			a.t.Errorf("ANNOUNCE: %v", err)
		}
		a.names++
		defer p.Drop()
	}
	a.ended("whoever announced and did not record")
}

// silentSRT connects well and sends nothing; and asks for a handshake and says no more.
func silentSRT(a *abused) {
	address := a.address("srt")
	for range crowdSize {
		nc, err := net.Dial("udp", address)
		if err != nil {
			a.t.Fatal(err)
		}
		defer nc.Close()
		// Induction (SRT 3.2.1): version 4, extension 2, type 1.
		b := make([]byte, 64)
		b[0] = 0x80
		binary.BigEndian.PutUint32(b[16:], 4)
		binary.BigEndian.PutUint32(b[20:], 2)
		binary.BigEndian.PutUint32(b[28:], 1500)
		binary.BigEndian.PutUint32(b[32:], 8192)
		binary.BigEndian.PutUint32(b[36:], 1)
		nc.Write(b)
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	gone := make(chan struct{}, 20)
	for i := range 20 {
		c := srt.DefaultConfig()
		c.StreamId = testkit.StreamID(fmt.Sprint("silent", i), "")
		a.names++
		conn, err := srt.Dial("srt", address, c)
		if err != nil {
			a.t.Fatal(err)
		}
		go func() {
			io.Copy(io.Discard, conn)
			conn.Close()
			gone <- struct{}{}
		}()
	}
	for range 20 {
		select {
		case <-gone:
		case <-ctx.Done():
			a.t.Error("an SRT connection that sends nothing stays open")
			return
		}
	}
	a.ended("whoever said nothing")
}

// garbageTS sends what is no transport stream.
func garbageTS(a *abused) {
	p, err := testkit.DialSRT(a.t, a.address("srt"), testkit.StreamID("noise", ""), testkit.Show{Tracks: a.p.Media(a.t)}, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	noise := rand.NewChaCha8([32]byte{4})
	b := make([]byte, 7*188)
	for i := range 300 {
		noise.Read(b)
		for k := 0; k < len(b) && i%2 == 0; k += 188 {
			b[k] = 0x47
		}
		if p.Raw(b) != nil {
			break
		}
	}
	p.Drop()
	a.ended("whoever sent nonsense")
}

// manyPIDs sends tables with more streams than anybody has.
func manyPIDs(a *abused) {
	clip := testkit.Telephone() // whose coding nobody knows in a transport stream
	show := testkit.Show{}
	for range 150 {
		show.Tracks = append(show.Tracks, testkit.Media{Clip: clip})
	}
	p, err := testkit.DialSRT(a.t, a.address("srt"), testkit.StreamID("many", ""), show, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	testkit.Send(a.t.Context(), p, show.Tracks, testkit.Stretch{To: 500 * time.Millisecond, Speed: 1}) // which may be ended at any point
	p.Drop()
	a.ended("whoever sent too many tracks")
}

// silentWHIP makes offers and never connects.
func silentWHIP(a *abused) {
	refused := 0
	for i := range crowdSize {
		sdp := offerOf(a, func(sdp string) string { return sdp })
		status := a.post(fmt.Sprint("silent", i), sdp)
		if status != http.StatusCreated {
			refused++
			continue
		}
		a.names++
	}
	if refused == crowdSize {
		a.t.Error("no offer was taken")
	}
	a.ended("whoever did not connect")
}

// wrongOffer posts what is no offer, or too much of one.
func wrongOffer(a *abused) {
	for name, change := range map[string]func(string) string{
		"nothing":               func(string) string { return "" },
		"nonsense":              func(string) string { return strings.Repeat("nonsense\r\n", 100) },
		"without a fingerprint": func(s string) string { return strings.ReplaceAll(s, "a=fingerprint:", "a=footprint:") },
		"half":                  func(s string) string { return s[:len(s)/2] },
		"1,000 tracks": func(s string) string {
			_, media, _ := strings.Cut(s, "m=")
			return s + strings.Repeat("m="+media, 1000)
		},
		"an unknown codec": func(s string) string {
			return strings.NewReplacer("H264/90000", "H261X/90000", "opus/48000", "nothing/48000").Replace(s)
		},
		"endless": func(s string) string { return s + "a=" + strings.Repeat("x", 4<<20) },
	} {
		if status := a.post("wrong", offerOf(a, change)); status < 400 || status >= 500 {
			a.t.Errorf("an offer that is %s: status %d", name, status)
		}
	}
	a.ended("whoever offered nonsense")
}

// offerOf is an ordinary offer, changed.
func offerOf(a *abused, change func(string) string) string {
	const head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n" +
		"a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n"
	const common = "c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd%d\r\na=ice-pwd:0123456789abcdef0123456789\r\na=setup:actpass\r\na=rtcp-mux\r\na=sendonly\r\n"
	transport := fmt.Sprintf(common, rand.IntN(1<<20))
	return change(head + "m=video 9 UDP/TLS/RTP/SAVPF 102\r\n" + transport +
		"a=mid:0\r\na=rtpmap:102 H264/90000\r\na=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n" +
		"a=ssrc:1 cname:x\r\na=msid:a b\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" + transport + "a=mid:1\r\na=rtpmap:111 opus/48000/2\r\na=ssrc:2 cname:x\r\na=msid:a c\r\n")
}

// post posts an offer.
func (a *abused) post(name, sdp string) int {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.to.HTTP()+"/whip/"+name, bytes.NewReader([]byte(sdp)))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/sdp")
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		a.t.Fatalf("POST: %v", err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}
