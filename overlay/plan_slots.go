package overlay

import "time"

// latestFrame is how long ago a frame may have been captured that a state can still be bound to; one that comes later
// begins now.
const latestFrame = 2 * time.Second

// timed decides on show and hide: now, or later.
func (p planner) timed(q *request) decision {
	if r := p.checkSeq(q); r != nil {
		return refused(r)
	}
	if q.Op == OpShow && p.find(q.Card) < 0 {
		return refused(noCard(q.Card))
	}
	if q.plan == nil && q.At.After(p.reached) {
		return p.later(q)
	}
	since := p.now
	if !q.At.IsZero() && (q.plan != nil || p.now.Sub(q.At) < latestFrame) {
		since = q.At
	}
	d := p.change(q, since)
	if d.refusal == nil {
		d.at, d.late = q.At, !q.At.IsZero() && q.plan == nil
		if d.late {
			at := q.At.UTC()
			d.result.At = &at
		}
	}
	return d
}

// change decides on what a show or hide does to the slots, from a time on.
func (p planner) change(q *request, since time.Time) decision {
	d := decision{result: Result{Slot: q.Slot}}
	r := &record{}
	for _, s := range p.slots { // nothing ends before it began
		if (q.Slot == "" || q.Slot == s.Slot) && since.Before(s.Since) {
			since = s.Since
		}
	}
	if q.Op == OpHide {
		for _, s := range p.slots {
			if q.Slot == "" || q.Slot == s.Slot {
				r.Slots = append(r.Slots, slotRecord{Slot: s.Slot, Since: millis(since)})
			}
		}
	} else {
		v := p.cards[p.find(q.Card)]
		d.result.Card, d.result.Rev = v.ID, v.Rev
		has := p.slot(q.Slot)
		switch {
		case has == nil && len(p.slots) >= mostSlots:
			return refused(refuse(ReasonTooLarge, "slot", "%d slots show a card, which is the most: hide one first.", mostSlots))
		case has == nil || has.Card != v.ID || has.Rev != v.Rev:
			r.Slots = []slotRecord{{q.Slot, v.ID, v.Rev, millis(since)}}
		}
	}
	if len(r.Slots) > 0 {
		d.record = r
	}
	return d
}

// later puts a command into the schedule. What stands there before it is carried out on paper, so that the host hears now
// of what would not be possible then.
func (p planner) later(q *request) decision {
	if len(p.plans) >= mostPlans {
		return refused(refuse(ReasonTooLarge, "at", "%d commands wait for their time, which is the most: cancel one, or wait.", mostPlans))
	}
	plan := planRecord{ID: planID(p.planned + 1), Op: q.Op, Slot: q.Slot, Card: q.Card, At: millis(q.At), Source: q.Source}
	at := fromMillis(plan.At)
	d := decision{
		record: &record{Plan: &plan},
		result: Result{Slot: q.Slot, Card: q.Card, Schedule: plan.ID, At: &at},
	}
	if i := p.find(q.Card); q.Op == OpShow && i >= 0 {
		d.result.Rev = p.cards[i].Rev
	}
	return d
}

// foresee returns the core as it will be when a plan has been carried out, if nothing comes in between, and the refusal
// that it would get.
func (p planner) foresee(plan planRecord) (core, *Refusal) {
	then := *p.core
	for _, other := range append(p.plans[:len(p.plans):len(p.plans)], plan) {
		if other.At > plan.At {
			continue
		}
		d := planner{&then, p.now, p.reached, p.policy}.timed(other.request())
		switch {
		case d.refusal != nil && other.ID == plan.ID:
			return then, d.refusal
		case d.record != nil:
			then = then.apply(d.record)
		}
	}
	return then, nil
}

// request is the command that the plan stands for.
func (r planRecord) request() *request {
	return &request{
		Command: Command{Op: r.Op, Slot: r.Slot, Card: r.Card, At: fromMillis(r.At), Source: r.Source},
		plan:    &r,
	}
}
