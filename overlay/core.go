package overlay

import (
	"slices"
	"strconv"
	"strings"
)

// core is what commands are judged by and what they change: the list, the slots and the schedule. It is a value, and what
// it refers to is immutable: a change makes another one, so that a group of commands that cannot be written is forgotten by
// forgetting its core.
type core struct {
	stream     string
	epoch, seq int64
	// list counts the changes of cards, over restarts.
	list  int64
	cards []CardView // in the order of the list
	slots []slot     // by name
	plans []planRecord
	// planned counts the scheduled commands there ever were: their identifiers.
	planned int64
	// inBand is the stream's own setting; nil follows the node's.
	inBand *bool

	// floor is the highest revision of a card that was deleted. A card that is new begins above it: so a revision never
	// comes again, although deleted cards are forgotten.
	floor int64
	// base is at or above all revisions that a damaged disk, or another node's state that came in the place of this one's, may
	// have used.
	base int64

	// changes counts what commands changed, over restarts and over nodes. edited is the epoch of the last such change, or of the
	// last stream that began to show the state: of two nodes' states, that of the later epoch is what viewers saw last.
	changes, edited int64
}

// slot shows a card.
type slot struct {
	SlotView
	// opened is the sequence of the state that, within the epoch, began to show it.
	opened int64
}

// find returns the index of a card; -1 when it is not on the list.
func (c *core) find(id string) int {
	return slices.IndexFunc(c.cards, func(v CardView) bool { return v.ID == id })
}

// slot returns what a slot shows; nil when it is empty.
func (c *core) slot(name string) *slot {
	i, ok := slices.BinarySearchFunc(c.slots, name, bySlot)
	if !ok {
		return nil
	}
	return &c.slots[i]
}

func bySlot(s slot, name string) int { return strings.Compare(s.Slot, name) }

// shownIn returns the slots that show a card.
func (c *core) shownIn(id string) []slot {
	var in []slot
	for _, s := range c.slots {
		if s.Card == id {
			in = append(in, s)
		}
	}
	return in
}

// scheduled tells whether a card waits for its time.
func (c *core) scheduled(id string) bool {
	return slices.ContainsFunc(c.plans, func(p planRecord) bool { return p.Card == id })
}

// nextRev is the revision that a card gets: the first one when was is 0.
func (c *core) nextRev(was int64) int64 {
	if was == 0 {
		was = c.floor
	}
	return max(was, c.base) + 1
}

// apply returns the core after a record.
func (c core) apply(r *record) core {
	if s := r.Snapshot; s != nil {
		c.load(s)
	}
	if o := r.Open; o != nil {
		c.stream, c.epoch, c.seq, c.base = o.Stream, o.Epoch, 1, max(c.base, o.Base)
		c.slots = slices.Clone(c.slots)
		for i := range c.slots {
			c.slots[i].opened = c.seq
		}
	}
	if len(r.Put)+len(r.Gone)+len(r.Order) > 0 {
		c.list++
		c.applyCards(r)
	}
	if len(r.Slots) > 0 {
		c.seq++
		c.applySlots(r.Slots)
	}
	if r.Done != "" {
		c.plans = slices.DeleteFunc(slices.Clone(c.plans), func(p planRecord) bool { return p.ID == r.Done })
	}
	if r.Plan != nil {
		c.applyPlan(*r.Plan)
	}
	if r.InBand != nil {
		c.inBand = r.InBand
	}
	if r.edits() {
		c.changes++
		c.edited = c.epoch
	}
	return c
}

// applyCards changes the list.
func (c *core) applyCards(r *record) {
	for _, id := range r.Gone {
		if i := c.find(id); i >= 0 {
			c.floor = max(c.floor, c.cards[i].Rev)
		}
	}
	cards := slices.Clone(c.cards)
	if len(r.Gone) > 0 {
		gone := places(r.Gone)
		cards = slices.DeleteFunc(cards, func(v CardView) bool { _, is := gone[v.ID]; return is })
	}
	at := make(map[string]int, len(cards))
	if len(r.Put) > 1 {
		for i, v := range cards {
			at[v.ID] = i
		}
	} else if len(r.Put) == 1 {
		if i := slices.IndexFunc(cards, func(v CardView) bool { return v.ID == r.Put[0].ID }); i >= 0 {
			at[r.Put[0].ID] = i
		}
	}
	for _, p := range r.Put {
		v := CardView{ID: p.ID, Rev: p.Rev, UpdatedAt: fromMillis(p.At), Card: p.Doc}
		if i, ok := at[p.ID]; ok {
			cards[i] = v
			continue
		}
		at[p.ID] = len(cards)
		cards = append(cards, v)
	}
	if len(r.Order) > 0 {
		place := places(r.Order)
		of := func(v CardView) int {
			if i, ok := place[v.ID]; ok {
				return i
			}
			return len(place)
		}
		slices.SortStableFunc(cards, func(a, b CardView) int { return of(a) - of(b) })
	}
	c.cards = cards
}

// places maps each name to its index.
func places(names []string) map[string]int {
	m := make(map[string]int, len(names))
	for i, n := range names {
		m[n] = i
	}
	return m
}

// applySlots changes what slots show; the sequence is that of the new state already.
func (c *core) applySlots(changes []slotRecord) {
	slots := slices.Clone(c.slots)
	for _, r := range changes {
		i, there := slices.BinarySearchFunc(slots, r.Slot, bySlot)
		if r.Card == "" {
			if there {
				slots = slices.Delete(slots, i, i+1)
			}
			continue
		}
		s := slot{SlotView{Slot: r.Slot, Card: r.Card, Rev: r.Rev, Since: fromMillis(r.Since)}, c.seq}
		if there {
			slots[i] = s
		} else {
			slots = slices.Insert(slots, i, s)
		}
	}
	c.slots = slots
}

// applyPlan puts a command into the schedule, behind those of the same time.
func (c *core) applyPlan(p planRecord) {
	c.planned = max(c.planned, planNumber(p.ID))
	i := len(c.plans)
	for i > 0 && c.plans[i-1].At > p.At {
		i--
	}
	c.plans = slices.Insert(slices.Clone(c.plans), i, p)
}

// planID is the identifier of the nth scheduled command.
func planID(n int64) string { return "s" + strconv.FormatInt(n, 10) }

func planNumber(id string) int64 {
	n, _ := strconv.ParseInt(strings.TrimPrefix(id, "s"), 10, 64)
	return n
}

// mend drops what refers to cards that are not there: a damaged journal may have kept the one and lost the other.
func (c *core) mend() {
	rev := make(map[string]int64, len(c.cards))
	for _, v := range c.cards {
		rev[v.ID] = v.Rev
	}
	c.slots = slices.DeleteFunc(slices.Clone(c.slots), func(s slot) bool {
		r, ok := rev[s.Card]
		return !ok || r != s.Rev
	})
	c.plans = slices.DeleteFunc(slices.Clone(c.plans), func(p planRecord) bool {
		_, ok := rev[p.Card]
		return p.Op == OpShow && !ok
	})
}

// highest is the highest revision that the core knows of.
func (c *core) highest() int64 {
	high := max(c.floor, c.base)
	for _, v := range c.cards {
		high = max(high, v.Rev)
	}
	return high
}
