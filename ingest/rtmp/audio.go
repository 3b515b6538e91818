package rtmp

import (
	"fmt"

	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// Sound formats (FLV 10.1 E.4.2.1).
const (
	soundMP3 = 2
	soundEx  = 9 // Enhanced RTMP's sign
	soundAAC = 10
)

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
	return feed.Unsupported(classicAudio(body[0]>>4), feed.InsteadAudio)
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

// audioConfig takes codec data.
func (s *session) audioConfig(t tag) error { return s.audioTrack(t.track).Record(t.codec, t.payload) }

// audioFrame takes one audio frame, or several of MP3.
func (s *session) audioFrame(t tag) error {
	if len(t.payload) == 0 {
		s.ignore(ignoredEmpty)
		return nil
	}
	const nano = 1_000_000_000
	at := s.clock.media(t.time)*(nano/1000) + t.nanos
	return s.audioTrack(t.track).WriteAs(t.codec, t.payload, feed.Time{PTS: at, Rate: nano})
}
