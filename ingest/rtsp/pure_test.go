package rtsp

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/pion/rtp"

	"pushcart/ingest"
)

func TestNTP(t *testing.T) {
	t.Parallel()
	for _, want := range []time.Time{
		time.Date(2026, 1, 2, 3, 4, 5, 250_000_000, time.UTC),
		time.Date(2036, 2, 7, 6, 28, 15, 999_999_000, time.UTC), // the last second of the first era
		time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC),
		time.Date(2040, 1, 1, 0, 0, 0, 123_456_789, time.UTC),
	} {
		if got := fromNTP(toNTP(want)); got.Sub(want).Abs() > 2*time.Nanosecond {
			t.Errorf("%v became %v", want, got)
		}
	}
}

// senders are two tracks of one publisher, whose clocks begin anywhere.
type senders struct {
	timing timing
	video  clock
	audio  clock
	tracks []*clock
	base   time.Time
}

func newSenders() *senders {
	s := &senders{video: clock{rate: 90000}, audio: clock{rate: 48000}, base: time.Unix(1_800_000_000, 0)}
	s.tracks = []*clock{&s.video, &s.audio}
	return s
}

// raw is the RTP time of an instant of capture.
func (s *senders) raw(c *clock, at time.Duration) uint32 {
	return uint32(int64(math.MaxUint32-50_000) + inTicks(at, c.rate))
}

// unit is one captured at an instant, which arrives after a delay; it returns the session's time of it.
func (s *senders) unit(c *clock, at, delay time.Duration) time.Duration {
	return span(s.timing.time(c, c.advance(s.raw(c, at)), s.base.Add(at+delay)), c.rate)
}

func (s *senders) report(c *clock, at time.Duration, wrong time.Duration) bool {
	return s.timing.reported(c, s.base.Add(at+wrong), s.raw(c, at), s.tracks)
}

// TestTracksMeet: audio that was placed by its arrival, 400 ms too late, is aligned when reports come, without a jump, while
// video is not touched; and over hours, and wraps, it stays so although its crystal is wrong.
func TestTracksMeet(t *testing.T) {
	t.Parallel()
	s := newSenders()
	const frame = 20 * time.Millisecond
	video := s.unit(&s.video, 0, 0)
	s.unit(&s.audio, 0, 400*time.Millisecond)
	last, off := time.Duration(0), time.Duration(0)
	for at := frame; at < 14*time.Hour; at += frame {
		if at%(5*time.Second) == 0 {
			s.report(&s.video, at, 0)
			s.report(&s.audio, at, 0)
		}
		v := s.unit(&s.video, at, 0)
		if d := v - video - frame; d.Abs() > time.Microsecond*12 {
			t.Fatalf("at %v video moved by %v", at, d)
		}
		video = v
		a := s.unit(&s.audio, at, 400*time.Millisecond)
		if d := a - last - frame; last != 0 && d.Abs() > frame/40 {
			t.Fatalf("at %v audio jumped by %v", at, d)
		}
		last, off = a, a-v
		if at > 40*time.Second && off.Abs() > deadband {
			t.Fatalf("at %v the tracks are %v apart", at, off)
		}
	}
}

// TestWrongReports do no harm.
func TestWrongReports(t *testing.T) {
	t.Parallel()
	s := newSenders()
	s.unit(&s.video, 0, 0)
	s.unit(&s.audio, 0, 0)
	for i := 1; i <= 3; i++ {
		s.report(&s.video, time.Duration(i)*time.Second, 0)
		s.report(&s.audio, time.Duration(i)*time.Second, 0)
	}
	if s.report(&s.audio, 4*time.Second, 5*time.Second) {
		t.Error("a report was believed that disagrees with those before it")
	}
	if s.timing.reported(&s.video, s.base.Add(5*time.Second), s.raw(&s.video, time.Hour), s.tracks) {
		t.Error("a report was believed whose RTP time is an hour off")
	}
	if s.audio.owed != 0 || s.video.owed != 0 {
		t.Error("they move the tracks")
	}
	// The sender's clock was set: the second that says so counts, and the tracks stay where they are.
	for i := 5; i <= 6; i++ {
		for _, c := range s.tracks {
			if got := s.report(c, time.Duration(i)*time.Second, 5*time.Minute); got != (i == 6) {
				t.Errorf("report %d: believed %v", i, got)
			}
		}
	}
	at := 6 * time.Second
	if v, a := s.unit(&s.video, at, 0), s.unit(&s.audio, at, 0); (v-a).Abs() > deadband || s.audio.owed != 0 {
		t.Errorf("the tracks are %v apart", v-a)
	}
	if w := s.video.wall(s.video.ticks); w.Sub(s.base.Add(at+5*time.Minute)).Abs() > time.Millisecond {
		t.Errorf("captured at %v", w)
	}
}

// TestImplausibleDistance: reports that put tracks minutes apart are not followed.
func TestImplausibleDistance(t *testing.T) {
	t.Parallel()
	s := newSenders()
	s.report(&s.video, 0, 0)
	s.report(&s.audio, 0, 10*time.Minute)
	v, a := s.unit(&s.video, 0, 0), s.unit(&s.audio, 0, 30*time.Millisecond)
	if d := a - v; d.Abs() > 31*time.Millisecond {
		t.Errorf("the tracks are %v apart", d)
	}
	s.report(&s.audio, time.Second, 10*time.Minute)
	if s.audio.owed != 0 {
		t.Error("audio is moved")
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	p := func(seq uint16, at uint32, marker bool) *rtp.Header {
		return &rtp.Header{SequenceNumber: seq, Timestamp: at, Marker: marker}
	}
	type step struct {
		h    *rtp.Header
		want verdict
	}
	pass, skip := verdict{pass: true}, verdict{}
	for name, test := range map[string]struct {
		single bool
		steps  []step
	}{
		"in order, over the wrap": {false, []step{{p(65535, 1, false), pass}, {p(0, 1, true), pass}, {p(1, 2, true), pass}}},
		"the middle is lost":      {false, []step{{p(1, 1, false), pass}, {p(3, 1, false), verdict{lost: 1}}, {p(4, 1, true), skip}, {p(5, 2, true), pass}}},
		"the end is lost":         {false, []step{{p(1, 1, false), pass}, {p(3, 2, false), verdict{lost: 1}}, {p(4, 2, true), skip}, {p(5, 3, true), pass}}},
		"without markers":         {false, []step{{p(1, 1, false), pass}, {p(4, 2, false), verdict{lost: 2}}, {p(5, 2, false), skip}, {p(6, 3, false), pass}}},
		"lost again":              {false, []step{{p(1, 1, true), pass}, {p(3, 2, true), verdict{lost: 1}}, {p(5, 4, true), verdict{lost: 1}}, {p(6, 5, true), pass}}},
		"late":                    {false, []step{{p(5, 1, true), pass}, {p(5, 1, true), verdict{late: true}}, {p(3, 0, true), verdict{late: true}}, {p(6, 2, true), pass}}},
		"begun anew":              {false, []step{{p(50000, 1, true), pass}, {p(7, 9, true), verdict{lost: 1}}, {p(8, 10, true), pass}}},
		"single":                  {true, []step{{p(1, 1, false), pass}, {p(3, 3, false), verdict{pass: true, lost: 1}}, {p(4, 4, false), pass}}},
	} {
		g := gate{single: test.single}
		for i, s := range test.steps {
			if got := g.packet(s.h); got != s.want {
				t.Errorf("%s, packet %d: %+v, want %+v", name, i, got, s.want)
			}
		}
	}
}

func authorization(user, password string) base.HeaderValue {
	return headers.Authorization{Method: headers.AuthMethodBasic, Username: user, BasicUser: user, BasicPass: password}.Marshal()
}

func TestTarget(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		path, query string
		auth        base.HeaderValue
		want        target
		refused     bool
	}{
		{path: "/live/show", want: target{name: "show"}},
		{path: "/live/show/", query: "key=a%2Fb", want: target{name: "show", key: "a/b", tried: true}},
		{path: "/live/show", query: "key=se+cret/trackID=0", want: target{name: "show", key: "se+cret", tried: true}},
		{path: "/live/show", query: "x=1&key=secret/streamid=12", want: target{name: "show", key: "secret", tried: true}},
		{path: "/live/show", query: "key=secret/", want: target{name: "show", key: "secret", tried: true}},
		{path: "/live/show/trackID=1", want: target{name: "show"}},
		{path: "/live/show", auth: authorization("me", "secret"), want: target{name: "show", key: "secret", tried: true}},
		{path: "/live/show", query: "key=other", auth: authorization("me", "secret"), want: target{name: "show", key: "secret", tried: true}},
		{path: "/live/show", auth: authorization("secret", ""), want: target{name: "show", key: "secret", tried: true}},
		{path: "/live/show", auth: authorization("me", "se:cr:et"), want: target{name: "show", key: "se:cr:et", tried: true}},
		{path: "/live/show", auth: base.HeaderValue{"basic  bWU6c2VjcmV0 "}, want: target{name: "show", key: "secret", tried: true}},
		{path: "/live/show", auth: base.HeaderValue{"Basic bWU6c2VjcmV0", "Basic bWU6c2VjcmV0"}, want: target{name: "show"}},
		{path: "/live/show", auth: base.HeaderValue{"Basic !!"}, want: target{name: "show"}},
		{path: "/live", query: "key=secret", want: target{key: "secret", tried: true}},
		{path: "/live", refused: true},
		{path: "/show", refused: true},
		{path: "", refused: true},
		{path: "/live/" + strings.Repeat("a", 300), refused: true},
	} {
		got, r := parseTarget(test.path, test.query, test.auth)
		if (r != nil) != test.refused || !test.refused && got != test.want {
			t.Errorf("%s?%s %v: %+v, %v", test.path, test.query, test.auth, got, r)
		}
	}
}

func FuzzTarget(f *testing.F) {
	f.Add("/live/show", "key=secret/trackID=0", "Basic bWU6c2VjcmV0")
	f.Add("live//x/track1", "&&key=%zz", "Digest x=")
	f.Fuzz(func(t *testing.T, path, query, auth string) {
		got, r := parseTarget(path, query, base.HeaderValue{auth})
		if r != nil {
			if r.Message != ingest.PlainText(r.Message) {
				t.Errorf("message %q", r.Message)
			}
			return
		}
		if got.name == "" && got.key == "" || len(got.name) > longestName || got.key != "" && !got.tried {
			t.Errorf("%+v", got)
		}
	})
}

func FuzzTiming(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newSenders()
		reached := map[*clock]int64{}
		for len(in) >= 9 {
			c := s.tracks[in[0]&1]
			raw := uint32(in[1])<<24 | uint32(in[2])<<16 | uint32(in[3])<<8 | uint32(in[4])
			if in[0]&2 != 0 {
				s.timing.reported(c, fromNTP(uint64(raw)<<32|uint64(in[5])<<24), uint32(in[5])<<24|uint32(in[6])<<8, s.tracks)
			} else {
				// Time that goes on for the sender goes on for the session.
				at := s.timing.time(c, c.advance(raw), s.base.Add(time.Duration(in[7])*time.Second))
				if c.ticks == c.reached && c.placed {
					if before, ok := reached[c]; ok && at < before-1 {
						t.Fatalf("from %d to %d", before, at)
					}
					reached[c] = at
				}
			}
			in = in[9:]
		}
	})
}

func TestPhrase(t *testing.T) {
	t.Parallel()
	got := phrase("a\r\nInjected: header\r\n" + strings.Repeat("µ", 300))
	if strings.ContainsAny(got, "\r\n") || len(got) > 255 || !strings.HasSuffix(got, "…") {
		t.Errorf("%q", got)
	}
}

func TestRtpmapRate(t *testing.T) {
	t.Parallel()
	got := []int{
		rtpmapRate("rtpmap", "97 MPEG4-GENERIC/44100/2", 97), rtpmapRate("rtpmap", "97 MPEG4-GENERIC/44100/2", 98),
		rtpmapRate("rtpmap", "97 x/0", 97), rtpmapRate("rtpmap", "97", 97), rtpmapRate("fmtp", "97 x/8000", 97),
	}
	if !slices.Equal(got, []int{44100, 0, 0, 0, 0}) {
		t.Errorf("%v", got)
	}
}
