package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// parser reads a payload with a sticky error: after the first one everything is zero.
type parser struct {
	b   []byte
	err error
}

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	p.b = nil
}

// done returns the error, which is one too when something is left.
func (p *parser) done() error {
	if len(p.b) > 0 {
		p.fail(fmt.Sprintf("%d bytes too many", len(p.b)))
	}
	return p.err
}

func (p *parser) take(n int, what string) []byte {
	if n < 0 || n > len(p.b) {
		p.fail(what + " is cut off")
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) u8(what string) uint8 {
	if b := p.take(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) i64(what string) int64 {
	if b := p.take(8, what); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// number reads a signed number of variable length.
func (p *parser) number(what string) int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.fail(what + " is no number")
		return 0
	}
	p.b = p.b[n:]
	return v
}

// count reads a number from 0 to most.
func (p *parser) count(most int, what string) int {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail(what + " is no number")
		return 0
	}
	if v > uint64(most) {
		if p.err == nil {
			p.err = fmt.Errorf("%w: %s is %d, of %d", ErrTooLong, what, v, most)
		}
		p.b = nil
		return 0
	}
	p.b = p.b[n:]
	return int(v)
}

// text reads a length and as many bytes.
func (p *parser) text(most int, what string) string {
	return string(p.take(p.count(most, what), what))
}

func (p *parser) time(what string) time.Time {
	if n := p.number(what); p.err == nil && n != math.MinInt64 {
		return time.Unix(0, n).UTC()
	}
	return time.Time{}
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendTime appends nanoseconds since 1970; the least number is the zero time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, math.MinInt64)
	}
	return binary.AppendVarint(b, t.UnixNano())
}
