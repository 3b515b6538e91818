package overlay

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/overlay/card"
)

// Bounds of the documents of copied streams.
const (
	// mostCopied is how many streams may have documents here.
	mostCopied = 4096
	// mostCopiedBytes is the most that the documents of all streams together have, as their hosts wrote them.
	mostCopiedBytes = 256 << 20
	// mostCopiedShown is how many revisions of a stream may be shown at a time. An origin has as many as slots, and tells of a new
	// one before it tells that the old one has ended.
	mostCopiedShown = 4 * mostSlots
)

// CopiesOptions sets Copies up.
type CopiesOptions struct {
	// Region is the ISO 3166-1 code of this node's viewers; "" when it is unknown. nil is "".
	Region func() string
	// Keep is how long a revision that is no longer shown stays fetchable. nil is DefaultKeep.
	Keep func() time.Duration
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Registerer takes the metrics; nil is nobody.
	Registerer prometheus.Registerer
}

// Copies holds the card documents of streams that are copied from other nodes, as they come over the relay, and makes of them what
// viewers of this node's region get. Its methods are for any goroutine.
type Copies struct {
	opt     CopiesOptions
	refused *prometheus.CounterVec
	held    prometheus.Gauge

	mu       sync.RWMutex // guards what follows; taken before any shelf's
	byStream map[string]*copiedShelf
	bytes    int // of all documents
}

// copiedShelf is a shelf on which each item has the epoch that it came with. Besides what the shelf guards itself, it is guarded
// by Copies.mu.
type copiedShelf struct {
	shelf
	epoch int64      // the highest that came
	shown []revision // the oldest first
}

// Reasons of documents that are not taken.
const (
	copyInvalid = "invalid"
	copyBehind  = "older_epoch"
	copyChanged = "other_content"
	copyFull    = "full"
)

// NewCopies makes an empty set. The error is one of Options.Registerer.
func NewCopies(opt CopiesOptions) (*Copies, error) {
	if opt.Region == nil {
		opt.Region = func() string { return "" }
	}
	if opt.Keep == nil {
		opt.Keep = func() time.Duration { return DefaultKeep }
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	c := &Copies{
		opt: opt, byStream: map[string]*copiedShelf{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pushcart_relay_cards_refused_total", Help: "Card documents of copied streams that were not taken, by reason."}, []string{"reason"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pushcart_relay_cards_bytes", Help: "Card documents of copied streams, in bytes."}),
	}
	if opt.Registerer != nil {
		for _, m := range []prometheus.Collector{c.refused, c.held} {
			if err := opt.Registerer.Register(m); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// Put takes the document of a revision, in an epoch of the stream's desk; shown tells whether a slot shows it. A peer may lie: what
// is no card of that name, is over 4 KB, comes with a lower epoch than the stream has had, or has other content than the same
// revision had in the same epoch is refused, with an error that says which, and what is there stays.
func (c *Copies) Put(stream string, epoch int64, id string, rev int64, doc []byte, shown bool) error {
	r := revision{id, rev}
	if err := checkCopy(stream, epoch, r, doc); err != nil {
		return c.refuse(copyInvalid, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.byStream[stream]
	if s == nil {
		if len(c.byStream) >= mostCopied {
			return c.refuse(copyFull, fmt.Errorf("there are cards of %d copied streams already", mostCopied))
		}
		s = &copiedShelf{}
		c.byStream[stream] = s
	}
	now := c.opt.Now()
	defer c.countLocked(s, s.size())
	s.expire(now, c.opt.Keep())
	has := s.items[r]
	switch {
	case epoch < s.epoch:
		return c.refuse(copyBehind, fmt.Errorf("card %s/%d comes with the epoch %d, and the stream has had %d", id, rev, epoch, s.epoch))
	case has != nil && bytes.Equal(has.doc, doc):
	case has != nil && has.epoch == epoch:
		return c.refuse(copyChanged, fmt.Errorf("card %s/%d has other content than before, in the same epoch %d", id, rev, epoch))
	case c.bytes+len(doc) > mostCopiedBytes:
		return c.refuse(copyFull, fmt.Errorf("the cards of copied streams have %d bytes already", c.bytes))
	case has != nil:
		s.remove(r)
	}
	s.epoch = epoch
	s.put(r, bytes.Clone(doc), shown, now)
	return nil
}

// put puts a revision among those that are shown, or among those that were.
func (s *copiedShelf) put(r revision, doc []byte, shown bool, now time.Time) {
	s.shown = slices.DeleteFunc(s.shown, func(o revision) bool { return o == r })
	if it := s.items[r]; shown || it == nil || it.ended.IsZero() {
		s.show(r, doc)
	}
	s.items[r].epoch = s.epoch
	if !shown {
		s.end(r, now)
		return
	}
	s.shown = append(s.shown, r)
	if len(s.shown) > mostCopiedShown {
		s.end(s.shown[0], now)
		s.shown = s.shown[1:]
	}
}

// size is how many bytes the documents have.
func (s *copiedShelf) size() int {
	n := s.bytes
	for _, r := range s.shown {
		n += len(s.items[r].doc)
	}
	return n
}

// checkCopy tells what is wrong with a document by itself.
func checkCopy(stream string, epoch int64, r revision, doc []byte) error {
	switch {
	case checkName(stream) != nil:
		return fmt.Errorf("%q is no name of a stream", clip(stream))
	case epoch < 1 || epoch > highestNumber:
		return fmt.Errorf("the epoch %d cannot be", epoch)
	case len(doc) > card.MaxSize:
		return fmt.Errorf("the card has %d bytes, and %d is the most", len(doc), card.MaxSize)
	}
	return (&cardRecord{ID: r.card, Rev: r.rev, Doc: doc}).check()
}

// refuse counts what was not taken.
func (c *Copies) refuse(reason string, err error) error {
	c.refused.WithLabelValues(reason).Inc()
	return fmt.Errorf("a card of a copied stream was refused: %w", err)
}

// Drop forgets a stream.
func (c *Copies) Drop(stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.byStream[stream]; s != nil {
		delete(c.byStream, stream)
		c.bytes -= s.size()
		c.held.Set(float64(c.bytes))
	}
}

// Document returns a revision of a copied stream's card as viewers of this node get it; false when there is none.
func (c *Copies) Document(stream, id string, rev int64) (doc Document, ok bool) {
	r := revision{id, rev}
	c.mu.RLock()
	s := c.byStream[stream]
	var it *item
	var epoch int64
	if s != nil {
		if it = s.find(r, c.opt.Now(), c.opt.Keep()); it != nil {
			epoch = it.epoch
		}
	}
	c.mu.RUnlock()
	if it == nil {
		return doc, false
	}
	doc, ok = it.render(c.opt.Region())
	doc.Epoch = epoch
	return doc, ok
}

// countLocked enters what became of a stream's size.
func (c *Copies) countLocked(s *copiedShelf, was int) {
	c.bytes += s.size() - was
	c.held.Set(float64(c.bytes))
}
