package command

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"pushcart/internal/stream"
)

// asked keeps what ffmpeg said: starting it takes longer than all the rest.
var asked sync.Map

// ask is what ffmpeg says of one of its parts.
func ask(t testing.TB, args ...string) string {
	t.Helper()
	question := strings.Join(args, " ")
	if said, ok := asked.Load(question); ok {
		return said.(string)
	}
	out, err := exec.Command("ffmpeg", append([]string{"-hide_banner"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ffmpeg %s: %v", strings.Join(args, " "), err)
	}
	asked.Store(question, string(out))
	return string(out)
}

// settled are options of ffmpeg's own or of all encoders, which its help for one encoder does not list.
var settled = []string{
	"-hide_banner", "-nostdin", "-nostats", "-loglevel", "-progress", "-stats_period", "-copyts", "-noautorotate", "-threads", "-protocol_whitelist",
	"-fpsprobesize", "-probesize", "-analyzeduration", "-f", "-i", "-filter_complex", "-map", "-fps_mode", "-enc_time_base", "-force_key_frames", "-g", "-bf",
	"-color_primaries", "-color_trc", "-colorspace", "-color_range", "-flush_packets", "-write_index", "-c:v", "-q:v", "-profile:v", "-b:v", "-maxrate:v",
	"-bufsize:v", "-init_hw_device", "-filter_hw_device", "-hwaccel", "-hwaccel_device", "-hwaccel_output_format", "-extra_hw_frames", "-sc_threshold", "-flags",
}

// TestOptionsExist: each option and filter of a line for a GPU is one that ffmpeg has, with that value where it lists values.
// It knows the encoders of all GPUs but AMD's own on this system.
func TestOptionsExist(t *testing.T) {
	t.Parallel()
	listed := ask(t, "-encoders")
	for _, b := range []Backend{NVENC, QSV, VAAPI, CPU} {
		for _, c := range []stream.Codec{stream.H264, stream.HEVC, stream.AV1} {
			for _, m := range []Mode{Latency, Quality} {
				e := Engine{Backend: b, Encoders: []stream.Codec{c}, Device: deviceFor(b, "/dev/dri/renderD128")}
				j := MakePlan([]*stream.Track{trialTrack}, ladder(t, m, "240p 400k "+codecWord(c)), PlanOptions{}).Picture
				if b != CPU && !strings.Contains(listed, " "+encoderName(c, b)+" ") {
					if c != stream.AV1 {
						t.Errorf("this ffmpeg has no %s", encoderName(c, b))
					}
					continue // AV1 came to GPUs after this version
				}
				checkEncoder(t, j.Args(e, Settings{}))
				if c == stream.H264 {
					j.Outputs[0].Rung.Profile = "baseline"
					checkEncoder(t, j.Args(e, Settings{}))
				}
				e.Filters = true
				checkFilters(t, j.Args(e, Settings{}))
			}
		}
	}
}

var optionLine = regexp.MustCompile(`(?m)^  -([a-zA-Z0-9_-]+) +<`)

// checkEncoder holds the options behind -c:v against the encoder's help.
func checkEncoder(t *testing.T, args []string) {
	t.Helper()
	at := slices.Index(args, "-c:v")
	name := args[at+1]
	help := ask(t, "-h", "encoder="+name)
	var has []string
	for _, m := range optionLine.FindAllStringSubmatch(help, -1) {
		has = append(has, "-"+m[1])
	}
	for i := 0; i < len(args); i++ {
		if args[i][0] != '-' {
			continue
		}
		if !slices.Contains(settled, args[i]) && !slices.Contains(has, args[i]) {
			t.Errorf("%s has no option %s", name, args[i])
		}
		if i+1 < len(args) && slices.Contains([]string{"-rc", "-rc_mode", "-preset", "-tune", "-usage", "-profile:v"}, args[i]) && !strings.HasPrefix(name, "lib") {
			if !regexp.MustCompile(`(?m)^     ` + args[i+1] + ` +`).MatchString(help) {
				t.Errorf("%s knows no %s %s", name, args[i], args[i+1])
			}
		}
	}
}

// checkFilters holds the filters of a graph, and their options, against ffmpeg's help.
func checkFilters(t *testing.T, args []string) {
	t.Helper()
	graph := args[slices.Index(args, "-filter_complex")+1]
	graph = regexp.MustCompile(`'[^']*'`).ReplaceAllString(graph, "0")
	graph = regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(graph, "")
	for part := range strings.FieldsFuncSeq(graph, func(r rune) bool { return r == ';' || r == ',' }) {
		name, options, _ := strings.Cut(part, "=")
		help := ask(t, "-h", "filter="+name)
		if strings.Contains(help, "Unknown filter") {
			t.Errorf("ffmpeg has no filter %s", name)
			continue
		}
		for option := range strings.SplitSeq(options, ":") {
			key, _, named := strings.Cut(option, "=")
			// What all filters have their own help does not list.
			if named && key != "extra_hw_frames" && !regexp.MustCompile(`(?m)^   `+key+` +<`).MatchString(help) {
				t.Errorf("%s has no option %s", name, key)
			}
		}
	}
}
