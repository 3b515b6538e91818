package nut

import (
	"bytes"
	"io"
	"testing"
)

// benchFile is a stream of pictures of 20,000 bytes at 30 frames/s.
func benchFile() (Stream, Frame) {
	s := Stream{Video: true, Tag: [4]byte{'H', '2', '6', '4'}, Rate: 90000, Config: make([]byte, 40), Width: 1280, Height: 720}
	return s, Frame{PTS: 1763755200 * 90000, Payload: make([]byte, 20000)}
}

func BenchmarkWriter(b *testing.B) {
	s, f := benchFile()
	w := NewWriter(s)
	buf := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	b.SetBytes(int64(len(f.Payload)))
	for b.Loop() {
		buf = w.Append(buf[:0], f)
		f.PTS += 3000
	}
}

func BenchmarkReader(b *testing.B) {
	s, f := benchFile()
	w := NewWriter(s)
	head := AppendHeader(nil, s)
	head = w.Append(head, f)
	var body []byte
	for range 100 {
		f.PTS += 3000
		body = w.Append(body, f)
	}
	r := NewReader(&loop{first: head, again: body}, 1<<20)
	b.ReportAllocs()
	b.SetBytes(int64(len(f.Payload)))
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// loop is a file whose second part comes again and again: its frames have the least significant bits of their times alone.
type loop struct {
	first, again []byte
	at           bytes.Reader
}

func (l *loop) Read(b []byte) (int, error) {
	for {
		n, err := l.at.Read(b)
		if err != io.EOF {
			return n, err
		}
		next := l.again
		if l.first != nil {
			next, l.first = l.first, nil
		}
		l.at.Reset(next)
	}
}

// TestAllocations: none for a frame, in either direction.
func TestAllocations(t *testing.T) {
	s, f := benchFile()
	w := NewWriter(s)
	buf := make([]byte, 0, 64<<10)
	if n := testing.AllocsPerRun(100, func() {
		buf = w.Append(buf[:0], f)
		f.PTS += 3000
	}); n != 0 {
		t.Errorf("Append allocates %g times", n)
	}
	w = NewWriter(s)
	all := AppendHeader(nil, s)
	for range 300 {
		f.PTS += 3000
		all = w.Append(all, f)
	}
	r := NewReader(bytes.NewReader(all), 1<<20)
	if _, err := r.Next(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := r.Next(); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Next allocates %g times", n)
	}
}
