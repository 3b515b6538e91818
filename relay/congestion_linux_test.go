package relay

import (
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

// TestCongestionBothEnds: accepted and dialled connections have the algorithm that the metric tells of, and the kernel keeps
// little that was not sent.
func TestCongestionBothEnds(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := NewCongestion(nil, reg)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := c.Listener(plain)
	defer l.Close()
	dialled, err := (&net.Dialer{Control: c.Control}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].Metric) != 1 {
		t.Fatalf("metrics are %v, %v", families, err)
	}
	told := families[0].Metric[0].Label[0].GetValue()
	for name, conn := range map[string]net.Conn{"accepted": accepted, "dialled": dialled} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			algorithm, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
			if algorithm = strings.TrimRight(algorithm, "\x00"); err != nil || algorithm != told {
				t.Errorf("%s: algorithm %q, told is %q, %v", name, algorithm, told, err)
			}
			if n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT); err != nil || n != unsentMost {
				t.Errorf("%s: %d bytes may be unsent, %v", name, n, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
}
