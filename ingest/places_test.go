package ingest

import (
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestPlaces(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddr
	var p Places
	for i, step := range []struct {
		from string
		want Full
	}{
		{"192.0.2.1", 0}, {"::ffff:192.0.2.1", 0}, {"192.0.2.1", FullNetwork}, // however the address is written
		{"2001:db8::1", 0}, {"2001:db8::2%eth0", 0}, {"2001:db8::3", FullNetwork}, // one host may have the whole network
		{"2001:db8:0:1::1", 0}, {"192.0.2.2", FullServer},
	} {
		if got := p.Take(at(step.from), 5, 2); got != step.want {
			t.Errorf("step %d, %s: %v, want %v", i, step.from, got, step.want)
		}
	}
	p.Leave(at("192.0.2.1"))
	if got := p.Take(at("192.0.2.1"), 5, 2); got != 0 {
		t.Errorf("a place that was given back is not there: %v", got)
	}
	for _, from := range []string{"192.0.2.1", "192.0.2.1", "2001:db8::ffff", "2001:db8::1", "2001:db8:0:1::9"} {
		p.Leave(at(from))
	}
	if p.Open() != 0 || len(p.byNetwork) != 0 {
		t.Errorf("%d places and %d networks are left", p.Open(), len(p.byNetwork))
	}
}

// TestRefusals: each reason of the door has a counter of its own, two servers share them, and what is not known is "other".
func TestRefusals(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	var servers []Refusals
	for range 2 {
		r := &Registrar{Registerer: reg}
		vec := Register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refusals_total", Help: "h"}, []string{"reason"}))
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		servers = append(servers, NewRefusals(vec))
	}
	servers[0].Count(ReasonLimit)
	servers[1].Count(ReasonLimit)
	servers[1].Count("something new")
	count := func(c prometheus.Counter) float64 {
		var m dto.Metric
		if err := c.Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	if a, b := count(servers[0][ReasonLimit]), count(servers[0][reasonOther]); a != 2 || b != 1 {
		t.Errorf("%v at the limit and %v others are counted", a, b)
	}
	r := &Registrar{Registerer: reg}
	Register(r, prometheus.NewGauge(prometheus.GaugeOpts{Name: "refusals_total", Help: "h"}))
	if r.Err == nil {
		t.Error("another kind of collector takes the name")
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"key=a%2Fb+c&x=1": "a/b+c", "x=1&key=%zz": "%zz", "keys=1": "", "key": "", "key=a=b": "a=b",
	} {
		if got := QueryValue(query, "key"); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if got := PlainText("a\x1b[2J\u202eb\xff\nc"); got != "a[2Jbc" {
		t.Errorf("plain text: %q", got)
	}
	long := ""
	for range 63 {
		long += "a"
	}
	if got := Clip(long + "éé"); got != long+"…" { // no half letters
		t.Errorf("clipped: %q", got)
	}
}
