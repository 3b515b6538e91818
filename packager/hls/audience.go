package hls

import (
	"hash/maphash"
	"math"
	"math/bits"
	"net/http"
	"sync/atomic"
	"time"
)

// audience estimates distinct viewers by linear counting: each viewer sets one bit of a table, and the share of bits that
// stayed clear tells how many there were. It costs the same for one viewer as for ten thousand, and keeps nobody's address.
type audience struct {
	seed   maphash.Seed
	tables [audienceTables]audienceTable
}

const (
	audienceTables = 3
	audienceSpan   = 5    // seconds that a table gathers
	audienceBits   = 8192 // counts up to about 40,000 with an error under 5 %
)

type audienceTable struct {
	slot  atomic.Int64
	words [audienceBits / 64]atomic.Uint64
}

func newAudience() *audience { return &audience{seed: maphash.MakeSeed()} }

// seen notes a viewer, told apart by address and program.
func (a *audience) seen(r *http.Request, now time.Time) {
	var h maphash.Hash
	h.SetSeed(a.seed)
	h.WriteString(host(r.RemoteAddr))
	h.WriteByte(0)
	h.WriteString(r.UserAgent())
	bit := h.Sum64() % audienceBits

	slot := now.Unix() / audienceSpan
	t := &a.tables[slot%audienceTables]
	if old := t.slot.Load(); old != slot && t.slot.CompareAndSwap(old, slot) {
		for i := range t.words {
			t.words[i].Store(0)
		}
	}
	t.words[bit/64].Or(1 << (bit % 64))
}

// count estimates the viewers of the present and the last two spans.
func (a *audience) count(now time.Time) int {
	slot := now.Unix() / audienceSpan
	set := 0
	for i := range a.tables[0].words {
		var w uint64
		for t := range a.tables {
			if s := a.tables[t].slot.Load(); s == slot || s == slot-1 {
				w |= a.tables[t].words[i].Load()
			}
		}
		set += bits.OnesCount64(w)
	}
	if set == audienceBits {
		set--
	}
	return int(math.Round(-audienceBits * math.Log(1-float64(set)/audienceBits)))
}

// host cuts the port off a remote address.
func host(addr string) string {
	for i := len(addr) - 1; i >= 0; i-- {
		if addr[i] == ':' {
			return addr[:i]
		}
	}
	return addr
}
