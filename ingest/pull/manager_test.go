package pull

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// TestAlways: a source is fetched from the start, with what was said of it, until the manager ends.
func TestAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		s := always("cam")
		s.Transport, s.Redirects = "tcp", true
		r.Configure([]Source{s})
		r.is("cam", Waiting)
		r.run()
		st := r.is("cam", Live)
		if st.URL != "rtsp://host:…@camera.example/cam" || !st.Configured || st.Attempts != 1 || st.Failures != 0 || !st.Since.Equal(time.Now()) {
			t.Errorf("%+v", st)
		}
		got := r.camera.calls[0].Pull
		if got.URL.String() != s.URL || got.Transport != "tcp" || !got.Redirects || got.Stream != "cam" {
			t.Errorf("it is fetched with %+v", got)
		}
		r.after(time.Hour)
		r.is("cam", Live)
		r.end()
		r.is("cam", Waiting)
		if r.Demand("cam") {
			t.Error("a manager that has ended still says that a stream will come")
		}
		if n := value(t, r.metrics.attempts[resultStopped]); n != 1 || len(r.camera.calls) != 1 {
			t.Errorf("%v attempts were stopped, of %d", n, len(r.camera.calls))
		}
		if log := r.log.String(); strings.Contains(log, "secret") || !strings.Contains(log, "the node stops") {
			t.Errorf("the log says %s", log)
		}
	})
}

// TestBackOff: waits double up to half a minute, and begin anew after a minute that went well.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.camera.do = fails
		r.Configure([]Source{always("cam")})
		r.run()
		st := r.is("cam", Failed)
		if st.Error != "no route to host" || time.Until(st.NextTry) != time.Second || !st.ErrorAt.Equal(time.Now()) || st.Failures != 1 {
			t.Errorf("%+v", st)
		}
		r.after(2 * time.Minute)
		s := time.Second
		want := []time.Duration{0, 1 * s, 3 * s, 7 * s, 15 * s, 31 * s, 61 * s, 91 * s}
		if got := r.camera.times(); !reflect.DeepEqual(got, want) {
			t.Errorf("attempts at %v, want %v", got, want)
		}
		// One that went well for a minute, and ended.
		r.camera.mu.Lock()
		r.camera.calls = nil
		r.camera.do = func(ctx context.Context, p ingest.Pull, live func()) error {
			live()
			return shorter(ctx, time.Minute)
		}
		r.camera.mu.Unlock()
		r.after(time.Minute)
		if st := r.is("cam", Live); st.Error != "" || !st.ErrorAt.IsZero() || !st.NextTry.IsZero() {
			t.Errorf("%+v", st)
		}
		r.after(45 * time.Second)
		if got := r.camera.times(); len(got) != 2 || got[1] != 61*s {
			t.Errorf("after a minute that went well, attempts at %v", got)
		}
		// One that went well, but not for long.
		r.camera.mu.Lock()
		r.camera.do = func(ctx context.Context, p ingest.Pull, live func()) error {
			live()
			return shorter(ctx, 10*time.Second)
		}
		r.camera.calls = nil
		r.camera.mu.Unlock()
		r.after(3 * time.Minute)
		got := r.camera.times()
		if len(got) < 4 || got[1]-got[0] >= got[2]-got[1] || got[2]-got[1] >= got[3]-got[2] {
			t.Errorf("short successes: attempts at %v", got)
		}
	})
}

// shorter waits for d or for the context.
func shorter(ctx context.Context, d time.Duration) error {
	if sleep(ctx, d, nil) {
		return nil
	}
	return ctx.Err()
}

func TestWaits(t *testing.T) {
	t.Parallel()
	for before, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		low, high := backOff(before, 0), backOff(before, 0.999)
		if want *= time.Second; low != want || high <= want || high > want*5/4 {
			t.Errorf("after %d failures: %v to %v, want from %v on", before, low, high, want)
		}
	}
	if got := backOff(1<<40, 0); got != 30*time.Second {
		t.Errorf("%v", got)
	}
}

// TestHopeless: what cannot heal by itself is tried seldom; what may, as usual.
func TestHopeless(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want time.Duration
		how  result
		text string
	}{
		{ingest.Refuse(ingest.ReasonUnsupportedCodec, "MPEG-4 cannot be delivered."), 5 * time.Minute, resultRefused, "MPEG-4 cannot be delivered."},
		{fmt.Errorf("publish: %w", ingest.Refuse(ingest.ReasonBadName, "No such name.")), 5 * time.Minute, resultRefused, "No such name."},
		{ingest.Refuse(ingest.ReasonNameTaken, "It is live."), time.Second, resultRefused, "It is live."},
		{errUnplugged, time.Second, resultFailed, "no route to host"},
		{nil, time.Second, resultEnded, "The source ended the stream."},
		{errors.New("dial rtsp://host:secret@camera.example/cam: refused"), time.Second, resultFailed, "dial rtsp://host:…@camera.example/cam: refused"},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, "")
			r.camera.do = func(context.Context, ingest.Pull, func()) error { return tt.err }
			r.Configure([]Source{always("cam")})
			r.run()
			st := r.is("cam", Failed)
			if got := time.Until(st.NextTry); got != tt.want || st.Error != tt.text {
				t.Errorf("%v: next try after %v, %q", tt.err, got, st.Error)
			}
			if n := value(t, r.metrics.attempts[tt.how]); n != 1 {
				t.Errorf("%v: counted %v times as %s", tt.err, n, tt.how)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.Configure([]Source{{Stream: "cam", URL: "srt://camera.example:9000"}})
		r.run()
		if st := r.is("cam", Failed); time.Until(st.NextTry) != 5*time.Minute || !strings.Contains(st.Error, "scheme") {
			t.Errorf("no puller: %+v", st)
		}
	})
}

// TestOnDemand: a source is fetched when somebody asks, for as long as somebody watches and a minute longer.
func TestOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.Configure([]Source{onDemand("cam")})
		r.run()
		r.after(time.Hour)
		r.is("cam", Waiting)
		if r.Demand("other") {
			t.Error("there is no source for other")
		}
		for range 2 {
			if !r.Demand("cam") {
				t.Error("there is a source for cam")
			}
		}
		r.is("cam", Live)
		r.viewers.Store(1)
		r.after(time.Hour)
		r.is("cam", Live)
		r.viewers.Store(0)
		r.after(DefaultIdle - 2*time.Second)
		r.is("cam", Live)
		r.Demand("cam") // a new one, in the last moment
		r.after(DefaultIdle - 2*time.Second)
		r.is("cam", Live)
		r.after(3 * time.Second)
		st := r.is("cam", Waiting)
		if st.Failures != 0 || st.Error != "" || st.Attempts != 1 || !strings.Contains(r.log.String(), "nobody watches") {
			t.Errorf("resting is no failure: %+v, %s", st, r.log)
		}
		if n := r.camera.going(); n != 0 {
			t.Errorf("%d attempts go on", n)
		}
		r.Demand("cam")
		if st := r.is("cam", Live); st.Attempts != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// TestDemandWhileItStops: who asks while the source is being stopped gets it started again.
func TestDemandWhileItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		closing := make(chan struct{})
		r.camera.do = func(ctx context.Context, _ ingest.Pull, live func()) error {
			live()
			<-ctx.Done()
			<-closing // a good-bye that takes its time
			return nil
		}
		r.Configure([]Source{onDemand("cam")})
		r.run()
		r.Demand("cam")
		r.after(DefaultIdle + time.Second)
		r.Demand("cam")
		close(closing)
		if st := r.is("cam", Live); st.Attempts != 2 {
			t.Errorf("%+v", st)
		}
	})
}

// TestDemandOfAFailingSource: viewers do not get a camera called more often, and none is called that nobody asks for.
func TestDemandOfAFailingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.camera.do = fails
		r.Configure([]Source{onDemand("cam")})
		r.run()
		for range 600 {
			if !r.Demand("cam") {
				t.Fatal("it has gone")
			}
			r.after(100 * time.Millisecond)
		}
		if got := r.camera.times(); len(got) != 6 {
			t.Errorf("attempts at %v", got)
		}
		r.after(3 * time.Minute)
		st := r.is("cam", Waiting)
		if st.Error != "no route to host" {
			t.Errorf("why it failed is forgotten: %+v", st)
		}
		n := len(r.camera.times())
		r.after(time.Hour)
		if len(r.camera.times()) != n {
			t.Error("it is called although nobody asks")
		}
	})
}

// TestDemandBeforeRun: a viewer who is there before the manager runs is not forgotten.
func TestDemandBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.Configure([]Source{onDemand("cam")})
		if !r.Demand("cam") {
			t.Error("there is a source")
		}
		r.is("cam", Waiting)
		r.run()
		r.is("cam", Live)
	})
}

// TestConfigure: what is new starts, what is gone stops, what changed starts anew after the old one's end, the rest goes on.
func TestConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.Configure([]Source{always("stays"), always("goes"), always("changes")})
		r.run()
		r.after(time.Minute)
		changed := always("changes")
		changed.URL = "rtsp://host:another@camera.example/changes"
		r.Configure([]Source{always("stays"), changed, always("new"), always("new"), {Stream: "bad", URL: "http://x"}})
		r.after(0)
		if _, ok := r.Get("goes"); ok {
			t.Error("goes is still there")
		}
		if n := r.camera.going(); n != 3 {
			t.Errorf("%d are fetched", n)
		}
		for name, at := range map[string]time.Duration{"stays": time.Minute, "changes": 0, "new": 0} {
			if st := r.is(name, Live); time.Since(st.Since) != at || st.Attempts != 1 {
				t.Errorf("%s: %+v", name, st)
			}
		}
		var names []string
		for _, s := range r.List() {
			names = append(names, s.Stream)
		}
		if !slices.Equal(names, []string{"changes", "new", "stays"}) {
			t.Errorf("%v", names)
		}
		for _, text := range []string{"bad", "two configured sources"} {
			if !strings.Contains(r.log.String(), text) {
				t.Errorf("the log says nothing of %s: %s", text, r.log)
			}
		}
		// Many changes in a row, while the old one is slow to end: one at a time, and the last one counts.
		var slow time.Duration = time.Second
		r.camera.mu.Lock()
		r.camera.do = func(ctx context.Context, p ingest.Pull, live func()) error {
			live()
			<-ctx.Done()
			time.Sleep(slow)
			return nil
		}
		r.camera.mu.Unlock()
		for i := range 10 {
			changed.URL = fmt.Sprintf("rtsp://camera.example/%d", i)
			r.Configure([]Source{changed})
			if i == 4 {
				r.Configure(nil)
			}
		}
		r.after(time.Minute)
		if st := r.is("changes", Live); st.URL != "rtsp://camera.example/9" || r.camera.going() != 1 {
			t.Errorf("%+v, %d are fetched", st, r.camera.going())
		}
		if got := value(t, r.metrics.sources[Live]); got != 1 {
			t.Errorf("the metric has %v live", got)
		}
	})
}

// TestMade: sources that are added through the API, beside those of the configuration.
func TestMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.Configure([]Source{always("fixed")})
		r.run()
		st, created, err := r.Put(Source{Stream: "cam", URL: "rtsp://host:secret@camera.example/?password=hunter2"})
		if err != nil || !created || st.URL != "rtsp://host:…@camera.example/?password=…" || st.Configured || st.Transport != "auto" {
			t.Fatalf("%+v, %v, %v", st, created, err)
		}
		r.is("cam", Live)
		// The same again changes nothing, and neither does what was shown.
		r.after(time.Minute)
		for range 2 {
			if st, created, err = r.Put(st.Source); err != nil || created || st.State != Live || time.Since(st.Since) != time.Minute {
				t.Fatalf("%+v, %v, %v", st, created, err)
			}
		}
		st.OnDemand = true
		if _, _, err := r.Put(st.Source); err != nil {
			t.Fatal(err)
		}
		r.is("cam", Waiting)
		r.Demand("cam")
		r.is("cam", Live)
		if u := r.camera.calls[len(r.camera.calls)-1].URL.String(); u != "rtsp://host:secret@camera.example/?password=hunter2" {
			t.Errorf("the secrets are lost: %s", u)
		}

		refused := func(what string, err error, reason Reason, field string) {
			t.Helper()
			var e *Error
			if !errors.As(err, &e) || e.Reason != reason || e.Field != field {
				t.Errorf("%s: %v (%+v)", what, err, e)
			}
		}
		_, _, err = r.Put(always("fixed"))
		refused("one that is configured", err, ReasonConflict, "name")
		refused("one that is configured", r.Remove("fixed"), ReasonConflict, "name")
		refused("none", r.Remove("other"), ReasonNotFound, "name")
		st.URL = "rtsp://other:…@camera.example/"
		_, _, err = r.Put(st.Source)
		refused("a hidden secret of another URL", err, ReasonInvalid, "url")

		// The configuration comes before it, and leaves it as it was.
		r.Configure([]Source{always("cam")})
		if st := r.is("cam", Live); !st.Configured || st.URL != "rtsp://host:…@camera.example/cam" {
			t.Errorf("%+v", st)
		}
		r.Configure(nil)
		if st := r.is("cam", Waiting); st.Configured || !st.OnDemand {
			t.Errorf("%+v", st)
		}
		if err := r.Remove("cam"); err != nil {
			t.Error(err)
		}
		if list := r.List(); len(list) != 0 {
			t.Errorf("%+v", list)
		}
		for i := range maxMade {
			if _, _, err := r.Put(onDemand(fmt.Sprint("n", i))); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err = r.Put(onDemand("one-too-many"))
		refused("one too many", err, ReasonConflict, "")
		if _, _, err = r.Put(onDemand("n7")); err != nil {
			t.Errorf("one that is there: %v", err)
		}
	})
}

// TestDoor: only what was fetched is watched, and only its first frame.
func TestDoor(t *testing.T) {
	t.Parallel()
	d := NewDoor(openDoor{})
	n := 0
	stop := d.watch("cam", func() { n++ })
	for _, r := range []ingest.Request{{Stream: "cam"}, {Stream: "other", Pulled: true}, {Stream: "cam", Pulled: true}} {
		p, err := d.Open(r)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := p.Write(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	p, err := d.Open(ingest.Request{Stream: "cam", Pulled: true})
	if err != nil || p.Write(nil) != nil || n != 1 {
		t.Errorf("%v, it told %d times", err, n)
	}
}

// BenchmarkDemand is what each request for a playlist costs.
func BenchmarkDemand(b *testing.B) {
	m := New(Options{Door: NewDoor(openDoor{}), Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	m.Configure([]Source{always("cam"), always("door")})
	m.mu.Lock()
	m.feeds["cam"].running = true
	m.mu.Unlock()
	for name, stream := range map[string]string{"source": "cam", "none": "show"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					m.Demand(stream)
				}
			})
		})
	}
}

// TestFault: a fault in handling what one source sends ends its attempt, and nothing else.
func TestFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.camera.do = func(ctx context.Context, p ingest.Pull, live func()) error {
			if p.Stream == "bad" {
				panic("index out of range of secret")
			}
			return runs(ctx, p, live)
		}
		r.Configure([]Source{always("bad"), always("good")})
		r.run()
		if s := r.is("bad", Failed); s.Error == "" || strings.Contains(s.Error, "secret") {
			t.Errorf("%+v", s)
		}
		r.is("good", Live)
		if text := r.log.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "manager_test.go") || strings.Contains(text, "of secret") {
			t.Errorf("the log does not say where it happened: %s", text)
		}
		r.after(10 * time.Second)
		if n := len(r.camera.times()); n < 4 {
			t.Errorf("%d attempts", n)
		}
		r.end()
	})
}

// TestPutTriesAgain: who puts the same source again, because it is mended, does not wait for the next attempt.
func TestPutTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "")
		r.camera.do = func(context.Context, ingest.Pull, func()) error {
			return ingest.Refuse(ingest.ReasonUnsupportedCodec, "The codec is of no use.")
		}
		r.run()
		if _, _, err := r.Put(always("cam")); err != nil {
			t.Fatal(err)
		}
		r.after(10 * time.Second)
		if s := r.is("cam", Failed); s.Attempts != 1 || time.Until(s.NextTry) < 4*time.Minute {
			t.Fatalf("%+v", s)
		}
		r.camera.mu.Lock()
		r.camera.do = runs
		r.camera.mu.Unlock()
		for range 3 { // a source that does well is left alone
			if _, created, err := r.Put(always("cam")); err != nil || created {
				t.Fatalf("%v, created %v", err, created)
			}
			if s := r.is("cam", Live); s.Attempts != 2 || s.Error != "" {
				t.Errorf("%+v", s)
			}
		}
		r.end()
	})
}
