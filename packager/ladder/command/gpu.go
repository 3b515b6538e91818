package command

import (
	"fmt"

	"pushcart/internal/stream"
)

// gpuName is what a command calls its device.
const gpuName = "gpu"

// devices opens the GPU where filters or encoders want it.
func (g *graph) devices() []string {
	used := g.onGPU
	for _, o := range g.job.Outputs {
		used = used || g.hardware(o)
	}
	if !used {
		return nil
	}
	device := g.engine.Device
	switch g.engine.Backend {
	case NVENC:
		if !g.onGPU {
			return nil // the encoder opens it itself
		}
		return opened("cuda="+gpuName, device)
	case VAAPI:
		return opened("vaapi="+gpuName, device)
	case QSV:
		if device != "" {
			return opened("qsv="+gpuName, "hw,child_device="+device)
		}
		return opened("qsv="+gpuName, "hw")
	}
	return nil
}

func opened(device, which string) []string {
	if which != "" {
		device += ":" + which
	}
	return []string{"-init_hw_device", device, "-filter_hw_device", gpuName}
}

// spareFrames is how many surfaces beyond its own a decoder has for the filters that hold some.
const spareFrames = "8"

// hwaccel are the options of decoding in the GPU's memory.
func (g *graph) hwaccel() []string {
	switch g.engine.Backend {
	case NVENC:
		return []string{"-hwaccel", "cuda", "-hwaccel_device", gpuName, "-hwaccel_output_format", "cuda", "-extra_hw_frames", spareFrames}
	case VAAPI:
		return []string{
			"-hwaccel", "vaapi", "-hwaccel_device", gpuName, "-hwaccel_output_format", "vaapi", "-extra_hw_frames", spareFrames,
		}
	}
	decoder := "h264_qsv"
	if g.job.Source.Codec == stream.HEVC {
		decoder = "hevc_qsv"
	}
	return []string{
		"-hwaccel", "qsv", "-hwaccel_output_format", "qsv", "-extra_hw_frames", spareFrames, "-c:v", decoder, "-async_depth", "1",
	}
}

// gpuScale is the filter that scales in the GPU's memory.
func (g *graph) gpuScale(w, h int) string {
	switch g.engine.Backend {
	case NVENC:
		return fmt.Sprintf("scale_cuda=w=%d:h=%d:interp_algo=bicubic:format=nv12", w, h)
	case VAAPI:
		return fmt.Sprintf("scale_vaapi=w=%d:h=%d:format=nv12:mode=hq:out_range=tv", w, h)
	}
	return fmt.Sprintf("scale_qsv=w=%d:h=%d:format=nv12:mode=hq:extra_hw_frames=%d", w, h, g.held())
}

// held is how many surfaces an encoder of Quick Sync Video may hold: its pools do not grow.
func (g *graph) held() int {
	if g.job.Mode == Quality {
		return 48
	}
	return 16
}

// upload brings frames from the CPU's filters to the GPU, for encoders that do not do so themselves.
func (g *graph) upload() []string {
	switch g.engine.Backend {
	case VAAPI:
		return []string{"hwupload"}
	case QSV:
		return []string{fmt.Sprintf("hwupload=extra_hw_frames=%d", g.held()), "format=qsv"}
	}
	return nil
}

// encoderName is ffmpeg's name of a back-end's encoder.
func encoderName(c stream.Codec, b Backend) string { return codecWord(c) + "_" + string(b) }

// nvencEncoder: no frame is kept back (delay 0, zerolatency), and none but the forced ones is a key frame (no-scenecut).
func nvencEncoder(o Output, m Mode, device string) []string {
	args := []string{"-c:v", encoderName(o.Rung.Codec, NVENC)}
	if device != "" {
		args = append(args, "-gpu", device)
	}
	args = append(args, gpuProfile(o, NVENC)...)
	args = append(args, "-forced-idr", "1", "-no-scenecut", "1", "-rc", "cbr")
	if m == Quality {
		args = append(args, "-preset", "p5", "-tune", "hq", "-rc-lookahead", "20", "-bf", bFrames(o),
			"-spatial-aq", "1", "-strict_gop", "1")
	} else {
		args = append(args, "-preset", "p4", "-tune", "ll", "-rc-lookahead", "0", "-bf", "0", "-delay", "0", "-zerolatency", "1")
	}
	return args
}

// qsvEncoder: one frame at a time in mode Latency (async_depth 1); adaptive_i off keeps key frames where they are forced,
// which H.264 alone has.
func qsvEncoder(o Output, m Mode) []string {
	args := append([]string{"-c:v", encoderName(o.Rung.Codec, QSV)}, gpuProfile(o, QSV)...)
	args = append(args, "-forced_idr", "1")
	switch o.Rung.Codec {
	case stream.H264:
		args = append(args, "-idr_interval", "0", "-adaptive_i", "0", "-adaptive_b", "0")
	case stream.HEVC:
		args = append(args, "-idr_interval", "0")
	}
	if m == Quality {
		return append(args, "-preset", "medium", "-async_depth", "4", "-bf", bFrames(o))
	}
	return append(args, "-preset", "veryfast", "-async_depth", "1", "-bf", "0")
}

// bFrames is how many B-frames there may be in a row in mode Quality. Baseline has none.
func bFrames(o Output) string {
	if profileOf(o) == "baseline" {
		return "0"
	}
	return "2"
}

// vaapiEncoder: an I-frame is an IDR picture (idr_interval 0), and I-frames are the forced ones alone.
func vaapiEncoder(o Output, m Mode) []string {
	args := append([]string{"-c:v", encoderName(o.Rung.Codec, VAAPI)}, gpuProfile(o, VAAPI)...)
	args = append(args, "-rc_mode", "CBR", "-idr_interval", "0")
	if m == Quality {
		args = append(args, "-async_depth", "4", "-bf", bFrames(o))
	} else {
		args = append(args, "-async_depth", "1", "-bf", "0")
	}
	return args
}

// amfEncoder: versions without forced_idr make no key frame where it is wanted; there the trial fails.
func amfEncoder(o Output, m Mode) []string {
	args := append([]string{"-c:v", encoderName(o.Rung.Codec, AMF)}, gpuProfile(o, AMF)...)
	args = append(args, "-forced_idr", "1", "-rc", "cbr", "-enforce_hrd", "1", "-filler_data", "0")
	if m == Quality {
		args = append(args, "-usage", "transcoding", "-quality", "quality")
	} else {
		args = append(args, "-usage", "ultralowlatency", "-quality", "balanced")
	}
	if o.Rung.Codec == stream.H264 {
		args = append(args, "-bf", "0") // the others have none
	}
	return args
}

// gpuProfile names the profile as encoders of GPUs do.
func gpuProfile(o Output, b Backend) []string {
	p := profileOf(o)
	switch {
	case o.Rung.Codec == stream.AV1:
		return nil // Main is the only one they make
	case p == "baseline" && (b == VAAPI || b == AMF):
		p = "constrained_baseline"
	case p == "main10" && b == AMF:
		return nil // it follows the frames
	}
	return []string{"-profile:v", p}
}
