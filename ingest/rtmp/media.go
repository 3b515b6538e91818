package rtmp

import (
	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// Track IDs of a publisher: track n of Enhanced RTMP is n behind these, and track 0 that of classic messages.
const (
	videoID = 0
	audioID = 100
)

// mostTracks is how many tracks of a kind are taken.
const mostTracks = 16

// longestOffset is how far composition may be from decoding, in ms: more than any encoder reorders. A frame beyond
// it would move the whole stream's time.
const longestOffset = 10_000

// tracks is the media side of a publishing session. Its last track of each kind stands for all that are too many.
type tracks struct {
	clock  clock
	feed   *feed.Feed
	videos [mostTracks + 1]*feed.Video
	audios [mostTracks + 1]*feed.Audio
	labels [mostTracks]feed.Label // of audio tracks, as onMetaData has them
}

// videoTrack returns a video track by its number in Enhanced RTMP.
func (s *session) videoTrack(n int) *feed.Video {
	n = min(n, mostTracks)
	if s.videos[n] == nil {
		s.videos[n] = s.feed.Video(videoID+n, 0, feed.Label{})
	}
	return s.videos[n]
}

// audioTrack returns an audio track by its number in Enhanced RTMP.
func (s *session) audioTrack(n int) *feed.Audio {
	n = min(n, mostTracks)
	if s.audios[n] == nil {
		var l feed.Label
		if n < mostTracks {
			l = s.labels[n]
		}
		s.audios[n] = s.feed.Audio(audioID+n, l)
	}
	return s.audios[n]
}

// media lets audio, video and data through once something is published.
func (s *session) media(m message, take func(uint32, []byte) error) error {
	if s.pub == nil {
		s.ignore(ignoredUnasked)
		return nil
	}
	s.active()
	return take(m.time, m.body)
}

// aggregate takes a message apart that carries several (RTMP 1.0 7.1.6), each as an FLV tag:
//
//	type(8) size(24) time(24, low bits) time(8, high bits) stream id(24) data  size of all that(32)
//
// Their times count from the first one's, which is the aggregate's own.
func (s *session) aggregate(at uint32, body []byte) error {
	const header, trailer = 11, 4
	var first uint32
	for i := 0; len(body) >= header; i++ {
		size := int(body[1])<<16 | int(body[2])<<8 | int(body[3])
		t := uint32(body[4])<<16 | uint32(body[5])<<8 | uint32(body[6]) | uint32(body[7])<<24
		typ := body[0]
		body = body[header:]
		if size > len(body) {
			s.feed.Lost(ingest.DropDamaged)
			return nil
		}
		if i == 0 {
			first = t
		}
		if err := s.part(typ, at+t-first, body[:size]); err != nil {
			return err
		}
		body = body[size:]
		body = body[min(trailer, len(body)):]
	}
	return nil
}

// part takes one message of an aggregate.
func (s *session) part(typ byte, at uint32, body []byte) error {
	switch typ {
	case typeVideo:
		return s.video(at, body)
	case typeAudio:
		return s.audio(at, body)
	case typeDataAMF0, typeDataAMF3:
		return s.data(at, body)
	}
	s.ignore(ignoredType)
	return nil
}

// tag is one frame, or codec data, as it stands in a message.
type tag struct {
	track   int // number in Enhanced RTMP
	codec   stream.Codec
	time    uint32 // ms
	nanos   int64  // to add to time
	offset  int64  // composition time, ms
	payload []byte
}
