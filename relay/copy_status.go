package relay

import (
	"slices"
	"time"
)

// Status is a copy at one moment.
type Status struct {
	Stream string
	// From is the node that is copied from, Path all from the origin to this one. "" and nil while there is none.
	From string
	Path []string
	// Gen, MSN and Part are those of the leading rendition's last part; 0 while there is none.
	Gen, MSN int64
	Part     int
	// Lag is how much later than at the node that is copied from the leading rendition's last part came, as far as the clocks agree.
	Lag time.Duration
	// Began is when the copy was first asked for.
	Began time.Time
	// Bytes of media that came, and Absent that are known of and have not come.
	Bytes, Absent uint64
	// Moves is how often another node was copied from than before.
	Moves int
	// Error is why the last log failed, a sentence; "" once it is copied well.
	Error string
}

// Held is how the directory tells of the copy.
func (s Status) Held() Held {
	return Held{Stream: s.Stream, Gen: s.Gen, MSN: s.MSN, Part: s.Part, From: s.From, Lag: s.Lag.Seconds()}
}

// Copies returns what is copied, by stream.
func (m *Manager) Copies() []Status {
	m.mu.Lock()
	copies := make([]*copied, 0, len(m.copies))
	for _, c := range m.copies {
		copies = append(copies, c)
	}
	m.mu.Unlock()
	all := make([]Status, len(copies))
	for i, c := range copies {
		all[i] = c.status()
	}
	slices.SortFunc(all, func(a, b Status) int { return index(a.Stream > b.Stream) - index(a.Stream < b.Stream) })
	return all
}

func (c *copied) status() Status {
	s := Status{Stream: c.stream, Began: c.began}
	c.mu.Lock()
	s.From, s.Moves, s.Error = c.from, c.moves, c.lastErr
	c.mu.Unlock()
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	s.Path, s.Bytes = c.t.path, c.t.bytes
	if c.t.p == nil {
		return s
	}
	for i, r := range c.t.p.Load().Renditions {
		now := r.Load()
		for _, g := range now.Segments {
			for k := range g.Parts {
				if g.Parts[k].Absent() {
					s.Absent += uint64(g.Parts[k].Size)
				}
			}
		}
		if last, ok := now.Last(); ok && i == 0 {
			s.Gen, s.MSN, s.Part = now.Segments[len(now.Segments)-1].Gen, last.MSN, last.Part
			if rep := c.t.replicas[r.Name]; rep != nil {
				s.Lag = rep.lag
			}
		}
	}
	return s
}
