package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel end the child when this process ends, however it does.
func dieWithParent(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// cpuTime is how much a process has used since its start, all threads together.
func cpuTime(pid int) (time.Duration, error) {
	// The clock's identifier as clock_getcpuclockid(3) makes it: the process's number inverted, and 2 for the scheduler's
	// own count, which is exact to the nanosecond where /proc counts in ticks of 10 ms.
	clock := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// childrenTime is how much the present children of a process have used, together.
func childrenTime(parent int) (time.Duration, error) {
	var sum time.Duration
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		// proc(5): the number, the program's name in parentheses, which may hold any character, the state, the parent.
		_, rest, _ := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil || len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		used, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// resident is a process's RSS in bytes.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS in /proc/%d/status", pid)
}

// discardSome takes up to n bytes from a TCP connection without looking at them, at least one.
func discardSome(c syscall.RawConn, n int) (int, error) {
	var none [1]byte
	var got uintptr
	var errno syscall.Errno
	err := c.Read(func(fd uintptr) bool {
		// With MSG_TRUNC, nothing is stored, whatever the length says: tcp(7).
		got, _, errno = syscall.Syscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&none)), uintptr(n), unix.MSG_TRUNC, 0, 0)
		return errno != syscall.EAGAIN && errno != syscall.EINTR
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, errno
	case got == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return int(got), nil
}

// onCPU calls f with this thread, and so the children that it starts, bound to one of the CPUs that the process may use:
// the n-th, or the last when there are fewer. The caller is locked to its thread.
func onCPU(n int, f func() error) error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("ask for the CPUs: %w", err)
	}
	seen := 0
	for cpu := 0; seen <= n && seen < all.Count(); cpu++ {
		if all.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
			seen++
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("bind to a CPU: %w", err)
	}
	defer unix.SchedSetaffinity(0, &all)
	return f()
}
