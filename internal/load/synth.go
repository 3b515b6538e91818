package load

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// Spec is what a synthetic clip looks like. Zero fields stand for the defaults.
type Spec struct {
	Width, Height int   // in pixels, even; 1280 x 720
	FPS           int   // frames a second, 1 to 120; 30
	Bitrate       int64 // of the picture, in bits a second; 1,500,000. Sound takes 128,000 more.
}

// Bounds of a Spec.
const (
	maxSide    = 4096
	maxFPS     = 120
	maxBitrate = 100_000_000
)

const (
	// A loop of eight seconds has a whole number of frames, of groups of pictures and of AAC frames of 1024 samples at 48 kHz.
	synthLoop    = 8000
	synthGroup   = 2 // seconds from key frame to key frame
	synthWeight  = 4 // a key frame's size, in others'
	synthSeed    = 1
	macroblock   = 384      // bytes of samples in one, at 4:2:0
	audioFrame   = 341      // bytes: 128 kbit/s
	audioSamples = 1024     // in a frame
	audioRate    = 48000    // Hz
	fillMost     = 15 + 254 // bytes in one fill element
	fillByte     = 0xA5     // ISO/IEC 14496-3 table 4.51: fill_byte
	fillData     = 0x10     // extension type EXT_FILL_DATA and a fill nibble
	maxFrameNum  = 8        // bits
	slicePCM     = 25       // mb_type I_PCM (ITU-T H.264 table 7-11)
	sliceDC      = 3        // mb_type I_16x16_2_0_0: predicted, without residual
	interTypes   = 5        // mb_types of P slices in front of the intra ones (table 7-13)
)

// complete checks a spec and fills in the defaults.
func (s Spec) complete() (Spec, error) {
	if s.Width == 0 && s.Height == 0 {
		s.Width, s.Height = 1280, 720
	}
	if s.FPS == 0 {
		s.FPS = 30
	}
	if s.Bitrate == 0 {
		s.Bitrate = 1_500_000
	}
	switch {
	case s.Width < 32 || s.Height < 32 || s.Width > maxSide || s.Height > maxSide || s.Width%2 != 0 || s.Height%2 != 0:
		return s, fmt.Errorf("a picture of %dx%d: sides are even and 32 to %d", s.Width, s.Height, maxSide)
	case s.FPS < 1 || s.FPS > maxFPS:
		return s, fmt.Errorf("%d frames a second: 1 to %d", s.FPS, maxFPS)
	case s.Bitrate < 50_000 || s.Bitrate > maxBitrate:
		return s, fmt.Errorf("%d bit/s: 50 kbit/s to %d Mbit/s", s.Bitrate, maxBitrate/1_000_000)
	}
	return s, nil
}

// Synthesize makes a clip without any encoder: H.264 (Constrained Baseline) whose pictures are grey, with blocks of noise sent as
// plain samples until the bit rate is reached, and silent AAC filled up to its own. Decoders take both. The same spec gives the
// same bytes.
func Synthesize(s Spec) (*Clip, error) {
	s, err := s.complete()
	if err != nil {
		return nil, err
	}
	meta, err := amf0.Data{"@setDataFrame", "onMetaData", amf0.ECMAArray{
		{Key: "width", Value: float64(s.Width)}, {Key: "height", Value: float64(s.Height)}, {Key: "framerate", Value: float64(s.FPS)},
		{Key: "videodatarate", Value: float64(s.Bitrate) / 1000}, {Key: "videocodecid", Value: 7.0}, {Key: "audiocodecid", Value: 10.0},
		{Key: "audiodatarate", Value: 128.0}, {Key: "audiosamplerate", Value: float64(audioRate)}, {Key: "stereo", Value: true},
	}}.Marshal()
	if err != nil {
		return nil, err
	}
	p := &painter{Spec: s, across: (s.Width + 15) / 16, down: (s.Height + 15) / 16, noise: rand.New(rand.NewPCG(synthSeed, 0))}
	c := &Clip{Loop: synthLoop, Configs: []Tag{
		{Kind: TagScript, Data: meta},
		{Kind: TagVideo, Data: append([]byte{0x17, 0, 0, 0, 0}, p.record()...)},
		{Kind: TagAudio, Data: []byte{0xAF, 0, 0x11, 0x90}}, // AAC LC, 48 kHz, stereo (ISO/IEC 14496-3 1.6.2.1)
	}}
	sound := append([]byte{0xAF, 1}, filledSilence(audioFrame)...)
	frames, audio := synthLoop/1000*s.FPS, synthLoop*audioRate/1000/audioSamples
	for v, a := 0, 0; v < frames || a < audio; {
		vAt, aAt := v*1000/s.FPS, (a*audioSamples*1000+audioRate/2)/audioRate
		if a == audio || v < frames && vAt <= aAt {
			c.Frames = append(c.Frames, Tag{Kind: TagVideo, At: uint32(vAt), Data: p.frame(v)})
			v++
			continue
		}
		c.Frames = append(c.Frames, Tag{Kind: TagAudio, At: uint32(aAt), Data: sound})
		a++
	}
	return c, nil
}

// painter makes the pictures of a clip, in order.
type painter struct {
	Spec
	across, down int // macroblocks
	noise        *rand.Rand
	debt         int64 // bytes by which the pictures so far are too small
}

// record is the decoder configuration record (ISO/IEC 14496-15 5.3.3.1.2).
func (p *painter) record() []byte {
	sps, pps := p.sps(), pps()
	b := []byte{1, sps[1], sps[2], sps[3], 0xFF, 0xE1}
	b = binary.BigEndian.AppendUint16(b, uint16(len(sps)))
	b = append(append(b, sps...), 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pps)))
	return append(b, pps...)
}

// level is the least of H.264's (table A-1) that allows so many macroblocks in a picture and in a second.
func (p *painter) level() uint64 {
	size := p.across * p.down
	for _, l := range []struct {
		idc        uint64
		rate, size int
	}{{30, 40500, 1620}, {31, 108000, 3600}, {32, 216000, 5120}, {40, 245760, 8192}, {42, 522240, 8704}, {50, 589824, 22080}, {51, 983040, 36864}} {
		if size <= l.size && size*p.FPS <= l.rate {
			return l.idc
		}
	}
	return 52
}

// sps is a sequence parameter set (ITU-T H.264 7.3.2.1.1): no reordering, one reference picture, and the frame rate.
func (p *painter) sps() []byte {
	var w bitWriter
	w.u(66, 8)
	w.u(0xC0, 8) // constraint_set0 and 1
	w.u(p.level(), 8)
	w.ue(0)
	w.ue(maxFrameNum - 4)
	w.ue(2) // pic_order_cnt_type: output order is decoding order
	w.ue(1) // max_num_ref_frames
	w.u(0, 1)
	w.ue(uint64(p.across - 1))
	w.ue(uint64(p.down - 1))
	w.u(1, 1) // frame_mbs_only_flag
	w.u(1, 1) // direct_8x8_inference_flag
	right, bottom := p.across*16-p.Width, p.down*16-p.Height
	if right == 0 && bottom == 0 {
		w.u(0, 1)
	} else {
		w.u(1, 1)
		w.ue(0)
		w.ue(uint64(right / 2))
		w.ue(0)
		w.ue(uint64(bottom / 2))
	}
	w.u(1, 1) // vui_parameters_present_flag (E.1.1)
	w.u(0, 4) // aspect ratio, overscan, video signal, chroma location
	w.u(1, 1) // timing_info_present_flag
	w.u(1, 32)
	w.u(uint64(2*p.FPS), 32)
	w.u(1, 1) // fixed_frame_rate_flag
	w.u(0, 3) // HRD of NAL and VCL, pic_struct
	w.u(1, 1) // bitstream_restriction_flag
	w.u(1, 1)
	for _, v := range []uint64{0, 0, 11, 11, 0, 1} { // the last two: max_num_reorder_frames, max_dec_frame_buffering
		w.ue(v)
	}
	w.trail()
	return escape(0x67, w.b)
}

// pps is a picture parameter set (ITU-T H.264 7.3.2.2): CAVLC, and slices that say whether they are deblocked.
func pps() []byte {
	var w bitWriter
	w.ue(0)
	w.ue(0)
	w.u(0, 2)
	w.ue(0)
	w.ue(0)
	w.ue(0)
	w.u(0, 3)
	w.ue(0)
	w.ue(0)
	w.ue(0)
	w.u(0b100, 3)
	w.trail()
	return escape(0x68, w.b)
}

// frame is the n-th picture, as the data of an FLV tag.
func (p *painter) frame(n int) []byte {
	group := synthGroup * p.FPS
	at := n % group
	perGroup := p.Bitrate / 8 * synthGroup
	goal := perGroup / int64(group-1+synthWeight)
	head := byte(0x27)
	if at == 0 {
		goal *= synthWeight
		head = 0x17
	}
	goal += p.debt
	var nal []byte
	if at == 0 {
		nal = p.key(goal, n/group)
	} else {
		nal = p.inter(goal, at, n)
	}
	p.debt = goal - int64(len(nal))
	out := append(make([]byte, 0, len(nal)+9), head, 1, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(len(nal)))
	return append(out, nal...)
}

// blocks is how many macroblocks of samples fit into so many bytes; one at least is left to prediction.
func (p *painter) blocks(size int64) int {
	return int(min(max(0, size/(macroblock+2)), int64(p.across*p.down-1)))
}

// samples writes a macroblock of noise. No byte is zero, so none has to be escaped.
func (p *painter) samples(w *bitWriter) {
	w.align()
	for range macroblock / 8 {
		w.b = binary.LittleEndian.AppendUint64(w.b, p.noise.Uint64()|0x0101010101010101)
	}
}

// key is an IDR picture of one slice: noise first, grey behind it.
func (p *painter) key(size int64, id int) []byte {
	var w bitWriter
	w.ue(0) // first_mb_in_slice
	w.ue(7) // slice_type: I
	w.ue(0)
	w.u(0, maxFrameNum)
	w.ue(uint64(id % 2)) // idr_pic_id
	w.u(0, 2)
	w.ue(0) // slice_qp_delta
	w.ue(1) // disable_deblocking_filter_idc
	total := p.across * p.down
	noisy := p.blocks(size - int64(total))
	for i := range total {
		if i < noisy {
			w.ue(slicePCM)
			p.samples(&w)
			continue
		}
		w.ue(sliceDC)
		w.ue(0) // intra_chroma_pred_mode
		w.ue(0) // mb_qp_delta
		// coeff_token of no coefficients (table 9-5). It depends on the blocks to the left and above, which count 16 each when
		// they are samples (9.2.1).
		left, above := i%p.across > 0 && i-1 < noisy, i >= p.across && i-p.across < noisy
		if left || above {
			w.u(0b000011, 6)
		} else {
			w.u(1, 1)
		}
	}
	w.trail()
	return escape(0x65, w.b)
}

// inter is a P picture of one slice, which repeats the picture before but for some noise that wanders down the picture.
func (p *painter) inter(size int64, at, n int) []byte {
	var w bitWriter
	w.ue(0)
	w.ue(5) // slice_type: P
	w.ue(0)
	w.u(uint64(at)&(1<<maxFrameNum-1), maxFrameNum)
	w.u(0, 2) // the usual references
	w.u(0, 1) // adaptive_ref_pic_marking_mode_flag
	w.ue(0)
	w.ue(1)
	total := p.across * p.down
	noisy := p.blocks(size)
	rest := total - noisy // repeated, one at least
	if noisy > 0 {
		first := n * 97 % rest
		rest -= first
		w.ue(uint64(first)) // mb_skip_run
	}
	for i := range noisy {
		w.ue(interTypes + slicePCM)
		p.samples(&w)
		if i < noisy-1 {
			w.ue(0)
		}
	}
	w.ue(uint64(rest))
	w.trail()
	return escape(0x41, w.b)
}

// filledSilence is a raw_data_block of AAC (ISO/IEC 14496-3 table 4.3) of the given size: a channel pair without spectral data,
// and fill elements.
func filledSilence(size int) []byte {
	const channelPair, fill, end, gain = 1, 6, 7, 100
	var w bitWriter
	w.u(channelPair, 3)
	w.u(0, 4)
	w.u(1, 1)       // common_window
	w.u(0, 1+2+1+6) // ics_info: a long window, no scale factor bands
	w.u(0, 1)
	w.u(0, 2) // ms_mask_present
	for range 2 {
		w.u(gain, 8)
		w.u(0, 3)
	}
	for {
		left := size - len(w.b) - 2 // for the element's head, and the end
		if left < 1 {
			break
		}
		n := min(left, fillMost)
		w.u(fill, 3)
		if n < 15 {
			w.u(uint64(n), 4)
		} else {
			w.u(15, 4)
			w.u(uint64(n-14), 8)
		}
		w.u(fillData, 8)
		for range n - 1 {
			w.u(fillByte, 8)
		}
	}
	w.u(end, 3)
	return w.b
}
