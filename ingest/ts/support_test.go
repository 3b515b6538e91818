package ts

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"os/exec"
	"slices"
	"testing"
	"time"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// publication records what is published.
type publication struct {
	tracks []*stream.Track
	frames []stream.Frame
	data   []*stream.Data
	drops  map[ingest.DropReason]int
	count  bool // frames are only counted
	n      int
}

func (p *publication) Name() string                   { return "show" }
func (p *publication) SetTrack(t *stream.Track) error { p.tracks = append(p.tracks, t); return nil }
func (p *publication) WriteData(d *stream.Data) error { p.data = append(p.data, d); return nil }
func (p *publication) Drop(reason ingest.DropReason)  { p.drops[reason]++ }
func (p *publication) Close(error)                    {}
func (p *publication) Write(f *stream.Frame) error {
	p.n++
	if p.count {
		return nil
	}
	g := *f
	g.Payload = bytes.Clone(f.Payload)
	p.frames = append(p.frames, g)
	return nil
}

// of are the frames of a track.
func (p *publication) of(id int) (frames []stream.Frame) {
	for _, f := range p.frames {
		if f.Track.ID == id {
			frames = append(frames, f)
		}
	}
	return frames
}

// track is the last one declared under a number.
func (p *publication) track(id int) *stream.Track {
	for _, t := range slices.Backward(p.tracks) {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// testUnit is the longest PES in tests.
const testUnit = 1 << 20

func newTest(t testing.TB) (*Reader, *publication) {
	t.Helper()
	p := &publication{drops: map[ingest.DropReason]int{}}
	log := slog.New(slog.DiscardHandler)
	return NewReader(Options{Feed: feed.New(feed.Options{Publication: p, Log: log}), Publication: p, Log: log, MaxUnit: testUnit}), p
}

// feedAll writes a stream as SRT brings it.
func feedAll(t testing.TB, r *Reader, b []byte) {
	t.Helper()
	for part := range slices.Chunk(b, 7*packetSize) {
		if err := r.Write(part); err != nil {
			t.Fatal(err)
		}
	}
}

// ffmpeg makes a transport stream with the real program.
func ffmpeg(t testing.TB, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"}, args...)
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "ffmpeg", append(all, "-f", "mpegts", "-")...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, errs.String())
	}
	return out.Bytes()
}

// muxer writes packets byte by byte as a test wants them.
type muxer struct {
	out      []byte
	counters map[uint16]byte
}

func newMuxer() *muxer { return &muxer{counters: map[uint16]byte{}} }

// packet writes one packet. flags go into the adaptation field, which is there to fill up, or when flags are set.
func (m *muxer) packet(pid uint16, start bool, flags byte, payload []byte) (used int) {
	var b [packetSize]byte
	b[0], b[1], b[2] = syncByte, byte(pid>>8), byte(pid)
	if start {
		b[1] |= 0x40
	}
	b[3] = 0x10 | m.counters[pid]
	m.counters[pid] = (m.counters[pid] + 1) & 15
	room := packetSize - 4
	if flags != 0 {
		room -= 2
	}
	n := min(len(payload), room)
	if fill := packetSize - 4 - n; fill > 0 {
		b[3] |= 0x20
		b[4] = byte(fill - 1)
		for i := 5; i < 4+fill; i++ {
			b[i] = 0xFF
		}
		if fill > 1 {
			b[5] = flags
		}
	}
	copy(b[packetSize-n:], payload)
	m.out = append(m.out, b[:]...)
	return n
}

// section writes a section, whose checksum it adds.
func (m *muxer) section(pid uint16, body []byte) {
	payload := append([]byte{0}, withCRC(body)...)
	for start := true; len(payload) > 0; start = false {
		chunk := payload[:min(len(payload), packetSize-4)]
		payload = payload[len(chunk):]
		m.packet(pid, start, 0, append(bytes.Clone(chunk), bytes.Repeat([]byte{0xFF}, packetSize-4-len(chunk))...))
	}
}

// withCRC sets a section's length and appends its checksum.
func withCRC(body []byte) []byte {
	b := bytes.Clone(body)
	n := len(b) - 3 + 4
	b[1], b[2] = b[1]&0xF0|byte(n>>8), byte(n)
	return binary.BigEndian.AppendUint32(b, crc32(b))
}

type program16 struct{ number, pid uint16 }

func (m *muxer) pat(version byte, programs ...program16) {
	b := []byte{tablePAT, 0xB0, 0, 0, 1, 0xC1 | version<<1, 0, 0}
	for _, p := range programs {
		b = append(b, byte(p.number>>8), byte(p.number), 0xE0|byte(p.pid>>8), byte(p.pid))
	}
	m.section(pidPAT, b)
}

type es struct {
	kind        byte
	pid         uint16
	descriptors []byte
}

func (m *muxer) pmt(pid, number uint16, version byte, streams ...es) {
	b := []byte{tablePMT, 0xB0, 0, byte(number >> 8), byte(number), 0xC1 | version<<1, 0, 0, 0xE1, 0x00, 0xF0, 0}
	for _, s := range streams {
		b = append(b, s.kind, 0xE0|byte(s.pid>>8), byte(s.pid), 0xF0|byte(len(s.descriptors)>>8), byte(len(s.descriptors)))
		b = append(b, s.descriptors...)
	}
	m.section(pid, b)
}

// language is a descriptor (ISO/IEC 13818-1 2.6.18).
func language(code string, kind byte) []byte { return append(append([]byte{0x0A, 4}, code...), kind) }

// pes writes a PES. With a length in its head when bounded.
func (m *muxer) pes(pid uint16, id byte, pts, dts int64, bounded bool, payload []byte) {
	head := []byte{0, 0, 1, id, 0, 0, 0x80, 0x80, 5}
	stamp := func(mark byte, v int64) []byte {
		return []byte{mark<<4 | byte(v>>29)&0x0E | 1, byte(v >> 22), byte(v>>14) | 1, byte(v >> 7), byte(v<<1) | 1}
	}
	switch {
	case pts < 0:
		head[7], head[8] = 0, 0
	case dts < 0 || dts == pts:
		head = append(head, stamp(2, pts)...)
	default:
		head[7], head[8] = 0xC0, 10
		head = append(append(head, stamp(3, pts)...), stamp(1, dts)...)
	}
	b := append(head, payload...)
	if bounded {
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-6))
	}
	for start := true; len(b) > 0; start = false {
		b = b[m.packet(pid, start, 0, b):]
	}
}

// Units of H.264 that the codec package takes: the parameter sets are of 320x180 at 25 frames a second, as x264 makes them.
var (
	testSPS = []byte{0x67, 0x42, 0xc0, 0x0c, 0xda, 0x05, 0x06, 0x7e, 0x7c, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0c, 0x83, 0xc5, 0x0a, 0xa8}
	testPPS = []byte{0x68, 0xce, 0x0f, 0xc8}
)

// picture is an access unit in Annex B, with size bytes in its slice.
func picture(key bool, size int, mark byte) []byte {
	b := []byte{0, 0, 0, 1, 9, 0xF0}
	if key {
		b = append(append(append(append(b, 0, 0, 0, 1), testSPS...), 0, 0, 0, 1), testPPS...)
	}
	slice := bytes.Repeat([]byte{mark | 1}, size)
	slice[0] = 0x41
	if key {
		slice[0] = 0x65
	}
	slice[1] = 0x9A
	return append(append(b, 0, 0, 1), slice...)
}
