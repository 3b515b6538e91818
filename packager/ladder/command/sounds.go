package command

import (
	"fmt"

	"pushcart/internal/stream"
)

// Numbers of audio tracks: those of publishers begin at firstAudio; what stands in for one has the same place among the
// rungs, and the ladder's own rung the last.
const (
	firstAudio  = 100
	soundRungID = stream.FirstRungAudio + stream.MostRungs - 1
)

// Sound of conversions, and the least for two channels, in bits a second.
const (
	stereoBitrate = 128_000
	monoBitrate   = 64_000
	leastStereo   = 48_000
)

// sounds plans the conversions of sound and the ladder's rung.
func (p *Plan) sounds(tracks []*stream.Track, l *Ladder, opt PlanOptions) {
	first := firstSound(tracks)
	r, asked := l.audio()
	for _, t := range tracks {
		if t.Rung != "" || t.Video() {
			continue
		}
		j := SoundJob{Source: t, Mode: l.mode()}
		if opt.Convert && !delivered(t.Codec) {
			p.convertSound(&j)
		}
		if asked && t == first {
			channels := outChannels(t)
			if r.Bitrate < leastStereo {
				channels = 1
			}
			j.Outputs = append(j.Outputs, soundOutput(t, soundRungID, r, channels))
		}
		if len(j.Outputs) > 0 {
			p.Sound = append(p.Sound, j)
		}
	}
}

// firstSound is the publisher's audio track of the lowest number.
func firstSound(tracks []*stream.Track) *stream.Track {
	var first *stream.Track
	for _, t := range tracks {
		if t.Rung == "" && !t.Video() && (first == nil || t.ID < first.ID) {
			first = t
		}
	}
	return first
}

// delivered tells whether browsers play a codec of sound in HLS.
func delivered(c stream.Codec) bool { return c == stream.AAC || c == stream.MP3 }

// convertSound plans what stands in for a track.
func (p *Plan) convertSound(j *SoundJob) {
	t := j.Source
	place := t.ID - firstAudio
	id := stream.FirstRungAudio + place
	if place < 0 || id >= soundRungID {
		p.note("Audio track %d is not converted from %s: there is room for %d.", t.ID, t.Codec, stream.MostRungs-1)
		return
	}
	r := Rung{Name: "audio-aac", Audio: true, Bitrate: stereoBitrate, Codec: stream.AAC}
	if place > 0 {
		r.Name = fmt.Sprintf("audio-aac-%d", place)
	}
	channels := outChannels(t)
	if channels == 1 {
		r.Bitrate = monoBitrate
	}
	o := soundOutput(t, id, r, channels)
	o.StandsIn = true
	j.Outputs = append(j.Outputs, o)
	p.note("The sound is %s, which not all browsers play in HLS: %s in AAC stands in for it.", t.Codec, r.Name)
	if t.Channels > 2 {
		p.note("%s is of two channels: the source's %d are mixed.", r.Name, t.Channels)
	}
}

// outChannels are a track's channels, two at most.
func outChannels(t *stream.Track) int {
	if t.Channels == 1 {
		return 1
	}
	return 2
}

// soundOutput is sound made of a track, at 48 kHz, or at 44.1 where the source is of that family.
func soundOutput(t *stream.Track, id int, r Rung, channels int) Output {
	o := Output{Rung: r, Track: id, SampleRate: 48000, Channels: channels, Language: t.Language, Name: t.Name}
	if t.SampleRate > 0 && t.SampleRate%11025 == 0 {
		o.SampleRate = 44100
	}
	return o
}
