package playlist

import (
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"pushcart/packager/window"
)

// Multivariant renders the multivariant playlist of a presentation that can be played. What it tells of bandwidths are the view's
// figures.
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
	w.tag("#EXT-X-STREAM-INF:BANDWIDTH=").int(a.Peak).tag(",AVERAGE-BANDWIDTH=").int(a.Average)
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
