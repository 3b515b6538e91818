package whip

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"pushcart/internal/stream"
)

// unitsOf makes an access unit of pieces with some bytes of the lengths; head begins each.
func unitsOf(head []byte, lengths ...int) (units [][]byte) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range lengths {
		u := bytes.Clone(head)
		for len(u) < n {
			u = append(u, byte(1+rng.IntN(255)))
		}
		units = append(units, u)
	}
	return units
}

// TestAssemble: what another implementation takes apart comes together again.
func TestAssemble(t *testing.T) {
	t.Parallel()
	annexB := func(units [][]byte) (b []byte) {
		for _, u := range units {
			b = append(append(b, 0, 0, 0, 1), u...)
		}
		return b
	}
	obus := func(units [][]byte) (b []byte) {
		for _, u := range units { // with size fields, as pion takes them
			n := len(u) - 1
			b = append(b, u[0]|2)
			for ; n >= 0x80; n >>= 7 {
				b = append(b, byte(n)|0x80)
			}
			b = append(append(b, byte(n)), u[1:]...)
		}
		return b
	}
	for name, c := range map[string]struct {
		codec     stream.Codec
		payloader rtp.Payloader
		units     [][]byte
		joined    func([][]byte) []byte
	}{
		"H.264, small":    {stream.H264, &codecs.H264Payloader{}, unitsOf([]byte{0x65}, 20, 30, 40), annexB},
		"H.264, large":    {stream.H264, &codecs.H264Payloader{}, unitsOf([]byte{0x41}, 5000, 100, 3000), annexB},
		"H.264, with SPS": {stream.H264, &codecs.H264Payloader{}, append([][]byte{{0x67, 1, 2, 3}, {0x68, 4, 5}}, unitsOf([]byte{0x65}, 5000)...), annexB},
		"HEVC, small":     {stream.HEVC, &codecs.H265Payloader{}, unitsOf([]byte{0x26, 1}, 20, 30, 40), annexB},
		"HEVC, large":     {stream.HEVC, &codecs.H265Payloader{}, unitsOf([]byte{0x26, 1}, 5000, 100, 3000), annexB},
		"AV1":             {stream.AV1, &codecs.AV1Payloader{}, append(unitsOf([]byte{0x08}, 12), unitsOf([]byte{0x30}, 5000, 200)...), obus},
		"VP8":             {stream.VP8, &codecs.VP8Payloader{EnablePictureID: true}, unitsOf([]byte{0x10}, 5000), func(u [][]byte) []byte { return u[0] }},
		"VP9":             {stream.VP9, &codecs.VP9Payloader{InitialPictureIDFn: func() uint16 { return 300 }}, ivfClip(t, "vp9.ivf")[:1], func(u [][]byte) []byte { return u[0] }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAssembler(c.codec)
			for round := range 3 {
				payloads := c.payloader.Payload(1100, c.joined(c.units))
				if round == 0 && c.codec != stream.HEVC && c.units[0][0] != 0x41 && !a.starts(payloads[0]) {
					t.Error("the first payload does not start anything")
				}
				for _, p := range payloads {
					if err := a.add(p); err != nil {
						t.Fatal(err)
					}
				}
				got := a.take()
				want := c.units
				if c.codec == stream.AV1 {
					want = nil
					for _, u := range c.units { // without size fields again
						want = append(want, append([]byte{u[0] &^ 2}, u[1:]...))
					}
				}
				if len(got) != len(want) {
					t.Fatalf("%d pieces, and %d were sent", len(got), len(want))
				}
				for i := range got {
					if !bytes.Equal(got[i], want[i]) {
						t.Errorf("piece %d differs: %d bytes, and %d were sent", i, len(got[i]), len(want[i]))
					}
				}
			}
		})
	}
}

// TestAssembleDamaged: payloads that do not fit are errors, and nothing of them is left.
func TestAssembleDamaged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		codec    stream.Codec
		payloads [][]byte
	}{
		"an empty payload":         {stream.H264, [][]byte{{}}},
		"STAP-A beyond its end":    {stream.H264, [][]byte{{0x78, 0, 9, 1}}},
		"STAP-A with an empty one": {stream.H264, [][]byte{{0x78, 0, 0, 0, 1, 5}}},
		"FU-A without a start":     {stream.H264, [][]byte{{0x7c, 0x05, 1}}},
		"FU-A within another":      {stream.H264, [][]byte{{0x7c, 0x85, 1}, {0x7c, 0x85, 1}}},
		"a NAL unit within FU-A":   {stream.H264, [][]byte{{0x7c, 0x85, 1}, {0x65, 1}}},
		"FU-B":                     {stream.H264, [][]byte{{0x7d, 0x85, 1, 2}}},
		"HEVC PACI":                {stream.HEVC, [][]byte{{50 << 1, 1, 2, 3}}},
		"AV1 continuing nothing":   {stream.AV1, [][]byte{{0x90, 0x30, 1}}},
		"AV1 left open":            {stream.AV1, [][]byte{{0x50, 0x30, 1}, {0x10, 0x30, 1}}},
		"AV1 beyond its end":       {stream.AV1, [][]byte{{0x00, 9, 1}}},
		"VP8 descriptor only":      {stream.VP8, [][]byte{{0x90, 0x80, 0x80}}},
		"VP8 without a start":      {stream.VP8, [][]byte{{0x00, 1, 2}}},
		"VP9 descriptor only":      {stream.VP9, [][]byte{{0x8a, 0x80}}},
	} {
		a := newAssembler(c.codec)
		var err error
		for _, p := range c.payloads {
			if err = a.add(p); err != nil {
				break
			}
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		a.reset()
		if got := a.take(); len(got) != 0 {
			t.Errorf("%s: %d pieces are left", name, len(got))
		}
	}
	a := newAssembler(stream.H264)
	if err := a.add([]byte{0x7c, 0x85, 1}); err != nil || len(a.take()) != 0 {
		t.Error("an unfinished NAL unit is passed on")
	}
}

// FuzzAssemble: whatever comes, nothing fails and nothing grows without bound.
func FuzzAssemble(f *testing.F) {
	for _, c := range []stream.Codec{stream.H264, stream.HEVC, stream.AV1, stream.VP8, stream.VP9} {
		f.Add(uint8(c), []byte{3, 0x7c, 0x85, 1, 3, 0x7c, 0x45, 2})
		f.Add(uint8(c), []byte{6, 0x78, 0, 2, 0x67, 1, 0, 3, 0x50, 0x30, 1})
		f.Add(uint8(c), []byte{8, 0x90, 0x80, 0x80, 1, 0x10, 2, 0x9d, 1, 4, 0x8b, 1, 0x18, 5})
	}
	f.Fuzz(func(t *testing.T, c uint8, in []byte) {
		a := newAssembler(stream.Codec(c))
		if a == nil {
			return
		}
		for len(in) > 0 { // a length, and a payload
			n := min(int(in[0]), len(in)-1)
			p := in[1 : 1+n]
			in = in[1+n:]
			a.starts(p)
			if a.add(p) != nil {
				a.reset()
				continue
			}
			if n%3 == 0 {
				units := a.take()
				isKey(stream.Codec(c), units)
				pixels(stream.Codec(c), units)
			}
		}
	})
}

// BenchmarkAssemble is a picture of 20 packets.
func BenchmarkAssemble(b *testing.B) {
	payloads := (&codecs.H264Payloader{}).Payload(1100, append([]byte{0, 0, 0, 1}, unitsOf([]byte{0x65}, 22000)[0]...))
	a := newAssembler(stream.H264)
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range payloads {
			if err := a.add(p); err != nil {
				b.Fatal(err)
			}
		}
		a.take()
	}
}
