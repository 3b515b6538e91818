package timed

import (
	"bytes"
	"errors"
	"fmt"
)

// Description names our frame among the user-defined text frames of a tag (ID3v2.4 native frames, 4.2.6).
const Description = "live.pushcart.cards"

// Layout of a tag (ID3v2.4 structure, 3.1 and 4), sizes in seven bits a byte:
//
//	"ID3" version(2) = 4, 0  flags(1)  size(4) of what follows
//	frame: identifier(4)  size(4)  flags(2)
//	TXXX: encoding(1) = 3, UTF-8  description \0  value
const (
	tagHeader   = 10
	frameHeader = 10
	textHeader  = 1 + len(Description) + 1
)

// Bounds of a tag that is read.
const (
	maxTag    = 64 << 10 // bytes
	maxFrames = 64
)

// ID3Size is how many bytes AppendID3 writes.
func ID3Size(token string) int { return tagHeader + frameHeader + textHeader + len(token) }

// AppendID3 appends an ID3v2.4 tag with the token to b and returns the extended slice. The token is one of Sign.
func AppendID3(b []byte, token string) []byte {
	size := textHeader + len(token)
	b = append(b, 'I', 'D', '3', 4, 0, 0)
	b = appendSyncsafe(b, frameHeader+size)
	b = append(b, "TXXX"...)
	b = appendSyncsafe(b, size)
	b = append(b, 0, 0, 3)
	b = append(append(b, Description...), 0)
	return append(b, token...)
}

// ParseID3 finds the token in an ID3v2.4 tag that fills b. The token is not verified yet.
//
// Tags that somebody else wrote are read as long as there is one way to read them: other frames are passed over, also TXXX
// frames with another description, and zeros at the end are padding. Refused are unsynchronisation, an extended header, a
// footer, a second frame of ours, flags of our frame (compression, encryption, grouping), a text encoding other than UTF-8,
// and other versions of ID3, whose sizes are written differently.
func ParseID3(b []byte) (string, error) {
	token, err := parseID3(b)
	if err != nil {
		return "", fmt.Errorf("the ID3 tag is refused: %w", err)
	}
	return token, nil
}

func parseID3(b []byte) (string, error) {
	if len(b) < tagHeader || string(b[:3]) != "ID3" {
		return "", errors.New("it does not begin with \"ID3\"")
	}
	if len(b) > maxTag {
		return "", fmt.Errorf("it has %d bytes, more than %d", len(b), maxTag)
	}
	if b[3] != 4 || b[4] != 0 {
		return "", fmt.Errorf("it is ID3v2.%d.%d, only ID3v2.4.0 is accepted", b[3], b[4])
	}
	if b[5] != 0 {
		return "", fmt.Errorf("its flags are %#02x: a tag without unsynchronisation, extended header and footer is needed", b[5])
	}
	size, ok := syncsafe(b[6:])
	if !ok || size != len(b)-tagHeader {
		return "", fmt.Errorf("its size is % x, it has %d bytes behind its header", b[6:10], len(b)-tagHeader)
	}
	token, found := "", false
	frames := b[tagHeader:]
	for n := 0; len(frames) > 0 && frames[0] != 0; n++ {
		if n == maxFrames {
			return "", fmt.Errorf("it has more than %d frames", maxFrames)
		}
		kind, flags, body, rest, err := nextFrame(frames)
		if err != nil {
			return "", err
		}
		frames = rest
		value, ours := ourText(kind, body)
		if !ours {
			continue
		}
		if found {
			return "", fmt.Errorf("it has two frames called %q", Description)
		}
		if token, err = checkValue(flags, body[0], value); err != nil {
			return "", err
		}
		found = true
	}
	// A zero byte where a frame would begin is padding, to the end (3.3).
	if len(bytes.Trim(frames, "\x00")) > 0 {
		return "", errors.New("its padding is not all zero")
	}
	if !found {
		return "", fmt.Errorf("it has no TXXX frame called %q", Description)
	}
	return token, nil
}

// nextFrame takes the first frame off.
func nextFrame(b []byte) (kind string, flags [2]byte, body, rest []byte, err error) {
	if len(b) < frameHeader {
		return "", flags, nil, nil, fmt.Errorf("%d bytes at its end are no frame", len(b))
	}
	for _, c := range b[:4] {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return "", flags, nil, nil, fmt.Errorf("%q is no frame's identifier", b[:4])
		}
	}
	kind, flags = string(b[:4]), [2]byte(b[8:10])
	size, ok := syncsafe(b[4:])
	if !ok || size == 0 || size > len(b)-frameHeader {
		return "", flags, nil, nil, fmt.Errorf("frame %s claims a size of % x, %d bytes are left", kind, b[4:8], len(b)-frameHeader)
	}
	return kind, flags, b[frameHeader : frameHeader+size], b[frameHeader+size:], nil
}

// ourText tells whether a frame is ours and returns what stands behind its description.
func ourText(kind string, body []byte) (value []byte, ours bool) {
	if kind != "TXXX" {
		return nil, false
	}
	description, value, ok := bytes.Cut(body[1:], []byte{0})
	return value, ok && string(description) == Description
}

// checkValue tells whether the frame's value can be a token.
func checkValue(flags [2]byte, encoding byte, value []byte) (string, error) {
	switch {
	case flags != [2]byte{}:
		return "", fmt.Errorf("our frame's flags are % x, a frame without compression, encryption and the like is needed", flags)
	case encoding != 3:
		return "", fmt.Errorf("our frame's text encoding is %d, only 3 (UTF-8) is accepted", encoding)
	case len(value) == 0 || len(value) > MaxToken:
		return "", fmt.Errorf("our frame's value has %d bytes, a token has 1 to %d", len(value), MaxToken)
	}
	for _, c := range value {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", fmt.Errorf("our frame's value has the byte %#02x, which no token has", c)
		}
	}
	return string(value), nil
}

// appendSyncsafe appends a size below 2^28 in four bytes of seven bits (6.2).
func appendSyncsafe(b []byte, size int) []byte {
	return append(b, byte(size>>21&0x7f), byte(size>>14&0x7f), byte(size>>7&0x7f), byte(size&0x7f))
}

// syncsafe reads a size; false when one of the high bits is set.
func syncsafe(b []byte) (size int, ok bool) {
	if (b[0]|b[1]|b[2]|b[3])&0x80 != 0 {
		return 0, false
	}
	return int(b[0])<<21 | int(b[1])<<14 | int(b[2])<<7 | int(b[3]), true
}
