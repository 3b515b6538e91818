package testkit

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespace is a network of the kernel's own, with a TUN device in it. Nothing of it has a name outside this process: it is
// gone with the last descriptor and the last program that runs in it, however the test ends.
type namespace struct {
	file *os.File
	tun  *os.File
}

const (
	labDevice = "lab"
	labMTU    = 1500
)

// newNamespace makes one, whose device has the address.
func newNamespace(address net.IP) (*namespace, error) {
	type result struct {
		ns  *namespace
		err error
	}
	made := make(chan result)
	go func() {
		// The thread stays locked, so that it ends with this goroutine and nobody else gets it.
		runtime.LockOSThread()
		ns, err := enterNew(address)
		made <- result{ns, err}
	}()
	r := <-made
	return r.ns, r.err
}

func enterNew(address net.IP) (*namespace, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	file, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	ns := &namespace{file: file}
	if err := ns.furnish(address); err != nil {
		ns.close()
		return nil, err
	}
	return ns, nil
}

// furnish makes the device, on a thread that is in the namespace.
func (ns *namespace) furnish(address net.IP) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, interfaceRequest(labDevice, func(r *unix.Ifreq) { r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI) })); err != nil {
		unix.Close(fd)
		return fmt.Errorf("TUN device: %w", err)
	}
	ns.tun = os.NewFile(uintptr(fd), "/dev/net/tun")
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	for _, step := range []struct {
		ioctl  uint
		device string
		set    func(*unix.Ifreq)
	}{
		{unix.SIOCSIFADDR, labDevice, func(r *unix.Ifreq) { r.SetInet4Addr(address.To4()) }},
		{unix.SIOCSIFNETMASK, labDevice, func(r *unix.Ifreq) { r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{unix.SIOCSIFMTU, labDevice, func(r *unix.Ifreq) { r.SetUint32(labMTU) }},
		{unix.SIOCSIFFLAGS, labDevice, func(r *unix.Ifreq) { r.SetUint16(unix.IFF_UP) }},
		{unix.SIOCSIFFLAGS, "lo", func(r *unix.Ifreq) { r.SetUint16(unix.IFF_UP) }},
	} {
		if err := unix.IoctlIfreq(s, step.ioctl, interfaceRequest(step.device, step.set)); err != nil {
			return fmt.Errorf("set up %s: %w", step.device, err)
		}
	}
	return nil
}

func interfaceRequest(device string, set func(*unix.Ifreq)) *unix.Ifreq {
	r, err := unix.NewIfreq(device)
	if err != nil {
		panic(err) // the name is a constant that fits
	}
	set(r)
	return r
}

// within calls a function on a thread that is in the namespace. A socket stays in the namespace that it was made in.
func (ns *namespace) within(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(ns.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter the namespace: %w", err)
			return
		}
		done <- do()
	}()
	return <-done
}

// dial makes a connection from within the namespace.
func (ns *namespace) dial(ctx context.Context, address string) (c net.Conn, err error) {
	err = ns.within(func() (err error) {
		// With an IP address, and none to fall back to, the dialler does all on this goroutine.
		c, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, "tcp4", address)
		return err
	})
	return c, err
}

// listen makes a listener within the namespace.
func (ns *namespace) listen(address string) (l net.Listener, err error) {
	err = ns.within(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	return l, err
}

func (ns *namespace) close() {
	if ns.tun != nil {
		ns.tun.Close()
	}
	ns.file.Close()
}
