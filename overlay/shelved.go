package overlay

import (
	"slices"
	"strings"
)

// Shelved is the document of a revision that is shown, or was, as other nodes get it.
type Shelved struct {
	ID  string
	Rev int64
	// Epoch of the desk: within it, the revision's document stays the same.
	Epoch int64
	// Doc is the document as the host wrote it, in canonical form; it must not be changed.
	Doc []byte
	// Shown tells that a slot shows it.
	Shown bool
}

// Shelf returns the documents of a stream's revisions that are shown or that viewers may still fetch, sorted by card and revision,
// and a channel that is closed when there may be others. It opens the journal if there is one, and never makes one. What has become
// too old is left out, which closes no channel.
func (d *Desks) Shelf(name string) (documents []Shelved, changed <-chan struct{}) {
	d.mu.RLock()
	opening := d.opening
	d.mu.RUnlock()
	err := d.visit(name, func(w *clerk) error {
		documents, changed = w.shelf.list(w.core.epoch, w.desks.opt.Now(), w.desks.opt.Keep())
		return nil
	}, false)
	if err != nil {
		return nil, opening // nothing there yet, or the disk fails: the next desk that opens may be this one
	}
	slices.SortFunc(documents, func(a, b Shelved) int {
		if a.ID != b.ID {
			return strings.Compare(a.ID, b.ID)
		}
		return int(min(max(a.Rev-b.Rev, -1), 1))
	})
	return documents, changed
}
