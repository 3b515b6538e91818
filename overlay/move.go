package overlay

import (
	"slices"
)

// Export returns all that a stream's desk has, for another node to go on with: see Import. ok is false when there is nothing of the
// stream. It opens the journal if there is one, and never makes one.
func (d *Desks) Export(name string) (snapshot []byte, ok bool) {
	var c core
	var b books
	found := d.visit(name, func(w *clerk) error {
		c = w.core
		b = books{
			timeline: timeline{slices.Clone(w.books.timeline.lines)}, keys: keyring{queue: slices.Clone(w.books.keys.queue)},
			shelf: &shelf{ended: w.books.shelf.newest(mostPastBytes)},
		}
		return nil
	}, false)
	if found != nil {
		return nil, false
	}
	snapshot, err := pack(&c, &b, MostSnapshot)
	if err != nil {
		d.opt.Log.Error("the state of a stream's cards cannot be given to other nodes", "stream", name, "error", err)
		return nil, false
	}
	return snapshot, true
}

// Import takes over what another node's desk of the stream had, as Export told it. To be called before the stream begins here
// (Follow). Of the two states that is in force afterwards which viewers saw last: the one that was changed, or shown by a stream, in
// the later epoch, and of the same epoch the one with more changes. It is on the disk when Import returns. The desk's epoch is
// above both, whatever the clock says, and new revisions are above those of both where the other has some that it has not.
// After an error nothing is changed.
func (d *Desks) Import(name string, snapshot []byte) error {
	if refusal := checkName(name); refusal != nil {
		return refusal
	}
	c, b, err := unpack(name, snapshot)
	if err != nil {
		d.metrics.imports.WithLabelValues(importRefused).Inc()
		return err
	}
	return d.visit(name, func(w *clerk) error { return w.adopt(c, b) }, true)
}

// visit has a desk's clerk do something and returns what that came to. Its errors are those of do, or a *Refusal.
func (d *Desks) visit(name string, do func(*clerk) error, create bool) error {
	k := d.find(name)
	if k == nil {
		if !create {
			if there, err := d.opt.fs.Exists(d.path(name)); checkName(name) != nil || err != nil || !there {
				return refuse(ReasonNotFound, "stream", "There is nothing of a stream %q.", clip(name))
			}
		}
		var refusal *Refusal
		if k, refusal = d.handle(name); refusal != nil {
			return refusal
		}
	}
	done := make(chan error, 1)
	w, refusal := k.enter(create)
	for refusal == nil {
		if w.call(func() { done <- do(w) }) {
			return <-done
		}
		w, refusal = k.wait() // it is being closed, as idle: open it again
	}
	return refusal
}

// newer tells whether a state from elsewhere is what viewers saw later than this one.
func (c *core) newer(than *core) bool {
	switch {
	case than.changes == 0 && c.changes > 0:
		return true // there is nothing to lose
	case c.edited != than.edited:
		return c.edited > than.edited
	}
	return c.changes > than.changes
}

// used tells whether a core may have given a card a revision that another, which goes on in its place, would give it again.
func (c *core) used(by *core) bool {
	if c.floor > max(by.floor, by.base) || c.base > by.base {
		return true
	}
	for _, v := range c.cards {
		has := by.floor
		if i := by.find(v.ID); i >= 0 {
			has = by.cards[i].Rev
		}
		if v.Rev > max(has, by.base) {
			return true
		}
	}
	return false
}

// adopt makes of this desk's state and another node's the one that is in force.
func (w *clerk) adopt(theirs core, remembered books) error {
	d, now := w.desks, w.desks.opt.Now()
	wins, mine := theirs.newer(&w.core), w.core
	same := theirs.epoch == mine.epoch && theirs.edited == mine.edited && theirs.changes == mine.changes // as this desk exported it
	if !wins && (same || theirs.epoch < mine.epoch) && !theirs.used(&mine) {
		d.metrics.imports.WithLabelValues(importOlder).Inc()
		return nil // this desk is ahead in all
	}
	with, without, outcome := mine, theirs, importOlder
	if wins {
		remembered.shelf.settle(now)
		mend(&theirs, &remembered, now)
		with, without, outcome = theirs, mine, importTaken
	}
	open := &record{Open: &opening{Stream: w.desk.name, Epoch: max(mine.epoch, theirs.epoch, millis(now)-1) + 1}, At: millis(now)}
	if without.used(&with) {
		open.Open.Base = max(mine.highest(), theirs.highest())
	}
	with = with.apply(open)
	if len(w.screens) > 0 {
		with.edited = with.epoch
	}
	shown, err := d.sign(&with)
	if err == nil {
		if wins {
			err = w.replace(&with, &remembered)
		} else {
			err = w.enterEpoch(open)
		}
	}
	if err != nil {
		return err
	}
	w.core, w.shown = with, shown
	w.measure(w.journal.Size(), len(w.core.slots))
	w.shelf.touch()
	w.publish()
	w.announce(shown)
	d.metrics.imports.WithLabelValues(outcome).Inc()
	d.opt.Log.Info("cards of another node were taken over", "stream", w.desk.name, "theirs", wins, "cards", len(with.cards), "shown", len(with.slots))
	d.changed(w.desk.name)
	return nil
}

// replace writes another state in the place of the journal's.
func (w *clerk) replace(c *core, b *books) error {
	all, err := snapshots(c, b)
	if err != nil {
		return err
	}
	if err := w.journal.Rewrite(all); err != nil {
		w.desks.metrics.failures.Inc()
		return storage(err, "written")
	}
	w.opening, w.looked = nil, 0
	w.books.timeline, w.books.keys = b.timeline, b.keys
	w.shelf.replace(b.shelf)
	return nil
}

// enterEpoch writes the record of a new epoch.
func (w *clerk) enterEpoch(open *record) error {
	raw, err := open.encode()
	if err != nil {
		return err
	}
	if err := w.write([][]byte{raw}); err != nil {
		return storage(err, "written")
	}
	return nil
}
