package ingest

import (
	"fmt"
	"sync"
	"time"

	"pushcart/internal/auth"
	"pushcart/internal/stream"
)

const (
	// bitrateSpan is the time over which a publisher's bitrate is averaged: a stall of the network and the burst behind it are no
	// excess, nor is a large key frame.
	bitrateSpan = 5 * time.Second
	// showRest is for how long nobody may have tried to publish under a name before a new show may begin, where the last one was ended
	// because it was too long. An encoder that reconnects by itself would otherwise go on in the same moment.
	showRest = time.Minute
	// mostRests is how many such names are remembered.
	mostRests = 4096
	// lookEvery is how often it is looked how long a show may last, since settings change.
	lookEvery = time.Second
)

// meter holds a publisher to a bitrate. The zero value lets all pass.
type meter struct {
	rate float64 // bit/s; 0 is no limit
	left float64 // bits that may be sent at the time
	at   time.Time
}

// newMeter makes one for a rate in bit/s.
func newMeter(rate int64) meter {
	return meter{rate: float64(rate), left: float64(rate) * bitrateSpan.Seconds()}
}

// take counts bytes, and tells whether they are within the rate.
func (m *meter) take(bytes int, now time.Time) bool {
	if m.rate == 0 {
		return true
	}
	if since := now.Sub(m.at); since > 0 && !m.at.IsZero() {
		m.left = min(m.left+m.rate*since.Seconds(), m.rate*bitrateSpan.Seconds())
	}
	m.at = now
	m.left -= float64(bytes) * 8
	return m.left >= 0
}

// tooFast is the refusal of a publisher that sends more than it may.
func tooFast(rate int64) *Refusal {
	return Refuse(ReasonLimit, "This stream has more than %s, which is the most that its key allows. Set the encoder's bitrate lower: video and audio together count.", bits(rate))
}

// bits words a bitrate.
func bits(rate int64) string {
	if rate < 1e6 {
		return fmt.Sprintf("%.4g kbit/s", float64(rate)/1e3)
	}
	return fmt.Sprintf("%.4g Mbit/s", float64(rate)/1e6)
}

// tooLong is the refusal of a publisher whose show has lasted as long as it may.
func tooLong(limit time.Duration) *Refusal {
	return Refuse(ReasonLimit, "The show has lasted for %s, which is the longest that it may, and is over. Stop the encoder; a new show can begin when it has been off for a minute.", length(limit))
}

// length words a duration.
func length(d time.Duration) string {
	count := func(n time.Duration, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", int64(n), unit)
	}
	hours, minutes, seconds := d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second
	switch {
	case seconds > 0:
		return count(d/time.Second, "second")
	case hours == 0:
		return count(minutes, "minute")
	case minutes == 0:
		return count(hours, "hour")
	}
	return count(hours, "hour") + " and " + count(minutes, "minute")
}

// longest is how long a guest's show may last; 0 is as long as it likes.
func (d *Door) longest(who guest) time.Duration {
	if who.pulled {
		return 0 // the operator's own doing
	}
	node := d.opt.Settings().MaxDuration
	if node == 0 || who.MaxDuration > 0 && who.MaxDuration < node {
		return who.MaxDuration
	}
	return node
}

// rests are the names under which no show may begin yet.
type rests struct {
	mu    sync.Mutex // guards what follows
	until map[string]time.Time
}

// begin has a name rest.
func (r *rests) begin(name string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until == nil {
		r.until = map[string]time.Time{}
	}
	if _, there := r.until[name]; !there && len(r.until) >= mostRests {
		first := ""
		for n, t := range r.until {
			if !now.Before(t) {
				delete(r.until, n)
			} else if first == "" || t.Before(r.until[first]) {
				first = n
			}
		}
		if len(r.until) >= mostRests {
			delete(r.until, first)
		}
	}
	r.until[name] = now.Add(showRest)
}

// resting tells whether a name rests. Who came to publish, and does not only wait to, makes the rest begin again.
func (r *rests) resting(name string, came bool, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, there := r.until[name]
	if !there {
		return false
	}
	if !now.Before(until) {
		delete(r.until, name)
		return false
	}
	if came {
		r.until[name] = now.Add(showRest)
	}
	return true
}

// over tells why a guest may not publish because of how long the show has lasted; nil when it may. came is as with resting.
func (d *Door) over(who guest, publisher stream.Publisher, came bool) *Refusal {
	limit := d.longest(who)
	if limit == 0 {
		return nil
	}
	now := d.opt.Now()
	if d.rests.resting(who.Name, came, now) {
		return tooLong(limit)
	}
	s := d.opt.Hub.Get(who.Name)
	if s == nil || now.Sub(s.Created()) < limit || d.opt.Hub.Check(who.Name, publisher) != nil {
		return nil // it is not the show's publisher, and is told so
	}
	if came { // where it only stands by, the one that it stands by for may have longer
		d.rests.begin(who.Name, now)
	}
	return tooLong(limit)
}

// overdue ends the show once it has lasted as long as it may.
func (p *publication) overdue(now time.Time) *Refusal {
	if now.Before(p.look) {
		return nil
	}
	p.look = now.Add(lookEvery)
	limit := p.door.longest(p.who)
	if limit == 0 {
		return nil
	}
	end := p.began.Add(limit)
	if now.Before(end) {
		if end.Before(p.look) {
			p.look = end
		}
		return nil
	}
	refusal := tooLong(limit)
	p.door.rests.begin(p.name, now)
	p.session.End(refusal)
	return refusal
}

// held tells the authority that a guest is in; left is never nil.
func held(g auth.Grant) (left func()) {
	if g.Held == nil {
		return func() {}
	}
	return g.Held()
}
