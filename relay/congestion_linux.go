package relay

import (
	"strings"

	"golang.org/x/sys/unix"
)

// tune asks for the wanted congestion control and for few unsent bytes. It returns the algorithm that the socket has then.
func tune(fd uintptr) (algorithm string, refused error) {
	refused = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, wanted)
	if err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost); refused == nil {
		refused = err
	}
	// The kernel's answer is filled up with zero bytes.
	algorithm, err := unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	if refused == nil {
		refused = err
	}
	algorithm, _, _ = strings.Cut(algorithm, "\x00")
	return algorithm, refused
}
