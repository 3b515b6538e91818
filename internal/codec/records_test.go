package codec

import (
	"testing"

	"pushcart/internal/stream"
)

// TestRecords reads records made by x264, x265, SVT-AV1 and libaom: cropped and interlaced pictures, more bits, other
// chroma formats, tiers, colours.
func TestRecords(t *testing.T) {
	for _, test := range []struct {
		name          string
		codec         stream.Codec
		record        string
		codecs        string
		width, height int
		rate          float64
	}{
		{"AVC 1080p59.94, cropped", stream.H264,
			"0142c02affe100176742c02ada01e0089f97011000003e90001d4c00f1832a01000468ce0fc8",
			"avc1.42c02a", 1920, 1080, 60000.0 / 1001},
		{"AVC interlaced, 4:2:2, 10 bits", stream.H264,
			"017a001effe10018677a001eb6ce80b424d8088000000300800000190f8a155001000468de0fc8fefafa00",
			"avc1.7a001e", 720, 576, 25},
		{"HEVC 1080p29.97, cropped", stream.HEVC,
			"01016000000090000000000078f000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003007895940" +
				"9a10001002a420101016000000300900000030000030078a003c0801107cb965654a4c2f01680800001f480003a9804a20001" +
				"00064401c073c189",
			"hvc1.1.6.L120.90", 1920, 1080, 30000.0 / 1001},
		{"HEVC Main 10, high tier", stream.HEVC,
			"01222000000090000000000099f000fcfdfafa00000f03a00001001840010c01ffff2220000003009000000300000300999594" +
				"09a10001002b420101222000000300900000030000030099a00280802d1f4d965654a4c2f0168080000003008000000c84a2" +
				"000100064401c073c189",
			"hvc1.2.4.H153.90", 1280, 718, 25},
		{"HEVC 4:4:4", stream.HEVC,
			"0104080000009e08000000001ef000fcfff8f800000f03a00001001740010c01ffff0408000003009e0800000300001e959409a1" +
				"0001002b4201010408000003009e0800000300001e9002440a38f8fcb2b2a5261780b4040000030004000003006420a20001" +
				"00084401c07318301890",
			"hvc1.4.10.L30.9E.8", 130, 66, 25},
		{"AV1 10 bits, BT.2020 PQ", stream.AV1, "81014c000a0e0000000cc4ff6700be1424402410",
			"av01.0.01M.10.0.110.09.16.09.0", 640, 360, 0},
		{"AV1 4:4:4", stream.AV1, "812900000a0b2000004aabbec3576be408",
			"av01.1.09M.08.0.000.02.02.02.0", 1918, 1078, 0},
		{"AV1 monochrome", stream.AV1, "81001c000a0a000000043cfeccdaf92a",
			"av01.0.00M.08.1.110.02.02.02.1", 320, 180, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := unhex(t, test.record)
			v := newVideo(t, test.codec, record)
			got := v.Track(0)
			if got.CodecString != test.codecs || got.Width != test.width || got.Height != test.height || got.FrameRate != test.rate {
				t.Errorf("%s %dx%d at %v", got.CodecString, got.Width, got.Height, got.FrameRate)
			}
			if again := newVideo(t, test.codec, got.Config); !again.Same(v) {
				t.Error("the record made reads differently")
			}
		})
	}
}

// TestHEVCSubLayers reads an SPS of three temporal layers, each with a profile and a level of its own, where
// mediacommon's parser gives up.
func TestHEVCSubLayers(t *testing.T) {
	general := []byte{0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93}
	w := new(bitWriter).put(8, hevcSPS<<1).put(8, 1).put(4, 0).put(3, 2).put(1, 1)
	for _, b := range general {
		w.put(8, uint64(b))
	}
	w.put(4, 0b1111).put(12, 0) // two lower layers, then alignment
	for range 2 {
		w.put(32, 0x01600000).put(56, 0).put(8, 60)
	}
	// Identifier 0, 4:2:0, 640x360, uncropped, 8 bits.
	w.put(1, 1).put(3, 0b010).put(19, 641).put(17, 361).put(1, 0).put(1, 1).put(1, 1).put(8, 0x80)
	nal := escape(w.b)
	if id, ok := hevcSetID(sps, nal); id != 0 || !ok {
		t.Errorf("identifier %d, %v", id, ok)
	}
	head, err := readHEVCSPS(nal)
	if err != nil {
		t.Fatal(err)
	}
	if head.width != 640 || head.height != 360 || hevcCodecString(head.ptl) != "hvc1.1.6.L93.90" {
		t.Errorf("%+v", head)
	}
	var p properties
	if p.describeHEVC(nal, 8); p.frameRate != 0 || p.reorder != 1 || p.color != unsaid(8) {
		t.Errorf("properties %+v", p)
	}
}

// escape puts emulation prevention bytes in.
func escape(b []byte) (out []byte) {
	zeros := 0
	for _, v := range b {
		if zeros == 2 && v <= 3 {
			out, zeros = append(out, 3), 0
		}
		out = append(out, v)
		if zeros++; v != 0 {
			zeros = 0
		}
	}
	return out
}

// TestAV1SequenceWithDecoderModel reads what mediacommon's parser refuses: timing, a decoder model, display delays and
// two operating points.
func TestAV1SequenceWithDecoderModel(t *testing.T) {
	w := new(bitWriter).put(3, 0).put(1, 0).put(1, 0)
	w.put(1, 1).put(32, 1001).put(32, 30000).put(1, 1).put(1, 1)  // 1001/30000 s a picture
	w.put(1, 1).put(5, 9).put(32, 5).put(5, 9).put(5, 9)          // decoder model
	w.put(1, 1).put(5, 1)                                         // display delays, two points
	w.put(12, 0x103).put(5, 9).put(1, 1).put(1, 1).put(21, 0)     // level 9, high tier, with a model
	w.put(1, 1).put(4, 3)                                         // and a delay
	w.put(12, 0x101).put(5, 4).put(1, 0).put(1, 0)                // the second point has neither
	w.put(4, 10).put(4, 10).put(11, 1279).put(11, 719)            // 1280x720
	w.put(1, 1).put(7, 0).put(3, 0)                               // frame identifiers, tools
	w.put(4, 0).put(1, 1).put(2, 0).put(1, 0).put(1, 1).put(1, 0) // order hints, forced screen content tools
	w.put(1, 1).put(3, 6).put(3, 0)
	w.put(1, 0).put(1, 0).put(1, 1).put(24, 0x010101).put(1, 0).put(2, 0).put(1, 0) // 8 bits, BT.709
	s, err := readAV1Sequence(w.put(8, 0x80).b)
	if err != nil {
		t.Fatal(err)
	}
	var p properties
	p.claimRate(s.timeScale, s.unitsPerFrame)
	if s.width != 1280 || s.height != 720 || s.codecString() != "av01.0.09H.08" || p.frameRate != 30000.0/1001 {
		t.Errorf("%+v, %v", s, p.frameRate)
	}
}
