package testkit

import (
	"regexp"
	"slices"
	"strings"
)

// usesGPU tells whether arguments ask for NVENC or CUDA.
func usesGPU(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "nvenc") || strings.Contains(a, "cuda") })
}

// nvencOnly are options of ffmpeg that encoders on the CPU do not have, each with a value.
var nvencOnly = []string{"hwaccel", "hwaccel_output_format", "hwaccel_device", "hwaccel_flags", "init_hw_device", "filter_hw_device",
	"extra_hw_frames", "gpu", "rc", "zerolatency", "delay", "b_ref_mode", "spatial-aq", "spatial_aq", "temporal-aq", "temporal_aq", "rc-lookahead",
	"no-scenecut", "strict_gop", "multipass", "surfaces", "cbr", "aud", "aq-strength", "2pass", "b_adapt", "weighted_pred", "nonref_p", "cq",
	"tier", "dpb_size", "ldkfs", "unidir_b", "single-slice-intra-refresh", "intra-refresh", "coder"}

var (
	scaleCUDA  = regexp.MustCompile(`scale_cuda(=[^,;\[\]]*)?`)
	cudaFormat = regexp.MustCompile(`:?(format|interp_algo|passthrough)=[^:,;\[\]]*`)
	cudaFilter = regexp.MustCompile(`(hwupload_cuda|hwupload|hwdownload|yadif_cuda|thumbnail_cuda)(=[^,;\[\]]*)?,?`)
	danglers   = regexp.MustCompile(`,+(;|\[|$)`)
)

// withoutGPU translates arguments for NVENC and CUDA into those that have the CPU do the same.
func withoutGPU(args []string) (out []string) {
	for i := 0; i < len(args); i++ {
		name, _, _ := strings.Cut(strings.TrimPrefix(args[i], "-"), ":")
		switch option := strings.HasPrefix(args[i], "-"); {
		case option && slices.Contains(nvencOnly, name):
			i++
		case option && name == "preset" && i+1 < len(args):
			out = append(out, args[i], "ultrafast")
			i++
		case option && name == "tune" && i+1 < len(args):
			out = append(out, args[i], "zerolatency")
			i++
		case strings.HasSuffix(args[i], "_cuvid"):
			out = append(out, strings.TrimSuffix(args[i], "_cuvid"))
		case option:
			out = append(out, args[i])
		default:
			out = append(out, withoutCUDA(args[i]))
		}
	}
	return out
}

func withoutCUDA(arg string) string {
	switch arg {
	case "h264_nvenc":
		return "libx264"
	case "hevc_nvenc":
		return "libx265"
	}
	if !strings.Contains(arg, "cuda") && !strings.Contains(arg, "hwdownload") {
		return arg
	}
	arg = scaleCUDA.ReplaceAllStringFunc(arg, func(filter string) string {
		sizes, _ := strings.CutPrefix(cudaFormat.ReplaceAllString(strings.TrimPrefix(filter, "scale_cuda"), ""), "=")
		if sizes = strings.TrimPrefix(sizes, ":"); sizes == "" {
			return "format=yuv420p"
		}
		return "scale=" + sizes
	})
	return danglers.ReplaceAllString(cudaFilter.ReplaceAllString(arg, ""), "$1")
}
