package whip

import (
	"errors"

	"pushcart/internal/stream"
)

// maxUnit is the longest access unit in bytes.
const maxUnit = 8 << 20

// maxPieces is how many NAL units or OBUs an access unit may have.
const maxPieces = 512

var (
	errPayload = errors.New("a payload that does not fit its format")
	errTooLong = errors.New("an access unit that is too long")
)

// assembler puts the payloads of packets, which come in order and without gaps, together to access units.
type assembler interface {
	// starts tells whether an access unit, and one to start with, may begin with this payload.
	starts(payload []byte) bool
	// add takes the next payload of the access unit.
	add(payload []byte) error
	// complete tells whether the last piece has come to its end.
	complete() bool
	// take returns the access unit, valid until the next add; nil when there is none.
	take() [][]byte
	// reset forgets what was added.
	reset()
}

// newAssembler makes the assembler of a codec's payload format.
func newAssembler(c stream.Codec) assembler {
	switch c {
	case stream.H264:
		return &h264{}
	case stream.HEVC:
		return &hevc{}
	case stream.AV1:
		return &av1{}
	case stream.VP8:
		return &vp8{}
	case stream.VP9:
		return &vp9{}
	}
	return nil
}

// pieces is an access unit under way: its NAL units or OBUs one behind the other in one buffer, which is used again.
type pieces struct {
	buf  []byte
	ends []int
	open bool // the last piece is not complete
	out  [][]byte
	done bool // taken: the next piece begins anew
}

func (p *pieces) renew() {
	if p.done {
		p.reset()
	}
}

func (p *pieces) reset() { p.buf, p.ends, p.open, p.done = p.buf[:0], p.ends[:0], false, false }

// begin starts a piece.
func (p *pieces) begin() error {
	if p.open || len(p.ends) >= maxPieces {
		return errPayload
	}
	p.open = true
	return nil
}

// write adds to the piece that is open.
func (p *pieces) write(b ...byte) error {
	if !p.open {
		return errPayload
	}
	if len(p.buf)+len(b) > maxUnit {
		return errTooLong
	}
	p.buf = append(p.buf, b...)
	return nil
}

func (p *pieces) complete() bool { return !p.open }

func (p *pieces) end() { p.ends, p.open = append(p.ends, len(p.buf)), false }

// whole adds a piece that is complete.
func (p *pieces) whole(b []byte) error {
	if err := p.begin(); err != nil {
		return err
	}
	if err := p.write(b...); err != nil {
		return err
	}
	p.end()
	return nil
}

func (p *pieces) take() [][]byte {
	if p.open {
		p.reset()
		return nil
	}
	p.out = p.out[:0]
	from := 0
	for _, end := range p.ends {
		p.out = append(p.out, p.buf[from:end:end])
		from = end
	}
	p.done = true
	return p.out
}
