package stream

import "time"

// Frame is one access unit: a coded picture with everything that belongs to it, or one audio frame.
type Frame struct {
	// Track that the frame belongs to; never nil.
	Track *Track
	// Era numbers the stretches of continuous time of a stream. It rises when a publisher comes back and when a
	// publisher's clock jumps; packagers put a discontinuity there. Within an era, DTS of a track always rises.
	Era int
	// DTS and PTS are the decoding and presentation time in ticks of Track.ClockRate, on the stream's timeline, which
	// starts at the time of day, counted from 1970 (UTC), and never goes back. Some encoders send PTS below DTS.
	DTS, PTS int64
	// Duration in ticks, 0 when unknown (video).
	Duration int64
	// Key tells that decoding can start here: an IDR, BLA or CRA picture, an AV1 key frame with its sequence header.
	// Every audio frame is one.
	Key bool
	// Wall is the time of capture where the publisher says it, else the time of arrival.
	Wall time.Time
	// Arrived is when the node had the whole frame, by its clock; zero where that is not known, as of renditions that it made. It is
	// for measuring only.
	Arrived time.Time
	// Payload is the sample as ISO-BMFF stores it: NAL units with 4-byte lengths and no parameter sets, an AV1 temporal
	// unit without temporal delimiters, a VP8 or VP9 frame (with VP9, a superframe), a raw AAC, Opus or MP3 frame, G.711
	// samples of one byte. It is lent for the call only: who needs it longer copies it.
	Payload []byte
}

// Names of timed messages. How each is written on the wire stands where it is read.
const (
	// DataMeta describes the stream, in the words of the publishing program.
	DataMeta = "onMetaData"
	// DataText carries a text: one argument, an object with the text under "text".
	DataText = "onTextData"
	// DataCue is a cue point: one argument, an object with "name" and "parameters".
	DataCue = "onCuePoint"
	// DataCard is this project's own: one argument, a command as JSON text or as an object.
	DataCard = "onPushcartCard"
	// DataSEI came within a picture, as a user data SEI message with our UUID: one argument, a command as JSON text.
	DataSEI = "pushcart.sei"
	// DataChannel came over WebRTC's data channel "cards": one argument, a command as JSON text.
	DataChannel = "pushcart.datachannel"
	// DataID3 came as timed ID3 in an MPEG transport stream: one argument, a command as JSON text.
	DataID3 = "pushcart.id3"
	// DataSCTE35 came as a SCTE-35 cue in an MPEG transport stream: one argument, a command as JSON text.
	DataSCTE35 = "pushcart.scte35"
)

// Data is a timed message that came with the media, such as AMF data in RTMP. It does not change once it was passed on, so
// that who takes it may keep it.
type Data struct {
	// Name of the message: one of the Data constants.
	Name string
	// Era and PTS are those of the frame that the message belongs to, where that frame came; PTS counts 1/90,000 s.
	Era int
	PTS int64
	// Values holds the message's arguments: float64, bool, string, nil, map[string]any or []any.
	Values []any
	// Trusted tells that the publisher gave a configured key, or is a source that the node fetches, and is not merely a program
	// on this host.
	Trusted bool
	// Reply, where it is not nil, is told what became of a command, once, from any goroutine. It must not block. A message
	// that nobody takes for a command has no reply.
	Reply func(Reply)
}

// Reply is what became of a command that came with the media.
type Reply struct {
	// Refused says in a sentence why nothing was done; "" when it was done, and is on disk.
	Refused string
	// Field of the command that was at fault; "" when none was, or the whole.
	Field string
	// Epoch and Seq number the state of the slots after the command; Card and Rev are the card concerned, "" and 0 when none is.
	// They are those of package overlay's Result, and zero when the command was refused.
	Epoch, Seq int64
	Card       string
	Rev        int64
}

// Rescale converts ticks of one clock rate into another, rounding to the nearest, without overflow for any time that a
// stream can reach.
func Rescale(v int64, from, to int) int64 {
	if from == to {
		return v
	}
	f, t := int64(from), int64(to)
	whole, rest := v/f, v%f
	if rest < 0 {
		whole--
		rest += f
	}
	return whole*t + (rest*t+f/2)/f
}
