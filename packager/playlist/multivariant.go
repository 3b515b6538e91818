package playlist

import (
	"strconv"

	"pushcart/packager/window"
)

// Multivariant renders the multivariant playlist of a presentation that can be played.
func Multivariant(v *window.View) []byte {
	w := &text{b: make([]byte, 0, 1024)}
	w.line("#EXTM3U")
	w.tag("#EXT-X-VERSION:").int(playlistFormat).end()
	audio := map[*window.Rendition]bool{}
	for _, a := range v.Variants {
		if a.Audio == nil || audio[a.Audio] {
			continue
		}
		audio[a.Audio] = true
		w.tag("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"").tag(audioName(a.Language)).tag("\"")
		w.tag(",LANGUAGE=\"").tag(language(a.Language)).tag("\"")
		w.tag(",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"").int(int64(max(1, a.Channels))).tag("\",URI=\"").tag(a.Audio.Name).tag(".m3u8\"").end()
	}
	for _, a := range v.Variants {
		w.variant(a)
	}
	return w.b
}

// language is what LANGUAGE says for a track that does not tell: RFC 5646 has "und" for it.
func language(tag string) string {
	if tag == "" {
		return "und"
	}
	return tag
}

func audioName(tag string) string {
	if tag == "" {
		return "Original"
	}
	return tag
}

func (w *text) variant(a window.Variant) {
	peak, average := bandwidth(a.Video.Load())
	if a.Audio != nil {
		p, m := bandwidth(a.Audio.Load())
		peak, average = peak+p, average+m
	}
	w.tag("#EXT-X-STREAM-INF:BANDWIDTH=").int(peak).tag(",AVERAGE-BANDWIDTH=").int(average)
	w.tag(",CODECS=\"").tag(a.Codecs).tag("\"")
	if a.Width > 0 {
		w.tag(",RESOLUTION=").int(int64(a.Width)).tag("x").int(int64(a.Height))
	}
	if a.FrameRate > 0 {
		w.tag(",FRAME-RATE=")
		w.b = strconv.AppendFloat(w.b, a.FrameRate, 'f', 3, 64)
	}
	if a.Audio != nil {
		w.tag(",AUDIO=\"audio\"")
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
