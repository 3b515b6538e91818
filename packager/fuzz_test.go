package packager

import (
	"testing"

	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// FuzzPackager feeds frames of any pattern that the ingest side may let through, and holds what comes out against the
// rules that never bend.
func FuzzPackager(f *testing.F) {
	f.Add([]byte{0x80, 33, 0x80, 33, 0x40, 21, 0x00, 33, 0xc0, 21, 0x20, 0, 0x80, 33})
	f.Add([]byte{0x40, 21, 0x40, 21, 0x40, 200, 0x10, 0, 0x80, 255, 0x00, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		g := newRig(t)
		if len(b)%2 == 1 {
			g.audio.Silence, g.audio.SilenceSamples = []byte{9}, 1024
		}
		g.Tracks([]*stream.Track{g.video, g.audio})
		var v, a int64 = 90000, 48000
		for ; len(b) >= 2; b = b[2:] {
			op, step := b[0], int64(b[1])
			switch {
			case op&0x20 != 0:
				g.era++
				v, a = max(v, a*90/48)+90000*step/10, 0
				a = v * 48 / 90
				if op&1 != 0 {
					g.Away()
				}
			case op&0x10 != 0:
				changed := *g.video
				changed.Config = append([]byte(nil), byte(step))
				g.video = &changed
			case op&0x40 == 0:
				v += max(1, step*90*int64(1+op&0x0f))
				fr := stream.Frame{Track: g.video, Era: g.era, DTS: v, PTS: v + int64(op&0x0f)*900, Key: op&0x80 != 0, Wall: epoch, Payload: []byte{1, 2, 3}}
				g.Frame(&fr)
			default:
				a += max(1024, step*48*int64(1+op&0x0f))
				fr := stream.Frame{Track: g.audio, Era: g.era, DTS: a, PTS: a, Duration: 1024, Key: true, Wall: epoch, Payload: []byte{1}}
				g.Frame(&fr)
			}
			for _, r := range g.renditions {
				if len(r.queue.frames) > 400 {
					t.Fatalf("%d frames of track %d wait", len(r.queue.frames), r.id)
				}
			}
		}
		g.End()
		g.invariants()
		if v := g.Presentation().Load(); v.Rendition("video") != nil && v.Rendition("audio") != nil {
			g.checkNumbers()
		}
	})
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
				if p.Duration > target || p.Duration <= 0 || p.Gap != (p.Data == nil) {
					g.t.Fatalf("%s %d.%d: %d ticks of %d, gap %v", r.Name, seg.MSN, n, p.Duration, target, p.Gap)
				}
			}
		}
	}
}
