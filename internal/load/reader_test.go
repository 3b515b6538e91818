package load

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const someMedia = "\xef\xbb\xbf#EXTM3U\r\n" + `#EXT-X-VERSION:10
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.65,HOLD-BACK=6,CAN-SKIP-UNTIL=12.0
#EXT-X-PART-INF:PART-TARGET=0.217
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-SKIP:SKIPPED-SEGMENTS=3
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:00.000Z
#EXTINF:2.00000,a title, with a comma
103.m4s
#EXT-X-GAP
#EXTINF:2.00000,
104.m4s

#EXT-X-PART:DURATION=0.20000,URI="105.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.20001,URI="105.1,x.m4s"
#EXTINF:0.40001,
105.m4s
#EXT-X-PART:DURATION=0.2,URI="106.0.m4s",INDEPENDENT=YES,GAP=YES
#EXT-X-SOMETHING-NEW:A="b
#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="other.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="106.1.m4s"
`

func TestReadMedia(t *testing.T) {
	t.Parallel()
	p, err := readMedia([]byte(someMedia))
	if err != nil {
		t.Fatal(err)
	}
	if p.target != 2*time.Second || p.partTarget != 217*time.Millisecond || p.partHoldBack != 650*time.Millisecond || p.holdBack != 6*time.Second ||
		p.skipUntil != 12*time.Second || !p.canBlock || p.ended || !p.skipped || p.first != 103 || p.hint.uri != "106.1.m4s" || len(p.segments) != 4 {
		t.Errorf("%+v", p)
	}
	third, last := p.segments[2], p.segments[3]
	if third.uri != "105.m4s" || !third.complete || len(third.parts) != 2 || third.parts[1].uri != "105.1,x.m4s" || !third.parts[0].independent ||
		!third.date.Equal(epoch.Add(4*time.Second)) || third.init.uri != "init.mp4" {
		t.Errorf("%+v", third)
	}
	if !p.segments[1].gap || last.complete || last.duration != 200*time.Millisecond || !last.parts[0].gap || !last.date.Equal(epoch.Add(4400010*time.Microsecond)) {
		t.Errorf("%+v, %+v", p.segments[1], last)
	}
}

func TestReadByteRanges(t *testing.T) {
	t.Parallel()
	p, err := readMedia([]byte(`#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-MAP:URI="all.mp4",BYTERANGE="700@0"
#EXTINF:4,
#EXT-X-BYTERANGE:1000@700
all.mp4
#EXTINF:4,
#EXT-X-BYTERANGE:500
all.mp4
#EXT-X-PART:DURATION=1,URI="all.mp4",BYTERANGE="100@2200"
#EXT-X-PART:DURATION=1,URI="all.mp4",BYTERANGE="50"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="all.mp4",BYTERANGE-START=2350
`))
	if err != nil {
		t.Fatal(err)
	}
	got := []fileRef{p.segments[0].init, p.segments[0].fileRef, p.segments[1].fileRef, p.segments[2].parts[0].fileRef, p.segments[2].parts[1].fileRef}
	for i, want := range []fileRef{{"all.mp4", 0, 700}, {"all.mp4", 700, 1000}, {"all.mp4", 1700, 500}, {"all.mp4", 2200, 100}, {"all.mp4", 2300, 50}} {
		if got[i] != want {
			t.Errorf("range %d: %+v, want %+v", i, got[i], want)
		}
	}
	if p.hint.uri != "" {
		t.Error("a hint without an end would bring the rest of the stream")
	}
}

func TestReadMediaRefuses(t *testing.T) {
	t.Parallel()
	head := "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
	for name, text := range map[string]string{
		"nothing":             "",
		"a page":              "<html>\n",
		"no target":           "#EXTM3U\n",
		"multivariant":        head + "#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8\n",
		"a negative duration": head + "#EXTINF:-1,\nx\n",
		"an endless duration": head + "#EXTINF:1e99,\nx\n",
		"no number":           head + "#EXTINF:NaN,\nx\n",
		"a large number":      head + "#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n",
		"a negative number":   head + "#EXT-X-MEDIA-SEQUENCE:-1\n",
		"skips none":          head + "#EXT-X-SKIP:SKIPPED-SEGMENTS=-4\n",
		"a part of nothing":   head + "#EXT-X-PART:DURATION=1\n",
		"a part for no time":  head + "#EXT-X-PART:URI=\"x\"\n",
		"a negative range":    head + "#EXTINF:1,\n#EXT-X-BYTERANGE:-5@3\nx\n",
		"variables":           head + "#EXT-X-DEFINE:NAME=\"a\",VALUE=\"b\"\n",
		"too many segments":   head + strings.Repeat("#EXTINF:1,\nx\n", maxSegments+1),
	} {
		if p, err := readMedia([]byte(text)); !errors.Is(err, errPlaylist) {
			t.Errorf("%s: %v, %+v", name, err, p)
		}
	}
}

func TestReadMultivariant(t *testing.T) {
	t.Parallel()
	all, err := readMultivariant([]byte(`#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="first.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="y",DEFAULT=YES,URI="sound.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="a",NAME="z",URI="words.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=2000000,RESOLUTION=1280x720,AUDIO="a",CODECS="avc1.64001f,mp4a.40.2"
video.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=128000,AUDIO="a"
sound.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=500000
muxed.m3u8
`))
	want := []variant{{"video.m3u8", 2000000, 1280, 720, "sound.m3u8"}, {"sound.m3u8", 128000, 0, 0, ""}, {"muxed.m3u8", 500000, 0, 0, ""}}
	if err != nil || len(all) != len(want) {
		t.Fatalf("%+v, %v", all, err)
	}
	for i := range want {
		if all[i] != want[i] {
			t.Errorf("%+v, want %+v", all[i], want[i])
		}
	}
	if all, err := readMultivariant([]byte(someMedia)); len(all) != 0 || err != nil {
		t.Errorf("a media playlist: %+v, %v", all, err)
	}
	if _, err := readMultivariant([]byte("#EXTM3U\n")); !errors.Is(err, errPlaylist) {
		t.Errorf("neither: %v", err)
	}
}

func FuzzPlaylist(f *testing.F) {
	f.Add([]byte(someMedia))
	f.Add([]byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nx.m3u8"))
	f.Add([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n#EXT-X-BYTERANGE:1\nx\n#EXT-X-ENDLIST"))
	at := Address{Host: "h", Path: "/a/b.m3u8"}
	f.Fuzz(func(t *testing.T, b []byte) {
		lib := newLibrary(epoch, nil)
		if all, err := lib.multivariant(at, Answer{Body: b}); err == nil {
			for _, c := range all {
				if c.video.Host == "" || strings.ContainsAny(c.video.Path, " \r\n") {
					t.Errorf("an address that cannot be asked for: %+v", c.video)
				}
			}
		}
		track, err := lib.track(at)
		if err != nil {
			t.Fatal(err)
		}
		p, err := track.playlist(at, Answer{Body: b})
		if err != nil {
			return
		}
		again, err := track.playlist(at, Answer{Body: b})
		if again != p || err != nil {
			t.Error("the same bytes were read twice")
		}
		var end time.Duration
		for _, s := range p.list {
			if end += s.duration; s.complete && s.file == nil && s.duration >= 0 && end >= 0 {
				continue // an empty URI
			}
			if s.duration < 0 || end < 0 {
				t.Errorf("a duration of %v, and %v up to there", s.duration, end)
			}
		}
		// Choosing where to begin works with whatever it says.
		v := &viewer{audience: &audience{lib: lib}, tracks: 1}
		(&follower{viewer: v, list: p}).choosePosition(true)
	})
}

func TestAddress(t *testing.T) {
	t.Parallel()
	at, err := ParseAddress("https://h.example:8443/live/a%20b/index.m3u8?key=secret")
	if err != nil || at.dial() != "h.example:8443" || strings.Contains(at.String(), "secret") {
		t.Fatalf("%+v %v", at, err)
	}
	for uri, want := range map[string]Address{
		"video.m3u8":           {true, "h.example:8443", "/live/a%20b/video.m3u8"},
		"v/../1.m4s?t=1":       {true, "h.example:8443", "/live/a%20b/1.m4s?t=1"},
		"/x":                   {true, "h.example:8443", "/x"},
		"//cdn.example/x":      {true, "cdn.example", "/x"},
		"http://[::1]/x#place": {false, "[::1]", "/x"},
	} {
		if got, err := at.resolve(uri); err != nil || got != want {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	for _, uri := range []string{"file:///etc/passwd", "data:,x", "http://user:pass@h/x", "http:///x", "://", strings.Repeat("x", maxURI+1), "%zz"} {
		if got, err := at.resolve(uri); err == nil {
			t.Errorf("%.40s was taken: %+v", uri, got)
		}
	}
	if (Address{Host: "[::1]"}).dial() != "[::1]:80" || (Address{Host: "h", Secure: true}).dial() != "h:443" {
		t.Error("ports that are not told")
	}
}
