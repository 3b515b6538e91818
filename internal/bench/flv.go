package main

import (
	"errors"
	"fmt"
)

// Types of FLV tags (FLV 10.1 E.4.1), which are RTMP's message types too.
const (
	tagAudio  = 8
	tagVideo  = 9
	tagScript = 18
)

const (
	flvHeader  = 9  // signature(24) version(8) flags(8) header size(32)
	flvTag     = 11 // type(8) data size(24) time(24) time's high bits(8) stream id(24)
	flvTrailer = 4  // size of the tag before
)

// tag is one tag of an FLV file.
type tag struct {
	kind byte
	at   uint32 // ms
	data []byte // shares the file's bytes
}

// key tells whether the tag is a video frame at which decoding can start.
func (t tag) key() bool {
	return t.kind == tagVideo && len(t.data) > 0 && t.data[0]>>4&7 == 1 && !t.config()
}

// config tells whether the tag is codec data of AVC or AAC rather than a frame.
func (t tag) config() bool {
	if len(t.data) < 2 {
		return false
	}
	return t.data[1] == 0 && (t.kind == tagVideo && t.data[0]&15 == 7 || t.kind == tagAudio && t.data[0]>>4 == 10)
}

var errFLV = errors.New("not a usable FLV file")

// parseFLV returns a file's tags. A last tag that is cut off is an error.
func parseFLV(b []byte) ([]tag, error) {
	if len(b) < flvHeader || string(b[:3]) != "FLV" {
		return nil, fmt.Errorf("%w: no FLV signature", errFLV)
	}
	header := be32(b[5:])
	if header < flvHeader || uint64(header)+flvTrailer > uint64(len(b)) {
		return nil, fmt.Errorf("%w: a header of %d bytes in a file of %d", errFLV, header, len(b))
	}
	b = b[header+flvTrailer:]
	var tags []tag
	for len(b) > 0 {
		if len(b) < flvTag+flvTrailer {
			return nil, fmt.Errorf("%w: %d bytes after tag %d", errFLV, len(b), len(tags))
		}
		size := int(be24(b[1:]))
		if size > len(b)-flvTag-flvTrailer {
			return nil, fmt.Errorf("%w: tag %d says %d bytes, %d are there", errFLV, len(tags), size, len(b)-flvTag-flvTrailer)
		}
		tags = append(tags, tag{kind: b[0] & 31, at: be24(b[4:]) | uint32(b[7])<<24, data: b[flvTag : flvTag+size]})
		b = b[flvTag+size+flvTrailer:]
	}
	return tags, nil
}

func be24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
func be32(b []byte) uint32 { return be24(b)<<8 | uint32(b[3]) }
