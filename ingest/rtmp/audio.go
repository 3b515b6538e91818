package rtmp

import (
	"bytes"
	"fmt"

	"pushcart/ingest"
	"pushcart/internal/codec"
	"pushcart/internal/stream"
)

// Sound formats (FLV 10.1 E.4.2.1).
const (
	soundMP3 = 2
	soundEx  = 9 // Enhanced RTMP's sign
	soundAAC = 10
)

const insteadAudio = "AAC"

// audio takes an audio message:
//
//	classic   sound format(4) rate(2) size(1) type(1) [AAC: packet type(8)] data
//	enhanced  1001 packet type(4) ...: see exAudio
func (s *session) audio(at uint32, body []byte) error {
	if len(body) == 0 {
		s.ignore(ignoredEmpty)
		return nil
	}
	t := tag{time: at}
	switch body[0] >> 4 {
	case soundEx:
		return s.exAudio(at, body)
	case soundMP3:
		t.codec, t.payload = stream.MP3, body[1:]
		return s.audioFrame(t)
	case soundAAC:
		if len(body) < 2 {
			s.ignore(ignoredEmpty)
			return nil
		}
		t.codec, t.payload = stream.AAC, body[2:]
		if body[1] == packetConfig {
			return s.audioConfig(t)
		}
		return s.audioFrame(t)
	}
	return unsupported(classicAudio(body[0]>>4), insteadAudio)
}

// classicAudio names the codecs of FLV.
func classicAudio(id byte) string {
	names := [16]string{0: "PCM audio", 1: "ADPCM audio", 3: "PCM audio", 4: "Nellymoser audio", 5: "Nellymoser audio",
		6: "Nellymoser audio", 7: "G.711 audio", 8: "G.711 audio", 11: "Speex audio", 14: "MP3 audio at 8 kHz"}
	if names[id] != "" {
		return names[id]
	}
	return fmt.Sprintf("Audio of FLV sound format %d", id)
}

// audioConfig takes codec data. Only what differs makes a new track.
func (s *session) audioConfig(t tag) error {
	if len(t.payload) == 0 || s.atrack != nil && s.atrack.Codec == t.codec && bytes.Equal(s.aconfig, t.payload) {
		return nil
	}
	var track *stream.Track
	var err error
	switch t.codec {
	case stream.AAC:
		track, err = codec.NewAAC(audioID, t.payload)
	case stream.Opus:
		track, err = codec.NewOpus(audioID, t.payload)
	default: // MP3 has none; its frames tell
		return nil
	}
	if err != nil {
		return s.configFault(err, insteadAudio)
	}
	s.aconfig = bytes.Clone(t.payload)
	return s.newAudioTrack(track)
}

func (s *session) newAudioTrack(t *stream.Track) error {
	s.atrack = t
	return s.declare(t)
}

// audioFrame takes one audio frame, or several of MP3.
func (s *session) audioFrame(t tag) error {
	if len(t.payload) == 0 {
		s.ignore(ignoredEmpty)
		return nil
	}
	ms := s.clock.media(t.time)
	if t.codec == stream.MP3 {
		return s.mp3(t, ms)
	}
	if s.atrack == nil || s.atrack.Codec != t.codec {
		s.pub.Drop(ingest.DropBeforeConfig)
		return nil
	}
	duration := s.atrack.FrameSamples
	if t.codec == stream.Opus {
		d, err := codec.OpusDuration(t.payload)
		if err != nil {
			s.pub.Drop(ingest.DropDamaged)
			return nil
		}
		duration = d
	}
	return s.writeAudio(t.payload, s.audioTime(ms, t.nanos), duration)
}

// audioTime is a timestamp in the track's ticks.
func (s *session) audioTime(ms, nanos int64) int64 {
	if nanos == 0 {
		return stream.Rescale(ms, 1000, s.atrack.ClockRate)
	}
	// Milliseconds first: nanoseconds since an arbitrary origin could overflow.
	whole, rest := ms/1000*1000, ms%1000
	return stream.Rescale(whole, 1000, s.atrack.ClockRate) +
		stream.Rescale(rest*1_000_000+nanos, 1_000_000_000, s.atrack.ClockRate)
}

func (s *session) writeAudio(payload []byte, at int64, duration int) error {
	s.frame = stream.Frame{Track: s.atrack, DTS: at, PTS: at, Duration: int64(duration), Key: true, Payload: payload}
	return s.pub.Write(&s.frame)
}

// mp3 cuts the frames of a message apart. Each tells its format, so a change shows.
func (s *session) mp3(t tag, ms int64) error {
	var later int64 // ticks since the first frame
	for rest := t.payload; len(rest) > 0; {
		frame, next, err := codec.NextMP3(rest)
		if err != nil {
			return s.configFault(err, insteadAudio)
		}
		if err := s.mp3Track(frame); err != nil {
			return err
		}
		if err := s.writeAudio(frame, s.audioTime(ms, t.nanos)+later, s.atrack.FrameSamples); err != nil {
			return err
		}
		later += int64(s.atrack.FrameSamples)
		rest = next
	}
	return nil
}

// mp3Track declares the track at its first frame, and again when the format changes.
func (s *session) mp3Track(frame []byte) error {
	// Version and layer, sampling rate, mode: what makes up a format.
	format := [3]byte{frame[1] & 0x1E, frame[2] & 0x0C, frame[3] & 0xC0}
	if s.atrack != nil && s.atrack.Codec == stream.MP3 && bytes.Equal(s.aconfig, format[:]) {
		return nil
	}
	track, err := codec.NewMP3(audioID, frame)
	if err != nil {
		return s.configFault(err, insteadAudio)
	}
	s.aconfig = append([]byte(nil), format[:]...)
	return s.newAudioTrack(track)
}
