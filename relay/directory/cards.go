package directory

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pushcart/relay"
)

const (
	// maxCards is the largest snapshot, in bytes, before it is packed.
	maxCards = 4 << 20
	// maxCardStreams is for how many streams snapshots may wait at once, maxCardWrites how many are written at once.
	maxCardStreams = 4096
	maxCardWrites  = 8
	// maxPieces of a snapshot that does not fit in one message; maxHead is what a message has besides.
	maxPieces = 256
	maxHead   = 4 << 10
)

// ErrNoCards: nothing is kept of the stream's cards.
var ErrNoCards = errors.New("the directory has no cards of the stream")

// head is what a stream's key in the cards' bucket holds. Packed is gzip; where it is larger than a message may be, Pieces tells
// how many keys it is spread over: STREAM.GEN.SLOT.INDEX. There are two slots, used in turns, so that a writer which dies in the
// middle leaves the last whole one.
type head struct {
	Gen    int64  `json:"gen"`
	Slot   int    `json:"slot,omitempty"`
	Pieces int    `json:"pieces,omitempty"`
	Sum    []byte `json:"sum"` // SHA-256 of the snapshot
	Packed []byte `json:"packed,omitempty"`
}

// parseHead reads a head.
func parseHead(data []byte) (head, error) {
	var h head
	if len(data) > 2*maxCards {
		return h, errors.New("it is too large")
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("it is not JSON of cards: %w", err)
	}
	if h.Gen <= 0 || h.Slot < 0 || h.Slot > 1 || h.Pieces < 0 || h.Pieces > maxPieces || len(h.Sum) != sha256.Size ||
		(h.Pieces == 0) == (len(h.Packed) == 0) {
		return h, errors.New("its fields do not fit one another")
	}
	return h, nil
}

// keeper writes snapshots of cards in the background.
type keeper struct {
	d    *Directory
	room chan struct{} // as many as are written at once
	wg   sync.WaitGroup

	mu      sync.Mutex // guards waiting
	waiting map[string]*pending
}

// pending is what waits to be written of a stream. Its goroutine lives until nothing does.
type pending struct {
	gen      int64
	snapshot []byte // nil: nothing waits
	saving   bool   // one is being written
	last     head   // what was written last, for its slot; of the goroutine only
	rev      uint64
}

func newKeeper(d *Directory) *keeper {
	return &keeper{d: d, room: make(chan struct{}, maxCardWrites), waiting: map[string]*pending{}}
}

// wait returns when all is written.
func (k *keeper) wait() { k.wg.Wait() }

// settle waits until nothing of a stream waits to be written, but not for longer than a second.
func (k *keeper) settle(ctx context.Context, stream string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for k.busy(stream) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// busy tells whether something of a stream waits or is being written.
func (k *keeper) busy(stream string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.waiting[stream]
	return p != nil && (p.saving || p.snapshot != nil)
}

func (k *keeper) count(outcome string) { k.d.metrics.cards.WithLabelValues(outcome).Inc() }

// PutCards keeps the state of a stream's cards, at most 4 MiB, for a node that takes the stream over. It never waits: the newest
// snapshot wins, at most ten a second of one stream are written, and one of a lower generation than what is kept is dropped. 0 is
// of no show, as cards that are prepared for one: it takes the place and the generation of what is kept. The snapshot must not be
// changed afterwards.
func (d *Directory) PutCards(stream string, gen int64, snapshot []byte) {
	k := d.cards
	if !validStream(stream) || gen < 0 || len(snapshot) > maxCards || len(snapshot) == 0 {
		k.count("refused")
		d.log.Warn("the state of a stream's cards is not kept in the directory: it is empty or too large", "stream", stream, "bytes", len(snapshot))
		return
	}
	d.mu.Lock()
	closed := d.closed
	k.mu.Lock()
	defer k.mu.Unlock()
	defer d.mu.Unlock()
	p := k.waiting[stream]
	switch {
	case closed:
		k.count("closed")
	case p != nil && gen != 0 && gen < p.gen:
		k.count("lower_generation")
	case p != nil:
		if p.snapshot != nil {
			k.count("replaced")
		}
		p.gen, p.snapshot = max(gen, p.gen), snapshot
	case len(k.waiting) >= maxCardStreams:
		k.count("too_many")
	default:
		p = &pending{gen: gen, snapshot: snapshot}
		k.waiting[stream] = p
		k.wg.Go(func() { k.work(stream, p) })
	}
}

// work writes what comes for a stream until nothing waits.
func (k *keeper) work(stream string, p *pending) {
	pace := time.NewTicker(k.d.opts.pace.cards)
	defer pace.Stop()
	for {
		k.mu.Lock()
		gen, snapshot := p.gen, p.snapshot
		p.snapshot, p.saving = nil, snapshot != nil
		if snapshot == nil {
			delete(k.waiting, stream)
			k.mu.Unlock()
			return
		}
		k.mu.Unlock()
		if err := k.save(stream, p, gen, snapshot); err != nil {
			k.again(stream, p, gen, snapshot, err)
		}
		k.mu.Lock()
		p.saving = false
		k.mu.Unlock()
		select {
		case <-pace.C:
		case <-k.d.ctx.Done():
			k.mu.Lock()
			if p.snapshot != nil {
				k.count("closed")
			}
			delete(k.waiting, stream)
			k.mu.Unlock()
			return
		}
	}
}

// again puts a snapshot back that could not be written, unless a newer one has come.
func (k *keeper) again(stream string, p *pending, gen int64, snapshot []byte, err error) {
	if errors.Is(err, errOlder) {
		k.count("lower_generation")
		return
	}
	k.count("failed")
	k.d.log.Debug("the state of a stream's cards could not be kept yet", "stream", stream, "error", err)
	k.mu.Lock()
	if p.snapshot == nil {
		p.gen, p.snapshot = gen, snapshot
	}
	k.mu.Unlock()
	t := time.NewTimer(k.d.spread(k.d.opts.pace.retry))
	defer t.Stop()
	select {
	case <-t.C:
	case <-k.d.ctx.Done():
	}
}

// errOlder: the directory has the cards of a later generation.
var errOlder = errors.New("the directory has cards of a later generation")

// save writes one snapshot: pieces first, if there are any, then the head.
func (k *keeper) save(stream string, p *pending, gen int64, snapshot []byte) error {
	select {
	case k.room <- struct{}{}:
		defer func() { <-k.room }()
	case <-k.d.ctx.Done():
		return k.d.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(k.d.ctx, 10*time.Second)
	defer cancel()
	s := k.d.buckets.cards.Load()
	if s == nil {
		return errNotReady
	}
	if p.rev == 0 {
		if err := k.catchUp(ctx, *s, stream, p); err != nil {
			return err
		}
	}
	for range 4 {
		of := gen
		if gen == 0 {
			of = max(p.last.Gen, 1)
		}
		if p.last.Gen > of {
			return errOlder
		}
		h, err := k.spread(ctx, stream, p.last, of, snapshot)
		if err != nil {
			return err
		}
		data, err := json.Marshal(h)
		if err != nil {
			return err
		}
		ack, err := k.d.js.Publish(ctx, cardsPrefix+stream, data, jetstream.WithExpectLastSequencePerSubject(p.rev))
		if err == nil {
			k.count("kept")
			k.tidy(ctx, *s, stream, p.last, h)
			p.last, p.rev = h, ack.Sequence
			return nil
		}
		if !moved(err) {
			return err
		}
		if err := k.catchUp(ctx, *s, stream, p); err != nil {
			return err
		}
	}
	return errMoved
}

// catchUp learns what the bucket has of a stream.
func (k *keeper) catchUp(ctx context.Context, s jetstream.Stream, stream string, p *pending) error {
	m, err := s.GetLastMsgForSubject(ctx, cardsPrefix+stream)
	p.last, p.rev = head{}, 0
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return err
	}
	p.rev = m.Sequence
	if h, err := parseHead(m.Data); err == nil {
		h.Packed = nil
		p.last = h
	} else if len(m.Data) > 0 {
		k.d.ignored("cards", "malformed")
	}
	return nil
}

// spread packs a snapshot, and writes pieces where it does not fit in one message.
func (k *keeper) spread(ctx context.Context, stream string, last head, gen int64, snapshot []byte) (head, error) {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is right
	if _, err := z.Write(snapshot); err != nil {
		return head{}, err
	}
	if err := z.Close(); err != nil {
		return head{}, err
	}
	sum := sha256.Sum256(snapshot)
	h := head{Gen: gen, Sum: sum[:]}
	// NATS carries larger messages where it is let, but everything else waits behind them.
	most := min(int(k.d.nc.MaxPayload()), 1<<20) - maxHead
	// In a head the bytes are Base64.
	if b.Len() < most/4*3 {
		h.Packed = b.Bytes()
		return h, nil
	}
	if last.Gen == gen && last.Pieces > 0 {
		h.Slot = 1 - last.Slot
	}
	for rest := b.Bytes(); len(rest) > 0; h.Pieces++ {
		if h.Pieces == maxPieces {
			return head{}, fmt.Errorf("it does not fit in %d messages of %d bytes: raise max_payload of NATS", maxPieces, most)
		}
		n := min(most, len(rest))
		if _, err := k.d.js.Publish(ctx, pieceSubject(stream, h, h.Pieces), rest[:n]); err != nil {
			return head{}, err
		}
		rest = rest[n:]
	}
	return h, nil
}

func pieceSubject(stream string, h head, index int) string {
	return cardsPrefix + stream + "." + strconv.FormatInt(h.Gen, 10) + "." + strconv.Itoa(h.Slot) + "." + strconv.Itoa(index)
}

// tidy removes pieces that nothing points to any more: those of another generation, or all when there are none now.
func (k *keeper) tidy(ctx context.Context, s jetstream.Stream, stream string, last, now head) {
	if last.Pieces == 0 || last.Gen == now.Gen && now.Pieces > 0 {
		return
	}
	subject := cardsPrefix + stream + "." + strconv.FormatInt(last.Gen, 10) + ".>"
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		k.d.log.Debug("old cards were not removed", "stream", stream, "error", err)
	}
}

// Cards returns the last state of a stream's cards that was kept: ErrNoCards, relay.ErrUnreachable or the context's error if
// there is none. What does not match its sum is not returned.
func (d *Directory) Cards(ctx context.Context, stream string) ([]byte, error) {
	if !validStream(stream) {
		return nil, fmt.Errorf("%w: %.80q is not a name", ErrNoCards, stream)
	}
	inner, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s := d.buckets.cards.Load()
	if s == nil {
		return nil, fmt.Errorf("%w: %w", relay.ErrUnreachable, errNotReady)
	}
	var last error
	for range 4 { // a writer may replace pieces while they are read
		data, err := d.readCards(inner, *s, stream)
		switch {
		case err == nil:
			return data, nil
		case errors.Is(err, ErrNoCards):
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.Is(err, errTorn):
			return nil, fmt.Errorf("%w: %w", relay.ErrUnreachable, err)
		}
		last = err
	}
	d.ignored("cards", "malformed")
	return nil, fmt.Errorf("%w: what it has is damaged: %w", ErrNoCards, last)
}

// errTorn: the parts of a snapshot are not of one.
var errTorn = errors.New("its parts do not fit together")

func (d *Directory) readCards(ctx context.Context, s jetstream.Stream, stream string) ([]byte, error) {
	m, err := s.GetLastMsgForSubject(ctx, cardsPrefix+stream)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound), err == nil && len(m.Data) == 0:
		return nil, ErrNoCards
	case err != nil:
		return nil, err
	}
	h, err := parseHead(m.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	packed := h.Packed
	for i := range h.Pieces {
		m, err := s.GetLastMsgForSubject(ctx, pieceSubject(stream, h, i))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return nil, fmt.Errorf("%w: piece %d is not there", errTorn, i)
		case err != nil:
			return nil, err
		case len(packed)+len(m.Data) > maxCards+maxCards/8:
			return nil, fmt.Errorf("%w: they are too large", errTorn)
		}
		packed = append(packed, m.Data...)
	}
	return unpack(packed, h.Sum)
}

// unpack undoes gzip, within the limit of a snapshot, and checks the sum.
func unpack(packed, sum []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	data, err := io.ReadAll(io.LimitReader(z, maxCards+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errTorn, err)
	}
	if len(data) > maxCards {
		return nil, fmt.Errorf("%w: unpacked it is more than %d bytes", errTorn, maxCards)
	}
	if got := sha256.Sum256(data); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("%w: the sum is another one", errTorn)
	}
	return data, nil
}
