package codec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pushcart/internal/stream"
)

// sei makes one SEI message, without the NAL unit around it.
func sei(typ int, payload []byte) []byte {
	var out []byte
	for _, v := range []int{typ, len(payload)} {
		for ; v >= 255; v -= 255 {
			out = append(out, 0xFF)
		}
		out = append(out, byte(v))
	}
	return append(out, payload...)
}

// ours makes a message with our UUID.
func ours(text string) []byte { return sei(5, append(userDataUUID[:], text...)) }

// seiNAL makes an SEI NAL unit of messages.
func seiNAL(header []byte, messages ...[]byte) []byte {
	rbsp := bytes.Join(messages, nil)
	return append(bytes.Clone(header), escape(append(rbsp, 0x80))...)
}

// userTexts are the messages of the access unit that was read last.
func userTexts(v *Video) (out []string, lost int) {
	texts, lost := v.UserData()
	for _, m := range texts {
		out = append(out, string(m))
	}
	return out, lost
}

// seiCodecs are the headers of SEI NAL units and a picture.
var seiCodecs = []struct {
	name    string
	codec   stream.Codec
	headers [][]byte
	picture []byte
}{
	{"avc", stream.H264, [][]byte{{6}}, []byte{0x41, 1, 2}},
	{"hevc", stream.HEVC, [][]byte{{39 << 1, 1}, {40 << 1, 1}}, []byte{1 << 1, 1, 2}},
}

func TestUserDataOfAccessUnits(t *testing.T) {
	t.Parallel()
	zeros := sei(4, make([]byte, 300)) // full of emulation prevention
	other := sei(5, append([]byte("0123456789abcdef"), "x264 - core 164"...))
	long := strings.Repeat("{}", 400)
	many := bytes.Repeat(ours("m"), maxUserData+3)
	half := strings.Repeat("h", maxUserDataBytes/2)
	for _, c := range seiCodecs {
		record, _ := readSamples(t, c.name)
		for _, header := range c.headers {
			unit := func(m ...[]byte) []byte { return seiNAL(header, m...) }
			bare := append(bytes.Clone(header), ours("no stop bit")...)
			short := unit(ours("a message"))
			short = short[:len(short)-4]
			lie := append(bytes.Clone(header), 4, 200)
			lie = append(append(lie, ours("behind a lie")...), 0x80)
			for _, test := range []struct {
				name string
				in   [][]byte
				want []string
				lost int
			}{
				{"none", [][]byte{c.picture}, nil, 0},
				{"other messages", [][]byte{unit(sei(1, []byte{1, 2, 3}), other, zeros), c.picture}, nil, 0},
				{"one", [][]byte{unit(ours("one")), c.picture}, []string{"one"}, 0},
				{"behind the picture", [][]byte{c.picture, unit(ours("late"))}, []string{"late"}, 0},
				{"among others", [][]byte{unit(zeros, sei(300, []byte{1}), ours("one"), other, ours(long), zeros), c.picture, unit(ours("three"))},
					[]string{"one", long, "three"}, 0},
				{"with zeros inside and behind", [][]byte{unit(ours("a\x00\x00\x01b\x00\x00\x00")), c.picture}, []string{"a\x00\x00\x01b"}, 0},
				{"empty", [][]byte{unit(ours("")), c.picture}, []string{""}, 0},
				{"without a stop bit", [][]byte{bare, c.picture}, []string{"no stop bit"}, 0},
				{"cut off", [][]byte{short, unit(ours("whole")), c.picture}, []string{"whole"}, 1},
				{"cut off, and then as much as may be", [][]byte{unit(ours(half))[:1000], unit(ours(half), ours(half)), c.picture}, []string{half, half}, 1},
				{"a size that lies", [][]byte{lie, c.picture}, nil, 0},
				{"a size below the UUID", [][]byte{unit(sei(5, userDataUUID[:15]), ours("next")), c.picture}, []string{"next"}, 0},
				{"endless numbers", [][]byte{append(unit(ours("one")), bytes.Repeat([]byte{0xFF}, 5000)...), c.picture}, []string{"one"}, 0},
				{"UUID in another message", [][]byte{unit(sei(4, ours("inner"))), c.picture}, nil, 0},
				{"too many", [][]byte{unit(many), c.picture}, strings.Split(strings.Repeat("m", maxUserData), ""), 3},
				{"too much", [][]byte{unit(ours(half), ours(half), ours("x")), c.picture}, []string{half, half}, 1},
				{"one that is too much", [][]byte{unit(ours(half+half+"x"), ours("y")), c.picture}, []string{"y"}, 1},
				{"header only", [][]byte{header, c.picture}, nil, 0},
			} {
				t.Run(fmt.Sprintf("%s/%x/%s", c.name, header, test.name), func(t *testing.T) {
					t.Parallel()
					v := newVideo(t, c.codec, record)
					in := nals(4, test.in...)
					s, err := v.Read(bytes.Clone(in))
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(s.Payload, in) {
						t.Error("the sample was altered")
					}
					if got, lost := userTexts(v); !slices.Equal(got, test.want) || lost != test.lost {
						t.Errorf("messages %q, %d lost; want %q, %d", got, lost, test.want, test.lost)
					}
					if _, err := v.Read(nals(4, c.picture)); err != nil {
						t.Fatal(err)
					}
					if got, lost := userTexts(v); len(got) != 0 || lost != 0 {
						t.Errorf("the next access unit has %q, %d lost", got, lost)
					}
				})
			}
		}
	}
}

// TestUserDataOutlivesTheMove: samples that are moved together, or written anew, do not overwrite the messages.
func TestUserDataOutlivesTheMove(t *testing.T) {
	t.Parallel()
	record, _ := readSamples(t, "avc")
	for _, size := range []int{2, 4} {
		given := bytes.Clone(record)
		given[4] = 0xFC | byte(size-1)
		v := newVideo(t, stream.H264, given)
		picture, filler, unit := []byte{0x65, 1, 2}, append([]byte{12}, make([]byte, 100)...), seiNAL([]byte{6}, ours("a text"), ours("another"))
		s, err := v.Read(nals(size, picture, filler, unit, picture))
		if got, _ := userTexts(v); err != nil || !slices.Equal(got, []string{"a text", "another"}) {
			t.Errorf("lengths of %d bytes: %q, %v", size, got, err)
		}
		if want := nals(4, picture, unit, picture); !bytes.Equal(s.Payload, want) {
			t.Errorf("lengths of %d bytes: sample %x, want %x", size, s.Payload, want)
		}
	}
}

// TestUserDataWithoutAPicture: encoders may send it ahead of the picture.
func TestUserDataWithoutAPicture(t *testing.T) {
	t.Parallel()
	record, _ := readSamples(t, "avc")
	v := newVideo(t, stream.H264, record)
	s, err := v.Read(nals(4, seiNAL([]byte{6}, ours("ahead"))))
	if got, _ := userTexts(v); err != nil || len(s.Payload) != 0 || !slices.Equal(got, []string{"ahead"}) {
		t.Errorf("%q, %+v, %v", got, s, err)
	}
}

// FuzzUserData holds the reader against a plain one that undoes the emulation prevention first.
func FuzzUserData(f *testing.F) {
	f.Add(seiNAL([]byte{6}, ours(`{"pushcart":"show","card":"lamp"}`)))
	f.Add(seiNAL([]byte{6}, sei(1, []byte{1, 2}), ours("a\x00\x00\x01"), sei(4, make([]byte, 300)), ours("b")))
	f.Add(seiNAL([]byte{6}, bytes.Repeat(ours("m"), 10)))
	f.Add(append([]byte{6, 5, 0xFF, 0xFF}, userDataUUID[:]...))
	f.Add(append(append([]byte{6, 5, 40}, userDataUUID[:]...), 0, 0, 3, 1, 0, 0, 3))
	f.Fuzz(func(t *testing.T, nal []byte) {
		if len(nal) == 0 {
			return
		}
		given := bytes.Clone(nal)
		var u userData
		u.read(nal, 1)
		if !bytes.Equal(nal, given) {
			t.Fatal("the NAL unit was altered")
		}
		size := 0
		for _, m := range u.messages {
			size += len(m)
		}
		if len(u.messages) > maxUserData || size > maxUserDataBytes {
			t.Fatalf("%d messages of %d bytes", len(u.messages), size)
		}
		want, lost := plainUserData(nal)
		if len(want) != len(u.messages) || lost != u.lost {
			t.Fatalf("%d messages and %d lost, want %d and %d", len(u.messages), u.lost, len(want), lost)
		}
		for i := range want {
			if !bytes.Equal(want[i], u.messages[i]) {
				t.Fatalf("message %d is %q, want %q", i, u.messages[i], want[i])
			}
		}
	})
}

// plainUserData does what userData.read does, the simple way.
func plainUserData(nal []byte) (found [][]byte, lost int) {
	raw := trimNAL(nal[1:])
	if !bytes.Contains(nal, userDataUUID[:]) {
		return nil, 0
	}
	b := unescape(raw)
	number := func() (n int, ok bool) {
		for len(b) > 0 {
			v := b[0]
			b = b[1:]
			n += int(v)
			if v != 0xFF {
				return n, true
			}
		}
		return 0, false
	}
	total := 0
	for len(b) > 1 {
		typ, ok1 := number()
		size, ok2 := number()
		if !ok1 || !ok2 {
			return found, lost
		}
		mine := typ == 5 && size >= 16 && len(b) >= 16 && bytes.Equal(b[:16], userDataUUID[:])
		full := len(found) == maxUserData || size-16 > maxUserDataBytes-total
		if mine && (full || size > len(b)) {
			lost++
		}
		if size > len(b) {
			return found, lost
		}
		if mine && !full {
			found = append(found, bytes.TrimRight(b[16:size], "\x00"))
			total += size - 16
		}
		b = b[size:]
	}
	return found, lost
}

// BenchmarkReadVideo is the cost of inspecting a picture of 8 KB with and without SEI messages in front.
func BenchmarkReadVideo(b *testing.B) {
	picture := append([]byte{0x41}, bytes.Repeat([]byte{0xA5}, 8<<10)...)
	timing := seiNAL([]byte{6}, sei(1, []byte{0x12, 0x34, 0x00, 0x00, 0x01, 0x40}))
	version := seiNAL([]byte{6}, sei(5, append([]byte("0123456789abcdef"), strings.Repeat("x264 options ", 50)...)))
	captions := seiNAL([]byte{6}, sei(4, bytes.Repeat([]byte{0xB5, 0, 0x31, 0xFC}, 20)))
	card := seiNAL([]byte{6}, ours(`{"pushcart":"show","slot":"main","card":"lamp"}`))
	for _, test := range []struct {
		name  string
		units [][]byte
	}{
		{"no SEI", [][]byte{picture}},
		{"timing", [][]byte{timing, picture}},
		{"timing and captions", [][]byte{timing, captions, picture}},
		{"version", [][]byte{version, picture}},
		{"card", [][]byte{timing, card, picture}},
	} {
		b.Run(test.name, func(b *testing.B) {
			record, _ := readSamples(b, "avc")
			v := newVideo(b, stream.H264, record)
			in := nals(4, test.units...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Read(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
