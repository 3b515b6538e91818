package playback

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// come asks for something as a viewer would.
func (h *house) come(target, from, program string) Reason {
	h.t.Helper()
	r := httptest.NewRequest("GET", target, nil)
	r.RemoteAddr, r.Header = from+":1234", http.Header{"User-Agent": {program}}
	_, reason := h.answer(r)
	return reason
}

// TestViewers: as many as the token is for, who keep their places for as long as they ask for playlists and a while longer.
func TestViewers(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	base := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour), Viewers: 2}) + "/live/ab/"
	list, part := base+"video.m3u8", base+"video/1-2.3.m4s"
	other := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(2 * time.Hour), Viewers: 1}) + "/live/ab/video.m3u8"
	expect := func(what string, got, want Reason) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("one", h.come(list, "10.0.0.1", "phone"), "")
	expect("two, behind the same router", h.come(list, "10.0.0.1", "laptop"), "")
	expect("three", h.come(list, "10.0.0.2", "phone"), TooMany)
	expect("three's parts, which nobody is counted on", h.come(part, "10.0.0.2", "phone"), "")
	expect("one again", h.come(list, "10.0.0.1", "phone"), "")
	expect("another token", h.come(other, "10.0.0.2", "phone"), "")
	expect("a second viewer of another token", h.come(other, "10.0.0.1", "phone"), TooMany)

	h.now = h.now.Add(viewerStays - time.Second)
	expect("one, much later", h.come(list, "10.0.0.1", "phone"), "")
	expect("three, while two has its place still", h.come(list, "10.0.0.2", "phone"), TooMany)
	h.now = h.now.Add(sweepEvery)
	expect("three, in the place of two", h.come(list, "10.0.0.2", "phone"), "")
	expect("two, who returns", h.come(list, "10.0.0.1", "laptop"), TooMany)
	expect("one, who never left", h.come(list, "10.0.0.1", "phone"), "")
	if got := h.refusedFor(TooMany); got != 4 {
		t.Errorf("%v refused", got)
	}
}

// TestViewersAreForgotten: nothing stays of tokens that nobody uses.
func TestViewersAreForgotten(t *testing.T) {
	t.Parallel()
	v, now := newViewers(), noon
	for i := range 100 {
		for who := range uint64(10) {
			if in, counted := v.admit(fmt.Sprint("token ", i), 10, who, now); !in || !counted {
				t.Fatal("a viewer with a place is turned away")
			}
		}
	}
	if n := v.total.Load(); n != 1000 {
		t.Errorf("%d viewers are counted", n)
	}
	now = now.Add(viewerStays)
	v.admit("another", 1, 1, now)
	if len(v.byToken) != 1 || v.total.Load() != 1 {
		t.Errorf("%d tokens with %d viewers are kept", len(v.byToken), v.total.Load())
	}
}

// TestViewersAreBounded: what is too much to count is let in, and said.
func TestViewersAreBounded(t *testing.T) {
	t.Parallel()
	v := newViewers()
	for i := range mostAudiences {
		v.admit(fmt.Sprint(i), 1, 1, noon)
	}
	if in, counted := v.admit("one more", 1, 1, noon); !in || counted || len(v.byToken) != mostAudiences {
		t.Errorf("in %v, counted %v, %d tokens", in, counted, len(v.byToken))
	}
	v.total.Store(mostViewers)
	if in, counted := v.admit("0", 2, 2, noon); !in || counted {
		t.Errorf("in %v, counted %v", in, counted)
	}
	if in, counted := v.admit("0", 1, 3, noon); in || !counted {
		t.Errorf("beyond the token's own limit: in %v, counted %v", in, counted)
	}
}

// TestViewersAtOnce: of many who come at once no more get in than may.
func TestViewersAtOnce(t *testing.T) {
	t.Parallel()
	v := newViewers()
	var in sync.Map
	var group sync.WaitGroup
	for who := range uint64(64) {
		group.Go(func() {
			for i := range 50 {
				if ok, _ := v.admit("token", 7, who, noon.Add(time.Duration(i)*time.Millisecond)); ok {
					in.Store(who, true)
				}
			}
		})
	}
	group.Wait()
	n := 0
	in.Range(func(any, any) bool { n++; return true })
	if n != 7 || v.total.Load() != 7 {
		t.Errorf("%d are in, %d are counted", n, v.total.Load())
	}
}
