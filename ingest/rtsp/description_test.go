package rtsp

import (
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"pushcart/internal/stream"
)

const studio = `v=0
o=- 0 0 IN IP4 127.0.0.1
s=Studio
c=IN IP4 127.0.0.1
t=0 0
m=audio 0 RTP/AVP 97
i=Original sound
a=rtpmap:97 MPEG4-GENERIC/44100/2
a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=139056E5A54800
a=lang:de
a=control:streamid=0
m=video 0 RTP/AVP 96 98
a=rtpmap:96 CURIOUS/90000
a=rtpmap:98 H264/90000
a=fmtp:98 packetization-mode=1
a=label:main
a=control:streamid=1
m=application 0 RTP/AVP 107
a=rtpmap:107 vnd.onvif.metadata/90000
a=control:streamid=2
m=video 0 RTP/AVP 99
a=rtpmap:99 H265/90000
a=control:streamid=3
m=audio 0 RTP/AVP 0
a=lang:en
a=control:streamid=4
m=audio 0 RTP/AVP 14
a=sendonly
a=control:streamid=5
`

func parse(t testing.TB, body []byte) (*description.Session, bool) {
	var text sdp.SessionDescription
	var desc description.Session
	return &desc, text.Unmarshal(body) == nil && desc.Unmarshal(&text) == nil
}

func TestPlans(t *testing.T) {
	t.Parallel()
	body := []byte(strings.ReplaceAll(studio, "\n", "\r\n"))
	desc, ok := parse(t, body)
	if !ok {
		t.Fatal("it cannot be read")
	}
	got := readPlans(desc, body)
	if len(got.take) != 4 || len(got.unknown) != 1 || !strings.Contains(got.unknown[0], "onvif") {
		t.Fatalf("%+v", got)
	}
	for i, want := range []struct {
		id             int
		codec          stream.Codec
		rate           int
		language, name string
	}{
		{100, stream.AAC, 44100, "de", "Original sound"}, // HE-AAC: its core has 22,050 Hz
		{0, stream.H264, 90000, "", "main"},
		{1, stream.HEVC, 90000, "", ""},
		{101, stream.PCMU, 8000, "en", ""},
	} {
		p := got.take[i]
		if p.id != want.id || p.codec != want.codec || p.rate != want.rate || p.label.Language != want.language || p.label.Name != want.name {
			t.Errorf("track %d: %+v", i, p)
		}
	}
}

// TestTracksBeyondTheLimit are counted.
func TestTracksBeyondTheLimit(t *testing.T) {
	t.Parallel()
	body := []byte("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + strings.Repeat("m=audio 0 RTP/AVP 0\r\n", 20))
	desc, ok := parse(t, body)
	if !ok {
		t.Fatal("it cannot be read")
	}
	if got := readPlans(desc, body); len(got.take) != mostOfKind || got.excess != 4 || got.take[15].id != 115 {
		t.Errorf("%d tracks, %d in excess", len(got.take), got.excess)
	}
}

func FuzzPlans(f *testing.F) {
	f.Add([]byte(studio))
	f.Add([]byte("v=0\r\ns=x\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 MP4A-LATM/44100/2\r\na=fmtp:97 cpresent=0;config=40002420\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if tooMuch(body) != nil {
			return
		}
		desc, ok := parse(t, body)
		if !ok {
			return
		}
		ids := map[int]bool{}
		for _, p := range readPlans(desc, body).take {
			if ids[p.id] || p.rate <= 0 || p.id%firstAudio >= mostOfKind || (p.id >= firstAudio) == p.codec.Video() {
				t.Errorf("%+v", p)
			}
			ids[p.id] = true
		}
	})
}
