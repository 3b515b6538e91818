package rtmp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// TestMain fails when goroutines of this package outlive the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftover(); left != "" && code == 0 {
		fmt.Fprintf(os.Stderr, "goroutines left:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leftover returns the stacks of goroutines that run this package's code, apart from the caller's. Those that are just
// returning get the chance to.
func leftover() (left string) {
	for range 1000 {
		buf := make([]byte, 1<<20)
		left = ""
		for i, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if i > 0 && strings.Contains(g, "pushcart/ingest/rtmp") {
				left += g + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
		runtime.Gosched()
	}
	return left
}

// selfSigned makes a TLS configuration for loopback.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func TestFFmpegPublishesOverTLS(t *testing.T) {
	door := newFakeDoor()
	door.refuse = func(r ingest.Request) *ingest.Refusal {
		if r.Key == "wrong" {
			return ingest.Refuse(ingest.ReasonBadKey, "A sentence over TLS.")
		}
		return nil
	}
	addr, _ := startServer(t, Options{Door: door, TLS: selfSigned(t)})
	ffmpeg(t, "rtmps://"+addr+"/live/show", x264...)
	p := <-door.opened
	<-p.closed
	if p.request.Protocol != "rtmps" || p.cause != nil {
		t.Errorf("%+v, %v", p.request, p.cause)
	}
	checkVideo(t, p.of(videoID), 75)

	if out := ffmpeg(t, "rtmps://"+addr+"/live/show?key=wrong", x264...); !strings.Contains(out, "A sentence over TLS.") {
		t.Error("ffmpeg did not print the sentence")
	}
}

func TestOtherProtocols(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     result
	}{
		{"RTMPE", "\x06", resultEncrypted},
		{"TLS", "\x16\x03\x01", resultBadHandshake},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", resultBadHandshake},
		{"nothing", "", resultBadHandshake},
		{"half a handshake", "\x03abc", resultBadHandshake},
	} {
		t.Run(test.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			addr, stop := startServer(t, Options{Door: newFakeDoor(), Registerer: reg})
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			io.WriteString(nc, test.in)
			nc.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, nc)
			stop()
			m, err := newMetrics(reg)
			if err != nil {
				t.Fatal(err)
			}
			if counted(t, m.results[test.want]) != 1 || counted(t, m.connections) != 0 {
				t.Errorf("not counted as %s", test.want)
			}
		})
	}
}

func TestConnectionLimits(t *testing.T) {
	for _, limits := range []Limits{{MaxConnections: 2}, {MaxConnectionsPerAddress: 2}} {
		addr, _ := startServer(t, Options{Door: newFakeDoor(), Limits: func() Limits { return limits }})
		first := dial(t, addr)
		dial(t, addr)
		third, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := third.Read(make([]byte, 1)); err == nil {
			t.Error("a third connection was let in")
		}
		third.Close()
		// One that goes makes room.
		first.nc.Close()
		for {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = handshake.DoClient(nc, false, false)
			nc.Close()
			if err == nil {
				break
			}
		}
	}
}

func TestMessageLimits(t *testing.T) {
	limits := Limits{MaxMessageSize: 50_000}
	t.Run("before publishing", func(t *testing.T) {
		addr, _ := startServer(t, Options{Door: newFakeDoor()})
		c := dial(t, addr)
		c.connect("live")
		c.trySend(typeDataAMF0, 0, make([]byte, earlyMessage+1))
		c.wantStatus("NetStream.Publish.Failed", "at most 16384 are taken")
	})
	t.Run("after", func(t *testing.T) {
		door := newFakeDoor()
		addr, _ := startServer(t, Options{Door: door, Limits: func() Limits { return limits }})
		c := dial(t, addr)
		c.publish("show")
		c.send(typeAudio, 0, join(0xAF, 0, asc))
		c.send(typeAudio, 0, append([]byte{0xAF, 1}, make([]byte, 49_000)...))
		c.trySend(typeAudio, 0, make([]byte, 50_001))
		c.wantStatus("NetStream.Publish.Failed", "at most 50000 are taken")
		p := <-door.opened
		<-p.closed
		if p.reason() != ingest.ReasonLimit || len(p.frames) != 1 {
			t.Errorf("cause %v, %d frames", p.cause, len(p.frames))
		}
	})
	t.Run("broken chunk", func(t *testing.T) {
		addr, _ := startServer(t, Options{Door: newFakeDoor()})
		c := dial(t, addr)
		c.nc.Write([]byte{0xFF})
		c.wantStatus("NetStream.Publish.Failed", "broke the RTMP protocol")
	})
}

// TestMemoryBeforePublishing opens connections that make the server hold as much as it lets them.
func TestMemoryBeforePublishing(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			opt := Options{Door: newFakeDoor()}
			if secure {
				opt.TLS = selfSigned(t)
			}
			addr, _ := startServer(t, opt)
			const n = 30
			before := memory()
			for range n {
				hog(t, addr, secure)
			}
			// The clients' half is in it too.
			if each := (memory() - before) / n; each > 256<<10 {
				t.Errorf("%d bytes for each connection", each)
			} else {
				t.Logf("%d bytes for each connection", each)
			}
		})
	}
}

func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// hog leaves unfinished messages on a connection, and returns once the server has read them.
func hog(t *testing.T, addr string, secure bool) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if secure {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	if _, _, err := handshake.DoClient(nc, false, false); err != nil {
		t.Fatal(err)
	}
	out := join(2, head0(0, 4, typeSetChunkSize, 0), be32(6500))
	for id := range earlyStreams - 1 {
		out = append(out, join(3+id, head0(0, earlyMessage, typeDataAMF0, 0), text(6500))...)
	}
	out = append(out, join(2, head0(0, 6, typeUserControl, 0), 0, eventPingRequest, 0, 0, 0, 7)...)
	if _, err := nc.Write(out); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 12+6)); err != nil {
		t.Fatal(err)
	}
}

// scripted is a connection that says what it was given and listens to nothing.
type scripted struct {
	net.Conn
	in *bytes.Reader
}

func (s *scripted) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (s *scripted) Close() error                     { return nil }
func (s *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IP{127, 0, 0, 1}, Port: 9} }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// whole is what a client sends after the handshake to publish a stream.
func whole(t testing.TB, file string, config, frame []byte) []byte {
	record, samples := encoded(t, file)
	var b bytes.Buffer
	w := messageWriter{w: &b, size: defaultChunkSize}
	w.command(0, "connect", 1, amf0.Object{{Key: "app", Value: "live"}})
	w.command(0, "createStream", 2, nil)
	w.command(1, "publish", 3, nil, "show", "live")
	w.send(4, typeDataAMF0, 1, marshal(t, "@setDataFrame", "onMetaData", amf0.Object{{Key: "encoder", Value: "x"}}))
	w.send(5, typeVideo, 1, join(config, record))
	w.send(4, typeAudio, 1, join(0xAF, 0, asc))
	for _, s := range samples[:3] {
		w.send(5, typeVideo, 1, join(frame, s))
		w.send(4, typeAudio, 1, join(0xAF, 1, "abcdefgh"))
	}
	w.send(4, typeAggregate, 1, join(8, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0xAF, 1, 7, 0, 0, 0, 14))
	w.command(1, "deleteStream", 4, nil, 1.0)
	return b.Bytes()
}

func FuzzSession(f *testing.F) {
	f.Add(whole(f, "avc", join(0x17, 0, 0, 0, 0), join(0x17, 1, 0, 0, 0)))
	f.Add(whole(f, "hevc", join(0x90, "hvc1"), join(0xA3, "hvc1")))
	f.Add(whole(f, "av1", join(0x96, 0x00, "av01", 0), join(0xA7, 2, 0, 0, 9, 0x01, "av01")))
	f.Add(join(3, head0(0, 12, typeCommandAMF0, 0), nested(1)))
	limits := Limits{MaxMessageSize: 20_000, IdleTimeout: time.Hour}
	s, err := NewServer(Options{Door: &fakeDoor{}, Limits: func() Limits { return limits }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s.opt.Door = &fakeDoor{}
		c := newConn(context.Background(), s, &scripted{in: bytes.NewReader(b)})
		c.levelAt = time.Now()
		c.deadline = c.levelAt.Add(time.Hour)
		c.chunks = newChunkReader(bufio.NewReaderSize(timedReader{c}, earlyBuffer),
			chunkLimits{message: earlyMessage, streams: earlyStreams, pending: earlyPending})
		err := c.messages()
		if err == nil {
			t.Fatal("ended without an error")
		}
		if c.chunks.held > 4*c.chunks.limits.pending {
			t.Fatalf("%d bytes held", c.chunks.held)
		}
		c.session.end(err)
	})
}

// failingListener fails with the errors of a list, and is broken after.
type failingListener struct {
	pipeListener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return nil, errors.New("broken")
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

func TestServeOutlivesPassingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewServer(Options{Door: newFakeDoor(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
		if err != nil {
			t.Fatal(err)
		}
		passing := &net.OpError{Op: "accept", Err: syscall.EMFILE}
		l := &failingListener{pipeListener: pipeListener{done: make(chan struct{})}, errs: []error{passing, passing}}
		begin := time.Now()
		err = s.Serve(t.Context(), l)
		if err == nil || !strings.Contains(err.Error(), "broken") {
			t.Errorf("error %v", err)
		}
		if d := time.Since(begin); d != 15*time.Millisecond {
			t.Errorf("waited %v in between", d)
		}
	})
}

func TestServerNeedsADoor(t *testing.T) {
	if _, err := NewServer(Options{}); err == nil {
		t.Error("no error")
	}
}
