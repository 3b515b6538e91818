package testkit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Netlab is a network of real TCP/IP stacks in this machine: each port is a network namespace of the kernel, and this process
// is the wire between them, which delays packets, loses them and can be cut.
type Netlab struct {
	mu    sync.Mutex // guards what follows
	ports []*LabPort
	wires map[[2]int]*labWire
	over  bool
	group sync.WaitGroup
}

// Link is what a wire does in one direction.
type Link struct {
	// Delay of each packet.
	Delay time.Duration
	// Loss is the share of packets that is lost, from 0 to 1. Which ones is the same for the same Seed.
	Loss float64
	Seed uint64
	// Rate in bits a second; 0 is without a limit. What waits for it is held for 250 ms at most, and then lost.
	Rate float64
	// Cut lets nothing through.
	Cut bool
	// Undialled lets no connection be made in this direction, as a firewall does. Connections the other way work.
	Undialled bool
}

// LabPort is a place in the network.
type LabPort struct {
	// IP is its address for the others.
	IP string

	lab    *Netlab
	number int
	ns     *namespace
}

// NewNetlab makes a network without ports. It is taken down at the end of the test. The error says why this machine has none.
func NewNetlab(t testing.TB) (*Netlab, error) {
	t.Helper()
	if _, err := exec.LookPath("nsenter"); err != nil {
		return nil, err
	}
	probe, err := newNamespace(net.IPv4(10, 77, 0, 1))
	if err != nil {
		return nil, err
	}
	probe.close()
	l := &Netlab{wires: map[[2]int]*labWire{}}
	t.Cleanup(l.close)
	return l, nil
}

// Port makes a place in the network.
func (l *Netlab) Port(t testing.TB) *LabPort {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &LabPort{lab: l, number: len(l.ports) + 1}
	ip := net.IPv4(10, 77, 0, byte(p.number))
	p.IP = ip.String()
	var err error
	if p.ns, err = newNamespace(ip); err != nil {
		t.Fatalf("network lab: %v", err)
	}
	l.ports = append(l.ports, p)
	l.group.Go(p.route)
	return p
}

// Set has the wires between two ports behave like a link from now on, in both directions. Packets on their way arrive.
func (l *Netlab) Set(a, b *LabPort, link Link) {
	l.SetOneWay(a, b, link)
	link.Seed++
	l.SetOneWay(b, a, link)
}

// SetOneWay is Set for one direction.
func (l *Netlab) SetOneWay(from, to *LabPort, link Link) {
	if w := l.wire(from.number, to.number); w != nil {
		w.set(link)
	}
}

// Cut cuts a port off from all others, or joins it to them again. Everything else of the wires stays.
func (l *Netlab) Cut(p *LabPort, cut bool) {
	l.mu.Lock()
	ports := append([]*LabPort(nil), l.ports...)
	l.mu.Unlock()
	for _, other := range ports {
		if other != p {
			l.CutBetween(p, other, cut)
		}
	}
}

// CutBetween is Cut for two ports.
func (l *Netlab) CutBetween(a, b *LabPort, cut bool) {
	for _, w := range []*labWire{l.wire(a.number, b.number), l.wire(b.number, a.number)} {
		if w != nil {
			w.mu.Lock()
			w.link.Cut = cut
			w.mu.Unlock()
		}
	}
}

// wire is the one between two ports; nil when the network is down.
func (l *Netlab) wire(from, to int) *labWire {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || to < 1 || to > len(l.ports) {
		return nil
	}
	w := l.wires[[2]int{from, to}]
	if w == nil {
		w = newLabWire(l.ports[to-1].ns.tun)
		l.wires[[2]int{from, to}] = w
	}
	return w
}

func (l *Netlab) close() {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
	for _, p := range l.ports {
		p.ns.close()
	}
	l.group.Wait()
	for _, w := range l.wires {
		w.close()
	}
}

// route sends what comes from a port to where it goes.
func (p *LabPort) route() {
	b := make([]byte, 64<<10)
	for {
		n, err := p.ns.tun.Read(b)
		if err != nil {
			return
		}
		if n < 20 || b[0]>>4 != 4 || b[16] != 10 || b[17] != 77 || b[18] != 0 {
			continue // not IPv4, or for nobody here
		}
		if w := p.lab.wire(p.number, int(b[19])); w != nil {
			w.put(b[:n])
		}
	}
}

// Command is how to start a program there: a program and its arguments, for Run.
func (p *LabPort) Command(name string, args ...string) (string, []string) {
	at := fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), p.ns.file.Fd())
	return "nsenter", append([]string{at, name}, args...)
}

// Dial connects from there to an address.
func (p *LabPort) Dial(ctx context.Context, address string) (net.Conn, error) {
	return p.ns.dial(ctx, address)
}

// Listen takes connections there, on a free port of its address.
func (p *LabPort) Listen() (net.Listener, error) { return p.ns.listen(p.IP + ":0") }

// Forward listens on this machine's loopback address and hands each connection to an address as it is seen from there, until
// the test ends.
func (p *LabPort) Forward(t testing.TB, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { p.carry(ctx, a, address) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		group.Wait()
	})
	return l.Addr().String()
}

// carry copies between a connection and a new one until both have ended, or ctx.
func (p *LabPort) carry(ctx context.Context, a net.Conn, address string) {
	defer a.Close()
	b, err := p.Dial(ctx, address)
	if err != nil {
		if tcp, ok := a.(*net.TCPConn); ok {
			tcp.SetLinger(0) // as refused as can be
		}
		return
	}
	defer b.Close()
	defer context.AfterFunc(ctx, func() { a.Close(); b.Close() })()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			if _, err := io.Copy(way[1], way[0]); err != nil {
				a.Close()
				b.Close()
				return
			}
			if c, ok := way[1].(interface{ CloseWrite() error }); ok {
				c.CloseWrite()
			}
		})
	}
	both.Wait()
}

// labWire carries packets in one direction, in their order.
type labWire struct {
	to *os.File

	mu    sync.Mutex // guards what follows
	link  Link
	rand  *rand.Rand
	queue []lineItem
	free  time.Time // when the wire has sent what it took
	wake  chan struct{}
	over  bool
	done  chan struct{}
}

// holdAtMost is how long packets wait for a wire that is busy.
const holdAtMost = 250 * time.Millisecond

func newLabWire(to *os.File) *labWire {
	w := &labWire{to: to, wake: make(chan struct{}, 1), done: make(chan struct{})}
	w.set(Link{})
	go w.run()
	return w
}

func (w *labWire) set(l Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.link, w.rand = l, rand.New(rand.NewPCG(l.Seed, 0x9E3779B97F4A7C15))
}

// put takes a packet; the bytes are copied.
func (w *labWire) put(b []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if w.over || w.link.Cut || w.link.Undialled && dials(b) || w.link.Loss > 0 && w.rand.Float64() < w.link.Loss {
		return
	}
	sent := now
	if w.link.Rate > 0 {
		if w.free.Before(now) {
			w.free = now
		}
		if w.free.Sub(now) > holdAtMost {
			return
		}
		w.free = w.free.Add(time.Duration(float64(len(b)) * 8 / w.link.Rate * 1e9))
		sent = w.free
	}
	w.queue = append(w.queue, lineItem{due: sent.Add(w.link.Delay), data: append([]byte(nil), b...)})
	if len(w.queue) == 1 {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// dials tells that a packet is the first of a TCP connection (RFC 9293 3.1: SYN without ACK).
func dials(b []byte) bool {
	const tcp, syn, ack = 6, 0x02, 0x10
	head := int(b[0]&15) * 4
	return len(b) >= head+14 && b[9] == tcp && b[head+13]&(syn|ack) == syn && binary.BigEndian.Uint16(b[6:])&0x1FFF == 0
}

// run delivers what is due.
func (w *labWire) run() {
	defer close(w.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w.mu.Lock()
		wait := time.Hour
		var ready [][]byte
		now := time.Now()
		for len(w.queue) > 0 {
			if wait = w.queue[0].due.Sub(now); wait > 0 {
				break
			}
			if !w.link.Cut {
				ready = append(ready, w.queue[0].data)
			}
			w.queue = w.queue[1:]
			wait = time.Hour
		}
		over := w.over
		w.mu.Unlock()
		if over {
			return
		}
		for _, b := range ready {
			if _, err := w.to.Write(b); errors.Is(err, os.ErrClosed) {
				return
			}
		}
		if len(ready) > 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-w.wake:
		}
	}
}

func (w *labWire) close() {
	w.mu.Lock()
	w.over, w.queue = true, nil
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	<-w.done
}
