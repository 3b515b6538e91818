package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// checkID3 tells whether data is one ID3v2.4 tag with exactly one frame, a TXXX in UTF-8 (ID3v2.4 structure, 3 and 4; native
// frames, 4.2.6).
func checkID3(data []byte) error {
	if len(data) < 10 || string(data[:3]) != "ID3" {
		return errors.New("it is no ID3 tag")
	}
	if data[3] != 4 || data[4] != 0 {
		return fmt.Errorf("it is ID3v2.%d.%d", data[3], data[4])
	}
	if data[5] != 0 {
		return fmt.Errorf("its flags are %#02x", data[5])
	}
	size, ok := syncsafe(data[6:10])
	if !ok || size != len(data)-10 {
		return fmt.Errorf("its size is % x, %d bytes follow", data[6:10], len(data)-10)
	}
	frame := data[10:]
	if len(frame) < 10 || string(frame[:4]) != "TXXX" {
		return fmt.Errorf("it does not begin with a TXXX frame: %.14q", frame)
	}
	size, ok = syncsafe(frame[4:8])
	if !ok || size != len(frame)-10 {
		return fmt.Errorf("its frame has the size % x, and %d bytes follow", frame[4:8], len(frame)-10)
	}
	if frame[8] != 0 || frame[9] != 0 {
		return fmt.Errorf("its frame has the flags % x", frame[8:10])
	}
	return checkText3(frame[10:])
}

// checkText3 looks at the body of a TXXX frame.
func checkText3(body []byte) error {
	if len(body) == 0 || body[0] != 3 {
		return fmt.Errorf("its text is not in UTF-8: %.10q", body)
	}
	description, value, ok := bytes.Cut(body[1:], []byte{0})
	switch {
	case !ok || len(description) == 0:
		return errors.New("its frame has no description")
	case len(value) == 0 || bytes.IndexByte(value, 0) >= 0:
		return errors.New("its frame does not have one value")
	case !utf8.Valid(body):
		return errors.New("its frame's text is not UTF-8")
	}
	return nil
}

// syncsafe reads a size with seven bits a byte (ID3v2.4 structure, 6.2).
func syncsafe(b []byte) (size int, ok bool) {
	for _, x := range b {
		if x&0x80 != 0 {
			return 0, false
		}
		size = size<<7 | int(x)
	}
	return size, true
}
