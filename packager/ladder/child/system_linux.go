package child

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attributes give the child a process group of its own, and have the kernel kill it when the thread that makes it ends. The
// kernel forgets the signal for programs with set-user-ID or capabilities of their own, which ffmpeg is not: prctl(2).
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// keepInherited sees to it that no child gets the descriptors that this program was started with besides the first three: a
// careless shell or supervisor leaves such open. Ours close on exec anyway. Kernels before 5.11 cannot.
func keepInherited() { unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) }

// killGroup kills the process's group: ffmpeg itself, and what a wrapper around it may have started.
func killGroup(p *os.Process) error { return unix.Kill(-p.Pid, unix.SIGKILL) }

// untilDead waits for the process's end and leaves it to be waited for, so that its number stays its own. It returns false
// where that cannot be had.
func untilDead(p *os.Process) bool {
	for {
		err := unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err == nil
		}
	}
}

// lowerPriority adds to the niceness of all threads of the process's group.
func lowerPriority(p *os.Process, by int) error {
	// The system call returns 20 less the niceness, since a negative number would be an error: getpriority(2).
	raw, err := unix.Getpriority(unix.PRIO_PGRP, p.Pid)
	if err == nil {
		err = unix.Setpriority(unix.PRIO_PGRP, p.Pid, min(20-raw+by, 19))
	}
	if err != nil {
		return fmt.Errorf("lower the priority of process %d by %d: %w", p.Pid, by, err)
	}
	return nil
}

// offerToOOM has the kernel, when memory runs out, take the child before this program, without which there is no show at all:
// proc_pid_oom_score_adj(5). It may refuse where the child has ended.
func offerToOOM(p *os.Process) {
	file := fmt.Sprintf("/proc/%d/oom_score_adj", p.Pid)
	var now int
	if b, err := os.ReadFile(file); err == nil {
		fmt.Sscan(string(b), &now)
	}
	if now < childOOMScore {
		os.WriteFile(file, strconv.AppendInt(nil, childOOMScore, 10), 0)
	}
}

// childOOMScore makes a child count as if it had half of the memory more than it has.
const childOOMScore = 500

// cpuTime is how much a process has used since its start, all threads together, also those that have ended; 0 if it cannot
// be known.
func cpuTime(p *os.Process) time.Duration {
	// The clock's identifier as clock_getcpuclockid(3) makes it: the process's number inverted, and 2 for the scheduler's
	// own count, which is exact to the nanosecond where /proc counts in ticks of 10 ms.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^p.Pid<<3|2), &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// widen asks for room in a pipe. The system may refuse, for it limits what users without privileges may have in all
// (pipe(7), pipe-user-pages-soft); the pipe then stays as it is.
func widen(pipe *os.File, bytes int) {
	if c, err := pipe.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, bytes) })
	}
}
