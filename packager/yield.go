package packager

// Yield stops the packager because another node has become the stream's origin. Nothing more is published, and the presentation does
// not end: it is a copy from then on, which is given what the other node makes (window.Presentation.Renounce). Frames that wait, or
// are in an open part, are dropped and counted; so is what still comes. Like the methods of stream.Consumer it is for one goroutine at
// a time.
func (p *Packager) Yield() {
	if p.yielded {
		return
	}
	p.yielded = true
	for _, r := range p.renditions {
		for len(r.queue.frames) > 0 {
			p.opt.Metrics.drop(dropElsewhere)
			r.queue.pop()
		}
		if w := r.w; w != nil {
			for range w.samples {
				p.opt.Metrics.drop(dropElsewhere)
			}
			w.samples, w.dts, w.pts, w.payload, w.slab = nil, nil, nil, nil, nil
		}
		r.queue = frameQueue{}
	}
	p.countQueued()
	p.inbox.close()
	p.out.Renounce()
}
