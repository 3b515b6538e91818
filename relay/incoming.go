package relay

import (
	"sync"
	"sync/atomic"
)

// Incoming is the part of a copied rendition that is just arriving. The copy's reader feeds it, and the server reads from it,
// so that what comes is on its way to the next node before the part is whole and before its SHA-256 is known to hold: the
// next node verifies that itself.
//
// Begin, Write, Bytes, Done and Abort are for one goroutine at a time; Load and Verified for all.
type Incoming struct {
	mu      sync.Mutex
	now     arriving
	done    arriving // the last one that was verified, without data
	changed chan struct{}

	slab []byte // memory for parts: its length is taken, the rest is for the next ones
}

// arriving is what Incoming has at one moment.
type arriving struct {
	// At is the part's position, attempt tells apart two beginnings of the same part. An attempt of 0 is none.
	At      Position
	attempt int64
	// Size of the whole part.
	Size int
	// Data are the bytes so far. They stay as they are, also when the attempt is given up.
	Data []byte
}

// attempts counts those of all, so that none is taken for one of another Incoming that was there before.
var attempts atomic.Int64

// Bounds of a slab in bytes, but for a part that is bigger by itself: what a part claims to have is allocated up to firstRoom
// only, and beyond that as the bytes come.
const (
	slabSize  = 512 << 10
	firstRoom = 1 << 20
)

// NewIncoming makes one for a rendition.
func NewIncoming() *Incoming { return &Incoming{changed: make(chan struct{})} }

// changeLocked wakes those who wait.
func (i *Incoming) changeLocked() {
	close(i.changed)
	i.changed = make(chan struct{})
}

// Begin says that a part of a size in bytes comes now. What came of another one is given up.
func (i *Incoming) Begin(gen, msn int64, part, size int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if cap(i.slab)-len(i.slab) < size {
		i.slab = make([]byte, 0, max(slabSize, min(size, firstRoom)))
	}
	from := len(i.slab)
	i.now = arriving{
		At: Position{Gen: gen, MSN: msn, Part: part}, attempt: attempts.Add(1), Size: size, Data: i.slab[from:from:cap(i.slab)],
	}
	// Readers may still have what an attempt that was given up left: its stretch of the slab is not used again.
	i.slab = i.slab[:min(from+size, cap(i.slab))]
	i.changeLocked()
}

// Write adds the next bytes, which are copied. What is beyond the part's size is left out.
func (i *Incoming) Write(p []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now.Data = append(i.now.Data, p[:min(len(p), i.now.Size-len(i.now.Data))]...)
	i.changeLocked()
}

// Bytes are those of the part so far. When it is whole they are what the copy keeps: they have capacity beyond their end where
// the next part may follow them in memory.
func (i *Incoming) Bytes() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now.Data
}

// Done says that the part is whole and its SHA-256 is right. It is called before the part is published.
func (i *Incoming) Done() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done = i.now
	i.done.Data = nil
}

// Abort says that the part will not come as it began.
func (i *Incoming) Abort() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now = arriving{}
	i.changeLocked()
}

// load returns what has come, and a channel that is closed when there is more.
func (i *Incoming) load() (arriving, <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now, i.changed
}

// verified tells whether the part that was published at a position is what came in an attempt.
func (i *Incoming) verified(at Position, attempt int64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.done.At == at && i.done.attempt == attempt
}
