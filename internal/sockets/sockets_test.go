package sockets

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pairOf is two ends of a unix connection.
func pairOf(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "so-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	at := &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"}
	l, err := net.ListenUnix("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.DialUnix("unix", nil, at); err != nil {
		t.Fatal(err)
	}
	if b, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func listen(t *testing.T, s *Set, name, address string) net.Listener {
	t.Helper()
	l, err := s.Listen(name)("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestHandedOn: listeners and UDP sockets go from one set to another by name. A connection that came while nobody accepted is
// served by whoever accepts next, and datagrams wait as well.
func TestHandedOn(t *testing.T) {
	t.Parallel()
	one := NewSet(nil)
	http, rtmp := listen(t, one, "http", "127.0.0.1:0"), listen(t, one, "rtmp", "127.0.0.1:0")
	udp, err := one.ListenPacket("srt")("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	closed := listen(t, one, "gone", "127.0.0.1:0")
	closed.Close()

	open := one.Open()
	if len(open) != 3 {
		t.Fatalf("%v are open, want 3", open)
	}
	one.Pause()
	waiting, err := net.Dial("tcp", http.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	sender, err := net.Dial("udp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	sender.Write([]byte("datagram"))

	a, b := pairOf(t)
	sent := make(chan error, 1)
	go func() { sent <- one.Send(a, open) }()
	inherited, err := Receive(b, open)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	two := NewSet(inherited)
	http.Close()
	udp.Close()
	again := listen(t, two, "http", "127.0.0.1:0")
	if again.Addr().String() != http.Addr().String() {
		t.Errorf("the socket has %s, and had %s", again.Addr(), http.Addr())
	}
	c, err := again.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != waiting.LocalAddr().String() {
		t.Errorf("the connection of %s was accepted, %s waited", c.RemoteAddr(), waiting.LocalAddr())
	}
	pc, err := two.ListenPacket("srt")("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	pc.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 100)
	if n, _, err := pc.ReadFrom(buf); err != nil || string(buf[:n]) != "datagram" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if left := two.Left(); len(left) != 1 || left[0].Name != "rtmp" {
		t.Errorf("%v are left, want rtmp", left)
	}
	if other := listen(t, two, "rtmp", "127.0.0.1:0"); other.Addr().String() == rtmp.Addr().String() {
		t.Error("a socket that was given up is used")
	}
	if two.Left() != nil {
		t.Error("something is left twice")
	}
}

// TestPaused: a paused listener accepts nothing, is not closed, and goes on.
func TestPaused(t *testing.T) {
	t.Parallel()
	s := NewSet(nil)
	l := listen(t, s, "http", "127.0.0.1:0")
	accepted := make(chan net.Conn)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	(<-accepted).Close()
	for range 3 {
		s.Pause()
		s.Pause()
		dial()
		select {
		case <-accepted:
			t.Fatal("a connection was accepted while the listener was paused")
		case <-time.After(20 * time.Millisecond): // nothing may happen: there is nothing to wait for
		}
		s.Resume()
		s.Resume()
		(<-accepted).Close()
	}
	s.Pause()
	l.Close()
	if _, more := <-accepted; more {
		t.Error("a closed listener accepts")
	}
}

// TestNotReceived: what comes without a descriptor, or with more than one, is refused.
func TestNotReceived(t *testing.T) {
	t.Parallel()
	a, b := pairOf(t)
	a.Write([]byte{0})
	if got, err := Receive(b, []Socket{{"http", "tcp", ""}}); err == nil || got != nil {
		t.Errorf("a byte without a descriptor: %v, %v", got, err)
	}
	s := NewSet(nil)
	l := listen(t, s, "http", "127.0.0.1:0")
	if err := s.Send(a, []Socket{{"rtmp", "tcp", ""}}); err == nil {
		t.Error("a socket was sent that is not open")
	}
	if err := s.Send(a, []Socket{s.Open()[0], s.Open()[0]}); err == nil {
		t.Error("one socket was sent for two")
	}
	if err := s.Send(a, make([]Socket, Most+1)); err == nil {
		t.Error("any number of sockets is sent")
	}
	if _, err := Receive(b, make([]Socket, Most+1)); err == nil {
		t.Error("any number of sockets is received")
	}
	a.Close()
	// One has come, the second does not: the first is closed again.
	if got, err := Receive(b, []Socket{{"http", "tcp", ""}, {"rtmp", "tcp", ""}}); err == nil || got != nil {
		t.Errorf("half of the sockets: %v, %v", got, err)
	}
	l.Close()
	b.Close()
}

// TestMain lets the test's program be the service that systemd starts.
func TestMain(m *testing.M) {
	if os.Getenv("SOCKETS_TEST_SERVICE") == "" {
		os.Exit(m.Run())
	}
	if err := service(); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

// service takes systemd's sockets and tells what it has of them.
func service() error {
	os.Setenv("LISTEN_PID", strings.ReplaceAll(os.Getenv("LISTEN_PID"), "self", strconv.Itoa(os.Getpid())))
	inherited, err := Activated()
	if err != nil {
		return err
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if _, there := os.LookupEnv(name); there {
			return fmt.Errorf("%s is still there", name)
		}
	}
	s := NewSet(inherited)
	l, err := s.Listen("http")("tcp", os.Getenv("SOCKETS_TEST_SERVICE"))
	if err != nil {
		return err
	}
	pc, err := s.ListenPacket("srt")("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr(), pc.LocalAddr(), len(s.Left()))
	if err := Notify("READY=1"); err != nil {
		return err
	}
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, "served\n")
	return err
}

// TestActivatedProcess starts a service as systemd does: with sockets from descriptor 3 on, and their names.
func TestActivatedProcess(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	files := func() []*os.File {
		a, err1 := tcp.(*net.TCPListener).File()
		b, err2 := udp.(*net.UDPConn).File()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		return []*os.File{a, b}
	}
	dir, err := os.MkdirTemp("", "so-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notified.Close()
	run := func(pid, fds, names, asked string) (*exec.Cmd, *bufio.Reader) {
		t.Helper()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SOCKETS_TEST_SERVICE="+asked, "LISTEN_PID="+pid, "LISTEN_FDS="+fds, "LISTEN_FDNAMES="+names,
			"NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
		cmd.ExtraFiles = files()
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range cmd.ExtraFiles {
			f.Close()
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd, bufio.NewReader(out)
	}
	said := func(r *bufio.Reader) string {
		t.Helper()
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}

	_, out := run("self", "2", "http:srt", tcp.Addr().String())
	if want := fmt.Sprintf("%s %s 0", tcp.Addr(), udp.LocalAddr()); said(out) != want {
		t.Errorf("the service does not have the sockets %s", want)
	}
	buf := make([]byte, 100)
	notified.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := notified.Read(buf); err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("systemd was told %q, %v", buf[:n], err)
	}
	c, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if text, err := io.ReadAll(c); string(text) != "served\n" {
		t.Errorf("the service says %q, %v", text, err)
	}

	// Variables of another process, another port, and another name leave the sockets alone.
	for _, other := range [][4]string{{"1", "2", "http:srt", "127.0.0.1:0"}, {"self", "2", "web:media", "127.0.0.1:0"}} {
		_, out := run(other[0], other[1], other[2], other[3])
		if line := said(out); strings.Contains(line, tcp.Addr().String()) || strings.Contains(line, udp.LocalAddr().String()) {
			t.Errorf("%v: the service took %s", other, line)
		}
	}
	for _, wrong := range [][2]string{{"-1", ""}, {"1000000", ""}, {"x", ""}, {"2", "http"}, {"3", "http:srt:none"}} {
		if cmd, out := run("self", wrong[0], wrong[1], "127.0.0.1:0"); !strings.HasPrefix(said(out), "failed:") || cmd.Wait() == nil {
			t.Errorf("LISTEN_FDS=%s and LISTEN_FDNAMES=%s are taken", wrong[0], wrong[1])
		}
	}
}

// TestNilSet: without a set, sockets are opened as usual.
func TestNilSet(t *testing.T) {
	t.Parallel()
	var s *Set
	l := listen(t, s, "http", "127.0.0.1:0")
	if _, err := s.Listen("http")("tcp", l.Addr().String()); err == nil {
		t.Error("a port was opened twice")
	}
	pc, err := s.ListenPacket("srt")("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc.Close()
	s.Pause()
	s.Resume()
	if len(s.Open())+len(s.Left()) > 0 {
		t.Error("a nil set has something")
	}
}
