package webhooks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestOverHTTP sends to a real server: what comes is signed by each secret, has the documented fields and identifiers that sort.
func TestOverHTTP(t *testing.T) {
	t.Parallel()
	r := &receiver{}
	server := httptest.NewServer(r)
	defer server.Close()
	raw := []byte("another secret of 32 bytes, raw!")
	d := start(t, Options{Dir: t.TempDir(), Node: "eu-1", Settings: Settings{Targets: []Target{{
		URL:     server.URL + "/hooks?token=hidden",
		Secrets: []string{"first secret", "whsec_" + base64.StdEncoding.EncodeToString(raw)},
		Events:  []string{StreamStarted, CardShown}, Streams: []string{"show*"},
	}}}})
	at := time.Date(2026, 11, 21, 13, 20, 34, 567e6, time.UTC)
	d.Send(Event{Type: StreamStarted, Stream: "show-1", Time: at, Data: Started{Show: 7, Protocol: "rtmp", Tracks: []Track{{Kind: "video", Codec: "h264", Width: 1280}}}})
	d.Send(Event{Type: StreamEnded, Stream: "show-1", Data: Ended{}})
	d.Send(Event{Type: StreamStarted, Stream: "other", Data: Started{}})
	d.Send(Event{Type: CardShown, Stream: "show-1", Data: Shown{Slot: "main", Card: "lamp", Revision: 3}})
	eventually(t, "two messages", func() bool { return len(r.taken("")) == 2 })
	got := r.all()
	for _, m := range got {
		for _, secret := range [][]byte{[]byte("first secret"), raw} {
			if err := verify(m, secret); err != nil {
				t.Error(err)
			}
		}
		if verify(m, []byte("a guess")) == nil {
			t.Error("any secret fits")
		}
		if m.id != m.header.Get("webhook-id") || strings.Contains(m.id, ".") {
			t.Errorf("id %q, in the header %q", m.id, m.header.Get("webhook-id"))
		}
		if m.header.Get("Content-Type") != "application/json" {
			t.Error(m.header)
		}
	}
	if got[0].id >= got[1].id {
		t.Errorf("%q does not sort before %q", got[0].id, got[1].id)
	}
	var body map[string]any
	if err := json.Unmarshal(got[0].body, &body); err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(body)); !slices.Equal(keys, []string{"data", "id", "node", "stream", "timestamp", "type"}) {
		t.Error(keys)
	}
	if body["timestamp"] != "2026-11-21T13:20:34.567Z" || body["node"] != "eu-1" || body["stream"] != "show-1" || body["type"] != "stream.started" {
		t.Error(body)
	}
}

// TestOrder has a receiver fail as it likes: each stream's events are taken in their order and once each, and no other stream waits
// for one that fails.
func TestOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		r := &receiver{}
		var stuck = true
		r.answer = func(m *message) (int, http.Header) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if m.stream == "stuck" && stuck || random.IntN(3) == 0 {
				return 500, nil
			}
			return 200, nil
		}
		d := start(t, Options{Dir: t.TempDir(), transport: hosts{"a": r}, Settings: Settings{Targets: []Target{{URL: "http://a/"}}}})
		for n := 1; n <= 60; n++ {
			for _, s := range []string{"one", "two", "three", "four", "five", "stuck"} {
				d.send(s, n, n)
			}
		}
		time.Sleep(12 * time.Hour)
		for _, s := range []string{"one", "two", "three", "four", "five"} {
			if got := r.taken(s); !slices.Equal(got, upTo(1, 60)) {
				t.Errorf("%s: %v", s, got)
			}
		}
		if got := r.taken("stuck"); len(got) != 0 {
			t.Errorf("stuck: %v", got)
		}
		ids := map[string]string{}
		attempts := 0
		for _, m := range r.all() {
			if m.stream == "stuck" {
				attempts++
				ids[m.id] = m.stream
			}
		}
		// 12 hours of pauses of 2.5 to 5 minutes.
		if len(ids) != 1 || attempts < 12*12 || attempts > 2*12*12+20 {
			t.Errorf("%d attempts with %d of the stream that is stuck", attempts, len(ids))
		}
		r.mu.Lock()
		stuck = false
		r.mu.Unlock()
		time.Sleep(6 * time.Hour)
		if got := r.taken("stuck"); !slices.Equal(got, upTo(1, 60)) {
			t.Errorf("stuck: %v", got)
		}
	})
}

// TestPauses: attempts come after pauses that double, with the timestamp of the attempt and the same id, and end with retry_for; then
// the next event has its turn.
func TestPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(m *message) (int, http.Header) {
			if m.n == 1 {
				return 404, nil
			}
			return 204, nil
		}}
		d := start(t, Options{Dir: t.TempDir(), transport: hosts{"a": r}, jitter: func() float64 { return 1 },
			Settings: Settings{RetryFor: time.Hour, Targets: []Target{{URL: "http://a/", Secrets: []string{"secret"}}}}})
		d.send("show", 1, 2)
		time.Sleep(3 * time.Hour)
		got := r.all()
		begin := got[0].at
		var pauses []time.Duration
		for i, m := range got[1:] {
			if m.n != 1 {
				break
			}
			pauses = append(pauses, m.at.Sub(got[i].at))
			if m.id != got[0].id || verify(m, []byte("secret")) != nil {
				t.Errorf("attempt %d: id %q, %v", i, m.id, m.header)
			}
		}
		want := []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300}
		for i, w := range want {
			if pauses[i] != w*time.Second {
				t.Errorf("pause %d: %v", i, pauses[i])
			}
		}
		last := got[len(got)-1]
		if over := last.at.Sub(begin); last.n != 2 || over < time.Hour || over > time.Hour+lastPause {
			t.Errorf("the last one is %d after %v", last.n, over)
		}
		if d.counted("dropped", "a", dropExpired) != 1 || d.counted("delivered", "a") != 1 || d.counted("failed", "a", failRefused) != float64(len(got)-1) {
			t.Error("the counters do not agree")
		}
	})
}

// TestRetryAfter: 429 and 503 with Retry-After hold the whole target back, by seconds and by date, an hour at most.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		header := ""
		r := &receiver{}
		r.answer = func(m *message) (int, http.Header) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if h := header; h != "" {
				header = ""
				return 503, http.Header{"Retry-After": {h}}
			}
			return 200, nil
		}
		for _, c := range []struct {
			header string
			after  time.Duration
		}{{"90", 90 * time.Second}, {begin.Add(2 * time.Minute).UTC().Format(http.TimeFormat), 2 * time.Minute}, {"99999999", time.Hour}} {
			began := time.Now()
			r.got, header = nil, c.header
			if strings.Contains(c.header, "GMT") {
				header = time.Now().Add(c.after).UTC().Format(http.TimeFormat)
			}
			d := start(t, Options{Dir: t.TempDir(), transport: hosts{"a": r}, Settings: Settings{Targets: []Target{{URL: "http://a/"}}}})
			d.send("one", 1, 1)
			time.Sleep(500 * time.Millisecond)
			d.send("two", 2, 2)
			time.Sleep(2 * time.Hour)
			if len(r.taken("")) != 2 {
				t.Fatalf("%s: %v", c.header, r.taken(""))
			}
			for _, m := range r.all()[1:] {
				if since := m.at.Sub(began); since < c.after-time.Second || since > c.after+2*time.Second {
					t.Errorf("%s: asked again after %v", c.header, since)
				}
			}
			d.stop()
		}
	})
}

// TestGone: 410 turns a target off until the settings change.
func TestGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		off := true
		r, other := &receiver{}, &receiver{}
		r.answer = func(*message) (int, http.Header) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if off {
				return 410, nil
			}
			return 200, nil
		}
		set := Settings{Targets: []Target{{URL: "http://a/"}, {URL: "http://b/"}}}
		d := start(t, Options{Dir: t.TempDir(), transport: hosts{"a": r, "b": other}, Settings: set})
		d.send("show", 1, 3)
		time.Sleep(time.Hour)
		d.send("show", 4, 4)
		time.Sleep(time.Hour)
		if n := len(r.all()); n != 1 {
			t.Errorf("asked %d times", n)
		}
		if got := d.counted("dropped", "a", dropGone); got != 4 {
			t.Errorf("%v dropped", got)
		}
		if !slices.Equal(other.taken(""), upTo(1, 4)) {
			t.Error(other.taken(""))
		}
		r.mu.Lock()
		off = false
		r.mu.Unlock()
		if err := d.Configure(set); err != nil {
			t.Fatal(err)
		}
		d.send("show", 5, 5)
		time.Sleep(time.Hour)
		if got := r.taken(""); !slices.Equal(got, []int{5}) {
			t.Error(got)
		}
	})
}

// TestTargetsChange: what waits for a target that goes is dropped and counted; one that stays is tried at once, with its new secret;
// a new one gets what happens from then on.
func TestTargetsChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		good := "old"
		check := func(m *message) (int, http.Header) {
			if verify(*m, []byte(good)) != nil {
				return 401, nil
			}
			return 200, nil
		}
		h := hosts{"stays": {answer: check}, "goes": {answer: func(*message) (int, http.Header) { return 500, nil }}, "comes": {}}
		good = "new"
		d := start(t, Options{Dir: t.TempDir(), transport: h, Settings: Settings{Targets: []Target{
			{URL: "http://goes/"}, {URL: "http://stays/", Secrets: []string{"old"}}}}})
		d.send("show", 1, 5)
		time.Sleep(10 * time.Minute)
		if err := d.Configure(Settings{Targets: []Target{{URL: "http://comes/"}, {URL: "http://stays/", Secrets: []string{"new"}}}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := h["stays"].taken(""); !slices.Equal(got, upTo(1, 5)) {
			t.Errorf("stays: %v", got)
		}
		asked := len(h["goes"].all())
		d.send("show", 6, 6)
		time.Sleep(time.Hour)
		if got := h["comes"].taken(""); !slices.Equal(got, []int{6}) {
			t.Errorf("comes: %v", got)
		}
		if len(h["goes"].all()) != asked || d.counted("dropped", "goes", dropRemoved) != 5 {
			t.Errorf("goes: %d, then %d requests, %v dropped", asked, len(h["goes"].all()), d.counted("dropped", "goes", dropRemoved))
		}
		if err := d.Configure(Settings{}); err != nil || d.Active() {
			t.Error(err, d.Active())
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.live != 0 || d.waiting != 0 || d.loose != 0 {
			t.Errorf("%d bytes, %d events, %d loose bytes are left", d.live, d.waiting, d.loose)
		}
	})
}

// TestSlow: a receiver that never answers holds nobody back but itself, and gets no more than its share of requests.
func TestSlow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := &receiver{answer: func(*message) (int, http.Header) { <-release; return 200, nil }}
	quick := &receiver{}
	a, b := httptest.NewServer(slow), httptest.NewServer(quick)
	defer a.Close()
	defer b.Close()
	defer close(release)
	d := start(t, Options{Dir: t.TempDir(), Settings: Settings{Targets: []Target{{URL: a.URL}, {URL: b.URL}}}})
	for n := 1; n <= 50; n++ {
		for _, s := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			d.send(s, n, n)
		}
	}
	eventually(t, "the quick one has all", func() bool { return len(quick.taken("")) == 400 })
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.targets[0].requests; n != mostRequests {
		t.Errorf("%d requests are under way to the slow one", n)
	}
}

// TestCrash takes what is on the disk at a moment, cuts its end off at each byte, and goes on from there: a prefix of each stream is
// there, in order, and without a cut all of it.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	down := &receiver{answer: func(*message) (int, http.Header) { return 500, nil }}
	set := Settings{Targets: []Target{{URL: "http://a/"}, {URL: "http://b/"}}}
	up := &receiver{}
	d := start(t, Options{Dir: dir, transport: hosts{"a": down, "b": up}, Settings: set})
	d.send("one", 1, 6)
	eventually(t, "b has all", func() bool { return len(up.taken("")) == 6 })
	eventually(t, "that is on the disk", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.settled) == 0 })
	image := copyOf(t, dir)
	names, err := filepath.Glob(filepath.Join(image, "*"+queueSuffix))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := len(whole); cut >= 0; cut -= 41 {
		synctest.Test(t, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, filepath.Base(names[0])), whole[:cut], 0o600); err != nil {
				t.Fatal(err)
			}
			a, b := &receiver{}, &receiver{}
			d := start(t, Options{Dir: folder, transport: hosts{"a": a, "b": b}, Settings: set})
			time.Sleep(time.Minute)
			got := a.taken("")
			if !slices.Equal(got, upTo(1, len(got))) || cut == len(whole) && (len(got) != 6 || len(b.all()) != 0) {
				t.Errorf("of %d bytes: a gets %v, b gets %v", cut, got, b.taken(""))
			}
			d.send("one", 7, 7)
			time.Sleep(time.Minute)
			if n := a.taken(""); n[len(n)-1] != 7 {
				t.Error(n)
			}
			d.stop()
			if _, left, err := openStore(folder, 1<<20, slog.New(slog.DiscardHandler)); err != nil || len(left) != 0 {
				t.Errorf("%d events are left, %v", len(left), err)
			}
		})
	}
}

// TestMain lets the test binary be the program that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WEBHOOKS_TEST_DIR"); dir != "" {
		d, err := New(Options{Dir: dir, Settings: Settings{Targets: []Target{{URL: os.Getenv("WEBHOOKS_TEST_URL")}}}})
		if err != nil {
			panic(err)
		}
		go func() {
			for n := 1; n <= 2000; n++ {
				d.Send(Event{Type: StreamStarted, Stream: []string{"good", "bad"}[n%2], Data: number{N: n}})
				if n%64 == 0 {
					time.Sleep(time.Millisecond) // as much as a disk takes
				}
			}
		}()
		panic(d.Run(context.Background()))
	}
	os.Exit(m.Run())
}

// TestKilled kills the process that sends: what it has tried to send before, and was not taken, is sent by the next one.
func TestKilled(t *testing.T) {
	t.Parallel()
	killed := false
	r := &receiver{}
	r.answer = func(m *message) (int, http.Header) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if m.stream == "bad" && !killed {
			return 500, nil
		}
		return 200, nil
	}
	server := httptest.NewServer(r)
	defer server.Close()
	dir := t.TempDir()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "WEBHOOKS_TEST_DIR="+dir, "WEBHOOKS_TEST_URL="+server.URL)
	c.Stderr, c.Stdout = io.Discard, io.Discard
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "some events", func() bool { return len(r.taken("good")) > 200 })
	c.Process.Kill()
	c.Wait()
	before := r.all()
	r.mu.Lock()
	killed = true
	r.mu.Unlock()
	d := start(t, Options{Dir: dir, Settings: Settings{Targets: []Target{{URL: server.URL}}}})
	eventually(t, "nothing waits", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.running && d.waiting == 0
	})
	taken := map[string]bool{}
	for _, m := range r.all() {
		taken[m.id] = taken[m.id] || m.status == 200
	}
	for _, m := range before {
		if !taken[m.id] {
			t.Errorf("event %d of %s is lost", m.n, m.stream)
		}
	}
	for _, s := range []string{"good", "bad"} {
		// Those that were told in the last moments may be told again, as a whole and in order.
		var first []int
		for _, n := range r.taken(s) {
			if !slices.Contains(first, n) {
				first = append(first, n)
			}
		}
		if !slices.IsSorted(first) || len(first) < 50 {
			t.Errorf("%s: %d events, not in order", s, len(first))
		}
	}
}

// TestFull: when there is no more room, the oldest events of who has most waiting go, and nobody else's.
func TestFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const limit = 1 << 20
		dir := t.TempDir()
		down := true
		dead := &receiver{}
		dead.answer = func(*message) (int, http.Header) {
			dead.mu.Lock()
			defer dead.mu.Unlock()
			if down {
				return 500, nil
			}
			return 200, nil
		}
		alive := &receiver{}
		d := start(t, Options{Dir: dir, Queue: limit, transport: hosts{"dead": dead, "alive": alive},
			Settings: Settings{Targets: []Target{{URL: "http://dead/"}, {URL: "http://alive/"}}}})
		const events = 500
		for n := 1; n <= events; n++ {
			d.Send(Event{Type: CardShown, Stream: "show", Data: number{N: n, Pad: strings.Repeat("x", 6000)}})
			if n%20 == 0 {
				time.Sleep(time.Second)
				if size := sizeOf(t, dir); size > limit {
					t.Fatalf("after %d events the files have %d bytes", n, size)
				}
			}
		}
		time.Sleep(time.Minute)
		if got := alive.taken(""); !slices.Equal(got, upTo(1, events)) {
			t.Errorf("the one that is well has %d", len(got))
		}
		dead.mu.Lock()
		down = false
		dead.mu.Unlock()
		time.Sleep(time.Hour)
		got := dead.taken("")
		if len(got) < 60 || !slices.Equal(got, upTo(events-len(got)+1, events)) {
			t.Errorf("the other one has %d, from %d", len(got), got[0])
		}
		if dropped := d.counted("dropped", "dead", dropFull); dropped != float64(events-len(got)) || d.counted("dropped", "alive", dropFull) != 0 {
			t.Errorf("%v dropped", dropped)
		}
	})
}

// TestNeverBlocks: Send returns at once although nobody takes what it is given, and counts what is too much.
func TestNeverBlocks(t *testing.T) {
	t.Parallel()
	d, err := New(Options{Dir: t.TempDir(), Settings: Settings{Targets: []Target{{URL: "http://a/"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range mostSent + 10 {
		d.Send(Event{Type: StreamStarted, Stream: "show", Data: number{N: n}})
	}
	if got := testutil.ToFloat64(d.metrics.dropped.WithLabelValues("", dropBusy)); got != 10 {
		t.Errorf("%v dropped", got)
	}
}

// TestInUse: while another process has the queue events wait, and go on in order behind that one's.
func TestInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		down, up := &receiver{answer: func(*message) (int, http.Header) { return 500, nil }}, &receiver{}
		set := Settings{Targets: []Target{{URL: "http://a/"}}}
		old := start(t, Options{Dir: dir, transport: hosts{"a": down}, Settings: set})
		old.send("show", 1, 3)
		time.Sleep(time.Second)
		next := start(t, Options{Dir: dir, transport: hosts{"a": up}, Settings: set})
		next.send("show", 4, 6)
		time.Sleep(time.Minute)
		if len(up.all()) != 0 {
			t.Error("sent ahead of what waits")
		}
		if err := old.stop(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if got := up.taken(""); !slices.Equal(got, upTo(1, 6)) {
			t.Error(got)
		}
	})
}

// TestNoDisk: without a folder that can be used events are sent from memory.
func TestNoDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := &receiver{}
		down := true
		r.answer = func(*message) (int, http.Header) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if down {
				return 500, nil
			}
			return 200, nil
		}
		d := start(t, Options{Dir: filepath.Join(file, "webhooks"), transport: hosts{"a": r}, Settings: Settings{Targets: []Target{{URL: "http://a/"}}}})
		for n := 1; n <= 100; n++ {
			d.Send(Event{Type: CardShown, Stream: "show", Data: number{N: n, Pad: strings.Repeat("x", 60_000)}})
		}
		time.Sleep(time.Minute)
		r.mu.Lock()
		down = false
		r.mu.Unlock()
		time.Sleep(time.Hour)
		got := r.taken("")
		if want := mostLoose / 60_200; !slices.Equal(got, upTo(1, len(got))) || len(got) < want-2 || len(got) > want+2 {
			t.Errorf("%d were sent of those that fit into memory, %d", len(got), want)
		}
		if n := d.counted("dropped", "a", dropDisk); n != float64(100-len(got)) {
			t.Errorf("%v dropped", n)
		}
		if testutil.ToFloat64(d.metrics.diskErrors) == 0 {
			t.Error("no failure of the disk was counted")
		}
	})
}

// TestStopping: what comes just before the end is still sent, or is there the next time.
func TestStopping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		hangs := &receiver{answer: func(m *message) (int, http.Header) { time.Sleep(10 * time.Second); return 200, nil }}
		quick := &receiver{}
		h := hosts{"hangs": hangs, "quick": quick}
		set := Settings{Targets: []Target{{URL: "http://hangs/"}, {URL: "http://quick/"}}}
		d := start(t, Options{Dir: dir, transport: h, Settings: set, Grace: 2 * time.Second})
		time.Sleep(time.Second)
		d.send("show", 1, 20)
		began := time.Now()
		if err := d.stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 11*time.Second || !slices.Equal(quick.taken(""), upTo(1, 20)) {
			t.Errorf("it took %v to send %v", took, quick.taken(""))
		}
		hangs.answer = nil
		start(t, Options{Dir: dir, transport: h, Settings: set})
		time.Sleep(time.Minute)
		if got := slices.Compact(hangs.taken("")); !slices.Equal(got, upTo(1, 20)) || len(quick.all()) != 20 {
			t.Errorf("%v, and %d", got, len(quick.all()))
		}
	})
}

// TestSecretsStay: neither the log nor metrics nor errors have what of a URL is secret.
func TestSecretsStay(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/elsewhere?hushhush", http.StatusFound))
	dead := httptest.NewServer(nil)
	dead.Close()
	defer server.Close()
	log := &lines{}
	address := func(s *httptest.Server) string {
		return strings.Replace(s.URL, "http://", "http://user:hushhush@", 1) + "/hushhush?hushhush"
	}
	d := start(t, Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil)), Settings: Settings{
		Targets: []Target{{URL: address(server), Secrets: []string{"hushhush"}}, {URL: address(dead)}}}})
	d.send("show", 1, 1)
	host := strings.TrimPrefix(server.URL, "http://")
	eventually(t, "both fail", func() bool {
		return d.counted("failed", host, failRedirect) > 0 && d.counted("failed", strings.TrimPrefix(dead.URL, "http://"), failConnect) > 0
	})
	d.stop()
	if strings.Contains(log.String(), "hushhush") || !strings.Contains(log.String(), host) {
		t.Error(log)
	}
	families, err := d.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if s := f.String(); strings.Contains(s, "hushhush") {
			t.Error(s)
		}
	}
	for _, bad := range []Target{{URL: "http://hushhush host/"}, {URL: "ftp://hushhush/"}, {URL: "http://a/", Secrets: []string{"whsec_hushhush!"}},
		{URL: "http://a/", Secrets: []string{""}}, {URL: "http://a/", Events: []string{"x"}}, {URL: "http://a/", Streams: []string{"["}}, {URL: "http://a/#f"}} {
		err := d.Configure(Settings{Targets: []Target{bad}})
		if err == nil || strings.Contains(err.Error(), "hushhush") || !strings.HasPrefix(err.Error(), "webhooks.targets[1].") {
			t.Errorf("%v", err)
		}
	}
	if d.Configure(Settings{Targets: []Target{{URL: "http://a/"}, {URL: "http://a/"}}}) == nil || d.Configure(Settings{Targets: make([]Target, MaxTargets+1)}) == nil {
		t.Error("two of one URL, or too many, are taken")
	}
}

// TestMetrics: what waits is told, and for how long.
func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := &receiver{answer: func(*message) (int, http.Header) { return 500, nil }}
		d := start(t, Options{Dir: t.TempDir(), transport: hosts{"a": down}, Settings: Settings{Targets: []Target{{URL: "http://a/1"}, {URL: "http://a/2", Events: []string{CardShown}}}}})
		d.send("show", 1, 3)
		time.Sleep(90 * time.Second)
		want := `
# HELP pushcart_webhooks_oldest_seconds Age of the oldest event that waits for a target; 0 when none does.
# TYPE pushcart_webhooks_oldest_seconds gauge
pushcart_webhooks_oldest_seconds{target="a"} 90
pushcart_webhooks_oldest_seconds{target="a#2"} 0
# HELP pushcart_webhooks_queued Events that wait for a target.
# TYPE pushcart_webhooks_queued gauge
pushcart_webhooks_queued{target="a"} 3
pushcart_webhooks_queued{target="a#2"} 0
`
		if err := testutil.GatherAndCompare(d.reg, strings.NewReader(want), "pushcart_webhooks_queued", "pushcart_webhooks_oldest_seconds"); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkSendOff is what an event costs where nobody is to be told.
func BenchmarkSendOff(b *testing.B) {
	d, err := New(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		d.Send(Event{Type: CardShown, Stream: "show"})
	}
}
