package pull

import (
	"cmp"
	"errors"
	"maps"
	"slices"
)

// maxMade is how many sources may be added through the API.
const maxMade = 256

// load reads the file.
func (m *Manager) load() {
	sources, err := m.file.load()
	for _, s := range sources {
		m.made[s.Stream] = normal(s)
	}
	if err == nil {
		return
	}
	if !errors.Is(err, errDamaged) {
		m.broken = err
		m.opt.Log.Error("THE SOURCES THAT WERE ADDED THROUGH THE API CANNOT BE READ: the node starts without them, and none can be added", "file", m.file.name,
			"error", err, "hint", "let the user that the node runs as read the file, or take it away, and start the node again")
		return
	}
	aside, failed := m.file.setAside()
	if failed == nil && len(sources) > 0 {
		failed = m.file.save(sources)
	}
	if failed != nil {
		m.broken = failed
		m.opt.Log.Error("THE FILE OF THE SOURCES THAT WERE ADDED THROUGH THE API IS DAMAGED and could not be kept aside: none can be added", "file", m.file.name,
			"error", err, "cause", failed, "usable", len(sources), "hint", "mend the file, or take it away, and start the node again")
		return
	}
	m.opt.Log.Error("THE FILE OF THE SOURCES THAT WERE ADDED THROUGH THE API IS DAMAGED: the node goes on with those that can be used", "file", m.file.name,
		"error", err, "usable", len(sources), "kept", aside, "hint", "add the others again; the file that is kept may have them")
}

// Put adds a source, or changes the one of its stream, and starts it anew where something is different; one that failed is tried
// at once, since it may have been mended. It is on the disk then. A URL as Status shows it means the one that is there, with its secrets. The error is an *Error.
func (m *Manager) Put(s Source) (st Status, created bool, err error) {
	m.saving.Lock()
	defer m.saving.Unlock()
	s = normal(s)
	m.mu.RLock()
	old, there := m.made[s.Stream]
	m.mu.RUnlock()
	if there && s.URL == Redact(old.URL) {
		s.URL = old.URL
	}
	if err := Validate(s); err != nil {
		return Status{}, false, err
	}
	err = m.change(s.Stream, func(next map[string]Source) error {
		if !there && len(next) >= maxMade {
			return refuse(ReasonConflict, "", "There are %d sources already, which is the most that are taken: remove one first.", maxMade)
		}
		next[s.Stream] = s
		return nil
	})
	if err != nil {
		return Status{}, false, err
	}
	st, _ = m.Get(s.Stream)
	return st, !there, nil
}

// Remove forgets a source that was added through the API and stops it. The error is an *Error.
func (m *Manager) Remove(stream string) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	return m.change(stream, func(next map[string]Source) error {
		if _, ok := next[stream]; !ok {
			return refuse(ReasonNotFound, "name", "The stream has no source.")
		}
		delete(next, stream)
		return nil
	})
}

// change makes a change of what was made, on the disk first. The caller holds saving.
func (m *Manager) change(stream string, edit func(map[string]Source) error) error {
	m.mu.RLock()
	_, configured := m.configured[stream]
	next := maps.Clone(m.made)
	m.mu.RUnlock()
	if configured {
		return refuse(ReasonConflict, "name", "The source of this stream is in the node's configuration: change it there.")
	}
	if err := edit(next); err != nil {
		return err
	}
	if err := m.save(next); err != nil {
		return refuse(ReasonStorage, "", "Nothing was changed, since the list of sources could not be kept: %v.", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = next
	m.applyLocked()
	if f := m.feeds[stream]; f != nil {
		f.hurryLocked()
	}
	return nil
}

// save keeps the sources.
func (m *Manager) save(sources map[string]Source) error {
	if m.file == nil {
		return nil
	}
	if m.broken != nil {
		return m.broken
	}
	list := make([]Source, 0, len(sources))
	for _, s := range sources {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Source) int { return cmp.Compare(a.Stream, b.Stream) })
	return m.file.save(list)
}
