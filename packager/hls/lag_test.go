package hls

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/packager/window"
)

// behind is a show of segments of a second with a rendition that comes later.
type behind struct {
	*window.Presentation
	video, rung *window.Rendition
	lag         window.Ticks // what parts say
	n           map[*window.Rendition]int
}

func newBehind(target int) *behind {
	p := window.NewPresentation("show", window.Settings{TargetDuration: target, DVR: 20 * time.Second, FirstMSN: 100, Gen: 7})
	b := &behind{Presentation: p, video: p.AddRendition("video", true, 100), rung: p.AddRendition("480p", true, 100), n: map[*window.Rendition]int{}}
	p.SetPartTarget(partTicks)
	p.SetVariants([]window.Variant{{Video: b.video, Codecs: "avc1.64001f"}, {Video: b.rung, Codecs: "avc1.64001f"}})
	return b
}

// add appends parts to a rendition, five to a segment.
func (b *behind) add(r *window.Rendition, parts int) {
	for range parts {
		n := b.n[r]
		var begin *window.Segment
		if n%5 == 0 {
			begin = &window.Segment{Wall: epoch.Add(time.Duration(n) * 200 * time.Millisecond)}
		}
		b.Append(r, window.Part{Data: fmt.Appendf(nil, "<%s %d>", r.Name, n), Duration: partTicks, Independent: n%5 == 0, ExpectCut: n%5 == 4, Lag: b.lag}, begin)
		b.n[r]++
	}
}

// TestBehind: what one rendition has, another that is behind may be asked for: it is waited for, and not refused.
func TestBehind(t *testing.T) {
	for _, late := range []time.Duration{1500 * time.Millisecond, 4 * time.Second, 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b := newBehind(4)
			parts := int(late / (200 * time.Millisecond))
			b.add(b.video, 62)
			b.add(b.rung, 62-parts)
			h := newTestHandler(&show{Presentation: b.Presentation, video: b.video})
			answers := make(chan *httptest.ResponseRecorder, 3)
			for _, query := range []string{
				"_HLS_msn=112&_HLS_part=1", // the source's last part
				"_HLS_msn=112&_HLS_part=2", // its next one
				"_HLS_msn=111",             // its last whole segment
			} {
				go func() { answers <- get(h, "/live/show/480p.m3u8?"+query) }()
			}
			synctest.Wait()
			if len(answers) != 0 {
				a := <-answers
				t.Fatalf("%v behind: answered at once with %d: %s", late, a.Code, a.Body)
			}
			for range parts + 1 {
				time.Sleep(200 * time.Millisecond)
				b.add(b.video, 1)
				b.add(b.rung, 1)
			}
			for range 3 {
				if a := <-answers; a.Code != 200 {
					t.Errorf("%v behind: %d: %s", late, a.Code, a.Body)
				}
			}
		})
	}
}

// TestTooFarBehind: what no rendition has, nor is about to have, is refused however late a rendition comes, and so is an index
// that the segment never had.
func TestTooFarBehind(t *testing.T) {
	t.Parallel()
	b := newBehind(4)
	b.add(b.video, 62)
	b.add(b.rung, 42)
	h := newTestHandler(&show{Presentation: b.Presentation, video: b.video})
	for _, query := range []string{
		"_HLS_msn=115", "_HLS_msn=115&_HLS_part=0", // more than two segments beyond the source
		"_HLS_msn=112&_HLS_part=17", "_HLS_msn=113&_HLS_part=16", // more than three seconds of parts beyond it
		"_HLS_msn=110&_HLS_part=17",  // a part behind the first of the segment after
		"_HLS_msn=1080&_HLS_part=0",  // far away
		"_HLS_msn=108&_HLS_part=200", // in the rendition's own segment
	} {
		if got := get(h, "/live/show/480p.m3u8?"+query); got.Code != 400 {
			t.Errorf("%s: %d, want 400", query, got.Code)
		}
	}
}

// TestBehindForLong: the wait for a rendition that has stopped ends three target durations on, and later by as much as
// renditions are said to lag.
func TestBehindForLong(t *testing.T) {
	for _, lag := range []window.Ticks{0, 8 * partTicks} {
		synctest.Test(t, func(t *testing.T) {
			b := newBehind(1)
			b.lag = lag
			b.add(b.video, 62)
			b.add(b.rung, 55)
			h := newTestHandler(&show{Presentation: b.Presentation, video: b.video})
			began := time.Now()
			if got := get(h, "/live/show/480p.m3u8?_HLS_msn=112&_HLS_part=1"); got.Code != 503 {
				t.Errorf("%d", got.Code)
			}
			if waited, want := time.Since(began), 3*time.Second+window.Duration(lag); waited != want {
				t.Errorf("waited %v, want %v", waited, want)
			}
		})
	}
}

// TestBehindReports: each playlist reports the last part that the other rendition really has, and hints at its own next one.
func TestBehindReports(t *testing.T) {
	t.Parallel()
	b := newBehind(4)
	h := newTestHandler(&show{Presentation: b.Presentation, video: b.video})
	check := func(name string, want ...string) {
		t.Helper()
		text := get(h, "/live/show/"+name+".m3u8").Body.String()
		for _, line := range want {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("%s lacks %s:\n%s", name, line, text)
			}
		}
	}
	b.add(b.video, 20)
	check("video", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="video/7-104.0.m4s"`)
	b.add(b.rung, 7)
	check("480p", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="480p/7-101.2.m4s"`, `#EXT-X-RENDITION-REPORT:URI="video.m3u8",LAST-MSN=103,LAST-PART=4`)
	b.add(b.video, 1)
	check("video", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="video/7-104.1.m4s"`, `#EXT-X-RENDITION-REPORT:URI="480p.m3u8",LAST-MSN=101,LAST-PART=1`)
	b.add(b.rung, 3)
	check("480p", `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="480p/7-102.0.m4s"`, `#EXT-X-RENDITION-REPORT:URI="video.m3u8",LAST-MSN=104,LAST-PART=0`)
}

// TestBehindHint: the part that a late rendition hints at is waited for; those that only another one has are not there.
func TestBehindHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehind(4)
		b.add(b.video, 20)
		b.add(b.rung, 12)
		h := newTestHandler(&show{Presentation: b.Presentation, video: b.video})
		if got := get(h, "/live/show/480p/7-103.1.m4s"); got.Code != 404 {
			t.Errorf("a part that is not hinted at: %d", got.Code)
		}
		answers := make(chan *httptest.ResponseRecorder, 1)
		go func() { answers <- get(h, "/live/show/480p/7-102.2.m4s") }()
		synctest.Wait()
		b.add(b.video, 5)
		synctest.Wait()
		if len(answers) != 0 {
			t.Fatal("another rendition's part answers")
		}
		b.add(b.rung, 1)
		if got := <-answers; got.Code != 200 || got.Body.String() != "<480p 12>" {
			t.Errorf("%d %s", got.Code, got.Body)
		}
	})
}
