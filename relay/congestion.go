package relay

import (
	"log/slog"
	"net"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// wanted is the congestion control that is asked for. With 150 ms of delay and 0.5 % loss BBR keeps a part's latency at a
// tenth of a second, where CUBIC collapses.
const wanted = "bbr"

// unsentMost is how many bytes wait in the kernel without having been sent: what a live part stands behind at most, when media
// of older parts go the same way.
const unsentMost = 128 << 10

// Congestion asks the kernel for what relay connections need. Where it is refused, the connection goes on with what the
// kernel has; that is logged once, and pushcart_relay_congestion tells.
type Congestion struct {
	log     *slog.Logger
	used    *prometheus.GaugeVec
	refused sync.Once
}

// NewCongestion makes one for a node. Without a logger and a registerer it is silent.
func NewCongestion(log *slog.Logger, reg prometheus.Registerer) *Congestion {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Congestion{log: log, used: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "pushcart_relay_congestion",
		Help: "1 for the congestion control that relay connections were given, by algorithm; it should be bbr.",
	}, []string{"algorithm"})}
	if reg != nil {
		reg.MustRegister(c.used)
	}
	return c
}

// Listener gives what is accepted from l what it needs: of a listener's own options Linux hands on the algorithm only.
func (c *Congestion) Listener(l net.Listener) net.Listener { return tuning{l, c} }

type tuning struct {
	net.Listener
	c *Congestion
}

func (t tuning) Accept() (net.Conn, error) {
	conn, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if s, ok := conn.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			_ = t.c.Control("", "", raw)
		}
	}
	return conn, nil
}

// Control is for net.Dialer. It never fails.
func (c *Congestion) Control(network, address string, raw syscall.RawConn) error {
	var algorithm string
	var refused error
	if err := raw.Control(func(fd uintptr) { algorithm, refused = tune(fd) }); err != nil {
		refused = err
	}
	if algorithm == "" {
		algorithm = "unknown"
	}
	c.used.WithLabelValues(algorithm).Set(1)
	if refused != nil {
		c.refused.Do(func() {
			c.log.Warn("the kernel does not give relay connections the congestion control that long ways need; load its module tcp_bbr and add bbr to net.ipv4.tcp_allowed_congestion_control",
				"wanted", wanted, "used", algorithm, "error", refused)
		})
	}
	return nil
}
