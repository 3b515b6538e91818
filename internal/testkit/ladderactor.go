package testkit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ActAsFFmpeg plays the part of ffmpeg and does not return, where the program was started by the path of a Program. TestMain
// calls it before anything else.
func ActAsFFmpeg() {
	if filepath.Base(os.Args[0]) != "ffmpeg" {
		return
	}
	a := &actor{dir: filepath.Dir(os.Args[0]), args: os.Args[1:]}
	role, err := os.ReadFile(filepath.Join(a.dir, roleFile))
	if err == nil {
		err = a.act(Role(role))
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(1, exit.ExitCode()))
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// actor is one process that passes for ffmpeg.
type actor struct {
	dir  string
	args []string
}

func (a *actor) act(role Role) error {
	gpu := role == GPU || role == GPULost
	switch {
	case gpu && usesGPU(a.args):
		return a.onGPU()
	case gpu && !isJob(a.args):
		return a.listed()
	case !isJob(a.args) || gpu:
		return a.become(a.args)
	}
	switch role {
	case Dies:
		return errors.New(WordsOfDeath)
	case Babbles:
		return a.babble()
	case Crawls:
		return a.crawl()
	}
	return a.become(a.args)
}

// become makes the process the real program.
func (a *actor) become(args []string) error {
	return syscall.Exec(filepath.Join(a.dir, realFile), append([]string{os.Args[0]}, args...), os.Environ())
}

// outputs are the files behind standard error that the process was given: what this program opened itself is closed on exec.
func outputs() (all []*os.File) {
	for fd := uintptr(3); fd < 64; fd++ {
		flags, _, e := syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFD, 0)
		if e != 0 || flags&syscall.FD_CLOEXEC != 0 {
			break
		}
		all = append(all, os.NewFile(fd, fmt.Sprint("fd", fd)))
	}
	return all
}

// babble writes bytes without sense until nobody reads them any more.
func (a *actor) babble() error {
	noise := rand.New(rand.NewPCG(1, 2))
	junk := make([]byte, 1<<12)
	for i := range junk {
		junk[i] = byte(noise.Uint32())
	}
	go io.Copy(io.Discard, os.Stdin)
	var all sync.WaitGroup
	for _, f := range outputs() {
		all.Go(func() {
			for {
				if _, err := f.Write(junk); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.New("write to an output: broken pipe")
}

// crawl is the real program that gets its input more slowly than it comes: the first second shows how fast that is, and from
// then on a fraction of it goes through.
func (a *actor) crawl() error {
	const window, fraction = time.Second, 0.4
	return a.run(a.args, func(to io.WriteCloser) {
		defer to.Close()
		in, buffer := bufio.NewReader(os.Stdin), make([]byte, 1024)
		begin, passed := time.Now(), 0
		var rate float64 // bytes a second; 0 is not known yet
		var due time.Time
		for {
			n, err := in.Read(buffer)
			if n > 0 {
				if _, err := to.Write(buffer[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
			passed += n
			switch since := time.Since(begin); {
			case rate > 0:
				due = due.Add(time.Duration(float64(n) / rate * 1e9))
				time.Sleep(time.Until(due))
			case since >= window:
				rate, due = fraction*float64(passed)/since.Seconds(), time.Now()
			}
		}
	}, nil)
}

// run runs the real program beside this one, with its files, its standard input from feed where that is given, until it ends or
// stop is closed.
func (a *actor) run(args []string, feed func(io.WriteCloser), stop <-chan struct{}) error {
	cmd := exec.Command(filepath.Join(a.dir, realFile), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, outputs()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var to io.WriteCloser
	if feed != nil {
		cmd.Stdin = nil
		var err error
		if to, err = cmd.StdinPipe(); err != nil {
			return err
		}
	}
	runtime.LockOSThread() // the signal comes with this thread's death
	if err := cmd.Start(); err != nil {
		return err
	}
	if feed != nil {
		go feed(to)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-stop:
		cmd.Process.Kill()
		<-ended
		return errors.New("[h264_nvenc @ 0x5581f3a0] " + WordsOfTheLost)
	}
}

// listed answers what a host with NVENC answers.
func (a *actor) listed() error {
	cmd := exec.Command(filepath.Join(a.dir, realFile), a.args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	os.Stdout.Write(out)
	for what, lines := range map[string]string{
		"-encoders": " V....D h264_nvenc           NVIDIA NVENC H.264 encoder (codec h264)\n" +
			" V....D hevc_nvenc           NVIDIA NVENC hevc encoder (codec hevc)\n",
		"-hwaccels": "cuda\n",
		"-filters":  " ... scale_cuda        V->V       GPU accelerated video resizer\n",
	} {
		if strings.Contains(strings.Join(a.args, " "), what) && !strings.Contains(string(out), strings.Fields(lines)[0]) {
			os.Stdout.WriteString(lines)
		}
	}
	return err
}

// onGPU encodes with the real program's own encoders, until the driver goes.
func (a *actor) onGPU() error {
	lost := make(chan struct{})
	if a.lost() {
		close(lost)
	} else {
		go func() {
			for !a.lost() {
				time.Sleep(20 * time.Millisecond)
			}
			close(lost)
		}()
	}
	return a.run(withoutGPU(a.args), nil, lost)
}

func (a *actor) lost() bool {
	role, err := os.ReadFile(filepath.Join(a.dir, roleFile))
	return err == nil && Role(role) == GPULost
}
