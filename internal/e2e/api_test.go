package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// streamInfo is a stream as the API shows it, as far as tests look at it.
type streamInfo struct {
	Name            string            `json:"name"`
	State           string            `json:"state"`
	Playlist        string            `json:"playlist"`
	WaitingUntil    *time.Time        `json:"waiting_until"`
	Protocol        string            `json:"protocol"`
	Agent           string            `json:"agent"`
	Reconnects      int               `json:"reconnects"`
	Viewers         int               `json:"viewers"`
	Bitrate         int64             `json:"bitrate_bps"`
	KeyframeSeconds float64           `json:"keyframe_interval_seconds"`
	Uptime          float64           `json:"uptime_seconds"`
	Drops           map[string]uint64 `json:"drops"`
	Advice          []string          `json:"advice"`
	Tracks          []struct {
		Kind       string  `json:"kind"`
		Codec      string  `json:"codec"`
		Codecs     string  `json:"codecs"`
		Bitrate    int64   `json:"bitrate_bps"`
		Width      int     `json:"width"`
		Height     int     `json:"height"`
		FrameRate  float64 `json:"frame_rate"`
		SampleRate int     `json:"sample_rate"`
		Channels   int     `json:"channels"`
		Frames     uint64  `json:"frames"`
	} `json:"tracks"`
}

// stream asks the API about one stream.
func stream(t *testing.T, n *testkit.Node, name string) (s streamInfo) {
	t.Helper()
	getJSON(t, n.HTTP()+"/api/v1/streams/"+name, &s)
	return s
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	status, header, body, err := testkit.Get(ctx, http.DefaultClient, url)
	if err != nil || status != http.StatusOK || header.Get("Content-Type") != "application/json" {
		t.Fatalf("GET %s: status %d, %v, %v: %s", url, status, header, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
}

// adviceWith tells whether one of the sentences has all of the words.
func (s streamInfo) adviceWith(words ...string) bool {
	for _, a := range s.Advice {
		all := true
		for _, w := range words {
			all = all && strings.Contains(a, w)
		}
		if all {
			return true
		}
	}
	return false
}

// TestAPITellsWhatAHostWantsToKnow looks at a stream of known properties.
func TestAPITellsWhatAHostWantsToKnow(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	var list struct{ Streams []streamInfo }
	if getJSON(t, n.HTTP()+"/api/v1/streams", &list); list.Streams == nil || len(list.Streams) != 0 {
		t.Errorf("streams before any: %+v", list.Streams)
	}
	video := testkit.Encode(t, testkit.AVC, "testsrc2=size=320x180:rate=30000/1001",
		"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "180", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
	audio := testkit.Encode(t, testkit.AAC, "anoisesrc=amplitude=0.1:sample_rate=48000", "-c:a", "aac", "-ac", "1", "-b:a", "64k")
	p := testkit.Publish(t, n.RTMP(), "show")
	p.Live(testkit.Script{Video: video, Audio: audio, Speed: 1})
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	// The keyframe interval is known with the second key frame, six seconds in.
	v.Until("video", "the second key frame", func(*testkit.Playlist) bool { return stream(t, n, "show").KeyframeSeconds > 0 })

	s := stream(t, n, "show")
	if s.Name != "show" || s.State != "live" || s.Protocol != "rtmp" || s.Agent != "testkit/1.0" || s.Playlist != "/live/show/index.m3u8" {
		t.Errorf("%+v", s)
	}
	if s.Viewers != 1 {
		t.Errorf("%d viewers, want 1", s.Viewers)
	}
	if s.KeyframeSeconds < 6 || s.KeyframeSeconds > 6.02 {
		t.Errorf("keyframe interval %v s, want 6.006", s.KeyframeSeconds)
	}
	if len(s.Tracks) != 2 {
		t.Fatalf("%d tracks", len(s.Tracks))
	}
	if v := s.Tracks[0]; v.Kind != "video" || v.Codec != "H.264" || !strings.HasPrefix(v.Codecs, "avc1.") || v.Width != 320 || v.Height != 180 ||
		v.FrameRate < 5 || v.FrameRate > 60 || v.Bitrate <= 0 {
		t.Errorf("video: %+v", v)
	}
	if a := s.Tracks[1]; a.Kind != "audio" || a.Codec != "AAC" || a.Codecs != "mp4a.40.2" || a.SampleRate != 48000 || a.Channels != 1 || a.Bitrate <= 0 {
		t.Errorf("audio: %+v", a)
	}
	if s.Bitrate != s.Tracks[0].Bitrate+s.Tracks[1].Bitrate {
		t.Errorf("bit rate %d is not the tracks'", s.Bitrate)
	}
	if !s.adviceWith("Keyframes arrive every 6.0 s", "2 s") {
		t.Errorf("no advice on the keyframe interval in %q", s.Advice)
	}
	if !s.adviceWith("B-frames add", "ms") {
		t.Errorf("no advice on B-frames in %q", s.Advice)
	}
	if getJSON(t, n.HTTP()+"/api/v1/streams", &list); len(list.Streams) != 1 || list.Streams[0].Name != "show" {
		t.Errorf("streams: %+v", list.Streams)
	}
}

// TestAPIAdvisesOnWhatIsMissing publishes one kind only.
func TestAPIAdvisesOnWhatIsMissing(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	testkit.Publish(t, n.RTMP(), "silent").Live(testkit.Script{Video: testkit.Pictures(t), Speed: 1})
	testkit.Publish(t, n.RTMP(), "blind").Live(testkit.Script{Audio: testkit.Sound(t), Speed: 1})
	v := testkit.NewViewer(t, n.Master("silent"))
	v.Join()
	v.Until("video", "advice on missing audio", func(*testkit.Playlist) bool {
		return stream(t, n, "silent").adviceWith("No audio is sent")
	})
	v.Until("video", "advice on missing video", func(*testkit.Playlist) bool {
		return stream(t, n, "blind").adviceWith("No video is sent")
	})
	if s := stream(t, n, "silent"); !s.adviceWith("Keyframes arrive every 1.0 s") && len(s.Advice) != 1 {
		t.Errorf("advice on a stream without audio: %q", s.Advice)
	}
}

// TestAPIRefusesInJSON looks at errors, which are application/problem+json (RFC 9457).
func TestAPIRefusesInJSON(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	for _, path := range []string{"/api/v1/streams/nobody", "/api/v1/other", "/api/v2/streams"} {
		status, header, body, err := testkit.Get(t.Context(), http.DefaultClient, n.HTTP()+path)
		var problem struct {
			Title, Detail string
			Status        int
		}
		if err != nil || status != http.StatusNotFound || header.Get("Content-Type") != "application/problem+json" ||
			json.Unmarshal(body, &problem) != nil || problem.Status != status || problem.Title == "" || problem.Detail == "" {
			t.Errorf("GET %s: status %d, %s, %v: %s", path, status, header.Get("Content-Type"), err, body)
		}
	}
}
