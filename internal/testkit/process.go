package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs beside the test. It dies with the test's process.
type Process struct {
	// Log is what it wrote, on standard output and standard error.
	Log *Log

	cmd   *exec.Cmd
	ended chan struct{}
	code  int
}

// Run starts a program. It is killed at the end of the test if it is still there.
func Run(t testing.TB, env []string, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Log: &Log{}, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.Log, p.Log
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		// The signal comes with the death of the thread that started the program: this one must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		defer close(p.ended)
		var exit *exec.ExitError
		if err := p.cmd.Wait(); errors.As(err, &exit) {
			p.code = exit.ExitCode()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Signal(syscall.SIGKILL); <-p.ended })
	return p
}

// Signal sends a signal; one that has ended gets none.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		p.cmd.Process.Signal(s)
	}
}

// Wait waits for the program's end and returns its exit code, -1 for one that a signal ended.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-p.ended:
		return p.code
	case <-ctx.Done():
		t.Fatalf("%s did not end:\n%s", filepath.Base(p.cmd.Path), p.Log)
	}
	return 0
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends the program as a crash does, and waits.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.ended
}

var built struct {
	sync.Once
	dir, err string
}

// Build builds the program once for all tests and returns its file. RemoveBuild is for the end.
func Build(t testing.TB) string {
	t.Helper()
	built.Do(func() {
		dir, err := os.MkdirTemp("", "pushcart-build-")
		if err != nil {
			built.err = err.Error()
			return
		}
		built.dir = dir
		if out, err := exec.Command("go", "build", "-o", dir, "pushcart/cmd/pushcart").CombinedOutput(); err != nil {
			built.err = fmt.Sprintf("go build: %v\n%s", err, out)
		}
	})
	if built.err != "" {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "pushcart")
}

// RemoveBuild takes away what Build made. Call it when all tests are done.
func RemoveBuild() {
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
}

// Server is the real program.
type Server struct {
	*Process
	// RTMP, HTTP and Admin are the addresses that it listens on.
	RTMP, HTTP, Admin string
}

var upLine = regexp.MustCompile(`pushcart is up.* rtmp=(\S+) .*?http=(\S+) .*?admin=(\S+)`)

// Doors is the environment with which the program takes free ports for all publishers but those of RTMP.
var Doors = []string{
	"PUSHCART_RTSP_ADDRESS=127.0.0.1:0", "PUSHCART_RTSP_UDP_ADDRESS=127.0.0.1:0", "PUSHCART_SRT_ADDRESS=127.0.0.1:0",
	"PUSHCART_WHIP_UDP_ADDRESS=127.0.0.1:0", "PUSHCART_WHIP_TCP_ADDRESS=127.0.0.1:0",
}

// Serve starts the program with a configuration file, and waits until it is up.
func Serve(t testing.TB, file string) *Server {
	t.Helper()
	return serve(t, file, Doors)
}

// ServeAsWritten is Serve with the addresses that the file has.
func ServeAsWritten(t testing.TB, file string) *Server {
	t.Helper()
	return serve(t, file, nil)
}

func serve(t testing.TB, file string, env []string) *Server {
	t.Helper()
	// Data of one test are not to be found by another.
	env = append([]string{"PUSHCART_DATA_DIRECTORY=" + filepath.Join(filepath.Dir(file), "data")}, env...)
	return AwaitServer(t, Run(t, env, Build(t), "serve", "--config", file))
}

// AwaitServer waits until a program that was started is up.
func AwaitServer(t testing.TB, p *Process) *Server {
	t.Helper()
	s := &Server{Process: p}
	up := upLine.FindStringSubmatch(s.Log.Wait(t, "pushcart is up"))
	if up == nil {
		t.Fatalf("the program does not tell its addresses:\n%s", s.Log)
	}
	s.RTMP, s.HTTP, s.Admin = up[1], up[2], up[3]
	return s
}

// target is a Server as publishers of any protocol see it.
type target map[string]string

var upField = regexp.MustCompile(`([a-z-]+)=(\S+)`)

// Target is for publishers.
func (s *Server) Target(t testing.TB) Target {
	t.Helper()
	all := target{}
	for _, field := range upField.FindAllStringSubmatch(s.Log.Wait(t, "pushcart is up"), -1) {
		all[field[1]] = field[2]
	}
	return all
}

// Address implements Target.
func (a target) Address(name string) net.Addr {
	at, err := net.ResolveTCPAddr("tcp", a[name])
	if a[name] == "" || err != nil {
		return nil
	}
	return at
}

// HTTP implements Target.
func (a target) HTTP() string { return "http://" + a["http"] }
