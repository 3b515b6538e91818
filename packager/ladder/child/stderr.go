package child

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is kept of standard error.
const (
	mostLines   = 20
	mostLine    = 400  // bytes, of a line that is kept
	mostRawLine = 1024 // bytes, of a line before it is cleaned
)

// lastLines keeps the last lines that differ. A line that comes again is counted and becomes the last: ffmpeg says the same
// two or three things about each frame of damaged media.
type lastLines struct {
	split   lineSplitter // used by write's goroutine alone, like scratch
	scratch []byte

	mu   sync.Mutex
	kept []line // guarded by mu, oldest first
}

// line is what was said, and how many times.
type line struct {
	text  string
	times int
}

func newLastLines() *lastLines { return &lastLines{split: lineSplitter{most: mostRawLine}} }

// write takes a piece of standard error.
func (l *lastLines) write(p []byte) { l.split.feed(p, l.add) }

// end takes the last line, should it have no end.
func (l *lastLines) end() { l.split.flush(l.add) }

// add takes a line.
func (l *lastLines) add(raw []byte) {
	l.scratch = appendClean(l.scratch[:0], raw)
	text := l.scratch
	if len(text) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := slices.IndexFunc(l.kept, func(k line) bool { return k.text == string(text) }); at >= 0 {
		again := l.kept[at]
		again.times++
		l.kept = append(slices.Delete(l.kept, at, at+1), again)
		return
	}
	if len(l.kept) == mostLines {
		l.kept = slices.Delete(l.kept, 0, 1)
	}
	l.kept = append(l.kept, line{string(text), 1})
}

// all returns the lines, oldest first.
func (l *lastLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	texts := make([]string, len(l.kept))
	for i, k := range l.kept {
		texts[i] = k.text
		if k.times > 1 {
			texts[i] = fmt.Sprintf("%s (%d times)", k.text, k.times)
		}
	}
	return texts
}

// consequences are what ffmpeg says after it has said what is wrong, by their beginnings, those first that say least.
var consequences = []string{
	"Conversion failed!", "Exiting normally, received signal",
	"Terminating thread", "Task finished with error code", "Error sending frames to consumers", "Could not open encoder before EOF",
	"Nothing was written into output file", "Output file is empty",
	"Device creation failed", "Error parsing global options", "Error opening output",
	"Error while processing the decoded data", "Error while filtering", "Failed to inject frame into filter network",
	"Error reinitializing filters",
	"Error initializing output stream", "Error while opening encoder",
	"Failed to set value", "Could not dynamically load CUDA",
}

// telling returns the line that says best what is wrong, of those that say as much the last one; "" if nothing was said.
func (l *lastLines) telling() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	best, text := -1, ""
	for _, k := range l.kept {
		if n := worth(k.text); n >= best {
			best, text = n, k.text
		}
	}
	return text
}

// worth is how much a line says about what is wrong, compared to others.
func worth(text string) int {
	// "[vost#0:0/h264_nvenc] Error while opening encoder", as versions 6 and later write it.
	if _, after, ok := strings.Cut(text, "] "); ok && strings.HasPrefix(text, "[") {
		text = after
	}
	if i := slices.IndexFunc(consequences, func(c string) bool { return strings.HasPrefix(text, c) }); i >= 0 {
		return i
	}
	return len(consequences)
}

// appendClean appends a line as it may stand in a log or a page: without terminal sequences, control characters, invisible
// ones that change the direction of writing, and the addresses in memory that ffmpeg adds to names ("[h264 @ 0x55d0]"), which
// would make each of its lines a new one.
func appendClean(b, raw []byte) []byte {
	begin := len(b)
	for len(raw) > 0 {
		if n := skipped(raw); n > 0 {
			raw = raw[n:]
			continue
		}
		r, n := utf8.DecodeRune(raw)
		raw = raw[n:]
		switch {
		case r == '\t':
			r = ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
			continue
		}
		if len(b)-begin+utf8.RuneLen(r) > mostLine-len("…") {
			b = append(b, "…"...)
			break
		}
		b = utf8.AppendRune(b, r)
	}
	return append(b[:begin], bytes.TrimSpace(b[begin:])...)
}

// skipped is how many bytes at the begin are a terminal sequence or an address.
func skipped(raw []byte) int {
	isEnd := func(r rune) bool { return r >= 0x40 && r <= 0x7e }
	isNoDigit := func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }
	switch {
	case bytes.HasPrefix(raw, []byte("\x1b[")): // ECMA-48 5.4: parameters, then a final byte from 0x40 on
		if end := bytes.IndexFunc(raw[2:], isEnd); end >= 0 {
			return 2 + end + 1
		}
		return len(raw)
	case bytes.HasPrefix(raw, []byte(" @ 0x")):
		if end := bytes.IndexFunc(raw[5:], isNoDigit); end >= 0 {
			return 5 + end
		}
		return len(raw)
	}
	return 0
}
