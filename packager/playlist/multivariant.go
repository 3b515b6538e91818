package playlist

import (
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"pushcart/packager/window"
)

// Multivariant renders the multivariant playlist of a presentation that can be played.
func Multivariant(v *window.View) []byte {
	w := &text{b: make([]byte, 0, 1024)}
	w.line("#EXTM3U")
	w.tag("#EXT-X-VERSION:").int(playlistFormat).end()
	for i := range v.Variants {
		g := v.Variants[i].Audio
		if g == nil || slices.ContainsFunc(v.Variants[:i], func(o window.Variant) bool { return o.Audio == g }) {
			continue
		}
		for n := range g.Members {
			w.member(g, n)
		}
	}
	scored := !slices.ContainsFunc(v.Variants, func(a window.Variant) bool { return a.Score <= 0 })
	ranged := slices.ContainsFunc(v.Variants, func(a window.Variant) bool { return a.VideoRange != "" && a.VideoRange != standardRange })
	for i := range v.Variants {
		w.variant(&v.Variants[i], scored, ranged)
	}
	return w.b
}

// standardRange is what the absence of VIDEO-RANGE implies: it is said only where players have something else to choose.
const standardRange = "SDR"

// member renders the n-th rendition of an audio group (rfc8216bis 4.4.6.1).
func (w *text) member(g *window.AudioGroup, n int) {
	m := &g.Members[n]
	w.tag("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"").quoted(g.ID).tag("\",NAME=\"").quoted(m.Name)
	w.tag("\",LANGUAGE=\"").quoted(language(m.Language)).tag("\"")
	if n == 0 {
		w.tag(",DEFAULT=YES")
	}
	w.tag(",AUTOSELECT=YES,CHANNELS=\"").int(int64(max(1, m.Channels))).tag("\",URI=\"").tag(m.Rendition.Name).tag(".m3u8\"").end()
}

// language is what LANGUAGE says for a track that does not tell: RFC 5646 has "und" for it.
func language(tag string) string {
	if tag == "" {
		return "und"
	}
	return tag
}

// quoted writes the inside of a quoted string, in which line breaks, quotes and control characters have no place (4.1, 4.2).
func (w *text) quoted(s string) *text {
	for _, c := range s {
		if c != '"' && !unicode.IsControl(c) && c != utf8.RuneError {
			w.b = utf8.AppendRune(w.b, c)
		}
	}
	return w
}

// variant renders one variant (4.4.6.2): with SCORE where each has one, and with VIDEO-RANGE where not all are alike.
func (w *text) variant(a *window.Variant, scored, ranged bool) {
	peak, average := bandwidth(a.Video.Load())
	if a.Audio != nil {
		// Players choose one of the group: the largest counts (4.4.6.2).
		var p, m int64
		for i := range a.Audio.Members {
			if r := a.Audio.Members[i].Rendition; r != a.Video {
				q, n := bandwidth(r.Load())
				p, m = max(p, q), max(m, n)
			}
		}
		if !a.Video.Video {
			p, m = max(p-peak, 0), max(m-average, 0) // it is itself one of the group
		}
		peak, average = peak+p, average+m
	}
	w.tag("#EXT-X-STREAM-INF:BANDWIDTH=").int(peak).tag(",AVERAGE-BANDWIDTH=").int(average)
	if scored {
		w.tag(",SCORE=")
		w.b = strconv.AppendFloat(w.b, a.Score, 'f', -1, 64)
	}
	w.tag(",CODECS=\"").quoted(a.Codecs).tag("\"")
	if a.Width > 0 {
		w.tag(",RESOLUTION=").int(int64(a.Width)).tag("x").int(int64(a.Height))
	}
	if a.FrameRate > 0 {
		w.tag(",FRAME-RATE=")
		w.b = strconv.AppendFloat(w.b, a.FrameRate, 'f', 3, 64)
	}
	if ranged && a.VideoRange != "" {
		w.tag(",VIDEO-RANGE=").quoted(a.VideoRange)
	}
	if a.Audio != nil {
		w.tag(",AUDIO=\"").quoted(a.Audio.ID).tag("\"")
	}
	w.tag(",CLOSED-CAPTIONS=NONE").end()
	w.tag(a.Video.Name).tag(".m3u8").end()
}

// headroom is added to the measured peak, in percent: what comes next may be a little bigger than what was.
const headroom = 10

// bandwidth measures a rendition over the listed segments, in bit/s: the peak segment's (rfc8216bis 4.4.6.2), with
// headroom, and the average. Before the first segment is complete, its parts stand in.
func bandwidth(s *window.Snapshot) (peak, average int64) {
	var bits, ticks, top int64
	for _, g := range s.Segments[s.Listed:] {
		if g.Gap() || g.Duration == 0 {
			continue
		}
		bits += int64(g.Size) * 8
		ticks += g.Duration
		// A segment of a few frames says little of the rate.
		if g.Complete && g.Duration >= window.Rate/2 {
			top = max(top, int64(g.Size)*8*window.Rate/g.Duration)
		}
	}
	if ticks == 0 {
		return 1000, 1000
	}
	average = bits * window.Rate / ticks
	peak = max(top, average)
	if top == 0 {
		peak = average * 3 / 2
	}
	return roundUp(peak + peak*headroom/100), roundUp(average)
}

// roundUp makes the figures calm: whole kilobits.
func roundUp(bits int64) int64 { return (bits/1000 + 1) * 1000 }
