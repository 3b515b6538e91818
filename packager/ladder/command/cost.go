package command

import (
	"slices"

	"pushcart/internal/stream"
)

// usualRate is the frame rate that is taken for one that nobody knows.
const usualRate = 30.0

// Weights of a pixel a second, measured on the CPU with the lines that Args makes: encoding one in H.264 in mode Latency is 1.
const (
	weightDecode  = 0.2
	weightScale   = 0.3
	weightHEVC    = 3.0
	weightAV1     = 4.0
	weightQuality = 2.5
	weightToneMap = 3.0 // of the largest picture that is tone-mapped
	megapixel     = 1e6
)

// rate is a frame rate to reckon with.
func rate(r float64) float64 {
	if r = known(r); r == 0 {
		return usualRate
	}
	return r
}

// known is a frame rate that somebody claims; 0 when it is none, or beyond all that is sent.
func known(r float64) float64 {
	if r > 0 && r <= mostRate*withinCap {
		return r
	}
	return 0
}

// megapixels is a picture's size in a second.
func megapixels(w, h int, r float64) float64 {
	return float64(w) * float64(h) * rate(r) / megapixel
}

// Cost is the nominal weight of scaling and encoding the output: megapixels a second, times what the codec and the mode cost
// against H.264 in mode Latency. It is for comparing; what a job really takes is measured while it runs. That of sound is 0.
func (o Output) Cost(m Mode) float64 {
	weight := 1.0
	switch o.Rung.Codec {
	case stream.HEVC:
		weight = weightHEVC
	case stream.AV1:
		weight = weightAV1
	}
	if m == Quality {
		weight *= weightQuality
	}
	return megapixels(o.Width, o.Height, o.FrameRate) * (weight + weightScale)
}

// Cost is the nominal weight of the job, decoding and tone-mapping included; in the same measure as an Output's.
func (j *PictureJob) Cost() float64 {
	sum := megapixels(j.Source.Width, j.Source.Height, j.Source.FrameRate) * weightDecode
	if j.Source.Codec != stream.H264 {
		sum *= 1.5
	}
	mapped := 0.0
	for _, o := range j.Outputs {
		sum += o.Cost(j.Mode)
		if o.ToneMapped {
			mapped = max(mapped, megapixels(o.Width, o.Height, j.Source.FrameRate))
		}
	}
	return sum + mapped*weightToneMap
}

// Without is the job without the n costliest of its outputs. What stands in for a source that viewers cannot play stays as
// long as there is anything else. It is nil when nothing is left to do.
func (j *PictureJob) Without(n int) *PictureJob {
	less := *j
	less.Outputs = slices.Clone(j.Outputs)
	for range min(n, len(j.Outputs)) {
		i := less.costliest()
		less.Outputs = slices.Delete(less.Outputs, i, i+1)
	}
	if len(less.Outputs) == 0 && less.Poster == nil {
		return nil
	}
	return &less
}

// costliest is the index of the output that goes next. There is one.
func (j *PictureJob) costliest() int {
	found, most := 0, -1.0
	for i, o := range j.Outputs {
		c := o.Cost(j.Mode)
		if o.StandsIn {
			c = 0
		}
		if c > most {
			found, most = i, c
		}
	}
	return found
}
