package load

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// What is kept of an origin's playlists.
const (
	maxPlaylist = 4 << 20 // bytes, unpacked
	maxTrackers = 5000    // renditions
	readKept    = 64      // texts of one rendition's playlist
	readSize    = 8 << 20 // bytes of them
	filesKept   = 4096    // of one rendition
)

// library reads playlists once for all viewers: the same bytes give the same playlist, and the same URI the same file.
type library struct {
	begin  time.Time // what all times are counted from
	stamps *Stamps   // nil: nobody's frames are stamped
	seed   maphash.Seed

	mu     sync.Mutex // guards what follows
	tracks map[string]*track
	shelf  map[string]*shelf[[]choice]
}

func newLibrary(begin time.Time, stamps *Stamps) *library {
	return &library{begin: begin, stamps: stamps, seed: maphash.MakeSeed(), tracks: map[string]*track{}, shelf: map[string]*shelf[[]choice]{}}
}

// since is a time in ns from the run's beginning on.
func (l *library) since(t time.Time) int64 { return int64(t.Sub(l.begin)) }

var errTooMany = errors.New("more different playlists than are followed")

// shelf keeps what was last read from texts, by their bytes. Its owner has a lock for it.
type shelf[T any] struct {
	books map[uint64]book[T]
	order []uint64 // the oldest first
	size  int      // of all texts
}

type book[T any] struct {
	text []byte
	made T
	err  error
}

// find returns what a text was found to say before.
func (s *shelf[T]) find(sum uint64, text []byte) (b book[T], ok bool) {
	b, ok = s.books[sum]
	return b, ok && bytes.Equal(b.text, text)
}

// put keeps what a text says, and forgets the oldest ones.
func (s *shelf[T]) put(sum uint64, text []byte, made T, err error) {
	if s.books == nil {
		s.books = map[uint64]book[T]{}
	}
	if old, there := s.books[sum]; there {
		s.size -= len(old.text)
	} else {
		s.order = append(s.order, sum)
	}
	s.size += len(text)
	s.books[sum] = book[T]{text: bytes.Clone(text), made: made, err: err}
	for len(s.order) > 1 && (len(s.order) > readKept || s.size > readSize) && s.order[0] != sum {
		s.size -= len(s.books[s.order[0]].text)
		delete(s.books, s.order[0])
		s.order = append(s.order[:0], s.order[1:]...)
	}
}

// unpacked returns a text, out of gzip if it is in it.
func unpacked(a Answer) ([]byte, error) {
	b := a.Body
	if a.Zipped {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%w: its gzip: %w", errPlaylist, err)
		}
		if b, err = io.ReadAll(io.LimitReader(z, maxPlaylist+1)); err != nil {
			return nil, fmt.Errorf("%w: its gzip: %w", errPlaylist, err)
		}
	}
	if len(b) > maxPlaylist {
		return nil, fmt.Errorf("%w: more than %d bytes", errPlaylist, maxPlaylist)
	}
	return b, nil
}

// choice is a variant and where its playlists are.
type choice struct {
	variant
	video, sound Address
	hasSound     bool
}

// multivariant reads what was found at an address. No choices and no error is a media playlist.
func (l *library) multivariant(at Address, a Answer) ([]choice, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := at.bare()
	s := l.shelf[key]
	if s == nil {
		if len(l.shelf) == maxTrackers {
			return nil, errTooMany
		}
		s = &shelf[[]choice]{}
		l.shelf[key] = s
	}
	sum := maphash.Bytes(l.seed, a.Body)
	if b, ok := s.find(sum, a.Body); ok {
		return b.made, b.err
	}
	all, err := choicesOf(at, a)
	s.put(sum, a.Body, all, err)
	return all, err
}

func choicesOf(at Address, a Answer) ([]choice, error) {
	text, err := unpacked(a)
	if err != nil {
		return nil, err
	}
	variants, err := readMultivariant(text)
	if err != nil {
		return nil, err
	}
	var all []choice
	for _, v := range variants {
		c := choice{variant: v, hasSound: v.audio != ""}
		if c.video, err = at.resolve(v.uri); err != nil {
			return nil, fmt.Errorf("%w: the URI of a variant: %w", errPlaylist, err)
		}
		if c.hasSound {
			if c.sound, err = at.resolve(v.audio); err != nil {
				return nil, fmt.Errorf("%w: the URI of a rendition: %w", errPlaylist, err)
			}
		}
		all = append(all, c)
	}
	return all, nil
}

// track is one rendition as all who watch it share it.
type track struct {
	lib *library

	mu    sync.Mutex // guards what follows
	read  shelf[*playlist]
	files map[fileRef]*file // by what playlists call them
	known map[string]*known
	order []string // of what is known, the oldest first
}

// track returns the rendition whose playlist is at an address.
func (l *library) track(at Address) (*track, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := at.bare()
	t := l.tracks[key]
	if t == nil {
		if len(l.tracks) == maxTrackers {
			return nil, errTooMany
		}
		t = &track{lib: l, files: map[fileRef]*file{}, known: map[string]*known{}}
		l.tracks[key] = t
	}
	return t, nil
}

// file is something to be fetched, as one playlist names it.
type file struct {
	at         Address
	from, size int64 // bytes; all when size is 0
	*known
}

// is tells whether two are the same: the addresses of viewers who have sessions of their own may differ.
func (f *file) is(other *file) bool {
	return f == other || f != nil && other != nil && f.key == other.key
}

// known is what all who fetched a file know of it. Times are in ns from the run's beginning on; 0 is not known.
type known struct {
	key     string       // address and range without what is a viewer's own
	claimed atomic.Bool  // somebody looks into it
	left    atomic.Int64 // when its last picture left the publisher
	first   atomic.Int64 // when the first viewer had it
	due     atomic.Int64 // when its last sample was made, by the playlist's dates
}

// arrived notes that a viewer has the whole of it.
func (f *known) arrived(at int64) {
	for {
		first := f.first.Load()
		if first != 0 && first <= at || f.first.CompareAndSwap(first, at) {
			return
		}
	}
}

// playlist is a media playlist with its files.
type playlist struct {
	*mediaPlaylist
	list []listed
	hint *file // nil: none
}

// listed is a segment.
type listed struct {
	duration time.Duration
	complete bool
	gap      bool
	file     *file // nil while it is incomplete
	init     *file // nil: none
	parts    []listedPart
}

// listedPart is a part of it.
type listedPart struct {
	file        *file
	duration    time.Duration
	independent bool
	gap         bool
}

// playlist reads what was found at an address.
func (t *track) playlist(at Address, a Answer) (*playlist, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := maphash.Bytes(t.lib.seed, a.Body)
	if b, ok := t.read.find(sum, a.Body); ok {
		return b.made, b.err
	}
	p, err := t.readLocked(at, a)
	t.read.put(sum, a.Body, p, err)
	return p, err
}

func (t *track) readLocked(at Address, a Answer) (*playlist, error) {
	text, err := unpacked(a)
	if err != nil {
		return nil, err
	}
	m, err := readMedia(text)
	if err != nil {
		return nil, err
	}
	return t.bindLocked(at, m)
}

// bindLocked finds the files of a playlist.
func (t *track) bindLocked(at Address, m *mediaPlaylist) (*playlist, error) {
	p := &playlist{mediaPlaylist: m, list: make([]listed, len(m.segments))}
	var failed error
	find := func(r fileRef) *file {
		if r.uri == "" {
			return nil
		}
		f, err := t.fileLocked(at, r)
		if err != nil {
			failed = fmt.Errorf("%w: the URI of a file: %w", errPlaylist, err)
		}
		return f
	}
	for i := range m.segments {
		s := &m.segments[i]
		l := &p.list[i]
		*l = listed{duration: s.duration, complete: s.complete, gap: s.gap, init: find(s.init)}
		if s.complete {
			l.file = find(s.fileRef)
		}
		end := s.date
		for _, part := range s.parts {
			f := find(part.fileRef)
			if end = end.Add(part.duration); f != nil && !s.date.IsZero() && f.due.Load() == 0 {
				f.due.Store(t.lib.since(end))
			}
			l.parts = append(l.parts, listedPart{file: f, duration: part.duration, independent: part.independent, gap: part.gap})
		}
		if l.file != nil && !s.date.IsZero() && l.file.due.Load() == 0 {
			l.file.due.Store(t.lib.since(s.date.Add(s.duration)))
		}
	}
	p.hint = find(m.hint)
	return p, failed
}

// fileLocked finds a file by what a playlist calls it.
func (t *track) fileLocked(at Address, r fileRef) (*file, error) {
	if f := t.files[r]; f != nil {
		return f, nil
	}
	to, err := at.resolve(r.uri)
	if err != nil {
		return nil, err
	}
	key := to.shared(at)
	if r.size > 0 {
		key = fmt.Sprintf("%s %d@%d", key, r.size, r.from)
	}
	k := t.known[key]
	if k == nil {
		if len(t.order) == filesKept {
			for _, old := range t.order[:filesKept/4] {
				delete(t.known, old)
			}
			t.order = append(t.order[:0], t.order[filesKept/4:]...)
		}
		k = &known{key: key}
		t.known[key], t.order = k, append(t.order, key)
	}
	if len(t.files) == filesKept {
		clear(t.files)
	}
	f := &file{at: to, from: r.from, size: r.size, known: k}
	t.files[r] = f
	return f, nil
}
