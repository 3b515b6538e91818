package overlay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pushcart/overlay/card"
)

// Bounds on what a stream may have.
const (
	// mostCards on the list.
	mostCards = 500
	// mostSlots that show something at once.
	mostSlots = 8
	// mostPlans is how many commands may wait for their time.
	mostPlans = 100
	// mostBody is the largest body of a command, in bytes: an import of as many cards as there may be.
	mostBody = mostCards * (card.MaxSize + 64)
	// mostKey is the length of the longest idempotency key.
	mostKey = 64
	// mostName is the length of the longest name of a stream: see internal/auth.
	mostName = 64
)

// Bounds on the time of a command.
const (
	mostPast   = 24 * time.Hour
	mostFuture = 366 * 24 * time.Hour
)

// request is a command that has been looked through as far as that goes without knowing the desk's state.
type request struct {
	Command
	// cards of a put (one) and of an import.
	cards []*card.Card
	// invalid is what is wrong with the command by itself. It is decided upon after the idempotency key, so that a
	// command that was right once keeps its answer.
	invalid *Refusal
	// plan is the scheduled command whose time has come; nil for one that comes from outside.
	plan *planRecord
}

// refuse makes a refusal.
func refuse(reason Reason, field, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Field: field, Message: fmt.Sprintf(format, args...)}
}

// refuseCard makes a refusal of what is wrong with a card document, which stands at a place in the body.
func refuseCard(at string, err error) *Refusal {
	var f *card.FieldError
	if !errors.As(err, &f) {
		return refuse(ReasonInvalid, at, "%v", err)
	}
	r := &Refusal{Reason: ReasonInvalid, Field: f.Field, Message: f.Message}
	if f.TooLarge {
		r.Reason = ReasonTooLarge
	}
	if at != "" {
		if r.Field = at; f.Field != "" {
			r.Field += "." + f.Field
		}
	}
	return r
}

// prepare looks a command through. Any goroutine may; so a flood of commands that are wrong costs their senders, not the
// desk. The command's Body is not kept.
func prepare(c Command, policy card.Policy, now time.Time) *request {
	q := &request{Command: c}
	q.invalid = q.check(policy, now)
	q.Body = nil
	if q.invalid == nil && c.Op == OpPatch {
		q.Body = bytes.Clone(c.Body)
	}
	return q
}

// size is about what the request holds, in bytes.
func (q *request) size() int {
	n := len(q.Body) + 256
	for _, c := range q.cards {
		n += len(c.JSON())
	}
	for _, id := range q.Order {
		n += len(id) + 16
	}
	return n
}

func (q *request) check(policy card.Policy, now time.Time) *Refusal {
	if r := checkKey(q.Key); r != nil {
		return r
	}
	if len(q.Body) > mostBody {
		return refuse(ReasonTooLarge, "", "The body has %d bytes, and %d is the most.", len(q.Body), mostBody)
	}
	if q.Op == OpShow || q.Op == OpHide {
		return q.checkTimed(now)
	}
	if !q.At.IsZero() {
		return refuse(ReasonInvalid, "at", "Only show and hide can be given a time: leave it out.")
	}
	switch q.Op {
	case OpPut:
		return q.checkPut(policy)
	case OpPatch:
		if len(q.Body) > card.MaxSize {
			return refuse(ReasonTooLarge, "", "The patch has %d bytes, and %d is the most.", len(q.Body), card.MaxSize)
		}
		return checkID(q.Card)
	case OpDelete:
		return checkID(q.Card)
	case OpImport:
		return q.checkImport(policy)
	case OpOrder:
		if len(q.Order) > mostCards {
			return refuse(ReasonTooLarge, "order", "The order names %d cards, and a list has at most %d.", len(q.Order), mostCards)
		}
		return nil
	case OpCancel, OpConfigure:
		return nil
	}
	return refuse(ReasonInvalid, "op", "There is no command %q.", string(q.Op))
}

func checkKey(key string) *Refusal {
	if len(key) > mostKey {
		return refuse(ReasonInvalid, "key", "The idempotency key has %d characters, and %d is the most.", len(key), mostKey)
	}
	for _, b := range []byte(key) {
		if b <= ' ' || b > '~' {
			return refuse(ReasonInvalid, "key", "The idempotency key has a character that is not visible ASCII: use letters and digits.")
		}
	}
	return nil
}

func checkID(id string) *Refusal {
	if err := card.ValidID(id); err != nil {
		return refuse(ReasonInvalid, "card", "%q is no identifier of a card: %v.", clip(id), err)
	}
	return nil
}

// clip shortens what somebody sent, for a message.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}

func (q *request) checkTimed(now time.Time) *Refusal {
	if q.Op == OpShow || q.Slot != "" {
		if err := card.ValidSlot(q.Slot); err != nil {
			return refuse(ReasonInvalid, "slot", "%q is no name of a slot: %v.", clip(q.Slot), err)
		}
	}
	if q.Op == OpShow {
		if r := checkID(q.Card); r != nil {
			return r
		}
	}
	switch {
	case q.At.IsZero():
	case q.Frame != nil:
		return refuse(ReasonInvalid, "at", "A command that comes with the media happens at its frame: leave the time out.")
	case now.Sub(q.At) > mostPast:
		return refuse(ReasonInvalid, "at", "The time is more than 24 hours ago: leave it out for now.")
	case q.At.Sub(now) > mostFuture:
		return refuse(ReasonInvalid, "at", "The time is more than a year away: choose an earlier one.")
	}
	return nil
}

func (q *request) checkPut(policy card.Policy) *Refusal {
	c, err := card.Parse(q.Body, policy)
	if err != nil {
		return refuseCard("", err)
	}
	if q.Card != "" && q.Card != c.ID() {
		return refuse(ReasonInvalid, "id", "The document is of card %q, and the command is for %q: make them equal.", c.ID(), clip(q.Card))
	}
	q.Card, q.cards = c.ID(), []*card.Card{c}
	return nil
}

func (q *request) checkImport(policy card.Policy) *Refusal {
	var docs []json.RawMessage
	if err := json.Unmarshal(q.Body, &docs); err != nil || docs == nil {
		return refuse(ReasonInvalid, "cards", "An import is a JSON array of card documents, [] for none.")
	}
	if len(docs) > mostCards {
		return refuse(ReasonTooLarge, "cards", "There are %d cards in it, and a list has at most %d.", len(docs), mostCards)
	}
	index := make(map[string]int, len(docs))
	for i, doc := range docs {
		at := fmt.Sprintf("cards[%d]", i)
		c, err := card.Parse(doc, policy)
		if err != nil {
			return refuseCard(at, err)
		}
		if first, twice := index[c.ID()]; twice {
			return refuse(ReasonInvalid, at+".id", "%q is the identifier of cards[%d] already: each card needs its own.", c.ID(), first)
		}
		index[c.ID()] = i
		q.cards = append(q.cards, c)
	}
	return nil
}

// checkName tells whether a stream may have this name, which becomes a file's. The rules are those of internal/auth.
func checkName(name string) *Refusal {
	ok := name != "" && len(name) <= mostName
	for i, b := range []byte(name) {
		letter := 'a' <= b|0x20 && b|0x20 <= 'z' || '0' <= b && b <= '9'
		ok = ok && (letter || i > 0 && (b == '_' || b == '-'))
	}
	if !ok {
		return refuse(ReasonInvalid, "stream",
			"%q cannot be the name of a stream: use up to %d letters, digits, \"-\" and \"_\", a letter or a digit first.", clip(name), mostName)
	}
	return nil
}
