//go:build unix && !linux

package child

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attributes give the child a process group of its own. There is no parent-death signal: a child whose node is killed ends
// because its standard input does.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// keepInherited does nothing: what this program was started with, children get.
func keepInherited() {}

// killGroup kills the process's group.
func killGroup(p *os.Process) error { return unix.Kill(-p.Pid, unix.SIGKILL) }

// untilDead would wait for the process's end; here that cannot be had without reaping it.
func untilDead(*os.Process) bool { return false }

// lowerPriority adds to the niceness of the process's group.
func lowerPriority(p *os.Process, by int) error {
	now, err := unix.Getpriority(unix.PRIO_PGRP, p.Pid)
	if err == nil {
		err = unix.Setpriority(unix.PRIO_PGRP, p.Pid, min(now+by, 19))
	}
	if err != nil {
		return fmt.Errorf("lower the priority of process %d by %d: %w", p.Pid, by, err)
	}
	return nil
}

// offerToOOM does nothing: who dies when memory runs out is the system's choice.
func offerToOOM(*os.Process) {}

// cpuTime is not known before the process's end.
func cpuTime(*os.Process) time.Duration { return 0 }

// widen does nothing: pipes are as large as the system has them.
func widen(*os.File, int) {}
