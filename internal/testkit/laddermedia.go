package testkit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// Taken is one sample as a rendition's bytes have it: its times are exact, in ticks of the track's time scale.
type Taken struct {
	DTS, PTS, Duration int64
	Key                bool
	Payload            []byte
}

// Event is one emsg of version 1 (ISO/IEC 23009-1 5.10.3.3).
type Event struct {
	Rate, Duration, ID uint32
	Time               int64
	// Payload is what stands behind the numbers: scheme, value and message.
	Payload string
}

// TakenSegment is a segment, and what is in it.
type TakenSegment struct {
	Segment
	// Era counts the discontinuities up to here.
	Era int
	// Rate is the track's time scale.
	Rate    int64
	Samples []Taken
	Events  []Event
	// Media are the bytes; nil where all is missing.
	Media []byte
}

// Take downloads every whole segment that a playlist lists and takes it apart. Of a segment that is a gap nothing is
// downloaded.
func (v *Viewer) Take(p *Playlist) (all []TakenSegment) {
	v.t.Helper()
	rates := map[string]int64{}
	era := 0
	for _, g := range p.Segments {
		if g.Discontinuity {
			era++
		}
		if !g.Complete {
			continue
		}
		s := TakenSegment{Segment: g, Era: era}
		if !g.Gap {
			if rates[g.Map] == 0 {
				rates[g.Map] = v.timeScale(g.Map)
			}
			s.Rate, s.Media = rates[g.Map], v.Fetch(g.URI, http.StatusOK)
			s.Samples, s.Events = takeApart(v.t, s.Media)
		}
		all = append(all, s)
	}
	return all
}

// takeApart reads the samples and the messages of a segment.
func takeApart(t testing.TB, media []byte) (samples []Taken, events []Event) {
	t.Helper()
	var parts fmp4.Parts
	if err := parts.Unmarshal(media); err != nil {
		t.Fatalf("media: %v", err)
	}
	for _, p := range parts {
		for _, track := range p.Tracks {
			dts := int64(track.BaseTime)
			for _, s := range track.Samples {
				samples = append(samples, Taken{DTS: dts, PTS: dts + int64(s.PTSOffset), Duration: int64(s.Duration), Key: !s.IsNonSyncSample, Payload: s.Payload})
				dts += int64(s.Duration)
			}
		}
	}
	for rest := media; len(rest) >= 8; {
		size := int(binary.BigEndian.Uint32(rest))
		if size < 8 || size > len(rest) {
			t.Fatalf("a box of %d bytes where %d are left", size, len(rest))
		}
		if body := rest[8:size]; string(rest[4:8]) == "emsg" {
			if len(body) < 24 || body[0] != 1 {
				t.Fatalf("emsg: %x", body)
			}
			events = append(events, Event{Rate: binary.BigEndian.Uint32(body[4:]), Time: int64(binary.BigEndian.Uint64(body[8:])),
				Duration: binary.BigEndian.Uint32(body[16:]), ID: binary.BigEndian.Uint32(body[20:]), Payload: string(body[24:])})
		}
		rest = rest[size:]
	}
	return samples, events
}

// Decoded is what ffmpeg made of a rendition.
type Decoded struct {
	// Frames of picture, or of sound.
	Frames        int
	Width, Height int
}

// Decode has ffmpeg decode segments to the last frame: each stretch that has the same EXT-X-MAP by itself. Its first complaint
// ends that, and fails the test; what says which rendition it was.
func (v *Viewer) Decode(what string, segments []TakenSegment) (all []Decoded) {
	v.t.Helper()
	for _, file := range v.files(segments) {
		out, errs, err := Output(v.t, "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-err_detect", "explode", "-i", file,
			"-fps_mode", "passthrough", "-f", "framecrc", "-")
		if err != nil || errs != "" {
			v.t.Errorf("%s does not decode: %v: %s", what, err, errs)
			continue
		}
		var d Decoded
		for line := range strings.Lines(out) {
			if size, ok := strings.CutPrefix(line, "#dimensions 0: "); ok {
				fmt.Sscanf(size, "%dx%d", &d.Width, &d.Height)
			} else if !strings.HasPrefix(line, "#") {
				d.Frames++
			}
		}
		all = append(all, d)
	}
	return all
}

// files writes the media of each stretch into a file of its own, in the test's temporary folder.
func (v *Viewer) files(segments []TakenSegment) (files []string) {
	v.t.Helper()
	dir := v.t.TempDir()
	var media bytes.Buffer
	mapped := ""
	flush := func() {
		if media.Len() == 0 {
			return
		}
		file := filepath.Join(dir, fmt.Sprint(len(files), ".mp4"))
		if err := os.WriteFile(file, media.Bytes(), 0o600); err != nil {
			v.t.Fatal(err)
		}
		files = append(files, file)
		media.Reset()
	}
	for _, s := range segments {
		if s.Media == nil {
			continue
		}
		if media.Len() > 0 && s.Map != mapped {
			flush()
		}
		if media.Len() == 0 {
			mapped = s.Map
			media.Write(v.Fetch(s.Map, http.StatusOK))
		}
		media.Write(s.Media)
	}
	flush()
	return files
}

// Brightness is the mean of each picture of segments of one EXT-X-MAP, from 0 to 255, with its presentation time.
func (v *Viewer) Brightness(segments []TakenSegment) (at []time.Duration, level []float64) {
	v.t.Helper()
	const side = 4
	pixels := v.raw(segments, "-fps_mode", "passthrough", "-vf", fmt.Sprintf("scale=%d:%d:flags=area,format=gray", side, side), "-f", "rawvideo", "-")
	var shown []Taken
	var rate int64
	for _, s := range segments {
		shown, rate = append(shown, s.Samples...), max(rate, s.Rate)
	}
	if len(pixels) != len(shown)*side*side {
		v.t.Fatalf("%d pictures came out of %d samples", len(pixels)/side/side, len(shown))
	}
	for i, s := range shown {
		sum := 0
		for _, p := range pixels[i*side*side:][:side*side] {
			sum += int(p)
		}
		at, level = append(at, scale(s.PTS, rate)), append(level, float64(sum)/side/side)
	}
	return at, level
}

// Loudness is the level of each 5 ms of sound of segments of one EXT-X-MAP without a gap among them, with its presentation
// time.
func (v *Viewer) Loudness(segments []TakenSegment) (at []time.Duration, level []float64) {
	v.t.Helper()
	const rate, step = 48000, 240
	samples := v.raw(segments, "-ac", "1", "-ar", fmt.Sprint(rate), "-f", "s16le", "-")
	var begin time.Duration
	for _, s := range segments {
		if len(s.Samples) > 0 {
			begin = scale(s.Samples[0].PTS, s.Rate)
			break
		}
	}
	for n := 0; (n+step)*2 <= len(samples); n += step {
		sum := 0.0
		for i := range step {
			x := float64(int16(binary.LittleEndian.Uint16(samples[(n+i)*2:])))
			sum += max(x, -x)
		}
		at, level = append(at, begin+scale(int64(n), rate)), append(level, sum/step)
	}
	return at, level
}

// raw is what ffmpeg gives for arguments behind the input.
func (v *Viewer) raw(segments []TakenSegment, args ...string) []byte {
	v.t.Helper()
	files := v.files(segments)
	if len(files) != 1 {
		v.t.Fatalf("%d stretches of media, want one", len(files))
	}
	out, errs, err := Output(v.t, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-i", files[0]}, args...)...)
	if err != nil || errs != "" {
		v.t.Fatalf("ffmpeg %v: %v: %s", args, err, errs)
	}
	return []byte(out)
}
