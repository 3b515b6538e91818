package top

import "strings"

// Sequences for a terminal (ECMA-48, and the private modes of DEC and xterm that all terminals have).
const (
	// Enter saves the screen, switches to another one and hides the cursor; Leave undoes it.
	Enter = "\x1b[?1049h\x1b[?25l\x1b[?7l"
	Leave = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
	home  = "\x1b[H"
	wipe  = "\x1b[2K" // the line, before it is written: behind it the cursor stands on its last column
	below = "\x1b[0J" // to the end of the screen
)

var sgr = [...]string{Normal: "", Bold: "\x1b[1m", Dim: "\x1b[2m", Good: "\x1b[32m", Warn: "\x1b[33m", Bad: "\x1b[1;31m", Reverse: "\x1b[7m"}

// Text writes lines one after the other, with colours or without.
func Text(lines []Line, colour bool) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(inline(l, colour), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// Paint writes lines over what a screen of so many rows shows.
func Paint(lines []Line, rows int, colour bool) string {
	var b strings.Builder
	b.WriteString(home)
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(wipe)
		b.WriteString(inline(l, colour))
	}
	if len(lines) < rows {
		b.WriteString("\r\n" + below)
	}
	return b.String()
}

func inline(l Line, colour bool) string {
	var b strings.Builder
	for _, p := range l {
		if seq := sgr[p.Style]; seq != "" && colour {
			b.WriteString(seq + p.Text + "\x1b[0m")
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}
