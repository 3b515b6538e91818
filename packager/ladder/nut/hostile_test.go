package nut

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// v makes the bytes of variable length values.
func v(values ...uint64) []byte {
	var b []byte
	for _, x := range values {
		b = appendV(b, x)
	}
	return b
}

// made is a file of parts that the tests below replace.
type made struct {
	main, stream []byte
	rest         []byte // behind the headers
}

// The parts of a made file: version 3, a tick of a second, code 1 for whatever its flags say, code 2 for frames a tick later
// with 7 bytes, of which the first two are left out.
var (
	madeMain = bytes.Join([][]byte{
		v(3, 1, 1000, 1, 1, 1),
		v(flagInvalid, 0),
		v(flagCoded, 0),
		v(flagKey, 8, 1, 8, 0, 7, 0, 1, 0, 1), // fields: PTS 1 (as signed), mul, stream, size, reserved, count, time, header
		v(flagInvalid, 8, 0, 1, 0, 0, 0, 252, 0, 0),
		v(1, 2), []byte("he"),
	}, nil)
	madeStream = bytes.Join([][]byte{v(0, 1, 4), []byte("test"), v(0, 7, 10, 0, 0, 0), v(8000, 1, 2)}, nil)
	madeSync   = appendPacket(nil, syncStart, v(100, 0))
)

func (m made) bytes() []byte {
	b := append([]byte(nil), fileID...)
	b = appendPacket(b, mainStart, m.main)
	b = appendPacket(b, streamStart, m.stream)
	return append(b, m.rest...)
}

// coded is a frame of code 1.
func coded(flags uint64, header []byte, payload string) []byte {
	return append(append(append([]byte{1}, v(flags)...), header...), payload...)
}

// checked is a frame of code 1 with a checksum.
func checked(flags uint64, header []byte, payload string) []byte {
	b := append(append([]byte{1}, v(flags|flagChecksum)...), header...)
	crc := updateCRC(0, b)
	return append(append(b, byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc)), payload...)
}

// TestFields: what the specification has and Writer does not write.
func TestFields(t *testing.T) {
	t.Parallel()
	const pts, size = flagCodedPTS, flagSizeMSB
	side := string(v(3)) + "\x01a\x00" + "\x01b" + string(v(2)) + "\x02tx" + "\x01c" + string(v(4)) + "\x03bin\x02xy" + // 0, text, binary
		string(v(3)) + "\x01d" + string(v(6)) + "\x07" + "\x01e" + string(v(8)) + "\x07" + "\x01f" + string(v(12)) + "\x07" // signed, time, ratio
	for _, test := range []struct {
		name string
		rest []byte
		want []Frame
	}{
		{"code with a delta and a header left out", []byte("\x02ader!\x02LLO!!"), []Frame{{101, true, []byte("header!")}, {102, true, []byte("heLLO!!")}}},
		{"another header", coded(flagHeaderIdx|size, v(5, 1), "ck!"), []Frame{{100, false, []byte("heck!")}}},
		{"stream, reserved, time to match", coded(flagStreamID|flagReserved|flagMatchTime|pts|size, v(0, 101, 2, 9, 2, 1, 1), "ab"), []Frame{{101, false, []byte("ab")}}},
		{"a checksum", checked(flagKey|pts|size, v(128+500, 1), "c"), []Frame{{500, true, []byte("c")}}},
		{"least significant bits", append(coded(pts|size, v(90, 1), "a"), coded(pts|size, v(92, 1), "b")...), []Frame{{90, false, []byte("a")}, {92, false, []byte("b")}}},
		{"below 0", append(appendPacket(nil, syncStart, v(2, 0)), coded(pts|size, v(127, 1), "a")...), []Frame{{-1, false, []byte("a")}}},
		{"stuffing", coded(pts|size, []byte("\x80\x80\x80\x80\x80\x80\x80\x80\x65\x01"), "a"), []Frame{{101, false, []byte("a")}}},
		{"end of relevance", append(coded(flagKey|flagEOR|pts|size, v(101, 0), ""), coded(pts|size, v(102, 1), "a")...), []Frame{{102, false, []byte("a")}}},
		{"side data", coded(flagSideData|pts|size, v(101, uint64(len(side)+2)), side+"xy"), []Frame{{101, false, []byte("xy")}}},
		{"side data and a header", coded(flagSideData|flagHeaderIdx|size, v(uint64(len(side)+4), 1), side+"y!"), []Frame{{100, false, []byte("hey!")}}},
		{"nothing but side data", coded(flagSideData|pts|size, v(101, uint64(len(side))), side), nil},
		{"unknown packet, info, index, headers again", bytes.Join([][]byte{
			appendPacket(nil, 0x4E00000000000001, bytes.Repeat([]byte{1}, 10000)), appendPacket(nil, infoStart, []byte("x")), appendPacket(nil, indexStart, make([]byte, 70000)),
			appendPacket(nil, mainStart, madeMain), appendPacket(nil, streamStart, madeStream), coded(size, v(1), "a"),
		}, nil), []Frame{{100, false, []byte("a")}}},
		{"a new syncpoint", append(appendPacket(nil, syncStart, v(7000, 1)), coded(size, v(1), "a")...), []Frame{{7000, false, []byte("a")}}},
		{"a syncpoint before 0", append(appendPacket(nil, syncStart, v(math.MaxUint64-49, 0)), coded(size, v(1), "a")...), []Frame{{-50, false, []byte("a")}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := made{madeMain, madeStream, append(bytes.Clone(madeSync), test.rest...)}.bytes()
			sameFrames(t, readFile(t, b).frames, test.want)
		})
	}
}

// TestDamage: whatever is wrong is an error, which stays.
func TestDamage(t *testing.T) {
	t.Parallel()
	const pts, size = flagCodedPTS, flagSizeMSB
	with := func(rest []byte) []byte {
		return made{madeMain, madeStream, append(bytes.Clone(madeSync), rest...)}.bytes()
	}
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	replace := func(b []byte, at int, x ...byte) []byte {
		return append(append(bytes.Clone(b[:at]), x...), b[at+1:]...)
	}
	headers := len(fileID)
	for _, test := range []struct {
		name string
		b    []byte
		want string
	}{
		{"no file id", []byte("RIFF....WAVEfmt .........."), "not a NUT file"},
		{"cut file id", []byte(fileID[:7]), "file id: unexpected EOF"},
		{"file id alone", []byte(fileID), "main header: unexpected EOF"},
		{"main header's checksum", flip(with(nil), headers+15), "main header: the checksum does not fit"},
		{"version 5", made{main: replace(madeMain, 0, 5), stream: madeStream}.bytes(), "version 5"},
		{"version 2", made{main: replace(madeMain, 0, 2), stream: madeStream}.bytes(), "version 2"},
		{"two streams", made{main: replace(madeMain, 1, 2), stream: madeStream}.bytes(), "2 streams"},
		{"cut codes", made{main: madeMain[:20], stream: madeStream}.bytes(), "main header: ends before"},
		{"time base 0", made{main: replace(madeMain, 6, 0), stream: madeStream}.bytes(), "main header: ends before"},
		{"many time bases", made{main: replace(madeMain, 4, v(1<<40)...), stream: madeStream}.bytes(), "main header: ends before"},
		{"too many codes", made{main: append(v(3, 1, 1000, 1, 1, 1), v(0, 6, 0, 1, 0, 0, 0, 1<<40)...), stream: madeStream}.bytes(), "main header: ends before"},
		{"no codes", made{main: append(v(3, 1, 1000, 1, 1, 1), v(0, 6, 0, 1, 0, 0, 0, 0)...), stream: madeStream}.bytes(), "main header: ends before"},
		{"endless fields", made{main: append(v(3, 1, 1000, 1, 1, 1), v(0, math.MaxUint64, 0, 1)...), stream: madeStream}.bytes(), "main header: ends before"},
		{"no stream header", made{main: madeMain, stream: madeStream}.bytes()[:headers+len(madeMain)+13], "stream header: unexpected EOF"},
		{"syncpoint for a stream header", append(appendPacket([]byte(fileID), mainStart, madeMain), madeSync...), "another packet in its place"},
		{"frame for a stream header", append(appendPacket([]byte(fileID), mainStart, madeMain), 1), "where a startcode belongs"},
		{"second stream's header", made{main: madeMain, stream: replace(madeStream, 0, 1)}.bytes(), "stream header: ends before"},
		{"subtitles", made{main: madeMain, stream: replace(madeStream, 1, 2)}.bytes(), "stream class 2"},
		{"tag of 3 bytes", made{main: madeMain, stream: replace(madeStream, 2, 3)}.bytes(), "stream header: ends before"},
		{"time base that is not there", made{main: madeMain, stream: replace(madeStream, 7, 1)}.bytes(), "stream header: ends before"},
		{"shift of 16", made{main: madeMain, stream: replace(madeStream, 8, 16)}.bytes(), "stream header: ends before"},
		{"codec data beyond the end", made{main: madeMain, stream: replace(madeStream, 12, 100)}.bytes(), "stream header: ends before"},
		{"large header", append([]byte(fileID), append([]byte("NM\x7a\x56\x1f\x5f\x04\xad"), v(maxPacket+5)...)...), "the limit is"},
		{"small header", append([]byte(fileID), append([]byte("NM\x7a\x56\x1f\x5f\x04\xad"), v(3)...)...), "the limit is"},
		{"long packet's header", with(append(appendPacket(nil, infoStart, make([]byte, 5000))[:10], make([]byte, 6000)...)), "packet: the checksum does not fit"},
		{"endless packet", with(append([]byte("NI\xab\x68\xb5\x96\xba\x78"), v(1<<60)...)), "packet: 1152921504606846976 bytes; the limit"},
		{"info packet's checksum", with(flip(appendPacket(nil, infoStart, []byte("abc")), -5)), "packet: the checksum"},
		{"cut startcode", with([]byte("NIX")), "startcode: unexpected EOF"},
		{"frame before a syncpoint", made{madeMain, madeStream, []byte("\x02ader!")}.bytes(), "no syncpoint"},
		{"empty syncpoint", with(appendPacket(nil, syncStart, nil)), "syncpoint: ends before"},
		{"syncpoint's checksum", with(flip(madeSync, -1)), "syncpoint: the checksum"},
		{"syncpoint of the far future", with(appendPacket(nil, syncStart, v(1<<62+1, 0))), "syncpoint: ends before"},
		{"invalid code", with([]byte{0}), "code 0x0 is not valid"},
		{"invalid by its flags", with(coded(flagReserved, v(256), "")), "frame header: ends before"},
		{"another stream", with(coded(flagStreamID|size, v(1, 1), "a")), "frame header: ends before"},
		{"header that is not there", with(coded(flagHeaderIdx|size, v(5, 2), "abc")), "frame header: ends before"},
		{"smaller than its header", with(coded(flagHeaderIdx|size, v(1, 1), "")), "frame header: ends before"},
		{"end with payload", with(coded(flagEOR|size, v(1), "a")), "frame header: ends before"},
		{"frame's checksum", with(flip(checked(pts|size, v(128+500, 1), "c"), 3)), "frame header: the checksum"},
		{"jump without a checksum", with(coded(pts|size, v(128+500, 1), "c")), "a step from 100 to 500 without"},
		{"large without a checksum", with(coded(size, v(2001), strings.Repeat("c", 2001))), "2001 bytes without a checksum"},
		{"PTS beyond all times", with(checked(pts|size, v(math.MaxUint64, 1), "c")), "a PTS of"},
		{"frame beyond the limit", with(checked(size, v(testMaxFrame+1), "")), "the limit is"},
		{"frame beyond any limit", with(checked(size, v(math.MaxUint64), "")), "the limit is"},
		{"value of more than 64 bits", with(coded(pts|size, bytes.Repeat([]byte{0xFF}, 30), "")), "more than 64 bits"},
		{"endless stuffing", with(coded(pts|size, bytes.Repeat([]byte{0x80}, 30), "")), "more than 64 bits"},
		{"side data beyond the frame", with(coded(flagSideData|size, v(3), "\x05\x09a")), "frame: ends before"},
		{"cut frame header", with([]byte{1}), "frame header: unexpected EOF"},
		{"cut frame", with(coded(size, v(100), "abc")), "frame: unexpected EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := NewReader(bytes.NewReader(test.b), testMaxFrame)
			f, err := r.Next()
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "NUT") > 1 {
				t.Fatalf("frame %+v, error %v; want one with %q", f, err, test.want)
			}
			if _, again := r.Next(); again != err {
				t.Errorf("then %v", again)
			}
		})
	}
}

// TestTicks: a second that is no whole number of ticks cannot be said in Stream.
func TestTicks(t *testing.T) {
	t.Parallel()
	main := append(v(3, 1, 1000, 1, 1001, 30000), madeMain[len(v(3, 1, 1000, 1, 1, 1)):]...)
	_, err := NewReader(bytes.NewReader(made{main: main, stream: madeStream}.bytes()), testMaxFrame).Stream()
	if err == nil || !strings.Contains(err.Error(), "1001/30000") {
		t.Errorf("error %v", err)
	}
}

// TestEveryCut: a file that ends anywhere gives the frames that are whole, and the end of the file where one ends.
func TestEveryCut(t *testing.T) {
	t.Parallel()
	f := goldens[0].file
	b := f.bytes()
	var ends []int // of frames
	at := AppendHeader(nil, f.stream)
	w := NewWriter(f.stream)
	for _, frame := range f.frames {
		at = w.Append(at, frame)
		ends = append(ends, len(at))
	}
	for n := range len(b) + 1 {
		frames, err := countFrames(iotest.OneByteReader(bytes.NewReader(b[:n])))
		whole, found := slices.BinarySearch(ends, n)
		if found {
			whole++
		}
		if frames != whole {
			t.Errorf("cut at %d: %d frames, want %d", n, frames, whole)
		}
		if (found || n == 0) && err != io.EOF || err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func countFrames(in io.Reader) (n int, err error) {
	r := NewReader(in, testMaxFrame)
	for {
		if _, err := r.Next(); err != nil {
			return n, err
		}
		n++
	}
}

// gate is a file that comes in chunks. To read beyond those that are there is an error.
type gate struct {
	chunks [][]byte
	ready  int
}

var errAhead = errors.New("read ahead")

func (g *gate) Read(b []byte) (int, error) {
	if g.ready == 0 {
		return 0, errAhead
	}
	n := copy(b, g.chunks[0])
	if g.chunks[0] = g.chunks[0][n:]; len(g.chunks[0]) == 0 {
		g.chunks, g.ready = g.chunks[1:], g.ready-1
	}
	return n, nil
}

// TestNoLookAhead: headers and frames are there with their last byte.
func TestNoLookAhead(t *testing.T) {
	t.Parallel()
	f := goldens[0].file
	f.frames = append(slices.Clone(f.frames), Frame{PTS: 503003, Payload: make([]byte, 1<<20)}, Frame{PTS: 506006, Payload: []byte("end")})
	g := &gate{chunks: [][]byte{AppendHeader(nil, f.stream)}, ready: 1}
	w := NewWriter(f.stream)
	for _, frame := range f.frames {
		g.chunks = append(g.chunks, w.Append(nil, frame))
	}
	r := NewReader(g, testMaxFrame)
	if _, err := r.Stream(); err != nil {
		t.Fatal(err)
	}
	for i, frame := range f.frames {
		g.ready++
		got, err := r.Next()
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		sameFrames(t, []Frame{got}, []Frame{frame})
	}
	if _, err := r.Next(); !errors.Is(err, errAhead) {
		t.Errorf("behind the last frame: %v", err)
	}
}

// TestClaims: what a frame's header claims is not set aside before it comes.
func TestClaims(t *testing.T) {
	t.Parallel()
	b := made{madeMain, madeStream, append(bytes.Clone(madeSync), checked(flagSizeMSB, v(testMaxFrame), "abc")...)}.bytes()
	r := NewReader(bytes.NewReader(b), testMaxFrame)
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	if n := cap(r.payload) + cap(r.packet); n > 4*firstPayload {
		t.Errorf("%d bytes were set aside", n)
	}
}
