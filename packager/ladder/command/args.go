package command

import (
	"strconv"

	"pushcart/internal/stream"
)

// Descriptors of a child.
const (
	progressPipe = 3
	firstPipe    = 4 // the first output's
)

// common opens every command: no questions, no banner, and what happens on descriptor 3.
func common() []string {
	return []string{
		"-hide_banner", "-nostdin", "-nostats", "-loglevel", "error",
		"-progress", pipe(progressPipe), "-stats_period", "0.5",
		"-copyts", // timestamps are the source's, to the tick
	}
}

func pipe(fd int) string { return "pipe:" + strconv.Itoa(fd) }

// input is NUT on standard input, of which the header says all: nothing is probed, so that nothing waits.
func input(before ...string) []string {
	return append(before,
		"-protocol_whitelist", "pipe", "-fpsprobesize", "0", "-probesize", "32", "-analyzeduration", "0",
		"-f", "nut", "-i", pipe(0),
	)
}

// output is NUT on a descriptor, each packet at once, without the index that would grow with the length of the stream.
func output(fd int) []string {
	return []string{"-flush_packets", "1", "-write_index", "0", "-f", "nut", pipe(fd)}
}

// Args are the arguments behind the program's name. All of the job's outputs have to be such as the engine encodes;
// PictureJob.On makes them so.
func (j *PictureJob) Args(e Engine, s Settings) []string {
	g := j.graph(e)
	args := append(common(), g.devices()...)
	args = append(args, input(j.decoder(g)...)...)
	if g.chains = g.build(); g.chains != "" {
		args = append(args, "-filter_complex", g.chains)
	}
	for i, o := range j.Outputs {
		args = append(args, "-map", "["+label("o", i)+"]")
		args = append(args, g.encoder(o, s)...)
		args = append(args,
			"-fps_mode", "passthrough", "-enc_time_base", "1:90000",
			// Key frames where the source has them and nowhere else.
			"-force_key_frames", "source", "-g", "100000",
		)
		args = append(args, colorArgs(o.Color)...)
		args = append(args, output(firstPipe+i)...)
	}
	if j.Poster != nil {
		// One thread: more of them would keep pictures back, each for the time to the next poster.
		args = append(args, "-map", "[poster]", "-c:v", "mjpeg", "-q:v", "4", "-threads", "1",
			"-fps_mode", "passthrough", "-enc_time_base", "1:90000")
		args = append(args, output(firstPipe+len(j.Outputs))...)
	}
	return args
}

// simple is the most pixels a second that one thread decodes in real time on any machine: 1080p at 60.
const simple = 1920 * 1088 * 60

// decoder are the options of decoding, in front of the input. Threads that decode frames side by side keep one frame back
// each, so in mode Latency there is one, unless the picture is too large for that.
func (j *PictureJob) decoder(g *graph) []string {
	threads := 1
	load := float64(j.Source.Width) * float64(j.Source.Height) * rate(j.Source.FrameRate)
	if j.Mode == Quality {
		threads = 2
	}
	threads += min(int(load/simple), 6)
	args := []string{"-noautorotate", "-threads", strconv.Itoa(threads)}
	if g.onGPU {
		args = append(args, g.hwaccel()...)
	}
	return args
}

// colorArgs tell the encoder what samples stand for; newer versions take it from the frames, which the graph marks.
func colorArgs(c stream.Color) []string {
	return []string{
		"-color_primaries", primaryNames[c.Primaries], "-color_trc", transferArg(c.Transfer),
		"-colorspace", matrixNames[c.Matrix], "-color_range", "tv",
	}
}

// transferArg is a transfer's name as encoders' options have it, which is another one for two of them.
func transferArg(t uint8) string {
	switch t {
	case 4:
		return "gamma22"
	case 5:
		return "gamma28"
	}
	return transferNames[t]
}

// bitrateArgs hold an output to its bit rate, over about one second. Encoders spend it by the frame, at the rate that they
// take the source to have.
func bitrateArgs(bitrate int) []string {
	b := strconv.Itoa(bitrate)
	return []string{"-b:v", b, "-maxrate:v", b, "-bufsize:v", b}
}

// nominal is the bit rate to ask of an encoder that cannot be told the frame rate: with frames dropped it would spend too
// little.
func (g *graph) nominal(o Output) []string {
	bitrate := float64(o.Rung.Bitrate) * rate(g.job.Source.FrameRate) / g.rate(o)
	return bitrateArgs(int(min(bitrate, 4*mostBitrate)))
}

// rate is how many frames a second an output will have, as far as is known when the command is written.
func (g *graph) rate(o Output) float64 {
	r := known(g.job.Source.FrameRate)
	if g.drops(o) && (r == 0 || r > o.Rung.FrameRate) {
		return o.Rung.FrameRate
	}
	return rate(r)
}

// drops tells whether frames of an output are left out: those of a source of which a rate within the cap is known by now are
// not.
func (g *graph) drops(o Output) bool {
	r := known(g.job.Source.FrameRate)
	return o.Capped && (r == 0 || r > o.Rung.FrameRate*withinCap)
}

// profileOf is an output's profile: what was asked for, else High from 720 lines on and Main below for H.264, and what the
// depth wants for HEVC.
func profileOf(o Output) string {
	switch {
	case o.Rung.Codec == stream.HEVC && o.Color.Depth > 8:
		return "main10"
	case o.Rung.Codec != stream.H264:
		return "main"
	case o.Rung.Profile != "":
		return o.Rung.Profile
	case min(o.Width, o.Height) >= firstHD:
		return "high"
	}
	return "main"
}

// encoder are the options of an output's encoder.
func (g *graph) encoder(o Output, s Settings) []string {
	if !g.hardware(o) {
		return cpuEncoder(o, g.job.Mode, s, g.rate(o))
	}
	var args []string
	switch g.engine.Backend {
	case NVENC:
		args = nvencEncoder(o, g.job.Mode, g.engine.Device)
	case QSV:
		args = qsvEncoder(o, g.job.Mode)
	case VAAPI:
		args = vaapiEncoder(o, g.job.Mode)
	case AMF:
		args = amfEncoder(o, g.job.Mode)
	}
	return append(args, g.nominal(o)...)
}
