package overlay

import (
	"bytes"
	"slices"
	"time"

	"pushcart/overlay/card"
)

// planner decides what a request comes to. It is pure: it reads a core and a clock, and changes neither.
type planner struct {
	*core
	// now is the node's clock, reached the one of the stream's capture, by which times in commands go.
	now, reached time.Time
	policy       card.Policy
}

// decision is what a request comes to: a refusal, or a record and a result. A record without effect is none.
type decision struct {
	record  *record
	result  Result
	refusal *Refusal
	// late tells that the time that was asked for had passed.
	late bool
	// at is that time; zero when none was asked for.
	at time.Time
}

func refused(r *Refusal) decision { return decision{refusal: r} }

// plan decides on a request.
func (p planner) plan(q *request) decision {
	if q.invalid != nil {
		return refused(q.invalid)
	}
	switch q.Op {
	case OpPut:
		return p.put(q, q.cards[0])
	case OpPatch:
		return p.patch(q)
	case OpDelete:
		return p.delete(q)
	case OpImport:
		return p.importAll(q)
	case OpOrder:
		return p.order(q)
	case OpShow, OpHide:
		return p.timed(q)
	case OpCancel:
		return p.cancel(q)
	}
	return p.configure(q) // check lets no other through
}

// noCard is the refusal of what a card is needed for that is not on the list.
func noCard(id string) *Refusal {
	return refuse(ReasonNotFound, "card", "There is no card %q on the list: add it first, or look the identifier up.", id)
}

// checkRev holds the revision that the sender knows against the card's; 0 is no card.
func (p planner) checkRev(q *request, has int64) *Refusal {
	switch {
	case q.IfRev == nil || *q.IfRev == has:
		return nil
	case *q.IfRev == 0:
		return refuse(ReasonStale, "", "There is a card %q already, with revision %d: change that one, or choose another identifier.", q.Card, has)
	case has == 0:
		return refuse(ReasonStale, "", "Card %q is not on the list any more: leave the revision out to add it anew.", q.Card)
	}
	return refuse(ReasonStale, "", "Card %q has revision %d, not %d: somebody changed it. Read it again and decide anew.", q.Card, has, *q.IfRev)
}

// checkSeq holds the sequence that the sender knows against the slots'.
func (p planner) checkSeq(q *request) *Refusal {
	if q.IfEpoch != nil && *q.IfEpoch != p.epoch {
		return refuse(ReasonStale, "", "The slots were counted anew since: the node has started again. Read them again and decide anew.")
	}
	if q.IfSeq == nil || *q.IfSeq == p.seq {
		return nil
	}
	return refuse(ReasonStale, "", "The slots are at sequence %d, not %d: somebody changed them. Read them again and decide anew.", p.seq, *q.IfSeq)
}

// put gives a card a new document.
func (p planner) put(q *request, c *card.Card) decision {
	at := p.find(c.ID())
	var has CardView
	if at >= 0 {
		has = p.cards[at]
	}
	if r := p.checkRev(q, has.Rev); r != nil {
		return refused(r)
	}
	d := decision{result: Result{Card: c.ID(), Rev: has.Rev}}
	if at >= 0 && bytes.Equal(has.Card, c.JSON()) {
		return d
	}
	if at < 0 && len(p.cards) >= mostCards {
		return refused(refuse(ReasonTooLarge, "", "The list has %d cards, which is the most: delete one first.", mostCards))
	}
	d.record = &record{}
	d.result.Rev, d.result.Created = p.renew(d.record, c, has.Rev), at < 0
	return d
}

// renew enters a new revision of a card into a record, in the list and in the slots that show it.
func (p planner) renew(r *record, c *card.Card, was int64) (rev int64) {
	rev = p.nextRev(was)
	r.Put = append(r.Put, cardRecord{ID: c.ID(), Rev: rev, At: millis(p.now), Doc: c.JSON()})
	for _, s := range p.shownIn(c.ID()) {
		r.Slots = append(r.Slots, slotRecord{s.Slot, s.Card, rev, millis(p.now)})
	}
	return rev
}

func (p planner) patch(q *request) decision {
	at := p.find(q.Card)
	if at < 0 {
		return refused(noCard(q.Card))
	}
	if r := p.checkRev(q, p.cards[at].Rev); r != nil {
		return refused(r)
	}
	was, err := card.Parse(p.cards[at].Card, anyHost)
	if err != nil {
		return refused(refuse(ReasonConflict, "", "The card as it is breaks a rule (%v), so that it cannot be patched: put the whole document.", err))
	}
	c, err := was.Merge(q.Body, p.policy)
	if err != nil {
		return refused(refuseCard("", err))
	}
	return p.put(q, c)
}

// held is the refusal to take a card off the list that is needed there; nil when it is not.
func (p planner) held(id string) *Refusal {
	if in := p.shownIn(id); len(in) > 0 {
		return refuse(ReasonConflict, "", "Card %q is shown in slot %q: hide it first.", id, in[0].Slot)
	}
	if p.scheduled(id) {
		return refuse(ReasonConflict, "", "Card %q is scheduled to be shown: cancel that first.", id)
	}
	return nil
}

func (p planner) delete(q *request) decision {
	at := p.find(q.Card)
	if at < 0 {
		return refused(noCard(q.Card))
	}
	if r := p.checkRev(q, p.cards[at].Rev); r != nil {
		return refused(r)
	}
	if r := p.held(q.Card); r != nil {
		return refused(r)
	}
	return decision{record: &record{Gone: []string{q.Card}}, result: Result{Card: q.Card, Rev: p.cards[at].Rev}}
}

func (p planner) importAll(q *request) decision {
	has := make(map[string]CardView, len(p.cards))
	for _, v := range p.cards {
		has[v.ID] = v
	}
	r, order := &record{}, make([]string, len(q.cards))
	for i, c := range q.cards {
		order[i] = c.ID()
		v := has[c.ID()]
		delete(has, c.ID())
		if v.Rev == 0 || !bytes.Equal(v.Card, c.JSON()) {
			p.renew(r, c, v.Rev)
		}
	}
	for _, v := range p.cards {
		if _, gone := has[v.ID]; !gone {
			continue
		}
		if no := p.held(v.ID); no != nil {
			no.Field = "cards"
			no.Message += " Or let the import have it."
			return refused(no)
		}
		r.Gone = append(r.Gone, v.ID)
	}
	d := decision{result: Result{Cards: len(q.cards)}}
	if !slices.Equal(order, p.ids()) {
		r.Order = order
	}
	if len(r.Put)+len(r.Gone)+len(r.Order) > 0 {
		d.record = r
	}
	return d
}

// ids lists the cards' identifiers in order.
func (c *core) ids() []string {
	ids := make([]string, len(c.cards))
	for i, v := range c.cards {
		ids[i] = v.ID
	}
	return ids
}

func (p planner) order(q *request) decision {
	ids := p.ids()
	if slices.Equal(ids, q.Order) {
		return decision{}
	}
	place := places(q.Order)
	for _, id := range ids {
		if _, ok := place[id]; !ok {
			return refused(refuse(ReasonInvalid, "order", "The order leaves %q out: name each card of the list once.", id))
		}
	}
	if len(q.Order) != len(ids) {
		return refused(refuse(ReasonInvalid, "order", "The order has %d names, and the list has %d cards: name each once, and no other.", len(q.Order), len(ids)))
	}
	return decision{record: &record{Order: slices.Clone(q.Order)}}
}

func (p planner) cancel(q *request) decision {
	i := slices.IndexFunc(p.plans, func(r planRecord) bool { return r.ID == q.Schedule })
	if i < 0 {
		return refused(refuse(ReasonNotFound, "schedule", "No scheduled command has the identifier %q: it may have been carried out already.", clip(q.Schedule)))
	}
	was := p.plans[i]
	at := fromMillis(was.At)
	return decision{record: &record{Done: was.ID}, result: Result{Schedule: was.ID, Slot: was.Slot, Card: was.Card, At: &at}}
}

func (p planner) configure(q *request) decision {
	if q.InBand == nil || p.inBand != nil && *p.inBand == *q.InBand {
		return decision{}
	}
	return decision{record: &record{InBand: q.InBand}}
}
