package feed

import (
	"bytes"
	"encoding/binary"
	"errors"

	"pushcart/ingest"
	"pushcart/internal/codec"
	"pushcart/internal/stream"
)

// Audio is one audio track.
type Audio struct {
	feed    *Feed
	id      int
	ignored bool // there are too many
	label   Label
	track   *stream.Track // as declared; nil before
	codec   stream.Codec  // of what came last
	config  []byte        // as it was given
	format  [3]byte       // MP3: what makes up the format of the frames
	later   *stream.Track // to be declared with its first frame
	wrote   bool
	at90k   int64 // of the last frame
}

// Audio adds an audio track whose codec data come later, with Record, or with its frames (MP3).
func (f *Feed) Audio(id int, l Label) *Audio {
	a := &Audio{feed: f, id: id, label: l.clean()}
	n := id - firstAudio
	if n < 0 || n >= mostTracks {
		a.ignored = true
		return a
	}
	if former := f.audios[n]; former != nil {
		a.track = former.track
	}
	f.audios[n] = a
	return a
}

// AAC adds an AAC track by its AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1). An error is a *ingest.Refusal.
func (f *Feed) AAC(id int, config []byte, l Label) (*Audio, error) {
	a := f.Audio(id, l)
	return a, a.configure(stream.AAC, config)
}

// Opus adds an Opus track. head is the identification header (RFC 7845 5.1), or nil for mono or stereo as channels has it. An
// error is a *ingest.Refusal.
func (f *Feed) Opus(id int, channels int, head []byte, l Label) (*Audio, error) {
	if head == nil {
		head = opusHead(channels)
	}
	a := f.Audio(id, l)
	return a, a.configure(stream.Opus, head)
}

// opusHead makes an identification header for mono or stereo, of which no samples are to be left out.
func opusHead(channels int) []byte {
	head := append([]byte("OpusHead"), 1, byte(min(max(channels, 1), 2)), 0, 0)
	head = binary.LittleEndian.AppendUint32(head, 48000)
	return append(head, 0, 0, 0)
}

// MP3 adds a track of MPEG-1 or MPEG-2 audio, layer 3, whose frames tell what it is.
func (f *Feed) MP3(id int, l Label) *Audio {
	a := f.Audio(id, l)
	a.codec = stream.MP3
	return a
}

// G711 adds a track of G.711: stream.PCMA or stream.PCMU.
func (f *Feed) G711(id int, c stream.Codec, sampleRate, channels int, l Label) *Audio {
	a := f.Audio(id, l)
	track, err := codec.NewG711(id, c, sampleRate, channels)
	if err != nil {
		f.opt.Log.Warn("codec data cannot be used", "error", err)
		return a
	}
	a.codec, a.later = c, track
	return a
}

// configure declares the track by its codec data, or says why it cannot be.
func (a *Audio) configure(c stream.Codec, config []byte) error {
	if a.ignored {
		return nil
	}
	err := a.record(c, config)
	var u *codec.UnsupportedError
	var r *ingest.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return r
	case errors.As(err, &u):
		return Unsupported(u.What, InsteadAudio)
	}
	return ingest.Refuse(ingest.ReasonBadMedia, "The %s audio's codec data cannot be read (%v). Restart the encoder, or set its audio to AAC.", c, err)
}

// Record takes codec data of AAC or Opus; MP3 has none. Encoders repeat it; only what differs makes a new track.
func (a *Audio) Record(c stream.Codec, config []byte) error {
	if a.ignored {
		a.feed.ignored()
		return nil
	}
	if len(config) == 0 || a.track != nil && a.codec == c && bytes.Equal(a.config, config) {
		return nil
	}
	err := a.record(c, config)
	var r *ingest.Refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	return a.feed.fault(err, InsteadAudio)
}

func (a *Audio) record(c stream.Codec, config []byte) error {
	var track *stream.Track
	var err error
	switch c {
	case stream.AAC:
		track, err = codec.NewAAC(a.id, config)
	case stream.Opus:
		track, err = codec.NewOpus(a.id, config)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	a.config = bytes.Clone(config)
	return a.declare(track)
}

func (a *Audio) declare(t *stream.Track) error {
	first := a.track == nil
	a.track, a.codec = t, t.Codec
	return a.feed.declare(t, a.label, first)
}

// Is tells whether the track's codec data are those of a codec. MP3 needs none.
func (a *Audio) Is(c stream.Codec) bool {
	return c == stream.MP3 || a.track != nil && a.track.Codec == c
}

// Write takes one frame: raw AAC, one Opus packet, MP3 frames, G.711 samples. It is lent for the call. An error is a
// *ingest.Refusal and ends the session.
func (a *Audio) Write(payload []byte, t Time) error { return a.WriteAs(a.codec, payload, t) }

// WriteAs takes one frame of a protocol that tells the codec with each.
func (a *Audio) WriteAs(c stream.Codec, payload []byte, t Time) error {
	switch {
	case a.ignored:
		a.feed.ignored()
		return nil
	case len(payload) == 0:
		return nil
	case c == stream.MP3:
		return a.mp3(payload, t)
	}
	if a.later != nil {
		later := a.later
		a.later = nil
		if err := a.declare(later); err != nil {
			return err
		}
	}
	if a.track == nil || a.track.Codec != c {
		a.feed.opt.Publication.Drop(ingest.DropBeforeConfig)
		return nil
	}
	duration := a.track.FrameSamples
	switch c {
	case stream.Opus:
		d, err := codec.OpusDuration(payload)
		if err != nil {
			a.feed.opt.Publication.Drop(ingest.DropDamaged)
			return nil
		}
		duration = d
	case stream.PCMA, stream.PCMU:
		if duration = len(payload) / a.track.Channels; duration == 0 {
			a.feed.opt.Publication.Drop(ingest.DropDamaged)
			return nil
		}
	}
	return a.write(payload, t, 0, duration)
}

// write passes a frame on whose time is by some ticks later than t.
func (a *Audio) write(payload []byte, t Time, later int64, duration int) error {
	at := rescale(t.PTS, t.Rate, a.track.ClockRate) + later
	f := a.feed
	f.frame = stream.Frame{Track: a.track, DTS: at, PTS: at, Duration: int64(duration), Key: true, Wall: t.Wall, Payload: payload}
	if err := f.opt.Publication.Write(&f.frame); err != nil {
		return err
	}
	a.wrote, a.at90k = true, stream.Rescale(at, a.track.ClockRate, videoRate)
	return f.settle()
}

// Lost counts what is missing.
func (a *Audio) Lost(reason ingest.DropReason) {
	if !a.ignored {
		a.feed.opt.Publication.Drop(reason)
	}
}

// mp3 cuts frames apart. Each tells its format, so a change shows.
func (a *Audio) mp3(payload []byte, t Time) error {
	var later int64 // ticks since the first frame
	for rest := payload; len(rest) > 0; {
		frame, next, err := codec.NextMP3(rest)
		if err != nil {
			return a.feed.fault(err, InsteadAudio)
		}
		if err := a.mp3Track(frame); err != nil {
			return err
		}
		if err := a.write(frame, t, later, a.track.FrameSamples); err != nil {
			return err
		}
		later += int64(a.track.FrameSamples)
		rest = next
	}
	return nil
}

// mp3Track declares the track at its first frame, and again when the format changes.
func (a *Audio) mp3Track(frame []byte) error {
	// Version and layer, sampling rate, mode: what makes up a format.
	format := [3]byte{frame[1] & 0x1E, frame[2] & 0x0C, frame[3] & 0xC0}
	if a.track != nil && a.track.Codec == stream.MP3 && a.format == format {
		return nil
	}
	track, err := codec.NewMP3(a.id, frame)
	if err != nil {
		return a.feed.fault(err, InsteadAudio)
	}
	a.format = format
	return a.declare(track)
}
