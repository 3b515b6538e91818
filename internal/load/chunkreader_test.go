package load

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// TestChunkReader: what ChunkWriter writes is read back, in chunks of any size, with times that take four bytes more.
func TestChunkReader(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 128, 4096} {
		var wire bytes.Buffer
		w := ChunkWriter{W: &wire}
		if size > 0 {
			if err := w.Write(TypeChunkSize, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(size))); err != nil {
				t.Fatal(err)
			}
			w.Size = size
		}
		want := [][]byte{[]byte("short"), bytes.Repeat([]byte("long"), 300), {}, []byte("again")}
		for i, body := range want {
			if err := w.Write(TypeCommand, 1, []uint32{0, 20, extended + 7, extended + 9}[i], body); err != nil {
				t.Fatal(err)
			}
		}
		r := newChunkReader(bufio.NewReader(&wire))
		for i, body := range want {
			typ, got, err := r.next()
			if err != nil || typ != TypeCommand || !bytes.Equal(got, body) {
				t.Fatalf("chunks of %d, message %d: type %d, %d bytes, %v", size, i, typ, len(got), err)
			}
		}
		if _, _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Errorf("chunks of %d: at the end %v", size, err)
		}
	}
}

func TestChunkReaderRefuses(t *testing.T) {
	t.Parallel()
	head := func(length int, typ byte) []byte {
		return []byte{3, 0, 0, 0, byte(length >> 16), byte(length >> 8), byte(length), typ, 1, 0, 0, 0}
	}
	many := []byte{}
	for id := byte(2); id < 2+maxChunkStreams+1; id++ {
		many = append(many, append([]byte{id}, head(0, TypeCommand)[1:]...)...)
	}
	for name, b := range map[string][]byte{
		"too long a message":        head(maxMessage+1, TypeCommand),
		"a chunk of nothing before": {3<<6 | 3},
		"a message within another":  append(append(head(200, TypeCommand), make([]byte, 128)...), head(5, TypeCommand)...),
		"no chunk size":             append(head(4, TypeChunkSize), 0, 0, 0, 0),
		"a huge chunk size":         append(head(4, TypeChunkSize), 0x7F, 0, 0, 0),
		"half a chunk size":         append(head(2, TypeChunkSize), 1, 1),
		"too many chunk streams":    many,
	} {
		r := newChunkReader(bufio.NewReader(bytes.NewReader(b)))
		var err error
		for n := 0; err == nil && n < 100; n++ {
			_, _, err = r.next()
		}
		if !errors.Is(err, errChunks) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzChunkReader(f *testing.F) {
	var wire bytes.Buffer
	w := ChunkWriter{W: &wire}
	w.Write(TypeChunkSize, 0, 0, []byte{0, 0, 0, 7})
	w.Size = 7
	w.Write(TypeCommand, 1, extended+1, []byte("a message of several chunks"))
	f.Add(wire.Bytes())
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 1, 20, 0, 0, 0, 0, 'x', 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newChunkReader(bufio.NewReader(bytes.NewReader(b)))
		read := 0
		for {
			_, body, err := r.next()
			if err != nil {
				break
			}
			if read += len(body); len(body) > maxMessage || read > len(b) {
				t.Fatalf("%d bytes, %d in all, out of %d", len(body), read, len(b))
			}
		}
		held := 0
		for _, m := range r.streams {
			held += len(m.body)
		}
		if len(r.streams) > maxChunkStreams || held > maxChunkStreams*maxMessage {
			t.Errorf("%d chunk streams hold %d bytes", len(r.streams), held)
		}
	})
}
