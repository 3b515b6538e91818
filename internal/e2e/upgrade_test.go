package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

const upgradeSettings = `
log: {level: info}
rtmp: {address: "127.0.0.1:0"}
http: {address: "127.0.0.1:0", tls_address: "127.0.0.1:0", max_waiting_per_address: 2000}
admin: {address: "127.0.0.1:0"}
publish:
  reconnect_window: 20s
  keys: [{stream: "*", key: "` + publishKey + `"}]
studio: {tokens: [{stream: show, token: "` + operatorToken + `"}]}
hls: {segment_duration: 1s, max_segment_duration: 2s, part_duration: 500ms, dvr: 30s}
ladder: {ffmpeg: ""}
drain: {timeout: 10s}
tls: {certificate: %q, key: %q}
`

// upgraded is a node as its users see it: whichever process it is.
type upgraded struct {
	t    *testing.T
	file string
	now  *testkit.Server
	stop context.CancelFunc
	all  sync.WaitGroup
	ctx  context.Context
}

func newUpgraded(t *testing.T, settings string) *upgraded {
	t.Helper()
	u := &upgraded{t: t, file: testkit.WriteFile(t, "pushcart.yaml", settings)}
	u.now = testkit.Serve(t, u.file)
	u.ctx, u.stop = context.WithCancel(context.Background())
	t.Cleanup(func() { u.stop(); u.all.Wait() })
	return u
}

// takeOver starts another process, which takes over, and waits until the one before has ended.
func (u *upgraded) takeOver() time.Duration {
	u.t.Helper()
	begun := time.Now()
	env := append([]string{"PUSHCART_DATA_DIRECTORY=" + filepath.Join(filepath.Dir(u.file), "data")}, testkit.Doors...)
	next := testkit.AwaitServer(u.t, testkit.Run(u.t, env, testkit.Build(u.t), "serve", "--config", u.file, "--takeover"))
	if next.HTTP != u.now.HTTP || next.RTMP != u.now.RTMP {
		u.t.Errorf("the process that took over listens on %s and %s, the one before on %s and %s", next.HTTP, next.RTMP, u.now.HTTP, u.now.RTMP)
	}
	if code := u.now.Wait(u.t); code != 0 {
		u.t.Errorf("the process before ended with %d:\n%s", code, u.now.Log)
	}
	u.now = next
	return time.Since(begun)
}

// publish has ffmpeg publish a clip, again and again, as hosts' encoders do.
func (u *upgraded) publish(clip string, output ...string) {
	u.all.Go(func() {
		for u.ctx.Err() == nil {
			args := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy"}, output...)
			cmd := exec.CommandContext(u.ctx, "ffmpeg", args...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			_ = cmd.Run() // it ends when it is sent away
			select {
			case <-time.After(100 * time.Millisecond): // as an encoder that tries again
			case <-u.ctx.Done():
			}
		}
	})
}

// ledger is what all viewers have in common: a name stands for the same bytes, whoever asks whenever.
type ledger struct {
	names sync.Map // URL to SHA-256

	mu      sync.Mutex // guards what follows
	faults  []string
	longest time.Duration
}

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 30 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// watcher is a strict viewer of one rendition.
type watcher struct {
	id     int
	l      *ledger
	client *http.Client
	base   string // of the stream, with a slash
	name   string // of the stream
	msn    int64
	part   int
	first  int64 // media sequence number of the last playlist
	disc   int64
	at     time.Time
	seen   atomic.Int64 // parts
}

func (w *watcher) get(ctx context.Context, ref string) ([]byte, bool) {
	status, _, body, err := testkit.Get(ctx, w.client, w.base+ref)
	switch {
	case ctx.Err() != nil:
		return nil, false
	case err != nil:
		w.l.fault("viewer %d: %s: %v", w.id, ref, err)
	case status != http.StatusOK:
		w.l.fault("viewer %d: %s: status %d: %.100s", w.id, ref, status, body)
	default:
		return body, true
	}
	return nil, false
}

// watch plays until ctx ends.
func (w *watcher) watch(ctx context.Context, rendition string) {
	ref := rendition + ".m3u8"
	for ctx.Err() == nil {
		text, ok := w.get(ctx, ref)
		if !ok {
			return
		}
		p := testkit.ParsePlaylist(string(text))
		if !w.take(ctx, p) {
			return
		}
		msn, part := p.Next()
		ref = fmt.Sprintf("%s.m3u8?_HLS_msn=%d&_HLS_part=%d", rendition, msn, part)
	}
}

// take looks at a playlist and fetches what is new in it.
func (w *watcher) take(ctx context.Context, p *testkit.Playlist) bool {
	if p.Ended || p.Sequence < w.first || p.Discontinuity < w.disc || len(p.Segments) == 0 {
		w.l.fault("viewer %d: the playlist has ended, or goes back from %d to %d, and %d to %d:\n%s", w.id, w.first, p.Sequence, w.disc, p.Discontinuity, p.Text)
		return false
	}
	w.first, w.disc = p.Sequence, p.Discontinuity
	now := time.Now()
	news := false
	for _, g := range p.Segments {
		for i, part := range g.Parts {
			switch {
			case w.at.IsZero() && g.MSN < p.Last().MSN, g.MSN < w.msn, g.MSN == w.msn && i <= w.part:
				continue
			case w.at.IsZero(), g.MSN == w.msn && i == w.part+1, g.MSN == w.msn+1 && i == 0:
			default:
				w.l.fault("viewer %d: part %d.%d comes behind %d.%d", w.id, g.MSN, i, w.msn, w.part)
			}
			if part.Gap {
				w.l.fault("viewer %d: part %d.%d is a gap", w.id, g.MSN, i)
			}
			if w.at.IsZero() {
				w.at = now
			}
			w.msn, w.part, news = g.MSN, i, true
			body, ok := w.get(ctx, part.URI)
			if !ok {
				return false
			}
			sum := sha256.Sum256(body)
			if before, was := w.l.names.LoadOrStore(w.name+"/"+part.URI, sum); was && before != sum {
				w.l.fault("%s stands for other bytes than before", part.URI)
			}
			w.seen.Add(1)
		}
	}
	if news {
		w.l.mu.Lock()
		w.l.longest = max(w.l.longest, now.Sub(w.at))
		w.l.mu.Unlock()
		w.at = now
	}
	return true
}

// TestUpgrade takes a node over twice, under publishers of three protocols, two hundred viewers, somebody who changes cards all the time
// and somebody who follows them. Nobody gets an error, nothing is missing but what publishers lost by reconnecting.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	const viewers = 200
	clip := filepath.Join(t.TempDir(), "clip.mp4")
	if _, stderr, err := testkit.Output(t, "ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", sound48,
		"-t", "6", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25", "-b:v", "200k", "-c:a", "aac", clip); err != nil {
		t.Fatal(err, stderr)
	}
	cert := testkit.NewCertificate(t, "127.0.0.1")
	u := newUpgraded(t, fmt.Sprintf(upgradeSettings, cert.CertFile, cert.KeyFile))
	at := func(name string) string { return u.now.Target(t).Address(name).String() }
	u.publish(clip, "-f", "flv", "rtmp://"+at("rtmp")+"/live/show?key="+publishKey)
	u.publish(clip, "-f", "mpegts", "srt://"+at("srt")+"?streamid="+testkit.StreamID("srt", publishKey))
	u.publish(clip, "-f", "rtsp", "-rtsp_transport", "udp", "rtsp://"+at("rtsp")+"/live/rtsp?key="+publishKey)
	base := "http://" + u.now.HTTP
	for _, name := range []string{"show", "srt", "rtsp"} {
		testkit.NewViewer(t, base+"/live/"+name+"/index.m3u8").Join()
	}
	h := newHost(t, base)
	h.products(2)
	h.show("main", "c1", time.Time{})

	l := &ledger{}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, over := context.WithCancel(t.Context())
	defer over()
	all := make([]*watcher, viewers)
	for i := range all {
		name, rendition := "show", "video"
		switch {
		case i%20 == 1:
			name = "srt"
		case i%20 == 2:
			name = "rtsp"
		case i%20 == 3:
			rendition = "audio"
		}
		tr := &http.Transport{DisableCompression: true}
		if i%4 == 0 { // caches and proxies that speak HTTP/2 without TLS
			tr.Protocols = new(http.Protocols)
			tr.Protocols.SetUnencryptedHTTP2(true)
		}
		root := base
		if i%4 == 2 { // browsers
			root = "https://" + at("https")
			tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the certificate is of this very test
			tr.ForceAttemptHTTP2 = true
		}
		w := &watcher{id: i, l: l, base: root + "/live/" + name + "/", name: name, client: &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		all[i] = w
		watching.Go(func() { w.watch(ctx, rendition); tr.CloseIdleConnections() })
	}
	changed := commanded(ctx, t, h, &watching)
	followed := following(ctx, h, l, &watching)
	every := func(what string, more int64) {
		t.Helper()
		from := make([]int64, len(all))
		for i, w := range all {
			from[i] = w.seen.Load()
		}
		testkit.EventuallyWithin(t, 30*time.Second, what, func() bool {
			for i, w := range all {
				if w.seen.Load() < from[i]+more {
					l.mu.Lock()
					defer l.mu.Unlock()
					return len(l.faults) > 0
				}
			}
			return true
		})
	}
	every("all viewers play", 3)
	var strict sync.WaitGroup
	strict.Go(func() {
		report, err := check(t, base+"/live/show/index.m3u8", conformance.Options{Duration: 8 * time.Second, LooseHints: true, Off: hasty})
		if err != nil {
			t.Errorf("the strict client: %v", err)
			return
		}
		for _, v := range report.Violations {
			t.Errorf("the strict client: %v", v)
		}
	})
	l.mu.Lock()
	steady := l.longest
	l.mu.Unlock()
	for i := range 2 {
		commands := changed.Load()
		l.mu.Lock()
		l.longest = 0
		l.mu.Unlock()
		took := u.takeOver()
		every(fmt.Sprintf("all viewers play after upgrade %d", i+1), 4)
		testkit.EventuallyWithin(t, 10*time.Second, "cards are changed", func() bool { return changed.Load() > commands+3 })
		testkit.EventuallyWithin(t, 10*time.Second, "who follows the cards hears of changes", func() bool { return followed.Load() >= changed.Load()-2 })
		l.mu.Lock()
		t.Logf("upgrade %d: the process before ended after %v; the longest time of a viewer without news was %v (%v before); %s", i+1,
			took.Round(time.Millisecond), l.longest.Round(time.Millisecond), steady.Round(time.Millisecond), lineWith(u.now.Log.String(), "took over"))
		l.mu.Unlock()
	}
	strict.Wait()
	over()
	watching.Wait()
	for _, f := range l.faults {
		t.Error(f)
	}
	// The card that was shown before the first upgrade is shown after the second.
	a, err := h.ask(http.MethodGet, "/slots", nil)
	var slots struct{ Slots []struct{ Slot, Card string } }
	if err := errors.Join(err, json.Unmarshal(a.body, &slots)); err != nil || !strings.Contains(fmt.Sprint(slots.Slots), "{main c1}") {
		t.Errorf("the slots are %s, %v", a.body, err)
	}
	if t.Failed() {
		t.Logf("the last process:\n%s", u.now.Log)
	}
}

// commanded changes a card all the time. Each command has to succeed.
func commanded(ctx context.Context, t *testing.T, h *host, running *sync.WaitGroup) *atomic.Int64 {
	var done atomic.Int64
	running.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			a, err := h.ask(http.MethodPatch, "/cards/c0", map[string]any{"name": fmt.Sprint("Product ", i)})
			if err != nil || a.status != http.StatusOK {
				t.Errorf("command %d: status %d, %v: %s", i, a.status, err, a.body)
				return
			}
			done.Add(1)
			select {
			case <-time.After(100 * time.Millisecond): // as many as a host's assistant makes
			case <-ctx.Done():
			}
		}
	})
	return &done
}

// following counts the changes that somebody hears of who follows the events, and connects again when they end, as browsers do.
func following(ctx context.Context, h *host, l *ledger, running *sync.WaitGroup) *atomic.Int64 {
	var heard atomic.Int64
	running.Go(func() {
		for ctx.Err() == nil {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+"/api/v1/streams/show/card-events", nil)
			if err != nil {
				l.fault("%v", err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+operatorToken)
			res, err := http.DefaultTransport.RoundTrip(r)
			if err != nil || res.StatusCode != http.StatusOK {
				if ctx.Err() == nil {
					l.fault("events: %v %v", res, err)
				}
				return
			}
			buf := make([]byte, 64<<10)
			for {
				n, err := res.Body.Read(buf)
				for line := range strings.Lines(string(buf[:n])) {
					if _, name, ok := strings.Cut(line, `"name":"Product `); ok {
						var k int64
						if fmt.Sscan(strings.TrimRight(strings.SplitN(name, `"`, 2)[0], " "), &k); k > heard.Load() {
							heard.Store(k)
						}
					}
				}
				if err != nil {
					break
				}
			}
			res.Body.Close()
		}
	})
	return &heard
}

// lineWith is the first line of a log that has some words.
func lineWith(log, words string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, words) {
			return strings.TrimSpace(line)
		}
	}
	return "no line has " + words
}
