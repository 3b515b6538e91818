package overlay

import (
	"slices"
	"time"
)

// snapshot is a part of all that a desk knows. The first one of a row has what is single.
type snapshot struct {
	First    *scalars      `json:"first,omitempty"`
	Slots    []slotRecord  `json:"slots,omitempty"`
	Plans    []planRecord  `json:"plans,omitempty"`
	Cards    []cardRecord  `json:"cards,omitempty"`
	Shown    []shownRecord `json:"shown,omitempty"`
	Timeline []ShownView   `json:"timeline,omitempty"`
	Keys     []keyRecord   `json:"keys,omitempty"`
}

// scalars are the single values of a core.
type scalars struct {
	Stream  string `json:"stream"`
	Epoch   int64  `json:"epoch"`
	Seq     int64  `json:"seq"`
	List    int64  `json:"list"`
	Planned int64  `json:"planned,omitempty"`
	Floor   int64  `json:"floor,omitempty"`
	Base    int64  `json:"base,omitempty"`
	InBand  *bool  `json:"in_band,omitempty"`
	Changes int64  `json:"changes,omitempty"`
	Edited  int64  `json:"edited,omitempty"`
}

// shownRecord is a revision that was shown and is no longer.
type shownRecord struct {
	cardRecord
	Ended int64 `json:"ended"` // Unix ms
}

// books are what a desk remembers besides its core. They change when a record is in the journal, and not before.
type books struct {
	timeline timeline
	keys     keyring
	shelf    *shelf
}

// apply enters a record that took the desk from one core to another.
func (b *books) apply(r *record, before, after *core) {
	if s := r.Snapshot; s != nil {
		b.load(s)
		b.shelf.apply(before, after, fromMillis(r.At)) // what is shown, once its card has been read
	}
	if len(r.Slots) > 0 {
		b.timeline.add(r.Slots, r.Source)
		b.shelf.apply(before, after, fromMillis(r.At))
	}
	if r.Key != nil {
		b.keys.add(r.Key)
	}
}

// load takes a snapshot's part into the core.
func (c *core) load(s *snapshot) {
	if f := s.First; f != nil {
		*c = core{stream: f.Stream, epoch: f.Epoch, seq: f.Seq, list: f.List, planned: f.Planned, floor: f.Floor, base: f.Base, inBand: f.InBand,
			changes: max(f.Changes, f.List), edited: f.Edited} // journals of earlier versions do not count changes
	}
	for _, r := range s.Cards {
		c.cards = append(slices.Clip(c.cards), CardView{ID: r.ID, Rev: r.Rev, UpdatedAt: fromMillis(r.At), Card: r.Doc})
	}
	c.applySlots(s.Slots)
	for _, p := range s.Plans {
		c.applyPlan(p)
	}
}

// load takes a snapshot's part into the books.
func (b *books) load(s *snapshot) {
	if s.First != nil {
		*b = books{shelf: &shelf{}}
	}
	for _, r := range s.Shown {
		v := revision{r.ID, r.Rev}
		b.shelf.show(v, r.Doc)
		b.shelf.end(v, fromMillis(r.Ended))
	}
	b.timeline.lines = append(b.timeline.lines, s.Timeline...)
	for i := range s.Keys {
		b.keys.add(&s.Keys[i])
	}
}

// partSize is about how large the records of a snapshot are, in bytes.
const partSize = 256 << 10

// snapshots are the records that stand for all that the core and the books hold, as the journal has them.
func snapshots(c *core, b *books) ([][]byte, error) {
	w := snapshotWriter{part: &snapshot{First: &scalars{
		Stream: c.stream, Epoch: c.epoch, Seq: c.seq, List: c.list, Planned: c.planned, Floor: c.floor, Base: c.base, InBand: c.inBand,
		Changes: c.changes, Edited: c.edited,
	}}}
	for _, s := range c.slots {
		w.part.Slots = append(w.part.Slots, slotRecord{s.Slot, s.Card, s.Rev, millis(s.Since)})
	}
	w.part.Plans = c.plans
	for _, v := range c.cards {
		w.part.Cards = append(w.part.Cards, cardRecord{v.ID, v.Rev, millis(v.UpdatedAt), v.Card})
		w.grow(len(v.Card))
	}
	for _, it := range b.shelf.ended {
		w.part.Shown = append(w.part.Shown, shownRecord{cardRecord{ID: it.card, Rev: it.rev, Doc: it.doc}, millis(it.ended)})
		w.grow(len(it.doc))
	}
	for _, l := range b.timeline.lines {
		w.part.Timeline = append(w.part.Timeline, l)
		w.grow(0)
	}
	for _, k := range b.keys.queue {
		w.part.Keys = append(w.part.Keys, *k)
		w.grow(0)
	}
	w.flush()
	return w.records, w.err
}

// snapshotWriter cuts a snapshot into records.
type snapshotWriter struct {
	part    *snapshot
	size    int
	records [][]byte
	err     error
}

// grow counts an entry, with so many bytes of a document.
func (w *snapshotWriter) grow(doc int) {
	if w.size += doc + 300; w.size >= partSize {
		w.flush()
	}
}

func (w *snapshotWriter) flush() {
	b, err := (&record{Snapshot: w.part}).encode()
	if err != nil && w.err == nil {
		w.err = err
	}
	w.records = append(w.records, b)
	w.part, w.size = &snapshot{}, 0
}

// replay reads a journal's records.
func replay(records [][]byte) (core, books, error) {
	c, b := core{}, books{shelf: &shelf{}}
	for _, raw := range records {
		r, err := decodeRecord(raw)
		if err != nil {
			return c, b, err
		}
		before := c
		c = c.apply(r)
		b.apply(r, &before, &c)
	}
	return c, b, nil
}

// mend makes core and books agree with one another, whatever was read.
func mend(c *core, b *books, now time.Time) {
	c.mend()
	b.timeline.mend(c)
	b.shelf.mend(c, now)
}
