package main

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestSamples(t *testing.T) {
	t.Parallel()
	s := samples{5, 1, 4, 2, 3}
	for q, want := range map[float64]float64{0: 1, 0.2: 1, 0.21: 2, 0.5: 3, 0.99: 5, 1: 5} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile %g: %g, want %g", q, got, want)
		}
	}
	if got := (samples{4, 1, 2, 3}).median(); got != 2.5 {
		t.Errorf("median of four: %g", got)
	}
	if !math.IsNaN(samples(nil).median()) {
		t.Error("the median of nothing is something")
	}
	if s[0] != 5 {
		t.Error("the samples were reordered")
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    row
		want string
	}{
		"at most":         {row{value: 1.6, target: 1.6, bound: atMost}, "ok"},
		"above":           {row{value: 1.61, target: 1.6, bound: atMost}, "MISS"},
		"at least":        {row{value: 0.8, target: 0.8, bound: atLeast}, "ok"},
		"below":           {row{value: 0.79, target: 0.8, bound: atLeast}, "MISS"},
		"no value":        {row{value: math.NaN(), target: 1, bound: atMost}, "MISS"},
		"only shown":      {row{value: 7}, ""},
		"not to be found": {failure("x", errors.New("broken")), "FAILED"},
	} {
		if got := c.r.verdict(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestPrintTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	printTable(&b, []row{
		figure("CPU", samples{1.2, 1.4, 1.3}, "", 1.6, atMost).aim(1.3),
		figure("requests", samples{52100}, " /s", 0, shown),
		figure("ratio", samples{0.5}, "", 0.8, atLeast),
		failure("glass", errors.New("no browser\nand more of that")),
	})
	want := `| figure   |   median | runs         | target           |        |
|----------|---------:|--------------|------------------|--------|
| CPU      |     1.30 | 1.20 to 1.40 | ≤ 1.60, aim 1.30 | ok     |
| requests | 52100 /s |              |                  |        |
| ratio    |    0.500 |              | ≥ 0.800          | MISS   |
| glass    |        - | no browser   |                  | FAILED |
`
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}
