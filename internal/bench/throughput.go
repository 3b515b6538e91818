package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pushcart/internal/load"
)

const throughputStream = "throughput"

// The two ends of a request are kept on a CPU each.
const (
	serverCPU = 0
	hammerCPU = 1
)

// throughputRow measures how many requests the node answers with a second of CPU time, on one core, against net/http that
// answers with fixed bytes.
//
// Requests are counted against the server's CPU time rather than the clock: the ratio is the same, and what else the
// machine does falls out of it.
func throughputRow(ctx context.Context, o options) ([]row, error) {
	var n *node
	err := onCPU(serverCPU, func() (err error) {
		n, err = startNode(ctx, o.binary, "GOMAXPROCS=1", "PUSHCART_PUBLISH_RECONNECT_WINDOW=1h")
		return err
	})
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	things, err := prepareThings(ctx, n)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(things)
	if err != nil {
		return nil, err
	}
	var fixed listening
	var f *load.Process
	err = onCPU(serverCPU, func() (err error) {
		f, err = self(ctx, &fixed, "fixed", string(config))
		return err
	})
	if err != nil {
		return nil, err
	}
	defer f.Stop()

	var rows []row
	for _, t := range things {
		var ratios, ours samples
		for turn := range o.turns() {
			a, err := hammer(ctx, o, n, n.HTTP, n.PID(), t)
			if err != nil {
				return nil, err
			}
			b, err := hammer(ctx, o, nil, fixed.Address, f.PID(), t)
			if err != nil {
				return nil, err
			}
			ours.add(a.perSecond())
			ratios.add(a.perSecond() / b.perSecond())
			progress("requests %d/%d: %s of %d bytes: node %.0f/s, fixed %.0f/s; by the clock %.0f and %.0f", turn+1, o.turns(),
				t.Name, t.Size, a.perSecond(), b.perSecond(), a.byClock(), b.byClock())
		}
		rows = append(rows,
			figure("Requests per core-second, against fixed bytes: "+t.Name, ratios, "", 0.8, atLeast),
			figure(fmt.Sprintf("  the node, %.1f KB each", float64(t.Size)/1000), ours, " /s", 0, shown))
	}
	return rows, nil
}

// thing is something that viewers ask for.
type thing struct {
	Name   string
	Path   string
	Zipped bool
	Header http.Header // of the node's response, but for what net/http adds itself
	Size   int
}

// prepareThings fills a window, stops the publisher and chooses what to ask for.
func prepareThings(ctx context.Context, n *node) ([]*thing, error) {
	rec, err := loadRecording(ctx)
	if err != nil {
		return nil, err
	}
	session, err := publish(ctx, n.RTMP, throughputStream)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	const filling = 60 * time.Second
	p := load.Publisher{Session: session, Reel: load.NewReel(rec), Pace: load.Pace{Begin: time.Now(), Ahead: filling, Speed: 15}}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Play(sending) }()
	err = load.Pause(ctx, filling/15+700*time.Millisecond)
	stop()
	if failed := <-ended; failed != nil || err != nil {
		return nil, fmt.Errorf("publish %s: %v %v", throughputStream, failed, err)
	}
	v, err := dialViewer(n.HTTP)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	base := "/live/" + throughputStream + "/"
	a, err := v.Get(base+"video.m3u8", false)
	if err != nil {
		return nil, err
	}
	text, err := unzipped(a)
	if err != nil {
		return nil, err
	}
	segment, part, last := lastNames(text)
	if segment == "" || part == "" {
		return nil, fmt.Errorf("the playlist names no segment or no part:\n%s", text)
	}
	things := []*thing{
		{Name: "part", Path: base + part},
		{Name: "segment", Path: base + segment},
		{Name: "playlist", Path: reload(throughputStream, last), Zipped: true},
	}
	for _, t := range things {
		if err := t.probe(n.HTTP); err != nil {
			return nil, err
		}
	}
	return things, nil
}

// lastNames finds the last whole segment's URI and the URI and position of a part within it that begins no segment.
func lastNames(playlist string) (segment, part string, at position) {
	var parts []string
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#EXT-X-PART:") {
			_, rest, _ := strings.Cut(line, "URI=\"")
			uri, _, _ := strings.Cut(rest, "\"")
			parts = append(parts, uri)
		}
		if line != "" && line[0] != '#' {
			segment = line
			if len(parts) > 2 {
				part = parts[len(parts)-2]
			}
			parts = parts[:0]
		}
	}
	if part != "" {
		// The hint's parser reads positions out of any part's name.
		_, at, _ = hint("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"" + part + "\"")
	}
	return segment, part, at
}

// probe asks the node once and notes what the answer looks like.
func (t *thing) probe(address string) error {
	r, err := http.NewRequest(http.MethodGet, "http://"+address+t.Path, nil)
	if err != nil {
		return err
	}
	if t.Zipped {
		r.Header.Set("Accept-Encoding", "gzip")
	} else {
		r.Header.Set("Accept-Encoding", "identity")
	}
	a, err := httpClient.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK || a.ContentLength <= 0 {
		return fmt.Errorf("get %s: %s, %d bytes", t.Path, a.Status, a.ContentLength)
	}
	t.Header, t.Size = a.Header.Clone(), int(a.ContentLength)
	t.Header.Del("Date")
	return nil
}

// fixedMode serves fixed bytes with net/http, with the node's server settings and under the same header fields: the least
// that a server written with it can do.
func fixedMode(ctx context.Context, args []string) error {
	var things []*thing
	if len(args) != 1 {
		return fmt.Errorf("fixed: want one argument, have %d", len(args))
	}
	if err := json.Unmarshal([]byte(args[0]), &things); err != nil {
		return err
	}
	return serveFixed(ctx, things)
}

// hammered is how a server fared.
type hammered struct {
	Requests int
	CPU      time.Duration // of the server
	Clock    time.Duration
}

func (h hammered) perSecond() float64 { return float64(h.Requests) / h.CPU.Seconds() }
func (h hammered) byClock() float64   { return float64(h.Requests) / h.Clock.Seconds() }

// hammer has a process ask a server for one thing as fast as it can. profiled is the node whose profile is wanted, if any.
func hammer(ctx context.Context, o options, profiled *node, address string, pid int, t *thing) (h hammered, err error) {
	d := o.seconds / 5
	args := []string{"-address", address, "-path", t.Path, "-pid", fmt.Sprint(pid), "-for", d.String()}
	if t.Zipped {
		args = append(args, "-gzip")
	}
	if profiled != nil && o.profiles != "" {
		defer profiled.profile(o.profiles, "requests-"+t.Name, d)()
	}
	var c *load.Process
	err = onCPU(hammerCPU, func() (err error) {
		c, err = self(ctx, nil, "hammer", args...)
		return err
	})
	if err != nil {
		return h, err
	}
	defer c.Stop()
	err = c.Read(ctx, d+load.StartTimeout, &h)
	if err == nil && (h.Requests == 0 || h.CPU <= 0) {
		err = fmt.Errorf("nothing was answered: %+v", h)
	}
	return h, err
}

// sortedKeys of a header, so that the fixed server sets its fields in a steady order.
func sortedKeys(h http.Header) []string {
	keys := make([]string, 0, len(h))
	for k := range h {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
