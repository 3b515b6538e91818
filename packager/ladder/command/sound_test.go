package command

import (
	"bytes"
	"encoding/binary"
	"math"
	"os/exec"
	"strings"
	"testing"

	"pushcart/internal/stream"
)

// soundSource makes a NUT file of sound.
func soundSource(t testing.TB, args string) string {
	t.Helper()
	path := t.TempDir() + "/source.nut"
	words := append([]string{"-v", "error", "-nostdin", "-y"}, strings.Fields(args)...)
	words = append(words, "-output_ts_offset", "10", "-f", "nut", path)
	if out, err := exec.Command("ffmpeg", words...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(words, " "), err, out)
	}
	return path
}

// samples decodes a file to mono at 8 kHz, silence where it has gaps, from 10 s on, where sources begin.
func samples(t testing.TB, path string) []int16 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-nostdin", "-copyts", "-i", path, "-af", "asetpts=PTS-10/TB,aresample=8000:async=1:first_pts=0", "-ac", "1", "-f", "s16le", "pipe:1").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := make([]int16, len(out)/2)
	if err := binary.Read(bytes.NewReader(out), binary.LittleEndian, all); err != nil {
		t.Fatal(err)
	}
	return all
}

// loud finds where sound begins, in seconds, at or after a time.
func loud(all []int16, from float64) float64 {
	for i := int(from * 8000); i < len(all); i++ {
		if math.Abs(float64(all[i])) > 2000 {
			return float64(i) / 8000
		}
	}
	return -1
}

// TestSounds: conversions and rungs have the source's times, rate, channels and bit rate, and sound stays where it was when
// some of it is lost.
func TestSounds(t *testing.T) {
	t.Parallel()
	// A beep of 0.1 s at each whole second; half a second is lost from 1.3 s on.
	beeps := "-f lavfi -i aevalsrc=exprs=0.8*sin(880*2*PI*t)*lt(mod(t\\,1)\\,0.1)"
	lost := " -af aselect=not(between(t\\,1.3\\,1.8)) "
	for _, c := range []struct {
		name, args string
		track      stream.Track
		want       []Output
	}{
		{"Opus", beeps + "|0.5*sin(440*2*PI*t)*lt(mod(t\\,1)\\,0.1):s=48000:d=5" + lost + "-c:a libopus -b:a 96k",
			stream.Track{ID: 100, Codec: stream.Opus, SampleRate: 48000, Channels: 2},
			[]Output{{SampleRate: 48000, Channels: 2, Rung: Rung{Bitrate: 128000}}, {SampleRate: 48000, Channels: 2, Rung: Rung{Bitrate: 64000}}}},
		{"A-law", beeps + ":s=8000:d=5" + lost + "-c:a pcm_alaw", stream.Track{ID: 101, Codec: stream.PCMA, SampleRate: 8000, Channels: 1},
			[]Output{{SampleRate: 48000, Channels: 1, Rung: Rung{Bitrate: 64000}}, {SampleRate: 48000, Channels: 1, Rung: Rung{Bitrate: 64000}}}},
		{"AAC", beeps + ":s=44100:d=5" + lost + "-c:a aac -b:a 128k", stream.Track{ID: 100, Codec: stream.AAC, SampleRate: 44100, Channels: 1},
			[]Output{{SampleRate: 44100, Channels: 1, Rung: Rung{Bitrate: 64000}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := MakePlan([]*stream.Track{&c.track}, ladder(t, Latency, "audio 64k"), PlanOptions{Convert: true})
			if len(p.Sound) != 1 || len(p.Sound[0].Outputs) != len(c.want) {
				t.Fatalf("planned are %+v", p.Sound)
			}
			path := soundSource(t, c.args)
			files, _ := run(t, p.Sound[0].Args(Settings{}), path, len(c.want))
			for i, f := range files {
				file, want := probe(t, f), c.want[i]
				s := file.Streams[0]
				if s.CodecName != "aac" || s.SampleRate != decimals(float64(want.SampleRate)) || s.Channels != want.Channels {
					t.Errorf("output %d is %s, %s Hz, %d channels; want %+v", i, s.CodecName, s.SampleRate, s.Channels, want)
				}
				if got := p.Sound[0].Outputs[i].Rung.Bitrate; got != want.Rung.Bitrate {
					t.Errorf("output %d is of %d bits a second; want %d", i, got, want.Rung.Bitrate)
				}
				for k := 1; k < len(file.Packets); k++ {
					if step := file.Packets[k].PTS - file.Packets[k-1].PTS; s.TimeBase != "1/"+s.SampleRate || step != aacFrame {
						t.Fatalf("output %d: %d ticks of %s from frame %d to the next; what is lost should be silence", i, step, s.TimeBase, k-1)
					}
				}
				heard := samples(t, f)
				for _, at := range []float64{1, 2, 3, 4} {
					if got := loud(heard, at-0.4); math.Abs(got-at) > 0.015 {
						t.Errorf("output %d: the beep at %g s is at %.3f", i, at, got)
					}
				}
			}
		})
	}
}
