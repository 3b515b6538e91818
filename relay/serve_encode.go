package relay

import (
	"crypto/sha256"
	"sync"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// liveChunk is how many bytes of media go into a chunk of a part that has just come: small, since the next node passes on whole
// chunks, and on a way of 10 Mbit/s this is 13 ms.
const liveChunk = 16 << 10

// encodedStep is a step as it goes to all peers, made once: the media are where the window has them.
type encodedStep struct {
	// whole tells that no step leads to the snapshot: peers get its state.
	whole bool
	// at is the position of the part that came, media its bytes, chunks its records in pieces.
	at     Position
	media  []byte
	chunks [][]byte
	// absent tells that the part has media, which are not here.
	absent bool
	// init is what the part's segment needs; nil where the part does not begin one.
	init *window.Init
	// record is the step's, behind the chunks.
	record []byte
	err    error
}

// encoded is the step from a snapshot to its successor. Whoever comes first makes it; it is kept with the successor.
func (set *sumSet) encoded(old, next *window.Snapshot) *encodedStep {
	return next.Memo[window.MemoStep].Get(func() any { return set.encode(old, next) }).(*encodedStep)
}

func (set *sumSet) encode(old, next *window.Snapshot) *encodedStep {
	st, ok := window.Diff(old, next)
	if !ok {
		return &encodedStep{whole: true}
	}
	e := &encodedStep{}
	var sum [32]byte
	var flags uint8
	if st.Part != nil {
		g := next.Segments[len(next.Segments)-1]
		e.at = Position{g.Gen, g.MSN, st.Last.Part}
		e.media = st.Part.Data
		sum = set.sum(e.at, st.Part)
		if st.Part.Absent() {
			e.absent, flags = true, wire.FlagAbsent
		}
		e.chunks = chunks(e.at, e.media, len(e.media), 0, liveChunk)
	}
	if st.Begin != nil {
		e.init = st.Begin.Init
	}
	step := stepOf(&st, sum)
	e.record, e.err = wire.AppendStep(nil, &step, flags)
	return e
}

// chunks are the records of a part's media from an offset on, in pieces: what stands between the media is made, the media
// themselves stay where they are. The part has size bytes, of which media may be the first ones only; a chunk has most.
func chunks(at Position, media []byte, size, from, most int) [][]byte {
	n := (len(media) - from + most - 1) / most
	if n <= 0 {
		return nil
	}
	small := make([]byte, 0, n*64) // heads and sums, all in one piece of memory
	pieces := make([][]byte, 0, 2*n+1)
	mark := 0
	for from < len(media) {
		c := wire.Chunk{Gen: at.Gen, MSN: at.MSN, Part: at.Part, Size: size, Offset: from, Data: media[from:min(len(media), from+most)]}
		head := len(small)
		small = wire.AppendChunkHead(small, &c, 0)
		pieces = append(pieces, small[mark:len(small):len(small)], c.Data)
		mark = len(small)
		small = wire.AppendChunkSum(small, small[head:], c.Data)
		from += len(c.Data)
	}
	return append(pieces, small[mark:])
}

// sumSet has the SHA-256 of parts that this node made itself: they are taken once, when the first peer comes.
type sumSet struct {
	logs int // that use it; guarded by the server's lock

	mu sync.Mutex
	of map[Position][32]byte
}

// sum is that of a part's media; zero for a gap.
func (set *sumSet) sum(at Position, p *window.Part) [32]byte {
	if p.Sum != ([32]byte{}) || p.Data == nil {
		return p.Sum
	}
	set.mu.Lock()
	sum, known := set.of[at]
	set.mu.Unlock()
	if known {
		return sum
	}
	sum = sha256.Sum256(p.Data) // without the lock: the live part need not wait for what a peer who joins makes necessary
	set.mu.Lock()
	set.of[at] = sum
	set.mu.Unlock()
	return sum
}

// forget drops the sums of segments that are not there any more.
func (set *sumSet) forget(s *window.Snapshot) {
	if len(s.Segments) == 0 {
		return
	}
	set.mu.Lock()
	defer set.mu.Unlock()
	for at := range set.of {
		if at.MSN < s.Segments[0].MSN {
			delete(set.of, at)
		}
	}
}

// borrow returns the sums of a rendition, for a log; giveBack ends that. Nothing is kept of renditions that nobody copies.
func (s *Server) borrow(r *window.Rendition) *sumSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.sums[r]
	if set == nil {
		set = &sumSet{of: map[Position][32]byte{}}
		s.sums[r] = set
	}
	set.logs++
	return set
}

func (s *Server) giveBack(r *window.Rendition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if set := s.sums[r]; set.logs > 1 {
		set.logs--
	} else {
		delete(s.sums, r)
	}
}
