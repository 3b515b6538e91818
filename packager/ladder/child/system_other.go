//go:build !unix

package child

import (
	"os"
	"syscall"
	"time"
)

// attributes are the system's own: there are no process groups to be killed at once, and no parent-death signal.
func attributes() *syscall.SysProcAttr { return nil }

// keepInherited does nothing: what this program was started with, children get.
func keepInherited() {}

// killGroup kills the process.
func killGroup(p *os.Process) error { return p.Kill() }

// untilDead would wait for the process's end; here that cannot be had without reaping it.
func untilDead(*os.Process) bool { return false }

// lowerPriority does nothing: niceness is Unix's.
func lowerPriority(*os.Process, int) error { return nil }

// offerToOOM does nothing: who dies when memory runs out is the system's choice.
func offerToOOM(*os.Process) {}

// cpuTime is not known before the process's end.
func cpuTime(*os.Process) time.Duration { return 0 }

// widen does nothing: pipes are as large as the system has them.
func widen(*os.File, int) {}
