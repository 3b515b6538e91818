package command

import (
	"math"
	"strings"
	"testing"
	"time"

	"pushcart/internal/stream"
)

// permitted are the characters that commands are made of.
const permitted = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.,:;=+*'()[]/@"

// FuzzMakePlan: whatever a publisher's track claims, a plan has pictures that encoders take, never larger than the source,
// and commands of nothing but numbers and fixed words.
func FuzzMakePlan(f *testing.F) {
	f.Add(uint8(stream.H264), 1920, 1080, 1, 1, 29.97, []byte{1, 100, 0, 31}, uint8(1), uint8(1), uint8(1), uint8(8), false, "de", "Name")
	f.Add(uint8(stream.VP8), 2, 2, 0, 0, 0.0, []byte{}, uint8(0), uint8(0), uint8(0), uint8(0), true, "'", ";")
	f.Add(uint8(stream.HEVC), 1, 4096, math.MaxInt, 1, math.NaN(), []byte(nil), uint8(9), uint8(16), uint8(9), uint8(10), false, "pt-BR", "]")
	f.Add(uint8(stream.VP9), 65536, 65536, -1, math.MinInt, math.Inf(-1), []byte{1}, uint8(200), uint8(18), uint8(255), uint8(12), true, "", "")
	f.Add(uint8(stream.AV1), math.MaxInt, -5, 16, 11, 1e300, []byte{0x81, 0, 0x0c}, uint8(2), uint8(2), uint8(2), uint8(2), true, "", "")
	l := ladder(f, Latency, "1080p 4M", "720p 1.8M 30fps", "480p 900k hevc", "240p 350k av1 15fps", "200x100 100k", "32p 50k baseline", "audio 64k")
	f.Fuzz(func(t *testing.T, codec uint8, w, h, x, y int, rate float64, config []byte, primaries, transfer, matrix, depth uint8, full bool, lang, name string) {
		track := &stream.Track{
			Codec: stream.Codec(codec), Width: w, Height: h, PixelAspect: [2]int{x, y}, FrameRate: rate, Config: config, Language: lang, Name: name,
			Color:      stream.Color{Primaries: primaries, Transfer: transfer, Matrix: matrix, Depth: depth, Full: full},
			SampleRate: w, Channels: h,
		}
		if !track.Video() {
			track.ID = 100
		}
		p := MakePlan([]*stream.Track{track}, l, PlanOptions{Convert: true, Poster: 5 * time.Second})
		Tracks(p)
		for _, j := range p.Sound {
			plainWords(t, j.Args(Settings{}))
		}
		if p.Picture == nil {
			return
		}
		if c := p.Picture.Cost(); !(c >= 0) || math.IsInf(c, 0) {
			t.Fatalf("it costs %g", c)
		}
		size := displayed(track)
		for _, o := range p.Picture.Outputs {
			s := [2]int{o.Width, o.Height}
			if o.Width%2+o.Height%2 != 0 || min(o.Width, o.Height) < leastPicture || o.Width > size.w || o.Height > size.h || max(o.Width, o.Height) > mostLong {
				t.Fatalf("%s is of %v, the source of %+v", o.Rung.Name, s, size)
			}
			if off := math.Abs(float64(o.Width)*float64(size.h)/float64(size.w) - float64(o.Height)); off > 2+2*float64(size.h)/float64(size.w) {
				t.Fatalf("%s is of %v, the source of %+v", o.Rung.Name, s, size)
			}
		}
		for _, e := range Candidates(Backends(), "/dev/dri/renderD128") {
			e.Encoders = all.Encoders
			plainWords(t, p.Picture.Args(e, Settings{}))
		}
	})
}

func plainWords(t *testing.T, args []string) {
	t.Helper()
	for _, a := range args {
		if a == "" || strings.Trim(a, permitted) != "" || strings.Contains(a, "NaN") || strings.Contains(a, "Inf") || strings.Contains(a, "=:") || strings.HasSuffix(a, "=") {
			t.Fatalf("%q is an argument", a)
		}
	}
}
