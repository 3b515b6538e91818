package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// producer runs the cards of one stream: it shows, changes, schedules and hides them.
type producer struct {
	*soak
	*host
	rand *rand.Rand
	turn int
	main string // the card that is in the slot main; "" is none

	mu      sync.Mutex      // guards what follows
	granted map[string]bool // lines that have to be in the timeline, as "main:m3/17"
	refused map[string]bool // lines that must not
	lines   map[string]time.Time
	side    [2]string // the cards that are, or are about to be, in the slot side: one that is due while the disk is full comes late
	due     time.Time // when it is put there
}

// cardsOf is how many cards each slot has to choose from.
const cardsOf = 8

func (k *soak) producer(name string, seed uint64) *producer {
	p := &producer{soak: k, host: newHost(k.t, "http://"+k.s.HTTP), rand: rand.New(rand.NewPCG(k.seed, seed)),
		granted: map[string]bool{}, refused: map[string]bool{}, lines: map[string]time.Time{}}
	p.host.name = name
	var list []any
	for i := range cardsOf {
		list = append(list, product(fmt.Sprint("m", i), "1.00"), product(fmt.Sprint("s", i), "2.00"))
	}
	p.do(http.MethodPut, "/cards", list)
	return p
}

// run commands until the producers are to stop.
func (p *producer) run() {
	for p.commanding.Err() == nil {
		switch n := p.rand.IntN(20); {
		case n < 11:
			p.showNext()
		case n < 14 && p.main != "":
			p.change()
		case n < 17:
			p.schedule()
		case n == 17 && p.main != "":
			if _, ok := p.command(http.MethodDelete, "/slots/main", nil); ok {
				p.main = ""
			}
		default:
			p.look()
		}
		p.wait(100*time.Millisecond + time.Duration(p.rand.Int64N(int64(300*time.Millisecond))))
	}
	p.look()
}

func (p *producer) line(slot, card string, rev int64) string {
	return fmt.Sprintf("%s:%s/%d", slot, card, rev)
}

func (p *producer) note(in map[string]bool, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in[line] = true
}

// showNext makes a new revision of the next card and shows it.
func (p *producer) showNext() {
	p.turn++
	card := fmt.Sprint("m", p.turn%cardsOf)
	if card == p.main {
		return
	}
	r, ok := p.edit(card)
	if !ok {
		return
	}
	line := p.line("main", card, r.Rev)
	if _, ok := p.command(http.MethodPut, "/slots/main", map[string]any{"card": card}); !ok {
		p.note(p.refused, line)
		return
	}
	p.main = card
	p.note(p.granted, line)
	p.shows.Add(1)
}

// change makes a new revision of what is shown, which is shown at once.
func (p *producer) change() {
	if r, ok := p.edit(p.main); ok {
		p.note(p.granted, p.line("main", p.main, r.Rev))
		p.shows.Add(1)
	}
}

// schedule has a card shown in a second, unless one waits already.
func (p *producer) schedule() {
	now := time.Now()
	if now.Before(p.due.Add(time.Second)) {
		return
	}
	p.turn++
	card := fmt.Sprint("s", p.turn%cardsOf)
	if card == p.side[0] || card == p.side[1] {
		return // its change would be shown at once
	}
	r, ok := p.edit(card)
	if !ok {
		return
	}
	at := now.Add(1200 * time.Millisecond)
	if _, ok := p.command(http.MethodPut, "/slots/side", map[string]any{"card": card, "at": at.Format(time.RFC3339Nano)}); !ok {
		p.note(p.refused, p.line("side", card, r.Rev))
		return
	}
	p.side, p.due = [2]string{card, p.side[0]}, at
	p.note(p.granted, p.line("side", card, r.Rev))
	p.shows.Add(1)
}

func (p *producer) edit(card string) (result, bool) {
	return p.command(http.MethodPatch, "/cards/"+card, map[string]any{"description": fmt.Sprint("turn ", p.turn, " ", p.rand.Uint64())})
}

// command sends one with a key of its own, now and then twice, and again where the connection was lost. It tells whether it was
// granted. To be refused for want of room is no fault while the disk is full.
func (p *producer) command(method, path string, body any) (result, bool) {
	key := fmt.Sprintf("%s-%d", p.host.name, p.keys.Add(1))
	a, err := p.ask(method, path, body, "Idempotency-Key", key)
	for try := 0; err != nil && try < 3; try++ {
		p.retries.Add(1)
		a, err = p.ask(method, path, body, "Idempotency-Key", key)
	}
	var r result
	switch {
	case err != nil:
		p.fault("%s %s: %v", method, path, err)
		return r, false
	case a.status/100 == 2:
	case a.status == http.StatusInsufficientStorage && p.disk.tight.Load():
		p.noRoom.Add(1)
		return r, false
	default:
		p.fault("%s %s of %s: status %d: %s", method, path, p.host.name, a.status, a.body)
		return r, false
	}
	p.commands.Add(1)
	if err := json.Unmarshal(a.body, &r); err != nil && len(a.body) > 0 {
		p.fault("%s %s: %v: %s", method, path, err, a.body)
	}
	if p.rand.IntN(4) == 0 {
		again, err := p.ask(method, path, body, "Idempotency-Key", key)
		if err != nil || again.status != a.status || string(again.body) != string(a.body) || again.header.Get("Idempotency-Replayed") != "true" {
			p.fault("%s %s of %s again with its key: status %d, %v: %s; at first it was %d: %s", method, path, p.host.name, again.status, err, again.body, a.status, a.body)
		}
		p.replays.Add(1)
	}
	return r, true
}

// look reads the timeline, of which only the last lines are kept, and returns it. A line stands there once.
func (p *producer) look() map[string]time.Time {
	a, err := p.ask(http.MethodGet, "/timeline", nil)
	var l struct {
		Timeline []struct {
			Slot, Card string
			Rev        int64
			From       time.Time
		}
	}
	if err == nil {
		err = json.Unmarshal(a.body, &l)
	}
	if err != nil || a.status != http.StatusOK {
		p.fault("timeline of %s: status %d, %v: %.200s", p.host.name, a.status, err, a.body)
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[string]time.Time{}
	for _, one := range l.Timeline {
		line := p.line(one.Slot, one.Card, one.Rev)
		if from, was := p.lines[line]; !seen[line].IsZero() || was && !from.Equal(one.From) {
			p.fault("timeline of %s: %s stands there twice, from %v and %v", p.host.name, line, from, one.From)
		}
		seen[line], p.lines[line] = one.From, one.From
	}
	return seen
}

// judge compares what was acknowledged with the timeline and, where somebody read them, the media.
func (p *producer) judge(e *eyes) {
	p.look()
	p.mu.Lock()
	defer p.mu.Unlock()
	for line := range p.granted {
		if _, ok := p.lines[line]; !ok {
			p.fault("%s: %s was acknowledged, and is not in the timeline", p.host.name, line)
			p.lost.Add(1)
		}
		if e != nil && !e.saw(line) {
			p.fault("%s: %s was acknowledged, and was not in the media", p.host.name, line)
			p.lost.Add(1)
		}
	}
	for line := range p.refused {
		if _, ok := p.lines[line]; ok {
			p.fault("%s: %s was refused, and is in the timeline", p.host.name, line)
		}
	}
}
