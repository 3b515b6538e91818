package ingest

import (
	"time"

	"pushcart/internal/stream"
)

// undeliveredFor is how long, in media time, a publisher may send nothing but what viewers cannot get.
const undeliveredFor = 5 * time.Second

// trackList is what a publisher declared, and what the door made of it: tracks do not change, so that what is added to one
// makes another, which takes its place in the frames too.
type trackList struct {
	declared  map[int]declaredTrack
	expecting bool // media came whose codec data are still to come
}

// declaredTrack is a track as the publisher declared it and as it is used.
type declaredTrack struct {
	given, used *stream.Track
	first       int64 // undelivered: DTS of the first frame, in ticks
	begun       bool  // first is set
}

// use notes a track and what stands for it, and returns the latter.
func (l *trackList) use(given, used *stream.Track) *stream.Track {
	if l.declared == nil {
		l.declared = map[int]declaredTrack{}
	}
	former := l.declared[given.ID]
	l.declared[given.ID] = declaredTrack{given: given, used: used, first: former.first, begun: former.begun}
	return used
}

// used returns what stands for a track.
func (l *trackList) used(t *stream.Track) *stream.Track {
	if d := l.declared[t.ID]; d.given == t {
		return d.used
	}
	return t
}

// hopeless refuses a publisher that has sent only what viewers cannot get, for long enough to be sure of it.
func (l *trackList) hopeless(f *stream.Frame) error {
	if !f.Track.Undelivered || l.expecting {
		return nil
	}
	for _, d := range l.declared {
		if !d.used.Undelivered {
			return nil
		}
	}
	d := l.declared[f.Track.ID]
	if !d.begun {
		d.begun, d.first = true, f.DTS
		l.declared[f.Track.ID] = d
	}
	if ninety(stream.Rescale(f.DTS-d.first, f.Track.ClockRate, 90000)).duration() < undeliveredFor {
		return nil
	}
	return Refuse(ReasonUnsupportedCodec, "Nothing but %s audio is sent, which cannot be delivered over HLS: set the encoder's audio to AAC, and its video to H.264.",
		f.Track.Codec)
}

// labelled returns the track as it is used: with the configured language and name, and with a mark when viewers do not get it.
func (p *publication) labelled(t *stream.Track) *stream.Track {
	if t.Video() {
		return t
	}
	undelivered := !p.door.opt.Deliverable(t.Codec)
	lang, name := p.door.opt.Label(p.name, t)
	if !undelivered && lang == "" && name == "" {
		return t
	}
	used := *t
	used.Undelivered = undelivered
	if lang != "" {
		used.Language = lang
	}
	if name != "" {
		used.Name = name
	}
	return &used
}
