package overlay

import (
	"errors"
	"time"

	"pushcart/overlay/card"
	"pushcart/overlay/timed"
)

// group is what the clerk carries out with one flush: each command is judged by the core that the ones before it left, and
// none is answered before all are on the disk.
type group struct {
	*clerk
	now, reached time.Time // as a planner has them
	policy       card.Policy
	core         core
	keys         map[string]*keyRecord // of this group

	entries []entry
	records [][]byte
}

// entry is a command and what it came to.
type entry struct {
	*job
	decision
	encoded bool   // the record is to be written
	before  core   // the core that it was judged by
	after   core   // and what it made of it
	state   *state // where the slots changed
	outcome string
	// settled tells that no command before it in the group changed anything, so that the answer holds even if the group
	// cannot be written.
	settled bool
}

// add judges a command.
func (g *group) add(j *job) {
	e := entry{job: j, before: g.core, settled: len(g.records) == 0}
	if !g.replayed(&e) {
		g.judge(&e)
	}
	g.entries = append(g.entries, e)
}

// replayed answers a command whose idempotency key has been used before.
func (g *group) replayed(e *entry) bool {
	if e.Key == "" || e.invalid != nil && e.invalid.Field == "key" {
		return false
	}
	k := g.keys[e.Key]
	if k == nil {
		k = g.books.keys.find(e.Key, g.now)
	}
	switch {
	case k == nil:
		return false
	case k.Hash != e.Fingerprint:
		e.decision = refused(refuse(ReasonReused, "key", "The idempotency key %q was used for another command: use a new one for each command.", e.Key))
		e.outcome = string(ReasonReused)
	default:
		e.result = k.Result
		e.result.Replayed = true
		e.outcome = outcomeReplayed
	}
	return true
}

// judge decides on a command and, if it has an effect, takes its record into the group.
func (g *group) judge(e *entry) {
	p := planner{&g.core, g.now, g.reached, g.policy}
	e.decision = p.plan(e.request)
	if e.refusal == nil && e.record != nil && e.record.Plan != nil {
		e.refusal = g.foreseen(p, *e.record.Plan)
	}
	if e.refusal == nil && e.record != nil && len(e.record.Slots) > 0 {
		e.after = g.core.apply(e.record)
		e.state, e.refusal = g.state(&e.after)
	}
	if e.refusal != nil {
		if e.outcome = string(e.refusal.Reason); e.plan == nil {
			return
		}
		// Its time will not come again.
		e.record, e.state = nil, nil
	}
	e.complete(g)
	if e.record == nil {
		return
	}
	raw, err := e.record.encode()
	if err != nil {
		e.refusal, e.outcome = refuse(ReasonInvalid, "", "The command cannot be kept: %v.", err), string(ReasonInvalid)
		return
	}
	e.encoded = true
	g.core = e.after
	g.records = append(g.records, raw)
	if k := e.record.Key; k != nil {
		g.keys[k.Key] = k
	}
}

// complete gives the result its sequence, and the record all that is not the command's own.
func (e *entry) complete(g *group) {
	if e.refusal == nil {
		e.outcome = outcomeUnchanged
	}
	if e.record != nil {
		e.outcome = outcomeDone
		if e.record.Plan != nil {
			e.outcome = outcomeScheduled
		}
	}
	if e.record == nil && (e.Key != "" || e.plan != nil) {
		e.record = &record{}
	}
	e.after = g.core
	if e.record == nil {
		e.result.Epoch, e.result.Seq = g.core.epoch, g.core.seq
		return
	}
	e.record.At, e.record.Source = millis(g.now), e.Source
	if e.plan != nil {
		e.record.Done = e.plan.ID
	}
	if e.Key != "" { // counts as a change by itself
		e.record.Key = &keyRecord{Key: e.Key, Hash: e.Fingerprint, At: millis(g.now)}
	}
	e.after = g.core.apply(e.record)
	e.result.Epoch, e.result.Seq = e.after.epoch, e.after.seq
	if e.Key != "" {
		e.record.Key.Result = e.result
	}
}

// state signs the slots of a core; the refusal is for one that does not fit into a message.
func (g *group) state(c *core) (*state, *Refusal) {
	s, err := g.desks.sign(c)
	switch {
	case errors.Is(err, timed.ErrTooLarge):
		return nil, refuse(ReasonTooLarge, "slot", "With this the state of the slots would take more than %d bytes: hide a slot first, or use shorter names for slots and cards.", timed.MaxToken)
	case err != nil:
		return nil, refuse(ReasonInvalid, "", "The state of the slots cannot be signed: %v.", err)
	}
	return s, nil
}

// foreseen is the refusal that a scheduled command would get when its time comes.
func (g *group) foreseen(p planner, plan planRecord) *Refusal {
	then, refusal := p.foresee(plan)
	if refusal == nil {
		_, refusal = g.state(&then)
	}
	return refusal
}

// finish writes the group, lets everybody see it, and answers.
func (g *group) finish() {
	var failed *Refusal
	for i := range g.entries {
		if w := g.entries[i].way; w != nil && g.entries[i].encoded {
			w.Judged()
		}
	}
	if len(g.records) > 0 {
		if err := g.write(g.records); err != nil {
			failed = storage(err, "written")
			g.again = g.now.Add(time.Second)
		} else {
			g.commit()
		}
	}
	for i := range g.entries {
		g.answer(&g.entries[i], failed)
	}
	if failed == nil && len(g.records) > 0 {
		g.desks.changed(g.desk.name)
	}
}

// commit makes the group what the desk is, and announces each state of the slots.
func (g *group) commit() {
	w := g.clerk
	changed := false
	for i := range g.entries {
		e := &g.entries[i]
		if !e.encoded {
			continue
		}
		if e.way != nil {
			e.way.Flushed()
		}
		w.books.apply(e.record, &e.before, &e.after)
		changed = changed || e.outcome != outcomeUnchanged || e.plan != nil
		if e.state != nil {
			e.state.at, e.state.frame, e.state.way = e.at, e.Frame, e.way
			w.shown = e.state
		}
		if e.late {
			w.desks.metrics.late.Inc()
		}
	}
	w.core = g.core
	w.books.keys.expire(g.now)
	w.books.shelf.expire(g.now, w.desks.opt.Keep())
	w.measure(w.journal.Size(), len(w.core.slots))
	if changed {
		w.publish()
	}
	for i := range g.entries {
		if s := g.entries[i].state; s != nil && g.entries[i].encoded {
			w.announce(s)
		}
	}
}

// announce gives a state to the screens.
func (w *clerk) announce(s *state) {
	if len(w.screens) == 0 {
		return
	}
	a := s.announcement()
	if s.way != nil {
		s.way.Announced()
	}
	for _, f := range w.screens {
		f.screen.Announce(a)
	}
}

// answer tells a command's sender what became of it; failed is not nil when the group could not be written.
func (g *group) answer(e *entry, failed *Refusal) {
	refusal := e.refusal
	if failed != nil && (e.encoded || !e.settled) {
		refusal, e.outcome = failed, string(ReasonStorage)
	}
	g.desks.metrics.command(e.request, e.outcome)
	if e.plan != nil {
		if refusal != nil && refusal != failed { // else it is tried again
			g.desks.opt.Log.Warn("a scheduled command was not carried out", "stream", g.desk.name, "op", string(e.Op),
				"slot", e.Slot, "card", e.Card, "at", e.At, "reason", refusal.Message)
		}
		return
	}
	if refusal != nil {
		e.answered(string(refusal.Reason))
		e.done(Result{}, refusal)
		return
	}
	e.answered("")
	e.done(e.result, nil)
}
