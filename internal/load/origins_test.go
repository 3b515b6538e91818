package load

import (
	"strings"
	"testing"
	"time"
)

// TestOtherOrigins: playlists in the forms that other origins write: where a player would begin, what it asks for to wait, and what
// is hinted.
func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	const head = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n"
	for name, c := range map[string]struct {
		at, text string
		plays    string        // the file that is fetched first; "" is none
		wait     string        // address that is waited for at the list's end
		hint     string        // path, and range
		hold     time.Duration // to stay behind
		media    string        // how its files begin, if not as MP4
		dated    bool
	}{
		"a muxer with gaps at the beginning, delta updates and no dates": {
			at: "/cam/video1_stream.m3u8",
			text: head + `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.5,CAN-SKIP-UNTIL=12
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MEDIA-SEQUENCE:3
#EXT-X-MAP:URI="abc_init.mp4"
#EXT-X-GAP
#EXTINF:2.00000,
gap.mp4
#EXT-X-GAP
#EXTINF:2.00000,
gap.mp4
#EXT-X-PART:DURATION=0.20000,URI="abc_part0.mp4",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.20000,URI="abc_part1.mp4"
#EXT-X-PART:DURATION=0.20000,URI="abc_part2.mp4",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.20000,URI="abc_part3.mp4"
#EXT-X-PART:DURATION=0.20000,URI="abc_part4.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="abc_part5.mp4"
`,
			plays: "/cam/abc_part2.mp4", wait: "/cam/video1_stream.m3u8?_HLS_msn=5&_HLS_part=5&_HLS_skip=YES", hint: "/cam/abc_part5.mp4", hold: 500 * time.Millisecond,
		},
		"sessions in each address, the hint in front of the segment that ends": {
			at: "/app/s/chunklist_0_video_llhls.m3u8?session=7_11",
			text: head + `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.600000
#EXT-X-PART-INF:PART-TARGET=0.200000
#EXT-X-MEDIA-SEQUENCE:40
#EXT-X-MAP:URI="init_0_video_k_llhls.m4s?session=7_11"
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:00.000+09:00
#EXTINF:2.000000,
seg_0_40_video_k_llhls.m4s?session=7_11
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:02.000+09:00
#EXT-X-PART:DURATION=0.200000,URI="part_0_41_0_video_k_llhls.m4s?session=7_11",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.200000,URI="part_0_41_1_video_k_llhls.m4s?session=7_11"
#EXT-X-PART:DURATION=0.200000,URI="part_0_41_2_video_k_llhls.m4s?session=7_11"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part_0_42_0_video_k_llhls.m4s?session=7_11"
#EXTINF:0.600000,
seg_0_41_video_k_llhls.m4s?session=7_11
#EXT-X-RENDITION-REPORT:URI="chunklist_1_audio_llhls.m3u8?session=7_11",LAST-MSN=41,LAST-PART=2
`,
			plays: "/app/s/part_0_41_0_video_k_llhls.m4s?session=7_11", wait: "/app/s/chunklist_0_video_llhls.m3u8?session=7_11&_HLS_msn=42&_HLS_part=0",
			hint: "/app/s/part_0_42_0_video_k_llhls.m4s?session=7_11", hold: 600 * time.Millisecond, dated: true,
		},
		"parts that are ranges of their segment, hinted with an end": {
			at: "/v.m3u8",
			text: head + `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:1
#EXTINF:2,
a1.mp4
#EXT-X-PART:DURATION=0.5,URI="a2.mp4",BYTERANGE="20000@0",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.5,URI="a2.mp4",BYTERANGE="30000@20000"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="a2.mp4",BYTERANGE-START=50000,BYTERANGE-LENGTH=1000
`,
			plays: "/a1.mp4", wait: "/v.m3u8?_HLS_msn=2&_HLS_part=2", hint: "/a2.mp4 1000@50000", hold: 1500 * time.Millisecond,
		},
		"the same without an end, which is not asked for": {
			at: "/v.m3u8",
			text: head + `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.4
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-PART:DURATION=0.2,URI="a2.mp4",BYTERANGE="20000@0",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="a2.mp4",BYTERANGE="30000"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="a2.mp4",BYTERANGE-START=50000
`,
			plays: "/a2.mp4 20000@0", wait: "/v.m3u8?_HLS_msn=0&_HLS_part=2", hold: 400 * time.Millisecond,
		},
		"segments of a transport stream, with queries that say which": {
			at: "/hls/list.php?id=4",
			text: "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:880\n" +
				"#EXT-X-DISCONTINUITY\n#EXTINF:4.0,\nseg.php?id=4&n=1\n#EXTINF:4.0,\nseg.php?id=4&n=2\n#EXTINF:4.0,\nseg.php?id=4&n=3\n#EXTINF:4.0,\nseg.php?id=4&n=4\n",
			plays: "/hls/seg.php?id=4&n=2", hold: 12 * time.Second, media: "\x47\x40\x00",
		},
		"encrypted segments": {
			at:    "/e.m3u8",
			text:  head + "#EXT-X-KEY:METHOD=AES-128,URI=\"key\"\n#EXTINF:2,\ne1.ts\n",
			plays: "/e1.ts", hold: 6 * time.Second, media: "\x91\x02\x03",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := Address{Host: "h", Path: c.at}
			lib := newLibrary(epoch, nil)
			track, err := lib.track(at)
			if err != nil {
				t.Fatal(err)
			}
			p, err := track.playlist(at, Answer{Body: []byte(c.text)})
			if err != nil {
				t.Fatal(err)
			}
			a := &audience{lib: lib, now: time.Now}
			a.figures.Store(&figures{})
			f := &follower{viewer: &viewer{audience: a, tracks: 1}, at: at, list: p, track: track}
			f.choosePosition(true)
			if hold, _ := f.holdBack(); hold != c.hold {
				t.Errorf("%v behind, want %v", hold, c.hold)
			}
			s := p.list[f.msn-p.first]
			first := s.file
			if f.part < len(s.parts) && (f.part > 0 || !s.complete) {
				first = s.parts[f.part].file
			}
			if s.complete && f.part == 0 && len(s.parts) > 0 && strings.Contains(c.plays, "part") {
				first = s.parts[0].file // both begin there
			}
			if got := named(first); got != c.plays {
				t.Errorf("begins with %s, want %s", got, c.plays)
			}
			if got := named(p.hint); got != c.hint {
				t.Errorf("hint %q, want %q", got, c.hint)
			}
			if p.canBlock != (c.wait != "") {
				t.Errorf("can be waited for: %v", p.canBlock)
			}
			// At its end.
			last := len(p.list) - 1
			f.msn, f.part = p.first+int64(last), len(p.list[last].parts)
			if p.list[last].complete {
				f.msn, f.part = f.msn+1, 0
			}
			if got := f.waitingPath(); c.wait != "" && got != c.wait {
				t.Errorf("waits for %s, want %s", got, c.wait)
			}
			if due := first.due.Load() != 0; due != c.dated {
				t.Errorf("dated: %v", due)
			}
			body := c.media
			if body == "" {
				body = "\x00\x00\x00\x18styp"
			}
			answer := Answer{Status: 200, Body: []byte(body), Size: int64(len(body)), At: time.Now()}
			if err := f.got(&file{known: &known{}}, &answer, true, time.Time{}); err != nil {
				t.Errorf("its media: %v", err)
			}
		})
	}
}

// named is a file's path, and its range.
func named(f *file) string {
	if f == nil {
		return ""
	}
	s := f.at.Path
	if f.size > 0 {
		_, r, _ := strings.Cut(f.key, " ")
		s += " " + r
	}
	return s
}

// TestSessions: viewers whose addresses differ by what an origin repeats in each of them share what is known of a file, and each asks
// with its own; other queries tell files apart.
func TestSessions(t *testing.T) {
	t.Parallel()
	lib := newLibrary(epoch, nil)
	text := func(session string) Answer {
		return Answer{Body: []byte("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nseg?n=1&session=" + session + "\n#EXTINF:2,\nseg?n=2&session=" + session + "&_HLS_msn=5\n")}
	}
	lists := map[string]*playlist{}
	for _, session := range []string{"one", "two"} {
		at := Address{Host: "h", Path: "/live.m3u8?session=" + session}
		track, err := lib.track(at)
		if err != nil {
			t.Fatal(err)
		}
		if lists[session], err = track.playlist(at, text(session)); err != nil {
			t.Fatal(err)
		}
	}
	one, two := lists["one"].list, lists["two"].list
	if !one[0].file.is(two[0].file) || !one[1].file.is(two[1].file) || one[0].file.is(one[1].file) || one[0].file.known != two[0].file.known {
		t.Errorf("%+v, %+v", one[0].file, two[0].file)
	}
	if got := two[0].file.at.Path; got != "/seg?n=1&session=two" {
		t.Errorf("the second viewer asks for %s", got)
	}
	var none *file
	if none.is(one[0].file) || one[0].file.is(nil) || !none.is(nil) {
		t.Error("no file is a file")
	}
}

// TestShown: what may let somebody watch is not shown.
func TestShown(t *testing.T) {
	t.Parallel()
	at, err := ParseAddress("https://h:8443/p/1.k1.show.1795326200.uYYkpHtJs1rtm11Mk1VO7UuKNEGhi7NJ/live/show/index.m3u8?key=secret")
	if err != nil || at.String() != "https://h:8443/p/…/live/show/index.m3u8" {
		t.Errorf("%s, %v", at, err)
	}
}

func TestSigned(t *testing.T) {
	t.Parallel()
	var s signed
	if d := s.delay(); d != (Delay{}) {
		t.Errorf("of nothing: %+v", d)
	}
	for i := -100; i <= 899; i++ {
		s.add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.01: -90, 0.05: -50, 0.5: 400, 0.99: 890} {
		want *= time.Millisecond
		if got := s.quantile(q); (got - want).Abs() > max(want.Abs()/50, 2*time.Millisecond) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	var early signed
	early.add(-30 * time.Millisecond)
	early.add(-10 * time.Millisecond)
	if d := early.delay(); d.P50 > -29*time.Millisecond || d.P99 < -11*time.Millisecond || d.Max < -11*time.Millisecond || d.Max > 0 {
		t.Errorf("%+v", d)
	}
	if got := short(-28700 * time.Microsecond); got != "-28.7ms" {
		t.Error(got)
	}
}
