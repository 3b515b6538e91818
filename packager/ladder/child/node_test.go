package child

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// TestDiesWithNode: when the program that started ffmpeg is killed, ffmpeg dies, also if it would never see the end of its
// input: the deaf one does not read, and a stopped one does nothing at all.
func TestDiesWithNode(t *testing.T) {
	t.Parallel()
	programs := map[string][]string{
		"ffmpeg": append([]string{"ffmpeg"}, x264("4")...),
		"deaf":   {os.Args[0], "fake", "deaf"},
	}
	for name, program := range programs {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stopped %v", name, stopped), func(t *testing.T) {
				t.Parallel()
				node := exec.Command(os.Args[0], append([]string{"fake", "node"}, program...)...)
				// An end of the input that the child could see is not what is shown here: whoever holds the writing end of
				// its pipe is the node alone, so it goes with it.
				out, err := node.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				node.Stderr = os.Stderr
				if err := node.Start(); err != nil {
					t.Fatal(err)
				}
				defer node.Wait()
				defer node.Process.Kill()
				var pid int
				if _, err := fmt.Fscan(bufio.NewReader(out), &pid); err != nil {
					t.Fatal(err)
				}
				if stopped {
					syscall.Kill(pid, syscall.SIGSTOP)
				}
				if dead(pid) {
					t.Fatal("the child is dead already")
				}
				node.Process.Kill()
				if !within(func() bool { return dead(pid) }) {
					syscall.Kill(pid, syscall.SIGKILL)
					t.Error("the child outlived its node")
				}
			})
		}
	}
}

// TestThreadEnds: a child does not die with a thread of this program, neither that of the goroutine that started it nor any
// other that Go may end.
func TestThreadEnds(t *testing.T) {
	t.Parallel()
	c := startFromThread(t)
	defer c.Close()
	// As many goroutines at once, each with a thread for itself, take all threads that are idle; the threads end with them.
	const many = 64
	threads := make(chan int, many)
	var all, ended sync.WaitGroup
	all.Add(many)
	for range many {
		ended.Go(func() {
			runtime.LockOSThread()
			threads <- syscall.Gettid()
			all.Done()
			all.Wait()
		})
	}
	ended.Wait()
	for range many {
		awaitThread(t, <-threads)
	}
	if got, err := io.ReadAll(echo(t, c, "here")); string(got) != "here" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// startFromThread starts a cat from a thread that has ended since.
func startFromThread(t *testing.T) *Child {
	t.Helper()
	var c *Child
	var err error
	thread := make(chan int)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		c, err = Start(t.Context(), Spec{Program: os.Args[0], Args: []string{"fake", "cat"}, Outputs: 1})
		thread <- syscall.Gettid()
	}()
	tid := <-thread
	if err != nil {
		t.Fatal(err)
	}
	awaitThread(t, tid)
	return c
}

// awaitThread waits until a thread of this program has ended; the first one never does.
func awaitThread(t *testing.T, tid int) {
	t.Helper()
	gone := func() bool {
		_, err := os.Stat(fmt.Sprint("/proc/self/task/", tid))
		return err != nil
	}
	if tid != os.Getpid() && !within(gone) {
		t.Fatalf("thread %d does not end", tid)
	}
}
