package packager

import (
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// FuzzPackager feeds frames of any pattern that the ingest side may let through, of up to three tracks of each kind, and of rungs
// anything at all, and holds what comes out against the rules that never bend.
func FuzzPackager(f *testing.F) {
	f.Add([]byte{0x80, 33, 0x80, 33, 0x40, 21, 0x00, 33, 0xc0, 21, 0x20, 0, 0x80, 33})
	f.Add([]byte{0x40, 21, 0x40, 21, 0x40, 200, 0x10, 0, 0x80, 255, 0x00, 255})
	f.Add([]byte{0x80, 200, 0x30, 1, 0x80, 200, 0x40, 200, 0x30, 0, 0x80, 200, 0x80, 200, 0x30, 1, 0x00, 200, 0x30, 2, 0x83, 250, 0x40, 21, 0x30, 0, 0x8f, 255, 0x20, 2, 0x80, 33})
	f.Add([]byte{0x80, 33, 0xb0, 0xa0, 0x00, 200, 0x30, 0x80, 0x00, 200, 0x32, 0x80, 0x40, 200, 0x30, 0x82, 0x80, 255, 0xb1, 0xc0, 0x20, 10, 0xf0, 0x80, 0x80, 33, 0xb0, 0x81})
	f.Add([]byte{0xb0, 0xa0, 0x31, 0x80, 0x80, 200, 0xb0, 0x80, 0xbf, 0x9f, 0x00, 200, 0x3f, 0x8c, 0x21, 9, 0x40, 200, 0xf0, 0x82, 0x80, 200, 0xb4, 0x91})
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newRig(t)
		var tracks [6]*stream.Track // three of each kind
		var clocks [6]int64
		for i := range 3 {
			tracks[i], clocks[i] = videoTrack(i, 320<<i, 180<<i), 90000
			tracks[3+i], clocks[3+i] = audioTrack(100+i, ""), 48000
			if len(b)%2 == 0 || i == 2 {
				tracks[3+i].Silence, tracks[3+i].SilenceSamples = nil, 0
			}
		}
		declared := []*stream.Track{tracks[0], tracks[3]}
		g.Tracks(declared)
		rungs := [4]*stream.Track{rungTrack(16, "a", 640, 360), rungTrack(17, "b", 320, 180), rungSound(116, "c"), rungSound(131, "d")}
		for lane := 0; len(b) >= 2; b = b[2:] {
			op, step := b[0], int64(b[1])
			video, audio := lane, 3+lane
			switch {
			case op&0x30 == 0x30 && step >= 128:
				n := int(step % 4)
				if step&0x40 != 0 {
					changed := *rungs[n]
					changed.Config = append([]byte(nil), byte(op))
					rungs[n] = &changed
				}
				if step&0x20 != 0 {
					declared = append(declared[:len(declared):len(declared)], rungs[n])
					g.Tracks(declared)
				}
				at, late := clocks[0], int64(op&0x0f)*9000
				if n > 1 {
					at, late = clocks[3], late*48/90
				}
				if op&0x0f == 0x0f {
					late = -late << (step & 0x1f)
				}
				fr := stream.Frame{Track: rungs[n], Era: g.era - int(op&0x40)>>6, DTS: at - late, PTS: at - late, Key: n > 1 || op&0x80 != 0, Wall: epoch, Payload: []byte{1}}
				if n > 1 {
					fr.Duration = 1024
				} else if step&0x10 != 0 {
					fr.DTS -= 2700
				}
				g.Frame(&fr)
			case op&0x30 == 0x30:
				lane = int(step % 3)
				declared = append(declared[:len(declared):len(declared)], tracks[lane], tracks[3+lane])
				g.Tracks(declared)
			case op&0x20 != 0:
				g.era++
				v := max(clocks[0], clocks[1], clocks[2], clocks[3]*90/48, clocks[4]*90/48, clocks[5]*90/48) + 90000*step/10
				for i := range 3 {
					clocks[i], clocks[3+i] = v, v*48/90
				}
				if op&1 != 0 {
					g.Away()
				}
			case op&0x10 != 0:
				changed := *tracks[video]
				changed.Config = append([]byte(nil), byte(step))
				tracks[video] = &changed
			case op&0x40 == 0:
				clocks[video] += max(1, step*90*int64(1+op&0x0f))
				v := clocks[video]
				fr := stream.Frame{Track: tracks[video], Era: g.era, DTS: v, PTS: v + int64(op&0x0f)*900, Key: op&0x80 != 0, Wall: epoch, Payload: []byte{1, 2, 3}}
				g.Frame(&fr)
			default:
				clocks[audio] += max(1024, step*48*int64(1+op&0x0f))
				a := clocks[audio]
				fr := stream.Frame{Track: tracks[audio], Era: g.era, DTS: a, PTS: a, Duration: 1024, Key: true, Wall: epoch, Payload: []byte{1}}
				g.Frame(&fr)
			}
			for _, r := range g.renditions {
				if len(r.queue.frames) > mostQueuedFrames || r.queue.bytes > mostQueuedBytes {
					t.Fatalf("%d frames of track %d wait", len(r.queue.frames), r.id)
				}
			}
		}
		g.End()
		g.invariants()
		g.checkAlike()
	})
}

// checkAlike: a number stands for the same boundary in all renditions, with the same date.
func (g *rig) checkAlike() {
	g.t.Helper()
	all := g.Presentation().Load().Renditions
	for i, r := range all {
		for _, x := range r.Load().Segments {
			y := all[0].Load().Segment(x.MSN)
			if y != nil && (!x.Wall.Equal(y.Wall) || x.Discontinuity != y.Discontinuity || x.DiscontinuitySequence != y.DiscontinuitySequence) {
				g.t.Fatalf("segment %d of %s is at %v (%v, %d), of %s at %v (%v, %d)", x.MSN, r.Name, x.Wall, x.Discontinuity,
					x.DiscontinuitySequence, all[0].Name, y.Wall, y.Discontinuity, y.DiscontinuitySequence)
			}
		}
		if i > 0 && r.Load().NextMSN != all[0].Load().NextMSN {
			g.t.Fatalf("%s goes on with %d, %s with %d", r.Name, r.Load().NextMSN, all[0].Name, all[0].Load().NextMSN)
		}
	}
}

// invariants holds for whatever was sent.
func (g *rig) invariants() {
	g.t.Helper()
	target := g.Presentation().Load().PartTarget
	for _, r := range g.Presentation().Load().Renditions {
		s := r.Load()
		var end window.Ticks
		for i, seg := range s.Segments {
			if i > 0 && seg.MSN != s.Segments[i-1].MSN+1 {
				g.t.Fatalf("%s: segment %d follows %d", r.Name, seg.MSN, s.Segments[i-1].MSN)
			}
			if i > 0 && seg.Start != end || !seg.Complete {
				g.t.Fatalf("%s %d: starts at %d, the one before ends at %d, complete %v", r.Name, seg.MSN, seg.Start, end, seg.Complete)
			}
			if i > 0 && seg.DiscontinuitySequence < s.Segments[i-1].DiscontinuitySequence {
				g.t.Fatalf("%s %d: discontinuity sequence goes back", r.Name, seg.MSN)
			}
			if seg.Duration > 4*window.Rate+window.Rate/2 {
				g.t.Fatalf("%s %d: %d ticks", r.Name, seg.MSN, seg.Duration)
			}
			end = seg.Start + seg.Duration
			for n, p := range seg.Parts {
				if p.Duration > target || p.Duration <= 0 || p.Gap != (p.Data == nil && !p.Absent()) {
					g.t.Fatalf("%s %d.%d: %d ticks of %d, gap %v", r.Name, seg.MSN, n, p.Duration, target, p.Gap)
				}
			}
		}
	}
}
