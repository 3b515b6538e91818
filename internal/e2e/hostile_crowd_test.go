package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"pushcart/internal/testkit"
)

// shares are of the crowd's connections, in percent.
var shares = map[string]int{"http": 35, "https": 10, "rtmp": 12, "rtmps": 5, "rtsp": 12, "rtsps": 5, "whip-tcp": 8, "relay": 5, "admin": 4, "leaf": 4}

// gathering is the crowd while it is there.
type gathering struct {
	// open is how many connections the node has.
	open int

	mu  sync.Mutex // guards all
	all []net.Conn
}

func (g *gathering) keep(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all = append(g.all, c)
}

func (g *gathering) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.all {
		c.Close()
	}
}

// crowds has everybody come at once: connections that say nothing, half of something, or one request, sessions of datagrams that are
// never gone on with, and viewers who never read. They stay until it was seen how the show's viewers fare.
func (s *siege) crowds(v *watchers) *gathering {
	s.t.Helper()
	g := &gathering{}
	s.t.Cleanup(g.leave)
	before := s.node.Holds().Descriptors
	media := s.segment()
	var group sync.WaitGroup
	for _, d := range s.doors {
		n := s.crowd * shares[d.name] / 100
		group.Go(func() {
			if d.udp {
				s.sessions(d, s.crowd/3)
				return
			}
			eachOf(24, n, func(i int) { s.visit(g, d, i) })
		})
	}
	group.Go(func() { s.unread(g, media) })
	group.Go(func() { s.offers(s.crowd / 12) })
	group.Wait()
	wait := 2 * time.Second
	if *longRegions {
		wait = 10 * time.Second
	}
	v.mu.Lock()
	had := len(v.late)
	v.mu.Unlock()
	testkit.EventuallyWithin(s.t, 60*time.Second, "viewers go on with the crowd there", func() bool {
		g.open = max(g.open, s.look().Descriptors-before)
		v.mu.Lock()
		defer v.mu.Unlock()
		return s.t.Failed() || len(v.late)-had >= int(wait/(200*time.Millisecond))*measurers*3/4
	})
	s.mu.Lock()
	g.open = max(g.open, s.most.Descriptors-before)
	s.mu.Unlock()
	return g
}

// visit is one of the crowd at a TCP listener.
func (s *siege) visit(g *gathering, d *door, i int) {
	const way = "crowd"
	c, err := s.knock(d, way, 0)
	if err != nil {
		return
	}
	g.keep(c)
	c.SetWriteDeadline(time.Now().Add(5 * time.Second))
	switch {
	case i%3 == 0: // says nothing
	case d.secure != nil:
		c.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3})
	case i%3 == 1:
		c.Write(d.halfOf(i))
	default:
		c.Write(d.tape[min(1, len(d.tape)-1)].Pieces()[0])
	}
}

// sessions begins so many sessions of datagrams, each from a socket of its own.
func (s *siege) sessions(d *door, n int) {
	const way = "crowd"
	to, err := net.ResolveUDPAddr("udp", d.address)
	if err != nil {
		s.t.Error(err)
		return
	}
	eachOf(16, n, func(i int) {
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(s.attacker())}, to)
		if err != nil {
			s.count(d, way, tally{refused: 1})
			return
		}
		defer c.Close()
		s.count(d, way, tally{made: 1})
		r := rand.New(rand.NewPCG(3, uint64(i)))
		switch d.name {
		case "srt":
			s.callSRT(d, c, r)
		case "whip-udp": // a check of nobody's (RFC 8445)
			name := fmt.Sprintf("%08x:%08x", r.Uint32(), r.Uint32())
			b := append([]byte{0, 1, 0, byte(4 + (len(name)+3)&^3), 0x21, 0x12, 0xA4, 0x42}, noise(uint64(i), 12)...)
			b = append(append(b, 0, 6, 0, byte(len(name))), name...)
			c.Write(append(b, 0, 0, 0)[:len(b)+(4-len(b)%4)%4])
		default:
			for _, p := range datagrams(d, i)[:3] {
				binary.BigEndian.PutUint32(p[8:], r.Uint32())
				c.Write(p)
			}
		}
	})
}

// callSRT makes a call as far as it takes a place: with the cookie that the node gave, and a socket of its own.
func (s *siege) callSRT(d *door, c *net.UDPConn, r *rand.Rand) {
	const socket, cookie, end = 16 + 24, 16 + 28, 16 + 32
	said := d.tape[0].Pieces()
	if len(said) < 2 || len(said[0]) < end || len(said[1]) < end {
		s.t.Error("the recorded call has no handshake")
		return
	}
	induction, conclusion := bytes.Clone(said[0]), bytes.Clone(said[1])
	id := r.Uint32()&0x3FFFFFFF | 1
	binary.BigEndian.PutUint32(induction[socket:], id)
	binary.BigEndian.PutUint32(conclusion[socket:], id)
	c.Write(induction)
	c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	b := make([]byte, 1500)
	n, err := c.Read(b)
	if err != nil || n < end {
		s.count(d, "crowd", tally{refused: 1})
		return
	}
	copy(conclusion[cookie:end], b[cookie:end])
	c.Write(conclusion)
	c.Read(b) // the answer, or the refusal
}

// offers makes so many sessions of WebRTC that never connect.
func (s *siege) offers(n int) {
	d := s.door("http")
	eachOf(8, n, func(int) { s.say(d, "offers", d.tape[0].Bytes()) })
}

// segment is the address of a segment of the show, the largest thing that viewers ask for.
func (s *siege) segment() string {
	s.t.Helper()
	v := testkit.NewViewer(s.t, s.node.Master("evening"))
	for line := range strings.Lines(v.Playlist("video").Text) {
		if line = strings.TrimSpace(line); strings.HasSuffix(line, ".m4s") && !strings.HasPrefix(line, "#") {
			return "/live/evening/" + line
		}
	}
	s.t.Fatal("the show has no segment")
	return ""
}

// neverReads is how many viewers ask and do not read.
const neverReads = 200

// unread has viewers ask for more than their windows hold, in mid-segment, and read nothing: over TCP with hardly a receive buffer, and
// over HTTP/2 with windows of nothing.
func (s *siege) unread(g *gathering, path string) {
	d := s.door("http")
	one := "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"
	eachOf(16, neverReads, func(int) {
		c, err := s.knock(d, "never reads", 2048)
		if err != nil {
			return
		}
		g.keep(c)
		c.SetWriteDeadline(time.Now().Add(5 * time.Second))
		c.Write([]byte(strings.Repeat(one, 40)))
	})
	eachOf(4, neverReads/8, func(i int) {
		x, err := s.openH2(d, "never reads h2", 2048, http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 2)})
		if err != nil {
			return
		}
		g.keep(x)
		for n := range 100 {
			if err := x.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*n + 1), BlockFragment: x.request(path), EndStream: true, EndHeaders: true}); err != nil {
				return
			}
		}
	})
}

// look is what the node holds at this moment, as far as that is known without asking it.
func (s *siege) look() testkit.Held {
	h, err := testkit.HeldBy(s.node.PID())
	if err != nil {
		s.t.Error(err)
	}
	return h
}

// watchMemory looks again and again, until it is told to end.
func (s *siege) watchMemory() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			now := s.look()
			s.mu.Lock()
			s.most.Resident, s.most.Descriptors = max(s.most.Resident, now.Resident), max(s.most.Descriptors, now.Descriptors)
			s.mu.Unlock()
		}
	})
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	s.t.Cleanup(stop)
	return stop
}

// peak is the most that the node has held since the last look.
func (s *siege) peak() testkit.Held {
	goroutines := s.node.Holds().Goroutines
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.most
	s.most = testkit.Held{}
	most.Goroutines = goroutines
	return most
}

// What an attack may add to the node's memory.
const (
	// attackMemory is for what is under way at once: six attackers of a way at each of ten doors. A publisher with a key may have
	// one message of rtmp.max_message_size in the making, 8 MiB, and 20 s of media; a request has a header of 16 KiB and a body of 1 MiB at
	// most. As much again lies about until the collector has been there, whose pace follows all of the heap.
	attackMemory = 160 << 20
	// visitorMemory is for each connection: its goroutine's stack (8 KiB once it has been in TLS or HTTP), buffers to read and to
	// write (4 KiB each), a header under way, and the kernel's part of it that is not counted here; and as much again as garbage.
	visitorMemory = 48 << 10
)

// memoryBounded compares what the node held with what it may.
func (s *siege) memoryBounded(before, attacked, crowded testkit.Held) {
	s.t.Helper()
	if grown := attacked.Resident - before.Resident; grown > attackMemory {
		s.t.Errorf("attacks took %d MB of memory, more than %d", grown>>20, attackMemory>>20)
	}
	may := int64(attackMemory + visitorMemory*max(0, crowded.Descriptors-before.Descriptors))
	if grown := crowded.Resident - before.Resident; grown > may {
		s.t.Errorf("with the crowd the node took %d MB of memory, more than %d", grown>>20, may>>20)
	}
}

// settled waits until the node holds about what it held before.
func (s *siege) settled(before testkit.Held) (now testkit.Held) {
	s.t.Helper()
	// What was learned stays: files of streams' cards, connections kept for reuse, and memory that the runtime gives back by and by.
	const someGoroutines, someDescriptors, someHeap = 24, 16, 48 << 20
	heap := float64(0)
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); {
		now = s.node.Holds()
		heap = s.node.Metric("go_memory_classes_heap_objects_bytes")
		if now.Goroutines <= before.Goroutines+someGoroutines && now.Descriptors <= before.Descriptors+someDescriptors &&
			now.Resident <= before.Resident+attackMemory && heap <= s.heap+someHeap {
			return now
		}
		select {
		case <-s.t.Context().Done():
			return now
		case <-time.After(200 * time.Millisecond):
		}
	}
	_, _, stacks, _ := testkit.Get(s.t.Context(), http.DefaultClient, s.node.Admin+"/debug/pprof/goroutine?debug=1")
	s.t.Errorf("before %v, now %v (objects of %.1f and %.1f MB); goroutines:\n%.8000s", before, now, s.heap/1e6, heap/1e6, stacks)
	return now
}

// ends are counters of connections by how they went.
var ends = map[string][]string{"pushcart_rtmp_connections_total": {"rtmp", "rtmps"}, "pushcart_rtsp_connections_total": {"rtsp", "rtsps"}}

// counters scrapes the node.
func (s *siege) counters() testkit.Metrics { return testkit.Scrape(s.t, s.node.Admin) }

// counted wants what was refused to be in the metrics by reason.
func (s *siege) counted(begun testkit.Metrics) {
	s.t.Helper()
	var now testkit.Metrics
	for name, doors := range ends {
		made := float64(0)
		for _, d := range doors {
			made += float64(s.madeAt(d))
		}
		testkit.EventuallyWithin(s.t, 3*s.stated+busySlack, name+" has all connections", func() bool {
			now = s.counters()
			return now.Value(name)-begun.Value(name) >= made
		})
	}
	for _, c := range []struct{ name, label, value string }{
		{"pushcart_rtmp_connections_total", "result", "too_many_address"}, {"pushcart_rtmp_connections_total", "result", "bad_handshake"}, {"pushcart_rtmp_connections_total", "result", "protocol_error"},
		{"pushcart_rtsp_connections_total", "result", "timeout"}, {"pushcart_rtsp_connections_total", "result", "protocol_error"},
		{"pushcart_whip_sessions_total", "result", "bad_request"},
		{"pushcart_tls_handshake_failures_total", "reason", "timeout"}, {"pushcart_tls_handshake_failures_total", "reason", "not_tls"},
		{"pushcart_relay_handshakes_refused_total", "", ""},
	} {
		var labels []string
		if c.label != "" {
			labels = []string{c.label, c.value}
		}
		if now.Value(c.name, labels...) <= begun.Value(c.name, labels...) {
			s.t.Errorf("%s %v has counted nothing", c.name, labels)
		}
	}
	var refused strings.Builder
	for name, family := range now {
		for _, m := range family.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName(), l.GetValue())
			}
			n := now.Value(name, labels...) - begun.Value(name, labels...)
			text := fmt.Sprint(labels)
			if n > 0 && (strings.Contains(text, "result") || strings.Contains(text, "reason") || strings.Contains(text, "kind")) {
				fmt.Fprintf(&refused, "%s %s %v\n", name, text, n)
				if strings.Contains(text, "panic") || strings.Contains(text, "fault]") {
					s.t.Errorf("%s %s: %v", name, text, n)
				}
			}
		}
	}
	s.t.Logf("counted:\n%s", refused.String())
}

// quiet wants the log to blame nobody but the attackers, and to tell no secret.
func (s *siege) quiet() {
	s.t.Helper()
	log := s.node.Logs()
	for _, secret := range []string{eveningKey, malloryKey, operatorToken, hostileSign} {
		if i := strings.Index(log, secret); i >= 0 {
			s.t.Errorf("the log tells the secret %q: %s", secret, log[max(0, i-300):min(len(log), i+100)])
		}
	}
	loud, lines := map[string]int{}, 0
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "panic") || strings.Contains(line, "goroutine ") {
			s.t.Errorf("the log has: %s", line)
		}
		if strings.Contains(line, "level=DEBUG") {
			continue
		}
		lines++
		_, text, _ := strings.Cut(line, " msg=")
		if text, _, ok := strings.Cut(text, "\" "); ok {
			loud[text]++
			continue
		}
		loud[text[:min(len(text), 60)]]++
	}
	s.t.Logf("%d lines of the log that are not for debugging: %v", lines, loud)
}
