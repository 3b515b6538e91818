package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// bound says how a figure is held against its target.
type bound int

const (
	shown   bound = iota // without a target
	atMost               // the figure must not be above it
	atLeast              // nor below
)

// row is one line of the table.
type row struct {
	name   string
	value  float64
	low    float64 // of all runs
	high   float64
	unit   string
	target float64
	bound  bound
	hope   float64 // beyond the target; 0 is none
	failed error   // why there is no value
}

// samples are one figure's values, a run each.
type samples []float64

func (s *samples) add(v float64) { *s = append(*s, v) }

// quantile of the values, by the nearest rank; NaN of none.
func (s samples) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, max(0, int(math.Ceil(q*float64(len(sorted))))-1))]
}

// median of the values: of an even number, the mean of the two in the middle.
func (s samples) median() float64 {
	if len(s)%2 == 1 || len(s) == 0 {
		return s.quantile(0.5)
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[len(s)/2-1] + sorted[len(s)/2]) / 2
}

// figure makes a row of the median of a figure's values.
func figure(name string, s samples, unit string, target float64, b bound) row {
	r := row{name: name, value: s.median(), unit: unit, target: target, bound: b}
	r.low, r.high = s.quantile(0), s.quantile(1)
	return r
}

// aim adds what is hoped for beyond the target.
func (r row) aim(v float64) row {
	r.hope = v
	return r
}

// failure makes a row of what could not be measured.
func failure(name string, err error) row { return row{name: name, failed: err} }

// verdict is ok or MISS, or nothing where there is no target.
func (r row) verdict() string {
	switch {
	case r.failed != nil:
		return "FAILED"
	case r.bound == shown:
		return ""
	case math.IsNaN(r.value), r.bound == atMost && r.value > r.target, r.bound == atLeast && r.value < r.target:
		return "MISS"
	}
	return "ok"
}

// goal is the target as the table shows it.
func (r row) goal() string {
	if r.bound == shown || r.failed != nil {
		return ""
	}
	sign := "≤ "
	if r.bound == atLeast {
		sign = "≥ "
	}
	text := sign + number(r.target) + r.unit
	if r.hope != 0 {
		text += ", aim " + number(r.hope)
	}
	return text
}

// cells are the row's texts by column.
func (r row) cells() [5]string {
	if r.failed != nil {
		first, _, _ := strings.Cut(r.failed.Error(), "\n")
		return [5]string{r.name, "-", first, "", r.verdict()}
	}
	spread := ""
	if r.low != r.high {
		spread = number(r.low) + " to " + number(r.high)
	}
	return [5]string{r.name, number(r.value) + r.unit, spread, r.goal(), r.verdict()}
}

// number writes three significant digits.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1 || a == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// printTable writes the rows as a Markdown table whose columns line up.
func printTable(w io.Writer, rows []row) {
	lines := [][5]string{{"figure", "median", "runs", "target", ""}}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	var widths [5]int
	for _, l := range lines {
		for i, c := range l {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for n, l := range lines {
		for i, c := range l {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i == 1 {
				c = pad + c
			} else {
				c += pad
			}
			fmt.Fprintf(w, "| %s ", c)
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for i := range widths {
				dashes := strings.Repeat("-", widths[i]+1)
				if i == 1 {
					dashes += ":"
				} else {
					dashes = "-" + dashes
				}
				fmt.Fprintf(w, "|%s", dashes)
			}
			fmt.Fprintln(w, "|")
		}
	}
}
