package packager

import "pushcart/packager/window"

// How far players have to stay behind, so that they can go over to a rung at any time: by as much more than usual as its parts
// come later than the leading rendition's. The figure is one for all renditions (rfc8216bis 6.2.4), and stays: what can be
// expected is covered from the beginning, and only what shows to be more for a while moves it up (Snapshot.Lag).

// Bounds of the lag that is covered.
const (
	// quickLag is the Lag below which a rung's encoder does not look ahead; it takes a part target.
	quickLag = 2 * window.Rate
	// lagShare is which part of a larger Lag is to be expected.
	lagShare = 4
	// raiseAfter is for how long all parts of a rung must come later than what is covered.
	raiseAfter = 3 * window.Rate
)

// pace is how a rung's parts come. While it starts up, or returns from a gap, it catches up: its lag shrinks, and says nothing of
// what it will be.
type pace struct {
	steady bool         // it has caught up
	marked bool         // at and lag are set
	at     window.Ticks // the rung's end when the lag was last looked at
	lag    window.Ticks
	over   bool         // each part has come later than what is covered
	since  window.Ticks // the rung's end since when they have
	most   window.Ticks // the largest lag since then
}

// watch takes the lag of another part, which ends at the given time: the rung has caught up as soon as the lag of a second's media
// is no smaller than the second's before.
func (c *pace) watch(lag, end, target window.Ticks) {
	switch {
	case lag <= target/4:
		c.steady = true
	case !c.marked:
		c.marked, c.at, c.lag = true, end, lag
	case end-c.at < window.Rate:
	case lag > c.lag-target/2:
		c.steady = true
	default:
		c.at, c.lag = end, lag
	}
}

// front is how far the leading rendition has come, as followers of the kind are held against it.
func (p *Packager) front(r *rendition) window.Ticks {
	reached := p.lead.reached()
	if r.video {
		reached += p.keyOffset // both are decoded in order, and shown as much later
	}
	return reached
}

// measure looks at how late a rung's part comes that has just ended.
func (p *Packager) measure(r *rendition, gap bool) {
	g := r.rung
	if gap || g.filling {
		g.pace, g.starting = pace{}, false
		return
	}
	end := r.w.end + r.offset
	lag := max(0, p.front(r)-end)
	g.joined = g.joined || lag <= r.patience
	if !g.pace.steady {
		g.pace.watch(lag, end, p.target)
	}
	if !g.pace.steady {
		return
	}
	g.starting = false
	if p.listed(r) {
		p.opt.Metrics.lag.Observe(window.Duration(lag).Seconds())
		p.cover(&g.pace, lag, end)
	}
}

// cover raises the lag that players are told to stay behind by when a rung keeps coming later.
func (p *Packager) cover(c *pace, lag, end window.Ticks) {
	if lag <= p.lag+p.target/4 { // that much the usual distance is for
		c.over = false
		return
	}
	if !c.over {
		c.over, c.since, c.most = true, end, 0
	}
	c.most = max(c.most, lag)
	if end-c.since >= raiseAfter {
		p.raiseLag(c.most)
		c.over = false
	}
}

// expectLag covers what rungs of which the slowest may be behind by the given Lag are likely to be.
func (p *Packager) expectLag(most window.Ticks) {
	p.nominal = max(p.nominal, most)
	switch {
	case p.nominal == 0 || p.target == 0:
	case p.nominal < quickLag:
		p.raiseLag(1)
	default:
		p.raiseLag(p.nominal / lagShare)
	}
}

// raiseLag covers at least the given lag, in whole part targets.
func (p *Packager) raiseLag(lag window.Ticks) { p.lag = max(p.lag, roundUp(lag, p.target)) }
