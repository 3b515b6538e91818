package command

import (
	"time"

	"pushcart/internal/stream"
)

// How far rungs may fall behind the publisher's tracks before something stands in for them.
const (
	lagLatency = 1500 * time.Millisecond
	lagQuality = 4 * time.Second
)

// Lag is how far behind the mode's rungs may fall before something stands in for them.
func (m Mode) Lag() time.Duration {
	if m == Quality {
		return lagQuality
	}
	return lagLatency
}

// Of AAC as ffmpeg's encoder makes it (ISO/IEC 14496-3 4.5.1.1).
const aacFrame = 1024 // samples

// Tracks declares what comes of the plan, before the first frame of it: all that is known but the codec data.
func Tracks(p Plan) []*stream.Track {
	var all []*stream.Track
	if p.Picture != nil {
		for _, o := range p.Picture.Outputs {
			all = append(all, &stream.Track{
				ID: o.Track, Codec: o.Rung.Codec, ClockRate: 90000, Rung: o.Rung.Name, Lag: p.Picture.Mode.Lag(),
				Width: o.Width, Height: o.Height, FrameRate: o.FrameRate, Color: o.Color,
			})
		}
	}
	for _, j := range p.Sound {
		for _, o := range j.Outputs {
			all = append(all, &stream.Track{
				ID: o.Track, Codec: o.Rung.Codec, ClockRate: o.SampleRate, Rung: o.Rung.Name, Lag: j.Mode.Lag(),
				Language: o.Language, Name: o.Name, SoundOnly: !o.StandsIn,
				SampleRate: o.SampleRate, Channels: o.Channels, FrameSamples: aacFrame,
			})
		}
	}
	return all
}
