package overlay

import (
	"path/filepath"
	"strings"
	"time"
)

// discardEvery is how often journals are looked through for those that nobody needs any more.
const discardEvery = time.Hour

// journalSuffix ends the name of a journal; what was set aside of a damaged one has more behind it.
const journalSuffix = ".journal"

// discard removes the journals of shows that nobody has worked on for as long as they are kept, and what was set aside of damaged
// ones. A stream that follows its desk, or a command that waits for its time, keeps a journal however old it is.
func (d *Desks) discard() {
	keep := d.opt.KeepEnded()
	if keep <= 0 {
		return
	}
	now := d.opt.Now()
	for _, k := range d.opened() {
		old := func() bool { return now.Sub(k.lastUsed()) >= keep }
		if old() {
			k.close(old)
		}
	}
	folder := filepath.Join(d.opt.Dir, "cards")
	files, err := d.opt.fs.List(folder)
	if err != nil {
		d.opt.Log.Warn("the journals of ended shows cannot be looked through", "folder", folder, "error", err)
		return
	}
	removed := 0
	for _, f := range files {
		name, aside, found := strings.Cut(f.Name, journalSuffix)
		if !found || checkName(name) != nil || now.Sub(f.Modified) < keep {
			continue
		}
		path := filepath.Join(folder, f.Name)
		if aside == "" && !d.free(path) {
			continue
		}
		if err := d.opt.fs.Remove(path); err != nil {
			d.opt.Log.Warn("the journal of an ended show cannot be removed", "file", path, "error", err)
			continue
		}
		removed++
		d.metrics.discarded.Inc()
	}
	if removed > 0 {
		d.opt.Log.Info("journals of shows that ended long ago were removed", "journals", removed, "kept_for", keep)
	}
}

// free tells whether nobody has a journal open. Who opens it at this very moment finds that the name stands for another file by
// then, and makes a new one.
func (d *Desks) free(path string) bool {
	f, err := d.opt.fs.Open(path, false)
	if err != nil {
		return false
	}
	defer f.Close()
	return f.Lock() == nil
}
