package child

import "bytes"

// lineSplitter cuts what comes in pieces into lines, which end with a line feed or a carriage return. Empty lines are left
// out, and what is longer than most bytes is cut off. The zero value lacks only its limit.
type lineSplitter struct {
	most    int
	partial []byte // the begin of the line whose end has not come yet
}

// feed takes a piece and calls emit with each line that it ends. The line is lent for the call.
func (l *lineSplitter) feed(p []byte, emit func(line []byte)) {
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			l.keep(p)
			return
		}
		if len(l.partial) > 0 {
			l.keep(p[:end])
			l.flush(emit)
		} else if end > 0 {
			emit(p[:min(end, l.most)])
		}
		p = p[end+1:]
	}
}

// flush emits the line that has no end.
func (l *lineSplitter) flush(emit func(line []byte)) {
	if len(l.partial) > 0 {
		emit(l.partial)
		l.partial = l.partial[:0]
	}
}

// keep adds to the line that has not ended as much as there is room for.
func (l *lineSplitter) keep(p []byte) {
	l.partial = append(l.partial, p[:min(len(p), l.most-len(l.partial))]...)
}
