package load

import (
	"errors"
	"fmt"
)

// Types of FLV tags (FLV 10.1 E.4.1), which are RTMP's message types too (RTMP 1.0 6 and 7.1).
const (
	TagAudio  = 8
	TagVideo  = 9
	TagScript = 18
)

const (
	flvHeader  = 9  // signature(24) version(8) flags(8) header size(32)
	flvTag     = 11 // type(8) data size(24) time(24) time's high bits(8) stream id(24)
	flvTrailer = 4  // size of the tag before
)

// Tag is one tag of an FLV file, or one message of a publisher's.
type Tag struct {
	Kind byte
	At   uint32 // ms
	Data []byte // of a parsed file, shares the file's bytes
}

// Key tells whether the tag is a video frame at which decoding can start.
func (t Tag) Key() bool {
	return t.Kind == TagVideo && len(t.Data) > 0 && t.Data[0]>>4&7 == 1 && !t.Config()
}

// Config tells whether the tag is codec data of AVC or AAC rather than a frame.
func (t Tag) Config() bool {
	if len(t.Data) < 2 {
		return false
	}
	return t.Data[1] == 0 && (t.Kind == TagVideo && t.Data[0]&15 == 7 || t.Kind == TagAudio && t.Data[0]>>4 == 10)
}

// ErrFLV is the reason why a file cannot be used as a clip.
var ErrFLV = errors.New("not a usable FLV file")

// ParseFLV returns a file's tags. A last tag that is cut off is an error: ErrFLV.
func ParseFLV(b []byte) ([]Tag, error) {
	if len(b) < flvHeader || string(b[:3]) != "FLV" {
		return nil, fmt.Errorf("%w: no FLV signature", ErrFLV)
	}
	header := be32(b[5:])
	if header < flvHeader || uint64(header)+flvTrailer > uint64(len(b)) {
		return nil, fmt.Errorf("%w: a header of %d bytes in a file of %d", ErrFLV, header, len(b))
	}
	b = b[header+flvTrailer:]
	var tags []Tag
	for len(b) > 0 {
		if len(b) < flvTag+flvTrailer {
			return nil, fmt.Errorf("%w: %d bytes after tag %d", ErrFLV, len(b), len(tags))
		}
		size := int(be24(b[1:]))
		if size > len(b)-flvTag-flvTrailer {
			return nil, fmt.Errorf("%w: tag %d says %d bytes, %d are there", ErrFLV, len(tags), size, len(b)-flvTag-flvTrailer)
		}
		tags = append(tags, Tag{Kind: b[0] & 31, At: be24(b[4:]) | uint32(b[7])<<24, Data: b[flvTag : flvTag+size]})
		b = b[flvTag+size+flvTrailer:]
	}
	return tags, nil
}

func be24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
func be32(b []byte) uint32 { return be24(b)<<8 | uint32(b[3]) }
