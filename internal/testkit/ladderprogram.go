package testkit

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Role is how a Program behaves when it is started to encode; whatever else it is asked, such as what it can do, the real
// ffmpeg answers.
type Role string

// The roles. A GPU is a host with NVENC as far as anyone can tell; GPULost is the same host after its driver has gone, for
// those that run already too.
const (
	Honest  Role = "honest"
	Dies    Role = "dies"    // ends at once, with a word on standard error
	Babbles Role = "babbles" // gives bytes without sense on all outputs
	Crawls  Role = "crawls"  // takes its input at a fraction of the pace
	GPU     Role = "gpu"
	GPULost Role = "gpu-lost"
)

// Words are what a Program with a failing role says on standard error before it ends.
const (
	WordsOfDeath   = "Error while opening encoder: this program was told to die"
	WordsOfTheLost = "OpenEncodeSessionEx failed: no encode device (1): (no details)"
)

const (
	roleFile = "role"
	realFile = "ffmpeg.real" // a link to the real program
)

// Program stands in for ffmpeg under a path of its own, by which its processes are known from those of others.
type Program struct {
	// Path is for the setting ladder.ffmpeg.
	Path string

	t    testing.TB
	dir  string
	self string
}

// NewProgram makes one that is the real ffmpeg until it is told to Become something else. That works in test binaries whose
// TestMain begins with ActAsFFmpeg.
func NewProgram(t testing.TB) *Program {
	t.Helper()
	// Not a folder of the test's: what runs in it may outlive the test by a moment.
	dir, err := os.MkdirTemp("", "pushcart-ffmpeg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &Program{Path: filepath.Join(dir, "ffmpeg"), t: t, dir: dir}
	real, err := exec.LookPath("ffmpeg")
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err == nil {
		p.self, err = os.Executable()
	}
	if err == nil {
		err = os.Symlink(real, filepath.Join(dir, realFile))
	}
	if err == nil {
		err = os.Symlink(real, p.Path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Become gives the program a role, for what is started from now on. What runs already goes on as it is.
func (p *Program) Become(role Role) {
	p.t.Helper()
	fresh := filepath.Join(p.dir, "fresh")
	err := os.WriteFile(fresh, []byte(role), 0o600)
	if err == nil {
		err = os.Rename(fresh, filepath.Join(p.dir, roleFile))
	}
	if err == nil {
		err = os.Symlink(p.self, fresh)
	}
	if err == nil {
		err = os.Rename(fresh, p.Path)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// Job is a process of a Program that encodes, or is told to.
type Job struct {
	PID  int
	Args []string
}

// Picture tells that it encodes pictures.
func (j Job) Picture() bool {
	return slices.ContainsFunc(j.Args, func(a string) bool { return strings.HasPrefix(a, "-force_key_frames") })
}

// Jobs are the processes that run now: those of pictures, or those of sound.
func (p *Program) Jobs(pictures bool) (all []Job) {
	for _, j := range p.Processes() {
		if isJob(j.Args) && j.Picture() == pictures {
			all = append(all, j)
		}
	}
	return all
}

// Processes are all that run under the program's path now, whatever they do.
func (p *Program) Processes() (all []Job) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// One that has ended and was not waited for has an empty command line.
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		args := strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")
		if strings.HasPrefix(args[0], p.dir+"/") {
			all = append(all, Job{PID: pid, Args: args[1:]})
		}
	}
	return all
}

// Picture waits for the one process that encodes pictures.
func (p *Program) Picture() Job {
	p.t.Helper()
	var jobs []Job
	Eventually(p.t, "one ffmpeg encodes pictures", func() bool { jobs = p.Jobs(true); return len(jobs) == 1 })
	return jobs[0]
}

// Other waits for a process that encodes pictures and is not the one given.
func (p *Program) Other(than Job) Job {
	p.t.Helper()
	var jobs []Job
	Eventually(p.t, "another ffmpeg encodes pictures", func() bool {
		jobs = slices.DeleteFunc(p.Jobs(true), func(j Job) bool { return j.PID == than.PID })
		return len(jobs) > 0
	})
	return jobs[0]
}

// Signal sends a signal to a process; one that has ended gets none.
func (p *Program) Signal(j Job, s syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(j.PID, s); err != nil && err != syscall.ESRCH {
		p.t.Errorf("signal %v to %d: %v", s, j.PID, err)
	}
}

// None waits until no process is left.
func (p *Program) None() {
	p.t.Helper()
	Eventually(p.t, "no ffmpeg is left", func() bool { return len(p.Processes()) == 0 })
}

// isJob tells an encoding of the ladder's from a question or a trial.
func isJob(args []string) bool { return slices.Contains(args, "-progress") }

// LimitFiles has a process, and those that it starts from now on, fail at every write to a file, as on a disk that is full;
// pipes and sockets it may write to.
func LimitFiles(t testing.TB, pid int) {
	t.Helper()
	if err := limitFileSize(pid, 0); err != nil {
		t.Fatal(fmt.Errorf("prlimit: %w", err))
	}
}
