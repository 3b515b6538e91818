package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// date has what survives: nanoseconds, and no place.
var date = time.Unix(1_700_000_000, 123_456_789).UTC()

func aState(segments, parts int) *State {
	s := &State{
		Gen: 9, Independent: true, Amended: 3, PartTarget: 18000, At: date, HasRanges: true,
		Ranges:  []DateRange{{ID: "a", Class: "c", Value: "v", Start: date}, {ID: "b", Start: date, End: date.Add(time.Second)}},
		Reports: []Report{{"audio", 12, 3}, {"low", 11, 0}},
	}
	for i := range segments {
		g := Segment{
			Gen: 8, MSN: int64(100 + i), Closed: 8, Init: "init-1.mp4", Start: int64(i) * 90000, Wall: date, Discontinuity: i == 1,
			DiscontinuitySequence: 4, Complete: true,
		}
		for k := range parts {
			p := Part{Size: 1000 + k, Sum: [32]byte{byte(i), byte(k), 7}, Duration: 18000, Lag: int64(k), Independent: k == 0, ExpectCut: k == parts-1}
			if k == 2 {
				p = Part{Duration: 18000, Gap: true}
			}
			g.Parts = append(g.Parts, p)
		}
		s.Segments = append(s.Segments, g)
	}
	if segments > 0 {
		s.Listed, s.NextMSN = 100+int64(segments)/2, 100+int64(segments)
	}
	return s
}

func aStep() *Step {
	g := aState(1, 1).Segments[0]
	p := g.Parts[0]
	g.Parts, g.Complete, g.Closed = nil, false, 0
	return &Step{
		Begin: &g, Part: &p, MSN: g.MSN, Complete: true, HasRanges: true, Ranges: aState(0, 0).Ranges, Reports: []Report{{"audio", 1, 2}},
		Amended: 2, Independent: true, Ended: true, Listed: 90, Gen: 9, NextMSN: 101, PartTarget: 18000, At: date,
	}
}

func must(t testing.TB) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// whole returns a log with a record of each type.
func whole(t testing.TB) []byte {
	var b []byte
	for _, add := range []func([]byte) ([]byte, error){
		func(b []byte) ([]byte, error) {
			return AppendJSON(b, TypeHello, Hello{Version: 1, Node: "n", Region: "eu", Stream: "s", Gen: 2, Path: []string{"o", "n"}, TargetDuration: 2, DVR: 1})
		},
		func(b []byte) ([]byte, error) {
			return AppendJSON(b, TypeView, View{
				Renditions: []Rendition{{"video", true}, {"audio", false}}, Groups: []Group{{"a", []Member{{"audio", "English", "en", 2}}}},
				Variants: []Variant{{Video: "video", Group: 0, Codecs: "avc1", Peak: 1}, {Video: "audio", Group: -1, Codecs: "mp4a"}},
			})
		},
		func(b []byte) ([]byte, error) { return AppendInit(b, &Init{"init-1.mp4", []byte("moov")}) },
		func(b []byte) ([]byte, error) { return AppendState(b, aState(3, 4)) },
		func(b []byte) ([]byte, error) {
			return AppendChunk(b, &Chunk{Gen: 8, MSN: 103, Part: 1, Size: 10, Offset: 4, Data: []byte("medium")}, FlagBackfill)
		},
		func(b []byte) ([]byte, error) { return AppendStep(b, aStep(), FlagAbsent) },
		func(b []byte) ([]byte, error) {
			return AppendJSON(b, TypeCard, Card{ID: "lamp", Rev: 1, Document: []byte("{}")})
		},
		func(b []byte) ([]byte, error) { return AppendPing(b, Ping{date, 7}), nil },
		func(b []byte) ([]byte, error) { return AppendDesk(b, []byte("desk")) },
		func(b []byte) ([]byte, error) { return AppendJSON(b, TypeBye, Bye{Ended, "over"}) },
	} {
		b = must(t)(add(b))
	}
	return b
}

// parse reads a record by its type.
func parse(r Record) (any, error) {
	switch r.Type {
	case TypeHello:
		return ParseHello(r.Payload)
	case TypeView:
		return ParseView(r.Payload)
	case TypeState:
		s := &State{}
		_, err := s.Parse(r)
		return s, err
	case TypeInit:
		return ParseInit(r.Payload)
	case TypeChunk:
		c, err := ParseChunk(r.Payload)
		return &c, err
	case TypeStep:
		return ParseStep(r.Payload)
	case TypeCard:
		return ParseCard(r.Payload)
	case TypePing:
		return ParsePing(r.Payload)
	case TypeBye:
		return ParseBye(r.Payload)
	case TypeDesk:
		return r.Payload, nil
	}
	return nil, fmt.Errorf("type %d", r.Type)
}

// TestRoundTrip: each record comes out as it went in, however little is read at a time.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	log := whole(t)
	for name, from := range map[string]io.Reader{"whole": bytes.NewReader(log), "bytes": iotest.OneByteReader(bytes.NewReader(log))} {
		r := NewReader(from)
		var types []Type
		for {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			types = append(types, rec.Type)
			v, err := parse(rec)
			if err != nil {
				t.Fatalf("%s: type %d: %v", name, rec.Type, err)
			}
			switch v := v.(type) {
			case *State:
				if !reflect.DeepEqual(v, aState(3, 4)) {
					t.Errorf("%s: state %+v", name, v)
				}
			case *Step:
				if !reflect.DeepEqual(v, aStep()) || rec.Flags != FlagAbsent {
					t.Errorf("%s: step %+v", name, v)
				}
			case *Chunk:
				if v.Gen != 8 || v.MSN != 103 || v.Part != 1 || v.Size != 10 || v.Offset != 4 || string(v.Data) != "medium" || rec.Flags != FlagBackfill {
					t.Errorf("%s: chunk %+v", name, v)
				}
			case *Init:
				if v.Name != "init-1.mp4" || string(v.Data) != "moov" {
					t.Errorf("%s: init %+v", name, v)
				}
			case Ping:
				if !v.Clock.Equal(date) || v.Sequence != 7 {
					t.Errorf("%s: ping %+v", name, v)
				}
			case *Bye:
				if v.Reason != Ended || v.Detail != "over" {
					t.Errorf("%s: bye %+v", name, v)
				}
			}
		}
		if len(types) != 10 || r.Received() != int64(len(log)) {
			t.Errorf("%s: %d records, %d bytes of %d", name, len(types), r.Received(), len(log))
		}
	}
}

// TestDamage: whatever byte of a log is changed, no record comes out of it that did not go in.
func TestDamage(t *testing.T) {
	t.Parallel()
	log := whole(t)
	var good [][]byte
	for r := NewReader(bytes.NewReader(log)); ; {
		rec, err := r.Next()
		if err != nil {
			break
		}
		good = append(good, append([]byte{byte(rec.Type), rec.Flags}, rec.Payload...))
	}
	for at := range log {
		damaged := bytes.Clone(log)
		damaged[at] ^= byte(1 << (at % 8))
		r := NewReader(bytes.NewReader(damaged))
		n := 0
		for ; ; n++ {
			rec, err := r.Next()
			if err != nil {
				if !errors.Is(err, ErrChecksum) && !errors.Is(err, ErrTooLong) && !errors.Is(err, ErrMalformed) && err != io.ErrUnexpectedEOF {
					t.Fatalf("byte %d: %v", at, err)
				}
				if _, again := r.Next(); again != err {
					t.Fatalf("byte %d: the error does not stay: %v", at, again)
				}
				break
			}
			if n >= len(good) || !bytes.Equal(good[n], append([]byte{byte(rec.Type), rec.Flags}, rec.Payload...)) {
				t.Fatalf("byte %d: record %d of type %d was never sent", at, n, rec.Type)
			}
		}
		if n == len(good) {
			t.Fatalf("byte %d: its damage was not found", at)
		}
	}
	for n := range log {
		r := NewReader(bytes.NewReader(log[:n]))
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
}

// TestLargeState: a state that does not fit into a record goes in several, and the whole comes out.
func TestLargeState(t *testing.T) {
	t.Parallel()
	want := aState(3000, 12)
	log := must(t)(AppendState(nil, want))
	r, got, records := NewReader(bytes.NewReader(log)), &State{}, 0
	for more := true; more; records++ {
		rec, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if more, err = got.Parse(rec); err != nil {
			t.Fatal(err)
		}
	}
	if records < 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d records, %d segments", records, len(got.Segments))
	}
}

// TestImplausible: records that are whole, but say what cannot be.
func TestImplausible(t *testing.T) {
	t.Parallel()
	state := func(change func(*State)) error {
		s := aState(3, 4)
		change(s)
		rec, err := NewReader(bytes.NewReader(must(t)(AppendState(nil, s)))).Next()
		if err != nil {
			t.Fatal(err)
		}
		_, err = new(State).Parse(rec)
		return err
	}
	step := func(change func(*Step)) error {
		s := aStep()
		change(s)
		rec, err := NewReader(bytes.NewReader(must(t)(AppendStep(nil, s, 0)))).Next()
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseStep(rec.Payload)
		return err
	}
	chunk := func(c Chunk) error {
		rec, err := NewReader(bytes.NewReader(must(t)(AppendChunk(nil, &c, 0)))).Next()
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseChunk(rec.Payload)
		return err
	}
	view := func(v View) error {
		rec, err := NewReader(bytes.NewReader(must(t)(AppendJSON(nil, TypeView, v)))).Next()
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseView(rec.Payload)
		return err
	}
	video := []Rendition{{"video", true}}
	data := []byte("x")
	for name, err := range map[string]error{
		"a hole between segments":       state(func(s *State) { s.Segments[2].MSN++ }),
		"an open segment in the middle": state(func(s *State) { s.Segments[1].Complete = false }),
		"generations that fall":         state(func(s *State) { s.Segments[0].Gen = 9 }),
		"a segment without parts":       state(func(s *State) { s.Segments[1].Parts = nil }),
		"the first segment unknown":     state(func(s *State) { s.Listed = 99 }),
		"another next segment":          state(func(s *State) { s.NextMSN++ }),
		"a gap with media":              state(func(s *State) { s.Segments[0].Parts[2].Size = 1 }),
		"media of no bytes":             state(func(s *State) { s.Segments[0].Parts[0].Size = 0 }),
		"a negative duration":           state(func(s *State) { s.Segments[0].Parts[0].Duration = -1 }),
		"a part of 65 MiB":              state(func(s *State) { s.Segments[0].Parts[0].Size = MaxPart + 1 }),
		"too many reports":              state(func(s *State) { s.Reports = make([]Report, MaxRenditions+1) }),
		"too many ranges":               state(func(s *State) { s.Ranges = make([]DateRange, MaxRanges+1) }),
		"a segment without a part":      step(func(s *Step) { s.Part = nil }),
		"a beginning in the middle":     step(func(s *Step) { s.Index = 1 }),
		"a beginning elsewhere":         step(func(s *Step) { s.MSN++ }),
		"a part with a negative index":  step(func(s *Step) { s.Begin, s.Index = nil, -1 }),
		"a chunk beyond its part":       chunk(Chunk{Size: 10, Offset: 10, Data: data}),
		"a chunk of a part of 65 MiB":   chunk(Chunk{Size: MaxPart + 1, Data: data}),
		"a chunk of part 4096":          chunk(Chunk{Size: 1, Part: MaxParts, Data: data}),
		"a chunk without media":         chunk(Chunk{Size: 1}),
		"a chunk of no generation":      chunk(Chunk{Gen: -1, Size: 1, Data: data}),
		"a rendition twice":             view(View{Renditions: append(video, video...)}),
		"an unknown rendition":          view(View{Renditions: video, Variants: []Variant{{Video: "other", Group: -1}}}),
		"an unknown group":              view(View{Renditions: video, Variants: []Variant{{Video: "video"}}}),
		"an empty group":                view(View{Renditions: video, Groups: []Group{{ID: "a"}}}),
	} {
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := state(func(*State) {}); err != nil {
		t.Errorf("the state as it should be: %v", err)
	}
}

// TestLimits: nothing is made that the other side would not take, and a claim costs no memory.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"record": second(AppendRecord(nil, TypeDesk, 0, make([]byte, MaxPayload+1))),
		"chunk":  second(AppendChunk(nil, &Chunk{Size: MaxPart, Data: make([]byte, MaxChunk+1)}, 0)),
		"init":   second(AppendInit(nil, &Init{"a", make([]byte, MaxInit+1)})),
		"desk":   second(AppendDesk(nil, make([]byte, MaxDesk+1))),
		"card":   second(AppendJSON(nil, TypeCard, Card{ID: "a", Document: make([]byte, MaxPayload)})),
		"step":   second(AppendStep(nil, &Step{HasRanges: true, Ranges: []DateRange{{ID: strings.Repeat("a", MaxPayload)}}}, 0)),
	} {
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	claim := binary.BigEndian.AppendUint32(nil, MaxPayload)
	r := NewReader(bytes.NewReader(append(claim, byte(TypeDesk), 0, 0, 0, 1, 2, 3)))
	if _, err := r.Next(); err != io.ErrUnexpectedEOF || len(r.buf) > leastBuffer {
		t.Errorf("a claim of 1 MiB: %v, with a buffer of %d bytes", err, len(r.buf))
	}
	if _, err := NewReader(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0})).Next(); !errors.Is(err, ErrTooLong) {
		t.Errorf("a claim of 4 GiB: %v", err)
	}
	largest := must(t)(AppendRecord(nil, TypeDesk, 0, make([]byte, MaxPayload)))
	if rec, err := NewReader(bytes.NewReader(append(largest, largest...))).Next(); err != nil || len(rec.Payload) != MaxPayload {
		t.Errorf("the largest record: %d bytes, %v", len(rec.Payload), err)
	}
}

func second(_ []byte, err error) error { return err }

// TestChunkInPieces: a chunk whose media were not copied is the same.
func TestChunkInPieces(t *testing.T) {
	t.Parallel()
	c := &Chunk{Gen: 1, MSN: 2, Part: 3, Size: 100, Offset: 50, Data: []byte("some media")}
	head := AppendChunkHead(nil, c, FlagBackfill)
	got := AppendChunkSum(append(bytes.Clone(head), c.Data...), head, c.Data)
	if want := must(t)(AppendChunk(nil, c, FlagBackfill)); !bytes.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// FuzzLog: no log makes a reader or a parser fail in another way than by an error, and what is parsed is within the limits and
// goes in again as it came out.
func FuzzLog(f *testing.F) {
	log := whole(f)
	f.Add(log)
	for r := NewReader(bytes.NewReader(log)); ; {
		rec, err := r.Next()
		if err != nil {
			break
		}
		f.Add(append([]byte{byte(rec.Type), rec.Flags}, rec.Payload...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for r := NewReader(bytes.NewReader(b)); ; {
			if _, err := r.Next(); err != nil {
				break
			}
		}
		if len(b) < 2 {
			return
		}
		rec := Record{Type: Type(b[0]), Flags: b[1] &^ FlagMore, Payload: b[2:]} // the checksum would keep the fuzzer out
		v, err := parse(rec)
		if err != nil {
			return
		}
		var again []byte
		switch v := v.(type) {
		case *State:
			again, err = AppendState(nil, v)
		case *Step:
			again, err = AppendStep(nil, v, rec.Flags)
		case *Chunk:
			again, err = AppendChunk(nil, v, rec.Flags)
		case *Init:
			again, err = AppendInit(nil, v)
		case Ping:
			again = AppendPing(nil, v)
		default:
			return
		}
		if err != nil {
			t.Fatalf("what was parsed does not go in: %v", err)
		}
		got := new(State)
		var w any
		for r := NewReader(bytes.NewReader(again)); ; {
			rec, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if rec.Type == TypeState {
				_, err = got.Parse(rec)
				w = got
			} else {
				w, err = parse(rec)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(v, w) {
			t.Errorf("%+v became %+v", v, w)
		}
	})
}

// BenchmarkChunk: a chunk's record is made and read at the speed of memory, without allocating.
func BenchmarkChunk(b *testing.B) {
	c := &Chunk{Gen: 1, MSN: 2, Part: 3, Size: MaxChunk, Data: make([]byte, MaxChunk)}
	var buf []byte
	from := bytes.NewReader(nil)
	r := NewReader(from)
	b.SetBytes(MaxChunk)
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendChunk(buf[:0], c, 0)
		from.Reset(buf)
		rec, err := r.Next()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := ParseChunk(rec.Payload); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStep is a step with a part, made and read.
func BenchmarkStep(b *testing.B) {
	s := aStep()
	s.Ranges, s.HasRanges = nil, false
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = AppendStep(buf[:0], s, 0)
		if _, err := ParseStep(buf[HeadSize : len(buf)-SumSize]); err != nil {
			b.Fatal(err)
		}
	}
}
