package rtmp

import (
	"strconv"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"pushcart/ingest"
	"pushcart/ingest/feed"
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
	return s.feed.Data(len(body), func() *stream.Data { return s.readData(at, body) })
}

// readData reads a timed message; nil is one that is not passed on.
func (s *session) readData(at uint32, body []byte) *stream.Data {
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
	case stream.DataMeta:
		s.label(obj(args, 1))
	case stream.DataText, stream.DataCue, stream.DataCard:
	default:
		s.ignore(ignoredDataName)
		return nil
	}
	d := stream.Data{Name: name, PTS: 90 * s.clock.peek(at)}
	for _, v := range args[1:] {
		d.Values = append(d.Values, plain(v))
	}
	return &d
}

// label keeps what onMetaData tells of audio tracks (Enhanced RTMP v2, "Enhancing onMetaData"): in audioTrackIdInfoMap, objects by
// track number. The specification leaves the names of their members open; these are the usual ones. Tracks that were declared
// before keep what they have.
func (s *session) label(meta amf0.Object) {
	v, _ := meta.Get("audioTrackIdInfoMap")
	for _, e := range obj(amf0.Data{v}, 0) {
		n, err := strconv.Atoi(e.Key)
		if err != nil || n < 0 || n >= mostTracks {
			continue
		}
		info := obj(amf0.Data{e.Value}, 0)
		l := feed.Label{}
		for _, key := range [...]string{"language", "lang"} {
			if text, ok := info.GetString(key); ok && l.Language == "" {
				l.Language = text
			}
		}
		for _, key := range [...]string{"name", "title", "label"} {
			if text, ok := info.GetString(key); ok && l.Name == "" {
				l.Name = text
			}
		}
		s.labels[n] = l
	}
}
