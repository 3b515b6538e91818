//go:build unix

package sockets

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstDescriptor is where systemd puts the first socket (sd_listen_fds(3), SD_LISTEN_FDS_START).
const firstDescriptor = 3

// Activated are the sockets that systemd opened for this process: LISTEN_FDS of them, by the names in LISTEN_FDNAMES, when LISTEN_PID is
// this process (sd_listen_fds(3)). A name is that of FileDescriptorName= in the socket unit. The variables are removed, so that no child
// takes them for its own. It is called once, before anything else is opened.
func Activated() ([]Inherited, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // they are another process's
	}
	return activated(count, names, firstDescriptor)
}

// activated takes sockets, from a descriptor on.
func activated(count, names string, first int) ([]Inherited, error) {
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > Most {
		return nil, fmt.Errorf("LISTEN_FDS is %.20q: %d sockets at most can be taken from systemd", count, Most)
	}
	named := strings.Split(names, ":")
	if n > 0 && len(named) != n {
		return nil, fmt.Errorf("systemd gave %d sockets and names %d: set FileDescriptorName= in the socket unit", n, len(named))
	}
	var all []Inherited
	for i := range n {
		fd := first + i
		unix.CloseOnExec(fd)
		network := "tcp"
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		switch {
		case err != nil:
			return nil, fmt.Errorf("the descriptor %d that systemd gave as %.40q is no socket: %w", fd, named[i], err)
		case kind == unix.SOCK_DGRAM:
			network = "udp"
		}
		all = append(all, Inherited{Socket{Name: named[i], Network: network}, os.NewFile(uintptr(fd), named[i])})
	}
	return all, nil
}

// Notify tells systemd how the service is (sd_notify(3)), such as "READY=1"; where NOTIFY_SOCKET names nobody to tell it does nothing.
func Notify(state string) error {
	at := os.Getenv("NOTIFY_SOCKET")
	if at == "" {
		return nil
	}
	// Go takes "@" for the abstract namespace, as systemd does.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell systemd %q: %w", state, err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell systemd %q: %w", state, err)
	}
	return nil
}
