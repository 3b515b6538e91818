package rtmp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

var wide = chunkLimits{message: 1 << 20, streams: 32, pending: 2 << 20}

func chunksOf(b []byte, l chunkLimits) *chunkReader {
	return newChunkReader(bufio.NewReaderSize(bytes.NewReader(b), earlyBuffer), l)
}

// head0, head1 and head2 are message headers of the formats.
func head0(time, length uint32, typ byte, stream uint32) []byte {
	return binary.LittleEndian.AppendUint32(head1(time, length, typ), stream)
}

func head1(time, length uint32, typ byte) []byte {
	return append(head2(time), byte(length>>16), byte(length>>8), byte(length), typ)
}

func head2(time uint32) []byte { return []byte{byte(time >> 16), byte(time >> 8), byte(time)} }

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// text is a body of n letters.
func text(n int) []byte { return bytes.Repeat([]byte("x"), n) }

type wantMessage struct {
	typ    byte
	stream uint32
	time   uint32
	size   int
}

func TestChunks(t *testing.T) {
	const far = 0x01020304
	for _, test := range []struct {
		name string
		in   []byte
		want []wantMessage
	}{
		{"one chunk", join(0x03, head0(1000, 5, 8, 1), text(5)), []wantMessage{{8, 1, 1000, 5}}},
		{"several chunks", join(0x03, head0(1000, 300, 9, 1), text(128), 0xC3, text(128), 0xC3, text(44)), []wantMessage{{9, 1, 1000, 300}}},
		{"no body", join(0x03, head0(7, 0, 8, 1)), []wantMessage{{8, 1, 7, 0}}},
		{"deltas", join(0x03, head0(1000, 1, 8, 1), text(1), 0x43, head1(20, 2, 9), text(2), 0x83, head2(30), text(2), 0xC3, text(2)),
			[]wantMessage{{8, 1, 1000, 1}, {9, 1, 1020, 2}, {9, 1, 1050, 2}, {9, 1, 1080, 2}}},
		{"fmt 3 after fmt 0 repeats its time", join(0x03, head0(10, 1, 8, 1), text(1), 0xC3, text(1)), []wantMessage{{8, 1, 10, 1}, {8, 1, 20, 1}}},
		{"stream ids of 2 and 3 bytes", join(0x00, 6, head0(1, 1, 8, 1), text(1), 0x01, 6, 2, head0(2, 1, 8, 1), text(1), 0xC0, 6, text(1)),
			[]wantMessage{{8, 1, 1, 1}, {8, 1, 2, 1}, {8, 1, 2, 1}}},
		{"interleaved", join(0x03, head0(1, 200, 9, 1), text(128), 0x04, head0(2, 3, 8, 1), text(3), 0xC3, text(72)),
			[]wantMessage{{8, 1, 2, 3}, {9, 1, 1, 200}}},
		{"extended time, repeated", join(0x03, head0(noTime, 200, 9, 1), be32(far), text(128), 0xC3, be32(far), text(72)),
			[]wantMessage{{9, 1, far, 200}}},
		{"extended time, not repeated", join(0x03, head0(noTime, 200, 9, 1), be32(far), text(128), 0xC3, text(72)),
			[]wantMessage{{9, 1, far, 200}}},
		{"extended time, not repeated, before less than its length", join(0x03, head0(noTime, 130, 9, 1), be32(far), text(128), 0xC3, text(2)),
			[]wantMessage{{9, 1, far, 130}}},
		{"extended delta in a new message", join(0x03, head0(5, 1, 9, 1), text(1), 0x83, head2(noTime), be32(noTime), text(1), 0xC3, be32(noTime), text(1)),
			[]wantMessage{{9, 1, 5, 1}, {9, 1, 5 + noTime, 1}, {9, 1, 5 + 2*noTime, 1}}},
		{"time wraps", join(0x03, head0(noTime, 1, 9, 1), be32(0xFFFFFFF0), text(1), 0x43, head1(0x20, 1, 9), text(1)),
			[]wantMessage{{9, 1, 0xFFFFFFF0, 1}, {9, 1, 0x10, 1}}},
		{"a new message in the middle of one", join(0x03, head0(1, 200, 9, 1), text(128), 0x03, head0(2, 3, 8, 1), text(3)),
			[]wantMessage{{8, 1, 2, 3}}},
		{"fmt 1 first of all", join(0x43, head1(5, 1, 8), text(1)), []wantMessage{{8, 0, 5, 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := chunksOf(test.in, wide)
			for i, want := range test.want {
				m, err := c.read()
				if err != nil {
					t.Fatalf("message %d: %v", i, err)
				}
				got := wantMessage{m.typ, m.streamID, m.time, len(m.body)}
				if got != want || !bytes.Equal(m.body, text(want.size)) {
					t.Errorf("message %d: %+v, want %+v", i, got, want)
				}
			}
			if _, err := c.read(); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
			if c.pending != 0 {
				t.Errorf("%d bytes pending", c.pending)
			}
		})
	}
}

func TestChunkSizeAndAbort(t *testing.T) {
	c := chunksOf(join(0x03, head0(1, 200, 9, 1), text(200), 0x04, head0(1, 400, 9, 1), text(300), 0x04, head0(5, 1, 8, 1), text(1)), wide)
	if err := c.setSize(300); err != nil {
		t.Fatal(err)
	}
	if m, err := c.read(); err != nil || len(m.body) != 200 {
		t.Fatalf("%d bytes, %v", len(m.body), err)
	}
	if s, err := c.header(); err != nil || c.data(s) != nil || c.pending != 300 {
		t.Fatalf("%d bytes pending, %v", c.pending, err)
	}
	c.abort(4)
	c.abort(50)
	if c.pending != 0 {
		t.Errorf("%d bytes pending after the abort", c.pending)
	}
	if m, err := c.read(); err != nil || m.time != 5 {
		t.Errorf("%+v, %v", m, err)
	}
	for _, size := range []uint32{0, 1 << 31} {
		if err := c.setSize(size); !errors.Is(err, errChunk) {
			t.Errorf("size %d: %v", size, err)
		}
	}
}

func TestChunkFaults(t *testing.T) {
	small := chunkLimits{message: 1000, streams: 2, pending: 300}
	open := func(id int) []byte { return join(id, head0(0, 1000, 9, 1), text(128)) }
	for _, test := range []struct {
		name string
		in   []byte
		want error
	}{
		{"message too long", join(3, head0(0, 1001, 9, 1)), errLimit},
		{"too many chunk streams", join(3, head0(0, 1, 9, 1), text(1), 4, head0(0, 1, 9, 1), text(1), 5, head0(0, 1, 9, 1)), errLimit},
		{"too much unfinished", join(open(3), open(4), 0xC3, text(128)), errLimit},
		{"fmt 3 first of all", []byte{0xC3, 1}, errChunk},
		{"fmt 2 first of all", join(0x83, head2(1)), errChunk},
		{"cut off in the id", []byte{0x01, 1}, io.ErrUnexpectedEOF},
		{"cut off in the header", join(3, head2(0)), io.ErrUnexpectedEOF},
		{"cut off in the time", join(3, head0(noTime, 1, 9, 1), 1), io.ErrUnexpectedEOF},
		{"cut off in the body", join(3, head0(0, 5, 9, 1), text(4)), io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := chunksOf(test.in, small)
			var err error
			for err == nil {
				_, err = c.read()
			}
			if !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

// TestClaimedLengthCostsNothing: buffers grow with what has come.
func TestClaimedLengthCostsNothing(t *testing.T) {
	c := chunksOf(join(3, head0(0, 1<<20, 9, 1), text(128)), wide)
	if _, err := c.read(); err == nil {
		t.Fatal("no error")
	}
	if c.held > firstGrowth {
		t.Errorf("%d bytes held for 128", c.held)
	}
}

// TestBodiesAreReused reads what another implementation writes, and counts allocations.
func TestBodiesAreReused(t *testing.T) {
	var b bytes.Buffer
	w := rawmessage.NewWriter(&b, nil, false)
	const n = 200
	for i := range n {
		typ, size := uint8(typeVideo), 2000+i
		if i%2 == 0 {
			typ, size = typeAudio, 300
		}
		if err := w.Write(&rawmessage.Message{ChunkStreamID: typ, Type: typ, MessageStreamID: 1,
			Timestamp: time.Duration(i) * 20 * time.Millisecond, Body: text(size)}); err != nil {
			t.Fatal(err)
		}
	}
	c := chunksOf(bytes.Repeat(b.Bytes(), 3), wide)
	next := 0
	read := func() {
		m, err := c.read()
		if err != nil || m.time != uint32(20*(next%n)) {
			t.Fatalf("message %d: time %d, %v", next, m.time, err)
		}
		next++
	}
	for range n {
		read()
	}
	if avg := testing.AllocsPerRun(n, read); avg > 0.05 {
		t.Errorf("%v allocations for a message", avg)
	}
}

func FuzzChunks(f *testing.F) {
	f.Add(join(0x03, head0(1000, 300, 9, 1), text(128), 0xC3, text(128), 0xC3, text(44)))
	f.Add(join(0x03, head0(noTime, 200, 9, 1), be32(77), text(128), 0xC3, be32(77), text(72)))
	f.Add(join(0x00, 6, head0(1, 1, 8, 1), text(1), 0x01, 6, 2, head0(2, 1, 8, 1), text(1)))
	f.Add(join(0x02, head0(0, 4, 1, 0), be32(5), 0x03, head0(0, 9, 8, 1), text(5), 0xC3, text(4)))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := chunkLimits{message: 2000, streams: 4, pending: 4000}
		c := chunksOf(b, l)
		for {
			m, err := c.read()
			pending, held := 0, 0
			for _, s := range c.streams {
				held += cap(s.body)
				if s.open {
					pending += len(s.body)
				}
			}
			if pending != c.pending || held != c.held || pending > l.pending || held > 4*l.pending || len(c.streams) > l.streams {
				t.Fatalf("pending %d, counted %d; held %d, counted %d", pending, c.pending, held, c.held)
			}
			if err != nil {
				return
			}
			if m.typ == typeSetChunkSize && len(m.body) >= 4 {
				if c.setSize(binary.BigEndian.Uint32(m.body)) != nil {
					return
				}
			}
		}
	})
}
