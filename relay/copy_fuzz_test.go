package relay

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// FuzzCopy has a copy read whatever records a node may send, checksums right. What it publishes has media whose SHA-256 holds, and
// never goes back.
func FuzzCopy(f *testing.F) {
	media := []byte("media of a part")
	sum := sha256.Sum256(media)
	name := initName([]byte("init"))
	part := func() wire.Part { return wire.Part{Size: len(media), Sum: sum, Duration: tickPart, Independent: true} }
	segment := func(msn int64, start int64, complete bool) wire.Segment {
		s := wire.Segment{Gen: 7, MSN: msn, Init: name, Start: start, Wall: time.Unix(1000, 0), Complete: complete, Parts: []wire.Part{part(), part()}}
		if complete {
			s.Closed = 7
		}
		return s
	}
	var log []byte
	add := func(b []byte, err error) {
		if err != nil {
			f.Fatal(err)
		}
		log = b
	}
	add(wire.AppendInit(log, &wire.Init{Name: name, Data: []byte("init")}))
	add(wire.AppendState(log, &wire.State{
		Segments: []wire.Segment{segment(1, 0, true), segment(2, 2*tickPart, false)}, Listed: 1, Gen: 7, NextMSN: 3, Independent: true, PartTarget: tickPart,
	}))
	add(wire.AppendChunk(log, &wire.Chunk{Gen: 7, MSN: 2, Part: 2, Size: len(media), Data: media}, 0))
	p := part()
	add(wire.AppendStep(log, &wire.Step{Part: &p, MSN: 2, Index: 2, Listed: 1, Gen: 7, NextMSN: 3, Independent: true, PartTarget: tickPart}, 0))
	add(wire.AppendChunk(log, &wire.Chunk{Gen: 7, MSN: 2, Part: 1, Size: len(media), Data: media}, wire.FlagBackfill))
	log = wire.AppendPing(log, wire.Ping{Clock: time.Unix(1000, 0)})
	add(wire.AppendStep(log, &wire.Step{MSN: 2, Index: 2, Complete: true, Ended: true, Listed: 1, Gen: 7, NextMSN: 3, Independent: true, PartTarget: tickPart}, 0))
	add(wire.AppendJSON(log, wire.TypeBye, &wire.Bye{Reason: wire.Ended}))

	// A seed is its records' types, flags, lengths and payloads: without checksums, which would keep all changes out.
	var seed []byte
	for r := wire.NewReader(bytes.NewReader(log)); ; {
		record, err := r.Next()
		if err != nil {
			break
		}
		seed = binary.BigEndian.AppendUint16(append(seed, byte(record.Type), record.Flags), uint16(len(record.Payload)))
		seed = append(seed, record.Payload...)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, in []byte) {
		tr := benchTracker(t)
		for len(in) >= 4 {
			n := min(int(binary.BigEndian.Uint16(in[2:])), len(in)-4)
			record := wire.Record{Type: wire.Type(in[0]), Flags: in[1], Payload: in[4 : 4+n]}
			was := tr.rep.r.Load()
			end, err := tr.take(record)
			now := tr.rep.r.Load()
			a, had := was.Last()
			b, has := now.Last()
			if had && (!has || sooner(b, a)) || now.Gen < was.Gen {
				t.Fatalf("it went from %v to %v", a, b)
			}
			if end || err != nil {
				break
			}
			in = in[4+n:]
		}
		s := tr.rep.r.Load()
		if slices.Equal(in, seed) && !s.Ended {
			t.Error("the seed is refused")
		}
		for _, g := range s.Segments {
			for k := range g.Parts {
				if q := &g.Parts[k]; q.Data != nil && sha256.Sum256(q.Data) != q.Sum {
					t.Fatalf("part %v has other media than was announced", window.Position{MSN: g.MSN, Part: k})
				}
			}
		}
	})
}
