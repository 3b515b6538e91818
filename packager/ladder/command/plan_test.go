package command

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/stream"
)

// planned is a plan in short: "17 720p 1280x720" for each output, then the notes.
func planned(p Plan) []string {
	var all []string
	if p.Picture != nil {
		for _, o := range p.Picture.Outputs {
			text := fmt.Sprintf("%d %s %dx%d %d", o.Track, o.Rung.Name, o.Width, o.Height, o.Rung.Bitrate/1000)
			if o.StandsIn {
				text += " for the source"
			}
			if o.Capped {
				text += fmt.Sprintf(" at %g", o.FrameRate)
			}
			if o.ToneMapped {
				text += " mapped"
			}
			all = append(all, text)
		}
		if q := p.Picture.Poster; q != nil {
			all = append(all, fmt.Sprintf("poster %dx%d", q.Width, q.Height))
		}
	}
	for _, j := range p.Sound {
		for _, o := range j.Outputs {
			text := fmt.Sprintf("%d %s %d %d %d", o.Track, o.Rung.Name, o.SampleRate, o.Channels, o.Rung.Bitrate/1000)
			if o.StandsIn {
				text += " for the source"
			}
			all = append(all, text)
		}
	}
	for _, n := range p.Notes {
		all = append(all, "# "+n)
	}
	return all
}

func TestMakePlan(t *testing.T) {
	t.Parallel()
	video := func(c stream.Codec, w, h int, rate float64) *stream.Track {
		return &stream.Track{Codec: c, Width: w, Height: h, FrameRate: rate}
	}
	second := func(t *stream.Track) *stream.Track { t.ID++; return t }
	mobile := []string{"240p 350k", "720p 1.8M", "480p 900k", "audio 64k"}
	hlg := video(stream.HEVC, 1920, 1080, 30)
	hlg.Color.Transfer = stream.TransferHLG
	deep := video(stream.H264, 1280, 720, 30)
	deep.Config = []byte{1, 110, 0, 31}
	dvd := video(stream.H264, 720, 576, 25)
	dvd.PixelAspect = [2]int{64, 45}
	tall := video(stream.H264, 1440, 1080, 25)
	tall.PixelAspect = [2]int{3, 4}
	sound := func(id int, c stream.Codec, rate, channels int) *stream.Track {
		return &stream.Track{ID: id, Codec: c, SampleRate: rate, Channels: channels}
	}
	for name, c := range map[string]struct {
		tracks []*stream.Track
		rungs  []string
		opt    PlanOptions
		want   []string
	}{
		"a phone": {[]*stream.Track{video(stream.H264, 1080, 1920, 30), sound(100, stream.AAC, 48000, 2)}, mobile, PlanOptions{Convert: true, Poster: time.Second},
			[]string{"17 720p 720x1280 1800", "18 480p 480x854 900", "19 240p 240x426 350", "poster 360x640", "131 audio-64k 48000 2 64"}},
		"the source is a rung":        {[]*stream.Track{video(stream.H264, 1280, 720, 30)}, mobile, PlanOptions{}, []string{"18 480p 854x480 900", "19 240p 426x240 350"}},
		"the source is the only rung": {[]*stream.Track{video(stream.H264, 1280, 720, 30)}, []string{"720p 1M 30fps"}, PlanOptions{}, nil},
		"1088 lines":                  {[]*stream.Track{video(stream.H264, 1920, 1088, 30)}, []string{"1080p 4M"}, PlanOptions{}, nil},
		"faster than the cap": {[]*stream.Track{video(stream.H264, 1280, 720, 60)}, []string{"720p 1M 30fps", "480p 900k 59.94fps"}, PlanOptions{},
			[]string{"17 720p 1280x720 1000 at 30", "18 480p 854x480 900"}},
		"never larger": {[]*stream.Track{video(stream.H264, 640, 480, 30)}, mobile, PlanOptions{},
			[]string{"19 240p 320x240 350", "# Rung 720p is left out: the source has only 640x480."}},
		"a box": {[]*stream.Track{video(stream.H264, 640, 480, 30)}, []string{"640x360 500k", "1280x720 1M"}, PlanOptions{},
			[]string{"18 640x360 480x360 500", "# Rung 1280x720 is left out: the source has only 640x480."}},
		"HEVC is made H.264": {[]*stream.Track{video(stream.HEVC, 1280, 720, 30)}, []string{"720p 1.8M", "720p 1M hevc"}, PlanOptions{Convert: true}, []string{"17 720p 1280x720 1800"}},
		"HDR": {[]*stream.Track{hlg}, []string{"720p 1.8M", "720p 1M hevc"}, PlanOptions{},
			[]string{"17 720p 1280x720 1800 mapped", "18 720p-hevc 1280x720 1000", "# The source is HDR (HLG): it is tone-mapped to SDR for 720p."}},
		"H.264 of 10 bits is not for all": {[]*stream.Track{deep}, []string{"720p 1.8M"}, PlanOptions{}, []string{"17 720p 1280x720 1800"}},
		"VP8": {[]*stream.Track{video(stream.VP8, 1280, 720, 30)}, nil, PlanOptions{Convert: true},
			[]string{"16 720p 1280x720 2500 for the source", "# The source is VP8, which not all browsers play in HLS: 720p of 1280x720 in H.264 stands in for it."}},
		"VP8 with a rung of its size": {[]*stream.Track{video(stream.VP8, 1280, 720, 30)}, mobile, PlanOptions{Convert: true},
			[]string{"16 720p 1280x720 1800 for the source", "18 480p 854x480 900", "19 240p 426x240 350",
				"# The source is VP8, which not all browsers play in HLS: 720p of 1280x720 in H.264 stands in for it."}},
		"VP8 without conversion": {[]*stream.Track{video(stream.VP8, 1280, 720, 30)}, []string{"720p 1M", "240p 350k"}, PlanOptions{},
			[]string{"17 720p 1280x720 1000", "18 240p 426x240 350 for the source"}},
		"VP9 beyond H.264": {[]*stream.Track{video(stream.VP9, 7680, 4320, 30)}, nil, PlanOptions{Convert: true},
			[]string{"16 2304p 4096x2304 14300 for the source", "# The source is VP9, which not all browsers play in HLS: 2304p of 4096x2304 in H.264 stands in for it.",
				"# 2304p is smaller than the source: H.264 has no pictures of 7680x4320."}},
		"H.264 beyond its level": {[]*stream.Track{video(stream.HEVC, 7680, 4320, 30)}, []string{"4320p 20M", "2160p 9M"}, PlanOptions{},
			[]string{"18 2160p 3840x2160 9000", "# Rung 4320p is left out: 7680x4320 is more than H.264 decoders take."}},
		"the publisher's own": {[]*stream.Track{second(video(stream.H264, 854, 480, 30)), video(stream.H264, 1920, 1080, 30)}, mobile, PlanOptions{},
			[]string{"17 720p 1280x720 1800", "19 240p 426x240 350", "# Rung 480p is left out: the publisher sends 854x480 himself."}},
		"about the publisher's own": {[]*stream.Track{video(stream.H264, 1920, 1080, 30), second(video(stream.H264, 960, 540, 30))}, []string{"480p 900k", "500p 1M"}, PlanOptions{},
			[]string{"18 480p 854x480 900", "# Rung 500p is left out: the publisher sends 960x540 himself."}},
		"narrow samples": {[]*stream.Track{dvd}, []string{"576p 1M", "288p 400k"}, PlanOptions{}, []string{"18 288p 512x288 400"}},
		"high samples":   {[]*stream.Track{tall}, []string{"720p 1M"}, PlanOptions{}, []string{"17 720p 720x720 1000"}},
		"no size yet": {[]*stream.Track{video(stream.VP8, 0, 0, 0)}, nil, PlanOptions{Convert: true, Poster: time.Second},
			[]string{"# Nothing is made of the video: its size is not known, or less than 16 pixels."}},
		"two pixels": {[]*stream.Track{video(stream.H264, 2, 2, 0)}, mobile, PlanOptions{Poster: time.Second},
			[]string{"# Nothing is made of the video: its size is not known, or less than 16 pixels."}},
		"a line": {[]*stream.Track{video(stream.VP9, 1, 4096, 0)}, nil, PlanOptions{Convert: true},
			[]string{"# Nothing is made of the video: its size is not known, or less than 16 pixels."}},
		"a ribbon": {[]*stream.Track{video(stream.VP9, 16, 65536, math.NaN())}, []string{"32p 100k"}, PlanOptions{Convert: true},
			[]string{"# The source is VP9, which not all browsers play in HLS, and H.264 has no pictures of the shape of 16x65536.",
				"# Rung 32p is left out: the source has only 16x65536."}},
		"a ribbon's rung": {[]*stream.Track{video(stream.H264, 64, 8192, math.Inf(1))}, []string{"32x300 100k"}, PlanOptions{},
			[]string{"# Rung 32x300 is left out: 2x300 is too small for encoders."}},
		"sounds": {[]*stream.Track{sound(101, stream.PCMA, 8000, 1), sound(100, stream.Opus, 48000, 6), sound(115, stream.Opus, 48000, 2)}, []string{"audio 32k"}, PlanOptions{Convert: true},
			[]string{"117 audio-aac-1 48000 1 64 for the source", "116 audio-aac 48000 2 128 for the source", "131 audio-32k 48000 1 32",
				"# The sound is G.711 A-law, which not all browsers play in HLS: audio-aac-1 in AAC stands in for it.",
				"# The sound is Opus, which not all browsers play in HLS: audio-aac in AAC stands in for it.", "# audio-aac is of two channels: the source's 6 are mixed.",
				"# Audio track 115 is not converted from Opus: there is room for 15."}},
		"44.1 kHz":         {[]*stream.Track{sound(100, stream.AAC, 44100, 2)}, []string{"audio 64k"}, PlanOptions{Convert: true}, []string{"131 audio-64k 44100 2 64"}},
		"nothing to do":    {[]*stream.Track{video(stream.H264, 1280, 720, 30), sound(100, stream.AAC, 44100, 2)}, nil, PlanOptions{Convert: true}, nil},
		"nothing at all":   {nil, mobile, PlanOptions{Convert: true, Poster: time.Second}, nil},
		"rungs are no one": {[]*stream.Track{{ID: 16, Codec: stream.H264, Width: 9, Height: 9, Rung: "480p"}}, mobile, PlanOptions{Poster: time.Second}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l *Ladder
			if c.rungs != nil {
				l = ladder(t, Latency, c.rungs...)
			}
			p := MakePlan(c.tracks, l, c.opt)
			if got := planned(p); !slices.Equal(got, c.want) {
				t.Errorf("planned are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			slices.Reverse(c.tracks)
			if again := MakePlan(c.tracks, l, c.opt); len(p.Sound) < 2 && !reflect.DeepEqual(again, p) && !math.IsNaN(c.tracks[0].FrameRate) {
				t.Errorf("in another order it is\n%s", strings.Join(planned(again), "\n"))
			}
		})
	}
}

// TestTracks: the declarations have all that is known before the first frame.
func TestTracks(t *testing.T) {
	t.Parallel()
	tracks := []*stream.Track{
		{Codec: stream.VP8, Width: 1280, Height: 720, FrameRate: 60},
		{ID: 100, Codec: stream.Opus, SampleRate: 48000, Channels: 2, Language: "pt-BR", Name: "Original"},
	}
	p := MakePlan(tracks, ladder(t, Quality, "480p 900k 30fps hevc", "audio 64k"), PlanOptions{Convert: true})
	color := stream.Color{Primaries: 6, Transfer: 6, Matrix: 6, Depth: 8}
	want := []*stream.Track{
		{ID: 16, Codec: stream.H264, ClockRate: 90000, Rung: "720p", Lag: 4 * time.Second, Width: 1280, Height: 720, FrameRate: 60, Color: color},
		{ID: 17, Codec: stream.HEVC, ClockRate: 90000, Rung: "480p-hevc", Lag: 4 * time.Second, Width: 854, Height: 480, FrameRate: 30, Color: color},
		{ID: 116, Codec: stream.AAC, ClockRate: 48000, Rung: "audio-aac", Lag: 4 * time.Second, Language: "pt-BR", Name: "Original",
			SampleRate: 48000, Channels: 2, FrameSamples: 1024},
		{ID: 131, Codec: stream.AAC, ClockRate: 48000, Rung: "audio-64k", Lag: 4 * time.Second, Language: "pt-BR", Name: "Original", SoundOnly: true,
			SampleRate: 48000, Channels: 2, FrameSamples: 1024},
	}
	got := Tracks(p)
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("track %d differs: %+v", i, got[min(i, len(got)-1)])
		}
	}
	if Latency.Lag() != 1500*time.Millisecond || Mode("").Lag() != Latency.Lag() {
		t.Error("the lag of mode latency is another one")
	}
}

// TestWithout: the costliest goes first, what stands in for the source last.
func TestWithout(t *testing.T) {
	t.Parallel()
	p := MakePlan([]*stream.Track{{Codec: stream.VP8, Width: 1280, Height: 720, FrameRate: 30}},
		ladder(t, Latency, "480p 900k", "480p 600k hevc", "240p 350k"), PlanOptions{Convert: true, Poster: time.Second})
	job := p.Picture
	last := job.Cost()
	for n, want := range []string{"720p 480p 480p-hevc 240p", "720p 480p 240p", "720p 240p", "720p", ""} {
		less := job.Without(n)
		var names []string
		for _, o := range less.Outputs {
			names = append(names, o.Rung.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("without %d it is %q; want %q", n, got, want)
		}
		if c := less.Cost(); n > 0 && c >= last {
			t.Errorf("without %d it costs %g, and %g before", n, c, last)
		} else {
			last = c
		}
	}
	if len(job.Outputs) != 4 {
		t.Error("Without changes the job itself")
	}
	job.Poster = nil
	if job.Without(4) != nil || job.Without(100) != nil {
		t.Error("a job with nothing to do is one")
	}
	if job.Outputs[2].Rung.Codec != stream.HEVC || job.Outputs[2].Cost(Quality) <= job.Outputs[2].Cost(Latency) || job.Outputs[2].Cost(Latency) <= job.Outputs[1].Cost(Latency) {
		t.Error("HEVC and mode quality cost no more")
	}
}

// TestOn: what the engine does not encode, the CPU does, or nobody.
func TestOn(t *testing.T) {
	t.Parallel()
	job := MakePlan([]*stream.Track{{Codec: stream.H264, Width: 1280, Height: 720}}, ladder(t, Latency, "480p 900k", "480p 600k hevc", "480p 600k av1"), PlanOptions{}).Picture
	e := Engine{Backend: NVENC, Encoders: []stream.Codec{stream.H264}, Software: []stream.Codec{stream.HEVC}}
	got, notes := job.On(e)
	if len(got.Outputs) != 2 || len(notes) != 2 || !strings.Contains(notes[1], "no encoder for AV1 works here") {
		t.Errorf("%+v, %q", got.Outputs, notes)
	}
	line := strings.Join(got.Args(e, Settings{}), " ")
	if !strings.Contains(line, "-c:v h264_nvenc") || !strings.Contains(line, "-c:v libx265") {
		t.Error(line)
	}
	if none, _ := job.On(Engine{Backend: CPU}); none != nil {
		t.Errorf("without any encoder %+v is left", none)
	}
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	var got []string
	for _, e := range Candidates([]Backend{VAAPI, NVENC, "other", CPU}, "/dev/dri/renderD129") {
		got = append(got, e.String()+" "+e.Device)
	}
	want := []string{"vaapi /dev/dri/renderD129", "vaapi (encoding only) /dev/dri/renderD129", "nvenc ", "nvenc (encoding only) ", "cpu "}
	if !slices.Equal(got, want) {
		t.Errorf("%q; want %q", got, want)
	}
	for device, good := range map[string]bool{
		"": true, "0": true, "/dev/dri/renderD128": true, "/dev/dri/card0": true, "/dev/dri/../sda": false, "0,child_device=x": false, "/dev/dri/renderD128,driver=x": false,
		"-1": false, "/dev/dri/renderD128\n": false,
	} {
		if err := ParseDevice(device); (err == nil) != good {
			t.Errorf("%q: %v", device, err)
		}
	}
}
