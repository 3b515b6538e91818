package overlay

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// record is one line of a desk's journal, as JSON: what a command came to, never the command itself. It is replayed without
// a clock, a policy or a decision, by whatever version of the rules.
type record struct {
	// Open tells that the journal was opened, and begins an epoch.
	Open *opening `json:"open,omitempty"`
	// Snapshot stands for all records before; several follow one another.
	Snapshot *snapshot `json:"snapshot,omitempty"`

	// At is when the command was carried out, in Unix milliseconds; Source who asked.
	At     int64  `json:"at,omitempty"`
	Source string `json:"source,omitempty"`
	// Put are cards with a new revision, Gone those taken off the list, Order the list afterwards where it is not the
	// one before with what is new at its end.
	Put   []cardRecord `json:"put,omitempty"`
	Gone  []string     `json:"gone,omitempty"`
	Order []string     `json:"order,omitempty"`
	// Slots are those that changed.
	Slots []slotRecord `json:"slots,omitempty"`
	// Plan is a command that waits for its time from now on; Done the identifier of one that does no longer.
	Plan *planRecord `json:"plan,omitempty"`
	Done string      `json:"done,omitempty"`
	// InBand is the stream's own setting.
	InBand *bool `json:"in_band,omitempty"`
	// Key is the command's idempotency key.
	Key *keyRecord `json:"key,omitempty"`
}

// opening is a start of the desk.
type opening struct {
	Stream string `json:"stream"`
	Epoch  int64  `json:"epoch"`
	// Base is a revision above all that may have been used by records that a damaged disk lost; 0 when none were.
	Base int64 `json:"base,omitempty"`
}

// cardRecord is one revision of a card.
type cardRecord struct {
	ID  string          `json:"id"`
	Rev int64           `json:"rev"`
	At  int64           `json:"at"` // Unix ms
	Doc json.RawMessage `json:"doc"`
}

// slotRecord is what a slot shows from a time on; with no Card, nothing.
type slotRecord struct {
	Slot  string `json:"slot"`
	Card  string `json:"card,omitempty"`
	Rev   int64  `json:"rev,omitempty"`
	Since int64  `json:"since"` // Unix ms
}

// planRecord is a command that waits for its time.
type planRecord struct {
	ID     string `json:"id"`
	Op     Op     `json:"op"`
	Slot   string `json:"slot,omitempty"`
	Card   string `json:"card,omitempty"`
	At     int64  `json:"at"` // Unix ms
	Source string `json:"source,omitempty"`
}

// keyRecord is an idempotency key with what was answered.
type keyRecord struct {
	Key    string `json:"key"`
	Hash   digest `json:"hash"`
	At     int64  `json:"at"` // Unix ms
	Result Result `json:"result"`
}

// digest is a hash, in hexadecimal digits where it is text.
type digest [32]byte

// MarshalText implements encoding.TextMarshaler.
func (f digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, f[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *digest) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(f)) {
		return fmt.Errorf("a hash of %d digits", len(b))
	}
	_, err := hex.Decode(f[:], b)
	return err
}

// edits tells whether the record is of a command.
func (r *record) edits() bool {
	return len(r.Put)+len(r.Gone)+len(r.Order)+len(r.Slots) > 0 || r.Plan != nil || r.Done != "" || r.InBand != nil || r.Key != nil
}

// encode returns the record as it goes into the journal. Documents keep their bytes: they are compared by them.
func (r *record) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("write a record as JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decodeRecord reads a record of the journal.
func decodeRecord(b []byte) (*record, error) {
	r := &record{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	return r, nil
}

// millis is a time as records have it.
func millis(t time.Time) int64 { return t.UnixMilli() }

// fromMillis is a time as views have it.
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
