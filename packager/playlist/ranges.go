package playlist

import (
	"time"

	"pushcart/packager/window"
)

// left tells whether a date range lies before the first segment that is listed: it is not in the playlist any more.
func left(d *window.DateRange, listed []*window.Segment) bool {
	return len(listed) > 0 && !d.End.IsZero() && !d.End.After(listed[0].Wall)
}

// ranges renders the date ranges (rfc8216bis 4.4.5.1), but for those that have not changed since settled: a client that may
// be given them not has them (6.2.5.1).
func (w *text) ranges(s *window.Snapshot, listed []*window.Segment, settled time.Time) {
	if s.Ranges == nil {
		return
	}
	for i := range s.Ranges.All {
		d := &s.Ranges.All[i]
		changed := d.Start
		if !d.End.IsZero() {
			changed = d.End
		}
		if left(d, listed) || changed.Before(settled) {
			continue
		}
		w.tag("#EXT-X-DATERANGE:ID=\"").tag(d.ID).tag("\",CLASS=\"").tag(d.Class).tag("\",START-DATE=\"").time(d.Start).tag("\"")
		if !d.End.IsZero() {
			w.tag(",END-DATE=\"").time(d.End).tag("\"")
		}
		w.tag(",X-PUSHCART-CARD=\"").tag(d.Value).tag("\"").end()
	}
}

// removed lists the date ranges that left the playlist not long ago, separated by tabs (4.4.5.2).
func (w *text) removed(s *window.Snapshot, listed []*window.Segment, ago time.Duration) *text {
	if s.Ranges == nil {
		return w
	}
	sep := ""
	for i := range s.Ranges.All {
		if d := &s.Ranges.All[i]; left(d, listed) && d.End.After(listed[0].Wall.Add(-ago)) {
			w.tag(sep).tag(d.ID)
			sep = "\t"
		}
	}
	return w
}
