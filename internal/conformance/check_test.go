package conformance

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

const master = "http://origin.example/live/show/index.m3u8"

// play checks the fake origin with these faults, on a fake clock.
func play(t *testing.T, f faults, opt Options) (report *Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		o := newOrigin(f)
		done := make(chan struct{})
		go func() {
			defer close(done)
			o.live(ctx, partLength)
		}()
		if opt.Duration == 0 {
			opt.Duration = time.Hour
		}
		var err error
		report, err = Check(ctx, &http.Client{Transport: direct{o}}, master, opt)
		if err != nil {
			t.Errorf("check: %v", err)
		}
		cancel()
		<-done
	})
	return report
}

func TestGoodOriginKeepsEveryRule(t *testing.T) {
	r := play(t, faults{}, Options{Pace: 50 * time.Millisecond})
	if len(r.Violations) > 0 {
		t.Errorf("a right origin is said to break rules:\n%s", r)
	}
	if idle := r.Idle(); len(idle) > 0 {
		t.Errorf("rules that were never judged: %v", idle)
	}
	t.Logf("%+v", r.Facts)
}

func TestRealHTTP(t *testing.T) {
	o := newOrigin(faults{keep: 1000})
	srv := httptest.NewServer(o)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.follow(ctx, 500*time.Millisecond)
	}()
	r, err := Check(ctx, srv.Client(), srv.URL+"/live/show/index.m3u8", Options{Duration: 12 * time.Second})
	cancel()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) > 0 {
		t.Errorf("a right origin is said to break rules:\n%s", r)
	}
}
