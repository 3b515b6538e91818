package testkit

import (
	"math"
	"time"
)

// signalTelephone is SignalSound in G.711 A-law at 8,000 Hz, in pieces of 20 ms.
func signalTelephone() *Clip {
	const rate, piece = 8000, 160
	c := &Clip{Codec: PCMA, Length: clipLength * time.Second}
	for n := 0; n < clipLength*rate; n += piece {
		payload := make([]byte, piece)
		for i := range payload {
			at, level := n+i, 0.0
			if at%rate*1000/rate < SignalLength {
				level = 16000 * math.Sin(2*math.Pi*800*float64(at)/rate)
			}
			payload[i] = aLaw(int(level))
		}
		c.Samples = append(c.Samples, Sample{DTS: scale(int64(n), rate), Key: true, Payload: payload})
	}
	return c
}

// aLaw encodes a sample of 16 bits (ITU-T G.711 table 1): sign, three bits of exponent, four of mantissa, every second bit
// inverted.
func aLaw(v int) byte {
	sign := byte(0x80)
	if v < 0 {
		sign, v = 0, -v-1
	}
	v = min(v, 32767) >> 3 // 12 bits
	exponent := 0
	for m := v >> 5; m > 0; m >>= 1 {
		exponent++
	}
	mantissa := v >> 1 & 15
	if exponent > 0 {
		mantissa = v >> exponent & 15
	}
	return (sign | byte(exponent<<4|mantissa)) ^ 0x55
}

// Rises finds where a signal goes from off to on: the times of those places at which what was below half of the highest level
// is above it, having been below for at least quiet before.
func Rises(at []time.Duration, level []float64, quiet time.Duration) (all []time.Duration) {
	highest := 0.0
	for _, v := range level {
		highest = max(highest, v)
	}
	off := time.Duration(math.MinInt64)
	for i, v := range level {
		switch on := v > highest/2; {
		case !on && off == math.MinInt64:
			off = at[i]
		case on:
			if off != math.MinInt64 && at[i]-off >= quiet {
				all = append(all, at[i])
			}
			off = math.MinInt64
		}
	}
	return all
}
