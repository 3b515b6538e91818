package child

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// This test binary, run again, is all the programs that no ffmpeg would be: TestMain finds which one by the arguments
// ("fake", name, ...), or by the variable LIBVA_FAKE where the arguments are another's.

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv("LIBVA_FAKE"); ok {
		fakeTool(name, os.Args[1:])
	}
	if len(os.Args) > 2 && os.Args[1] == "fake" {
		if f, ok := fakes[os.Args[2]]; ok {
			f(os.Args[3:])
			os.Exit(0)
		}
		panic("no fake " + os.Args[2])
	}
	before := surroundingsNow()
	code := m.Run()
	if err := before.settle(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "after all tests:", err)
		code = 1
	}
	os.Exit(code)
}

// clip is half a second of H.264, 640x360 at 25 pictures a second, in NUT.
//
//go:embed testdata/clip.nut
var clip []byte

// descriptor is one that a fake was given.
func descriptor(n int) *os.File { return os.NewFile(uintptr(n), fmt.Sprint("descriptor ", n)) }

// hang waits for ever, and takes no hint.
func hang() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	for {
		time.Sleep(time.Hour)
	}
}

// again is this program as another fake, with all of our descriptors up to 4.
func again(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], append([]string{"fake"}, args...)...)
	c.Stdin, c.Stderr, c.ExtraFiles = os.Stdin, os.Stderr, []*os.File{descriptor(3), descriptor(4)}
	return c
}

var fakes = map[string]func(args []string){
	// cat copies its input to its first output.
	"cat": func([]string) { io.Copy(descriptor(4), os.Stdin) },

	// deaf says that it is there, and neither reads nor ends.
	"deaf": func([]string) {
		descriptor(4).WriteString("up")
		hang()
	},

	// talker writes to its output without end and does not read.
	"talker": func([]string) {
		signal.Ignore(syscall.SIGTERM)
		for out := descriptor(4); ; {
			out.WriteString(strings.Repeat("blah", 1000))
		}
	},

	// noisy writes more garbage on standard error than any pipe holds, in lines and without, then ends badly.
	"noisy": func([]string) {
		garbage := make([]byte, 1<<20)
		random := rand.NewChaCha8([32]byte{})
		for range 8 {
			random.Read(garbage)
			os.Stderr.Write(garbage)
		}
		os.Stderr.WriteString("\nthe end of it\nConversion failed!\n")
		os.Exit(3)
	},

	// shouter writes on standard error and on its progress without end.
	"shouter": func([]string) {
		descriptor(4).WriteString("up")
		go func() {
			for progress := descriptor(3); ; {
				progress.WriteString(strings.Repeat("frame=1\nprogress=continue\n", 300))
			}
		}()
		for {
			os.Stderr.WriteString(strings.Repeat("\x00\xff no line at all", 500))
		}
	},

	// reports tells two reports of progress and half of a third.
	"reports": func([]string) {
		descriptor(3).WriteString("frame=12\nspeed=1.5x\nprogress=continue\n" +
			"frame=25\nfps=24.5\nout_time_us=1000000\ndrop_frames=2\ndup_frames=3\nspeed=0.98x\nprogress=end\nframe=99\n")
	},

	// crash ends by a signal.
	"crash": func([]string) {
		os.Stderr.WriteString("[h264_nvenc @ 0x55d0c0ffee] the driver is gone\n")
		signal.Reset()
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		hang()
	},

	// wrapper starts another and waits for it, as a script around ffmpeg does.
	"wrapper": func([]string) {
		c := again("deaf")
		if err := c.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stderr, "pid %d\n", c.Process.Pid)
		c.Wait()
	},

	// forsaker starts another that holds all its pipes, and ends with its input.
	"forsaker": func([]string) {
		c := again("deaf")
		if err := c.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stderr, "pid %d\n", c.Process.Pid)
		io.Copy(io.Discard, os.Stdin)
	},

	// escaper starts another that holds all its pipes, in a session of its own, and ends.
	"escaper": func([]string) {
		c := again("deaf")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintf(os.Stderr, "pid %d\n", c.Process.Pid)
	},

	// look tells what it was given, when its input ends.
	"look": func([]string) {
		io.Copy(io.Discard, os.Stdin)
		out := descriptor(4)
		nice, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
		group, _ := syscall.Getpgid(0)
		fmt.Fprintf(out, "nice %d\nleader %v\n", 20-nice, group == os.Getpid())
		oom, _ := os.ReadFile("/proc/self/oom_score_adj")
		fmt.Fprintf(out, "oom %s", oom)
		for _, e := range os.Environ() {
			fmt.Fprintf(out, "env %s\n", e)
		}
		for _, fd := range descriptors() {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			if link, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", fd)); err == nil && isGiven(link) {
				fmt.Fprintf(out, "fd %d blocking %v\n", fd, flags&unix.O_NONBLOCK == 0)
			}
		}
	},

	// node starts a program, tells its number and is killed some day.
	"node": func(args []string) {
		c, err := Start(context.Background(), Spec{Program: args[0], Args: args[1:], Outputs: 1})
		if err != nil {
			panic(err)
		}
		if _, err := c.Write(clip); err != nil {
			panic(err)
		}
		io.ReadFull(c.Outputs()[0], make([]byte, 1))
		fmt.Println(c.Pid())
		hang()
	},

	// heir was started with descriptors of others, and starts one that looks.
	"heir": func([]string) {
		c, err := Start(context.Background(), Spec{Program: os.Args[0], Args: []string{"fake", "look"}, Outputs: 1})
		if err != nil {
			panic(err)
		}
		c.CloseStdin()
		io.Copy(os.Stdout, c.Outputs()[0])
	},

	// starved runs out of descriptors.
	"starved": func([]string) {
		onForker(func() {})
		descriptors() // what the runtime opens for itself is open
		before := len(descriptors())
		limit := unix.Rlimit{Cur: uint64(before + 9), Max: uint64(before + 9)}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			panic(err)
		}
		_, err := Start(context.Background(), Spec{Program: os.Args[0], Args: []string{"fake", "cat"}, Outputs: 20})
		fmt.Println(errors.Is(err, syscall.EMFILE), len(descriptors())-before, err)
	},
}

// isGiven tells whether an open descriptor can only come from the parent: the runtime has others of its own.
func isGiven(link string) bool { return strings.HasPrefix(link, "pipe:") || link == "/dev/null" }

// descriptors are those that are open, but for the one that looks.
func descriptors() []int {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var all []int
	for _, name := range names {
		var n int
		if fmt.Sscan(name, &n); n != int(d.Fd()) {
			all = append(all, n)
		}
	}
	return all
}

// surroundings are what a child must not change for good.
type surroundings struct{ goroutines, descriptors int }

func surroundingsNow() surroundings {
	onForker(func() {}) // which stays
	return surroundings{runtime.NumGoroutine(), len(descriptors())}
}

// settle waits until nothing more is there than was; its error says what stayed.
func (s surroundings) settle() error {
	var now surroundings
	var children error
	ok := within(func() bool {
		now = surroundingsNow()
		// No child at all, not even one that has ended and was not waited for: waitid(2).
		children = unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		return now.goroutines <= s.goroutines && now.descriptors <= s.descriptors && errors.Is(children, unix.ECHILD)
	})
	if ok {
		return nil
	}
	stacks := make([]byte, 1<<20)
	return fmt.Errorf("there were %+v, there are %+v; children: %v\n%s", s, now, children, stacks[:runtime.Stack(stacks, true)])
}

// waitFor is how long something may take to come to be.
const waitFor = time.Minute

// within tells whether something comes to be within a minute.
func within(is func() bool) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(waitFor); time.Now().Before(end); <-tick.C {
		if is() {
			return true
		}
	}
	return false
}

// dead tells whether a process has ended; one that nobody has waited for yet is dead too.
func dead(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may have anything in it: proc_pid_stat(5)
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// start starts a fake with one output. It is closed at the end of the test.
func start(t testing.TB, name string) *Child {
	t.Helper()
	return startSpec(t, Spec{Args: []string{"fake", name}, Outputs: 1})
}

// startSpec starts this binary, or another program. It is closed at the end of the test.
func startSpec(t testing.TB, spec Spec) *Child {
	t.Helper()
	if spec.Program == "" {
		spec.Program = os.Args[0]
	}
	c, err := Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// up waits until a fake has said that it is there.
func up(t testing.TB, c *Child) {
	t.Helper()
	word := make([]byte, 2)
	if _, err := io.ReadFull(c.Outputs()[0], word); err != nil || string(word) != "up" {
		t.Fatalf("%q, %v", word, err)
	}
}

// failure is an error as a Failure.
func failure(t testing.TB, err error) *Failure {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("the error is %T: %v", err, err)
	}
	return f
}
