package rtsp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// camera is an RTSP server that sends a show to who plays it.
type camera struct {
	*show
	server *gortsplib.Server
	bound  net.Listener
	stream *gortsplib.ServerStream
	user   string // "" lets everyone in
	to     string // where it redirects to
	played chan *gortsplib.ServerSession

	mu   sync.Mutex
	seen []string // Authorization headers
}

func newCamera(t testing.TB, change func(*camera)) *camera {
	t.Helper()
	c := &camera{show: newShow(t), played: make(chan *gortsplib.ServerSession, 4)}
	c.server = &gortsplib.Server{Handler: c, RTSPAddress: "127.0.0.1:0", DisableRTCPSenderReports: true}
	c.server.Listen = func(network, address string) (net.Listener, error) {
		var err error
		c.bound, err = net.Listen(network, address)
		return c.bound, err
	}
	if change != nil {
		change(c)
	}
	pair, err := listenPair(net.ListenPacket, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pair {
		p.Close()
	}
	if c.server.TLSConfig == nil && c.server.UDPRTPAddress == "" {
		c.server.UDPRTPAddress, c.server.UDPRTCPAddress = pair[0].LocalAddr().String(), pair[1].LocalAddr().String()
	} else {
		c.server.UDPRTPAddress = ""
	}
	if err := c.server.Start(); err != nil {
		t.Fatal(err)
	}
	c.stream = &gortsplib.ServerStream{Server: c.server, Desc: c.description()}
	if err := c.stream.Initialize(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.stream.Close()
		c.server.Close()
	})
	return c
}

func (c *camera) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	c.mu.Lock()
	c.seen = append(c.seen, ctx.Request.Header["Authorization"]...)
	c.mu.Unlock()
	if c.to != "" {
		return &base.Response{StatusCode: base.StatusFound, Header: base.Header{"Location": base.HeaderValue{c.to}}}, nil, nil
	}
	if c.user != "" && !ctx.Conn.VerifyCredentials(ctx.Request, c.user, "pa55word") {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *camera) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *camera) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	c.played <- ctx.Session
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// shoot sends pictures and sound until the test has what it waits for.
func (c *camera) shoot(p *fakePub, pictures int) {
	c.t.Helper()
	captured := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			if n == 0 {
				c.stream.WritePacketRTCP(c.video, &rtcp.SenderReport{NTPTime: toNTP(captured), RTPTime: uint32(videoStart)})
				c.stream.WritePacketRTCP(c.audio, &rtcp.SenderReport{NTPTime: toNTP(captured), RTPTime: uint32(audioStart)})
			}
			for _, k := range c.picture(n, 3) {
				c.stream.WritePacketRTP(c.video, k)
			}
			c.stream.WritePacketRTP(c.audio, c.sound(n))
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	p.await(c.t, 0, pictures)
	p.await(c.t, 100, pictures)
}

// address of the camera.
func (c *camera) address(t testing.TB, user, fragment string) *url.URL {
	t.Helper()
	u := &url.URL{Scheme: "rtsp", Host: c.bound.Addr().String(), Path: "/stream1", RawQuery: "token=t0kent0ken", Fragment: fragment}
	if c.server.TLSConfig != nil {
		u.Scheme = "rtsps"
	}
	if user != "" {
		u.User = url.UserPassword(user, "pa55word")
	}
	return u
}

// pulling is a pull that is under way.
type pulling struct {
	cancel func()
	done   chan error
}

func pull(t testing.TB, door *fakeDoor, log *logBuffer, limits func() Limits, p ingest.Pull) *pulling {
	t.Helper()
	return pullWaiting(t, door, log, limits, p, 0)
}

// pullWaiting waits for the first datagram for as long as the test says.
func pullWaiting(t testing.TB, door *fakeDoor, log *logBuffer, limits func() Limits, p ingest.Pull, wait time.Duration) *pulling {
	t.Helper()
	c, err := NewClient(ClientOptions{Door: door, Log: textLog(log), Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	c.firstDatagram = wait
	ctx, cancel := context.WithCancel(context.Background())
	pl := &pulling{cancel: cancel, done: make(chan error, 1)}
	p.Stream = "show"
	go func() { pl.done <- c.Pull(ctx, p) }()
	t.Cleanup(cancel)
	return pl
}

func (p *pulling) end(t testing.TB) error {
	t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("the pull did not end")
		return nil
	}
}

func TestPull(t *testing.T) {
	certificate := selfSigned(t)
	sum := sha256.Sum256(certificate.Certificates[0].Certificate[0])
	for _, test := range []struct {
		name, user, transport, fragment string
		tls                             *tls.Config
	}{
		{name: "UDP", transport: "udp"},
		{name: "TCP", transport: "tcp"},
		{name: "first that works"},
		{name: "password", user: "me", transport: "tcp"},
		{name: "TLS with fingerprint", tls: certificate, fragment: "sha256=" + hex.EncodeToString(sum[:]), user: "me"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cam := newCamera(t, func(c *camera) { c.user, c.server.TLSConfig = test.user, test.tls })
			door := newFakeDoor()
			var log logBuffer
			pl := pull(t, door, &log, nil, ingest.Pull{URL: cam.address(t, test.user, test.fragment), Transport: test.transport})
			p := door.next(t)
			<-cam.played
			cam.shoot(p, 40)
			if !p.request.Pulled || p.request.Stream != "show" || p.request.Protocol != "rtsp" || !p.request.Remote.IsValid() {
				t.Errorf("request %+v", p.request)
			}
			if len(p.tracks) != 2 || p.tracks[0].Codec != stream.H264 || len(p.tracks[0].Config) == 0 || p.tracks[1].Codec != stream.AAC {
				t.Errorf("tracks %v", p.tracks)
			}
			v := p.of(0)
			if test.transport == "tcp" && (!v[0].Wall.Equal(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)) || len(p.drops) > 0) {
				t.Errorf("the first picture was captured at %v; drops %v", v[0].Wall, p.drops)
			}
			pl.cancel()
			if err := pl.end(t); !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
			if err := p.ended(t); err != nil {
				t.Errorf("the publication ended with %v", err)
			}
			if s := log.String(); strings.Contains(s, "pa55word") || strings.Contains(s, "t0kent0ken") {
				t.Errorf("the log has the password:\n%s", s)
			}
		})
	}
}

// TestPullByChangedLimits: what a limit was when the pull began is of no account afterwards.
func TestPullByChangedLimits(t *testing.T) {
	t.Parallel()
	cam := newCamera(t, nil)
	door := newFakeDoor()
	var log logBuffer
	var asked atomic.Int32
	limits := func() Limits {
		l := DefaultLimits()
		if asked.Add(1) == 1 {
			l.IdleTimeout = 1
		}
		return l
	}
	pl := pull(t, door, &log, limits, ingest.Pull{URL: cam.address(t, "", ""), Transport: "tcp"})
	select {
	case <-cam.played:
	case err := <-pl.done:
		t.Fatal(err)
	}
	cam.shoot(door.next(t), 10)
	pl.cancel()
	pl.end(t)
}

// TestPullFallsBackToTCP when no datagram gets through.
func TestPullFallsBackToTCP(t *testing.T) {
	t.Parallel()
	cam := newCamera(t, func(c *camera) { c.server.UDPRTPAddress = "none" })
	door := newFakeDoor()
	var log logBuffer
	pl := pull(t, door, &log, nil, ingest.Pull{URL: cam.address(t, "", "")})
	p := door.next(t)
	if s := <-cam.played; *s.SetuppedTransport() != gortsplib.TransportTCP {
		t.Errorf("transport %v", s.SetuppedTransport())
	}
	cam.shoot(p, 10)
	pl.cancel()
	pl.end(t)
}

// TestPullFails with a sentence that has no secret in it, and leaves nothing behind.
func TestPullFails(t *testing.T) {
	certificate := selfSigned(t)
	other := newCamera(t, nil)
	for _, test := range []struct {
		name   string
		camera func(*camera)
		url    func(*url.URL)
		door   *fakeDoor
		limits func(*Limits)
		want   string
	}{
		{name: "wrong password", camera: func(c *camera) { c.user = "you" }, want: "refuses the user and password"},
		{name: "certificate", camera: func(c *camera) { c.server.TLSConfig = certificate }, want: "certificate"},
		{name: "fingerprint", camera: func(c *camera) { c.server.TLSConfig = certificate },
			url: func(u *url.URL) { u.Fragment = "sha256=" + strings.Repeat("00", 32) }, want: "fingerprint"},
		{name: "fragment", url: func(u *url.URL) { u.Fragment = "pa55word" }, want: "sha256="},
		{name: "scheme", url: func(u *url.URL) { u.Scheme = "http" }, want: "rtsp://"},
		{name: "nobody there", url: func(u *url.URL) { u.Host = "127.0.0.1:1" }, want: "cannot be reached"},
		{name: "redirect to another host", camera: func(c *camera) { c.to = "rtsp://me:pa55word@localhost:1/x" }, want: "redirects to another host, localhost"},
		{name: "redirects without end", camera: func(c *camera) { c.to = "rtsp://127.0.0.1:0/x" },
			url: func(*url.URL) {}, want: "cannot be reached"},
		{name: "silence", limits: func(l *Limits) { l.IdleTimeout = 300 * time.Millisecond }, want: "came from the source for"},
		{name: "door", door: func() *fakeDoor {
			d := newFakeDoor()
			d.refuse = func(ingest.Request) *ingest.Refusal { return ingest.Refuse(ingest.ReasonNameTaken, "It is taken.") }
			return d
		}(), want: "It is taken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cam := other
			if test.camera != nil {
				cam = newCamera(t, test.camera)
			}
			u := cam.address(t, "me", "")
			if test.url != nil {
				test.url(u)
			}
			door := test.door
			if door == nil {
				door = newFakeDoor()
			}
			limits := DefaultLimits
			if test.limits != nil {
				limits = limited(test.limits)
			}
			var log logBuffer
			err := pull(t, door, &log, limits, ingest.Pull{URL: u, Transport: "tcp"}).end(t)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want %q", err, test.want)
			}
			if s := log.String() + err.Error(); strings.Contains(s, "pa55word") || strings.Contains(s, "t0kent0ken") {
				t.Errorf("it tells the password: %s", s)
			}
		})
	}
}

// TestRefusedUser: the sentence stays whole whatever the user is called.
func TestRefusedUser(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"user", "source", "password", "address"} {
		cam := newCamera(t, func(c *camera) { c.user = "somebody" })
		var log logBuffer
		err := pull(t, newFakeDoor(), &log, nil, ingest.Pull{URL: cam.address(t, user, ""), Transport: "tcp"}).end(t)
		if err == nil || err.Error() != "The source refuses the user and password of its address." {
			t.Errorf("%s: %v", user, err)
		}
	}
}

// TestRedirects: to the same host with the password, to another one only where that is allowed, and without.
func TestRedirects(t *testing.T) {
	for _, test := range []struct {
		name, host, user string
		allowed, refused bool
	}{
		{"same host", "127.0.0.1", "me", false, false},
		{"another host", "localhost", "", true, false},
		{"another host that asks for a password", "localhost", "me", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := newCamera(t, func(c *camera) { c.user = test.user })
			to := target.address(t, "", "")
			to.Host = test.host + ":" + to.Port()
			first := newCamera(t, func(c *camera) { c.to = to.String() })
			door := newFakeDoor()
			var log logBuffer
			pl := pull(t, door, &log, nil, ingest.Pull{URL: first.address(t, "me", ""), Transport: "tcp", Redirects: test.allowed})
			if test.refused {
				if err := pl.end(t); err == nil || !strings.Contains(err.Error(), "refuses the user and password") {
					t.Errorf("ended with %v", err)
				}
				if len(target.seen) > 0 {
					t.Errorf("another host got %q", target.seen)
				}
				return
			}
			p := door.next(t)
			<-target.played
			target.shoot(p, 5)
			pl.cancel()
			pl.end(t)
		})
	}
}

// TestRedirectLoop ends.
func TestRedirectLoop(t *testing.T) {
	t.Parallel()
	cam := newCamera(t, nil)
	cam.to = cam.address(t, "", "").String()
	var log logBuffer
	err := pull(t, newFakeDoor(), &log, nil, ingest.Pull{URL: cam.address(t, "me", "")}).end(t)
	if err == nil || !strings.Contains(err.Error(), "redirects more than") {
		t.Errorf("error %v", err)
	}
}

// TestSourceLeaves: the pull ends, and so does it when the door wants it to.
func TestSourceLeaves(t *testing.T) {
	for name, leave := range map[string]func(*gortsplib.ServerSession, *fakePub){
		"closed": func(s *gortsplib.ServerSession, _ *fakePub) { s.Close() },
		"kicked": func(_ *gortsplib.ServerSession, p *fakePub) {
			p.request.Kick(ingest.Refuse(ingest.ReasonTakenOver, "Another program took over."))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cam := newCamera(t, nil)
			door := newFakeDoor()
			var log logBuffer
			pl := pull(t, door, &log, nil, ingest.Pull{URL: cam.address(t, "", ""), Transport: "tcp"})
			p := door.next(t)
			leave(<-cam.played, p)
			if err := pl.end(t); err == nil || !strings.HasSuffix(err.Error(), ".") {
				t.Errorf("ended with %v", err)
			}
			if err := p.ended(t); err == nil {
				t.Error("it passes for a good-bye")
			}
		})
	}
}

// TestPullSwitchesToTCP when nothing comes over UDP, as through a NAT.
func TestPullSwitchesToTCP(t *testing.T) {
	t.Parallel()
	cam := newCamera(t, nil)
	door := newFakeDoor()
	var log logBuffer
	pl := pullWaiting(t, door, &log, nil, ingest.Pull{URL: cam.address(t, "", "")}, 300*time.Millisecond)
	p := door.next(t)
	if s := <-cam.played; *s.SetuppedTransport() != gortsplib.TransportUDP {
		t.Errorf("first transport %v", s.SetuppedTransport())
	}
	if s := <-cam.played; *s.SetuppedTransport() != gortsplib.TransportTCP { // nothing was sent meanwhile
		t.Errorf("second transport %v", s.SetuppedTransport())
	}
	cam.shoot(p, 10)
	pl.cancel()
	pl.end(t)
}
