package webhooks

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// errInUse: another process has the queue.
var errInUse = errors.New("another process uses this queue")

const (
	queueSuffix  = ".queue"
	lockName     = "lock"
	leastSegment = 16 << 10 // bytes
	mostSegment  = 8 << 20
	// maxSegmentFile is the most that is read of a segment: one that was begun before it was full, and a record more.
	maxSegmentFile = mostSegment + 1<<20
)

// event is one that waits.
type event struct {
	seq             uint64
	at              time.Time
	typ, stream, id string
	size            int64 // of its record, in bytes

	// waiting is how many targets are still to be told. The dispatcher's.
	waiting int
	// loose tells that it was counted as in memory only. The dispatcher's.
	loose bool

	// The store's. keys are the targets that are to be told, as far as the store knows; body is nil where segment has the record.
	keys    []key
	body    []byte
	segment *segment
	offset  int64
	length  int // of the record there, which is shorter once it was copied for fewer targets
}

// segment is one file of the queue.
type segment struct {
	number uint64
	size   int64
	live   int // events of which this is the place, and that wait
	events []*event
}

// store is the queue on disk. Its methods are for any goroutine.
type store struct {
	dir         string
	limit       int64 // of all files, in bytes
	segmentSize int64
	next        uint64 // sequence behind those that were found
	lock        *os.File
	log         *slog.Logger

	mu       sync.Mutex // guards what follows, and is held while the disk is at work
	segments []*segment // the oldest first; the last one grows
	file     *os.File   // of the last one; nil when the next record begins another
	total    int64      // bytes in all files
	number   uint64     // of the next segment
}

// openStore opens the queue in a folder, which it makes if need be, and returns the events that wait, in order.
func openStore(dir string, limit int64, log *slog.Logger) (*store, []*event, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, nil, err
	}
	s := &store{
		dir: dir, limit: limit, segmentSize: min(max(limit/64, leastSegment), mostSegment), lock: f, log: log, next: 1, number: 1,
	}
	events, err := s.load()
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, events, nil
}

func segmentName(n uint64) string { return fmt.Sprintf("%012x%s", n, queueSuffix) }

func (s *store) path(n uint64) string { return filepath.Join(s.dir, segmentName(n)) }

func (s *store) readAll(n uint64) ([]byte, error) {
	f, err := os.Open(s.path(n))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSegmentFile))
}

// add writes events, whose bodies are set, and returns when they are on the disk. After an error they keep their bodies, and
// are not on it for certain.
func (s *store) add(events []*event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(events) > 0 {
		n, err := s.addSome(events)
		if err != nil {
			return err
		}
		events = events[n:]
	}
	return s.clean()
}

// addSome writes as many events as fit into a segment, at least one.
func (s *store) addSome(events []*event) (int, error) {
	g, err := s.head()
	if err != nil {
		return 0, err
	}
	var b []byte
	var ends []int
	for _, e := range events {
		if len(b) > 0 && g.size+int64(len(b)) >= s.segmentSize {
			break
		}
		b = appendRecord(b, (&eventRecord{e.seq, e.at, e.keys, e.typ, e.stream, e.id, e.body}).append)
		ends = append(ends, len(b))
	}
	from, begin := g.size, 0
	if err := s.write(b, true); err != nil {
		return 0, err
	}
	for i, e := range events[:len(ends)] {
		s.place(e, g, from+int64(begin), ends[i]-begin)
		begin = ends[i]
	}
	return len(ends), nil
}

// place notes where an event is.
func (s *store) place(e *event, g *segment, at int64, length int) {
	if e.segment != nil {
		e.segment.live--
	}
	e.segment, e.offset, e.length, e.body = g, at, length, nil
	g.live++
	g.events = append(g.events, e)
}

// head returns the segment that grows, beginning another when it is full.
func (s *store) head() (*segment, error) {
	if s.file != nil {
		if g := s.segments[len(s.segments)-1]; g.size < s.segmentSize {
			return g, nil
		}
		s.seal()
	}
	n := s.number
	f, err := os.OpenFile(s.path(n), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	s.number++
	if err := syncFolder(s.dir); err != nil {
		f.Close()
		os.Remove(s.path(n))
		return nil, err
	}
	s.file = f
	g := &segment{number: n}
	s.segments = append(s.segments, g)
	return g, nil
}

// seal has the next record begin another segment.
func (s *store) seal() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// write appends to the segment that grows. What a failure leaves behind is cut off; where nobody knows what is on the disk, nothing
// is appended behind it.
func (s *store) write(b []byte, flush bool) error {
	g := s.segments[len(s.segments)-1]
	_, err := s.file.WriteAt(b, g.size)
	if err == nil && flush {
		err = s.file.Sync()
	}
	if err != nil {
		s.file.Truncate(g.size)
		s.seal()
		return err
	}
	g.size += int64(len(b))
	s.total += int64(len(b))
	return nil
}

// settled is a target that needs to hear of an event no more.
type settled struct {
	event *event
	key   key
}

// settle notes what was told, or dropped.
func (s *store) settle(list []settled) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b []byte
	for _, t := range list {
		onDisk := t.event.segment != nil
		s.told(t.event, t.key)
		// The oldest segment goes as a whole when this was the last of it.
		if onDisk {
			b = appendRecord(b, (&toldRecord{t.event.seq, t.key}).append)
		}
	}
	s.drop()
	if len(b) == 0 || len(s.segments) == 0 {
		return nil
	}
	if _, err := s.head(); err != nil {
		return err
	}
	return errors.Join(s.write(b, false), s.clean())
}

// told takes a target off an event.
func (s *store) told(e *event, k key) {
	i := slices.Index(e.keys, k)
	if i < 0 {
		return
	}
	e.keys = slices.Delete(e.keys, i, i+1)
	if len(e.keys) == 0 && e.segment != nil {
		e.segment.live--
		e.segment = nil
	}
}

// recordAt reads the event of a sequence.
func recordAt(b []byte, offset int64, seq uint64) (*eventRecord, error) {
	if offset > int64(len(b)) {
		return nil, errRecord
	}
	payload, ok := readRecord(b[offset:])
	if !ok {
		return nil, errRecord
	}
	rec, _, err := parseRecord(payload)
	if err == nil && (rec == nil || rec.seq != seq) {
		err = errRecord
	}
	return rec, err
}

// read returns an event's body.
func (s *store) read(e *event) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.body != nil {
		return e.body, nil
	}
	if e.segment == nil {
		return nil, errRecord // it was dropped meanwhile
	}
	f, err := os.Open(s.path(e.segment.number))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, e.length)
	if _, err := f.ReadAt(b, e.offset); err != nil {
		return nil, err
	}
	rec, err := recordAt(b, 0, e.seq)
	if err != nil {
		return nil, err
	}
	return rec.body, nil
}

// bytes is how large all files are.
func (s *store) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// close has what was written on the disk, and lets the folder go.
func (s *store) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.file != nil {
		err = s.file.Sync()
		s.seal()
	}
	unlock(s.lock)
	s.lock.Close()
	return err
}

// syncFolder has the names in a folder outlive a crash.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
