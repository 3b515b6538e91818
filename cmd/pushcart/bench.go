package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pushcart/internal/load"
)

// benchCommand is pushcart bench.
type benchCommand struct {
	URL       string        `name:"url" placeholder:"URL" help:"Playlist to watch, multivariant or media; {n} in it is the number of a stream."`
	Self      bool          `help:"Start a node of this program in a temporary folder, publish to it, watch it, and stop it."`
	Viewers   int           `default:"100" help:"How many watch (${default})."`
	Steps     []int         `placeholder:"N,N" help:"Rising numbers of viewers, in place of --viewers: up to the first at which a limit is passed."`
	Streams   int           `help:"How many streams {n} stands for; as many as publishers otherwise."`
	Duration  time.Duration `default:"30s" help:"How long each step is measured, after all viewers have arrived (${default})."`
	Ramp      time.Duration `help:"How long the viewers of a step take to arrive; 10ms each otherwise."`
	Timeout   time.Duration `default:"10s" help:"How long a request may take, one that waits for media too (${default})."`
	Rendition string        `default:"highest" help:"What viewers watch: ${renditions} (${default})."`
	MaxRate   string        `name:"bitrate" placeholder:"RATE" help:"The most that a variant may have, such as 2M."`
	HTTP2     bool          `name:"http2" help:"Viewers use HTTP/2, one connection each."`
	Insecure  bool          `help:"Take any certificate."`
	CA        string        `name:"ca" placeholder:"FILE" help:"Certificate of the authority to trust, in PEM."`

	Publishers int    `help:"How many publish, each a stream of its own; with --self 5 otherwise."`
	Publish    string `placeholder:"URL" help:"Where to publish: rtmp://HOST/live/bench-{n}?key=KEY. PUSHCART_BENCH_PUBLISH otherwise, which keeps the key off the command line."`
	Clip       string `placeholder:"FILE" help:"FLV file that they send, in a loop, in place of a synthetic picture."`
	Resolution string `default:"1280x720" help:"Size of the synthetic picture (${default})."`
	FPS        int    `name:"fps" default:"30" help:"Its frames a second (${default})."`
	Rate       string `name:"publish-bitrate" default:"1500k" help:"Its bit rate (${default})."`

	Admin      string        `placeholder:"URL" help:"Admin port of the node, which tells its CPU time and memory, such as http://127.0.0.1:9090."`
	MaxStall   string        `default:"1%" help:"Share of the time in stalls, and of failed requests, above which the exit code is 1 (${default})."`
	MaxLatency time.Duration `help:"Added latency of one part in a hundred above which it is 1; no limit otherwise."`
	Yes        bool          `help:"Whoever runs the machine agrees: without it, more than a few viewers watch this host alone."`
	JSON       bool          `name:"json" help:"Print the figures as JSON."`
}

// errLimits tells that a limit was passed; the table says which.
var errLimits = errors.New("a limit was passed")

// Run implements the command.
func (c *benchCommand) Run(s surroundings) error {
	// What runs here is to be disturbed by its own garbage collection as little as possible.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	// The node dies with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// From the first signal on, which has the figures so far printed, a second one has its usual effect.
	context.AfterFunc(ctx, stop)
	o, err := c.options(s)
	if err != nil {
		return err
	}
	o.Progress = func(format string, args ...any) {
		fmt.Fprintf(s.stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
	}
	if c.Self {
		node, end, err := startSelf(ctx, &o)
		if err != nil {
			return err
		}
		defer end()
		o.PID = node.PID()
	}
	report, err := load.Run(ctx, o)
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(s.stdout)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = report.Print(s.stdout)
	}
	if err == nil && !report.Passed {
		err = errLimits
	}
	return err
}

// selfPublishers is how many streams a node of one's own has unless told.
const selfPublishers = 5

// options reads the flags.
func (c *benchCommand) options(s surroundings) (o load.Options, err error) {
	v, _ := versionOf(version, commit, debug.ReadBuildInfo)
	o = load.Options{
		URL: c.URL, Streams: c.Streams, Steps: c.Steps, Duration: c.Duration, Ramp: c.Ramp, Timeout: c.Timeout,
		Rendition: c.Rendition, HTTP2: c.HTTP2, Agent: "pushcart-bench/" + strings.Fields(v + " dev")[0],
		Publishers: c.Publishers, Publish: firstOf(c.Publish, s.variable("PUSHCART_BENCH_PUBLISH")), Admin: c.Admin,
		MaxLatency: c.MaxLatency, Consent: c.Yes,
	}
	if len(o.Steps) == 0 && c.Viewers > 0 {
		o.Steps = []int{c.Viewers}
	}
	switch {
	case c.Self && (c.URL != "" || c.Publish != "" || c.Admin != ""):
		return o, errors.New("--self has an address of its own: leave out --url, --publish and --admin")
	case c.Self:
		o.Publish = ""
		if o.Publishers == 0 {
			o.Publishers = selfPublishers
		}
	case c.URL == "":
		return o, errors.New("say what to watch: --url http://HOST:8080/live/NAME/index.m3u8, or --self for a node of its own")
	case o.Publishers > 0 && o.Publish == "":
		return o, errors.New("say where to publish: --publish rtmp://HOST/live/bench-{n}?key=KEY")
	}
	if o.MaxStall, err = readShare(c.MaxStall); err != nil {
		return o, fmt.Errorf("--max-stall: %w", err)
	}
	if c.MaxRate != "" {
		if o.Bitrate, err = readRate(c.MaxRate); err != nil {
			return o, fmt.Errorf("--bitrate: %w", err)
		}
	}
	if o.TLS, err = c.trust(); err != nil {
		return o, err
	}
	if o.Publishers > 0 {
		o.Clip, err = c.clip()
	}
	return o, err
}

// trust is which certificates are taken; nil is what the system takes.
func (c *benchCommand) trust() (*tls.Config, error) {
	if c.CA == "" && !c.Insecure {
		return nil, nil
	}
	t := &tls.Config{InsecureSkipVerify: c.Insecure}
	if c.CA != "" {
		b, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("--ca: %s has no certificate in PEM", c.CA)
		}
	}
	return t, nil
}

// maxClip is the largest file that is sent, in bytes: it is kept in memory.
const maxClip = 512 << 20

// clip is what publishers send.
func (c *benchCommand) clip() (*load.Clip, error) {
	if c.Clip == "" {
		rate, err := readRate(c.Rate)
		if err != nil {
			return nil, fmt.Errorf("--publish-bitrate: %w", err)
		}
		spec := load.Spec{FPS: c.FPS, Bitrate: rate}
		w, h, _ := strings.Cut(c.Resolution, "x")
		var err1, err2 error
		spec.Width, err1 = strconv.Atoi(w)
		spec.Height, err2 = strconv.Atoi(h)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("--resolution: %q is not a size such as 1280x720", c.Resolution)
		}
		return load.Synthesize(spec)
	}
	info, err := os.Stat(c.Clip)
	if err != nil {
		return nil, fmt.Errorf("--clip: %w", err)
	}
	if info.Size() > maxClip {
		return nil, fmt.Errorf("--clip: %s has %d bytes, at most %d are sent", c.Clip, info.Size(), maxClip)
	}
	b, err := os.ReadFile(c.Clip)
	if err != nil {
		return nil, fmt.Errorf("--clip: %w", err)
	}
	tags, err := load.ParseFLV(b)
	if err != nil {
		return nil, fmt.Errorf("--clip: %s: %w (ffmpeg -i FILE -c:v libx264 -bf 0 -g 60 -c:a aac clip.flv makes one)", c.Clip, err)
	}
	clip, err := load.LoopOf(tags, 0)
	if err != nil {
		return nil, fmt.Errorf("--clip: %s: %w", c.Clip, err)
	}
	return clip, nil
}

// Settings of a node that is measured by itself: what protects it from one address would be measured otherwise.
var selfSettings = []string{
	"PUSHCART_RTMP_MAX_CONNECTIONS=100000", "PUSHCART_RTMP_MAX_CONNECTIONS_PER_ADDRESS=100000", "PUSHCART_PUBLISH_MAX_STREAMS=100000",
	"PUSHCART_HTTP_MAX_CONNECTIONS=10000000", "PUSHCART_HTTP_MAX_CONNECTIONS_PER_ADDRESS=10000000",
	"PUSHCART_HTTP_MAX_WAITING_PER_ADDRESS=10000000",
}

// startSelf starts a node and points the options at it.
func startSelf(ctx context.Context, o *load.Options) (*load.Node, func(), error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	folder, err := os.MkdirTemp("", "pushcart-bench-")
	if err != nil {
		return nil, nil, err
	}
	// The node has to outlast the first signal, until its figures have been taken.
	n, err := load.StartNode(context.WithoutCancel(ctx), program, folder, selfSettings...)
	if err != nil {
		os.RemoveAll(folder)
		return nil, nil, fmt.Errorf("a node for --self: %w", err)
	}
	o.URL = "http://" + n.HTTP + "/live/bench-{n}/index.m3u8"
	o.Publish = "rtmp://" + n.RTMP + "/live/bench-{n}"
	return n, func() { n.Stop(); os.RemoveAll(folder) }, nil
}

// readRate reads a bit rate: 1500k, 2M, or a number of bits a second.
func readRate(s string) (int64, error) {
	digits, unit := s, 1.0
	for _, u := range []struct {
		suffix string
		factor float64
	}{{"kbps", 1e3}, {"Mbps", 1e6}, {"k", 1e3}, {"M", 1e6}} {
		if d, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, unit = d, u.factor
			break
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(v > 0 && v*unit < 1e12) {
		return 0, fmt.Errorf("%q is not a bit rate such as 1500k or 2M", s)
	}
	return int64(v * unit), nil
}

// readShare reads a share of the whole: 1% or 0.01.
func readShare(s string) (float64, error) {
	digits, isPercent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if isPercent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("%q is not a share such as 1%%", s)
	}
	return v, nil
}
