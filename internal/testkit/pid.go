package testkit

// PID is the program's process number.
func (p *Process) PID() int { return p.cmd.Process.Pid }
