package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestThrough: what goes in comes out, and the end of the input is the child's end.
func TestThrough(t *testing.T) {
	t.Parallel()
	c := start(t, "cat")
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // more than both pipes hold
	go func() {
		c.Write(sent)
		c.CloseStdin()
	}()
	got, err := io.ReadAll(c.Outputs()[0])
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came, %v", len(got), len(sent), err)
	}
	if n, err := c.Outputs()[0].Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if fd := c.pipes.outputs[0].(*output).Fd(); fd != ^uintptr(0) {
		t.Errorf("at its end the output still has descriptor %d", fd)
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Stop(time.Hour); err != nil {
		t.Errorf("stopped after its end: %v", err)
	}
}

// TestLook: the child gets the descriptors that it is to have, in blocking mode as programs expect, no others, a group of its
// own, the niceness on top of ours, and nothing of the node's secrets.
func TestLook(t *testing.T) {
	t.Setenv("PUSHCART_AUTH_SECRET", "hush")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hush")
	t.Setenv("CUDA_CACHE_PATH", "/tmp/cuda")
	other := start(t, "deaf")
	up(t, other)
	c := startSpec(t, Spec{Args: []string{"fake", "look"}, Outputs: 2, Nice: 3})
	c.CloseStdin()
	seen, err := io.ReadAll(c.Outputs()[0])
	if err != nil {
		t.Fatal(err)
	}
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprint("nice ", min(20-raw+3, 19)), "leader true", "oom 500", "env CUDA_CACHE_PATH=/tmp/cuda"}
	for fd := range 6 {
		want = append(want, fmt.Sprintf("fd %d blocking true", fd))
	}
	var got []string
	for line := range strings.Lines(string(seen)) {
		switch line = strings.TrimSpace(line); {
		case strings.Contains(line, "hush"):
			t.Errorf("the child knows %s", line)
		case !strings.HasPrefix(line, "env ") || strings.HasPrefix(line, "env CUDA"):
			got = append(got, line)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the child sees\n%q, want\n%q", got, want)
	}
}

// TestInherited: what the node was started with by a careless supervisor stays with it.
func TestInherited(t *testing.T) {
	t.Parallel()
	heir := exec.Command(os.Args[0], "fake", "heir")
	for range 6 {
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		heir.ExtraFiles = append(heir.ExtraFiles, null)
	}
	seen, err := heir.Output()
	if err != nil || !strings.Contains(string(seen), "fd 4 ") {
		t.Fatalf("%s, %v", seen, err)
	}
	for fd := 5; fd < 9; fd++ {
		if strings.Contains(string(seen), fmt.Sprintf("fd %d ", fd)) {
			t.Errorf("the child has descriptor %d", fd)
		}
	}
}

// TestOthersOutputs: a child's output is at its end when that child dies, though others that were started before and after it
// live.
func TestOthersOutputs(t *testing.T) {
	t.Parallel()
	for _, end := range []func(c *Child){func(c *Child) { c.CloseStdin() }, (*Child).Kill} {
		before, c, after := start(t, "cat"), start(t, "cat"), start(t, "cat")
		end(c)
		if rest, err := io.ReadAll(c.Outputs()[0]); len(rest) > 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		for _, other := range []*Child{before, after} {
			if got, err := io.ReadAll(echo(t, other, "still there")); string(got) != "still there" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		}
	}
}

// echo writes to a child that is a cat, ends its input and returns its output.
func echo(t *testing.T, c *Child, text string) io.Reader {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Error(err)
	}
	if err := c.CloseStdin(); err != nil {
		t.Error(err)
	}
	return c.Outputs()[0]
}

// TestBlockedWrite: a write to a child that does not read ends with its deadline, with the end of the input, and with the
// child, whichever way it goes.
func TestBlockedWrite(t *testing.T) {
	t.Parallel()
	for _, end := range []struct {
		name string
		do   func(c *Child)
		want error
	}{
		{"deadline", func(c *Child) { c.SetWriteDeadline(time.Now()) }, os.ErrDeadlineExceeded},
		{"end of the input", func(c *Child) { c.CloseStdin() }, os.ErrClosed},
		{"stop", func(c *Child) { c.Stop(0) }, os.ErrClosed},
		{"kill", (*Child).Kill, syscall.EPIPE},
		{"close", func(c *Child) { c.Close() }, os.ErrClosed},
		{"killed from outside", func(c *Child) { syscall.Kill(c.Pid(), syscall.SIGKILL) }, syscall.EPIPE},
	} {
		t.Run(end.name, func(t *testing.T) {
			t.Parallel()
			c := start(t, "deaf")
			up(t, c)
			wrote := make(chan error)
			go func() {
				_, err := c.Write(tooMuch)
				wrote <- err
			}()
			end.do(c)
			// Who is woken by the child's end may see the pipe without a reader, or our own end closed.
			if err := <-wrote; !errors.Is(err, end.want) && !(end.want == syscall.EPIPE && errors.Is(err, os.ErrClosed)) {
				t.Errorf("the write ended with %v, want %v", err, end.want)
			}
		})
	}
}

// tooMuch is more than fits into a pipe.
var tooMuch = make([]byte, 8<<20)

// TestStop: what ends with its input ends well; what does not is killed, also if the kernel has stopped it, if it ignores
// signals, and if nobody reads what it writes.
func TestStop(t *testing.T) {
	t.Parallel()
	if err := start(t, "cat").Stop(time.Hour); err != nil {
		t.Errorf("cat: %v", err)
	}
	for _, name := range []string{"deaf", "talker", "shouter", "wrapper"} {
		if f := failure(t, start(t, name).Stop(time.Millisecond)); !f.Killed || f.Signal != syscall.SIGKILL || f.Code != -1 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	stopped := start(t, "cat")
	if err := syscall.Kill(stopped.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if f := failure(t, stopped.Stop(time.Millisecond)); !f.Killed {
		t.Errorf("a stopped one: %+v", f)
	}
}

// TestFailures: how a child ended is told.
func TestFailures(t *testing.T) {
	t.Parallel()
	noisy := start(t, "noisy")
	if f := failure(t, noisy.Wait()); f.Code != 3 || f.Signal != 0 || f.Last != "the end of it" {
		t.Errorf("exit code 3: %+v", f)
	} else if want := os.Args[0] + " ended with exit code 3: the end of it"; f.Error() != want {
		t.Errorf("%q, want %q", f, want)
	}
	if n := len(noisy.Stderr()); n != mostLines {
		t.Errorf("%d lines of the noise are kept", n)
	}
	f := failure(t, start(t, "crash").Wait())
	if want := os.Args[0] + " was ended by signal 9 (killed): [h264_nvenc] the driver is gone"; f.Error() != want || f.Killed {
		t.Errorf("%q, want %q", f, want)
	}
	deaf := start(t, "deaf")
	up(t, deaf)
	deaf.Kill()
	deaf.Kill()
	if f, want := failure(t, deaf.Wait()), os.Args[0]+" was killed"; f.Error() != want {
		t.Errorf("%q, want %q", f, want)
	}
}

// TestWrapper: with the child goes what it started, when it is killed and when it ends by itself, and its outputs end.
func TestWrapper(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"wrapper", "forsaker", "escaper"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, name)
			up(t, c)
			if name == "wrapper" {
				c.Kill()
			}
			c.CloseStdin()
			c.Wait()
			var pid int
			if _, err := fmt.Sscanf(strings.Join(c.Stderr(), ""), "pid %d", &pid); err != nil {
				t.Fatalf("%q: %v", c.Stderr(), err)
			}
			if name == "escaper" {
				// It left the group and holds the pipes. Nobody waits for it; it is the test's to end.
				if dead(pid) {
					t.Error("the one in a session of its own is dead: this shows nothing")
				}
				syscall.Kill(pid, syscall.SIGKILL)
			}
			if _, err := io.ReadAll(c.Outputs()[0]); err != nil {
				t.Error(err)
			}
			if !within(func() bool { return dead(pid) }) {
				t.Error("what the child started is still there")
			}
		})
	}
}

// TestContext: the end of the context is the child's, and that of those who read and write.
func TestContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Start(ctx, Spec{Program: os.Args[0], Args: []string{"fake", "deaf"}, Outputs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	up(t, c)
	ended := make(chan error)
	go func() {
		_, err := c.Write(tooMuch)
		ended <- err
	}()
	go func() {
		_, err := c.Outputs()[0].Read(make([]byte, 1))
		ended <- err
	}()
	cancel()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("it went on")
		}
	}
	if f := failure(t, c.Wait()); !f.Killed {
		t.Errorf("%+v", f)
	}
	if _, err := Start(ctx, Spec{Program: os.Args[0], Args: []string{"fake", "cat"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("started though the context is over: %v", err)
	}
}

// TestCannotStart: what cannot be run is told with what to do, and leaves nothing behind (TestNothingStays).
func TestCannotStart(t *testing.T) {
	t.Parallel()
	for _, c := range cannotStart(t) {
		_, err := Start(t.Context(), c.spec)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.says)
		}
	}
}

// impossible is a Spec that cannot be started, and what the error says.
type impossible struct {
	name, says string
	spec       Spec
}

func cannotStart(t *testing.T) []impossible {
	t.Helper()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	script := filepath.Join(dir, "script")
	for file, text := range map[string]string{plain: "no program", script: "#!/no/such/shell\n"} {
		mode := os.FileMode(0o644)
		if file == script {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return []impossible{
		{"no name", "no program is given", Spec{}},
		{"not in PATH", "install ffmpeg", Spec{Program: "ffmpeg-that-is-not-there", Outputs: 3}},
		{"no such file", "ladder.ffmpeg", Spec{Program: filepath.Join(dir, "nothing"), Outputs: 3}},
		{"not executable", "this user may run", Spec{Program: plain, Outputs: 3}},
		{"a folder", "this user may run", Spec{Program: dir, Outputs: 3}},
		{"no interpreter", "no such file", Spec{Program: script, Outputs: 3}},
		{"a zero byte in an argument", "invalid argument", Spec{Program: os.Args[0], Args: []string{"a\x00b"}}},
		{"too many outputs", "there can be 0 to 64", Spec{Program: os.Args[0], Outputs: MostOutputs + 1}},
		{"fewer than no outputs", "there can be 0 to 64", Spec{Program: os.Args[0], Outputs: -1}},
	}
}

// TestReports: the last whole report counts.
func TestReports(t *testing.T) {
	t.Parallel()
	c := start(t, "reports")
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	want := Progress{Reports: 2, Frames: 25, FPS: 24.5, Speed: 0.98, Dropped: 2, Duplicated: 3, OutTime: time.Second, Ended: true}
	if got := c.Progress(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestCPU: time that was used grows, and stays after the end.
func TestCPU(t *testing.T) {
	t.Parallel()
	c := start(t, "shouter")
	up(t, c)
	before := c.CPU()
	if before <= 0 || !within(func() bool { return c.CPU() > before }) {
		t.Errorf("it used %v, and no more", before)
	}
	before = c.CPU()
	c.Close()
	if after := c.CPU(); after < before {
		t.Errorf("it had used %v, and %v at its end", before, after)
	}
}

// TestImmortal: a process that does not die of SIGKILL, as one that hangs in a driver, holds nobody up.
func TestImmortal(t *testing.T) {
	t.Parallel()
	c := startSpec(t, Spec{
		Args: []string{"fake", "deaf"}, Outputs: 1, patience: time.Millisecond,
		kill: func(*os.Process) error { return nil },
	})
	up(t, c)
	if err := c.Close(); err != ErrImmortal {
		t.Errorf("closed with %v", err)
	}
	if dead(c.Pid()) {
		t.Error("it is dead: this shows nothing")
	}
	c.Kill()
	syscall.Kill(c.Pid(), syscall.SIGKILL)
	if !within(func() bool { return errors.Is(syscall.Kill(c.Pid(), 0), syscall.ESRCH) }) {
		t.Error("it died and was not waited for")
	}
}
