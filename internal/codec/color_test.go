package codec

import (
	"testing"

	"pushcart/internal/stream"
)

// TestColors reads what encoders of ffmpeg wrote for pictures of known colours and shapes.
func TestColors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		codec  stream.Codec
		record string
		want   stream.Color
		aspect [2]int
		ranges string
	}{
		{
			"AVC, BT.709", stream.H264,
			"0142c00cffe1001c6742c00cda05067e7c05a808080a000003000200000300641e28554001000468ce0fc8",
			stream.Color{Primaries: 1, Transfer: 1, Matrix: 1, Depth: 8}, [2]int{}, "SDR",
		},
		{
			"AVC, full range", stream.H264,
			"0142c00cffe1001c6742c00cda05067e7c05b8303032000003000200000300641e28554001000468ce0fc8",
			stream.Color{Primaries: 6, Transfer: 6, Matrix: 6, Full: true, Depth: 8}, [2]int{}, "SDR",
		},
		{
			"AVC, 10 bits, nothing said", stream.H264,
			"016e000cffe10019676e000ca6cb40a0cfcf80880000030008000003019078a15501000468ce0fc8fdfafa00",
			stream.Color{Primaries: 2, Transfer: 2, Matrix: 2, Depth: 10}, [2]int{}, "SDR",
		},
		{
			"AVC, pixels of 4:3", stream.H264,
			"0142c00cffe100176742c00cda05067e7c3840000003004000000c83c50aa801000468ce0fc8",
			stream.Color{Primaries: 2, Transfer: 2, Matrix: 2, Depth: 8}, [2]int{4, 3}, "SDR",
		},
		{
			"AVC, pixels of a ratio written out", stream.H264,
			"0142c00cffe1001b6742c00cda05067e7ffc016c012840000003004000000c83c50aa801000468ce0fc8",
			stream.Color{Primaries: 2, Transfer: 2, Matrix: 2, Depth: 8}, [2]int{91, 74}, "SDR",
		},
		{
			"HEVC, nothing said", stream.HEVC,
			"0101600000009000000000003cf000fcfdf8f800000f03200001001840010c01ffff01600000030090000003000003003c9594" +
				"09210001002b42010101600000030090000003000003003ca00a080c1f3e595952930bc05a0200000300020000030032102200" +
				"0100064401c073c189",
			stream.Color{Primaries: 2, Transfer: 2, Matrix: 2, Depth: 8}, [2]int{}, "SDR",
		},
		{
			"HEVC, HLG", stream.HEVC,
			"0102200000009000000000003cf000fcfdfafa00000f03200001001840010c01ffff02200000030090000003000003003c9594" +
				"09210001002e42010102200000030090000003000003003ca00a080c1f3b6595952930bc05a84890482000000300200000030" +
				"32122000100064401c073c189",
			stream.Color{Primaries: 9, Transfer: stream.TransferHLG, Matrix: 9, Depth: 10}, [2]int{}, "HLG",
		},
		{
			"HEVC, PQ, full range, pixels of 64:33", stream.HEVC,
			"0102200000009000000000003cf000fcfdfafa00000f03200001001840010c01ffff02200000030090000003000003003c9594" +
				"09210001002e42010102200000030090000003000003003ca00a080c1f3b6595952930bc31b84880482000000300200000030" +
				"32122000100064401c073c189",
			stream.Color{Primaries: 9, Transfer: stream.TransferPQ, Matrix: 9, Full: true, Depth: 10}, [2]int{64, 33}, "PQ",
		},
		{
			"AV1, BT.709", stream.AV1, "81000c000a0e000000043cfeccdaf91010101040",
			stream.Color{Primaries: 1, Transfer: 1, Matrix: 1, Depth: 8}, [2]int{}, "SDR",
		},
		{
			"AV1, PQ", stream.AV1, "81014c000a0e0000000cc4ff6700be1424402410",
			stream.Color{Primaries: 9, Transfer: stream.TransferPQ, Matrix: 9, Depth: 10}, [2]int{}, "PQ",
		},
		{
			"AV1, a record without a sequence header", stream.AV1, "81014c00",
			stream.Color{Primaries: 2, Transfer: 2, Matrix: 2, Depth: 10}, [2]int{}, "SDR",
		},
		{
			"AV1, monochrome, full range", stream.AV1, "81001c000a0a000000043cfeccdaf92a",
			stream.Color{Primaries: 2, Transfer: 2, Matrix: 2, Full: true, Depth: 8}, [2]int{}, "SDR",
		},
		{
			"VP9, PQ", stream.VP9, "01000000020ba20910090000",
			stream.Color{Primaries: 9, Transfer: stream.TransferPQ, Matrix: 9, Depth: 10}, [2]int{}, "PQ",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := newVideo(t, test.codec, unhex(t, test.record)).Track(0)
			if got.Color != test.want || got.Color.Range() != test.ranges {
				t.Errorf("color %+v (%s), want %+v", got.Color, got.Color.Range(), test.want)
			}
			if got.PixelAspect != test.aspect {
				t.Errorf("pixels of %v, want %v", got.PixelAspect, test.aspect)
			}
		})
	}
}

// TestPixelAspect: what is unspecified, reserved, impossible or square is zero.
func TestPixelAspect(t *testing.T) {
	t.Parallel()
	for s, want := range map[signal][2]int{
		{aspect: 0}:  {},
		{aspect: 1}:  {},
		{aspect: 16}: {2, 1},
		{aspect: 17}: {},
		{aspect: extendedAspect, sarWidth: 8, sarHeight: 9}: {8, 9},
		{aspect: extendedAspect, sarWidth: 9, sarHeight: 9}: {},
		{aspect: extendedAspect, sarWidth: 0, sarHeight: 9}: {},
		{aspect: extendedAspect, sarWidth: 8, sarHeight: 0}: {},
	} {
		if got := s.pixelAspect(); got != want {
			t.Errorf("%+v: %v, want %v", s, got, want)
		}
	}
}

// Key frames of VP9 in BT.2020 with 10 bits, and of VP8, as libvpx writes them: their first bytes.
const (
	vp9KeyBT2020 = "924983425009f8059b031c120e0c2c0005d05fc9f7dbfcdf"
	vp8Key       = "f062009d012a4001b4000007088585889984880202b305fd"
)

// TestVP9TransferOfRecord: a frame's header says BT.2020 alone; whether it is PQ stands in the record.
func TestVP9TransferOfRecord(t *testing.T) {
	t.Parallel()
	want := stream.Color{Primaries: 9, Transfer: 14, Matrix: 9, Depth: 10}
	inBand, err := NewElementary(stream.VP9)
	if err != nil {
		t.Fatal(err)
	}
	withRecord := newVideo(t, stream.VP9, unhex(t, "01000000020ba20910090000"))
	for _, v := range []*Video{inBand, withRecord} {
		if s, err := v.Read(unhex(t, vp9KeyBT2020)); err != nil || !s.Key || !s.Changed {
			t.Fatalf("%+v, %v", s, err)
		}
		got := v.Track(0)
		if got.Color != want || got.Config[4] != want.Transfer || got.Width != 320 || got.Height != 180 {
			t.Errorf("%+v, record %x, want %+v", got.Color, got.Config, want)
		}
		want.Transfer = stream.TransferPQ
	}
}

func TestVP8Color(t *testing.T) {
	t.Parallel()
	v, err := NewElementary(stream.VP8)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Read(unhex(t, vp8Key)); err != nil {
		t.Fatal(err)
	}
	if got := v.Track(0); got.Color != vp8Color() || got.Width != 320 {
		t.Errorf("track %+v", got)
	}
}

// TestColorChanges: another SPS in mid-stream brings other colours.
func TestColorChanges(t *testing.T) {
	t.Parallel()
	v := newVideo(t, stream.H264, unhex(t, "0142c00cffe1001c6742c00cda05067e7c05a808080a000003000200000300641e28554001000468ce0fc8"))
	if err := v.keepSet(nalSPS, unhex(t, "6742c00cda05067e7c05b8303032000003000200000300641e285540")); err != nil {
		t.Fatal(err)
	}
	s, err := v.Read(nals(4, []byte{0x65, 0xB8, 0, 0x80}))
	if err != nil || !s.Changed {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := v.Track(0).Color; !got.Full || got.Matrix != 6 {
		t.Errorf("color %+v", got)
	}
}
