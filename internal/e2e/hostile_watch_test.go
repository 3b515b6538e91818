package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/internal/conformance"
	"pushcart/internal/load"
	"pushcart/internal/testkit"
)

// watchers see the show while its node is attacked: the strict client, and some who measure.
type watchers struct {
	t      *testing.T
	stop   []func()
	judged chan verdict
	src    testkit.Source
	quiet  []time.Duration

	mu   sync.Mutex // guards what follows
	late []time.Duration
	lost int // parts that were hinted and did not come
}

type verdict struct {
	report *conformance.Report
	err    error
}

// measurers is how many measure. Each has a sample of each part.
const measurers = 4

// pictureMark stands in front of the time at which a picture left, in an SEI message of its own (user_data_unregistered).
const pictureMark = "hostile-picture:"

// stamped puts the time of now in front of a picture.
func stamped(s *testkit.Sample) *testkit.Sample {
	text := fmt.Sprintf("%s%016x", pictureMark, time.Now().UnixNano()) // the mark is as long as a UUID
	nal := append(append([]byte{6, 5, byte(len(text))}, text...), 0x80)
	made := *s
	made.Payload = append(append(binary.BigEndian.AppendUint32(nil, uint32(len(nal))), nal...), s.Payload...)
	return &made
}

// leftAt is when the last picture of a part left.
func leftAt(part []byte) (time.Time, bool) {
	i := bytes.LastIndex(part, []byte(pictureMark))
	if i < 0 || len(part) < i+len(pictureMark)+16 {
		return time.Time{}, false
	}
	ns, err := strconv.ParseInt(string(part[i+len(pictureMark):][:16]), 16, 64)
	return time.Unix(0, ns), err == nil
}

// onAir publishes the show and has it watched.
func (s *siege) onAir() *watchers {
	s.t.Helper()
	v := &watchers{t: s.t, judged: make(chan verdict, 1)}
	tracks := []testkit.Media{{Clip: testkit.Pictures(s.t).Repeat(16)}, {Clip: testkit.Sound(s.t).Repeat(16)}}
	src, err := testkit.OpenRTMP(s.t, s.node.RTMP, testkit.Show{Name: "evening", Key: eveningKey, Tracks: tracks})
	if err != nil {
		s.t.Fatal(err)
	}
	v.src = src
	v.stop = append(v.stop, testkit.OnAir(s.t, src, tracks, testkit.Stretch{Speed: 1, Before: func(track int, x *testkit.Sample) *testkit.Sample {
		if track == 0 {
			return stamped(x)
		}
		return x
	}}))
	first := testkit.NewViewer(s.t, s.node.Master("evening"))
	first.Join()
	reached(first, "video", 1500*time.Millisecond)
	go func() {
		ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
		defer cancel()
		tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
		defer tr.CloseIdleConnections()
		report, err := conformance.Check(ctx, &http.Client{Transport: tr}, s.node.Master("evening"),
			conformance.Options{Duration: time.Hour, LooseHints: true, DecodeSlack: time.Millisecond, Off: hasty})
		v.judged <- verdict{report, err}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range measurers {
		group.Go(func() { v.measure(ctx, strings.TrimPrefix(s.node.HTTP, "http://")) })
	}
	v.stop = append(v.stop, func() { cancel(); group.Wait() })
	s.t.Cleanup(v.halt)
	return v
}

// measure follows the hints of parts, and notes how long after its last picture had left each was there.
func (v *watchers) measure(ctx context.Context, address string) {
	c, err := load.DialConn(ctx, address, nil, "hostile")
	if err != nil {
		v.t.Errorf("a viewer cannot connect: %v", err)
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, c.Close)()
	last := ""
	for ctx.Err() == nil && !v.t.Failed() {
		a, err := c.Get("/live/evening/video.m3u8", false)
		if err != nil || a.Status != http.StatusOK {
			if ctx.Err() == nil {
				v.t.Errorf("a viewer does not get the playlist: status %d, %v", a.Status, err)
			}
			return
		}
		_, rest, ok := strings.Cut(string(a.Body), "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"")
		hint, _, _ := strings.Cut(rest, "\"")
		if !ok || hint == last {
			select { // a part that was given up, or the show's end
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		last = hint
		asked := time.Now()
		if err = c.Send(c.Request("/live/evening/"+hint, false)); err == nil {
			a, err = c.Answer(true)
		}
		if err != nil {
			if ctx.Err() == nil {
				v.t.Errorf("a viewer does not get a part: %v", err)
			}
			return
		}
		left, known := leftAt(a.Body)
		v.mu.Lock()
		switch {
		case a.Status != http.StatusOK:
			v.lost++
		case known && left.After(asked):
			v.late = append(v.late, a.At.Sub(left))
		}
		v.mu.Unlock()
	}
}

// reading takes the delays that were measured since the last one.
func (v *watchers) reading() []time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.late
	v.late = nil
	slices.Sort(all)
	return all
}

// calm measures for a time in which nothing happens.
func (v *watchers) calm(d time.Duration) {
	v.t.Helper()
	v.reading()
	testkit.EventuallyWithin(v.t, d+busySlack, "parts come while nothing happens", func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		return len(v.late) >= int(d/(200*time.Millisecond))*measurers*3/4
	})
	v.quiet = v.reading()
}

// halt ends whoever is still there, in the order in which they came.
func (v *watchers) halt() {
	for _, stop := range v.stop {
		stop()
	}
	v.stop = nil
}

// end takes the show off the air, and wants it to have been without a fault.
func (v *watchers) end() {
	v.t.Helper()
	select {
	case <-v.src.Gone():
		v.t.Error("the node sent the publisher away")
	default:
	}
	v.halt()
	v.src.Leave()
	select {
	case x := <-v.judged:
		if x.err != nil {
			v.t.Errorf("strict client: %v", x.err)
		}
		for _, wrong := range x.report.Violations {
			v.t.Errorf("%s", wrong)
		}
		f := x.report.Facts
		if f.Parts < 50 || f.Unavailable > 0 || f.Discontinuities > 0 || f.GapParts > 0 {
			v.t.Errorf("the strict client saw %d parts, %d gaps, %d discontinuities and %d waits in vain", f.Parts, f.GapParts, f.Discontinuities, f.Unavailable)
		}
		v.t.Logf("strict client: %d parts, %d updates, %d violations", f.Parts, f.Updates, len(x.report.Violations))
	case <-time.After(30 * time.Second):
		v.t.Error("the strict client did not come to an end")
	}
}

func shareOf(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}

// latencyFloor is what is no matter whatever the calm value is: the attackers have the same processor.
const latencyFloor = 20 * time.Millisecond

// judge compares delays under attack with those of before.
func (v *watchers) judge(all ...[]time.Duration) {
	v.t.Helper()
	for i, late := range append([][]time.Duration{v.quiet}, all...) {
		name := []string{"calm", "attacks", "crowd"}[i]
		half, most := shareOf(late, 0.5), shareOf(late, 0.99)
		v.t.Logf("added latency of parts, %s: p50 %v, p99 %v, max %v of %d (p50 %.2f, p99 %.2f of calm)", name, half, most, shareOf(late, 1), len(late),
			float64(half)/float64(max(1, shareOf(v.quiet, 0.5))), float64(most)/float64(max(1, shareOf(v.quiet, 0.99))))
		if len(late) == 0 {
			v.t.Errorf("%s: no part was measured", name)
		}
		if calm := shareOf(v.quiet, 0.5); *longRegions && half > 2*calm+latencyFloor {
			v.t.Errorf("%s: the median delay is %v; calm it is %v", name, half, calm)
		}
	}
}
