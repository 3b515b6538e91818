package conformance

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

var testBase = &url.URL{Scheme: "http", Host: "origin.example", Path: "/live/a.m3u8"}

// sample is a playlist with one of everything.
const samplePlaylist = `#EXTM3U
#EXT-X-VERSION:10
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.0,PART-HOLD-BACK=3.0
#EXT-X-PART-INF:PART-TARGET=1.0
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:2
#EXT-X-MAP:URI="init.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.678+01:00
#EXTINF:4.000,
7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="init2.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:09.678Z
#EXT-X-PART:DURATION=1.0,URI="8.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI="8.1.m4s"
#EXTINF:1.5,title
8.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:11.178Z
#EXT-X-PART:DURATION=1.0,URI="9.0.m4s",GAP=YES
#EXT-X-DATERANGE:ID="x",START-DATE="2026-01-02T03:04:05.678Z",DURATION=2,X-A=0xFF
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="9.1.m4s"
#EXT-X-RENDITION-REPORT:URI="b.m3u8",LAST-MSN=9,LAST-PART=0
`

func TestParseMedia(t *testing.T) {
	p, issues := parseMedia(testBase, []byte(samplePlaylist))
	if len(issues) > 0 {
		t.Fatalf("issues: %v", issues)
	}
	if got, want := p.tail(), (position{9, 0}); got != want {
		t.Errorf("tail is %v, want %v", got, want)
	}
	if got, want := p.next(), (position{9, 1}); got != want {
		t.Errorf("next is %v, want %v", got, want)
	}
	if n := len(p.segments); n != 2 {
		t.Fatalf("%d segments", n)
	}
	s := p.segments[1]
	if s.msn != 8 || s.discSeq != 3 || !s.disc || s.initURI != "http://origin.example/live/init2.mp4" || s.sum() != 1500*time.Millisecond {
		t.Errorf("segment is %+v", s)
	}
	if p.open.discSeq != 3 || p.open.initURI != s.initURI || !p.open.parts[0].gap {
		t.Errorf("open segment is %+v", p.open)
	}
	if r := p.dateRanges[0]; r.end.Sub(r.start) != 2*time.Second {
		t.Errorf("date range is %+v", r)
	}
}

func TestSyntaxFaults(t *testing.T) {
	for _, c := range []struct {
		rule    RuleID
		old, by string
	}{
		{RuleHeader, "#EXTM3U\n", "\n#EXTM3U\n"},
		{RuleText, "title", "ti\x7ftle"},
		{RuleText, "title", "ti\xfftle"},
		{RuleTag, "#EXTINF:1.5,title", "#EXTINF:1.5"},
		{RuleTag, "#EXTINF:1.5,title", "#EXTINF:-1.5,"},
		{RuleTag, "#EXTINF:1.5,title", "#EXTINF:1e3,"},
		{RuleTag, "8.m4s\n", ""},
		{RuleTag, "#EXTINF:4.000,\n", ""},
		{RuleTag, "#EXT-X-TARGETDURATION:4\n", ""},
		{RuleTag, "#EXT-X-TARGETDURATION:4", "#EXT-X-TARGETDURATION:4.0"},
		{RuleTag, "#EXT-X-VERSION:10", "#EXT-X-VERSION:10\n#EXT-X-VERSION:10"},
		{RuleTag, "8.m4s\n", "8.m4s\n#EXT-X-MEDIA-SEQUENCE:7\n"},
		{RuleTag, "#EXT-X-DISCONTINUITY\n", "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY\n"},
		{RuleTag, "2026-01-02T03:04:09.678Z", "yesterday"},
		{RuleTag, "#EXT-X-PART-INF", " #EXT-X-PART-INF"},
		{RuleTag, "#EXT-X-VERSION:10", "#EXT-X-VERSION:10\n#EXT-X-STREAM-INF:BANDWIDTH=1"},
		{RuleAttributes, "PART-TARGET=1.0", `PART-TARGET="1.0"`},
		{RuleAttributes, "PART-TARGET=1.0", "PART-TARGET=-1.0"},
		{RuleAttributes, "PART-TARGET=1.0", "PART-TARGET=1.0,"},
		{RuleAttributes, "PART-TARGET=1.0", "PART-TARGET=1.0,OTHER=2"},
		{RuleAttributes, "INDEPENDENT=YES", "INDEPENDENT=NO"},
		{RuleAttributes, `URI="8.1.m4s"`, `URI=8.1.m4s`},
		{RuleAttributes, `URI="8.1.m4s"`, `URI="8.1.m4s`},
		{RuleAttributes, `DURATION=0.5,`, ``},
		{RuleAttributes, "LAST-MSN=9", "LAST-MSN=99999999999999999999"},
		{RuleAttributes, `ID="x",`, ``},
		{RuleDateRange, `ID="x",`, `ID="",`},
		{RuleDateRange, `START-DATE="2026-01-02T03:04:05.678Z"`, `START-DATE="2026-01-02T03:04:05.678"`},
		{RuleDateRange, `DURATION=2,X`, `DURATION=2,END-DATE="2026-01-02T03:04:07.679Z",X`},
		{RuleDateRange, `DURATION=2,X`, `DURATION=2,CLASS="a",END-ON-NEXT=YES,X`},
		{RuleDateRange, `DURATION=2,X`, `END-ON-NEXT=YES,X`},
		{RuleVersion, "VERSION:10", "VERSION:5"},
		{RuleURI, "\n8.m4s", "\n8 9.m4s"},
		{RuleURI, `URI="b.m3u8"`, `URI="ftp://b"`},
	} {
		text := strings.Replace(samplePlaylist, c.old, c.by, 1)
		if text == samplePlaylist {
			t.Fatalf("%q is not in the playlist", c.old)
		}
		_, issues := parseMedia(testBase, []byte(text))
		for _, i := range issues {
			if i.rule != c.rule {
				t.Errorf("%q: %s: %s, want only %s", c.by, i.rule, i.detail, c.rule)
			}
		}
		if len(issues) == 0 {
			t.Errorf("%q in place of %q is not noticed, want %s", c.by, c.old, c.rule)
		}
	}
}

func FuzzParseMedia(f *testing.F) {
	f.Add([]byte(samplePlaylist))
	f.Add([]byte("#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS=9223372036854775807,RECENTLY-REMOVED-DATERANGES=\"a\tb\"\n#EXT-X-MEDIA-SEQUENCE:9223372036854775807\n#EXTINF:999999999,\nx\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, _ := parseMedia(testBase, data)
		p.tail()
		p.next()
		p.length()
		merged(p)
		// What can be read must be read alike again.
		q, _ := parseMedia(testBase, data)
		if !slices.EqualFunc(p.segments, q.segments, func(a, b segment) bool { return a.uri == b.uri && a.msn == b.msn }) {
			t.Error("two readings differ")
		}
	})
}

func FuzzParseMultivariant(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"b\",URI=\"c\"\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,b\",RESOLUTION=1x2,FRAME-RATE=3\nx\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		mv, _, ok := parseMultivariant(testBase, data)
		if ok != (len(mv.variants) > 0) {
			t.Error("ok without variants")
		}
	})
}

// TestRebuildDropsOldParts: a player that was behind saw parts of segments that the update, long behind the end by then, skips.
func TestRebuildDropsOldParts(t *testing.T) {
	t.Parallel()
	seg := func(msn int64) segment {
		return segment{msn: msn, uri: "s", duration: 2 * time.Second, parts: []part{{uri: "p", duration: 2 * time.Second}}}
	}
	p := &player{current: &mediaPlaylist{segments: []segment{seg(1), seg(2), seg(3)}, open: segment{msn: 4}}}
	d := &mediaPlaylist{target: 2 * time.Second, sequence: 1, skip: &skip{segments: 3}, segments: []segment{seg(4), seg(5)}, open: segment{msn: 6}}
	built, err := p.rebuild(d)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 1, 1, 1} { // 8, 6, 4, 2 and 0 s from the end
		if got := len(built.segments[i].parts); got != want {
			t.Errorf("segment %d has %d parts, want %d", built.segments[i].msn, got, want)
		}
	}
	if len(p.current.segments[0].parts) != 1 {
		t.Error("the playlist before has lost them too")
	}
}

// TestResolve: a reference resolves to the same whether it is the first of its playlist or not.
func TestResolve(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"http://a.example/live/show/v.m3u8", "https://a.example:8443/v.m3u8?x=/y", "http://a.example", "http://a.example/%7Eb/c%20d/"} {
		base, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		used := &parser{base: base}
		used.resolve(line{}, "first.m4s")
		for _, ref := range []string{
			"a.m4s", "video/1-100.3.m4s", "a/", "A_b-c.9", "/a", "../a", "./a", "a/../b", "a/./b", "a//b", "?q", "a?q", "//b.example/c", "https://b.example/c",
			"a%20b", "a:b", "a b", "#x", ".a", "a..b", "a/..b", "é",
		} {
			fresh := &parser{base: base}
			if got, want := used.resolve(line{}, ref), fresh.resolve(line{}, ref); got != want {
				t.Errorf("%s at %s is %s, as the first one %s", ref, at, got, want)
			}
		}
	}
}

// FuzzResolve holds what is put together against the rules of RFC 3986, as net/url has them.
func FuzzResolve(f *testing.F) {
	for _, ref := range []string{"a.m4s", "video/1-100.3.m4s", "a/../b", "x:y", "a//b", "..", "a/.b"} {
		f.Add(ref)
	}
	base, _ := url.Parse("http://a.example/live/show/v.m3u8")
	f.Fuzz(func(t *testing.T, ref string) {
		used := &parser{base: base}
		used.resolve(line{}, "first.m4s")
		if got, want := used.resolve(line{}, ref), (&parser{base: base}).resolve(line{}, ref); got != want {
			t.Errorf("%q is %s, as the first one %s", ref, got, want)
		}
	})
}
