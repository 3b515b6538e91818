package e2e

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/conformance"
	"pushcart/internal/testkit"
)

// probed is what ffprobe says of one elementary stream.
type probed struct {
	Kind       string `json:"codec_type"`
	Codec      string `json:"codec_name"`
	Width      int    `json:"width"`
	Height     int    `json:"height"`
	Rate       string `json:"avg_frame_rate"`
	SampleRate string `json:"sample_rate"`
	Channels   int    `json:"channels"`
}

// fps is the frame rate as a number.
func (p probed) fps() float64 {
	num, den, _ := strings.Cut(p.Rate, "/")
	n, _ := strconv.ParseFloat(num, 64)
	d, _ := strconv.ParseFloat(den, 64)
	if d == 0 {
		return 0
	}
	return n / d
}

// probe asks ffprobe what a URL plays.
func probe(t *testing.T, url string) []probed {
	t.Helper()
	out, errs, err := testkit.Output(t, "ffprobe", "-loglevel", "warning", "-show_streams", "-of", "json", url)
	if err != nil {
		t.Fatalf("ffprobe: %v: %s", err, errs)
	}
	complain(t, "ffprobe", errs)
	var all struct{ Streams []probed }
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	return all.Streams
}

// complain reports what a player had to say, but for what it says of every live stream: that it skips to the live edge, and
// that EXT-X-MAP is there again in the next version of the playlist.
func complain(t *testing.T, who, stderr string) {
	t.Helper()
	for line := range strings.Lines(stderr) {
		if strings.Contains(line, "segments ahead") || strings.Contains(line, "duplicated MOOV") || strings.Contains(line, "message repeated") {
			continue
		}
		t.Errorf("%s: %s", who, strings.TrimSpace(line))
	}
}

// wanted is what a player must find.
type wanted struct {
	video, audio  string // ffprobe's names of the codecs; "" is none
	width, height int
	fps           float64 // 0: not judged
	sampleRate    int
}

// playable lets ffprobe, ffmpeg's decoders and the strict client at a live stream.
func playable(t *testing.T, master string, want wanted, opt conformance.Options) *conformance.Report {
	t.Helper()
	v := testkit.NewViewer(t, master)
	renditions := testkit.Renditions(v.Join())
	// The rhythm of key frames, by which hints foresee the end of a segment, is known after two of them.
	for _, rendition := range renditions {
		v.Until(rendition, "three segments", func(p *testkit.Playlist) bool { return p.Complete() >= 3 })
	}

	report, err := check(t, master, opt)
	if err != nil {
		t.Errorf("strict client: %v", err)
	}
	for _, x := range report.Violations {
		t.Errorf("%s", x)
	}

	streams := probe(t, master)
	found := map[string]bool{}
	for _, s := range streams {
		found[s.Kind] = true
		switch {
		case s.Kind == "video":
			if s.Codec != want.video || s.Width != want.width || s.Height != want.height {
				t.Errorf("ffprobe sees %s of %dx%d, want %s of %dx%d", s.Codec, s.Width, s.Height, want.video, want.width, want.height)
			}
			if want.fps > 0 && math.Abs(s.fps()-want.fps) > want.fps*0.03 {
				t.Errorf("ffprobe sees %.2f frames a second, want %.2f", s.fps(), want.fps)
			}
		case s.Kind == "audio":
			if s.Codec != want.audio || s.SampleRate != strconv.Itoa(want.sampleRate) {
				t.Errorf("ffprobe sees %s at %s Hz, want %s at %d", s.Codec, s.SampleRate, want.audio, want.sampleRate)
			}
		}
	}
	if found["video"] != (want.video != "") || found["audio"] != (want.audio != "") {
		t.Errorf("ffprobe sees %+v", streams)
	}
	_, errs, err := testkit.Output(t, "ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "warning", "-i", master, "-t", "4", "-f", "null", "-")
	if err != nil {
		t.Errorf("ffmpeg cannot play: %v", err)
	}
	complain(t, "ffmpeg playing", errs)
	return report
}

// check runs the strict client.
func check(t *testing.T, master string, opt conformance.Options) (*conformance.Report, error) {
	t.Helper()
	if opt.Duration == 0 {
		opt.Duration = 8 * time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	defer tr.CloseIdleConnections()
	return conformance.Check(ctx, &http.Client{Transport: tr}, master, opt)
}

const (
	picture   = "testsrc2=size=320x180:rate=25"
	sound441  = "sine=frequency=440:sample_rate=44100"
	sound48   = "sine=frequency=440:sample_rate=48000"
	ordinaryX = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p "
	ordinaryA = " -c:a aac -b:a 64k -ac 2"
)

// TestFFmpegPublishesAndViewersPlay has real ffmpeg publish what encoders in the field send.
func TestFFmpegPublishesAndViewersPlay(t *testing.T) {
	t.Parallel()
	usual := wanted{video: "h264", audio: "aac", width: 320, height: 180, fps: 25, sampleRate: 44100}
	with := func(change func(*wanted)) wanted {
		w := usual
		change(&w)
		return w
	}
	for _, c := range []struct {
		name           string
		picture, sound string
		args           string
		want           wanted
		opt            conformance.Options
		dependent      bool // some segments do not begin with a key frame
	}{
		{name: "25 fps, AAC of 44.1 kHz", picture: picture, sound: sound441, args: ordinaryX + "-tune zerolatency -g 50" + ordinaryA, want: usual},
		{name: "25 fps, AAC of 48 kHz", picture: picture, sound: sound48, args: ordinaryX + "-tune zerolatency -g 50" + ordinaryA,
			want: with(func(w *wanted) { w.sampleRate = 48000 })},
		{name: "B-frames", picture: picture, sound: sound48, args: ordinaryX + "-bf 2 -g 50" + ordinaryA,
			want: with(func(w *wanted) { w.sampleRate = 48000 })},
		{name: "29.97 fps", picture: "testsrc2=size=320x180:rate=30000/1001", sound: sound48, args: ordinaryX + "-bf 2 -g 60" + ordinaryA,
			want: with(func(w *wanted) { w.sampleRate, w.fps = 48000, 29.97 })},
		{name: "60 fps", picture: "testsrc2=size=320x180:rate=60", sound: sound441, args: ordinaryX + "-tune zerolatency -g 120" + ordinaryA,
			want: with(func(w *wanted) { w.fps = 60 })},
		{name: "15 fps", picture: "testsrc2=size=320x180:rate=15", sound: sound441, args: ordinaryX + "-tune zerolatency -g 30" + ordinaryA,
			want: with(func(w *wanted) { w.fps = 15 })},
		{name: "key frames without regularity", picture: picture, sound: sound441,
			args: ordinaryX + "-g 1000 -sc_threshold 0 -force_key_frames expr:gte(t,n_forced*1.3+0.7*mod(n_forced,3))" + ordinaryA,
			want: usual, opt: conformance.Options{LooseHints: true}},
		{name: "a key frame each 8 s", picture: picture, sound: sound441, args: ordinaryX + "-tune zerolatency -g 200 -sc_threshold 0" + ordinaryA,
			want: usual, opt: conformance.Options{Duration: 12 * time.Second, LooseHints: true}, dependent: true},
		{name: "variable frame rate", picture: picture, sound: sound441,
			args: "-vf select='gt(random(1),0.35)' -vsync vfr " + ordinaryX + "-tune zerolatency -g 40 -flush_packets 1" + ordinaryA,
			want: with(func(w *wanted) { w.fps = 0 }),
			// Frames lie further apart than a part has play, so its length follows them; FRAME-RATE is the highest, not the mean.
			opt: conformance.Options{LooseHints: true,
				Off: []conformance.RuleID{conformance.RulePartMin, conformance.RulePartEven, conformance.RuleVariantRate}}},
		{name: "audio only", sound: sound48, args: "-c:a aac -b:a 64k -ac 2", want: wanted{audio: "aac", sampleRate: 48000}},
		{name: "video only", picture: picture, args: ordinaryX + "-tune zerolatency -g 50",
			want: with(func(w *wanted) { w.audio, w.sampleRate = "", 0 })},
		{name: "portrait", picture: "testsrc2=size=180x320:rate=30", sound: sound441, args: ordinaryX + "-tune zerolatency -g 60" + ordinaryA,
			want: with(func(w *wanted) { w.width, w.height, w.fps = 180, 320, 30 })},
		{name: "MP3", picture: picture, sound: sound441, args: ordinaryX + "-tune zerolatency -g 50 -c:a libmp3lame -ac 2",
			want: with(func(w *wanted) { w.audio = "mp3" })},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := testkit.Start(t, func(cfg *config.Config) {})
			args := append(testkit.Live(c.picture, c.sound), strings.Fields(c.args)...)
			publisher := testkit.FFmpeg(t, append(args, testkit.ToFLV(n.PublishURL("show"))...)...)
			playable(t, n.Master("show"), c.want, c.opt)
			v := testkit.NewViewer(t, n.Master("show"))
			lead := v.Playlist(testkit.Renditions(v.Join())[0])
			if strings.Contains(lead.Text, "#EXT-X-INDEPENDENT-SEGMENTS") == c.dependent {
				t.Errorf("EXT-X-INDEPENDENT-SEGMENTS is wrong:\n%s", lead.Text)
			}
			select {
			case <-publisher.Ended():
				t.Errorf("ffmpeg stopped publishing:\n%s", publisher.Log)
			default:
			}
		})
	}
}
