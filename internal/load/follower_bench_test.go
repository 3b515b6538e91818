package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkPart is what a viewer's loop costs for one part: the playlist that is waited for and the part that is hinted, both
// there at once, of a playlist that others have read already.
func BenchmarkPart(b *testing.B) {
	var at atomic.Int64
	body := []byte("\x00\x00\x00\x08moof" + strings.Repeat("x", 37_000))
	text := func(n int64) []byte {
		return fmt.Appendf(nil, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=0.2\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6\n"+
			"#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-PART:DURATION=0.2,INDEPENDENT=YES,URI=\"p%d\"\n#EXTINF:0.2,\ns%d\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"p%d\"\n", n, n, n, n+1)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/m.m3u8" {
			w.Write(text(at.Load()))
			return
		}
		at.Add(1)
		w.Write(body)
	}))
	defer s.Close()
	stream, err := ParseAddress(s.URL + "/m.m3u8")
	if err != nil {
		b.Fatal(err)
	}
	a := &audience{
		dialer: &dialer{agent: "bench", timeout: time.Minute, allowed: func(string) bool { return true }},
		lib:    newLibrary(time.Now(), nil), now: time.Now,
	}
	a.figures.Store(&figures{})
	f := &follower{viewer: &viewer{audience: a, tracks: 1}, at: stream}
	f.lists, f.media = f.wire(b.Context()), f.wire(b.Context())
	defer f.lists.close()
	defer f.media.close()
	if f.track, err = f.lib.track(stream); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.step(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if kinds, n := f.figures.Load().failed(); n > 0 {
		b.Fatal(kinds)
	}
}
