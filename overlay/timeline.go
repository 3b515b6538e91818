package overlay

import (
	"slices"
	"time"
)

// mostShown is how many lines of the timeline are kept.
const mostShown = 500

// timeline is what was shown when, the oldest first. It is the clerk's.
type timeline struct{ lines []ShownView }

// add enters what changed in the slots.
func (t *timeline) add(changes []slotRecord, source string) {
	for _, r := range changes {
		at := fromMillis(r.Since)
		t.end(r.Slot, at)
		if r.Card != "" {
			t.lines = append(t.lines, ShownView{Slot: r.Slot, Card: r.Card, Rev: r.Rev, From: at, Source: source})
		}
	}
	if n := len(t.lines) - mostShown; n > 0 {
		t.lines = slices.Delete(t.lines, 0, n)
	}
}

// end closes the line of what a slot has shown so far, not before it began.
func (t *timeline) end(slot string, at time.Time) {
	for i := len(t.lines) - 1; i >= 0; i-- {
		if l := &t.lines[i]; l.Slot == slot {
			if l.To == nil {
				if at.Before(l.From) {
					at = l.From
				}
				l.To = &at
			}
			return
		}
	}
}

// mend closes the lines of what is not shown after all.
func (t *timeline) mend(c *core) {
	for i := range t.lines {
		l := &t.lines[i]
		if s := c.slot(l.Slot); l.To == nil && (s == nil || s.Card != l.Card || s.Rev != l.Rev) {
			from := l.From
			l.To = &from
		}
	}
}

// view is the timeline as views have it, the latest first.
func (t *timeline) view() []ShownView {
	v := make([]ShownView, len(t.lines))
	for i, l := range t.lines {
		v[len(v)-1-i] = l
	}
	return v
}
