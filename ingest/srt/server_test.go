package srt

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/ingest"
)

func TestPublishes(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("2", x264...)...)
	door := newFakeDoor()
	reg := prometheus.NewRegistry()
	addr, log, stop := startServer(t, Options{Door: door, Registerer: reg})
	c, err := dial(addr, "#!::r=live/show,m=publish,s=secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	send(c, b)
	m, err := newMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	p := opened(t, door)
	eventually(t, "49 pictures", func() bool { return len(p.of(0)) >= 49 })
	eventually(t, "all packets", func() bool { return int(valueOf(t, m.received)) >= (len(b)+1315)/1316 })
	c.Close()
	if err := ended(t, p); err != nil {
		t.Errorf("ended with %v, want a good-bye", err)
	}
	if r := p.request; r.Stream != "show" || r.Key != "secret" || r.Protocol != "srt" || !r.Remote.IsValid() || !r.Remote.Addr().Is4() {
		t.Errorf("request %+v", r)
	}
	for i, f := range p.of(0)[1:] {
		if f.DTS-p.of(0)[i].DTS != 3600 {
			t.Errorf("picture %d: DTS %d after %d", i+1, f.DTS, p.of(0)[i].DTS)
		}
	}
	if len(p.of(100)) < 80 || len(p.drops) != 0 {
		t.Errorf("%d audio frames, drops %v", len(p.of(100)), p.drops)
	}
	stop()
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the key is in the log:\n%s", log)
	}
	if n := valueOf(t, m.connections); n != 0 {
		t.Errorf("%v connections are open", n)
	}
	if n := valueOf(t, m.results[resultPublished]); n != 1 {
		t.Errorf("%v published", n)
	}
	if n, least := valueOf(t, m.bytes), len(b)+44*((len(b)+1315)/1316); int(n) < least {
		t.Errorf("%v bytes received of %d with heads", n, least)
	}
}

// valueOf reads a counter or a gauge.
func valueOf(t testing.TB, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func TestRejections(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	door.refuse = func(r ingest.Request) *ingest.Refusal {
		switch r.Stream {
		case "show":
			return nil
		case "taken":
			return ingest.Refuse(ingest.ReasonNameTaken, "Somebody else publishes that.")
		case "nokeys":
			return ingest.Refuse(ingest.ReasonNoKeys, "No keys are configured.")
		case "cluster":
			return ingest.Refuse(ingest.ReasonCluster, "It cannot be told who has that.")
		case "elsewhere":
			return ingest.Refuse(ingest.ReasonElsewhere, "Another node has that.")
		case "standby":
			return ingest.Refuse(ingest.ReasonStandby, "The one that this one stands by for is back.")
		}
		return ingest.Refuse(ingest.ReasonBadKey, "The key is wrong.")
	}
	plain, log, _ := startServer(t, Options{Door: door})
	locked, _, _ := startServer(t, Options{Door: door, Passphrase: "correct horse"})
	for name, c := range map[string]struct {
		addr, id, passphrase string
		code                 uint32
		change               func(*gosrt.Config)
	}{
		"key":                   {addr: plain, id: "live/other", code: 1401},
		"no keys":               {addr: plain, id: "live/nokeys", code: 1403},
		"taken":                 {addr: plain, id: "live/taken", code: 1409},
		"cluster":               {addr: plain, id: "live/cluster", code: 1503},
		"elsewhere":             {addr: plain, id: "live/elsewhere", code: 1409},
		"standby":               {addr: plain, id: "live/standby", code: 1409},
		"no identifier":         {addr: plain, code: 1400},
		"another application":   {addr: plain, id: "studio/show", code: 1400},
		"player":                {addr: plain, id: "#!::r=live/show,m=request", code: 1405},
		"file":                  {addr: plain, id: "#!::r=live/show,m=publish,t=file", code: 1415},
		"latency":               {addr: plain, id: "live/show", code: 1406, change: func(c *gosrt.Config) { c.PeerLatency = 20 * time.Second }},
		"tiny datagrams":        {addr: plain, id: "live/show", code: 1004, change: func(c *gosrt.Config) { c.MSS = 100; c.PayloadSize = 56 }},
		"passphrase where none": {addr: plain, id: "live/show", passphrase: "correct horse", code: 1011},
		"no passphrase":         {addr: locked, id: "live/show", code: 1011},
		"wrong passphrase":      {addr: locked, id: "live/show", passphrase: "incorrect horse", code: 1010},
		"passphrase, wrong key": {addr: locked, id: "live/other", passphrase: "correct horse", code: 1401},
	} {
		conn, err := dial(c.addr, c.id, func(g *gosrt.Config) {
			g.Passphrase = c.passphrase
			if c.change != nil {
				c.change(g)
			}
		})
		// gosrt prints the code in base 32.
		if want := fmt.Sprintf("REJECT (%s)", base32(c.code)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if conn != nil {
			conn.Close()
		}
	}
	for _, size := range []int{16, 24, 32} {
		conn, err := dial(locked, "live/show", func(g *gosrt.Config) { g.Passphrase, g.PBKeylen = "correct horse", size })
		if err != nil {
			t.Errorf("key of %d bytes: %v", size, err)
			continue
		}
		conn.Close()
		ended(t, opened(t, door))
	}
	if l := log.String(); !strings.Contains(l, "Watch at") || !strings.Contains(l, "publish:live/NAME") || strings.Contains(l, "correct horse") || strings.Contains(l, "studio") {
		t.Errorf("log:\n%s", l)
	}
}

func base32(v uint32) string {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	s := ""
	for ; v > 0; v /= 32 {
		s = string(digits[v%32]) + s
	}
	return s
}

func TestEncryptedMediaArrives(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("2", x264...)...)
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door, Passphrase: "correct horse"})
	c, err := dial(addr, "publish:live/show", func(c *gosrt.Config) {
		c.Passphrase = "correct horse"
		c.KMRefreshRate, c.KMPreAnnounce = 200, 50 // keys change under way
	})
	if err != nil {
		t.Fatal(err)
	}
	send(c, b)
	p := opened(t, door)
	eventually(t, "49 pictures", func() bool { return len(p.of(0)) >= 49 })
	c.Close()
	ended(t, p)
	if len(p.drops) != 0 {
		t.Errorf("drops %v", p.drops)
	}
}

func TestRefusedInMidStream(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	door.limit = 20
	addr, log, _ := startServer(t, Options{Door: door})
	c, err := dial(addr, "live/show", nil)
	if err != nil {
		t.Fatal(err)
	}
	for send(c, clip(t, secondsOf("2", x264...)...)) {
	}
	if err := ended(t, opened(t, door)); err == nil || !strings.Contains(err.Error(), "Enough") {
		t.Errorf("ended with %v", err)
	}
	eventually(t, "log", func() bool { return strings.Contains(log.String(), "Enough frames") })
}

func TestNoTransportStream(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, log, _ := startServer(t, Options{Door: door})
	c, err := dial(addr, "live/show", nil)
	if err != nil {
		t.Fatal(err)
	}
	send(c, []byte(strings.Repeat("garbage ", 40000)))
	if err := ended(t, opened(t, door)); err == nil || !strings.Contains(err.Error(), "no MPEG transport stream") {
		t.Errorf("ended with %v", err)
	}
	eventually(t, "log", func() bool { return strings.Contains(log.String(), "result=refused") })
}

func TestSilence(t *testing.T) {
	t.Parallel()
	b := clip(t, secondsOf("2", x264...)...)
	for name, c := range map[string]struct {
		limits Limits
		send   []byte
		want   string
	}{
		"nothing":   {Limits{HandshakeTimeout: 300 * time.Millisecond}, nil, "Nothing was sent"},
		"no media":  {Limits{IdleTimeout: 300 * time.Millisecond}, b[:188], "No audio or video"},
		"then none": {Limits{IdleTimeout: 500 * time.Millisecond}, b, "No audio or video"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			addr, _, _ := startServer(t, Options{Door: door, Limits: func() Limits { return c.limits }})
			conn, err := dial(addr, "live/show", nil)
			if err != nil {
				t.Fatal(err)
			}
			send(conn, c.send)
			if err := ended(t, opened(t, door)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door, Limits: func() Limits { return Limits{MaxConnectionsPerAddress: 2, MaxBitrate: 100_000} }})
	first, err := dial(addr, "live/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := dial(addr, "live/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(addr, "live/c", nil); err == nil || !strings.Contains(err.Error(), base32(1402)) {
		t.Errorf("a third connection: %v", err)
	}
	p := opened(t, door)
	for send(first, clip(t, secondsOf("2", x264...)...)) {
	}
	if err := ended(t, p); err == nil || !strings.Contains(err.Error(), "goes beyond what the server takes") {
		t.Errorf("ended with %v", err)
	}
	eventually(t, "room again", func() bool {
		third, err := dial(addr, "live/c", nil)
		if err == nil {
			third.Close()
		}
		return err == nil
	})
	second.Close()
}

func TestKickAndShutdown(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, stop := startServer(t, Options{Door: door})
	var conns []gosrt.Conn
	var pubs []*fakePub
	for i := range 3 {
		c, err := dial(addr, fmt.Sprintf("live/show%d", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		pubs = append(pubs, opened(t, door))
	}
	pubs[0].request.Kick(ingest.Refuse(ingest.ReasonTakenOver, "Another one took over."))
	pubs[0].request.Kick(ingest.Refuse(ingest.ReasonTakenOver, "Again."))
	if err := ended(t, pubs[0]); err == nil || !strings.Contains(err.Error(), "took over") {
		t.Errorf("ended with %v", err)
	}
	if _, err := io.ReadAll(conns[0]); err != nil {
		t.Errorf("the publisher reads %v", err)
	}
	stop()
	for _, p := range pubs[1:] {
		if err := ended(t, p); err == nil || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("ended with %v", err)
		}
	}
	if c, err := net.ListenPacket("udp", addr); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		c.Close()
	}
}

func TestPortThatIsTaken(t *testing.T) {
	t.Parallel()
	addr, _, _ := startServer(t, Options{Door: newFakeDoor()})
	if s, err := NewServer(Options{Door: newFakeDoor(), Address: addr}); err == nil {
		s.Close()
		t.Error("two servers have one port")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"no door":         {},
		"passphrase":      {Door: newFakeDoor(), Passphrase: "short"},
		"long passphrase": {Door: newFakeDoor(), Passphrase: strings.Repeat("x", 80)},
		"latency":         {Door: newFakeDoor(), Latency: time.Minute},
		"address":         {Door: newFakeDoor(), Address: "nonsense"},
	} {
		if s, err := NewServer(o); err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		}
	}
	s, err := NewServer(Options{Door: newFakeDoor(), Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Run(context.Background()); err != nil {
		t.Errorf("a closed server's Run: %v", err)
	}
}
