package node

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"pushcart/internal/stream"
	"pushcart/packager/hls"
	"pushcart/packager/window"
)

// BenchmarkScrape is a scrape of a node with 100 streams, of three renditions and a minute of media each.
func BenchmarkScrape(b *testing.B) {
	reg := newRegistry("bench")
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return nil },
	})
	defer hub.Close()
	shows := hls.NewRegistry()
	hls.NewMetrics(reg)
	newNodeMetrics(reg, time.Now)
	registerGauges(reg, hub, shows, func() bool { return true })
	picture := &stream.Track{ID: 0, Codec: stream.H264, ClockRate: 90000}
	sound := &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000}
	for i := range 100 {
		name := fmt.Sprint("show-", i)
		s, err := hub.Publish(name, stream.Publisher{Credential: "key"})
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range []*stream.Track{picture, sound} {
			if err := s.SetTrack(t); err != nil {
				b.Fatal(err)
			}
			if err := s.Write(&stream.Frame{Track: t, Key: true, Payload: make([]byte, 1000)}); err != nil {
				b.Fatal(err)
			}
		}
		s.Drop("damaged")
		p := window.NewPresentation(name, window.Settings{TargetDuration: 3, DVR: time.Minute})
		for r := range 3 {
			rendition := p.AddRendition(fmt.Sprint("r", r), r < 2, 1)
			for part := range 300 {
				var begin *window.Segment
				if part%10 == 0 {
					begin = &window.Segment{Wall: time.Now()}
				}
				p.Append(rendition, window.Part{Data: make([]byte, 10), Duration: window.Rate / 5, Independent: part%10 == 0}, begin)
			}
		}
		shows.Add(p)
	}
	handler := metricsHandler(reg)
	request := httptest.NewRequest("GET", "/metrics", nil)
	b.ReportAllocs()
	var w *httptest.ResponseRecorder
	for b.Loop() {
		w = httptest.NewRecorder()
		handler.ServeHTTP(w, request)
	}
	if w.Code != 200 {
		b.Fatal(w.Body)
	}
	b.ReportMetric(float64(w.Body.Len()), "bytes")
	all, err := reg.Gather()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(series(all)), "series")
}

// TestStreamMetricsKeepNothing: streams that are over leave no series, and no memory of themselves.
func TestStreamMetricsKeepNothing(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	now := time.Unix(1e9, 0)
	m := newNodeMetrics(reg, func() time.Time { return now })
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Hour },
		Attach:          func(*stream.Stream) []stream.Consumer { return nil },
		Changed:         m.changed,
	})
	shows := hls.NewRegistry()
	shows.NumbersBack = m.numbersBack.Inc
	registerGauges(reg, hub, shows, func() bool { return false })
	without, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		s, err := hub.Publish(fmt.Sprint("show-", i), stream.Publisher{Credential: "key"})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	with, err := reg.Gather() // the pedantic registry finds what is twice or inconsistent
	if err != nil || series(with) < series(without)+50 {
		t.Fatalf("%d series, and %d with 50 streams: %v", series(without), series(with), err)
	}
	hub.Close()
	after, err := reg.Gather()
	if err != nil || series(after) != series(without) || len(m.away) != 0 {
		t.Errorf("%d series before, %d afterwards, %d streams are remembered: %v", series(without), series(after), len(m.away), err)
	}
}

// TestNumbersBack: numbers that go back are counted, from one presentation to the next and within one, and others are not.
func TestNumbersBack(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := newNodeMetrics(reg, time.Now)
	shows := hls.NewRegistry()
	shows.NumbersBack = m.numbersBack.Inc
	show := func(first int64) *window.Presentation {
		p := window.NewPresentation("show", window.Settings{TargetDuration: 3, DVR: time.Minute, FirstMSN: first})
		shows.Add(p)
		r := p.AddRendition("video", true, first)
		for part := range 30 {
			var begin *window.Segment
			if part%10 == 0 {
				begin = &window.Segment{Wall: time.Now()}
			}
			p.Append(r, window.Part{Data: make([]byte, 10), Duration: window.Rate / 5, Independent: true}, begin)
		}
		p.End()
		return p
	}
	expect := func(want float64) {
		t.Helper()
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			if f.GetName() == "pushcart_window_numbers_back_total" && f.Metric[0].Counter.GetValue() != want {
				t.Errorf("%v were counted, want %v", f.Metric[0].Counter.GetValue(), want)
			}
		}
	}
	show(100)
	show(103)
	expect(0)
	show(105) // 106 is the next number
	expect(1)
}

// series counts those of a scrape.
func series(all []*dto.MetricFamily) (n int) {
	for _, f := range all {
		n += len(f.Metric)
	}
	return n
}
