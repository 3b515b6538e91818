package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/handover"
	"pushcart/internal/node"
	"pushcart/internal/sockets"
	"pushcart/internal/testkit"
)

const upgradeToken = "operator-of-upgrades"

// upgradable starts a node whose data are in a folder.
func upgradable(t *testing.T, dir string, change func(*config.Config)) (*testkit.Node, func(*config.Config)) {
	t.Helper()
	set := func(c *config.Config) {
		c.Data.Directory = dir
		c.HLS.SegmentDuration, c.HLS.MaxSegmentDuration = config.Duration(time.Second), config.Duration(2*time.Second)
		c.Publish.Keys = []config.Key{{Stream: "*", Key: "publisher-of-all"}}
		c.Studio.Tokens = []config.Token{{Stream: "*", Token: upgradeToken, Role: "admin"}}
		if change != nil {
			change(c)
		}
	}
	return testkit.Start(t, set), set
}

// shortDir is a folder whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "up-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// priced changes the stream's card and wants that to succeed.
func priced(t *testing.T, base, price string) {
	t.Helper()
	text := fmt.Sprintf(`[{"id":"c0","name":"Product","offers":[{"price":"%s","priceCurrency":"EUR"}]}]`, price)
	r, err := http.NewRequest(http.MethodPut, base+"/api/v1/streams/show/cards", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+upgradeToken)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode/100 != 2 {
		t.Fatalf("a command is answered with %d: %s", res.StatusCode, body)
	}
}

// breaks is how many discontinuities a show has had.
func breaks(p *testkit.Playlist) int64 { return p.Discontinuity + int64(p.Discontinuities()) }

// fakeTaker takes the steps of a takeover, and nothing else.
type fakeTaker struct {
	t *testing.T
	c *handover.Conn
	// sent and awaited so far
	sockets []sockets.Inherited
}

func dialTaker(t *testing.T, dir string) *fakeTaker {
	t.Helper()
	u, err := handover.Dial(t.Context(), filepath.Join(dir, "upgrade.sock"), handover.Takeover)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeTaker{t: t, c: handover.NewConn(u)}
	t.Cleanup(f.die)
	return f
}

// die ends as a process does that is killed.
func (f *fakeTaker) die() {
	f.c.Unix.Close()
	for _, in := range f.sockets {
		in.File.Close()
	}
	f.sockets = nil
}

// over waits until the other process is done with it.
func (f *fakeTaker) over() {
	f.t.Helper()
	for {
		if _, err := f.c.Receive(10 * time.Second); errors.Is(err, handover.ErrGone) {
			return
		} else if errors.Is(err, handover.ErrTime) {
			f.t.Fatal(err)
		}
	}
}

func (f *fakeTaker) send(step string, body any) {
	f.t.Helper()
	if err := f.c.Send(step, body); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeTaker) await(step string) handover.Message {
	f.t.Helper()
	for {
		m, err := f.c.Receive(10 * time.Second)
		if err != nil {
			f.t.Fatalf("waiting for %s: %v", step, err)
		}
		if m.Step == step {
			return m
		}
	}
}

// to goes on until a step has been taken, and tells what is sent and what is waited for next.
func (f *fakeTaker) to(last string, dir string) {
	f.t.Helper()
	for _, step := range []string{"hello", "welcome", "copy", "streams", "copied", "final", "taken", "released", "ready", "go"} {
		switch step {
		case "hello":
			f.send(step, map[string]any{"version": "fake", "pid": os.Getpid(), "data": map[string]any{"path": dir}})
		case "welcome":
			var w struct{ Sockets []sockets.Socket }
			if err := f.await(step).Read(&w); err != nil {
				f.t.Fatal(err)
			}
			var err error
			if f.sockets, err = sockets.Receive(f.c.Unix, w.Sockets); err != nil {
				f.t.Fatal(err)
			}
		case "copy", "copied", "taken", "ready":
			f.send(step, nil)
		default:
			f.await(step)
		}
		if step == last {
			return
		}
	}
}

// servesOn wants a node to serve as if nothing had happened: its publisher comes back into the same show, viewers go on, cards are changed.
func servesOn(t *testing.T, n *testkit.Node, before *testkit.Playlist, price string, from time.Duration) *testkit.Playlist {
	t.Helper()
	p := testkit.Publish(t, n.RTMP(), "show?key=publisher-of-all")
	stop := p.Live(testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), From: from, Speed: 10})
	defer p.Drop()
	defer stop()
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	var last int64 = -1
	if before != nil {
		last = before.Last().MSN
	}
	after := v.Until("video", "media behind those before", func(p *testkit.Playlist) bool {
		return p.Last().MSN > last+1 && (before == nil || breaks(p) > breaks(before))
	})
	if before != nil && after.Sequence < before.Sequence {
		t.Errorf("numbers go back from %d to %d", before.Sequence, after.Sequence)
	}
	if before != nil && len(before.Segments) > 1 {
		v.Fetch(before.Segments[0].URI, http.StatusOK)
	}
	priced(t, n.HTTP(), price)
	return after
}

// TestTakerDies: a process that takes over may die at every step. The one that serves goes on with the same show, and another one can
// take over afterwards.
func TestTakerDies(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"welcome", "streams", "final", "taken", "released", "ready", "go"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			n, _ := upgradable(t, dir, nil)
			before := servesOn(t, n, nil, "1.00", 0)
			f := dialTaker(t, dir)
			f.to(step, dir)
			f.die()
			n.Log.Wait(t, "this one goes on")
			after := servesOn(t, n, before, "2.00", 2*time.Second)
			if after.Ended {
				t.Error("the show has ended")
			}
			dialTaker(t, dir).to("copy", dir) // another one may come
		})
	}
}

// TestTakerLies: what a process says that is no takeover is refused in words, and changes nothing.
func TestTakerLies(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	n, _ := upgradable(t, dir, nil)
	before := servesOn(t, n, nil, "1.00", 0)
	for _, c := range []struct {
		name, step string
		body       any
		want       string
	}{
		{"another data folder", "hello", map[string]any{"pid": 1, "data": map[string]any{"path": "/elsewhere"}}, "data.directory"},
		{"another step", "ready", nil, "hello"},
		{"no body", "hello", nil, "hello"},
		{"another body", "hello", "text", "hello"},
	} {
		f := dialTaker(t, dir)
		f.send(c.step, c.body)
		if _, err := f.c.Receive(10 * time.Second); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s is answered with %v, want %q", c.name, err, c.want)
		}
		f.over()
		f.die()
	}
	// One at a time.
	f := dialTaker(t, dir)
	f.to("welcome", dir)
	if _, err := dialTaker(t, dir).c.Receive(10 * time.Second); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second process that takes over is answered with %v", err)
	}
	f.c.Stop("its node cannot be made")
	f.over()
	f.die()
	// What is no message at all.
	for _, junk := range [][]byte{{0xff, 0xff, 0xff, 0xff}, {0, 0, 0, 2, 'x', 'y'}, bytes.Repeat([]byte{0}, 100)} {
		f := dialTaker(t, dir)
		f.c.Unix.Write(junk)
		if _, err := f.c.Receive(10 * time.Second); err == nil {
			t.Errorf("%v is answered with a message", junk)
		}
		f.over()
		f.die()
	}
	servesOn(t, n, before, "2.00", 2*time.Second)
}

// second makes a node in this process that takes over.
func second(t *testing.T, set func(*config.Config), log *testkit.Log) *node.Node {
	t.Helper()
	cfg := testkit.Config(set)
	logger := slog.New(slog.NewTextHandler(log, nil))
	take, err := node.OpenTakeover(t.Context(), cfg, "second", logger)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.New(cfg, node.Options{Log: logger, Version: "second", Takeover: take})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.TakeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the second node: %v", err)
		}
		if t.Failed() {
			t.Logf("the second node's log:\n%s", log)
		}
	})
	return n
}

// TestTakenOverShowsEnd: a show that had ended before is there to its end after a takeover; one whose publisher does not return ends when
// it would have, and a show that begins then has higher numbers.
func TestTakenOverShowsEnd(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	first, set := upgradable(t, dir, func(c *config.Config) { c.Publish.ReconnectWindow = config.Duration(1500 * time.Millisecond) })
	video, audio := testkit.Pictures(t), testkit.Sound(t)
	live := func(address, name string, from time.Duration) *testkit.Publisher {
		p := testkit.Publish(t, address, name+"?key=publisher-of-all")
		stop := p.Live(testkit.Script{Video: video, Audio: audio, From: from, To: from + 3*time.Second, Speed: 8})
		v := testkit.NewViewer(t, first.HTTP()+"/live/"+name+"/index.m3u8")
		v.Join()
		v.Until("video", "two segments", func(p *testkit.Playlist) bool { return p.Complete() >= 2 })
		stop()
		return p
	}
	live(first.RTMP(), "over", 0).Leave()
	over := testkit.NewViewer(t, first.HTTP()+"/live/over/index.m3u8").Ended("video")
	gone := live(first.RTMP(), "gone", 0)
	log := &testkit.Log{}
	n := second(t, set, log)
	gone.Drop()

	base := "http://" + n.Address("http").String()
	if base != first.HTTP() {
		t.Fatalf("the second node listens on %s, the first on %s", base, first.HTTP())
	}
	v := testkit.NewViewer(t, base+"/live/over/index.m3u8")
	if again := v.Playlist("video"); again.Text != over.Text {
		t.Errorf("the playlist of a show that is over was\n%s\nand is\n%s", over.Text, again.Text)
	}
	for _, g := range over.Segments {
		v.Fetch(g.URI, http.StatusOK)
	}
	v = testkit.NewViewer(t, base+"/live/gone/index.m3u8")
	end := v.Ended("video")
	v.Fetch(end.Last().URI, http.StatusOK)
	p := testkit.Publish(t, n.Address("rtmp").String(), "gone?key=publisher-of-all")
	stop := p.Live(testkit.Script{Video: video, Audio: audio, To: 3 * time.Second, Speed: 8})
	next := v.Until("video", "another show", func(p *testkit.Playlist) bool { return !p.Ended && p.Complete() >= 1 })
	if next.Sequence <= end.Last().MSN {
		t.Errorf("the show that follows begins with %d, behind %d", next.Sequence, end.Last().MSN)
	}
	stop()
	p.Drop()
}

// TestNobodyToTakeOverFrom: without a process that runs, and with what is left of one that died, a node begins by itself.
func TestNobodyToTakeOverFrom(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	cfg := testkit.Config(func(c *config.Config) { c.Data.Directory = dir })
	log := &testkit.Log{}
	try := func() {
		t.Helper()
		if take, err := node.OpenTakeover(t.Context(), cfg, "test", slog.New(slog.NewTextHandler(log, nil))); take != nil || err != nil {
			t.Errorf("a takeover from nobody: %v, %v", take, err)
		}
	}
	try()
	clustered := testkit.Config(func(c *config.Config) { c.Data.Directory, c.Cluster.Address = dir, "127.0.0.1:0" })
	if _, err := node.OpenTakeover(t.Context(), clustered, "test", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "SIGTERM") {
		t.Errorf("a node of a cluster takes over: %v", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "upgrade.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	try()
	if !strings.Contains(log.String(), "starting by itself") {
		t.Errorf("the log does not say so:\n%s", log)
	}
}

// TestUpgradeCannotBeMade: a node that cannot be made leaves the one that serves alone.
func TestUpgradeCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	n, set := upgradable(t, dir, nil)
	before := servesOn(t, n, nil, "1.00", 0)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := testkit.Config(func(c *config.Config) {
		set(c)
		c.HTTP.Address = config.Address(taken.Addr().String()) // it is changed, and another program has it
	})
	logger := slog.New(slog.DiscardHandler)
	take, err := node.OpenTakeover(t.Context(), cfg, "test", logger)
	if err != nil {
		t.Fatal(err)
	}
	_, err = node.New(cfg, node.Options{Log: logger, Version: "test", Takeover: take})
	if err == nil || !strings.Contains(err.Error(), "http.address") {
		t.Fatalf("the node is made with a port that is taken: %v", err)
	}
	take.Close(err)
	n.Log.Wait(t, "http.address")
	servesOn(t, n, before, "2.00", 2*time.Second)
}

// TestGiverDies: the process that serves may die at every step. The one that takes over goes on with what it has of its shows.
func TestGiverDies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		step string
		has  bool // the show
	}{{"welcome", false}, {"copied", true}, {"final", true}, {"released", true}, {"go", true}} {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			first, set := upgradable(t, filepath.Join(dir, "one"), nil)
			before := servesOn(t, first, nil, "1.00", 0)
			path := filepath.Join(dir, "s")
			died, err := first.GiveUntil(t.Context(), path, c.step)
			if err != nil {
				t.Fatal(err)
			}
			log := &testkit.Log{}
			n := second(t, func(cfg *config.Config) {
				set(cfg)
				cfg.Data.Directory, cfg.Upgrade.Socket = filepath.Join(dir, "two"), path
			}, log)
			<-died
			base := "http://" + n.Address("http").String()
			if !c.has {
				if status, _, _, err := testkit.Get(t.Context(), http.DefaultClient, base+"/live/show/index.m3u8"); err != nil || status != http.StatusNotFound {
					t.Errorf("a show of which nothing was copied is answered with %d, %v", status, err)
				}
				return
			}
			v := testkit.NewViewer(t, base+"/live/show/index.m3u8")
			for _, g := range before.Segments {
				if g.Complete {
					v.Fetch(g.URI, http.StatusOK)
				}
			}
			p := testkit.Publish(t, n.Address("rtmp").String(), "show?key=publisher-of-all")
			stop := p.Live(testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), Speed: 10})
			after := v.Until("video", "media behind those before", func(p *testkit.Playlist) bool {
				return p.Last().MSN > before.Last().MSN+1 && breaks(p) > breaks(before)
			})
			if after.Sequence < before.Sequence {
				t.Errorf("the show was\n%s\nand goes on as\n%s", before.Text, after.Text)
			}
			stop()
			p.Drop()
		})
	}
}
