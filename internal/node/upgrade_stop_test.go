package node_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/handover"
	"pushcart/internal/testkit"
)

// readyz asks a node's operator's port whether it is ready. A client that has a connection asks the process at its other end; nil asks the
// one that accepts.
func readyz(t *testing.T, client *http.Client, base string) (int, string) {
	t.Helper()
	if client == nil {
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	res, err := client.Get(base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// TestHandoverOfStopping: a node that is told to stop while its media are copied gives itself to nobody, and stops; its shows end as they
// would have.
func TestHandoverOfStopping(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	n, _ := upgradable(t, dir, func(c *config.Config) { c.Drain.Timeout = config.Duration(10 * time.Second) })
	servesOn(t, n, nil, "1.00", 0)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	f := dialTaker(t, dir)
	f.to("streams", dir)
	done := stopping(t, n)
	v.Until("video", "the end", func(p *testkit.Playlist) bool { return p.Ended })
	f.send("copied", nil)
	for {
		m, err := f.c.Receive(10 * time.Second)
		if err == nil && m.Step == "streams" {
			continue
		}
		var stopped *handover.Stopped
		if !errors.As(err, &stopped) || !strings.Contains(stopped.Reason, "stopping") {
			t.Errorf("a node that stops goes on to give itself away: %q, %v", m.Step, err)
		}
		break
	}
	f.die()
	<-done
}

// TestStopWhileSwitching: a node that is told to stop in the last steps of a handover finishes these first: no show ends because of it.
func TestStopWhileSwitching(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	n, _ := upgradable(t, dir, func(c *config.Config) { c.Drain.Timeout = config.Duration(time.Minute) })
	servesOn(t, n, nil, "1.00", 0)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	readyz(t, client, n.Admin())
	f := dialTaker(t, dir)
	f.to("final", dir)
	done := stopping(t, n)
	testkit.Eventually(t, "the node is told to stop", func() bool {
		status, text := readyz(t, client, n.Admin())
		return status == http.StatusServiceUnavailable && strings.Contains(text, "stopping")
	})
	f.send("taken", nil)
	f.await("released")
	f.send("ready", nil)
	f.await("go")
	f.send("serving", nil)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("a node whose place another process has does not stop")
	}
	if text := n.Log.String(); strings.Contains(text, "msg=stopping ") || !strings.Contains(text, "another process serves") {
		t.Error("the node drains what another process has")
	}
}

// TestHandoverOfDrained: a node that is drained stays so when a handover fails, and so does the process that takes over, unless publishers
// have to come back to it.
func TestHandoverOfDrained(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	first, set := upgradable(t, dir, func(c *config.Config) { c.Publish.ReconnectWindow = config.Duration(time.Minute) })
	if status, text := ask(t, first, http.MethodPost, "/drain"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	if ready := testkit.Scrape(t, first.Admin()).Value("pushcart_ready"); ready != 0 {
		t.Errorf("pushcart_ready is %v on a node that is drained", ready)
	}
	testkit.Eventually(t, "upgrade.socket is there", func() bool {
		_, err := os.Stat(filepath.Join(dir, "upgrade.sock"))
		return err == nil
	})
	f := dialTaker(t, dir)
	f.to("taken", dir)
	f.die()
	first.Log.Wait(t, "are served here again")
	if s := testkit.Dial(t, first.RTMP(), nil).Open("show?key=publisher-of-all"); s.Code == "NetStream.Publish.Start" {
		t.Error("a drained node lets a publisher in after a handover that failed")
	}
	log := &testkit.Log{}
	second(t, set, log)
	if status, text := readyz(t, nil, first.Admin()); status != http.StatusServiceUnavailable || !strings.Contains(text, "drained since") {
		t.Errorf("the drain is forgotten by the process that took over: %d %s", status, text)
	}
	if !strings.Contains(log.String(), "DELETE /drain") {
		t.Errorf("the log does not tell of the drain:\n%s", log)
	}
}

// TestHandoverOfDrainedWithShows: see TestHandoverOfDrained.
func TestHandoverOfDrainedWithShows(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	first, set := upgradable(t, dir, nil)
	before := servesOn(t, first, nil, "1.00", 0)
	if status, text := ask(t, first, http.MethodPost, "/drain"); status != http.StatusOK {
		t.Fatal(status, text)
	}
	log := &testkit.Log{}
	n := second(t, set, log)
	if status, text := readyz(t, nil, first.Admin()); status != http.StatusOK {
		t.Errorf("the process that took over refuses the publishers of its shows: %d %s", status, text)
	}
	if !strings.Contains(log.String(), "POST /drain again") {
		t.Errorf("the log does not tell of the drain:\n%s", log)
	}
	p := testkit.Publish(t, n.Address("rtmp").String(), "show?key=publisher-of-all")
	stop := p.Live(testkit.Script{Video: testkit.Pictures(t), Audio: testkit.Sound(t), From: 2 * time.Second, Speed: 10})
	defer p.Drop()
	defer stop()
	v := testkit.NewViewer(t, "http://"+n.Address("http").String()+"/live/show/index.m3u8")
	v.Until("video", "media behind those before", func(p *testkit.Playlist) bool { return p.Last().MSN > before.Last().MSN+1 })
}
