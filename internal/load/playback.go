package load

import (
	"math"
	"time"
)

// Playback is the model of a player's buffer. It plays in real time from where it joined, begins when each rendition has what the
// playlist asks to stay behind, stalls when one of them has nothing left, and goes on when all have enough again.
//
// It is a pure function of what it is told: all times are told, from whichever point on, and one that is earlier than a time
// before counts as that. It is for one goroutine at a time. Its zero value is not usable: NewPlayback.
type Playback struct {
	hold, resume time.Duration
	have         []time.Duration // media of each rendition from where it joined on
	now          time.Duration   // of the last event
	played       time.Duration
	stalled      time.Duration // of stalls that are over
	since        time.Duration // when the present stall began, or when playing did
	stalls       int
	state        playState
	begun        time.Duration
}

type playState byte

const (
	playWaiting playState = iota // for enough to begin with
	playPlaying
	playStalled
	playOver
)

// endless is what a rendition has that has ended: it cannot run empty.
const endless = time.Duration(math.MaxInt64)

// NewPlayback is the model of a player that begins when it has hold of each of so many renditions, and resumes after a stall with
// resume.
func NewPlayback(tracks int, hold, resume time.Duration) *Playback {
	return &Playback{hold: hold, resume: min(resume, hold), have: make([]time.Duration, tracks)}
}

// Arrive tells that a rendition's media up to have, counted from where the viewer joined, are there at the time now.
func (p *Playback) Arrive(track int, now, have time.Duration) {
	p.advance(now)
	p.have[track] = max(p.have[track], have)
	p.settle()
}

// End tells that a rendition has no more to come.
func (p *Playback) End(track int, now time.Duration) {
	p.advance(now)
	p.have[track] = endless
	if p.least() == endless {
		p.stop()
		return
	}
	p.settle()
}

// advance plays up to a time.
func (p *Playback) advance(now time.Duration) {
	now = max(now, p.now)
	if p.state == playPlaying {
		if left := p.least() - p.played; now-p.now > left {
			p.played += left
			p.state, p.since = playStalled, p.now+left
			p.stalls++
		} else {
			p.played += now - p.now
		}
	}
	p.now = now
}

// settle begins or resumes when there is enough.
func (p *Playback) settle() {
	switch left := p.least() - p.played; {
	case p.state == playWaiting && left >= p.hold:
		p.state, p.begun = playPlaying, p.now
	case p.state == playStalled && left >= p.resume:
		p.stalled += p.now - p.since
		p.state = playPlaying
	}
}

// stop ends playing: a stall at that moment is over.
func (p *Playback) stop() {
	if p.state == playStalled {
		p.stalled += p.now - p.since
	}
	p.state = playOver
}

func (p *Playback) least() time.Duration {
	least := endless
	for _, have := range p.have {
		least = min(least, have)
	}
	return least
}

// Watched is how a viewer fared up to a time.
type Watched struct {
	// Begun tells whether playing has begun, and Start when.
	Begun bool
	Start time.Duration
	// Stalls is how often the buffer ran empty, and Stalled how long for, together.
	Stalls  int
	Stalled time.Duration
	// Played is how long the viewer saw something.
	Played time.Duration
}

// At tells how the viewer has fared up to a time.
func (p *Playback) At(now time.Duration) Watched {
	p.advance(now)
	w := Watched{Begun: p.state != playWaiting, Start: p.begun, Stalls: p.stalls, Stalled: p.stalled, Played: p.played}
	if p.state == playStalled {
		w.Stalled += p.now - p.since
	}
	return w
}
