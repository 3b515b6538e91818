package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say what load is put on what.
type Options struct {
	// URL is a stream's multivariant or media playlist. {n} in it stands for the number of a stream, from 0 on.
	URL string
	// Streams is how many streams {n} stands for; 0 is Publishers.
	Streams int
	// Viewers of the steps, rising.
	Steps []int
	// Duration is how long each step is measured; 0 is 30 s.
	Duration time.Duration
	// Ramp is how long the viewers of a step take to arrive; 0 is 10 ms for each of them, a second at least.
	Ramp time.Duration
	// Settle is how long is waited before something is measured, after the last viewer has arrived; 0 is 2 s.
	Settle time.Duration
	// Timeout is how long a request may take, one that waits too; 0 is 10 s.
	Timeout time.Duration
	// Rendition is "highest", "lowest", "mixed", or a picture's height such as "720p"; "" is highest.
	Rendition string
	// Bitrate is the most that a variant may have, in bits a second; 0 is no limit.
	Bitrate int64
	HTTP2   bool
	// TLS is for both viewers and publishers; nil is the system's certificates.
	TLS *tls.Config
	// Agent is what viewers call themselves.
	Agent string

	// Publishers is how many streams are published to Publish, an RTMP address with {n}; 0 is none.
	Publishers int
	Publish    string
	// Clip is what they send; nil is Synthesize's default.
	Clip *Clip

	// Admin is the URL of the node's operator port, which tells its CPU time and memory; "" is that they are not known. PID is
	// its process instead, where it runs on this machine; 0 is unknown.
	Admin string
	PID   int

	// MaxStall is the share of time in stalls, and of requests that fail, beyond which a step has failed: 0.01 is 1 %.
	MaxStall float64
	// MaxLatency is the added latency's 99th percentile beyond which it has; 0 is no limit.
	MaxLatency time.Duration
	// Consent tells that whoever runs the origin agrees, where that is another machine.
	Consent bool
	// Progress is told what is going on; nil is nobody.
	Progress func(format string, args ...any)
}

// Bounds of Options.
const (
	maxViewers    = 1_000_000
	maxPublishers = 10_000
	maxDuration   = 4 * time.Hour // RTMP times have 24 bits of milliseconds here
	// politeViewers is how many viewers may watch another machine without Consent: no more than a family.
	politeViewers = 20
	number        = "{n}"
)

// RenditionsHelp says what Options.Rendition takes.
const RenditionsHelp = "highest, lowest, mixed, or a height such as 720p"

// complete checks options and fills in defaults.
func (o Options) complete() (Options, error) {
	if o.Streams == 0 {
		o.Streams = max(1, o.Publishers)
	}
	if o.Duration == 0 {
		o.Duration = 30 * time.Second
	}
	if o.Settle == 0 {
		o.Settle = 2 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Rendition == "" {
		o.Rendition = "highest"
	}
	if o.Agent == "" {
		o.Agent = "pushcart-bench"
	}
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	_, named := height(o.Rendition)
	total := 0
	for i, n := range o.Steps {
		if n < 1 || n > maxViewers || i > 0 && n <= o.Steps[i-1] {
			return o, fmt.Errorf("steps %v: numbers of viewers rise, from 1 to %d", o.Steps, maxViewers)
		}
		total = n
	}
	switch {
	case total == 0 && o.Publishers == 0:
		return o, errors.New("neither viewers nor publishers")
	case o.URL == "":
		return o, errors.New("no URL of a stream's playlist to watch")
	case o.Publishers < 0 || o.Publishers > maxPublishers || o.Streams > maxPublishers:
		return o, fmt.Errorf("%d publishers: at most %d", max(o.Publishers, o.Streams), maxPublishers)
	case o.Streams > 1 && !strings.Contains(o.URL, number):
		return o, fmt.Errorf("the URL has no %s, by which several streams are told apart: .../live/bench-%s/index.m3u8", number, number)
	case o.Publishers > 1 && !strings.Contains(o.Publish, number):
		return o, fmt.Errorf("the address to publish to has no %s, by which several streams are told apart", number)
	case o.Duration < time.Second || o.Duration > maxDuration || o.Ramp < 0 || o.Ramp > maxDuration || o.Timeout < 100*time.Millisecond:
		return o, fmt.Errorf("durations: a step is measured for 1s to %s, and requests may take 100ms and more", maxDuration)
	case o.Rendition != "highest" && o.Rendition != "lowest" && o.Rendition != "mixed" && !named:
		return o, fmt.Errorf("rendition %q: %s", o.Rendition, RenditionsHelp)
	case o.MaxStall < 0 || o.MaxStall > 1 || math.IsNaN(o.MaxStall) || o.MaxLatency < 0 || o.Bitrate < 0:
		return o, errors.New("limits are not negative, and a share is at most 100 %")
	}
	return o, nil
}

// height reads a rendition's name such as 720p.
func height(name string) (int, bool) {
	digits, ok := strings.CutSuffix(name, "p")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0
}

// chooser is how viewers choose among variants.
func (o Options) chooser() func([]choice, int) choice {
	want, named := height(o.Rendition)
	return func(all []choice, viewer int) choice {
		fit := slices.Clone(all)
		slices.SortStableFunc(fit, func(a, b choice) int { return int(min(1, max(-1, b.bandwidth-a.bandwidth))) })
		if o.Bitrate > 0 {
			kept := slices.DeleteFunc(slices.Clone(fit), func(c choice) bool { return c.bandwidth > o.Bitrate })
			if len(kept) == 0 {
				kept = fit[len(fit)-1:] // a player takes the least then
			}
			fit = kept
		}
		if named {
			if i := slices.IndexFunc(fit, func(c choice) bool { return c.height == want }); i >= 0 {
				return fit[i]
			}
		}
		switch o.Rendition {
		case "lowest":
			return fit[len(fit)-1]
		case "mixed":
			return fit[viewer%len(fit)]
		}
		return fit[0]
	}
}

// of puts a stream's number into an address.
func of(address string, stream int) string {
	return strings.ReplaceAll(address, number, strconv.Itoa(stream))
}
