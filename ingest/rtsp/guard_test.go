package rtsp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"pushcart/ingest"
)

// ask sends a request by hand; lines are its header's.
func ask(t testing.TB, nc net.Conn, method, url string, body string, lines ...string) {
	t.Helper()
	head := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: 1\r\n", method, url)
	for _, l := range lines {
		head += l + "\r\n"
	}
	if body != "" {
		head += fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(nc, head+"\r\n"+body); err != nil {
		t.Fatal(err)
	}
}

// answer reads a response without a body: its status line, and its header.
func answer(t testing.TB, r *bufio.Reader) (string, textproto.MIMEHeader) {
	t.Helper()
	tp := textproto.NewReader(r)
	line, err := tp.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	h, err := tp.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	return line, h
}

const sdpHead = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"

// costly are session descriptions that a parser would be busy with for a long time.
var costly = map[string]string{
	"formats and parameters": sdpHead + "m=video 0 RTP/AVP" + strings.Repeat(" 9", 20000) + "\r\na=fmtp:9 " + strings.Repeat("a=;", 29000) + "\r\n",
	"formats and attributes": sdpHead + "m=video 0 RTP/AVP\t" + strings.Repeat(" \v9", 10000) + "\r\n" + strings.Repeat("a=rtpmap:\n", 8800),
	"parameters":             sdpHead + "m=video 0 RTP/AVP 9\r\na=fmtp:9 " + strings.Repeat("a=;", 29000) + "\r\n",
	"tracks":                 sdpHead + strings.Repeat("m=video 0 RTP/AVP 9\n", 1000),
	"tracks behind returns":  sdpHead + strings.Repeat("\n\rm\r=video 0 RTP/AVP 9", 1000),
}

// TestCostlyDescriptions are refused before they are parsed, and before anybody is asked for a key.
func TestCostlyDescriptions(t *testing.T) {
	t.Parallel()
	for name, body := range costly {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := startServer(t, Options{Door: withKey("secret")})
			nc := dial(t, server)
			ask(t, nc, "ANNOUNCE", "rtsp://x/live/show", body)
			if line, _ := answer(t, bufio.NewReader(nc)); !strings.Contains(line, "413") || !strings.Contains(line, "The session description") && !strings.Contains(line, "of the session description") {
				t.Errorf("answered %q", line)
			}
			if n := counted(t, server.metrics.refusals[ingest.ReasonLimit]); n != 1 {
				t.Errorf("%v refusals counted", n)
			}
		})
	}
}

// TestCostlyLastRequest: the request that is one too many is not parsed either.
func TestCostlyLastRequest(t *testing.T) {
	t.Parallel()
	server, _ := startServer(t, Options{Door: withKey("secret")})
	nc := dial(t, server)
	for range earlyRequests {
		ask(t, nc, "OPTIONS", "*", "")
	}
	ask(t, nc, "ANNOUNCE", "rtsp://x/live/show", costly["tracks"])
	said, err := io.ReadAll(nc)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(said), "200 OK"); n != earlyRequests || strings.Contains(string(said), "A key is needed") {
		t.Errorf("%d requests answered; %s", n, said[max(0, len(said)-300):])
	}
}

// TestReasonableDescriptions pass.
func TestReasonableDescriptions(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"studio":       studio,
		"many formats": sdpHead + "m=audio 0 RTP/AVP 0 8 9 3 4 5 6 7 10 11 12 13 14 15 16 18\r\n",
		"many tracks":  sdpHead + strings.Repeat("m=audio 0 RTP/AVP 0\r\n", mostMedia),
	} {
		if r := tooMuch([]byte(body)); r != nil {
			t.Errorf("%s: %v", name, r)
		}
	}
}

// FuzzTooMuch: what passes has no more than the limits by gortsplib's own reading.
func FuzzTooMuch(f *testing.F) {
	for _, body := range costly {
		f.Add([]byte(body))
	}
	f.Add([]byte(studio))
	f.Fuzz(func(t *testing.T, body []byte) {
		if tooMuch(body) != nil {
			return
		}
		var text sdp.SessionDescription
		if text.Unmarshal(body) != nil {
			return
		}
		if len(text.MediaDescriptions) > mostMedia {
			t.Fatalf("%d media", len(text.MediaDescriptions))
		}
		for _, m := range text.MediaDescriptions {
			if len(m.MediaName.Formats) > mostFormats {
				t.Fatalf("%d formats", len(m.MediaName.Formats))
			}
		}
		_ = new(description.Session).Unmarshal(&text)
	})
}

// TestForeignSession: no connection reaches a session of another one. gortsplib's server would wait until that session has time,
// and serve nobody meanwhile.
func TestForeignSession(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	server, _ := startServer(t, Options{Door: door})
	nc := dial(t, server)
	r := bufio.NewReader(nc)
	ask(t, nc, "ANNOUNCE", "rtsp://x/live/show", sdpHead+"m=audio 0 RTP/AVP 0\r\na=control:trackID=0\r\n")
	answer(t, r)
	p := door.next(t)
	ask(t, nc, "SETUP", "rtsp://x/live/show/trackID=0", "", "Transport: RTP/AVP/TCP;interleaved=0-1;mode=record")
	line, h := answer(t, r)
	id := h.Get("Session")
	if id == "" {
		t.Fatalf("answered %q without a session", line)
	}
	other := dial(t, server)
	ask(t, other, "TEARDOWN", "rtsp://x/live/show", "", "Session: "+id)
	if line, _ := answer(t, bufio.NewReader(other)); !strings.Contains(line, "454") {
		t.Errorf("from another connection: %q", line)
	}
	ask(t, nc, "RECORD", "rtsp://x/live/show", "", "Session: "+id)
	if line, _ := answer(t, r); !strings.Contains(line, "200") {
		t.Errorf("from its own: %q", line)
	}
	ask(t, nc, "TEARDOWN", "rtsp://x/live/show", "", "Session: "+id)
	if err := p.ended(t); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// TestDisarm: what would make gortsplib wait is taken out of a SETUP, and of one that has announced only what is never needed.
func TestDisarm(t *testing.T) {
	t.Parallel()
	const transport = `RTP/AVP;unicast;x="y"source=slow.example;client_port=5000-5001,RTP/AVP/TCP;source=slow.example`
	for _, announced := range []bool{false, true} {
		req := &base.Request{Method: base.Setup, Header: base.Header{"Transport": {transport}, "User-Agent": {"GStreamer/1"}, "Session": {"abc"}}}
		disarm(new(gortsplib.ServerConn), req, announced)
		var th headers.Transports
		if err := th.Unmarshal(req.Header["Transport"]); err != nil || len(th) != 2 || th[0].Source != nil || th[1].Source != nil || th[0].ClientPorts == nil {
			t.Errorf("transport %v, %v", th, err)
		}
		if _, agent := req.Header["User-Agent"]; agent != announced {
			t.Errorf("announced %v: agent %v", announced, agent)
		}
		if req.Header["Session"][0] != nobody {
			t.Errorf("session %v", req.Header["Session"])
		}
	}
}
