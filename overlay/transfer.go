package overlay

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"pushcart/overlay/card"
)

// A desk's snapshot, as it goes from node to node:
//
//	"pushdesk"   8 bytes
//	version      1 byte: 1
//	sum         32 bytes: SHA-256 of all that follows
//	body         compressed (RFC 1951): records, each with its length in front in 4 bytes, big endian
//
// The records are those that stand for a desk in its journal: see snapshots.
const (
	transferMagic   = "pushdesk"
	transferVersion = 1
	transferHead    = len(transferMagic) + 1 + sha256.Size
	// MostSnapshot is the size of the largest snapshot, in bytes.
	MostSnapshot = 4 << 20
	// mostTransfer is how much the body may be when it is expanded: a full list of cards with all that is remembered.
	mostTransfer = 16 << 20
	// mostPastBytes is how many bytes of documents that are no longer shown go along. The newest do: they are what viewers still play.
	mostPastBytes = 4 << 20
)

// errSnapshot begins all errors of snapshots that cannot be read.
var errSnapshot = errors.New("the snapshot of the stream's cards cannot be used")

// pack makes a snapshot of at most so many bytes. What is remembered is left out where there is too much of it, the oldest first.
func pack(c *core, b *books, most int) ([]byte, error) {
	kept := b.shelf.newest(mostPastBytes)
	keys := b.keys.queue
	for {
		some := &books{timeline: b.timeline, keys: keyring{queue: keys}, shelf: &shelf{ended: kept}}
		records, err := snapshots(c, some)
		if err != nil {
			return nil, err
		}
		blob, err := packRecords(records)
		if err != nil || len(blob) <= most {
			return blob, err
		}
		if len(kept)+len(keys) == 0 {
			return nil, fmt.Errorf("the snapshot would have %d bytes, more than %d", len(blob), most)
		}
		kept, keys = kept[(len(kept)+1)/2:], keys[(len(keys)+1)/2:]
	}
}

func packRecords(records [][]byte) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(transferMagic)
	b.WriteByte(transferVersion)
	b.Write(make([]byte, sha256.Size))
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		if _, err := w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(r)))); err != nil {
			return nil, err
		}
		if _, err := w.Write(r); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	blob := b.Bytes()
	sum := sha256.Sum256(blob[transferHead:])
	copy(blob[len(transferMagic)+1:], sum[:])
	return blob, nil
}

// unpackRecords returns a snapshot's records.
func unpackRecords(blob []byte) ([][]byte, error) {
	switch {
	case len(blob) > MostSnapshot:
		return nil, fmt.Errorf("it has %d bytes, more than %d", len(blob), MostSnapshot)
	case len(blob) < transferHead || string(blob[:len(transferMagic)]) != transferMagic:
		return nil, errors.New("it is none")
	case blob[len(transferMagic)] != transferVersion:
		return nil, fmt.Errorf("it has the version %d, and this node reads %d: bring all nodes to the same version", blob[len(transferMagic)], transferVersion)
	}
	body := blob[transferHead:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], blob[len(transferMagic)+1:transferHead]) {
		return nil, errors.New("its sum does not hold")
	}
	in := flate.NewReader(bytes.NewReader(body))
	all, err := io.ReadAll(io.LimitReader(in, mostTransfer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("expand it: %w", err)
	case len(all) > mostTransfer:
		return nil, fmt.Errorf("it has more than %d bytes when it is expanded", mostTransfer)
	}
	var records [][]byte
	for len(all) > 0 {
		if len(all) < 4 || uint64(len(all)-4) < uint64(binary.BigEndian.Uint32(all)) {
			return nil, errors.New("it is cut off")
		}
		n := int(binary.BigEndian.Uint32(all))
		records = append(records, all[4:4+n])
		all = all[4+n:]
	}
	return records, nil
}

// unpack reads a snapshot of a stream, which may come from a node that lies: nothing is taken from it that this node would not
// have taken from a host.
func unpack(name string, blob []byte) (core, books, error) {
	c, b, err := unpackAll(name, blob)
	if err != nil {
		return core{}, books{}, fmt.Errorf("%w: %w", errSnapshot, err)
	}
	return c, b, nil
}

func unpackAll(name string, blob []byte) (core, books, error) {
	c, b := core{}, books{}
	records, err := unpackRecords(blob)
	if err != nil {
		return c, b, err
	}
	var seen tally
	for i, raw := range records {
		r, err := decodeRecord(raw)
		if err != nil {
			return c, b, fmt.Errorf("record %d: %w", i, err)
		}
		s := r.Snapshot
		if s == nil || r.Open != nil || r.edits() || (s.First != nil) != (i == 0) {
			return c, b, fmt.Errorf("record %d is none of a snapshot", i)
		}
		if err := seen.check(name, s); err != nil {
			return c, b, fmt.Errorf("record %d: %w", i, err)
		}
		before := c
		c = c.apply(r)
		b.apply(r, &before, &c)
	}
	if len(records) == 0 {
		return c, b, errors.New("there is nothing in it")
	}
	return c, b, nil
}

// highestNumber bounds epochs, revisions and what else is counted in a snapshot: far above all clocks, and as far below what
// JavaScript holds exactly.
const highestNumber = 1 << 52

// latest is the last millisecond that can be written as a time (RFC 3339), as views and records do.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli()

// timely tells whether all of some times in Unix milliseconds can be written.
func timely(times ...int64) bool { return slices.Min(times) >= 0 && slices.Max(times) <= latest }

// tally counts what a snapshot has.
type tally struct {
	cards                         map[string]bool
	slots, plans, past, lines, ks int
}

// check holds a part of a snapshot to the rules.
func (t *tally) check(name string, s *snapshot) error {
	if f := s.First; f != nil {
		t.cards = map[string]bool{}
		if f.Stream != name {
			return fmt.Errorf("it is of the stream %q, not %q", clip(f.Stream), name)
		}
		if f.Epoch < 1 {
			return errors.New("it has no epoch")
		}
		for _, n := range []int64{f.Epoch, f.Seq, f.List, f.Planned, f.Floor, f.Base, f.Changes, f.Edited} {
			if n < 0 || n > highestNumber {
				return fmt.Errorf("its number %d cannot be", n)
			}
		}
	}
	t.slots, t.plans, t.past = t.slots+len(s.Slots), t.plans+len(s.Plans), t.past+len(s.Shown)
	t.lines, t.ks = t.lines+len(s.Timeline), t.ks+len(s.Keys)
	if t.slots > mostSlots || t.plans > mostPlans || t.past > mostKept || t.lines > mostShown || t.ks > mostKeys {
		return errors.New("there is more in it than a desk has")
	}
	for _, r := range s.Cards {
		if t.cards[r.ID] || len(t.cards) == mostCards {
			return fmt.Errorf("card %q comes twice, or there are more than %d", clip(r.ID), mostCards)
		}
		t.cards[r.ID] = true
		if err := r.check(); err != nil {
			return err
		}
	}
	for _, r := range s.Shown {
		if err := r.check(); err != nil {
			return err
		}
		if !timely(r.Ended) {
			return fmt.Errorf("card %q was shown until %d", clip(r.ID), r.Ended)
		}
	}
	return s.checkRest()
}

// check holds a revision of a card to the rules.
func (r *cardRecord) check() error {
	if r.Rev < 1 || r.Rev > highestNumber || !timely(r.At) {
		return fmt.Errorf("card %q has the revision %d of the time %d", clip(r.ID), r.Rev, r.At)
	}
	c, err := card.Parse(r.Doc, anyHost)
	if err != nil {
		return fmt.Errorf("card %q: %w", clip(r.ID), err)
	}
	if c.ID() != r.ID {
		return fmt.Errorf("card %q has the document of %q", clip(r.ID), c.ID())
	}
	return nil
}

// checkRest looks at what is neither counted nor a document.
func (s *snapshot) checkRest() error {
	for _, r := range s.Slots {
		if err := errors.Join(card.ValidSlot(r.Slot), card.ValidID(r.Card)); err != nil {
			return fmt.Errorf("slot %q: %w", clip(r.Slot), err)
		}
		if !timely(r.Since) {
			return fmt.Errorf("slot %q shows a card since %d", r.Slot, r.Since)
		}
	}
	for _, p := range s.Plans {
		q := p.request()
		slotless := p.Op == OpHide && p.Slot == ""
		switch {
		case p.Op != OpShow && p.Op != OpHide, planID(planNumber(p.ID)) != p.ID, planNumber(p.ID) < 1, planNumber(p.ID) > highestNumber,
			!timely(p.At), len(p.Source) > mostName:
			return fmt.Errorf("the scheduled command %q is none", clip(p.ID))
		case !slotless && card.ValidSlot(q.Slot) != nil, p.Op == OpShow && card.ValidID(q.Card) != nil:
			return fmt.Errorf("the scheduled command %q names no slot or no card", p.ID)
		}
	}
	for _, l := range s.Timeline {
		if card.ValidSlot(l.Slot) != nil || card.ValidID(l.Card) != nil || len(l.Source) > mostName {
			return fmt.Errorf("a line of the timeline is none: %q in slot %q", clip(l.Card), clip(l.Slot))
		}
	}
	for i := range s.Keys {
		r := &s.Keys[i].Result
		if s.Keys[i].Key == "" || !timely(s.Keys[i].At) || checkKey(s.Keys[i].Key) != nil || max(len(r.Card), len(r.Slot), len(r.Schedule)) > mostName {
			return fmt.Errorf("an idempotency key is none: %q", clip(s.Keys[i].Key))
		}
	}
	return nil
}

// newest returns those that are no longer shown, the newest of them, as far as their documents have so many bytes.
func (s *shelf) newest(bytes int) []*item {
	s.mu.RLock()
	defer s.mu.RUnlock()
	from := len(s.ended)
	for from > 0 && len(s.ended[from-1].doc) <= bytes {
		from--
		bytes -= len(s.ended[from].doc)
	}
	kept := slices.Clone(s.ended[from:])
	for i, it := range kept { // the clerk may show one of them again
		kept[i] = &item{revision: it.revision, doc: it.doc, ended: it.ended}
	}
	return kept
}
