package top

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// View is what the operator chose to see.
type View struct {
	// Sort is one of the columns By…; Reversed turns it round.
	Sort     int
	Reversed bool
	// Filter is text that a stream has in its name, state, protocol or agent; "" is all.
	Filter string
	// Typing tells that the filter is being typed.
	Typing bool
	// Advice shows all advice, a line each.
	Advice bool
	// Help shows the keys.
	Help bool
	// Paused leaves the screen as it is.
	Paused bool
	// Top is the first stream that is shown.
	Top int
}

// maxFilter is the longest filter, in bytes.
const maxFilter = 64

// sortKeys change the order.
var sortKeys = map[byte]int{'n': ByName, 'v': ByViewers, 'b': ByBitrate, 'u': ByUptime, 'l': ByLag, 'd': ByDrops}

// Key takes what was typed, which may be several keys and what a terminal sends for arrows. It returns true when the operator wants
// to leave.
func (v *View) Key(b []byte) (quit bool) {
	for len(b) > 0 {
		if rest, ok := v.arrow(b); ok {
			b = rest
			continue
		}
		r, n := utf8.DecodeRune(b)
		if v.Typing {
			v.typed(b[:n], r)
		} else if v.command(b[0]) {
			return true
		}
		b = b[n:]
	}
	return false
}

// arrow takes a key that a terminal sends as an escape sequence (ECMA-48, 5.4).
func (v *View) arrow(b []byte) (rest []byte, ok bool) {
	if len(b) < 3 || b[0] != 0x1b || b[1] != '[' && b[1] != 'O' {
		return b, false
	}
	end := slices.IndexFunc(b[2:], func(c byte) bool { return c >= 0x40 && c <= 0x7e })
	if end < 0 {
		return nil, true
	}
	switch string(b[2 : 3+end]) {
	case "A":
		v.Top--
	case "B":
		v.Top++
	case "5~":
		v.Top -= 10
	case "6~":
		v.Top += 10
	case "H", "1~":
		v.Top = 0
	}
	v.Top = max(0, v.Top)
	return b[3+end:], true
}

// typed adds to the filter.
func (v *View) typed(b []byte, r rune) {
	switch {
	case r == '\r' || r == '\n':
		v.Typing = false
	case r == 0x1b || r == 0x03:
		v.Typing, v.Filter = false, ""
	case r == 0x7f || r == '\b':
		_, n := utf8.DecodeLastRuneInString(v.Filter)
		v.Filter = v.Filter[:len(v.Filter)-n]
	case r == 0x15: // ^U
		v.Filter = ""
	case len(v.Filter)+len(b) <= maxFilter && r >= ' ' && r != utf8.RuneError:
		v.Filter += Clean(string(r))
	}
	v.Top = 0
}

func (v *View) command(c byte) (quit bool) {
	if by, ok := sortKeys[c]; ok {
		v.Reversed = v.Sort == by && !v.Reversed
		v.Sort, v.Top = by, 0
		return false
	}
	switch c {
	case 'q', 0x03, 0x04: // ^C, ^D
		return true
	case '/':
		v.Typing, v.Filter, v.Top = true, "", 0
	case 0x1b:
		v.Filter, v.Help = "", false
	case 's':
		v.Sort, v.Reversed = (v.Sort+1)%columns, false
	case 'r':
		v.Reversed = !v.Reversed
	case 'a':
		v.Advice = !v.Advice
	case 'p', ' ':
		v.Paused = !v.Paused
	case '?', 'h':
		v.Help = !v.Help
	case 'j':
		v.Top++
	case 'k':
		v.Top = max(0, v.Top-1)
	case 'g':
		v.Top = 0
	}
	return false
}

// help lists the keys.
var help = strings.Split(`q            leave
n v b u l d  sort by name, viewers, bitrate, uptime, lag, drops; again: reverse
s r          next order, reverse
/            filter by name, state, protocol or agent; Esc: all
a            all advice, or the first of each stream
p            pause
arrows, g    scroll, to the top
?            these keys`, "\n")
