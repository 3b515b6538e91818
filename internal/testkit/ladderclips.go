package testkit

import (
	"fmt"
	"testing"
)

// LadderClip is a kind of source that a bitrate ladder has to follow.
type LadderClip struct {
	// Name says what is special about it.
	Name string
	// Codec of the pictures, and the size in pixels.
	Codec         FourCC
	Width, Height int
	// Rate is ffmpeg's word for the frames of a second, such as "30000/1001".
	Rate string
	// Filter of ffmpeg that the pictures go through, with the arguments for it; none is none.
	Filter []string
	// Encoder has further arguments.
	Encoder []string
}

// Pictures encodes it, with a key frame each second or so and sound that is not part of it.
func (c LadderClip) Pictures(t testing.TB) *Clip {
	t.Helper()
	source := fmt.Sprintf("testsrc2=size=%dx%d:rate=%s", c.Width, c.Height, c.Rate)
	args := append([]string(nil), c.Filter...)
	switch c.Codec {
	case HEVC:
		args = append(args, "-c:v", "libx265", "-preset", "ultrafast", "-tag:v", "hvc1",
			"-x265-params", "log-level=none:keyint=30:min-keyint=30:scenecut=0:bframes=0:open-gop=0")
	default:
		args = append(args, "-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0")
	}
	return Encode(t, c.Codec, source, append(append(args, "-pix_fmt", "yuv420p"), c.Encoder...)...)
}

// LadderClips are what hosts send: each rate that cameras and phones have, pictures out of order, upright ones.
func LadderClips() []LadderClip {
	direct := []string{"-tune", "zerolatency", "-g", "30"}
	return []LadderClip{
		{Name: "30", Codec: AVC, Width: 384, Height: 216, Rate: "30", Encoder: direct},
		{Name: "29.97", Codec: AVC, Width: 384, Height: 216, Rate: "30000/1001", Encoder: direct},
		{Name: "25", Codec: AVC, Width: 384, Height: 216, Rate: "25", Encoder: []string{"-tune", "zerolatency", "-g", "25"}},
		{Name: "variable", Codec: AVC, Width: 384, Height: 216, Rate: "30",
			Filter: []string{"-vf", "select='gt(random(1),0.35)'", "-fps_mode", "vfr"}, Encoder: []string{"-tune", "zerolatency", "-g", "20"}},
		{Name: "B-frames", Codec: AVC, Width: 384, Height: 216, Rate: "30", Encoder: []string{"-bf", "3", "-b_strategy", "0", "-g", "30"}},
		{Name: "portrait", Codec: AVC, Width: 216, Height: 384, Rate: "30", Encoder: direct},
		{Name: "HEVC", Codec: HEVC, Width: 384, Height: 216, Rate: "30"},
	}
}

// LadderPictures is the clip of a name among LadderClips. It ends the test when there is none.
func LadderPictures(t testing.TB, name string) *Clip {
	t.Helper()
	for _, c := range LadderClips() {
		if c.Name == name {
			return c.Pictures(t)
		}
	}
	t.Fatalf("no clip %q", name)
	return nil
}

// SignalLength is for how many milliseconds of each second, from its beginning on, Signal and SignalSound do something.
const SignalLength = 200

// Signal is a black picture that is white for the first 200 ms of each second, so that it can be told where a picture belongs
// after its bytes have changed; codec is AVC or VP8.
func Signal(t testing.TB, codec FourCC) *Clip {
	t.Helper()
	source := fmt.Sprintf("color=c=black:size=160x90:rate=25,drawbox=c=white:t=fill:enable='lt(mod(t,1),%g)'", SignalLength/1000.0)
	if codec == VP8 {
		return Encode(t, VP8, source, "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-keyint_min", "25",
			"-b:v", "200k", "-pix_fmt", "yuv420p")
	}
	return Encode(t, codec, source, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p")
}

// SignalSound is silence with a tone where Signal is white: of Opus, AAC or G.711 A-law.
func SignalSound(t testing.TB, codec FourCC) *Clip {
	t.Helper()
	source := fmt.Sprintf("aevalsrc='0.5*sin(2*PI*800*t)*lt(mod(t,1),%g)':s=48000", SignalLength/1000.0)
	switch codec {
	case Opus:
		return Encode(t, Opus, source, "-c:a", "libopus", "-ac", "2", "-b:a", "64k", "-application", "audio")
	case PCMA:
		return signalTelephone()
	}
	return Encode(t, codec, source, "-c:a", "aac", "-ac", "2", "-b:a", "64k")
}

// Repeat is a clip over and over: for shows that last as long as what is done to them takes. Each turn begins with the same
// frames, so that they cannot be told apart by their bytes.
func (c *Clip) Repeat(times int) *Clip {
	long := &Clip{Codec: c.Codec, Config: c.Config}
	for range times {
		for _, s := range c.Samples {
			s.DTS += long.Length
			long.Samples = append(long.Samples, s)
		}
		long.Length += c.Length
	}
	return long
}
