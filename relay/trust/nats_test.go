package trust

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
)

// natsLog keeps what a NATS server says.
type natsLog struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (l *natsLog) add(format string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, format)
}

func (l *natsLog) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, part) {
			return true
		}
	}
	return false
}

func (l *natsLog) Noticef(string, ...any)         {}
func (l *natsLog) Warnf(format string, _ ...any)  { l.add(format) }
func (l *natsLog) Fatalf(format string, a ...any) { l.add(fmt.Sprintf(format, a...)) }
func (l *natsLog) Errorf(format string, _ ...any) { l.add(format) }
func (l *natsLog) Debugf(string, ...any)          {}
func (l *natsLog) Tracef(string, ...any)          {}

// startNATS starts a server with routes and leaf nodes under a node's credentials. Routes and leaf are what it dials.
func startNATS(t *testing.T, c *Credentials, route, leaf string) (*server.Server, *natsLog) {
	t.Helper()
	o := &server.Options{
		ServerName: c.Identity().Name + time.Now().Format("150405.000000000"), Host: "127.0.0.1", Port: -1, NoSigs: true,
		Cluster:  server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: -1, TLSConfig: c.NATSTLS(), TLSTimeout: 5},
		LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: -1, TLSConfig: c.NATSTLS(), TLSTimeout: 5, ReconnectInterval: 50 * time.Millisecond},
	}
	if route != "" {
		o.Routes = []*url.URL{{Scheme: "nats", Host: route}}
	}
	if leaf != "" {
		o.Cluster = server.ClusterOpts{}
		o.LeafNode.Port = 0
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{{Scheme: "nats", Host: leaf}}, TLS: true, TLSConfig: c.NATSTLS(), TLSTimeout: 5}}
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	log := &natsLog{}
	s.SetLogger(log, false, false)
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatalf("the server does not start: %v", log.lines)
	}
	return s, log
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestNATS: NATS takes these configurations for routes and leaf nodes, dialled by address; a server of another authority stays
// outside.
func TestNATS(t *testing.T) {
	t.Parallel()
	a, other := authority(t), authority(t)
	reg := prometheus.NewPedanticRegistry()
	first, log := startNATS(t, open(t, issue(t, a, "eu-1", "eu"), Options{Registerer: reg}), "", "")
	route := first.ClusterAddr().String()
	second, _ := startNATS(t, open(t, issue(t, a, "us-1", "us"), Options{}), route, "")
	eventually(t, "the two nodes find each other", func() bool { return first.NumRoutes() > 0 && second.NumRoutes() > 0 })
	routes := first.NumRoutes()

	leafs := leafAddress(t, first)
	startNATS(t, open(t, issue(t, a, "asia-1", "asia"), Options{}), "", leafs)
	eventually(t, "the leaf is there", func() bool { return first.NumLeafNodes() == 1 })

	stranger := open(t, issue(t, other, "us-2", "us"), Options{})
	startNATS(t, trusting(stranger, a), route, "")
	startNATS(t, trusting(stranger, a), "", leafs)
	eventually(t, "both tries of the stranger are refused", func() bool {
		return metric(t, reg, "pushcart_relay_handshakes_refused_total", refusedAuthority) >= 2
	})
	if first.NumLeafNodes() != 1 || first.NumRoutes() > max(routes, second.NumRoutes()) {
		t.Errorf("%d leaf nodes, %d routes", first.NumLeafNodes(), first.NumRoutes())
	}
	if log.has("will not be verified") {
		t.Errorf("NATS warns: %v", log.lines)
	}
}

// leafAddress is where a server takes leaf nodes.
func leafAddress(t *testing.T, s *server.Server) string {
	t.Helper()
	v, err := s.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.LeafNode.Port <= 0 {
		t.Fatalf("leaf nodes are taken at %+v", v.LeafNode)
	}
	return net.JoinHostPort(v.LeafNode.Host, strconv.Itoa(v.LeafNode.Port))
}
