package node

import (
	"time"

	"pushcart/overlay"
	"pushcart/packager"
	"pushcart/packager/window"
)

// cardClass is the CLASS of a card's EXT-X-DATERANGE (rfc8216bis 4.4.5.1).
const cardClass = "live.pushcart.card"

// screen puts a desk's states into a packager's media.
type screen struct{ packager *packager.Packager }

// Announce implements overlay.Screen.
func (s screen) Announce(a overlay.Announcement) {
	out := packager.Announcement{Message: a.Message, Open: make([]window.DateRange, len(a.Open)), At: a.At}
	for i, r := range a.Open {
		out.Open[i] = window.DateRange{ID: r.ID, Class: cardClass, Value: r.Value}
	}
	if a.Frame != nil {
		out.Framed, out.Era, out.PTS = true, a.Frame.Era, a.Frame.PTS
	}
	if w, ok := a.Way.(*commandWay); ok {
		out.Bound, out.Published = w.bound, w.published
	}
	s.packager.Announce(out)
}

// Clock implements overlay.Screen.
func (s screen) Clock() time.Time { return s.packager.Clock() }
