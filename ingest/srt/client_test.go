package srt

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"

	"pushcart/ingest"
)

// encoder is a listener that sends a stream to whoever calls, as a studio encoder does, and hangs up when enough is closed.
func encoder(t testing.TB, passphrase string, b []byte, enough <-chan struct{}) (addr string) {
	t.Helper()
	c := gosrt.DefaultConfig()
	c.KMRefreshRate, c.KMPreAnnounce = 200, 50
	ln, err := gosrt.Listen("srt", "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			req, err := ln.Accept2()
			if err != nil {
				return
			}
			switch {
			case req.StreamId() != "#!::r=cam,m=request,s=secret":
				req.Reject(gosrt.REJX_NOTFOUND)
				continue
			case (passphrase != "") != req.IsEncrypted():
				req.Reject(gosrt.REJ_UNSECURE)
				continue
			case passphrase != "" && req.SetPassphrase(passphrase) != nil:
				req.Reject(gosrt.REJ_BADSECRET)
				continue
			}
			conn, err := req.Accept()
			if err != nil {
				continue
			}
			send(conn, b)
			if enough != nil {
				// What is lost shows by what comes after it: nothing of the show is lost at the end.
				send(conn, []byte(strings.Repeat("\x47\x1f\xff\x10"+strings.Repeat("\xff", 184), 7*100)))
				<-enough
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

func newClient(t testing.TB, door ingest.Entry, limits Limits) *Client {
	t.Helper()
	c, err := NewClient(Options{Door: door, Log: slog.New(slog.DiscardHandler), Limits: func() Limits { return limits }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func pullURL(t testing.TB, format string, args ...any) ingest.Pull {
	t.Helper()
	u, err := url.Parse(fmt.Sprintf(format, args...))
	if err != nil {
		t.Fatal(err)
	}
	return ingest.Pull{Stream: "show", URL: u}
}

const camID = "%23%21%3A%3Ar%3Dcam%2Cm%3Drequest%2Cs%3Dsecret"

func TestPulls(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("3", x264...)...)
	for _, passphrase := range []string{"", "correct-horse"} {
		t.Run("passphrase "+passphrase, func(t *testing.T) {
			t.Parallel()
			enough := make(chan struct{})
			hangUp := sync.OnceFunc(func() { close(enough) })
			addr := encoder(t, passphrase, b, enough)
			if passphrase == "" { // gosrt announces its keys too little ahead for a line on which packets are lost
				line := badLine(4)
				_, addr = newHole(t, addr, badLine(3), func(b []byte) [][]byte {
					if b[0] == 0x80 && b[1] == 5 { // the good-bye is sent once
						return [][]byte{b}
					}
					return line(b)
				})
			}
			t.Cleanup(hangUp) // before the encoder's end is waited for
			door := newFakeDoor()
			c := newClient(t, door, Limits{})
			result := make(chan error, 1)
			go func() {
				result <- c.Pull(t.Context(), pullURL(t, "srt://%s?mode=caller&streamid=%s&passphrase=%s&latency=3000", addr, camID, passphrase))
			}()
			p := opened(t, door)
			eventually(t, "74 pictures", func() bool { return len(p.of(0)) >= 74 })
			hangUp()
			if err := <-result; err != nil {
				t.Error(err)
			}
			if err := ended(t, p); err != nil {
				t.Errorf("ended with %v", err)
			}
			if r := p.request; !r.Pulled || r.Stream != "show" || r.Key != "" || !r.Remote.IsValid() {
				t.Errorf("%+v", r)
			}
			unbroken(t, p, 74)
		})
	}
}

func TestPullFromFFmpeg(t *testing.T) {
	t.Parallel()
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := probe.LocalAddr().String()
	probe.Close()
	door := newFakeDoor()
	c := newClient(t, door, Limits{HandshakeTimeout: 10 * time.Second})
	result := make(chan error, 1)
	go func() {
		result <- c.Pull(t.Context(), pullURL(t, "srt://%s?passphrase=correct-horse&pbkeylen=32", addr))
	}()
	run(t, "ffmpeg", camera("srt://"+addr+"?mode=listener&passphrase=correct-horse&pbkeylen=32", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac")...)
	if err := <-result; err != nil {
		t.Error(err)
	}
	p := opened(t, door)
	if n := len(p.of(0)); n < 30 || len(p.of(101)) < 45 || len(p.drops) != 0 {
		t.Errorf("%d pictures, %d frames of the second audio, drops %v", n, len(p.of(101)), p.drops)
	}
}

func TestPullFaults(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("3", x264...)...)
	addr := encoder(t, "correct-horse", b, nil)
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, c := range map[string]struct{ url, want string }{
		"no such stream":   {"srt://" + addr + "?streamid=other&passphrase=correct-horse", "no such stream"},
		"wrong passphrase": {"srt://" + addr + "?streamid=" + camID + "&passphrase=incorrect-horse", "passphrase is wrong"},
		"no passphrase":    {"srt://" + addr + "?streamid=" + camID, "wants a passphrase"},
		"nobody answers":   {"srt://" + silent.LocalAddr().String() + "?streamid=secret", "did not answer"},
		"nobody is there":  {"srt://127.0.0.1:1?streamid=secret", "did not answer"},
		"no host":          {"srt://:9000?streamid=secret", "not of the form"},
		"no port":          {"srt://127.0.0.1?streamid=secret", "not of the form"},
		"another mode":     {"srt://127.0.0.1:9000?mode=listener&streamid=secret", "another mode"},
		"short passphrase": {"srt://127.0.0.1:9000?passphrase=secret", "SRT wants 10 to 79"},
		"latency":          {"srt://127.0.0.1:9000?latency=99999999&streamid=secret", "latency"},
		"key length":       {"srt://127.0.0.1:9000?pbkeylen=17&streamid=secret", "pbkeylen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			err := newClient(t, door, Limits{HandshakeTimeout: 700 * time.Millisecond}).Pull(context.Background(), pullURL(t, "%s", c.url))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "horse")) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func TestPullEnds(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("3", x264...)...)
	long := append(append(append([]byte{}, b...), b...), b...)
	addr := encoder(t, "", append(long, long...), nil)
	door := newFakeDoor()
	c := newClient(t, door, Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- c.Pull(ctx, pullURL(t, "srt://%s?streamid=%s", addr, camID)) }()
	p := opened(t, door)
	eventually(t, "pictures", func() bool { return len(p.of(0)) > 5 })
	cancel()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("%v", err)
	}
	ended(t, p)
}
