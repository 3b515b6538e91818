package ladder

import (
	"sync/atomic"
	"time"
)

// mostPoster is the size in bytes of the largest poster that is kept.
const mostPoster = 2 << 20

// poster is a stream's newest one. The zero value is none.
type poster struct{ p atomic.Pointer[picture] }

// picture is a JPEG file. It does not change.
type picture struct {
	jpeg []byte
	at   time.Time
}

func (p *poster) set(jpeg []byte, at time.Time) {
	p.p.Store(&picture{append([]byte(nil), jpeg...), at})
}

func (p *poster) get() (jpeg []byte, at time.Time, ok bool) {
	x := p.p.Load()
	if x == nil {
		return nil, time.Time{}, false
	}
	return x.jpeg, x.at, true
}
