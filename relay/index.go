package relay

import (
	"bytes"
	"context"
	"slices"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// indexLog tells of a stream all that is not media: what it consists of, and its cards.
type indexLog struct {
	*log
	hello wire.Hello // as it was told last
	view  *window.View
	cards map[cardKey]cardMark
	desk  []byte
}

// cardKey is a revision of a card, of which there may be several at a time; cardMark is what of it was told last.
type (
	cardKey struct {
		id         string
		rev, epoch int64
	}
	cardMark struct{ shown, ended bool }
)

func (x *indexLog) run(ctx context.Context) error {
	for {
		if err := x.tellHello(); err != nil {
			return err
		}
		view := x.presentation.Load()
		if view != x.view {
			x.view = view
			if err := x.record(wire.AppendJSON(x.scratch[:0], wire.TypeView, viewOf(view))); err != nil {
				return err
			}
		}
		changed, err := x.tellCards()
		if err != nil {
			return err
		}
		if x.out.Buffered() > 0 {
			if err := x.flush(); err != nil {
				return err
			}
		}
		if view.Ended {
			return &reasonError{reason: wire.Ended}
		}
		if err := x.wait(ctx, view.Changed(), changed, nil); err != nil {
			return err
		}
	}
}

// tellHello says hello, when there is something new in it: the origin may be another one now, or the way that the stream takes.
func (x *indexLog) tellHello() error {
	h := x.log.hello()
	if h.Gen == x.hello.Gen && h.Keys == x.hello.Keys && slices.Equal(h.Path, x.hello.Path) {
		return nil
	}
	x.hello = h
	return x.record(wire.AppendJSON(x.scratch[:0], wire.TypeHello, h))
}

// tellCards sends the cards that have changed, and the desk.
func (x *indexLog) tellCards() (changed <-chan struct{}, err error) {
	source := x.log.cards()
	if source == nil {
		return nil, nil
	}
	now := source.Snapshot()
	told := make(map[cardKey]cardMark, len(now.Cards)) // of those that there are, so that it does not grow with the show
	for i := range now.Cards {
		c := &now.Cards[i]
		key, mark := cardKey{c.ID, c.Rev, c.Epoch}, cardMark{c.Shown, c.Ended}
		told[key] = mark
		if before, known := x.cards[key]; known && before == mark {
			continue
		}
		if err := x.record(wire.AppendJSON(x.scratch[:0], wire.TypeCard, c)); err != nil {
			return nil, err
		}
	}
	x.cards = told
	if !bytes.Equal(now.Desk, x.desk) {
		x.desk = now.Desk
		if err := x.record(wire.AppendDesk(x.scratch[:0], now.Desk)); err != nil {
			return nil, err
		}
	}
	return now.Changed, nil
}
