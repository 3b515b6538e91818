package top

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// maxText is the longest text that is taken over from the node, in bytes.
const maxText = 500

// Clean makes text fit for a terminal: what is no character, or would move the cursor, change the terminal's state or the order of
// what stands around it, becomes a question mark; line breaks and tabs become spaces.
func Clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// cells is how many columns a character takes on a terminal (Unicode Standard Annex 11).
func cells(r rune) int {
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Width is how many columns a text takes.
func Width(s string) (n int) {
	for _, r := range s {
		n += cells(r)
	}
	return n
}

// cut shortens a text to a width, the last column being an ellipsis where something is missing.
func cut(s string, columns int, ellipsis string) string {
	if Width(s) <= columns {
		return s
	}
	room := columns - Width(ellipsis)
	if room < 0 {
		return strings.Repeat(" ", max(0, columns))
	}
	n := 0
	for i, r := range s {
		if n += cells(r); n > room {
			return s[:i] + ellipsis
		}
	}
	return s
}

// pad fills a text up to a width, at its left for numbers.
func pad(s string, columns int, right bool) string {
	fill := strings.Repeat(" ", max(0, columns-Width(s)))
	if right {
		return fill + s
	}
	return s + fill
}

// plain leaves only ASCII, for terminals that know no more, in as many columns.
func plain(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r == '…':
			b.WriteByte('~')
		case r == '·':
			b.WriteByte('.')
		default:
			b.WriteString(strings.Repeat("?", cells(r)))
		}
	}
	return b.String()
}

// number writes a count: 999, 12.3k, 4.5M.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 1e9:
		return fmt.Sprintf("%.1fG", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.1fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	}
	return fmt.Sprintf("%.0f", v)
}

// rate writes bit/s.
func rate(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 1e9:
		return fmt.Sprintf("%.2f Gbit/s", v/1e9)
	case v >= 1e6:
		return fmt.Sprintf("%.1f Mbit/s", v/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", v/1e3)
}

// size writes bytes.
func size(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v >= 1<<30:
		return fmt.Sprintf("%.1f GiB", v/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", v/(1<<20))
}

// short writes a time in three to six columns: 12s, 5m12s, 3h07m, 12d.
func short(d time.Duration) string {
	s := int(d.Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd", s/86400)
}

// latency writes a part of a second.
func latency(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v < 0.001:
		return fmt.Sprintf("%.1f ms", v*1e3)
	case v < 1:
		return fmt.Sprintf("%.0f ms", v*1e3)
	}
	return fmt.Sprintf("%.1f s", v)
}

// dimensions of a picture.
func dimensions(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	return fmt.Sprintf("%dx%d", w, h)
}
