// Command pushcart is a live-commerce edge node: RTMP, RTSP, WebRTC and SRT in, low-latency HLS out.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"pushcart/internal/config"
	"pushcart/internal/load"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the node until SIGINT or SIGTERM."`
	Check   checkCommand   `cmd:"" help:"Tell each mistake in a configuration file and where it is."`
	Version versionCommand `cmd:"" help:"Print the version."`
	Health  healthCommand  `cmd:"" help:"Ask the running node whether it is well; for container health checks."`
	Card    cardCommand    `cmd:"" help:"Write, show and follow a show's product cards."`
	Source  sourceCommand  `cmd:"" help:"List, add and remove the cameras and encoders that streams are fetched from."`
	Sign    signCommand    `cmd:"" help:"Make an address at which a stream can be watched, for some hours, countries or viewers."`
	Ladder  ladderCommand  `cmd:"" help:"Tell what ffmpeg makes of a stream, and with what; or print what would be run."`
	Ca      caCommand      `cmd:"" help:"Make the certificates by which a cluster's nodes know one another."`
	Doctor  doctorCommand  `cmd:"" help:"Look this host over for what keeps a node from working well, and say what to do."`
	Top     topCommand     `cmd:"" help:"Show the node and its streams in the terminal, live."`
	Bench   benchCommand   `cmd:"" help:"Put load on a low-latency HLS origin, or on a node of its own, and tell how viewers fare."`
}

// surroundings is what commands know of the world.
type surroundings struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// variable returns an environment variable; "" when it is not there.
func (s surroundings) variable(name string) string {
	value := ""
	for _, e := range s.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v // of one that is there twice, the last counts
		}
	}
	return value
}

func main() {
	os.Exit(run(os.Args[1:], surroundings{env: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}))
}

// run runs one command line and returns the exit code.
func run(args []string, s surroundings) int {
	helped := false
	parser, err := kong.New(&commands{},
		kong.Name("pushcart"),
		kong.Description("A live-commerce edge node: takes RTMP, RTSP, WebRTC and SRT in and serves low-latency HLS.\n\n"+
			"Every setting of the configuration file can be given as an environment variable too: PUSHCART_HLS_PART_DURATION=300ms."),
		kong.Writers(s.stdout, s.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.UsageOnError(),
		kong.Vars{"renditions": load.RenditionsHelp},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		return report(s, err)
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	context, err := parser.Parse(args)
	if helped {
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(s.stderr, "pushcart: %v\nSee: pushcart --help\n", err)
		return exitUsage
	}
	return report(s, context.Run(s))
}

// report prints why a command failed and returns its exit code.
func report(s surroundings, err error) int {
	if err == nil {
		return exitOK
	}
	var mistakes config.Mistakes
	if errors.As(err, &mistakes) {
		for m := range slices.Values(mistakes) {
			fmt.Fprintln(s.stderr, m)
		}
		return exitFailure
	}
	fmt.Fprintf(s.stderr, "pushcart: %v\n", err)
	return exitFailure
}
