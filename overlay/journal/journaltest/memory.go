// Package journaltest has a file system in memory for tests of the journal and of what is built on it: it fails where it
// is told to, and can be cut off from its power.
package journaltest

import (
	"bytes"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"pushcart/overlay/journal"
)

// Op names an operation of the file system.
type Op string

// The operations.
const (
	Open     Op = "open"
	Create   Op = "create"
	Rename   Op = "rename"
	Remove   Op = "remove"
	MakeDir  Op = "mkdir"
	SyncDir  Op = "syncdir"
	Exists   Op = "exists"
	Read     Op = "read"
	Write    Op = "write"
	Size     Op = "size"
	Truncate Op = "truncate"
	Sync     Op = "sync"
	Lock     Op = "lock"
	Is       Op = "is"
	List     Op = "list"
)

// Short is what a fault returns for a Write that stops after N bytes; other operations just fail.
type Short struct {
	N   int
	Err error
}

// Error implements error.
func (s *Short) Error() string { return "short write: " + s.Err.Error() }

// Late is what a fault returns for an operation that happens and is reported as failed nevertheless.
type Late struct{ Err error }

// Error implements error.
func (l *Late) Error() string { return "late: " + l.Err.Error() }

// Memory is a file system in memory. Its zero value is not usable; see New.
type Memory struct {
	mu      sync.Mutex // guards what follows
	names   map[string]*node
	durable map[string]*node // names that are on the disk
	counts  map[Op]int
	fault   func(op Op, name string) error
	before  func(op Op, name string)
}

// node is a file.
type node struct {
	data, synced []byte
	uncut        []byte // data before it was first truncated since the last sync; nil when it was not
	owner        *file  // who has the lock
	modified     time.Time
}

// New makes an empty file system.
func New() *Memory {
	return &Memory{names: map[string]*node{}, durable: map[string]*node{}, counts: map[Op]int{}}
}

// Fail has f decide on each operation from now on: its error is the operation's, which does not happen then. See Short and
// Late. nil is no fault.
func (m *Memory) Fail(f func(op Op, name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

// Before has f called ahead of each operation from now on; it may block. nil is nothing.
func (m *Memory) Before(f func(op Op, name string)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before = f
}

// Count is how often an operation was asked for.
func (m *Memory) Count(op Op) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts[op]
}

// Files lists the names, sorted.
func (m *Memory) Files() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for name := range m.names {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Bytes returns a copy of a file; nil when there is none.
func (m *Memory) Bytes(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.names[name]; n != nil {
		return bytes.Clone(n.data)
	}
	return nil
}

// Put makes a file of b, on the disk.
func (m *Memory) Put(name string, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &node{data: bytes.Clone(b), synced: bytes.Clone(b), modified: time.Now()}
	m.names[name], m.durable[name] = n, n
}

// Loss is what a crash leaves.
type Loss string

// The crashes.
const (
	// Killed is the end of the process: the system still writes what it was given.
	Killed Loss = "killed"
	// PowerLost leaves what was synced and nothing else.
	PowerLost Loss = "power lost"
	// NamesKept is a loss of power after the system had written the folder, but not the files.
	NamesKept Loss = "power lost, names kept"
	// Uncut is a loss of power after the system had written the files, but before it wrote that they were truncated.
	Uncut Loss = "power lost, files not cut"
)

// Losses are all of them.
var Losses = []Loss{Killed, PowerLost, NamesKept, Uncut}

// Crash returns the file system as the next start of the machine, or the process, finds it, without faults or locks.
func (m *Memory) Crash(l Loss) *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := New()
	names := m.names
	if l == PowerLost {
		names = m.durable
	}
	for name, n := range names {
		b := n.synced
		switch {
		case l == Uncut && n.uncut != nil:
			b = n.uncut
		case l == Killed || l == Uncut:
			b = n.data
		}
		c := &node{data: bytes.Clone(b), synced: bytes.Clone(b), modified: n.modified}
		after.names[name], after.durable[name] = c, c
	}
	return after
}

// do counts an operation, carries it out unless there is a fault, and returns the fault.
func (m *Memory) do(op Op, name string, act func() error) error {
	m.mu.Lock()
	before := m.before
	m.mu.Unlock()
	if before != nil {
		before(op, name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts[op]++
	if m.fault != nil {
		if err := m.fault(op, name); err != nil {
			switch f := err.(type) {
			case *Late:
				act()
				err = f.Err
			case *Short:
				if op == Write {
					return f
				}
				err = f.Err
			}
			return &fs.PathError{Op: string(op), Path: name, Err: err}
		}
	}
	return act()
}

// Open implements journal.FS.
func (m *Memory) Open(name string, create bool) (f journal.File, err error) {
	err = m.do(Open, name, func() error {
		n := m.names[name]
		if n == nil && !create {
			return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		if n == nil {
			n = &node{modified: time.Now()}
			m.names[name] = n
		}
		f = &file{m: m, node: n, name: name}
		return nil
	})
	return f, err
}

// Create implements journal.FS.
func (m *Memory) Create(name string) (f journal.File, err error) {
	err = m.do(Create, name, func() error {
		n := m.names[name]
		if n == nil {
			n = &node{modified: time.Now()}
			m.names[name] = n
		}
		n.data = nil
		f = &file{m: m, node: n, name: name}
		return nil
	})
	return f, err
}

// Rename implements journal.FS.
func (m *Memory) Rename(from, to string) error {
	return m.do(Rename, from, func() error {
		n := m.names[from]
		if n == nil {
			return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
		}
		delete(m.names, from)
		m.names[to] = n
		return nil
	})
}

// Remove implements journal.FS.
func (m *Memory) Remove(name string) error {
	return m.do(Remove, name, func() error {
		if m.names[name] == nil {
			return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
		}
		delete(m.names, name)
		return nil
	})
}

// MakeDir implements journal.FS.
func (m *Memory) MakeDir(name string) error { return m.do(MakeDir, name, func() error { return nil }) }

// SyncDir implements journal.FS.
func (m *Memory) SyncDir(dir string) error {
	return m.do(SyncDir, dir, func() error {
		inside := func(name string) bool { return filepath.Dir(name) == strings.TrimSuffix(dir, "/") }
		for name := range m.durable {
			if inside(name) && m.names[name] == nil {
				delete(m.durable, name)
			}
		}
		for name, n := range m.names {
			if inside(name) {
				m.durable[name] = n
			}
		}
		return nil
	})
}

// Exists implements journal.FS.
func (m *Memory) Exists(name string) (there bool, err error) {
	err = m.do(Exists, name, func() error { there = m.names[name] != nil; return nil })
	return there, err
}

// List implements journal.FS.
func (m *Memory) List(dir string) (all []journal.Info, err error) {
	err = m.do(List, dir, func() error {
		for name, n := range m.names {
			if filepath.Dir(name) == filepath.Clean(dir) {
				all = append(all, journal.Info{Name: filepath.Base(name), Modified: n.modified})
			}
		}
		return nil
	})
	return all, err
}

// file is an opening of a node.
type file struct {
	m      *Memory
	node   *node
	name   string
	closed bool
}

func (f *file) do(op Op, act func() error) error {
	return f.m.do(op, f.name, func() error {
		if f.closed {
			return fs.ErrClosed
		}
		return act()
	})
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(b []byte, at int64) (n int, err error) {
	err = f.do(Read, func() error {
		if at < int64(len(f.node.data)) {
			n = copy(b, f.node.data[at:])
		}
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *file) WriteAt(b []byte, at int64) (int, error) {
	put := func(b []byte) {
		if int(at) < len(f.node.synced) {
			f.node.data = bytes.Clone(f.node.data)
		}
		end := int(at) + len(b)
		if end > len(f.node.data) {
			f.node.data = append(f.node.data, make([]byte, end-len(f.node.data))...)
		}
		copy(f.node.data[at:], b)
		f.node.modified = time.Now()
	}
	err := f.do(Write, func() error { put(b); return nil })
	if short, ok := err.(*Short); ok {
		f.m.mu.Lock()
		defer f.m.mu.Unlock()
		n := min(short.N, len(b))
		put(b[:n])
		return n, &fs.PathError{Op: "write", Path: f.name, Err: short.Err}
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// Size implements journal.File.
func (f *file) Size() (n int64, err error) {
	err = f.do(Size, func() error { n = int64(len(f.node.data)); return nil })
	return n, err
}

// Truncate implements journal.File.
func (f *file) Truncate(size int64) error {
	return f.do(Truncate, func() error {
		if n := int(size); n <= len(f.node.data) {
			if f.node.uncut == nil {
				f.node.uncut = bytes.Clone(f.node.data)
			}
			f.node.data = f.node.data[:n:n]
		} else {
			f.node.data = append(f.node.data, make([]byte, n-len(f.node.data))...)
		}
		return nil
	})
}

// Sync implements journal.File.
func (f *file) Sync() error {
	return f.do(Sync, func() error {
		// What was synced before and has only grown is shared, or a long journal would cost a copy for each record.
		f.node.synced, f.node.uncut = f.node.data[:len(f.node.data):len(f.node.data)], nil
		return nil
	})
}

// Lock implements journal.File.
func (f *file) Lock() error {
	return f.do(Lock, func() error {
		if f.node.owner != nil && f.node.owner != f {
			return journal.ErrInUse
		}
		f.node.owner = f
		return nil
	})
}

// Is implements journal.File.
func (f *file) Is(name string) (same bool, err error) {
	err = f.do(Is, func() error { same = f.m.names[name] == f.node; return nil })
	return same, err
}

// Close implements journal.File.
func (f *file) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.closed = true
	if f.node.owner == f {
		f.node.owner = nil
	}
	return nil
}
