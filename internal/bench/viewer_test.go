package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestViewer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 20000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/long" {
			http.Error(w, "no such thing", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Length", "200000")
		w.Write([]byte(long))
	}))
	defer s.Close()
	v, err := dialViewer(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for range 2 {
		a, err := v.Get("/long", false)
		if err != nil || a.Status != http.StatusOK || string(a.Body) != long {
			t.Fatalf("%d, %d bytes, %v", a.Status, len(a.Body), err)
		}
		if err := v.Send(v.Request("/long", false)); err != nil {
			t.Fatal(err)
		}
		if a, err = v.Answer(false); err != nil || a.Size != int64(len(long)) || a.Body != nil {
			t.Fatalf("thrown away: %+v, %v", a, err)
		}
		if a, err = v.Get("/other", true); err != nil || a.Status != http.StatusNotFound || !strings.HasPrefix(string(a.Body), "no such thing") {
			t.Fatalf("%d, %q, %v", a.Status, a.Body, err)
		}
	}
}

const somePlaylist = `#EXTM3U
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-PROGRAM-DATE-TIME:2026-03-01T12:00:00.000Z
#EXTINF:2.00000,
video/7-100.m4s
#EXT-X-PART:DURATION=0.20000,URI="video/7-101.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.20001,URI="video/7-101.1.m4s"
#EXT-X-PART:DURATION=0.16667,URI="video/7-101.2.m4s"
#EXTINF:0.56668,
video/7-101.m4s
#EXT-X-PART:DURATION=0.20000,URI="video/7-102.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="video/7-102.1.m4s"
`

func TestPlaylistReaders(t *testing.T) {
	t.Parallel()
	uri, at, err := hint(somePlaylist)
	if err != nil || uri != "video/7-102.1.m4s" || at != (position{102, 1}) {
		t.Errorf("hint: %s, %v, %v", uri, at, err)
	}
	if _, _, err := hint("#EXTM3U\n"); err == nil {
		t.Error("a hint was found where there is none")
	}
	segment, part, last := lastNames(somePlaylist)
	if segment != "video/7-101.m4s" || part != "video/7-101.1.m4s" || last != (position{101, 1}) {
		t.Errorf("last names: %s, %s, %v", segment, part, last)
	}
	var parts partTable
	if err := parts.learn(somePlaylist); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[position]int{{101, 0}: 66, {101, 1}: 72, {101, 2}: 77, {102, 0}: 83} {
		if got := parts.frames[at]; got != want {
			t.Errorf("part %v ends with frame %d, want %d", at, got, want)
		}
	}
	_, later, _ := strings.Cut(somePlaylist, "video/7-100.m4s\n")
	if err := parts.learn("#EXT-X-MEDIA-SEQUENCE:101\n" + later); err != nil || parts.frames[position{102, 0}] != 83 {
		t.Errorf("after the first segment has gone: %v, %v", err, parts.frames)
	}
	if err := parts.learn("#EXT-X-MEDIA-SEQUENCE:200\n"); err == nil {
		t.Error("a playlist that does not follow was taken")
	}
}
