package relay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"testing"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// BenchmarkCopyStep is what a copy does for each part of 50 KB: read its records, check them, publish it.
func BenchmarkCopyStep(b *testing.B) {
	const size = 50 << 10
	media := randomBytes(size)
	sum := sha256.Sum256(media)
	// The records of all parts are made ahead, since it is the reading that is measured.
	var log []byte
	var err error
	const parts, inSegment, listed = 2000, 10, 60
	var start int64
	for i := range parts {
		msn, index := int64(1+i/inSegment), i%inSegment
		for from := 0; from < size; from += wire.MaxChunk {
			log, _ = wire.AppendChunk(log, &wire.Chunk{Gen: 7, MSN: msn, Part: index, Size: size, Offset: from, Data: media[from:min(size, from+wire.MaxChunk)]}, 0)
		}
		s := &wire.Step{
			Part: &wire.Part{Size: size, Sum: sum, Duration: tickPart, Independent: index == 0}, MSN: msn, Index: index, Independent: true,
			Listed: max(1, msn-listed), Gen: 7, NextMSN: msn + 1, At: time.Now(),
		}
		if index == 0 {
			s.Begin = &wire.Segment{Gen: 7, MSN: msn, Init: initName([]byte("init")), Start: start, Wall: time.Now()}
		}
		start += tickPart
		if log, err = wire.AppendStep(log, s, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(size)
	b.ReportAllocs()
	var f *tracker
	var reader *wire.Reader
	fresh := 0 // which reading of the log it is
	for n := 0; n < b.N; {
		if f == nil || fresh != n/parts {
			b.StopTimer()
			fresh = n / parts
			f, reader = benchTracker(b), wire.NewReader(bytes.NewReader(log))
			b.StartTimer()
		}
		r, err := reader.Next()
		if err != nil {
			b.Fatal(err)
		}
		if r.Type == wire.TypeChunk {
			err = f.chunk(r.Payload)
		} else {
			err = f.step(r)
			n++
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// benchTracker is one with an empty rendition.
func benchTracker(b testing.TB) *tracker {
	c := memoryCluster{peers: map[string]Peer{"us-1": {Name: "us-1", Region: "us"}}, entries: map[string]Entry{}, changed: make(chan struct{})}
	m := NewManager(ManagerOptions{Directory: c.directory("us-1")})
	t := newTarget("show", time.Now, m.metrics)
	l := &link{m: m, t: t, peer: Peer{Name: "eu-1"}, entry: Entry{Stream: "show", Gen: 7}}
	l.ready = make(chan struct{})
	l.ctx, l.cancel = context.WithCancelCause(b.Context())
	hello := &wire.Hello{
		Version: wire.Version, Node: "eu-1", Stream: "show", Gen: 7, Path: []string{"eu-1"}, TargetDuration: 2, DVR: int64(2 * time.Minute), FirstMSN: 1, FirstGen: 7,
	}
	if _, err := t.meet(l, hello); err != nil {
		b.Fatal(err)
	}
	l.presentation = t.p
	replicas, err := t.view(l, window.ViewHead{Renditions: []window.RenditionHead{{Name: "video", Video: true}}})
	if err != nil {
		b.Fatal(err)
	}
	f := &tracker{link: l, rep: replicas[0], inits: map[string]*window.Init{}, aside: NewIncoming(), back: NewIncoming(), gone: make(chan struct{})}
	section, err := wire.AppendInit(nil, &wire.Init{Name: initName([]byte("init")), Data: []byte("init")})
	if err != nil {
		b.Fatal(err)
	}
	state, err := wire.AppendState(section, &wire.State{Gen: 7, NextMSN: 1, Independent: true})
	if err != nil {
		b.Fatal(err)
	}
	take(b, f, state)
	return f
}

// take has a tracker read records.
func take(tb testing.TB, f *tracker, log []byte) {
	tb.Helper()
	for r := wire.NewReader(bytes.NewReader(log)); ; {
		record, err := r.Next()
		if err == io.EOF {
			return
		}
		if err == nil {
			_, err = f.take(record)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}
