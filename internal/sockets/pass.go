//go:build unix

package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Send gives duplicates of sockets to the process at the other end, each with one byte (unix(7), SCM_RIGHTS). They are to be among
// Open: another one is an error.
func (s *Set) Send(to *net.UnixConn, which []Socket) error {
	alive := s.alive()
	if len(which) > Most {
		return errMany
	}
	for _, w := range which {
		i := -1
		for k := range alive {
			if alive[k].Socket == w {
				i = k
			}
		}
		if i < 0 {
			return fmt.Errorf("the socket of %s is not open", w.Name)
		}
		raw, err := alive[i].conn.SyscallConn()
		if err != nil {
			return fmt.Errorf("hand the socket of %s on: %w", w.Name, err)
		}
		var sent error
		err = raw.Control(func(fd uintptr) { _, _, sent = to.WriteMsgUnix([]byte{0}, unix.UnixRights(int(fd)), nil) })
		if err = errors.Join(err, sent); err != nil {
			return fmt.Errorf("hand the socket of %s on: %w", w.Name, err)
		}
		alive = append(alive[:i], alive[i+1:]...) // two of the same kind are two sockets
	}
	return nil
}

// Receive takes the sockets that Send gives. After an error nothing of them is kept.
func Receive(from *net.UnixConn, which []Socket) (all []Inherited, err error) {
	if len(which) > Most {
		return nil, errMany
	}
	defer func() {
		if err != nil {
			for _, in := range all {
				in.File.Close()
			}
			all = nil
		}
	}()
	oob := make([]byte, unix.CmsgSpace(4))
	for _, w := range which {
		one := make([]byte, 1)
		n, got, flags, _, err := from.ReadMsgUnix(one, oob)
		if err != nil {
			return all, fmt.Errorf("receive the socket of %s: %w", w.Name, err)
		}
		fds, err := descriptors(oob[:got])
		for i, fd := range fds {
			f := os.NewFile(uintptr(fd), w.Name)
			if i > 0 || n != 1 || flags&unix.MSG_CTRUNC != 0 {
				f.Close()
				err = errors.New("there is more than one descriptor")
				continue
			}
			all = append(all, Inherited{w, f})
		}
		if err == nil && len(fds) == 0 {
			err = errors.New("there is no descriptor")
		}
		if err != nil {
			return all, fmt.Errorf("receive the socket of %s: %w", w.Name, err)
		}
	}
	return all, nil
}

// descriptors are those in control messages.
func descriptors(oob []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		some, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, err
		}
		fds = append(fds, some...)
	}
	return fds, nil
}

// portOf is the port that a socket is bound to; 0 where it has none.
func portOf(f *os.File) int {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	port := 0
	_ = raw.Control(func(fd uintptr) {
		switch at, _ := unix.Getsockname(int(fd)); at := at.(type) {
		case *unix.SockaddrInet4:
			port = at.Port
		case *unix.SockaddrInet6:
			port = at.Port
		}
	})
	return port
}
