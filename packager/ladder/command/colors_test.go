package command

import (
	"os/exec"
	"testing"

	"pushcart/internal/stream"
)

// shown is the colour of the middle of a file's first picture, as a player shows it.
func shown(t testing.TB, path string) [3]int {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-i", path, "-frames:v", "1",
		"-vf", "scale=in_color_matrix=auto:flags=accurate_rnd+full_chroma_int,format=gbrp,format=rgb24,crop=2:2", "-f", "rawvideo", "pipe:1").Output()
	if err != nil || len(out) < 3 {
		t.Fatalf("%s: %v", path, err)
	}
	return [3]int{int(out[0]), int(out[1]), int(out[2])}
}

// TestColors: a colour stays what it is, however the source has it, in rungs and posters.
func TestColors(t *testing.T) {
	t.Parallel()
	// A green, of which BT.601 and BT.709 make the most different samples.
	want := [3]int{0x20, 0xc0, 0x40}
	sdr := stream.Color{Primaries: 1, Transfer: 1, Matrix: 1, Depth: 8}
	full := sdr
	full.Full = true
	tagged := "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range="
	for _, c := range []struct {
		name, args string
		track      stream.Track
	}{
		{"BT.709", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p," + tagged + "tv -c:v libx264", stream.Track{Codec: stream.H264, Color: sdr}},
		{"full range", "scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p," + tagged + "pc -c:v libx264", stream.Track{Codec: stream.H264, Color: full}},
		{"4:4:4", "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p," + tagged + "tv -c:v libx264", stream.Track{Codec: stream.H264, Color: sdr}},
		{"RGB", "format=gbrp -c:v libx264rgb", stream.Track{Codec: stream.H264}},
		{"BT.601, untold", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p -c:v libx264", stream.Track{Codec: stream.H264}},
		{"VP8", "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p -c:v libvpx -deadline realtime -b:v 1M", stream.Track{Codec: stream.VP8}},
		{"10 bits", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le," + tagged + "tv -c:v libx264", stream.Track{Codec: stream.H264, Color: sdr}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := source(t, "-f lavfi -i color=c=0x20c040:s=320x240:r=10:d=1,format=gbrp -vf "+c.args)
			c.track.Width, c.track.Height = 320, 240
			p := MakePlan([]*stream.Track{&c.track}, ladder(t, Latency, "180p 400k"), PlanOptions{Poster: 1e9})
			files, _ := run(t, p.Picture.Args(all, Settings{}), path, 2)
			for i, f := range files {
				got := shown(t, f)
				for k := range got {
					if d := got[k] - want[k]; d > 8 || d < -8 {
						t.Errorf("output %d shows %v; want %v", i, got, want)
						break
					}
				}
			}
		})
	}
}
