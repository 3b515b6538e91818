package testkit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Viewer gets one stream over HTTP. It waits by blocking reload, as players do. Its methods end the test when the server
// does not answer as it must.
type Viewer struct {
	t      testing.TB
	Client *http.Client
	Master string
	// Patience bounds each method; it is set by NewViewer and may be changed.
	Patience time.Duration
}

// NewViewer makes a viewer of the stream behind a multivariant playlist's URL.
func NewViewer(t testing.TB, master string) *Viewer {
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 8}
	t.Cleanup(tr.CloseIdleConnections)
	return &Viewer{t: t, Client: &http.Client{Transport: tr}, Master: master, Patience: patience}
}

// Get fetches any URL. It may be called from any goroutine.
func Get(ctx context.Context, c *http.Client, u string) (status int, header http.Header, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	res, err := c.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, res.Header, body, err
}

// Fetch gets a URL, or a name beside the multivariant playlist, and wants the status.
func (v *Viewer) Fetch(ref string, want int) []byte {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), v.Patience)
	defer cancel()
	status, _, body, err := Get(ctx, v.Client, v.at(ref))
	if err != nil || status != want {
		v.t.Fatalf("GET %s: status %d, want %d: %v: %.200q", ref, status, want, err, body)
	}
	return body
}

// at resolves a name against the multivariant playlist's URL.
func (v *Viewer) at(ref string) string {
	base, err := url.Parse(v.Master)
	if err == nil {
		if base, err = base.Parse(ref); err == nil {
			return base.String()
		}
	}
	v.t.Fatalf("URL %q: %v", ref, err)
	return ""
}

// Join waits until the stream can be played and returns the multivariant playlist.
func (v *Viewer) Join() string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), v.Patience)
	defer cancel()
	for {
		status, _, body, err := Get(ctx, v.Client, v.Master)
		switch {
		case err != nil:
			v.t.Fatalf("GET %s: %v", v.Master, err)
		case status == http.StatusOK:
			return string(body)
		case status != http.StatusNotFound || !pause(ctx, time.Now().Add(20*time.Millisecond)):
			v.t.Fatalf("GET %s: status %d: %s", v.Master, status, body)
		}
	}
}

// Playlist gets a rendition's playlist as it is.
func (v *Viewer) Playlist(rendition string) *Playlist {
	v.t.Helper()
	return ParsePlaylist(string(v.Fetch(rendition+".m3u8", http.StatusOK)))
}

// Until follows a rendition's playlist until it is as wanted.
func (v *Viewer) Until(rendition, what string, ok func(*Playlist) bool) *Playlist {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), v.Patience)
	defer cancel()
	p := v.Playlist(rendition)
	for !ok(p) {
		if p.Ended {
			v.t.Fatalf("%s: the playlist ended before %s:\n%s", rendition, what, p.Text)
		}
		msn, part := p.Next()
		status, _, body, err := Get(ctx, v.Client, v.at(fmt.Sprintf("%s.m3u8?_HLS_msn=%d&_HLS_part=%d", rendition, msn, part)))
		switch {
		case err != nil:
			v.t.Fatalf("%s: waiting for %s: %v; the playlist was:\n%s", rendition, what, err, p.Text)
		case status == http.StatusOK:
			p = ParsePlaylist(string(body))
		case status == http.StatusServiceUnavailable:
			p = v.Playlist(rendition)
		default:
			v.t.Fatalf("%s: waiting for %s: status %d: %s", rendition, what, status, body)
		}
	}
	return p
}

// Ended follows a rendition to EXT-X-ENDLIST.
func (v *Viewer) Ended(rendition string) *Playlist {
	v.t.Helper()
	return v.Until(rendition, "EXT-X-ENDLIST", func(p *Playlist) bool { return p.Ended })
}

// Renditions lists the media playlists that a multivariant playlist names, without their extension: those of the variants
// first.
func Renditions(master string) []string {
	var variants, media []string
	for line := range strings.Lines(master) {
		line = strings.TrimSpace(line)
		if list, ok := strings.CutPrefix(line, "#EXT-X-MEDIA:"); ok {
			media = append(media, strings.TrimSuffix(Attribute(list, "URI"), ".m3u8"))
		} else if name, ok := strings.CutSuffix(line, ".m3u8"); ok && !strings.HasPrefix(line, "#") {
			variants = append(variants, name)
		}
	}
	return append(variants, media...)
}
