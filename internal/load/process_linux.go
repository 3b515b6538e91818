package load

import (
	"fmt"
	"io"
	"os"
	"os/exec"
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

// CPUTime is how much a process has used since its start, all threads together.
func CPUTime(pid int) (time.Duration, error) {
	// The clock's identifier as clock_getcpuclockid(3) makes it: the process's number inverted, and 2 for the scheduler's
	// own count, which is exact to the nanosecond where /proc counts in ticks of 10 ms.
	clock := int32(^pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// Resident is a process's RSS in bytes.
func Resident(pid int) (int64, error) {
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

// fileLimit is how many files the process may have open; 0 is that it is not known.
func fileLimit() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return l.Cur
}

// canSkip tells that bytes of a TCP connection can be thrown away unread.
const canSkip = true

// skipping throws bytes of a TCP connection away. It is made once for each connection, so that no call costs an allocation.
type skipping struct {
	want  int
	got   uintptr
	errno syscall.Errno
	none  [1]byte
	read  func(fd uintptr) bool
}

func (s *skipping) init() {
	s.read = func(fd uintptr) bool {
		// With MSG_TRUNC, nothing is stored, whatever the length says: tcp(7).
		s.got, _, s.errno = syscall.Syscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&s.none)), uintptr(s.want), unix.MSG_TRUNC, 0, 0)
		return s.errno != syscall.EAGAIN && s.errno != syscall.EINTR
	}
}

// some takes up to n bytes from the connection without looking at them, at least one.
func (s *skipping) some(c syscall.RawConn, n int) (int, error) {
	s.want = n
	err := c.Read(s.read)
	switch {
	case err != nil:
		return 0, err
	case s.errno != 0:
		return 0, s.errno
	case s.got == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return int(s.got), nil
}
