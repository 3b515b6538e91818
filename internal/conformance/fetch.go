package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxBody bounds one response body, before and after decompression.
	maxBody = 64 << 20
	// patience bounds one request beyond the three target durations that a server may block.
	patience = 10 * time.Second
)

// response is one answer, its body decoded.
type response struct {
	status  int
	header  http.Header
	body    []byte
	wire    int // bytes of the body as sent
	length  int64
	gzipped bool
	started time.Time
	done    time.Time
}

// fetch sends one request and judges what every response has to keep.
func (s *session) fetch(ctx context.Context, method, u string, header map[string]string) (*response, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*s.target()+patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u, nil)
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", u, err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Origin", "https://shop.example")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	r := &response{started: time.Now()}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	r.status, r.header, r.length = res.StatusCode, res.Header, res.ContentLength
	raw, err := readAll(res.Body, r.length)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", u, err)
	}
	r.done, r.wire, r.body = time.Now(), len(raw), raw
	if res.Header.Get("Content-Encoding") == "gzip" {
		if r.gzipped = true; len(raw) > 0 {
			if r.body, err = gunzip(raw); err != nil {
				return nil, fmt.Errorf("%s: %w", u, err)
			}
		}
	}
	s.common(u, res, r)
	return r, nil
}

// readAll reads a body of a length that the server says, or of an unknown one where it is negative.
func readAll(body io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 && length <= maxBody {
		b.Grow(int(length) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(body, maxBody+1))
	return b.Bytes(), err
}

// unzippers saves the memory that each new reader would take: there is one for each update of a playlist.
var unzippers = sync.Pool{New: func() any { return new(gzip.Reader) }}

func gunzip(raw []byte) ([]byte, error) {
	z := unzippers.Get().(*gzip.Reader)
	defer unzippers.Put(z)
	if err := z.Reset(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("open gzip: %w", err)
	}
	out, err := readAll(z, int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("read gzip: %w", err)
	}
	return out, nil
}

func (s *session) common(u string, res *http.Response, r *response) {
	s.rec.note(func(f *Facts) { f.Requests++; f.Bytes += int64(r.wire) })
	s.rec.check(RuleHTTPCookie, res.Header.Get("Set-Cookie") == "", u, "Set-Cookie: %s", res.Header.Get("Set-Cookie"))
	s.rec.check(RuleHTTPRedirect, r.status < 300 || r.status == http.StatusNotModified || r.status >= 400, u, "status %d to %q", r.status, res.Header.Get("Location"))
	allow := res.Header.Get("Access-Control-Allow-Origin")
	s.rec.check(RuleHTTPCORS, allow == "*", u, "status %d, Access-Control-Allow-Origin is %q", r.status, allow)
}

// target is the target duration as far as it is known.
func (s *session) target() time.Duration {
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	return s.rec.report.Facts.Target
}

var entityTag = regexp.MustCompile(`^(W/)?"[!#-~]*"$`)

func (s *session) etag(u string, r *response) {
	tag := r.header.Get("ETag")
	s.rec.check(RuleHTTPETag, entityTag.MatchString(tag), u, "ETag is %q", tag)
}

// playlist fetches a playlist, with directives when there are some.
func (s *session) playlist(ctx context.Context, u string, directives url.Values) (*response, error) {
	at := withDirectives(u, directives)
	r, err := s.fetch(ctx, http.MethodGet, at, map[string]string{"Accept-Encoding": "gzip"})
	if err != nil || r.status != http.StatusOK {
		return r, err
	}
	s.rec.check(RuleHTTPGzip, r.gzipped, at, "Content-Encoding is %q", r.header.Get("Content-Encoding"))
	s.rec.check(RuleHTTPVary, headerHas(r.header, "Vary", "accept-encoding"), at, "Vary is %q", r.header.Get("Vary"))
	s.contentType(at, r, "application/vnd.apple.mpegurl")
	s.etag(at, r)
	return r, nil
}

// cachePlaylist judges the caching of a media playlist; ended ones may be kept for longer.
func (s *session) cachePlaylist(u string, directives url.Values, r *response, p *mediaPlaylist) {
	if p.ended {
		return
	}
	c, at := cacheControl(r.header), withDirectives(u, directives)
	if directives.Has("_HLS_msn") {
		_, private := c["private"]
		s.rec.check(RuleCachePosition, c.shared() >= 1 && !private && !c.forbidden(), at, "Cache-Control is %q", r.header.Get("Cache-Control"))
		return
	}
	limit := max(1, int(p.target/time.Second)/2)
	fresh := c.shared()
	s.rec.check(RuleCacheLive, c.forbidden() || fresh >= 0 && fresh <= limit, at, "Cache-Control is %q", r.header.Get("Cache-Control"))
}

func (s *session) contentType(u string, r *response, want string) {
	got, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	s.rec.check(RuleHTTPType, err == nil && got == want, u, "Content-Type is %q, want %s", r.header.Get("Content-Type"), want)
}

// mediaFile fetches a segment, part or initialization section that must be there. It returns nil when it is not.
func (s *session) mediaFile(ctx context.Context, u string) (*response, error) {
	r, err := s.fetch(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	if !s.rec.check(RuleHTTPOK, r.status == http.StatusOK, u, "status %d for what is listed", r.status) {
		return nil, nil
	}
	s.mediaHeaders(u, r)
	return r, nil
}

func (s *session) mediaHeaders(u string, r *response) {
	s.rec.check(RuleHTTPLength, r.length == int64(r.wire), u, "Content-Length is %d, the body has %d bytes", r.length, r.wire)
	s.etag(u, r)
	c := cacheControl(r.header)
	_, immutable := c["immutable"]
	s.rec.check(RuleCacheMedia, immutable && c.shared() >= 3600 && !c.forbidden(), u, "Cache-Control is %q", r.header.Get("Cache-Control"))
}

func withDirectives(u string, directives url.Values) string {
	if len(directives) == 0 {
		return u
	}
	if strings.Contains(u, "?") {
		return u + "&" + directives.Encode()
	}
	return u + "?" + directives.Encode()
}

// directivesAt asks for a position.
func directivesAt(at position, skip string) url.Values {
	v := url.Values{"_HLS_msn": {strconv.FormatInt(at.msn, 10)}}
	if at.part >= 0 {
		v.Set("_HLS_part", strconv.FormatInt(at.part, 10))
	}
	if skip != "" {
		v.Set("_HLS_skip", skip)
	}
	return v
}

func headerHas(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for _, t := range strings.Split(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// directivesOfCache is Cache-Control (RFC 9111 section 5.2), names in lower case.
type directivesOfCache map[string]string

func cacheControl(h http.Header) directivesOfCache {
	c := make(directivesOfCache)
	for _, line := range h.Values("Cache-Control") {
		for _, d := range strings.Split(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
			c[strings.ToLower(name)] = strings.Trim(value, `"`)
		}
	}
	return c
}

// shared is the freshness lifetime for shared caches in seconds, -1 when none is stated.
func (c directivesOfCache) shared() int {
	for _, name := range []string{"s-maxage", "max-age"} {
		if v, ok := c[name]; ok {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	return -1
}

// forbidden tells that the response must not be used again without asking.
func (c directivesOfCache) forbidden() bool {
	_, noStore := c["no-store"]
	_, noCache := c["no-cache"]
	return noStore || noCache
}
