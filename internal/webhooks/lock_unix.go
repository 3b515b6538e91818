//go:build unix && !solaris && !illumos && !aix

package webhooks

import (
	"errors"
	"os"
	"syscall"
)

// lock takes f with flock(2), which ends with the process.
func lock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errInUse
		}
		return err
	}
}

// unlock gives the lock back. Closing f is not enough: a child process that is just being started has a copy of each
// descriptor until it runs its program.
func unlock(f *os.File) { syscall.Flock(int(f.Fd()), syscall.LOCK_UN) }
