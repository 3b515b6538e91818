package testkit

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/node"
)

// Node is a node within the test's process.
type Node struct {
	*node.Node
	Log *Log

	t      testing.TB
	id     string
	cancel context.CancelFunc
	done   chan error
	over   bool
}

var nodes atomic.Int64

// Config is the built-in configuration on free loopback ports and without ffmpeg, after change.
func Config(change func(*config.Config)) *config.Config {
	c := config.Default()
	c.RTMP.Address, c.HTTP.Address, c.Admin.Address = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.RTSP.Address, c.RTSP.UDPAddress, c.SRT.Address = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.WHIP.UDPAddress, c.WHIP.TCPAddress = "127.0.0.1:0", "127.0.0.1:0"
	c.RTMP.MaxConnectionsPerAddress, c.RTSP.MaxConnectionsPerAddress = 1000, 1000
	c.SRT.MaxConnectionsPerAddress, c.WHIP.MaxSessionsPerAddress = 1000, 1000
	c.Ladder.FFmpeg = ""
	c.Drain.Timeout = 0 // tests end when they have seen enough
	if change != nil {
		change(c)
	}
	return c
}

// Start runs a node until the test ends. change, if not nil, adapts its configuration.
func Start(t testing.TB, change func(*config.Config)) *Node {
	t.Helper()
	n := &Node{Log: &Log{}, t: t, id: fmt.Sprint("node-", nodes.Add(1)), done: make(chan error, 1)}
	level := new(slog.LevelVar)
	level.Set(slog.LevelDebug)
	c := Config(change)
	if c.Data.Directory == config.Default().Data.Directory {
		c.Data.Directory = t.TempDir() // data of one test are not to be found by another
	}
	inner, err := node.New(c, node.Options{Log: n.Log.logger(level), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	n.Node = inner
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	// All goroutines of the node inherit the label, by which those that stay behind are found.
	go pprof.Do(ctx, pprof.Labels(leakLabel, n.id), func(ctx context.Context) { n.done <- inner.Run(ctx) })
	t.Cleanup(func() {
		n.Stop()
		if t.Failed() {
			t.Logf("log of the node:\n%s", tail(n.Log.String(), 60))
		}
	})
	return n
}

// tail is the last lines of a text.
func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "")
}

// Stop ends the node, waits for it, and reports an error, or goroutines that it left behind.
func (n *Node) Stop() {
	n.t.Helper()
	if n.over {
		return
	}
	n.over = true
	n.cancel()
	select {
	case err := <-n.done:
		if err != nil {
			n.t.Errorf("node: %v", err)
		}
	case <-time.After(patience):
		n.t.Errorf("the node did not stop; its goroutines:\n%s", goroutines(n.id))
		return
	}
	n.leaks()
}

const leakLabel = "testkit-node"

// leaks reports goroutines of the node that are still there, after those that were about to end had their time.
func (n *Node) leaks() {
	n.t.Helper()
	deadline := time.Now().Add(3 * time.Second)
	left := goroutines(n.id)
	for ; left != "" && time.Now().Before(deadline); left = goroutines(n.id) {
		pause(context.Background(), time.Now().Add(20*time.Millisecond))
	}
	if left != "" {
		n.t.Errorf("goroutines that the node left behind:\n%s", left)
	}
}

// goroutines lists the stacks of those with a label's value.
func goroutines(id string) string {
	var all bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&all, 1); err != nil {
		return err.Error()
	}
	var out []string
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		// The thread that starts children stays for as long as the program, whoever was the first to need it.
		if strings.Contains(stack, fmt.Sprintf("%q:%q", leakLabel, id)) && !strings.Contains(stack, "pushcart/packager/ladder/child.init") {
			out = append(out, stack)
		}
	}
	return strings.Join(out, "\n\n")
}

// WithTLS has a configuration offer RTSPS too, with a certificate of the test's own.
func WithTLS(t testing.TB, c *config.Config) {
	t.Helper()
	cert := NewCertificate(t, "testkit")
	c.TLS.Certificate, c.TLS.Key = cert.CertFile, cert.KeyFile
	c.RTSP.TLSAddress = "127.0.0.1:0"
}

// RTMP is the address for Go publishers.
func (n *Node) RTMP() string { return n.Address("rtmp").String() }

// PublishURL is the address for ffmpeg.
func (n *Node) PublishURL(key string) string { return "rtmp://" + n.RTMP() + "/live/" + key }

// HTTP is the viewers' base URL.
func (n *Node) HTTP() string { return "http://" + n.Address("http").String() }

// Admin is the operator's base URL.
func (n *Node) Admin() string { return "http://" + n.Address("admin").String() }

// Master is a stream's multivariant playlist.
func (n *Node) Master(stream string) string { return n.HTTP() + "/live/" + stream + "/index.m3u8" }

// WriteFile writes a file into the test's temporary folder and returns its name.
func WriteFile(t testing.TB, name, text string) string {
	t.Helper()
	file := t.TempDir() + "/" + name
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Overwrite replaces a file's content.
func Overwrite(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// WaitConnections waits until as many connections of viewers are open.
func (n *Node) WaitConnections(t testing.TB, want float64, within time.Duration) {
	t.Helper()
	EventuallyWithin(t, within, fmt.Sprint(want, " connections of viewers"), func() bool {
		return Scrape(t, n.Admin()).Value("pushcart_http_connections") == want
	})
}
