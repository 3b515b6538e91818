package packager

import "pushcart/packager/window"

// told measures a part that has just been published, and tells those who wait to hear of it.
func (w *writer) told(part *window.Part) {
	p := w.p
	timed := !part.Gap && w.own.rung == nil && !w.arrived.IsZero()
	if !timed && w != p.lead {
		return
	}
	now := p.opt.Now()
	if timed {
		p.opt.Metrics.delay.Observe(now.Sub(w.arrived).Seconds())
	}
	if w != p.lead || part.Gap {
		return
	}
	for i := range p.cues.fresh {
		c := &p.cues.fresh[i]
		if !c.since.IsZero() {
			p.opt.Metrics.cardDelay.Observe(now.Sub(c.since).Seconds())
		}
		if c.published != nil {
			c.published()
		}
	}
	clear(p.cues.fresh)
	p.cues.fresh = p.cues.fresh[:0]
	if p.begun != p.era {
		p.begun = p.era
		if p.opt.Began != nil {
			p.opt.Began(p.era)
		}
	}
}

// countQueued tells the metrics how many frames wait.
func (p *Packager) countQueued() {
	n := 0
	for _, r := range p.renditions {
		n += len(r.queue.frames)
	}
	if n != p.queued {
		p.opt.Metrics.queued.Add(float64(n - p.queued))
		p.queued = n
	}
}
