package relay

import (
	"slices"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// lacking are the parts that a peer knows of without having their media.
type lacking struct {
	// parts in the order in which they are sent: those of the newest segment first.
	parts []Position
	// next is where in parts to look on, as long as the newest snapshot is seen.
	next int
	seen *window.Snapshot
	// media are being sent, of the part at, from offset on; nil between two parts.
	media  []byte
	at     Position
	offset int
}

// reset makes it the parts of a state that the peer lacks. told is the snapshot that it was told of before: what is not lacking of
// that has been sent. nil is none, and then the peer has what it says.
func (k *lacking) reset(s, told *window.Snapshot, have []span) {
	var last Position
	before := map[Position]bool{}
	if told != nil && len(told.Segments) > 0 {
		g := told.Segments[len(told.Segments)-1]
		last = Position{g.Gen, g.MSN, len(g.Parts) - 1}
		for _, at := range k.parts {
			before[at] = true
		}
	}
	*k = lacking{}
	for i := len(s.Segments) - 1; i >= 0; i-- {
		g := s.Segments[i]
		for n := range g.Parts {
			at := Position{g.Gen, g.MSN, n}
			switch {
			case g.Parts[n].Gap:
			case told == nil && slices.ContainsFunc(have, func(h span) bool { return h.contains(at) }):
			case told != nil && !last.before(at) && !before[at]:
			default:
				k.parts = append(k.parts, at)
			}
		}
	}
}

// add says that a new part was announced without its media.
func (k *lacking) add(at Position) {
	k.parts = slices.Insert(k.parts, 0, at)
	k.next = 0
}

// pick chooses the next part that this node has.
func (k *lacking) pick(newest *window.Snapshot) bool {
	if newest != k.seen {
		k.seen, k.next = newest, 0
		if len(newest.Segments) > 0 {
			first := newest.Segments[0].MSN
			k.parts = slices.DeleteFunc(k.parts, func(at Position) bool { return at.MSN < first })
		}
	}
	for ; k.next < len(k.parts); k.next++ {
		at := k.parts[k.next]
		g := newest.Segment(at.MSN)
		if g == nil || g.Gen != at.Gen || at.Part >= len(g.Parts) || g.Parts[at.Part].Data == nil {
			continue
		}
		k.at, k.media, k.offset = at, g.Parts[at.Part].Data, 0
		return true
	}
	return false
}

// done says that the media that were picked are sent.
func (k *lacking) done() {
	if i := slices.Index(k.parts, k.at); i >= 0 {
		k.parts = slices.Delete(k.parts, i, i+1)
		k.next = min(k.next, i)
	}
	k.media = nil
}

// backfill sends a chunk of what the peer lacks; false when there is nothing that it could get now.
func (r *renditionLog) backfill(newest *window.Snapshot) (bool, error) {
	k := &r.lacking
	if k.media == nil && !k.pick(newest) {
		return false, nil
	}
	c := wire.Chunk{
		Gen: k.at.Gen, MSN: k.at.MSN, Part: k.at.Part, Size: len(k.media), Offset: k.offset,
		Data: k.media[k.offset:min(len(k.media), k.offset+wire.MaxChunk)],
	}
	head := wire.AppendChunkHead(r.scratch[:0], &c, wire.FlagBackfill)
	whole := wire.AppendChunkSum(head, head, c.Data)
	for _, p := range [...][]byte{head, c.Data, whole[len(head):]} {
		if _, err := r.out.Write(p); err != nil {
			return false, err
		}
	}
	r.scratch = whole[:0]
	r.s.metrics.backfill.Add(float64(len(c.Data)))
	k.offset += len(c.Data)
	if k.offset == len(k.media) {
		k.done()
	}
	return true, nil
}
