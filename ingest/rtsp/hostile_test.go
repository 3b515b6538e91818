package rtsp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"pushcart/ingest"
)

// hostileCamera answers each request of a client as it is told: a response without CSeq and Content-Length, and its body. "" ends
// the connection.
func hostileCamera(t testing.TB, respond func(method string, header textproto.MIMEHeader) (head, body string)) *url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			r := textproto.NewReader(bufio.NewReader(nc))
			for {
				line, err := r.ReadLine()
				if err != nil {
					break
				}
				h, _ := r.ReadMIMEHeader()
				method, _, _ := strings.Cut(line, " ")
				head, body := respond(method, h)
				if head == "" {
					break
				}
				io.WriteString(nc, fmt.Sprintf("%s\r\nCSeq: %s\r\nContent-Length: %d\r\n\r\n%s", head, h.Get("Cseq"), len(body), body))
			}
			nc.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-served
	})
	return &url.URL{Scheme: "rtsp", Host: l.Addr().String(), Path: "/stream1", User: url.UserPassword("me", "pa55word")}
}

const (
	rtspOK       = "RTSP/1.0 200 OK"
	describeOK   = rtspOK + "\r\nContent-Type: application/sdp\r\nPublic: DESCRIBE, SETUP, PLAY"
	unauthorised = "RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"b\""
)

// TestHostileCameras end the pull with a sentence, and nothing else.
func TestHostileCameras(t *testing.T) {
	describes := func(body string) func(string, textproto.MIMEHeader) (string, string) {
		return func(method string, h textproto.MIMEHeader) (string, string) {
			switch {
			case method == "OPTIONS":
				return describeOK, ""
			case h.Get("Authorization") == "":
				return unauthorised, ""
			case method == "DESCRIBE":
				return describeOK, body
			}
			return rtspOK, ""
		}
	}
	const track = "m=audio 0 RTP/AVP 0\r\n"
	for name, test := range map[string]struct {
		respond func(string, textproto.MIMEHeader) (string, string)
		want    string
	}{
		"control that is no URL":  {describes(sdpHead + track + "a=control:%zz\r\n"), "control attribute"},
		"control of another kind": {describes(sdpHead + track + "a=control:rtsp://%zz\r\n"), "."},
		"formats and parameters":  {describes(costly["formats and parameters"]), "20000 formats"},
		"thousand tracks":         {describes(costly["tracks"]), "1000 tracks"},
		"no transport":            {describes(sdpHead + track + "a=control:trackID=0\r\n"), "."},
		"no answer's end":         {func(string, textproto.MIMEHeader) (string, string) { return "", "" }, "closed the connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logBuffer
			err := pull(t, newFakeDoor(), &log, nil, ingest.Pull{URL: hostileCamera(t, test.respond), Transport: "tcp"}).end(t)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("ended with %v, want %q", err, test.want)
			}
		})
	}
}
