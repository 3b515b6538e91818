package child

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"time"
)

// DefaultPipe is how many bytes an output's pipe holds where the Spec does not say: a key frame of some Mbit/s at once, so that
// ffmpeg does not wait for one output's reader while the others get nothing. The sixteen outputs of a ladder are well within
// what a user without privileges may have (pipe(7), pipe-user-pages-soft). The input's pipe stays as small as the system has
// it: what is in it can no longer be left out.
const DefaultPipe = 256 << 10

// MostOutputs is how many outputs a child may have.
const MostOutputs = 64

// Spec is what to run.
type Spec struct {
	// Program is a file, or a name to be looked for in PATH. There is no default.
	Program string
	// Args is everything behind the program's name.
	Args []string
	// Outputs is how many pipes the program writes media to, from descriptor 4 on; 0 is none.
	Outputs int
	// Pipe is the size in bytes of the outputs' pipes, where the system permits it; 0 is DefaultPipe.
	Pipe int
	// Nice is added to this program's own niceness; 0 leaves it.
	Nice int
	// Env is the whole environment; nil is Environment of this program's.
	Env []string
	// Log gets what is wrong and does not matter enough to give up; nil is nobody.
	Log *slog.Logger

	stdout   bool                    // the first output is standard output instead, descriptor 1
	kill     func(*os.Process) error // nil is killGroup
	patience time.Duration           // 0 is the constant
}

// Start runs a program. The caller calls Close when it is done with the child, whatever happened to it; the end of ctx does
// the same, without waiting. Start returns when the program runs; its errors say that it cannot, and leave nothing behind.
func Start(ctx context.Context, spec Spec) (*Child, error) {
	switch {
	case spec.Program == "":
		return nil, errors.New("start a child: no program is given")
	case spec.Outputs < 0 || spec.Outputs > MostOutputs:
		return nil, fmt.Errorf("start %s: %d outputs; there can be 0 to %d", spec.Program, spec.Outputs, MostOutputs)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("start %s: %w", spec.Program, context.Cause(ctx))
	}
	spec.Pipe = cmp.Or(spec.Pipe, DefaultPipe)
	spec.patience = cmp.Or(spec.patience, patience)
	if spec.kill == nil {
		spec.kill = killGroup
	}
	p, err := makePipes(spec.Outputs, spec.Pipe)
	if err != nil {
		return nil, err
	}
	cmd := spec.command(p)
	onForker(func() { err = cmd.Start() })
	if err != nil {
		p.closeAll()
		return nil, fmt.Errorf("start %s: %w%s", spec.Program, err, startHint(err))
	}
	p.closeTheirs()
	offerToOOM(cmd.Process)
	if spec.Nice > 0 {
		// The threads that it has by now are changed with it, those that it makes are born so.
		if err := lowerPriority(cmd.Process, spec.Nice); err != nil && spec.Log != nil {
			spec.Log.Warn("a child runs at the priority of the node", "error", err)
		}
	}
	return supervise(ctx, &spec, cmd.Process, p), nil
}

// command makes the command, which takes the child's ends of the pipes.
func (s *Spec) command(p *pipes) *exec.Cmd {
	cmd := exec.Command(s.Program, s.Args...)
	cmd.Env = s.Env
	if cmd.Env == nil { // which os/exec would take for all of ours
		cmd.Env = Environment(os.Environ())
	}
	cmd.Stdin, cmd.Stderr, cmd.ExtraFiles = p.theirs.stdin, p.theirs.stderr, p.theirs.extra
	if s.stdout {
		cmd.Stdout, cmd.ExtraFiles = cmd.ExtraFiles[1], slices.Delete(slices.Clone(cmd.ExtraFiles), 1, 2)
	}
	cmd.SysProcAttr = attributes()
	return cmd
}

// startHint says what to do about an error of Start.
func startHint(err error) string {
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, os.ErrNotExist):
		return "; install ffmpeg, or say where it is in ladder.ffmpeg"
	case errors.Is(err, os.ErrPermission):
		return "; it must be a program that this user may run"
	}
	return ""
}
