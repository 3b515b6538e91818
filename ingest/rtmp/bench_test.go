package rtmp

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// sink is a door and a publication that throw everything away.
type sink struct{ frames int }

func (s *sink) Open(ingest.Request) (ingest.Publication, error) { return s, nil }
func (s *sink) Name() string                                    { return "bench" }
func (s *sink) SetTrack(*stream.Track) error                    { return nil }
func (s *sink) Write(*stream.Frame) error                       { s.frames++; return nil }
func (s *sink) WriteData(*stream.Data) error                    { return nil }
func (s *sink) Drop(ingest.DropReason)                          {}
func (s *sink) Close(error)                                     {}

// endless is a connection that repeats what it says for ever.
type endless struct {
	scripted
	loop []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if e.in.Len() == 0 {
		e.in = bytes.NewReader(e.loop)
	}
	return e.in.Read(p)
}

// mediaLoop is two seconds of 720p30 at 1.5 Mbit/s with AAC, in chunks of 4096 bytes, and what goes before.
func mediaLoop(t testing.TB) (lead, loop []byte, frames int) {
	record, _ := encoded(t, "avc")
	var b bytes.Buffer
	w := messageWriter{w: &b, size: defaultChunkSize}
	w.setChunkSize(4096)
	w.send(6, typeVideo, 1, join(0x17, 0, 0, 0, 0, record))
	w.send(4, typeAudio, 1, join(0xAF, 0, asc))
	lead = bytes.Clone(b.Bytes())
	b.Reset()
	for i := range 60 {
		size, head, nal := 6000, byte(0x27), byte(0x41)
		if i == 0 {
			size, head, nal = 30_000, 0x17, 0x65
		}
		w.send(6, typeVideo, 1, join([]byte{head, 1, 0, 0, 0, 0, 0, byte(size >> 8), byte(size), nal}, make([]byte, size-1)))
		w.send(4, typeAudio, 1, join(0xAF, 1, make([]byte, 300)))
	}
	return lead, b.Bytes(), 120
}

func publishingConn(t testing.TB, s *Server, nc net.Conn) *conn {
	c := newConn(context.Background(), s, nc)
	c.levelAt = time.Now()
	c.chunks = newChunkReader(bufio.NewReaderSize(timedReader{c}, mediaBuffer), wide)
	c.session.connected = true
	c.deadline = c.levelAt.Add(time.Hour)
	if err := c.session.publish(1, "bench"); err != nil {
		t.Fatal(err)
	}
	return c
}

// BenchmarkReadFrames is the path of a frame from the socket's bytes to the door.
func BenchmarkReadFrames(b *testing.B) {
	lead, loop, frames := mediaLoop(b)
	door := &sink{}
	limits := Limits{MaxBitrate: 1 << 60}
	s, err := NewServer(Options{Door: door, Limits: func() Limits { return limits }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	c := publishingConn(b, s, &endless{scripted: scripted{in: bytes.NewReader(lead)}, loop: loop})
	b.SetBytes(int64(len(loop) / frames))
	b.ReportAllocs()
	for b.Loop() {
		m, err := c.chunks.read()
		if err != nil {
			b.Fatal(err)
		}
		if err := c.handle(m); err != nil {
			b.Fatal(err)
		}
	}
	if door.frames == 0 {
		b.Fatal("no frames")
	}
}
