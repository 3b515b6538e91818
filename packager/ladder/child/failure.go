package child

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrImmortal says that a child was killed and is still there: it hangs in the kernel, mostly in a GPU's driver. Its pipes
// are closed and nobody waits for it any more. When the kernel lets go of it, it dies and is reaped.
var ErrImmortal = errors.New("the process was killed and does not end; it hangs in the kernel, perhaps in a GPU's driver")

// Failure is how a child ended that did not end well.
type Failure struct {
	// Program is what was run, as the Spec has it.
	Program string
	// Code is the exit code; -1 if a signal ended it.
	Code int
	// Signal is what ended it; 0 if nothing did.
	Signal syscall.Signal
	// Killed says that Kill, Close, Stop after its grace, or the end of the context sent the signal.
	Killed bool
	// Last is the last line on standard error that says what is wrong; "" if there is none.
	Last string
}

// Error says how it ended, and why as far as that is known.
func (f *Failure) Error() string {
	var how string
	switch {
	case f.Signal != 0 && f.Killed:
		how = "was killed"
	case f.Signal != 0:
		how = fmt.Sprintf("was ended by signal %d (%v)", int(f.Signal), f.Signal)
	default:
		how = fmt.Sprintf("ended with exit code %d", f.Code)
	}
	if f.Last == "" {
		return fmt.Sprintf("%s %s", f.Program, how)
	}
	return fmt.Sprintf("%s %s: %s", f.Program, how, f.Last)
}

// describe returns how a process ended; nil if it ended well.
func describe(program string, state *os.ProcessState, killed bool, last string) error {
	if state.Success() {
		return nil
	}
	f := &Failure{Program: program, Code: state.ExitCode(), Last: last}
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		f.Signal = w.Signal()
		f.Killed = killed && f.Signal == syscall.SIGKILL
	}
	return f
}
