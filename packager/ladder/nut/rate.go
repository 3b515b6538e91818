package nut

import (
	"math"
	"strconv"
)

const (
	defaultFrameRate = 30
	mostFrameRate    = 999 // ffmpeg takes no more from a file
)

// rateInfo makes the body of an info packet about the stream (nut.txt, info_packet) with the field in which ffmpeg keeps a
// stream's frame rate.
func rateInfo(rate float64) []byte {
	num, den := ratio(rate)
	text := strconv.Itoa(num) + "/" + strconv.Itoa(den)
	b := appendV(nil, 1) // the stream's number plus one
	b = appendV(b, 0)    // chapter
	b = appendV(b, 0)    // its start
	b = appendV(b, 0)    // its length
	b = appendV(b, 1)    // fields
	b = appendText(b, "r_frame_rate")
	b = appendV(b, 2) // -1 as a signed value: text follows
	return appendText(b, text)
}

// appendText appends a text with its length before it (nut.txt, vb).
func appendText(b []byte, text string) []byte {
	return append(appendV(b, uint64(len(text))), text...)
}

// ratio makes a fraction of a frame rate: a whole number, one of television's with 1001 below, or thousandths.
func ratio(rate float64) (num, den int) {
	if !(rate > 0) {
		rate = defaultFrameRate
	}
	rate = min(rate, mostFrameRate)
	const near = 0.004
	if whole := math.Round(rate); whole > 0 && math.Abs(whole-rate) < near {
		return int(whole), 1
	}
	if whole := math.Round(rate * 1.001); whole > 0 && math.Abs(whole/1.001-rate) < near {
		return int(whole) * 1000, 1001
	}
	return max(int(math.Round(rate*1000)), 1), 1000
}
