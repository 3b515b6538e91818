package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// Secrets. Attackers know those of mallory's show; the one that is watched is called evening, and their names are equally long.
const (
	eveningKey  = "evenings-secret-8f2c61"
	malloryKey  = "attackers-secret-04d7aa"
	hostileSign = "playback-secret-5b1e9c2277"
)

// hostileSettings are of a node that is open to everybody, with limits as they are by default.
const hostileSettings = `
hls: {segment_duration: 1s, max_segment_duration: 2s, dvr: 20s}
publish:
  reconnect_window: 1s
  keys:
    - {stream: evening, key: ` + eveningKey + `}
    - {stream: mallory, key: ` + malloryKey + `}
studio: {tokens: [{stream: mallory, token: ` + operatorToken + `}]}
playback: {keys: [{id: k1, secret: ` + hostileSign + `}], open: [evening, mallory]}
` + noLadder

// hostileEnvironment opens the listeners that a cluster's nodes do not have in tests, and sets short timeouts.
func hostileEnvironment(t *testing.T, patience string) []string {
	cert := testkit.NewCertificate(t, "hostile")
	all := append([]string(nil), testkit.Doors...)
	for name, value := range map[string]string{
		"TLS_CERTIFICATE": cert.CertFile, "TLS_KEY": cert.KeyFile,
		"RTMP_TLS_ADDRESS": "127.0.0.1:0", "RTSP_TLS_ADDRESS": "127.0.0.1:0", "HTTP_TLS_ADDRESS": "127.0.0.1:0",
		"RTMP_MAX_CONNECTIONS_PER_ADDRESS": "32",
		"RTMP_HANDSHAKE_TIMEOUT":           patience, "RTMP_IDLE_TIMEOUT": "8s", // the show's publisher has the same processor as the attackers
		"RTSP_HANDSHAKE_TIMEOUT": patience, "RTSP_IDLE_TIMEOUT": patience,
		"SRT_HANDSHAKE_TIMEOUT": patience, "SRT_IDLE_TIMEOUT": patience,
		"WHIP_SETUP_TIMEOUT": patience, "WHIP_IDLE_TIMEOUT": patience,
		"HTTP_HEADER_TIMEOUT": patience, "HTTP_IDLE_TIMEOUT": patience,
	} {
		all = append(all, "PUSHCART_"+name+"="+value)
	}
	if *longRegions { // as operators run it: writing millions of lines is not what is measured
		all = append(all, "PUSHCART_LOG_LEVEL=info")
	}
	return all
}

// siege is a node that is attacked while somebody watches a show.
type siege struct {
	t     *testing.T
	node  *testkit.ClusterNode
	to    testkit.Target
	doors []*door
	// crowd is how many connections come at once, and how many sessions of datagrams.
	crowd int
	// begun is when the test did.
	begun time.Time
	// stated is the timeout that the settings have for whoever is slow.
	stated time.Duration

	next      atomic.Uint64 // of the attackers' addresses
	addresses atomic.Uint64 // how many they are
	heap      float64       // objects before the attack, in bytes
	mu        sync.Mutex    // guards what follows
	sums      map[string]*tally
	most      testkit.Held // since the last look
}

// door is a listener.
type door struct {
	name    string
	address string
	udp     bool
	secure  *tls.Config // of who speaks TLS there, as one should; nil is in clear text
	tape    []*testkit.Tape
	// start is how many bytes of the first tape are said before what is huge or nested: the handshake.
	start int
	// limit is within which the listener closes who is slow.
	limit time.Duration
}

// tally is what one way of attack came to at one door.
type tally struct{ made, refused, closed, open, sent int64 }

// now tells how long it took to here.
func (s *siege) now(what string) {
	s.t.Helper()
	s.t.Logf("after %.1f s: %s", time.Since(s.begun).Seconds(), what)
}

func (s *siege) count(d *door, way string, add tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := d.name + "\t" + way
	x := s.sums[key]
	if x == nil {
		x = &tally{}
		s.sums[key] = x
	}
	x.made += add.made
	x.refused += add.refused
	x.closed += add.closed
	x.open += add.open
	x.sent += add.sent
}

// madeAt is how many connections came to be at a door, by all ways.
func (s *siege) madeAt(name string) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, x := range s.sums {
		if strings.HasPrefix(key, name+"\t") {
			n += x.made
		}
	}
	return n
}

// attackers is how many addresses they have. The show's publisher and its viewers have another.
const attackers = 19

// attacker is the address of one.
func (s *siege) attacker() string { return fmt.Sprint("127.0.0.", 2+s.next.Add(1)%s.addresses.Load()) }

// knock connects to a TCP listener, without TLS.
func (s *siege) knock(d *door, way string, receive int) (net.Conn, error) {
	c, err := testkit.From(s.attacker(), receive).DialContext(s.t.Context(), "tcp", d.address)
	if err != nil {
		s.count(d, way, tally{refused: 1})
		return nil, err
	}
	s.count(d, way, tally{made: 1})
	return c, nil
}

// enter is knock, with TLS where the listener has it.
func (s *siege) enter(d *door, way string, receive int, protocols ...string) (net.Conn, error) {
	c, err := s.knock(d, way, receive)
	if err != nil || d.secure == nil {
		return c, err
	}
	config := d.secure.Clone()
	if len(protocols) > 0 {
		config.NextProtos = protocols
	}
	secure := tls.Client(c, config)
	secure.SetDeadline(time.Now().Add(5 * time.Second))
	if err := secure.Handshake(); err != nil {
		s.count(d, way, tally{closed: 1})
		c.Close()
		return nil, err
	}
	secure.SetDeadline(time.Time{})
	return secure, nil
}

// sayTime bounds what one attacker's connection takes that need not be waited for.
const sayTime = 300 * time.Millisecond

// say connects, says pieces, says that this was all, and takes the answers until the listener closes, for a moment at most.
func (s *siege) say(d *door, way string, pieces ...[]byte) {
	if d.udp {
		s.fling(d, way, pieces...)
		return
	}
	c, err := s.enter(d, way, 0)
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(sayTime))
	answered := make(chan struct{})
	go func() { defer close(answered); io.Copy(io.Discard, c) }()
	for _, p := range pieces {
		n, err := c.Write(p)
		s.count(d, way, tally{sent: int64(n)})
		if err != nil {
			break
		}
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	<-answered
}

// fling sends datagrams, each from a socket of an attacker's.
func (s *siege) fling(d *door, way string, pieces ...[]byte) {
	to, err := net.ResolveUDPAddr("udp", d.address)
	if err != nil {
		s.t.Error(err)
		return
	}
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(s.attacker())}, to)
	if err != nil {
		s.count(d, way, tally{refused: 1})
		return
	}
	defer c.Close()
	s.count(d, way, tally{made: 1})
	for _, p := range pieces {
		n, _ := c.Write(p) // a port that is full takes nothing, and says so
		s.count(d, way, tally{sent: int64(n)})
	}
}

// isTimeout tells a deadline that passed from a connection that was closed.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// slack is what a busy machine takes on top of a timeout.
const busySlack = 8 * time.Second

// wantClosed waits until the listener has closed a connection, which it must within a time.
func (s *siege) wantClosed(d *door, way string, c net.Conn, within time.Duration) {
	c.SetReadDeadline(time.Now().Add(within + busySlack))
	if _, err := io.Copy(io.Discard, c); isTimeout(err) {
		s.count(d, way, tally{open: 1})
		s.t.Errorf("%s: who is %s is not closed within %v", d.name, way, within)
		return
	}
	s.count(d, way, tally{closed: 1})
}

// table prints what was thrown at what.
func (s *siege) table() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %-22s %9s %9s %9s %9s %12s\n", "door", "way", "made", "no place", "closed", "open", "bytes")
	for _, key := range slices.Sorted(maps.Keys(s.sums)) {
		x := s.sums[key]
		name, way, _ := strings.Cut(key, "\t")
		fmt.Fprintf(&b, "%-10s %-22s %9d %9d %9d %9d %12d\n", name, way, x.made, x.refused, x.closed, x.open, x.sent)
	}
	s.t.Logf("what was thrown at what:\n%s", b.String())
}

// eachOf runs the same for so many, some at a time.
func eachOf(at, n int, do func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(at, n) {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				do(i)
			}
		})
	}
	group.Wait()
}

// TestHostile attacks every listener of a node in every way, with a show on air. It runs by itself: what it does to the machine is
// done to no other test.
func TestHostile(t *testing.T) {
	s := &siege{t: t, begun: time.Now(), crowd: 2000, stated: time.Second, sums: map[string]*tally{}}
	calm := 3 * time.Second
	if *longRegions {
		s.crowd, s.stated, calm = 10000, 10*time.Second, 15*time.Second
	}
	c := testkit.NewCluster(t, testkit.ClusterOptions{
		Nodes:    []testkit.ClusterMember{{Name: "keep", Region: "eu", Env: hostileEnvironment(t, s.stated.String())}},
		Settings: hostileSettings,
	})
	s.node = c.Nodes[0]
	s.addresses.Store(attackers)
	s.to = s.node.Target(t)
	s.open(c)
	s.now("the node is up")
	s.record()
	s.now("conversations are recorded")
	begun := s.counters()

	v := s.onAir()
	v.calm(calm)
	s.now("calm is measured")
	before := s.node.Holds()
	s.heap = s.node.Metric("go_memory_classes_heap_objects_bytes")
	watched := s.watchMemory()

	s.attack()
	s.now("attacked")
	attacked := s.peak()
	ways := v.reading()

	if !*longRegions { // so that fewer come to the limits of an address
		s.addresses.Store(attackers / 5)
	}
	crowd := s.crowds(v)
	crowded := s.peak()
	besieged := v.reading()
	crowd.leave()
	watched()
	s.now("the crowd has left")

	s.memoryBounded(before, attacked, crowded)
	v.end()
	s.counted(begun)
	s.now("all is counted")
	after := s.settled(before)
	s.now("settled")
	s.quiet()
	s.table()
	t.Logf("before: %v\nattacks at most: %v\n%d connections and %d sessions of datagrams at most: %v\nafter: %v",
		before, attacked, crowd.open, s.crowd, crowded, after)
	t.Logf("per connection: %.1f KB", float64(crowded.Resident-before.Resident)/1e3/float64(max(1, crowd.open)))
	v.judge(ways, besieged)
}
