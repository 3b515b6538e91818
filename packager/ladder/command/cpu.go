package command

import (
	"math"
	"strconv"

	"pushcart/internal/stream"
)

// cpuEncoder are the options of an encoder on the CPU, for so many frames a second.
func cpuEncoder(o Output, m Mode, s Settings, rate float64) []string {
	var args []string
	switch o.Rung.Codec {
	case stream.HEVC:
		args = x265(o, m, s, rate)
	case stream.AV1:
		args = aom(o, m)
	default:
		args = x264(o, m, rate)
	}
	args = append(args, bitrateArgs(o.Rung.Bitrate)...)
	threads := s.Threads
	if threads == 0 && m == Quality && o.Rung.Codec == stream.H264 {
		threads = mostFrameThreads
	}
	if threads > 0 {
		args = append(args, "-threads", strconv.Itoa(threads))
	}
	return args
}

// mostFrameThreads is how many threads x264 gets in mode Quality unless the operator says otherwise. There each keeps a frame
// back, and on a large host it would take one for every 32 lines.
const mostFrameThreads = 8

// fps tells an encoder the frame rate by which it spends bits, which is not the source's where frames are dropped.
func fps(rate float64) string {
	return "fps=" + decimals(math.Round(rate*1000)/1000)
}

// x264: with zerolatency it has no look-ahead and splits pictures into slices for its threads instead of keeping frames back.
func x264(o Output, m Mode, rate float64) []string {
	args := []string{
		"-c:v", "libx264", "-profile:v", profileOf(o), "-forced-idr", "1", "-sc_threshold", "0", "-a53cc", "0", "-x264-params", fps(rate),
	}
	if m == Quality {
		return append(args, "-preset", "faster", "-bf", bFrames(o), "-b_strategy", "1", "-rc-lookahead", "20", "-flags", "+cgop")
	}
	return append(args, "-preset", "veryfast", "-tune", "zerolatency", "-bf", "0")
}

// x265 has no options of ffmpeg's for most things.
func x265(o Output, m Mode, s Settings, rate float64) []string {
	params := "log-level=error:scenecut=0:open-gop=0:keyint=-1:repeat-headers=0:info=0:" + fps(rate)
	args := []string{"-c:v", "libx265", "-profile:v", profileOf(o), "-forced-idr", "1"}
	if m == Quality {
		params += ":bframes=2:b-adapt=1:rc-lookahead=15"
		args = append(args, "-preset", "veryfast")
	} else {
		params += ":bframes=0"
		args = append(args, "-preset", "ultrafast", "-tune", "zerolatency")
	}
	if s.Threads > 0 {
		params += ":pools=" + strconv.Itoa(s.Threads)
	}
	return append(args, "-x265-params", params)
}

// aom is libaom's real-time coder, which makes a key frame of each frame that is forced to be one.
func aom(o Output, m Mode) []string {
	speed := "8"
	if m == Quality {
		speed = "7"
	}
	return []string{
		"-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", speed, "-lag-in-frames", "0",
		"-row-mt", "1", "-tile-columns", "1", "-aq-mode", "3",
		// Of a picture's share of bits: without them it spends more by a tenth.
		"-undershoot-pct", "50", "-overshoot-pct", "10",
	}
}
