package command

import (
	"fmt"
	"strconv"
	"strings"
)

// Args are the arguments behind the program's name. Sound that is lost becomes silence, and sound that comes twice is cut, so
// that what follows is where it was (aresample's async): never is it stretched to fit.
func (j *SoundJob) Args(s Settings) []string {
	args := append(common(), input("-threads", "1")...)
	args = append(args, "-filter_complex", j.graph())
	for i, o := range j.Outputs {
		args = append(args, "-map", "["+label("o", i)+"]",
			"-c:a", "aac", "-b:a", strconv.Itoa(o.Rung.Bitrate), "-ar", strconv.Itoa(o.SampleRate), "-ac", strconv.Itoa(o.Channels))
		args = append(args, output(firstPipe+i)...)
	}
	return args
}

// graph resamples for each output.
func (j *SoundJob) graph() string {
	var b strings.Builder
	b.WriteString("[0:a:0]")
	from := []string{""}
	if n := len(j.Outputs); n > 1 {
		fmt.Fprintf(&b, "asplit=%d", n)
		from = nil
		for i := range n {
			fmt.Fprintf(&b, "[%s]", label("s", i))
			from = append(from, ";["+label("s", i)+"]")
		}
	}
	for i, o := range j.Outputs {
		layout := "stereo"
		if o.Channels == 1 {
			layout = "mono"
		}
		fmt.Fprintf(&b, "%saresample=%d:async=1:min_hard_comp=0.02,aformat=sample_fmts=fltp:sample_rates=%d:channel_layouts=%s[%s]",
			from[i], o.SampleRate, o.SampleRate, layout, label("o", i))
	}
	return b.String()
}
