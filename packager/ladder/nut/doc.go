// Package nut writes and reads NUT, the open container that ffmpeg takes and gives over pipes: one elementary stream to a
// file. It keeps timestamps to the tick and marks key frames, needs no seeking, and has a frame out as soon as its last byte
// is there. The package knows nothing of codecs but their tags.
//
// The specification is nut.txt, "NUT Open Container Format" of 2006-11-04, and for version 4 ffmpeg's nut.texi, "NUT". Files
// are written in the latter's pipe mode: a reader keeps a record of every syncpoint for seeking, which would make ffmpeg's
// memory grow for as long as a stream lasts, so there is just the one that must precede the first frame.
package nut

// Stream is the description of the one elementary stream of a file.
type Stream struct {
	// Video tells that the stream is of pictures, otherwise of sound.
	Video bool
	// Tag is the codec's FourCC; those of RIFF that have two bytes end in two zeros.
	Tag [4]byte
	// Rate is the number of ticks a second in which PTS counts.
	Rate int
	// Delay is the number of frames by which pictures are shown later than they are coded, at most: decode_delay.
	Delay int
	// Config is the codec specific data; empty for codecs that have none. Its form is the codec's affair.
	Config []byte
	// Width and Height are the size of the pictures in pixels; 0 for sound.
	Width, Height int
	// FrameRate of pictures in frames a second, which ffmpeg's encoders start their rate control from; 0 is written as 30.
	// Without any, ffmpeg takes each tick for a frame, and an encoder with a bitrate has next to nothing for each. It is a
	// claim for writing only: a Reader leaves it at 0.
	FrameRate float64
	// SampleRate of sound in Hz; 0 for pictures.
	SampleRate int
	// Channels of sound; 0 for pictures.
	Channels int
}

// Frame is one coded frame.
type Frame struct {
	// PTS in ticks of the stream's Rate.
	PTS int64
	// Key tells that decoding can start here.
	Key bool
	// Payload of the frame.
	Payload []byte
}
