// Package playlist renders a window's snapshot as M3U8 text (rfc8216bis). It is pure: the same snapshot gives the same
// bytes.
package playlist

import (
	"strconv"
	"time"

	"pushcart/packager/window"
)

// Skip says which delta update is asked for (rfc8216bis 6.2.5.1).
type Skip int

// The kinds of delta update.
const (
	// NoSkip asks for the whole playlist.
	NoSkip Skip = iota
	// SkipSegments asks to leave out old segments: _HLS_skip=YES.
	SkipSegments
	// SkipDateRanges asks to leave out old segments and date ranges: _HLS_skip=v2.
	SkipDateRanges
)

// Multiples that the specification gives.
const (
	partHoldBack   = 3 // of the part target, and the snapshot's Lag: 4.4.3.8
	holdBack       = 3 // of the target duration, and the snapshot's Lag: 4.4.3.8
	canSkipUntil   = 6 // of the target duration, at the least: 4.4.3.8
	partsListed    = 3 // target durations from the end: 6.2.2
	playlistFormat = 10
)

// Media renders a media playlist. The settings are the presentation's.
func Media(s *window.Snapshot, set window.Settings, skip Skip) []byte {
	w := &text{b: make([]byte, 0, 4096)}
	target := window.Ticks(set.TargetDuration) * window.Rate
	w.line("#EXTM3U")
	w.tag("#EXT-X-VERSION:").int(playlistFormat).end()
	w.tag("#EXT-X-TARGETDURATION:").int(int64(set.TargetDuration)).end()
	lag := s.Lag()
	w.tag("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=").seconds(partHoldBack*s.PartTarget + lag)
	w.tag(",HOLD-BACK=").seconds(holdBack*target + lag)
	w.tag(",CAN-SKIP-UNTIL=").seconds(canSkipUntil * target).tag(",CAN-SKIP-DATERANGES=YES").end()
	w.tag("#EXT-X-PART-INF:PART-TARGET=").seconds(s.PartTarget).end()

	listed := s.Segments[s.Listed:]
	msn, sequence := s.NextMSN, int64(0)
	if len(listed) > 0 {
		first := listed[0]
		msn, sequence = first.MSN, first.DiscontinuitySequence
		if first.Discontinuity {
			sequence--
		}
	}
	w.tag("#EXT-X-MEDIA-SEQUENCE:").int(msn).end()
	w.tag("#EXT-X-DISCONTINUITY-SEQUENCE:").int(sequence).end()
	if s.Independent {
		w.line("#EXT-X-INDEPENDENT-SEGMENTS")
	}

	end := s.End()
	skipped := 0
	if skip != NoSkip {
		for skipped < len(listed) && end-(listed[skipped].Start+listed[skipped].Duration) > canSkipUntil*target {
			skipped++
		}
		if skipped > 0 {
			w.tag("#EXT-X-SKIP:SKIPPED-SEGMENTS=").int(int64(skipped))
			if skip == SkipDateRanges {
				// Required of an update that may skip date ranges, even if none was removed: 4.4.5.2.
				w.tag(",RECENTLY-REMOVED-DATERANGES=\"").removed(s, listed, set.RemovedFor()).tag("\"")
			}
			w.end()
		}
	}
	var settled time.Time
	if skipped > 0 && skip == SkipDateRanges {
		last := listed[len(listed)-1]
		settled = last.Wall.Add(window.Duration(last.Duration - (canSkipUntil+1)*target))
	}
	w.ranges(s, listed, settled)
	var in *window.Init
	for _, g := range listed[skipped:] {
		w.segment(s, g, in, end-g.Start <= partsListed*target)
		in = g.Init
	}
	if s.Ended {
		w.line("#EXT-X-ENDLIST")
		return w.b
	}
	next, gen := s.Next(), s.Gen
	if g := s.Open(); g != nil && g.MSN == next.MSN {
		gen = g.Gen
	}
	w.tag("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"").tag(s.Rendition().Name).tag("/").name(gen, next.MSN).tag(".").int(int64(next.Part)).tag(".m4s\"").end()
	for _, r := range s.Reports {
		w.tag("#EXT-X-RENDITION-REPORT:URI=\"").tag(r.Rendition).tag(".m3u8\",LAST-MSN=").int(r.Last.MSN)
		w.tag(",LAST-PART=").int(int64(r.Last.Part)).end()
	}
	return w.b
}

// segment renders one segment; before is the Init of the segment in front of it.
func (w *text) segment(s *window.Snapshot, g *window.Segment, before *window.Init, parts bool) {
	folder := s.Rendition().Name
	if g.Discontinuity {
		w.line("#EXT-X-DISCONTINUITY")
	}
	if g.Init != nil && (before == nil || g.Init.Name != before.Name) {
		w.tag("#EXT-X-MAP:URI=\"").tag(folder).tag("/").tag(g.Init.Name).tag("\"").end()
	}
	w.tag("#EXT-X-PROGRAM-DATE-TIME:").time(g.Wall).end()
	if parts || !g.Complete {
		for i := range g.Parts {
			p := &g.Parts[i]
			w.tag("#EXT-X-PART:DURATION=").seconds(p.Duration).tag(",URI=\"").tag(folder).tag("/")
			w.name(g.Gen, g.MSN).tag(".").int(int64(i)).tag(".m4s\"")
			if p.Independent {
				w.tag(",INDEPENDENT=YES")
			}
			if p.Gap {
				w.tag(",GAP=YES")
			}
			w.end()
		}
	}
	if !g.Complete {
		return
	}
	if g.Gap() {
		w.line("#EXT-X-GAP")
	}
	w.tag("#EXTINF:").seconds(g.Duration).tag(",").end()
	w.tag(folder).tag("/").name(g.NameGen(), g.MSN).tag(".m4s").end()
}

// text builds a playlist.
type text struct{ b []byte }

func (w *text) tag(s string) *text { w.b = append(w.b, s...); return w }
func (w *text) line(s string)      { w.tag(s).end() }
func (w *text) end()               { w.b = append(w.b, '\n') }

func (w *text) int(v int64) *text { w.b = strconv.AppendInt(w.b, v, 10); return w }

// name writes the common part of a segment's and its parts' names.
func (w *text) name(gen, msn int64) *text { return w.int(gen).tag("-").int(msn) }

// seconds writes ticks as decimal seconds with five digits, finer than a tick.
func (w *text) seconds(t window.Ticks) *text {
	const unit = 100000
	v := (t*unit + window.Rate/2) / window.Rate
	w.int(v / unit).tag(".")
	for d := int64(unit / 10); d > 0; d /= 10 {
		w.b = append(w.b, byte('0'+v/d%10))
	}
	return w
}

func (w *text) time(t time.Time) *text {
	w.b = t.UTC().AppendFormat(w.b, "2006-01-02T15:04:05.000Z")
	return w
}
