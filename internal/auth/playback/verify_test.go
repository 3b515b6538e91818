package playback

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// verdict asks as a proxy would.
func (h *house) verdict(uri string, header ...string) (status int, reason Reason, cache string) {
	h.t.Helper()
	r := httptest.NewRequest("GET", VerifyPath, nil)
	r.Header.Set("X-Original-URI", uri)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.gate.Verify().ServeHTTP(w, r)
	return w.Code, Reason(w.Header().Get(ReasonHeader)), w.Header().Get("Cache-Control")
}

func TestVerify(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, []string{"open"}, Key{"k1", secretOne})
	h := newHouse(t, p)
	h.trusted = true // which is no verdict
	good := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour)})
	soon := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(3 * time.Second)})
	for _, tt := range []struct {
		uri    string
		status int
		reason Reason
		cache  string
	}{
		{good + "/live/ab/index.m3u8?_HLS_msn=3", 204, "", "max-age=5"},
		{good + "/live/ab/video/1-2.m4s", 204, "", "max-age=5"},
		{soon + "/live/ab/video/1-2.m4s", 204, "", "max-age=3"},
		{good + "/api/v1/streams/ab", 204, "", "max-age=5"},
		{good + "/api/v1/where/abc", 403, WrongStream, "no-store"},
		{good + "/live/abc/index.m3u8", 403, WrongStream, "no-store"},
		{good + "x/live/ab/index.m3u8", 401, Malformed, "no-store"},
		{"/live/ab/index.m3u8", 401, Missing, "no-store"},
		{"/live/open/index.m3u8", 204, "", "max-age=5"},
		{"/watch/ab", 204, "", "max-age=5"},
		{good + "/watch/abc", 204, "", "max-age=5"},
		{good + "/studio/ab", 403, WrongPath, "no-store"},
		// What a proxy resolves and the node does not.
		{good + "/live/ab/../abc/index.m3u8", 403, WrongPath, "no-store"},
		{good + "/live/ab/%2e%2e/abc/index.m3u8", 403, WrongPath, "no-store"},
		{good + "/live/ab%2f..%2fabc/index.m3u8", 403, WrongPath, "no-store"},
		{good + "//live/ab/index.m3u8", 403, WrongPath, "no-store"},
		{"/watch/../live/ab/index.m3u8", 403, WrongPath, "no-store"},
		{"//live/ab/index.m3u8", 403, WrongPath, "no-store"},
		{"/liv%65/ab/index.m3u8", 403, WrongPath, "no-store"},
		{"http://elsewhere/live/open/index.m3u8", 403, WrongPath, "no-store"},
		{"", 403, WrongPath, "no-store"},
		{"live/ab", 403, WrongPath, "no-store"},
	} {
		status, reason, cache := h.verdict(tt.uri)
		if status != tt.status || reason != tt.reason || cache != tt.cache {
			t.Errorf("%s: %d %q %q, want %d %q %q", tt.uri, status, reason, cache, tt.status, tt.reason, tt.cache)
		}
	}
	h.now = noon.Add(2500 * time.Millisecond)
	if _, _, cache := h.verdict(soon + "/live/ab/index.m3u8"); cache != "no-store" {
		t.Errorf("half a second before its end: %q", cache)
	}
	if status, _, _ := h.verdict("/live/ab/index.m3u8", "X-Original-Method", "OPTIONS"); status != http.StatusNoContent {
		t.Errorf("a preflight: %d", status)
	}
	w := httptest.NewRecorder()
	h.gate.Verify().ServeHTTP(w, httptest.NewRequest("POST", VerifyPath, nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

// TestVerifyCounts: a viewer is counted on whatever a proxy asks about, since the answer is kept for all of it.
func TestVerifyCounts(t *testing.T) {
	t.Parallel()
	p := mustPolicy(t, nil, Key{"k1", secretOne})
	h := newHouse(t, p)
	base := "/p/" + mustSign(t, p.Keys(), Token{Stream: "ab", Expires: noon.Add(time.Hour), Viewers: 1}) + "/live/ab/"
	if status, _, _ := h.verdict(base+"video/1-2.m4s", "User-Agent", "one"); status != http.StatusNoContent {
		t.Errorf("the first: %d", status)
	}
	if status, reason, _ := h.verdict(base+"video.m3u8", "User-Agent", "two"); status != http.StatusForbidden || reason != TooMany {
		t.Errorf("the second: %d %q", status, reason)
	}
}
