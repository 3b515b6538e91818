// Command bench prints the table of the node's end-to-end figures: what a stream costs, how soon a part reaches those who
// wait for it, by which protocol it comes, how many requests a core answers, what media and viewers take in memory, how far the
// picture on the screen is behind the one in front of the camera, what a ladder costs the node besides ffmpeg, and what a hop
// from node to node does.
//
// Each figure is the median of several runs, and where it is a ratio, both sides are measured in turns within one run.
// The node is the real binary in a process of its own; so is whatever must not be counted with it. The exit status tells
// whether everything could be measured, not whether the targets were met.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	binary   string
	rows     string
	runs     int
	seconds  time.Duration // of one measurement
	quick    bool
	profiles string // folder for CPU profiles of the node; "" is none
}

// turns is how often figures are measured that what else the machine does can spoil: ratios, which have the noise of two,
// and latencies.
func (o options) turns() int {
	if o.quick {
		return o.runs
	}
	return o.runs + 2
}

// limit is how long a whole run may take.
const limit = 15 * time.Minute

// modes are what this program does in child processes of its own.
var modes = map[string]func(context.Context, []string) error{
	"load":      loadMode,
	"discard":   discardMode,
	"fixed":     fixedMode,
	"hammer":    hammerMode,
	"plaincopy": plaincopyMode,
}

// benchmarks by the letter that selects them.
var benchmarks = []struct {
	letter, name string
	run          func(context.Context, options) ([]row, error)
}{
	{"a", "CPU per stream", cpuRow},
	{"b", "added latency", latencyRow},
	{"c", "requests per second", throughputRow},
	{"d", "memory", memoryRow},
	{"e", "glass to glass", glassRow},
	{"f", "cards", cardsRow},
	{"g", "protocols", protocolsRow},
	{"h", "ladder", ladderRow},
	{"i", "relay", relayRow},
}

func main() {
	// Children end with the thread that started them: this one, which lasts as long as the process.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && modes[os.Args[1]] != nil {
		ctx, cancel := context.WithCancel(ctx)
		go endWithInput(cancel)
		if err := modes[os.Args[1]](ctx, os.Args[2:]); err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	err := run(ctx, os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.binary, "node", "bin/pushcart", "the node's program")
	f.StringVar(&o.rows, "rows", "a,b,c,d,e,f,g,h,i", "which benchmarks to run")
	f.IntVar(&o.runs, "runs", 3, "how many runs to take the median of")
	f.DurationVar(&o.seconds, "seconds", 8*time.Second, "how long one measurement takes, such as 8s")
	f.BoolVar(&o.quick, "quick", false, "shorter and less exact")
	f.StringVar(&o.profiles, "profiles", "", "folder to save CPU profiles of the node in")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.quick {
		o.runs, o.seconds = 1, min(o.seconds, 4*time.Second)
	}
	if o.runs < 1 || o.seconds < time.Second || f.NArg() > 0 {
		return errors.New("-runs must be at least 1, -seconds at least 1s, and there are no other arguments")
	}
	// What runs in this process is to be disturbed by its own garbage collection as little as possible.
	debug.SetGCPercent(400)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if _, err := loadRecording(ctx); err != nil {
		return err
	}
	var err error
	if scratch, err = os.MkdirTemp("", "pushcart-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	var rows []row
	var failed []string
	for _, b := range benchmarks {
		if !strings.Contains(o.rows, b.letter) {
			continue
		}
		progress("(%s) %s", b.letter, b.name)
		more, err := b.run(ctx, o)
		if err != nil {
			progress("%s: %v", b.name, err)
			more = append(more, failure(b.name, err))
			failed = append(failed, b.name)
		}
		rows = append(rows, more...)
		if ctx.Err() != nil {
			break
		}
	}
	printTable(os.Stdout, rows)
	if len(failed) > 0 {
		return fmt.Errorf("could not be measured: %s", strings.Join(failed, ", "))
	}
	return nil
}

// progress tells on standard error what is going on.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}
