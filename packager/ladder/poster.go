package ladder

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/packager/ladder/command"
)

const (
	// mostPoster is the size in bytes of the largest poster that is kept.
	mostPoster = 2 << 20
	// posterIdle is for how long posters of a stream are made behind the last that was asked for, where nothing else is made.
	posterIdle = time.Minute
	// posterWait is how long who asks waits for the first one: a key frame and the start of a child.
	posterWait = 4 * time.Second
	// mostPosters is how many streams may have a child for their poster alone: anybody can ask, and each costs some 40 MB.
	mostPosters = 8
	// posterStale is how much older than the time between two posters one may be that is given at once.
	posterStale = 30 * time.Second
)

// poster is a stream's newest one. The zero value is none.
type poster struct {
	p atomic.Pointer[picture]

	mu   sync.Mutex    // guards next
	next chan struct{} // closed with the next one; nil while nobody waits
}

// picture is a JPEG file. It does not change.
type picture struct {
	jpeg []byte
	at   time.Time
}

func (p *poster) set(jpeg []byte, at time.Time) {
	p.p.Store(&picture{append([]byte(nil), jpeg...), at})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != nil {
		close(p.next)
		p.next = nil
	}
}

func (p *poster) get() (jpeg []byte, at time.Time, ok bool) {
	x := p.p.Load()
	if x == nil {
		return nil, time.Time{}, false
	}
	return x.jpeg, x.at, true
}

// changed is closed with the next poster, for all who wait.
func (p *poster) changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
	}
	return p.next
}

// askPoster returns the newest poster. Where it is the only thing that is made of the stream, it is made while somebody asks:
// who asks first waits for it.
func (l *Ladder) askPoster(ctx context.Context) (jpeg []byte, at time.Time, ok bool) {
	changed := l.poster.changed()
	every, comes := l.posterComes()
	jpeg, at, ok = l.poster.get()
	if !comes || ok && l.m.opt.Now().Sub(at) < every+posterStale {
		return jpeg, at, ok
	}
	late := time.NewTimer(posterWait)
	defer late.Stop()
	select {
	case <-changed:
	case <-late.C:
	case <-ctx.Done():
	case <-l.ctx.Done():
	}
	return l.poster.get()
}

// posterComes takes note that somebody asks for a poster. It tells how often there is one, and whether one is made or about to be.
func (l *Ladder) posterComes() (every time.Duration, comes bool) {
	every = l.m.opt.Settings().Poster
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.m.opt.Now()
	idle := now.Sub(l.asked) >= posterIdle
	l.asked = now
	if idle {
		l.signal()
	}
	return every, every > 0 && !l.away && !l.off && !l.posterless
}

// onlyPosterLocked takes a poster off a plan that has nothing else to make of pictures, unless somebody has asked for it lately.
// It tells in how long to look again; 0 is never.
func (l *Ladder) onlyPosterLocked(plan *command.Plan) time.Duration {
	l.posterless = plan.Picture == nil || plan.Picture.Poster == nil
	if l.posterless || len(plan.Picture.Outputs) > 0 {
		l.returnPlaceLocked()
		return 0
	}
	left := posterIdle - l.m.opt.Now().Sub(l.asked)
	if left > 0 && !l.place {
		l.place = l.m.takePosterPlace()
	}
	switch {
	case left <= 0:
		l.returnPlaceLocked()
		fallthrough
	case !l.place:
		plan.Picture, l.asked = nil, time.Time{} // whoever asks next asks anew
		return 0
	}
	return left
}

func (l *Ladder) returnPlaceLocked() {
	if l.place {
		l.place = false
		l.m.posters.Add(-1)
	}
}

// takePosterPlace takes one of the places for children that make a poster alone; false when none is free.
func (m *Manager) takePosterPlace() bool {
	if m.posters.Add(1) > mostPosters {
		m.posters.Add(-1)
		return false
	}
	return true
}
