package command

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"pushcart/internal/stream"
)

// trialClip is what a trial decodes: NUT with trialFrames pictures of H.264, 640x360, each trialKeys-th a key frame. A
// picture is large enough for the encoders of all GPUs.
//
//go:embed trial.nut
var trialClip []byte

const (
	trialFrames = 12
	trialKeys   = 6
	trialTick   = 3000 // 1/90,000 s from a picture to the next
)

// trialTrack is the clip's. Its codec data say Constrained Baseline (ISO/IEC 14496-15 5.3.3.1.2).
var trialTrack = &stream.Track{
	Codec: stream.H264, ClockRate: 90000, Config: []byte{1, 66, 0xc0, 22}, Width: 640, Height: 360, FrameRate: 30,
	Color: stream.Color{Primaries: bt709, Transfer: bt709, Matrix: bt709, Depth: 8},
}

// TrialArgs are the arguments behind the program's name that try whether an engine encodes a codec as a rung would: the same
// line, over a clip that is in it. The check is told what came on standard output, and says what is wrong with it: an encoder
// that makes no key frames where the source has them is of no use. Standard input is not read.
func TrialArgs(e Engine, c stream.Codec) (args []string, check func(output []byte) error) {
	e.Encoders, e.Software = []stream.Codec{c}, nil
	r := Rung{Lines: 240, Bitrate: 500_000, Codec: c}
	r.Name = r.name()
	o := Output{Rung: r, Width: 426, Height: 240, FrameRate: 30, Color: trialTrack.Color}
	if e.Backend != CPU {
		o.Width, o.Height = 640, 360
	}
	j := &PictureJob{Source: trialTrack, Mode: Latency, Outputs: []Output{o}}
	whole := j.Args(e, Settings{})
	for i := 0; i < len(whole); i++ {
		switch word := whole[i]; word {
		case "-progress", "-stats_period", "-write_index":
			i++
		case pipe(0):
			args = append(args, "data:application/octet-stream;base64,"+base64.StdEncoding.EncodeToString(trialClip))
		case "-protocol_whitelist":
			args = append(args, word, "data")
			i++
		case pipe(firstPipe):
			args[len(args)-1] = "framecrc" // instead of NUT
			args = append(args, pipe(1))
		default:
			args = append(args, word)
		}
	}
	return args, checkTrial
}

// checkTrial reads the lines of ffmpeg's framecrc: stream, DTS, PTS, duration, size, checksum, and flags unless they say key
// frame alone.
func checkTrial(output []byte) error {
	n := 0
	for line := range bytes.Lines(output) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		fields := strings.Split(text, ",")
		if len(fields) < 6 {
			return fmt.Errorf("the trial gave %q, which is no frame", text)
		}
		pts, err := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err != nil || pts != int64(n*trialTick) {
			return fmt.Errorf("picture %d of the trial has the time %s instead of %d", n, strings.TrimSpace(fields[2]), n*trialTick)
		}
		key := !strings.Contains(text, "F=0x0")
		if key != (n%trialKeys == 0) {
			return fmt.Errorf("the encoder makes key frames of its own choice: picture %d of the trial is wrong", n)
		}
		n++
	}
	if n != trialFrames {
		return fmt.Errorf("the trial gave %d pictures of %d", n, trialFrames)
	}
	return nil
}
