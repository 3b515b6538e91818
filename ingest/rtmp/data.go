package rtmp

import (
	"pushcart/ingest"
	"pushcart/internal/stream"
)

// Data messages (RTMP 1.0 7.1.2) carry a name and its arguments in AMF0, type 18, or the same with a zero in front, type 15:
//
//	["@setDataFrame"] name argument...
//
// Their time is the message's. A message belongs to the video message with the same time, whichever of the two comes first;
// where there is none, to the next one; where there is no video, to that of audio. A program that has no time for it may
// send zero: the message then belongs to the next video message.
//
// Those that are passed on, by name, with what they carry for cards (the commands are explained where they are read, in
// overlay/inband.go):
//
//	onMetaData      an object that describes the stream: nothing for cards
//	onTextData      an object {"text": string}, where the string is a command as JSON; other texts, such as captions, are
//	                none of ours
//	onCuePoint      an object {"name": "pushcart.OP", "parameters": object}: OP is show, hide, put or patch, and the
//	                parameters are the command's other fields, each of them a string; other names are none of ours
//	onPushcartCard  one argument: a command as a string of JSON, or as an object of the same shape
//
// Pictures may carry commands, too: see codec.Video.UserData.

// data hands a timed message on.
func (s *session) data(at uint32, body []byte) error {
	if len(body) > largestData {
		s.pub.Drop(ingest.DropLargeMessage)
		return nil
	}
	if s.tooMuchData() {
		return nil
	}
	// Data of AMF3 sessions has a zero in front of AMF0 values; no AMF0 message begins with the number 0.
	if len(body) > 0 && body[0] == 0 {
		body = body[1:]
	}
	args, err := decodeAMF(body)
	if err != nil {
		s.ignore(ignoredData)
		s.pub.Drop(ingest.DropUnknownMessage)
		return nil
	}
	if str(args, 0) == "@setDataFrame" {
		args = args[1:]
	}
	name := str(args, 0)
	switch name {
	case stream.DataMeta, stream.DataText, stream.DataCue, stream.DataCard:
	default:
		s.ignore(ignoredDataName)
		return nil
	}
	d := stream.Data{Name: name, PTS: 90 * s.clock.peek(at)}
	for _, v := range args[1:] {
		d.Values = append(d.Values, plain(v))
	}
	return s.pub.WriteData(&d)
}

// userData hands on what came within the picture of a time.
func (s *session) userData(dts int64) error {
	texts, lost := s.vid.UserData()
	for range lost {
		s.ignore(ignoredData)
		s.pub.Drop(ingest.DropUnknownMessage)
	}
	for _, text := range texts {
		if s.tooMuchData() {
			continue
		}
		d := stream.Data{Name: stream.DataSEI, PTS: dts, Values: []any{string(text)}}
		if err := s.pub.WriteData(&d); err != nil {
			return err
		}
	}
	return nil
}

// tooMuchData counts a message, or drops it because there are too many: each one costs far more than its bytes.
func (s *session) tooMuchData() bool {
	now := s.levelAt
	s.dataLevel = max(0, s.dataLevel-now.Sub(s.dataAt).Seconds()*mostData)
	s.dataAt = now
	if s.dataLevel+1 > mostData {
		s.pub.Drop(ingest.DropExcessMessage)
		return true
	}
	s.dataLevel++
	return false
}
