package command

import (
	"strings"
	"testing"

	"pushcart/internal/stream"
)

func TestParseRung(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rung{
		"720p 1.8M":                   {Name: "720p", Lines: 720, Bitrate: 1_800_000, Codec: stream.H264},
		"480p 900k 30fps main":        {Name: "480p", Lines: 480, Bitrate: 900_000, FrameRate: 30, Profile: "main", Codec: stream.H264},
		"480p main 29.97fps 900k":     {Name: "480p", Lines: 480, Bitrate: 900_000, FrameRate: 29.97, Profile: "main", Codec: stream.H264},
		"1080p 4M hevc":               {Name: "1080p-hevc", Lines: 1080, Bitrate: 4_000_000, Codec: stream.HEVC},
		"  1080P\tAV1  4M ":           {Name: "1080p-av1", Lines: 1080, Bitrate: 4_000_000, Codec: stream.AV1},
		"640x360 600k":                {Name: "640x360", Width: 640, Height: 360, Bitrate: 600_000, Codec: stream.H264},
		"640x360 600000 h264":         {Name: "640x360", Width: 640, Height: 360, Bitrate: 600_000, Codec: stream.H264},
		"audio 64k":                   {Name: "audio-64k", Audio: true, Bitrate: 64_000, Codec: stream.AAC},
		"audio 96k aac":               {Name: "audio-96k", Audio: true, Bitrate: 96_000, Codec: stream.AAC},
		"240p 1234567 baseline 60fps": {Name: "240p", Lines: 240, Bitrate: 1_234_567, FrameRate: 60, Profile: "baseline", Codec: stream.H264},
	} {
		got, err := ParseRung(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got != want {
			t.Errorf("%q is %+v; want %+v", text, got, want)
		}
		again, err := ParseRung(got.String())
		if err != nil || again != got {
			t.Errorf("%q is written as %q, which is %+v, %v", text, got.String(), again, err)
		}
	}
}

func TestParseRungRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "empty",
		"720":                   `"720" is no size`,
		"p 1M":                  `"p" is no size`,
		"hd 1M":                 `"hd" is no size`,
		"-720p 1M":              `is no size`,
		"720p":                  "no bit rate",
		"720p 0":                "no bit rate",
		"audio":                 "no bit rate",
		"720p fast 1M":          `"fast" is not understood`,
		"720p 1M 2M":            "two of a kind: a bit rate",
		"720p 1M h264 hevc":     "two of a kind: a codec",
		"720p 1M 30fps 60fps":   "two of a kind: a frame rate",
		"720p 1M main high":     "two of a kind: a profile",
		"720p 1M baseline hevc": `HEVC has no profile "baseline" here; write main`,
		"720p 1M main10":        `H.264 has no profile "main10"`,
		"720p 1k":               "bit rate has to be from 50k to 100M",
		"720p 1000M":            "bit rate has to be from 50k to 100M",
		"720p 1e6":              "not understood",
		"720p NaN":              "not understood",
		"720p 1M Inffps":        "no frame rate",
		"720p 1M 0.5fps":        "frame rate has to be from 1fps",
		"720p 1M 1000fps":       "frame rate has to be from 1fps",
		"16p 1M":                "lines have to be from 32",
		"99999p 1M":             "lines have to be from 32",
		"0x0 1M":                "sides have to be from 32",
		"640x 1M":               "is no size",
		"99999x99999 1M":        "sides have to be",
		"audio 1M":              "from 16k to 320k",
		"audio 64k hevc":        "not understood",
		"audio 64k 30fps":       "not understood",
		"720p 1M; rm -rf":       "not understood",
		"720p [x]":              "not understood",
	} {
		r, err := ParseRung(text)
		if err == nil {
			t.Errorf("%q is taken as %+v", text, r)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want it to say %q", text, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	rungs := func(texts ...string) []Rung { return ladder(t, Latency, texts...).Rungs }
	nine := rungs("100p 1M", "110p 1M", "120p 1M", "130p 1M", "140p 1M", "150p 1M", "160p 1M", "170p 1M")
	nine = append(nine, rungs("180p 1M")...)
	for want, l := range map[string]Ladder{
		`mode "fast" is not known`:         {Mode: "fast", Rungs: rungs("720p 1M")},
		"has no rungs":                     {},
		`two rungs that are called "720p"`: {Rungs: append(rungs("720p 1M"), rungs("720p 2M")...)},
		"9 rungs of video; 8 are the most": {Rungs: nine},
		"2 rungs of audio; 1 is the most":  {Rungs: append(rungs("audio 64k"), rungs("audio 32k")...)},
		`its name is "x" and should be`:    {Rungs: []Rung{{Name: "x", Lines: 720, Bitrate: 1e6, Codec: stream.H264}}},
		"its codec has to be":              {Rungs: []Rung{{Name: "720p-h264", Lines: 720, Bitrate: 1e6, Codec: stream.VP8}}},
	} {
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %q", l, err, want)
		}
	}
	if err := ladder(t, Quality, "240p 350k", "720p 1.8M", "480p 900k", "audio 64k").Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzParseRung: what is read is valid, is written so that it is read again, and has a name that may stand in a URI.
func FuzzParseRung(f *testing.F) {
	for _, text := range []string{"720p 1.8M", "480p 900k 30fps main", "1080p 4M hevc", "640x360 600k", "audio 64k", "audio-64k", "720p 1.8.8M", "720p 1M '\"[;"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRung(text)
		if err != nil {
			return
		}
		l := Ladder{Rungs: []Rung{r}}
		if err := l.Validate(); err != nil {
			t.Fatalf("%q is read but not valid: %v", text, err)
		}
		again, err := ParseRung(r.String())
		if err != nil || again != r {
			t.Fatalf("%q: %+v is written as %q, which is %+v, %v", text, r, r.String(), again, err)
		}
		if strings.Trim(r.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Fatalf("%q has the name %q", text, r.Name)
		}
	})
}
