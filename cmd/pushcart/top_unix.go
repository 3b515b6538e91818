//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// terminalName is the terminal that a process belongs to.
const terminalName = "/dev/tty"

// notifySize tells when the terminal's size changes, or the process goes on after it was stopped.
func notifySize(c chan<- os.Signal) (stop func()) {
	signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT)
	return func() { signal.Reset(syscall.SIGWINCH, syscall.SIGCONT) }
}
