package window

// headroom is added to the measured peak, in percent: what comes next may be a little bigger than what was.
const headroom = 10

// measure fills in what the variants take, and tells whether anything has changed. The figures are part of the view, and not
// taken when a playlist is rendered, so that every copy of the presentation tells the same.
func measure(variants []Variant) (changed bool) {
	for i := range variants {
		v := &variants[i]
		peak, average := v.bandwidth()
		changed = changed || v.Peak != peak || v.Average != average
		v.Peak, v.Average = peak, average
	}
	return changed
}

// bandwidth is what playing the variant takes, in bit/s.
func (v *Variant) bandwidth() (peak, average int64) {
	peak, average = bandwidth(v.Video.Load())
	if v.Audio == nil {
		return peak, average
	}
	// Players choose one of the group: the largest counts (rfc8216bis 4.4.6.2).
	var p, m int64
	for i := range v.Audio.Members {
		if r := v.Audio.Members[i].Rendition; r != v.Video {
			q, n := bandwidth(r.Load())
			p, m = max(p, q), max(m, n)
		}
	}
	if !v.Video.Video {
		p, m = max(p-peak, 0), max(m-average, 0) // it is itself one of the group
	}
	return peak + p, average + m
}

// bandwidth measures a rendition over the listed segments, in bit/s: the peak segment's (rfc8216bis 4.4.6.2), with
// headroom, and the average. Before the first segment is complete, its parts stand in.
func bandwidth(s *Snapshot) (peak, average int64) {
	var bits, ticks, top int64
	for _, g := range s.Segments[s.Listed:] {
		if g.Gap() || g.Duration == 0 {
			continue
		}
		bits += int64(g.Size) * 8
		ticks += g.Duration
		// A segment of a few frames says little of the rate.
		if g.Complete && g.Duration >= Rate/2 {
			top = max(top, int64(g.Size)*8*Rate/g.Duration)
		}
	}
	if ticks == 0 {
		return 1000, 1000
	}
	average = bits * Rate / ticks
	peak = max(top, average)
	if top == 0 {
		peak = average * 3 / 2
	}
	return roundUp(peak + peak*headroom/100), roundUp(average)
}

// roundUp makes the figures calm: whole kilobits.
func roundUp(bits int64) int64 { return (bits/1000 + 1) * 1000 }
