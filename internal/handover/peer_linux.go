package handover

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// permitted tells why the process at the other end may not be spoken with: it has to be of the same user, or root's (unix(7),
// SO_PEERCRED).
func permitted(c *net.UnixConn) error {
	pid, uid, err := peer(c)
	if err != nil {
		return err
	}
	if uid != 0 && uid != os.Getuid() {
		return fmt.Errorf("process %d is of the user %d, and this one of %d", pid, uid, os.Getuid())
	}
	return nil
}

// peer is who made the connection.
func peer(c *net.UnixConn) (pid, uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, err
	}
	var cred *unix.Ucred
	var asked error
	err = raw.Control(func(fd uintptr) { cred, asked = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, asked); err != nil {
		return 0, 0, fmt.Errorf("ask who is at the other end: %w", err)
	}
	return int(cred.Pid), int(cred.Uid), nil
}
