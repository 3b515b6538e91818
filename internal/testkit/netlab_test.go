package testkit

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// TestNetlab sends a connection's bytes over a link with delay, cuts it, joins it again, and has it firewalled.
func TestNetlab(t *testing.T) {
	t.Parallel()
	lab, err := NewNetlab(t)
	if err != nil {
		t.Logf("this machine has no network lab, so there is nothing of it to look at: %v", err)
		return
	}
	a, b := lab.Port(t), lab.Port(t)
	const delay = 30 * time.Millisecond
	lab.Set(a, b, Link{Delay: delay})
	from := echoAt(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	c, err := a.Dial(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if took := time.Since(began); took < 2*delay {
		t.Errorf("the connection was there after %v, the link's delay is %v", took, delay)
	}
	if host, _, _ := net.SplitHostPort(c.LocalAddr().String()); host != a.IP {
		t.Errorf("it was dialled from %s, not from %s", host, a.IP)
	}
	// A cut only delays what TCP carries, if it is not for long.
	lab.Cut(b, true)
	if _, err := c.Write([]byte("through?")); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	word := make([]byte, 8)
	if n, err := io.ReadFull(c, word); err == nil || n > 0 {
		t.Errorf("%q came through a cut", word[:n])
	}
	lab.Cut(b, false)
	c.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(c, word); err != nil || string(word) != "through?" {
		t.Errorf("after the cut: %q, %v", word, err)
	}
	// A firewall lets through what has a connection, and no new one.
	lab.SetOneWay(a, b, Link{Undialled: true})
	if _, err := c.Write(word); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, word); err != nil {
		t.Errorf("through the firewall: %v", err)
	}
	short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if second, err := a.Dial(short, from); err == nil {
		second.Close()
		t.Error("the firewall let a new connection through")
	}
}

// echoAt listens in a port and sends back what it gets, until the test ends.
func echoAt(t *testing.T, p *LabPort) (address string) {
	t.Helper()
	l, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	return l.Addr().String()
}
