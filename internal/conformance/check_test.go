package conformance

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
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

// TestLateRendition: a rendition that comes later breaks no rule where there is room for it; by how much it does is told.
func TestLateRendition(t *testing.T) {
	t.Parallel()
	r := play(t, late("1.8"), Options{Duration: pass})
	if len(r.Violations) > 0 {
		t.Errorf("a right origin is said to break rules:\n%s", r)
	}
	if len(r.Facts.Lags) != 3 {
		t.Fatalf("%+v", r.Facts.Lags)
	}
	for i, want := range []Lag{{}, {Middle: 3 * partLength, Most: 3*partLength + away}, {}} { // while the publisher is away, all wait
		got := r.Facts.Lags[i]
		if (got.Middle-want.Middle).Abs() > partLength/10 || (got.Most-want.Most).Abs() > partLength {
			t.Errorf("%+v, want %v and %v", got, want.Middle, want.Most)
		}
	}
}

// TestPartOfASegmentIsAGap: a rendition that goes on in mid segment breaks no rule.
func TestPartOfASegmentIsAGap(t *testing.T) {
	t.Parallel()
	r := play(t, faults{partly: 2}, Options{Duration: pass})
	if len(r.Violations) > 0 || r.Facts.GapParts != 2 || r.Facts.GapSegments != 0 {
		t.Errorf("%d gaps; a right origin is said to break rules:\n%s", r.Facts.GapParts, r)
	}
}

// TestRaisedHold: hold-backs may grow where that is asked for, and not elsewhere.
func TestRaisedHold(t *testing.T) {
	t.Parallel()
	raised := func(name string) faults {
		f := editIf(name, `PART-HOLD-BACK=1.5,HOLD-BACK=6.0`, "PART-HOLD-BACK=1.9,HOLD-BACK=6.4", from(113))
		return f
	}
	for _, name := range []string{"", "hi"} {
		if r := play(t, raised(name), Options{Duration: 6 * time.Second, RaisedHold: true}); len(r.Violations) > 0 {
			t.Errorf("raised in %q:\n%s", name, r)
		}
	}
	if got := play(t, raised("hi"), Options{Duration: 6 * time.Second}).Broken(); !slices.Equal(got, []RuleID{RuleSameControl, RuleControlConstant}) {
		t.Errorf("without being asked for: %v", got)
	}
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
