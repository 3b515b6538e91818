//go:build !linux

package load

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

var errLinux = errors.New("processes can only be measured on Linux")

func dieWithParent(*exec.Cmd) {}

// CPUTime is how much a process has used since its start: an error on systems other than Linux.
func CPUTime(int) (time.Duration, error) { return 0, errLinux }

// Resident is a process's RSS in bytes: an error on systems other than Linux.
func Resident(int) (int64, error) { return 0, errLinux }

func fileLimit() uint64 { return 0 }

// canSkip tells that bytes of a TCP connection can be thrown away unread.
const canSkip = false

type skipping struct{}

func (*skipping) init() {}

func (*skipping) some(syscall.RawConn, int) (int, error) { return 0, errLinux }
