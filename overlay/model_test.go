package overlay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/overlay/journal"
	"pushcart/overlay/journal/journaltest"
)

// model is what a desk should be, in the simplest terms.
type model struct {
	order []string
	name  map[string]string
	rev   map[string]int64
	used  map[string]int64 // the highest revision that an identifier ever had
	slots map[string]string
	seq   int64
	list  int64
	shown map[revision]bool
	keys  map[string]Result

	checks int
}

// expect is what the model says of a command: the reason of a refusal, or "".
func (m *model) expect(c Command) Reason {
	rev, there := m.rev[c.Card]
	if c.IfRev != nil && *c.IfRev != rev && (there || c.Op == OpPut) {
		return ReasonStale
	}
	if c.IfSeq != nil && *c.IfSeq != m.seq {
		return ReasonStale
	}
	switch c.Op {
	case OpPatch, OpDelete, OpShow:
		if !there {
			return ReasonNotFound
		}
		if c.Op == OpDelete && slices.Contains(values(m.slots), c.Card) {
			return ReasonConflict
		}
		if c.Op == OpShow && m.slots[c.Slot] == "" && len(m.slots) >= mostSlots {
			return ReasonTooLarge
		}
	case OpImport:
		for _, id := range values(m.slots) {
			if !slices.Contains(c.Order, id) {
				return ReasonConflict
			}
		}
	case OpOrder:
		if !slices.Equal(sorted(c.Order), sorted(m.order)) {
			return ReasonInvalid
		}
	}
	return ""
}

func values(m map[string]string) []string {
	var all []string
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// give gives a card a name; the desk's answer says which revision that is.
func (m *model) give(t *testing.T, id, name string, rev int64) {
	was, there := m.name[id]
	if there && was == name {
		return
	}
	if rev <= m.used[id] {
		t.Errorf("%s gets revision %d, and had %d before", id, rev, m.used[id])
	}
	if !there {
		m.order = append(m.order, id)
	}
	m.name[id], m.rev[id], m.used[id] = name, rev, rev
	for _, on := range m.slots {
		if on == id {
			m.shown[revision{id, rev}] = true
		}
	}
}

// apply has the model do what the desk did.
func (m *model) apply(t *testing.T, c Command, r Result, v *View) {
	before, slots := fmt.Sprint(m.order, m.rev), m.state()
	switch c.Op {
	case OpPut, OpPatch:
		m.give(t, c.Card, c.Key, r.Rev)
	case OpDelete:
		m.forget(c.Card)
	case OpImport:
		for _, id := range slices.Clone(m.order) {
			if !slices.Contains(c.Order, id) {
				m.forget(id)
			}
		}
		for _, id := range c.Order {
			for _, has := range v.Cards {
				if has.ID == id {
					m.give(t, id, c.Key, has.Rev)
				}
			}
		}
		m.order = slices.Clone(c.Order)
	case OpOrder:
		m.order = slices.Clone(c.Order)
	case OpShow:
		m.slots[c.Slot] = c.Card
		m.shown[revision{c.Card, m.rev[c.Card]}] = true
	case OpHide:
		for s := range m.slots {
			if c.Slot == "" || c.Slot == s {
				delete(m.slots, s)
			}
		}
	}
	if m.state() != slots {
		m.seq++
	}
	if fmt.Sprint(m.order, m.rev) != before {
		m.list++
	}
}

func (m *model) forget(id string) {
	delete(m.name, id)
	delete(m.rev, id)
	m.order = slices.DeleteFunc(m.order, func(o string) bool { return o == id })
}

// state is what the slots show, in a line.
func (m *model) state() string {
	var all []string
	for s, id := range m.slots {
		all = append(all, fmt.Sprintf("%s=%s/%d", s, id, m.rev[id]))
	}
	return strings.Join(sorted(all), " ")
}

// check holds the desk against the model.
func (m *model) check(t *testing.T, h *house, k *Desk, after string) {
	t.Helper()
	var cards []string
	for _, id := range m.order {
		cards = append(cards, fmt.Sprintf("%s/%d", id, m.rev[id]))
	}
	v := k.View()
	if got, want := cardsOf(v), strings.Join(cards, " "); got != want || v.List != m.list {
		t.Fatalf("after %s: list %d is %s, want %d: %s", after, v.List, got, m.list, want)
	}
	if got, want := slotsOf(v), m.state(); got != want || v.Seq != m.seq {
		t.Fatalf("after %s: state %d is %s, want %d: %s", after, v.Seq, got, m.seq, want)
	}
	for _, c := range v.Cards {
		if want := fmt.Sprintf(`"name":%q`, m.name[c.ID]); !strings.Contains(string(c.Card), want) {
			t.Fatalf("after %s: the card is %s, want %s", after, c.Card, want)
		}
	}
	if m.checks++; m.checks%20 != 0 {
		return
	}
	for id, most := range m.used {
		for rev := range most + 2 {
			if _, ok := h.Document("show", id, rev); ok != m.shown[revision{id, rev}] {
				t.Fatalf("after %s: there is a document %s/%d: %v", after, id, rev, ok)
			}
		}
	}
}

// random makes up a command. Where one gives cards a name, that is in Key until it is sent.
func (m *model) random(r *rand.Rand) Command {
	ids := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	id, name := ids[r.IntN(len(ids))], fmt.Sprint("Name ", r.IntN(4))
	slot := fmt.Sprint("s", r.IntN(10))
	var ifRev, ifSeq *int64
	if r.IntN(4) == 0 {
		ifRev = ptr(int64(r.IntN(6)))
	}
	if r.IntN(6) == 0 {
		ifSeq = ptr(m.seq - int64(r.IntN(2)))
	}
	switch r.IntN(14) {
	case 0, 1, 2:
		return Command{Op: OpPut, Card: id, Key: name, IfRev: ifRev, Body: []byte(doc(id, name))}
	case 3, 4:
		return Command{Op: OpPatch, Card: id, Key: name, IfRev: ifRev, Body: fmt.Appendf(nil, `{"name":%q}`, name)}
	case 5, 6:
		return Command{Op: OpDelete, Card: id, IfRev: ifRev}
	case 7:
		r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		c := Command{Op: OpImport, Key: name, Order: ids[:3+r.IntN(8)]}
		var docs []string
		for _, id := range c.Order {
			docs = append(docs, doc(id, name))
		}
		c.Body = []byte("[" + strings.Join(docs, ",") + "]")
		return c
	case 8:
		order := slices.Clone(m.order)
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if r.IntN(4) == 0 {
			order = append(order, id)
		}
		return Command{Op: OpOrder, Order: order}
	case 9, 10, 11:
		return Command{Op: OpShow, Slot: slot, Card: id, IfSeq: ifSeq}
	case 12:
		return Command{Op: OpHide, Slot: slot, IfSeq: ifSeq}
	}
	return Command{Op: OpHide, Slot: []string{"", slot, slot}[r.IntN(3)]}
}

// TestAgainstModel sends random commands to a desk and to a model of it, with restarts, crashes and commands sent twice in
// between: both must agree, always.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 7))
		h := newHouse(t, journaltest.New())
		h.keep = time.Hour
		k := h.desk("show")
		m := &model{name: map[string]string{}, rev: map[string]int64{}, used: map[string]int64{}, slots: map[string]string{},
			seq: 1, shown: map[revision]bool{}, keys: map[string]Result{}}
		for n := range 400 {
			if r.IntN(40) == 0 {
				h, k = restart(t, h, k, r.IntN(2+len(journaltest.Losses)))
				m.seq = 1
				m.check(t, h, k, fmt.Sprintf("seed %d, restart at %d", seed, n))
			}
			c := m.random(r)
			after := fmt.Sprintf("seed %d, command %d, %s %s %s", seed, n, c.Op, c.Card, c.Slot)
			want := m.expect(c)
			send := c
			send.Key = fmt.Sprintf("%d-%d", seed, n)
			res, err := k.Do(context.Background(), send)
			var no *Refusal
			if errors.As(err, &no) && no.Reason != want || err == nil && want != "" {
				t.Fatalf("%s: %v, want %q", after, err, want)
			}
			if err == nil {
				m.apply(t, c, res, k.View())
				m.keys[send.Key] = res
				if again, err := k.Do(context.Background(), send); err != nil || !again.Replayed || again.Seq != res.Seq || again.Rev != res.Rev {
					t.Fatalf("%s, sent again: %+v, %v", after, again, err)
				}
			}
			m.check(t, h, k, after)
		}
		for key, res := range m.keys {
			if again, err := k.Do(context.Background(), Command{Op: OpHide, Key: key}); err != nil || again.Rev != res.Rev || again.Epoch != res.Epoch {
				t.Errorf("seed %d: key %s is answered with %+v, %v", seed, key, again, err)
			}
		}
		h.Close()
	}
}

// restart ends a node in one of several ways and starts it again on what is left.
func restart(t *testing.T, h *house, k *Desk, how int) (*house, *Desk) {
	t.Helper()
	fsys := h.fs
	switch how {
	case 0:
		h.Close()
	case 1: // after the journal was written anew
		w := k.clerk.Load()
		h.Close()
		all, err := snapshots(&w.core, &w.books)
		if err != nil {
			t.Fatal(err)
		}
		j, _, err := journal.Open(fsys, showJournal, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Rewrite(all), j.Close()); err != nil {
			t.Fatal(err)
		}
	default:
		fsys = h.fs.Crash(journaltest.Losses[how-2])
		h.Close()
	}
	epoch := k.View().Epoch
	again := newHouse(t, fsys)
	again.keep = h.keep
	k = again.desk("show")
	if k.View().Epoch <= epoch {
		t.Errorf("epoch %d after %d", k.View().Epoch, epoch)
	}
	return again, k
}

// TestManyAtOnce has everybody do everything at the same time, for the race detector and for order: each screen sees
// states in order without a gap, and no command is answered twice or never.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, journaltest.New())
	h.desk("show")
	first := newScreen(t)
	defer h.Follow("show", first).End()
	<-first.began
	var all sync.WaitGroup
	stop := make(chan struct{})
	for i := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			m := &model{}
			for range 300 {
				k, err := h.Desk("show")
				if err != nil {
					t.Error(err)
					return
				}
				c := m.random(r)
				c.Key = ""
				if _, err := k.Do(context.Background(), c); err != nil {
					if no := (*Refusal)(nil); !errors.As(err, &no) || no.Reason == ReasonStorage || no.Reason == ReasonClosed {
						t.Error(err)
					}
				}
			}
		})
	}
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			k := h.desk("show")
			for n := 0; ; n++ {
				v := k.View()
				for _, s := range v.Slots {
					if _, ok := h.Document("show", s.Card, s.Rev); !ok {
						t.Errorf("there is no document of %v", s)
					}
					k.Preview(s.Card, "DE")
				}
				if n%50 == 0 {
					f := h.Follow("show", newScreen(t))
					f.Data(text(int64(n), `{"pushcart":"show","slot":"s%d","card":"a"}`, i))
					f.End()
					h.desk(fmt.Sprint("other", n%100))
				}
				select {
				case <-v.Changed():
				case <-stop:
					return
				}
			}
		})
	}
	all.Wait()
	close(stop)
	readers.Wait()
	for i, s := range first.states() {
		if s.Seq != int64(i+1) {
			t.Fatalf("state %d has sequence %d", i, s.Seq)
		}
	}
	h.Close()
}
