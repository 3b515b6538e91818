package command

import (
	"math"

	"pushcart/internal/stream"
)

// size is a picture's, in square pixels.
type size struct{ w, h int }

// leastPicture is the shorter side that encoders, those of GPUs above all, take; in pixels.
const leastPicture = 16

// displayed is a track's size with square pixels, even; zero while it is not known. What is squeezed is widened, what is
// stretched made higher, so that no line or column is lost.
func displayed(t *stream.Track) size {
	if t.Width <= 0 || t.Height <= 0 || t.Width > mostTrack || t.Height > mostTrack {
		return size{}
	}
	w, h := float64(t.Width), float64(t.Height)
	if x, y := t.PixelAspect[0], t.PixelAspect[1]; x > 0 && y > 0 && x != y {
		// Whoever writes a sample that is more than four times as wide as it is high is mistaken.
		if a := float64(x) / float64(y); a > 1 && a <= 4 {
			w *= a
		} else if a < 1 && a >= 0.25 {
			h /= a
		}
	}
	// What is odd loses its last line: nothing is made up.
	return size{max(2, int(w)&^1), max(2, int(h)&^1)}
}

// mostTrack is the largest side that codec data can state (AV1 5.5.1: 16 bits), in pixels.
const mostTrack = 65536

func (s size) short() int  { return min(s.w, s.h) }
func (s size) long() int   { return max(s.w, s.h) }
func (s size) pixels() int { return s.w * s.h }

// scaled is the size with a shorter side of so many pixels, even, the aspect ratio kept to within rounding.
func (s size) scaled(short float64) size {
	f := short / float64(s.short())
	even := func(side int) int { return max(2, 2*int(math.Round(float64(side)*f/2))) }
	return size{even(s.w), even(s.h)}
}

// about tells whether a length is another one within the padding of encoders, which work in blocks of 16.
func about(a, b int) bool { return max(a, b)-min(a, b) <= 8 }

// in is the size that a rung asks for of a picture, and whether it would be larger than the picture.
func (r Rung) in(s size) (_ size, larger bool) {
	short := float64(r.Lines)
	if r.Lines == 0 {
		long := float64(max(r.Width, r.Height))
		short = min(float64(min(r.Width, r.Height)), long*float64(s.short())/float64(s.long()))
	}
	switch {
	case about(int(math.Round(short)), s.short()):
		return s, false
	case short > float64(s.short()):
		return size{}, true
	}
	return s.scaled(short), false
}

// Limits of pictures by codec: what decoders and encoders of GPUs take, and for H.264 its level 5.2 (ITU-T H.264 table A-1).
const (
	mostH264Side   = 4096
	mostH264Blocks = 36_864    // macroblocks in a picture
	mostH264Rate   = 2_073_600 // macroblocks a second
	mostLong       = 8192
	mostShort      = 4320
)

// fits tells whether a codec may have pictures of that size.
func (s size) fits(c stream.Codec, rate float64) bool {
	if c != stream.H264 {
		return s.long() <= mostLong && s.short() <= mostShort
	}
	blocks := (s.w + 15) / 16 * ((s.h + 15) / 16)
	return s.long() <= mostH264Side && blocks <= mostH264Blocks && float64(blocks)*rate <= mostH264Rate
}

// fitted is the largest size in a codec's limits with the same aspect ratio, as far as there is one that encoders take.
func (s size) fitted(c stream.Codec, rate float64) size {
	less := s
	for short := s.short(); !less.fits(c, rate) && short > leastPicture; {
		short -= 8
		less = s.scaled(float64(short))
	}
	return less
}

// usualBitrate is the bit rate of a conversion that nobody says one for: 2.5 Mbit/s of 720p at 30 frames a second, less a
// pixel for larger pictures and more frames.
func usualBitrate(s size, r float64) int {
	pixels := float64(s.pixels()) / (1280 * 720)
	bits := 2.5e6 * math.Pow(pixels, 0.75) * math.Sqrt(rate(r)/usualRate)
	return min(max(int(math.Round(bits/50_000))*50_000, 300_000), 40_000_000)
}
