package relay

import (
	"crypto/sha256"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// Bounds of verified media that wait to be given to the window together, since that wakes who waits for media.
const (
	maxFilled      = 16
	maxFilledBytes = 256 << 10
)

// backfill takes a stretch of a part that is known of already.
func (f *tracker) backfill(payload []byte) error {
	c, err := wire.ParseChunk(payload)
	if err != nil {
		return err
	}
	at := Position{Gen: c.Gen, MSN: c.MSN, Part: c.Part}
	if c.Offset == 0 {
		f.backSize = 0
		part, ok := f.snapshot().Part(window.Position{MSN: c.MSN, Part: c.Part})
		if g := f.snapshot().Segment(c.MSN); !ok || g.Gen != c.Gen || !part.Absent() {
			f.backAt = at
			return nil // it is there by now, or has left
		}
		if part.Size != c.Size {
			return fail(failPosition, "part %s was announced with %d bytes, and comes with %d", position(at), part.Size, c.Size)
		}
		f.backAt, f.backSize = at, c.Size
		f.back.Begin(c.Gen, c.MSN, c.Part, c.Size)
	}
	switch {
	case at != f.backAt:
		return fail(failPosition, "media of part %s come from %d on, without their beginning", position(at), c.Offset)
	case f.backSize == 0:
		return nil
	case c.Size != f.backSize || c.Offset != len(f.back.Bytes()):
		return fail(failPosition, "media of part %s come from %d on, where others were to come", position(at), c.Offset)
	}
	f.back.Write(c.Data)
	data := f.back.Bytes()
	if len(data) < f.backSize {
		return nil
	}
	f.backSize = 0
	part, ok := f.snapshot().Part(window.Position{MSN: at.MSN, Part: at.Part})
	if g := f.snapshot().Segment(at.MSN); !ok || g.Gen != at.Gen || !part.Absent() {
		return nil
	}
	if len(data) != part.Size || sha256.Sum256(data) != part.Sum {
		return fail(failSum, "the media of part %s are not the origin's: their SHA-256 is another", position(at))
	}
	f.link.m.metrics.bytes.WithLabelValues(kindBackfill).Add(float64(len(data)))
	next := Position{Gen: f.fillAt.Gen, MSN: f.fillAt.MSN, Part: f.fillAt.Part + len(f.filled)}
	if len(f.filled) > 0 && next != at {
		if err := f.flush(); err != nil {
			return err
		}
	}
	if len(f.filled) == 0 {
		f.fillAt = at
	}
	f.filled = append(f.filled, data)
	f.filledBytes += len(data)
	// Who waits gets what ends a segment at once.
	g := f.snapshot().Segment(at.MSN)
	if len(f.filled) >= maxFilled || f.filledBytes >= maxFilledBytes || at.Part == len(g.Parts)-1 {
		return f.flush()
	}
	return nil
}

// flush gives the window what has been filled in.
func (f *tracker) flush() error {
	if len(f.filled) == 0 {
		return nil
	}
	media, at := f.filled, f.fillAt
	f.filled, f.filledBytes = nil, 0
	f.progress = true
	if f.shadow != nil {
		if err := f.shadow.Fill(f.shadowR, at.Gen, at.MSN, at.Part, media...); err != nil {
			return fail(failPosition, "%w", err)
		}
		return f.emerge()
	}
	err := f.link.t.fill(f, at, media)
	f.link.look()
	return err
}
