package rtmp

import (
	"errors"
	"time"

	"pushcart/ingest"
	"pushcart/internal/codec"
	"pushcart/internal/stream"
)

// Track IDs of a publisher.
const (
	videoID = 0
	audioID = 100
)

const (
	// codecDataTimeout is how long video may come without its codec data.
	codecDataTimeout = 5 * time.Second
	// keyTimeout is how long video may go on without the key frame that it needs after damage or new codec data.
	keyTimeout = 30 * time.Second
	// longestOffset is how far composition may be from decoding, in ms: more than any encoder reorders. A frame beyond
	// it would move the whole stream's time.
	longestOffset = 10_000
	// largestData is the size in bytes of the longest data message taken.
	largestData = 16 << 10
	// mostData is how many messages may come in a second, data messages and those within pictures; as many may come at once.
	mostData = 200
	// changesAtOnce is how many changes of codec data may come in a burst; after that, one a second.
	changesAtOnce = 16
)

// tracks is the media side of a publishing session.
type tracks struct {
	clock clock
	frame stream.Frame // used again for each frame

	vid     *codec.Video
	vtrack  *stream.Track
	needKey bool // what comes before a key frame is of no use
	seenKey bool
	bare    wait // while video comes without codec data
	keyless wait // while needKey

	atrack      *stream.Track
	aconfig     []byte    // as given
	changes     float64   // tracks declared, less one for each second since
	changedAt   time.Time // when changes was brought up to date
	dataLevel   float64   // messages that came, less mostData for each second since
	dataAt      time.Time // when dataLevel was brought up to date
	otherTracks bool      // it was logged that there are some
	badConfig   bool      // it was logged that codec data cannot be used
}

// declare passes a track on, unless there is no end to them: each one costs every viewer a new initialisation.
func (s *session) declare(t *stream.Track) error {
	now := s.levelAt
	s.changes = max(0, s.changes-now.Sub(s.changedAt).Seconds()) + 1
	s.changedAt = now
	if s.changes > changesAtOnce {
		return ingest.Refuse(ingest.ReasonBadMedia, "The stream's codec data changes too often: %s was set up anew %d times in a few seconds. Restart the encoder.",
			t.Codec, changesAtOnce)
	}
	return s.pub.SetTrack(t)
}

// wait measures how long something has lasted, by media time and by the clock: media may come faster or slower than
// time passes. The zero value has not begun.
type wait struct {
	begun bool
	ms    int64
	since time.Time
}

// over begins a wait, or tells whether it has lasted for limit by either measure.
func (w *wait) over(ms int64, now time.Time, limit time.Duration) bool {
	if !w.begun {
		*w = wait{begun: true, ms: ms, since: now}
	}
	return time.Duration(ms-w.ms)*time.Millisecond >= limit || now.Sub(w.since) >= limit
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
			s.pub.Drop(ingest.DropDamaged)
			s.needKey = s.seenKey
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
	codec   stream.Codec
	time    uint32 // ms
	nanos   int64  // to add to time
	offset  int64  // composition time, ms
	payload []byte
}

// unsupported is the refusal for a codec that cannot be delivered.
func unsupported(what, instead string) error {
	return ingest.Refuse(ingest.ReasonUnsupportedCodec, "%s cannot be delivered over HLS: set the encoder to %s.", what, instead)
}

// configFault turns an error about codec data into a refusal if the codec is at fault, else into a drop.
func (s *session) configFault(err error, instead string) error {
	var u *codec.UnsupportedError
	if errors.As(err, &u) {
		return unsupported(u.What, instead)
	}
	if !s.badConfig {
		s.badConfig = true
		s.log.Warn("codec data cannot be used", "error", err)
	}
	s.pub.Drop(ingest.DropDamaged)
	return nil
}
