package overlay

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"sync"
	"time"

	"pushcart/overlay/card"
)

// Bounds on revisions of a stream's cards that are no longer shown and that viewers may still fetch.
const (
	mostKept      = 8192
	mostKeptBytes = 32 << 20 // of documents, as the host wrote them
)

// Document is a card as viewers in this node's region get it. It is immutable, and all viewers share it.
type Document struct {
	// Plain is JSON; Gzip the same, compressed.
	Plain, Gzip []byte
	// ETag is a strong entity tag of Plain, with its quotation marks (RFC 9110, 8.8.3).
	ETag string
	// Epoch of the desk: within it, the revision's document stays the same.
	Epoch int64
}

// revision names what a document is made of.
type revision struct {
	card string
	rev  int64
}

// shelf holds the revisions that were ever shown, for viewers. The clerk puts them there and takes them off; any goroutine
// may look.
type shelf struct {
	mu    sync.RWMutex // guards what follows, and ended of each item
	items map[revision]*item
	ended []*item // those that are no longer shown, in the order of their end
	bytes int     // of documents of ended
	// changed is closed at the next change; nil while nobody waits for it.
	changed chan struct{}
}

// item is one revision.
type item struct {
	revision
	doc   []byte    // as the host wrote it
	ended time.Time // when it was no longer shown; zero while it is
	epoch int64     // that it came with; of copies only, and guarded by Copies.mu

	rendering sync.Mutex // guards what follows
	rendered  bool
	region    string
	document  Document
}

// show puts a revision on the shelf, or back among those that are shown.
func (s *shelf) show(r revision, doc []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[r]
	if it == nil {
		if s.items == nil {
			s.items = map[revision]*item{}
		}
		s.items[r] = &item{revision: r, doc: doc}
		s.touchLocked()
		return
	}
	if i := slices.Index(s.ended, it); i >= 0 {
		s.ended = slices.Delete(s.ended, i, i+1)
		s.bytes -= len(it.doc)
		s.touchLocked()
	}
	it.ended = time.Time{}
}

// end tells that a revision is no longer shown.
func (s *shelf) end(r revision, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[r]
	if it == nil || !it.ended.IsZero() {
		return
	}
	it.ended = at
	s.ended = append(s.ended, it)
	s.bytes += len(it.doc)
	s.touchLocked()
	for len(s.ended) > mostKept || s.bytes > mostKeptBytes {
		s.dropLocked()
	}
}

// expire takes off what ended more than keep ago.
func (s *shelf) expire(now time.Time, keep time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ended) > 0 && now.Sub(s.ended[0].ended) > keep {
		s.dropLocked()
	}
}

func (s *shelf) dropLocked() {
	it := s.ended[0]
	s.ended[0] = nil
	s.ended = s.ended[1:]
	s.bytes -= len(it.doc)
	delete(s.items, it.revision)
}

// touch wakes those who wait for a change.
func (s *shelf) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touchLocked()
}

func (s *shelf) touchLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// remove takes a revision off the shelf.
func (s *shelf) remove(r revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[r]
	if it == nil {
		return
	}
	delete(s.items, r)
	if i := slices.Index(s.ended, it); i >= 0 {
		s.ended = slices.Delete(s.ended, i, i+1)
		s.bytes -= len(it.doc)
	}
	s.touchLocked()
}

// settle has nothing end later than now, as another node's clock may have it: what ends behind it would be kept for as long.
func (s *shelf) settle(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.ended {
		if it.ended.After(now) {
			it.ended = now
		}
	}
}

// replace puts what is on another shelf, which nobody else has, in the place of all that is on this one.
func (s *shelf) replace(o *shelf) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items, s.ended, s.bytes = o.items, o.ended, o.bytes
	s.touchLocked()
}

// list returns what is on the shelf, and a channel that is closed when that changes.
func (s *shelf) list(epoch int64, now time.Time, keep time.Duration) ([]Shelved, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	all := make([]Shelved, 0, len(s.items))
	for r, it := range s.items {
		if shown := it.ended.IsZero(); shown || now.Sub(it.ended) <= keep {
			all = append(all, Shelved{ID: r.card, Rev: r.rev, Epoch: epoch, Doc: it.doc, Shown: shown})
		}
	}
	return all, s.changed
}

// find returns a revision that viewers may fetch; nil when there is none.
func (s *shelf) find(r revision, now time.Time, keep time.Duration) *item {
	s.mu.RLock()
	defer s.mu.RUnlock()
	it := s.items[r]
	if it == nil || !it.ended.IsZero() && now.Sub(it.ended) > keep {
		return nil
	}
	return it
}

// apply follows the slots from one core to the next, at a time.
func (s *shelf) apply(before, after *core, at time.Time) {
	for _, b := range after.slots {
		r := revision{b.Card, b.Rev}
		if doc := after.doc(r); doc != nil {
			s.show(r, doc)
		}
	}
	for _, a := range before.slots {
		r := revision{a.Card, a.Rev}
		if !slices.ContainsFunc(after.slots, func(b slot) bool { return b.Card == r.card && b.Rev == r.rev }) {
			s.end(r, at)
		}
	}
}

// mend has the shelf hold what is shown, and end what is not.
func (s *shelf) mend(c *core, now time.Time) {
	var over []revision
	s.mu.Lock()
	for r, it := range s.items {
		shown := slices.ContainsFunc(c.slots, func(b slot) bool { return b.Card == r.card && b.Rev == r.rev })
		if it.ended.IsZero() && !shown {
			over = append(over, r)
		}
	}
	s.mu.Unlock()
	for _, r := range over {
		s.end(r, now)
	}
	s.apply(&core{}, c, now)
}

// doc is the document of a revision, if that is the one on the list; else nil.
func (c *core) doc(r revision) []byte {
	if i := c.find(r.card); i >= 0 && c.cards[i].Rev == r.rev {
		return c.cards[i].Card
	}
	return nil
}

// render returns the revision's document for a region: made when it is first asked for, and again when the region is
// another one. ok is false when the card cannot be read.
func (it *item) render(region string) (d Document, ok bool) {
	it.rendering.Lock()
	defer it.rendering.Unlock()
	if it.rendered && it.region == region {
		return it.document, it.document.Plain != nil
	}
	it.rendered, it.region, it.document = true, region, Document{}
	if plain := localised(it.doc, it.card, it.rev, region); plain != nil {
		hash := sha256.Sum256(plain)
		it.document = Document{Plain: plain, Gzip: compressed(plain), ETag: `"` + hex.EncodeToString(hash[:16]) + `"`}
	}
	return it.document, it.document.Plain != nil
}

// anyHost accepts the URLs of cards that were accepted before, when other hosts were allowed.
var anyHost = card.Policy{Hosts: []string{"*"}}

// localised is a card's document for a region with its revision in it; nil when the card cannot be read.
func localised(doc []byte, id string, rev int64, region string) []byte {
	c, err := card.Parse(doc, anyHost)
	if err != nil {
		return nil
	}
	text := c.Localise(region)
	head := []byte(`{"id":"` + id + `"`)
	rest, ok := bytes.CutPrefix(text, head)
	if !ok {
		return nil
	}
	return slices.Concat(head, []byte(`,"rev":`), strconv.AppendInt(nil, rev, 10), rest)
}

// gzips are compressors to use again: one takes most of a megabyte.
var gzips = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestCompression) // a level that there is
	return w
}}

func compressed(plain []byte) []byte {
	var b bytes.Buffer
	w := gzips.Get().(*gzip.Writer)
	defer gzips.Put(w)
	w.Reset(&b)
	w.Write(plain) // a bytes.Buffer takes everything
	w.Close()
	return b.Bytes()
}
