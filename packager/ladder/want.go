package ladder

import (
	"reflect"
	"time"

	"pushcart/internal/codec"
	"pushcart/internal/stream"
	"pushcart/packager/ladder/command"
	"pushcart/packager/ladder/nut"
)

// want is what a job is to make: either of pictures or of sound. It does not change.
type want struct {
	gen       int // of the track; see input
	track     *stream.Track
	frameRate float64 // of the track's pictures; 0 is not known
	picture   *command.PictureJob
	sound     *command.SoundJob
	set       Settings
	whole     *want // what this is a part of; nil when it is all that was wanted
}

// asked is what was wanted before it was known what there is room for.
func (w *want) asked() *want {
	if w.whole != nil {
		return w.whole
	}
	return w
}

// outputs are what comes back, but for the poster.
func (w *want) outputs() []command.Output {
	switch {
	case w == nil:
		return nil
	case w.picture != nil:
		return w.picture.Outputs
	}
	return w.sound.Outputs
}

// same tells whether a child that does one does the other.
func (w *want) same(o *want) bool {
	if w == nil || o == nil {
		return w == o
	}
	return w.gen == o.gen && reflect.DeepEqual(w.outputs(), o.outputs()) && reflect.DeepEqual(w.poster(), o.poster()) &&
		w.mode() == o.mode() && w.set.Threads == o.set.Threads && w.set.Nice == o.set.Nice
}

func (w *want) poster() *command.Poster {
	if w.picture != nil {
		return w.picture.Poster
	}
	return nil
}

func (w *want) mode() command.Mode {
	if w.picture != nil {
		return w.picture.Mode
	}
	return w.sound.Mode
}

// with is the want with another picture job, which has fewer outputs.
func (w *want) with(p *command.PictureJob) *want {
	c := *w
	c.picture, c.whole = p, w
	return &c
}

// span is how much may wait for the child.
func (w *want) span() time.Duration {
	if w.mode() == command.Quality {
		return qualityQueue
	}
	return latencyQueue
}

// keysOnly tells that a poster is all that is made: key frames suffice for that.
func (w *want) keysOnly() bool { return w.picture != nil && len(w.picture.Outputs) == 0 }

// at is the picture job of a source of which more pictures come than its codec data claim, which often is none: encoders and costs go
// by the rate.
func at(p *command.PictureJob, rate float64) *command.PictureJob {
	if rate <= p.Source.FrameRate {
		return p
	}
	job, source := *p, *p.Source
	source.FrameRate, job.Source = rate, &source
	return &job
}

// args are what the program is called with, and how many outputs it has.
func (w *want) args(e command.Engine) (args []string, outputs int) {
	set := command.Settings{Threads: w.set.Threads}
	if w.picture != nil {
		outputs = len(w.picture.Outputs)
		if w.picture.Poster != nil {
			outputs++
		}
		return w.picture.Args(e, set), outputs
	}
	return w.sound.Args(set), len(w.sound.Outputs)
}

// tags are how NUT names codecs: FourCCs, or the two bytes of RIFF.
var tags = map[stream.Codec][4]byte{
	stream.H264: {'H', '2', '6', '4'}, stream.HEVC: {'H', 'E', 'V', 'C'}, stream.AV1: {'A', 'V', '0', '1'},
	stream.VP8: {'V', 'P', '8', '0'}, stream.VP9: {'V', 'P', '9', '0'},
	stream.AAC: {0xFF, 0}, stream.Opus: {'O', 'p', 'u', 's'}, stream.MP3: {0x55, 0}, stream.PCMA: {6, 0}, stream.PCMU: {7, 0},
}

// header describes what the child gets.
func (w *want) header(frameRate float64) nut.Stream {
	t := w.track
	s := nut.Stream{Video: t.Video(), Tag: tags[t.Codec], Rate: t.ClockRate, Config: t.Config}
	if !t.Video() {
		s.SampleRate, s.Channels = t.SampleRate, t.Channels
		return s
	}
	s.Width, s.Height, s.FrameRate = t.Width, t.Height, frameRate
	switch t.Codec {
	case stream.H264, stream.HEVC:
		if v, err := codec.NewVideo(t.Codec, t.Config); err == nil {
			s.Delay = v.Reorder()
		}
	case stream.VP9:
		s.Config = nil // the frames tell
	}
	return s
}
