package rtmp

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// AMF0 markers (AMF 0 specification 2.1).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0A
)

// Bounds on what one message may hold. A decoder recurses for each level, and a Go stack that overflows takes the whole
// process with it: nothing may decode a message before scanAMF has passed it.
const (
	amfDepth  = 8
	amfValues = 1024
)

var errAMF = errors.New("AMF data that is cut off, too deep, too large or of an unknown kind")

// decodeAMF reads the values of a message. Where something in it cannot be read it returns what stands before, and an
// error.
func decodeAMF(b []byte) (amf0.Data, error) {
	n, scanErr := scanAMF(b)
	values, err := amf0.Unmarshal(b[:n])
	if err != nil {
		return nil, errAMF
	}
	return values, scanErr
}

// scanAMF checks a message against the bounds and returns the length of the whole values at its beginning. The error
// says that something follows them which must not be decoded.
func scanAMF(b []byte) (int, error) {
	s := amfScanner{b: b}
	for s.pos < len(b) {
		start := s.pos
		if !s.value(0) {
			return start, errAMF
		}
	}
	return len(b), nil
}

// amfScanner walks values without building them.
type amfScanner struct {
	b      []byte
	pos    int
	values int
}

// skip passes over n bytes, if there are as many.
func (s *amfScanner) skip(n int) bool {
	if n > len(s.b)-s.pos {
		return false
	}
	s.pos += n
	return true
}

// value passes over one value; depth counts the objects and arrays around it.
func (s *amfScanner) value(depth int) bool {
	s.values++
	if s.values > amfValues || depth > amfDepth || s.pos >= len(s.b) {
		return false
	}
	marker := s.b[s.pos]
	s.pos++
	switch marker {
	case amfNumber:
		return s.skip(8)
	case amfBoolean:
		return s.skip(1)
	case amfString:
		_, ok := s.text()
		return ok
	case amfNull, amfUndefined:
		return true
	case amfECMAArray:
		return s.skip(4) && s.pairs(depth)
	case amfObject:
		return s.pairs(depth)
	case amfStrictArray:
		return s.list(depth)
	}
	return false
}

// text passes over a string and tells its length.
func (s *amfScanner) text() (int, bool) {
	if len(s.b)-s.pos < 2 {
		return 0, false
	}
	n := int(binary.BigEndian.Uint16(s.b[s.pos:]))
	return n, s.skip(2 + n)
}

// pairs passes over keys and values up to an empty key and the end marker.
func (s *amfScanner) pairs(depth int) bool {
	for {
		n, ok := s.text()
		if !ok {
			return false
		}
		if n == 0 {
			return s.pos < len(s.b) && s.b[s.pos] == amfObjectEnd && s.skip(1)
		}
		if !s.value(depth + 1) {
			return false
		}
	}
}

// list passes over a counted array. Each element takes a byte at least.
func (s *amfScanner) list(depth int) bool {
	if len(s.b)-s.pos < 4 {
		return false
	}
	count := binary.BigEndian.Uint32(s.b[s.pos:])
	s.pos += 4
	if uint64(count) > uint64(len(s.b)-s.pos) {
		return false
	}
	for range count {
		if !s.value(depth + 1) {
			return false
		}
	}
	return true
}

// plain turns a decoded value into float64, bool, string, nil, map[string]any or []any.
func plain(v any) any {
	switch v := v.(type) {
	case amf0.Object:
		return plainMap(v)
	case amf0.ECMAArray:
		return plainMap(amf0.Object(v))
	case amf0.StrictArray:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = plain(e)
		}
		return out
	case float64, bool, string:
		return v
	}
	return nil
}

func plainMap(o amf0.Object) map[string]any {
	m := make(map[string]any, len(o))
	for _, e := range o {
		m[e.Key] = plain(e.Value)
	}
	return m
}

// str, num and obj read an argument of a command; what is absent or of another type is the zero value.
func str(d amf0.Data, i int) string {
	if i < len(d) {
		s, _ := d[i].(string)
		return s
	}
	return ""
}

func num(d amf0.Data, i int) float64 {
	if i < len(d) {
		if f, ok := d[i].(float64); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
	return 0
}

func obj(d amf0.Data, i int) amf0.Object {
	if i < len(d) {
		switch o := d[i].(type) {
		case amf0.Object:
			return o
		case amf0.ECMAArray:
			return amf0.Object(o)
		}
	}
	return nil
}
