package testkit

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/load"
)

// Tape is what a client said in a conversation that went well, in the pieces in which it came. Over UDP each is a datagram.
type Tape struct {
	mu     sync.Mutex // guards pieces
	pieces [][]byte
}

// NewTape is of pieces that are known.
func NewTape(pieces ...[]byte) *Tape { return &Tape{pieces: pieces} }

// Pieces are those that have been said so far.
func (t *Tape) Pieces() [][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([][]byte(nil), t.pieces...)
}

// Bytes is all of it in a row.
func (t *Tape) Bytes() (all []byte) {
	for _, p := range t.Pieces() {
		all = append(all, p...)
	}
	return all
}

func (t *Tape) note(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pieces = append(t.pieces, append([]byte(nil), b...))
}

// TapTCP stands in front of a TCP address and writes down what clients say to it. It ends with the test.
func TapTCP(t testing.TB, target string) (address string, said *Tape) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	said = &Tape{}
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { cancel(); l.Close(); running.Wait() })
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			over := context.AfterFunc(ctx, func() { client.Close(); server.Close() })
			running.Go(func() {
				defer over()
				io.Copy(client, server) // either end may go at any time
				client.Close()
			})
			running.Go(func() {
				copied(said, server, client)
				server.(*net.TCPConn).CloseWrite()
			})
		}
	})
	return l.Addr().String(), said
}

// copied carries what is read, and writes it down.
func copied(said *Tape, to io.Writer, from io.Reader) {
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			said.note(b[:n])
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// TapUDP is TapTCP for datagrams, of one client at a time.
func TapUDP(t testing.TB, target string) (address string, said *Tape) {
	t.Helper()
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.Dial("udp", target)
	if err != nil {
		t.Fatal(err)
	}
	said = &Tape{}
	var running sync.WaitGroup
	var mu sync.Mutex // guards client
	var client *net.UDPAddr
	t.Cleanup(func() { front.Close(); back.Close(); running.Wait() })
	running.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := front.ReadFromUDP(b)
			if err != nil {
				return
			}
			mu.Lock()
			client = from
			mu.Unlock()
			said.note(b[:n])
			back.Write(b[:n])
		}
	})
	running.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, err := back.Read(b)
			if isClosed(err) {
				return
			}
			mu.Lock()
			to := client
			mu.Unlock()
			if err == nil && to != nil {
				front.WriteToUDP(b[:n], to)
			}
		}
	})
	return front.LocalAddr().String(), said
}

// Elsewhere is a target of which some listeners are reached by way of others.
type Elsewhere struct {
	Target
	// Instead has addresses by the listeners' names.
	Instead map[string]string
}

// Address implements Target.
func (e Elsewhere) Address(name string) net.Addr {
	if a, err := net.ResolveTCPAddr("tcp", e.Instead[name]); e.Instead[name] != "" && err == nil {
		return a
	}
	return e.Target.Address(name)
}

// HTTP implements Target.
func (e Elsewhere) HTTP() string {
	if a := e.Instead["http"]; a != "" {
		return "http://" + a
	}
	return e.Target.HTTP()
}

// Target is for publishers.
func (n *ClusterNode) Target(t testing.TB) Target {
	t.Helper()
	return (&Server{Process: n.Process}).Target(t)
}

// From is a dialer from an address of this host, with a receive buffer of so many bytes; 0 leaves it to the system.
func From(address string, receive int) *net.Dialer {
	d := &net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	if receive > 0 {
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				// Before the connection is made, so that the window is never offered larger.
				failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, receive)
			})
			if err == nil {
				err = failed
			}
			return err
		}
	}
	return d
}

// Held is what a process holds.
type Held struct {
	// Resident is its memory in bytes.
	Resident int64
	// Descriptors are its open files, Goroutines those of Go.
	Descriptors, Goroutines int
}

// String implements fmt.Stringer.
func (h Held) String() string {
	return fmt.Sprintf("%.1f MB, %d descriptors, %d goroutines", float64(h.Resident)/1e6, h.Descriptors, h.Goroutines)
}

// HeldBy reads what a process holds, but for its goroutines, which the system does not know.
func HeldBy(pid int) (h Held, err error) {
	if h.Resident, err = load.Resident(pid); err != nil {
		return h, err
	}
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	h.Descriptors = len(all)
	return h, err
}

// Holds reads what the node's program holds.
func (n *ClusterNode) Holds() Held {
	n.cluster.t.Helper()
	h, err := HeldBy(n.PID())
	if err != nil {
		n.cluster.t.Fatal(err)
	}
	h.Goroutines = int(n.Metric("go_goroutines"))
	return h
}
