package node

import (
	"fmt"
	"time"

	"pushcart/internal/webhooks"
	"pushcart/overlay"
)

const (
	// frameWithin is how long a card that is shown waits for its frame before it is told without.
	frameWithin = 2 * time.Second
	// newsOf is how old a line of a timeline may be and still be news: older ones are of the node's last life, or of another node.
	newsOf = 30 * time.Second
	// newsFirst is that for a stream whose cards nobody has looked at yet.
	newsFirst = 5 * time.Second
	// mostSeen is of how many streams it is remembered what was told.
	mostSeen = 4096
	// earlyFrame is by how much a card's frame may be dated before its command, because clocks differ.
	earlyFrame = 10 * time.Second
)

// cardHooks is what was told of cards.
type cardHooks struct {
	seen    map[string]*seenCards
	waiting []cardEvent // in order
}

// seenCards is what was told of one stream's.
type seenCards struct {
	lines  map[cardLine]bool // its timeline; the value tells whether the end was told
	framed map[string]string // by slot, the last showing whose frame was told: a card may be shown again at once
}

// cardLine is a line of a timeline.
type cardLine struct {
	slot, card string
	rev, from  int64 // ms
}

// cardEvent waits to be told.
type cardEvent struct {
	stream string
	line   overlay.ShownView
	hidden bool
	until  time.Time // it waits for its frame until then
}

// readCards finds what has changed on a stream's timeline.
func (h *hooks) readCards(name string, now time.Time) {
	v := h.view(name)
	if v == nil {
		return
	}
	c := &h.cards
	before, news := c.seen[name], newsOf
	if before == nil {
		before, news = &seenCards{framed: map[string]string{}}, newsFirst
		if len(c.seen) >= mostSeen {
			for other := range c.seen {
				delete(c.seen, other)
				break
			}
		}
	}
	after := &seenCards{lines: make(map[cardLine]bool, len(v.Timeline)), framed: before.framed}
	for i := len(v.Timeline) - 1; i >= 0; i-- { // the oldest first
		l := v.Timeline[i]
		k := cardLine{l.Slot, l.Card, l.Rev, l.From.UnixMilli()}
		ended, known := before.lines[k]
		if !known && now.Sub(l.From) < news {
			c.waiting = append(c.waiting, cardEvent{stream: name, line: l, until: now.Add(frameWithin)})
		}
		if l.To != nil && !ended && now.Sub(*l.To) < news {
			c.waiting = append(c.waiting, cardEvent{stream: name, line: l, hidden: true})
		}
		after.lines[k] = l.To != nil
	}
	c.seen[name] = after
}

// tellCards tells what has its frame, or needs none, each stream's in order; waits is true while some have not.
func (h *hooks) tellCards(now time.Time, end bool) (waits bool) {
	c := &h.cards
	held := map[string]bool{}
	rest := c.waiting[:0]
	for i := range c.waiting {
		e := &c.waiting[i]
		if held[e.stream] || !h.tellCard(e, now, end) {
			held[e.stream] = true
			rest = append(rest, *e)
		}
	}
	clear(c.waiting[len(rest):])
	c.waiting = rest
	return len(rest) > 0
}

// tellCard tells of one card, unless it waits for its frame.
func (h *hooks) tellCard(e *cardEvent, now time.Time, end bool) bool {
	l := &e.line
	if e.hidden {
		h.emit(webhooks.Event{Type: webhooks.CardHidden, Stream: e.stream, Time: *l.To, Data: webhooks.Hidden{
			Slot: l.Slot, Card: l.Card, Revision: l.Rev, At: l.To.UTC(), ShownSeconds: seconds(l.To.Sub(l.From)),
		}})
		return true
	}
	data := webhooks.Shown{Slot: l.Slot, Card: l.Card, Revision: l.Rev, At: l.From.UTC(), Source: l.Source}
	before := ""
	seen := h.cards.seen[e.stream]
	if seen != nil {
		before = seen.framed[l.Slot]
	}
	at, id, live := h.framed(e.stream, l, before)
	switch {
	case id != "":
		at = at.UTC()
		data.FrameAt = &at
		if seen != nil {
			seen.framed[l.Slot] = id
		}
	case live && !end && now.Before(e.until):
		return false
	}
	h.emit(webhooks.Event{Type: webhooks.CardShown, Stream: e.stream, Time: l.From, Data: data})
	return true
}

// framed finds the frame of a card that is shown, in the date ranges of the stream's playlist.
func (n *Node) framed(name string, l *overlay.ShownView, before string) (at time.Time, id string, live bool) {
	p := n.registry.Get(name)
	if s := n.hub.Get(name); s == nil || p == nil {
		return at, "", false
	}
	want := fmt.Sprintf("%s/%s/%d", l.Slot, l.Card, l.Rev)
	for _, r := range p.Load().Renditions {
		set := r.Load().Ranges
		if set == nil {
			continue
		}
		for i := len(set.All) - 1; i >= 0; i-- {
			d := &set.All[i]
			if d.ID == before {
				return at, "", true // what is older was told
			}
			if d.Value == want && d.Start.After(l.From.Add(-earlyFrame)) {
				return d.Start, d.ID, true
			}
		}
	}
	return at, "", true
}
