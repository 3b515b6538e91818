// Package feed takes a publisher's elementary streams, as a protocol's packets bring them, to its publication: it makes
// codec data and tracks of what comes in band, finds decoding times, drops what is damaged up to the next key frame, and
// bounds what a publisher may cost. All protocols share it.
package feed

import (
	"errors"
	"log/slog"
	"time"

	"pushcart/ingest"
	"pushcart/internal/codec"
	"pushcart/internal/stream"
)

// Options sets a feed up.
type Options struct {
	// Publication that the frames go to.
	Publication ingest.Publication
	// Log is of the session; nil is slog.Default.
	Log *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Feed is one publisher's media. It is for one goroutine at a time, as its tracks are.
type Feed struct {
	opt      Options
	videos   [mostTracks]*Video
	audios   [mostTracks]*Audio
	changes  Meter
	messages Meter
	pending  []pendingCommand
	frame    stream.Frame // used again for each frame
	buffer   codec.Buffer // of all video tracks
	excess   bool         // it was logged that there are too many tracks
	badData  bool         // it was logged that codec data cannot be used
}

// New makes a feed without tracks.
func New(opt Options) *Feed {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Feed{opt: opt}
}

// Label is what is known of a track besides its coding.
type Label struct {
	// Language as a BCP 47 tag or an ISO 639-2 code; what is neither is left out. Name is for people.
	Language, Name string
}

// Track numbers: see stream.Track.ID.
const (
	mostTracks = 16
	firstAudio = 100
)

// declare passes a track on, unless there is no end to them: each one costs every viewer a new initialisation. The first one of
// each number is free.
func (f *Feed) declare(t *stream.Track, l Label, first bool) error {
	t.Language, t.Name = l.Language, l.Name
	if !first && !f.changes.Take(f.opt.Now(), 1, changesAtOnce) {
		return ingest.Refuse(ingest.ReasonBadMedia, "The stream's codec data changes too often: %s was set up anew %d times in a few seconds. Restart the encoder.",
			t.Codec, changesAtOnce)
	}
	return f.opt.Publication.SetTrack(t)
}

// ignored counts what came on a track beyond the limit.
func (f *Feed) ignored() {
	f.opt.Publication.Drop(ingest.DropExcessTrack)
	if !f.excess {
		f.excess = true
		f.opt.Log.Warn("the publisher sends more tracks than are taken; the others are ignored", "limit_video", mostTracks, "limit_audio", mostTracks)
	}
}

// fault turns an error about codec data into a refusal if the codec is at fault, else into a drop.
func (f *Feed) fault(err error, instead string) error {
	var u *codec.UnsupportedError
	if errors.As(err, &u) {
		return Unsupported(u.What, instead)
	}
	if !f.badData {
		f.badData = true
		f.opt.Log.Warn("codec data cannot be used", "error", err)
	}
	f.opt.Publication.Drop(ingest.DropDamaged)
	return nil
}

// Unsupported is the refusal for a codec that cannot be delivered.
func Unsupported(what, instead string) *ingest.Refusal {
	return ingest.Refuse(ingest.ReasonUnsupportedCodec, "%s cannot be delivered over HLS: set the encoder to %s.", what, instead)
}

// What to set an encoder to.
const (
	InsteadVideo = "H.264"
	InsteadAudio = "AAC"
)
