package child

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
)

// DefaultLimit is how long the trial of an encoder may take where TrialOptions does not say.
const DefaultLimit = 10 * time.Second

// TrialOptions says how to try what ffmpeg can do.
type TrialOptions struct {
	// Program, Nice, Env and Log are those of Spec.
	Program string
	Nice    int
	Env     []string
	Log     *slog.Logger
	// Limit is the time for one encoder; 0 is DefaultLimit.
	Limit time.Duration
}

// Tools are what a program that was asked has. Ask makes them. Its methods may be called from any goroutine.
type Tools struct {
	opt     TrialOptions
	version string
	listed  map[string]bool // encoders, by ffmpeg's names

	mu   sync.Mutex
	hung map[command.Backend]stream.Codec // guarded by mu: with what a back-end did not end
}

// Ask asks the program for its version and its encoders, in one short run. The error says that it cannot be run, or is not
// ffmpeg.
func Ask(ctx context.Context, opt TrialOptions) (*Tools, error) {
	opt.Limit = cmp.Or(opt.Limit, DefaultLimit)
	limited, cancel := context.WithTimeout(ctx, opt.Limit)
	defer cancel()
	c, list, err := opt.run(limited, []string{"-encoders"})
	if limited.Err() != nil {
		err = context.Cause(limited)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for its encoders: %w", opt.Program, err)
	}
	t := &Tools{opt: opt, listed: parseEncoders(list), hung: map[command.Backend]stream.Codec{}}
	for _, line := range c.Stderr() {
		if strings.HasPrefix(line, "ffmpeg version ") {
			t.version = line
		}
	}
	if len(t.listed) == 0 {
		return nil, fmt.Errorf("ask %s for its encoders: it lists none, so it is not ffmpeg", opt.Program)
	}
	return t, nil
}

// Version is what the program says of itself, such as "ffmpeg version 7.1 Copyright (c) 2000-2024 the FFmpeg developers"; ""
// if it says nothing, as a wrapper may have it with -hide_banner.
func (t *Tools) Version() string { return t.version }

// Try lets an engine encode some pictures with a codec, as a rung would be, and returns why that did not work, in a line for
// the operator; "" if it did. An encoder that the program does not have is not tried, nor is a back-end that once did not end:
// each trial of that would cost its whole time, while streams wait.
func (t *Tools) Try(ctx context.Context, e command.Engine, codec stream.Codec) (reason string) {
	args, check := command.TrialArgs(e, codec)
	if name := encoderIn(args); !t.listed[name] {
		return "this ffmpeg is built without " + name
	}
	if with, hung := t.hungWith(e.Backend); hung {
		return fmt.Sprintf("not tried, since %s does not end with %s", e.Backend, with)
	}
	limited, cancel := context.WithTimeout(ctx, t.opt.Limit)
	defer cancel()
	_, output, err := t.opt.run(limited, args)
	if err == nil {
		err = check(output)
	}
	var failure *Failure
	switch {
	case err == nil:
		return ""
	case ctx.Err() != nil:
		return "the trial was ended"
	case limited.Err() != nil:
		t.setHung(e.Backend, codec)
		reason = fmt.Sprintf("it does not end within %v", t.opt.Limit)
		if errors.As(err, &failure) && failure.Last != "" {
			reason += ": " + failure.Last
		}
		return reason
	case errors.As(err, &failure) && failure.Last != "" && failure.Signal == 0:
		return failure.Last
	}
	return err.Error()
}

func (t *Tools) hungWith(b command.Backend) (stream.Codec, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.hung[b]
	return c, ok
}

func (t *Tools) setHung(b command.Backend, c stream.Codec) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hung[b] = c
}

// encoderIn finds the encoder in arguments; before the input, the same option would name a decoder.
func encoderIn(args []string) string {
	for i, a := range slices.Backward(args) {
		if a == "-c:v" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// mostAnswer is how much of an answer is taken, in bytes. A full ffmpeg's list of encoders has 20 KB.
const mostAnswer = 1 << 20

// run runs the program to its end and returns what it writes on standard output. The child is nil if it cannot be started.
func (opt *TrialOptions) run(ctx context.Context, args []string) (*Child, []byte, error) {
	c, err := Start(ctx, Spec{Program: opt.Program, Args: args, Outputs: 1, Nice: opt.Nice, Env: opt.Env, Log: opt.Log, stdout: true})
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	c.CloseStdin()
	out := c.Outputs()[0]
	answer, _ := io.ReadAll(io.LimitReader(out, mostAnswer)) // it fails where the child is ended, which Wait tells
	out.Close()                                              // should there be more
	return c, answer, c.Wait()
}

// parseEncoders reads the names of encoders of video from the list that ffmpeg prints (fftools/opt_common.c,
// print_codecs): behind a line of dashes, in each line flags that begin with V, and the name.
func parseEncoders(list []byte) map[string]bool {
	names := map[string]bool{}
	_, table, _ := strings.Cut(string(list), "------")
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) >= 2 && strings.HasPrefix(f[0], "V") {
			names[f[1]] = true
		}
	}
	return names
}
