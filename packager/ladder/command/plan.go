package command

import (
	"time"

	"pushcart/internal/stream"
)

// PlanOptions say what is to be made besides a ladder's rungs.
type PlanOptions struct {
	// Convert asks for H.264 and AAC in place of what browsers or HLS cannot play.
	Convert bool
	// Poster is the time from one poster to the next; 0 is none.
	Poster time.Duration
}

// Plan is what is to be made of a publisher's tracks. The zero value is nothing.
type Plan struct {
	// Picture makes all pictures; nil when there are none to make.
	Picture *PictureJob
	// Sound has a job for each track of sound that something is made of.
	Sound []SoundJob
	// Notes are sentences for operator and host: what was left out and why, what was changed.
	Notes []string
}

// PictureJob is one ffmpeg child that decodes a track of video once and makes pictures of it.
type PictureJob struct {
	// Source is the track that goes in. Where its codec data claim no frame rate, a copy with the one that was measured makes
	// for better commands: encoders spend bits by it.
	Source *stream.Track
	// Mode of all outputs.
	Mode Mode
	// Outputs from the greatest down. It may be empty where there is a Poster.
	Outputs []Output
	// Poster is nil when none is made.
	Poster *Poster
}

// SoundJob is one ffmpeg child that makes one or two tracks of sound of one.
type SoundJob struct {
	// Source is the track that goes in.
	Source *stream.Track
	// Mode is that of the ladder; the lag of its outputs follows from it.
	Mode Mode
	// Outputs: what stands in for the source first, then the ladder's rung.
	Outputs []Output
}

// Output is one rendition that a job makes.
type Output struct {
	// Rung as it was asked for, or what stands for it in a conversion.
	Rung Rung
	// Track is the number of its stream.Track.
	Track int
	// StandsIn tells that the output is there for a source that viewers cannot play: it is the last to go.
	StandsIn bool

	// Width and Height of the picture in pixels, even; 0 for audio.
	Width, Height int
	// FrameRate is the highest to be expected, in frames a second; 0 when the source's is not known.
	FrameRate float64
	// Capped tells that frames are dropped to keep to Rung.FrameRate.
	Capped bool
	// Color is what the samples stand for.
	Color stream.Color
	// ToneMapped tells that HDR is made SDR.
	ToneMapped bool

	// SampleRate in Hz and Channels of sound; 0 for video.
	SampleRate, Channels int
	// Language and Name of a track of sound, as the source has them.
	Language, Name string
}

// Poster is a JPEG picture of the stream every now and then.
type Poster struct {
	// Every is the time from one to the next, by the source's timestamps.
	Every time.Duration
	// Width and Height in pixels.
	Width, Height int
}

// MakePlan finds what is to be made of a publisher's tracks. A nil ladder asks for conversions and posters only. The same
// tracks, ladder and options give the same plan, and a rung has the same track number whatever else is left out.
func MakePlan(tracks []*stream.Track, l *Ladder, opt PlanOptions) Plan {
	var p Plan
	p.pictures(tracks, l, opt)
	p.sounds(tracks, l, opt)
	return p
}
