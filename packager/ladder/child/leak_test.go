package child

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNothingStays goes through lives of children in which something goes wrong, and looks after each what is still there.
// Other tests would be in its way: it is not parallel.
func TestNothingStays(t *testing.T) {
	lives := map[string]func(c *Child){
		"close at once":         func(c *Child) {},
		"close twice":           func(c *Child) { c.Close() },
		"killed, nobody reads":  func(c *Child) { c.Kill() },
		"killed from outside":   func(c *Child) { syscall.Kill(c.Pid(), syscall.SIGKILL); c.Wait() },
		"stopped":               func(c *Child) { syscall.Kill(c.Pid(), syscall.SIGSTOP) },
		"output closed":         func(c *Child) { c.Outputs()[0].Close() },
		"output read to end":    func(c *Child) { c.CloseStdin(); c.Kill(); io.Copy(io.Discard, c.Outputs()[0]) },
		"input closed":          func(c *Child) { c.CloseStdin() },
		"stop after a kill":     func(c *Child) { c.Kill(); c.Stop(0) },
		"stop, and stop again":  func(c *Child) { go c.Stop(time.Hour); c.Stop(0) },
		"write after the close": func(c *Child) { c.Close(); c.Write([]byte("late")) },
	}
	for name, live := range lives {
		for _, fake := range []string{"cat", "deaf", "talker", "noisy", "wrapper", "forsaker"} {
			before := surroundingsNow()
			c, err := Start(t.Context(), Spec{Program: os.Args[0], Args: []string{"fake", fake}, Outputs: 2})
			if err != nil {
				t.Fatal(err)
			}
			live(c)
			c.Close()
			if err := before.settle(); err != nil {
				t.Fatalf("%s, %s: %v", fake, name, err)
			}
		}
	}
	for _, i := range cannotStart(t) {
		before := surroundingsNow()
		Start(t.Context(), i.spec)
		if err := before.settle(); err != nil {
			t.Fatalf("%s: %v", i.name, err)
		}
	}
}

// TestContextAlone: the end of the context closes all, though nobody calls Close.
func TestContextAlone(t *testing.T) {
	before := surroundingsNow()
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		if _, err := Start(ctx, Spec{Program: os.Args[0], Args: []string{"fake", "talker"}, Outputs: 3}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := before.settle(); err != nil {
		t.Error(err)
	}
}

// TestAnyOrder lets several goroutines do to a child whatever there is to do, in random order.
func TestAnyOrder(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	names := []string{"cat", "deaf", "talker", "noisy", "shouter", "crash", "wrapper", "forsaker"}
	for range 30 {
		before := surroundingsNow()
		ctx, cancel := context.WithCancel(t.Context())
		c, err := Start(ctx, Spec{Program: os.Args[0], Args: []string{"fake", names[r.IntN(len(names))]}, Outputs: 1, Nice: r.IntN(2)})
		if err != nil {
			t.Fatal(err)
		}
		deeds := []func(){
			func() { c.Write(make([]byte, 1<<20)) },
			func() { c.SetWriteDeadline(time.Now()) },
			func() { c.CloseStdin() },
			func() { io.Copy(io.Discard, c.Outputs()[0]) },
			func() { c.Outputs()[0].Close() },
			c.Kill, cancel,
			func() { c.Stop(time.Duration(1)) },
			func() { c.Close() },
			func() { c.CPU(); c.Progress(); c.Stderr(); c.CPU() },
			func() { syscall.Kill(-c.Pid(), syscall.SIGSTOP) },
			func() { syscall.Kill(-c.Pid(), syscall.SIGCONT) },
		}
		for _, i := range r.Perm(len(deeds)) {
			go deeds[i]()
		}
		<-c.Done()
		c.Close()
		cancel()
		if err := before.settle(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestStarved: when descriptors run out in the middle, those that were there already are closed.
func TestStarved(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(os.Args[0], "fake", "starved").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "true 0 make a pipe for the child") {
		t.Errorf("%s, %v", out, err)
	}
}
