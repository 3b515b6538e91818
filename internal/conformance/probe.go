package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// probe sends the requests that an attentive client has no need for. They are spread over a rendition's first updates,
// so that no part has to wait for all of them, and begin again after a while.
func (p *player) probe(ctx context.Context) error {
	if p.current.ended {
		return nil
	}
	steps := []func(context.Context) error{
		p.probeMedia, p.probeRefusals, p.testReports, p.probeOld, p.probeWhole, p.probePlaylist, p.testReports, p.probeMissing,
	}
	if n := (p.updates - 1) % (2 * len(steps)); n < len(steps) {
		return steps[n](ctx)
	}
	return nil
}

// probeMedia tries ranges, conditions and HEAD on the newest segment.
func (p *player) probeMedia(ctx context.Context) error {
	for i := len(p.current.segments) - 1; i >= 0; i-- {
		if seg := p.current.segments[i]; !seg.gap {
			return p.s.probeFile(ctx, seg.uri)
		}
	}
	return nil
}

func (s *session) probeFile(ctx context.Context, u string) error {
	whole, err := s.fetch(ctx, http.MethodGet, u, nil)
	if err != nil || whole.status != http.StatusOK {
		return err
	}
	again, err := s.fetch(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	s.rec.check(RuleImmutable, bytes.Equal(whole.body, again.body), u, "%d bytes, then other %d bytes", len(whole.body), len(again.body))
	if err := s.probeHead(ctx, u, whole); err != nil {
		return err
	}
	if err := s.probeCondition(ctx, u, whole, nil); err != nil {
		return err
	}
	size := len(whole.body)
	for _, r := range []struct {
		text        string
		first, last int
	}{{"bytes=0-0", 0, 0}, {"bytes=5-99", 5, min(99, size-1)}, {"bytes=7-", 7, size - 1}, {"bytes=-9", size - 9, size - 1}} {
		if size < 10 {
			break
		}
		res, err := s.fetch(ctx, http.MethodGet, u, map[string]string{"Range": r.text})
		if err != nil {
			return err
		}
		want := fmt.Sprintf("bytes %d-%d/%d", r.first, r.last, size)
		got := res.header.Get("Content-Range")
		s.rec.check(RuleHTTPRange, res.status == http.StatusPartialContent && got == want && bytes.Equal(res.body, whole.body[r.first:r.last+1]), u,
			"Range %s: status %d, Content-Range %q, want %q, %d bytes", r.text, res.status, got, want, len(res.body))
	}
	res, err := s.fetch(ctx, http.MethodGet, u, map[string]string{"Range": fmt.Sprintf("bytes=%d-", size+10)})
	if err != nil {
		return err
	}
	want, got := fmt.Sprintf("bytes */%d", size), res.header.Get("Content-Range")
	s.rec.check(RuleHTTPBadRange, res.status == http.StatusRequestedRangeNotSatisfiable && got == want, u, "status %d, Content-Range %q, want %q", res.status, got, want)
	return nil
}

func (s *session) probeHead(ctx context.Context, u string, get *response) error {
	head, err := s.fetch(ctx, http.MethodHead, u, nil)
	if err != nil {
		return err
	}
	s.rec.check(RuleHTTPHead, head.status == get.status && len(head.body) == 0, u, "status %d with %d bytes, GET has status %d", head.status, len(head.body), get.status)
	for _, name := range []string{"Content-Type", "Content-Length", "ETag", "Cache-Control"} {
		s.rec.check(RuleHTTPHead, head.header.Get(name) == get.header.Get(name), u, "%s is %q, with GET %q", name, head.header.Get(name), get.header.Get(name))
	}
	return nil
}

func (s *session) probeCondition(ctx context.Context, u string, get *response, header map[string]string) error {
	tag := get.header.Get("ETag")
	if tag == "" {
		return nil
	}
	h := map[string]string{"If-None-Match": `"something-else", ` + tag}
	for k, v := range header {
		h[k] = v
	}
	res, err := s.fetch(ctx, http.MethodGet, u, h)
	if err != nil {
		return err
	}
	// A live playlist may have changed, and then has another tag.
	changed := res.status == http.StatusOK && res.header.Get("ETag") != tag
	s.rec.check(RuleHTTPCondition, changed || res.status == http.StatusNotModified && len(res.body) == 0, u, "status %d with %d bytes for the current ETag", res.status, len(res.body))
	return nil
}

// probeText tries the codings, the condition and HEAD on a playlist.
func (s *session) probeText(ctx context.Context, u string) error {
	coded, err := s.playlist(ctx, u, nil)
	if err != nil || coded.status != http.StatusOK {
		return err
	}
	plain, err := s.fetch(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	s.rec.check(RuleHTTPGzip, !plain.gzipped, u, "gzip for a client that does not accept it")
	tag := plain.header.Get("ETag")
	shared := coded.gzipped && tag == coded.header.Get("ETag") && len(tag) > 0 && tag[0] == '"'
	s.rec.check(RuleHTTPCoding, !shared, u, "gzip and identity both have the ETag %s", tag)
	if err := s.probeCondition(ctx, u, coded, map[string]string{"Accept-Encoding": "gzip"}); err != nil {
		return err
	}
	head, err := s.fetch(ctx, http.MethodHead, u, map[string]string{"Accept-Encoding": "gzip"})
	if err != nil {
		return err
	}
	s.rec.check(RuleHTTPHead, head.status == http.StatusOK && len(head.body) == 0 && head.header.Get("Content-Type") == coded.header.Get("Content-Type"), u,
		"status %d, Content-Type %q, %d bytes", head.status, head.header.Get("Content-Type"), len(head.body))
	return nil
}

func (s *session) probeMultivariant(ctx context.Context) error { return s.probeText(ctx, s.master) }

func (p *player) probePlaylist(ctx context.Context) error {
	if err := p.s.probeText(ctx, p.url); err != nil {
		return err
	}
	r, err := p.s.playlist(ctx, p.url, nil)
	if err != nil || r.status != http.StatusOK {
		return err
	}
	bare, _ := parseMedia(p.current.base, r.body)
	p.s.cachePlaylist(p.url, nil, r, bare)
	return nil
}

// probeRefusals asks for what must be refused.
func (p *player) probeRefusals(ctx context.Context) error {
	last := p.current.next()
	beyond := int64(3)
	if t := p.current.partTarget; t > 0 && t < time.Second {
		beyond = int64(3*time.Second/t) + 1
	}
	// Some more on top, for the parts that are published until the request arrives.
	for _, q := range []struct {
		rule RuleID
		text string
	}{
		{RuleBlockFar, fmt.Sprintf("_HLS_msn=%d", last.msn+8)},
		{RuleBlockFar, fmt.Sprintf("_HLS_msn=%d&_HLS_part=0", last.msn+8)},
		{RuleBlockPartFar, fmt.Sprintf("_HLS_msn=%d&_HLS_part=%d", last.msn+2, last.part+beyond+50)},
		{RuleBlockPartAlone, "_HLS_part=0"},
		{RuleBlockMalformed, "_HLS_msn=abc"},
		{RuleBlockMalformed, "_HLS_msn=-1"},
		{RuleBlockMalformed, "_HLS_msn=1.5"},
		{RuleBlockMalformed, "_HLS_msn="},
		{RuleBlockMalformed, "_HLS_msn=99999999999999999999999"},
		{RuleBlockMalformed, fmt.Sprintf("_HLS_msn=%d&_HLS_part=x", last.msn)},
		{RuleBlockMalformed, fmt.Sprintf("_HLS_msn=%d&_HLS_part=-1", last.msn)},
	} {
		u := p.url + "?" + q.text
		r, err := p.s.fetch(ctx, http.MethodGet, u, nil)
		if err != nil {
			return err
		}
		p.s.rec.check(q.rule, r.status == http.StatusBadRequest, u, "status %d", r.status)
	}
	return nil
}

// probeOld asks for positions that have been there for long, and for a part past the end of a whole segment.
func (p *player) probeOld(ctx context.Context) error {
	whole := p.current.segments
	if len(whole) == 0 {
		return nil
	}
	ask := []struct {
		rule RuleID
		at   position
	}{
		{RuleBlockOld, position{whole[0].msn, 0}},
		{RuleBlockOld, position{max(0, p.firstSequence-1), -1}},
		{RuleBlockOld, position{whole[len(whole)-1].msn, -1}},
	}
	if n := len(whole); n >= 2 && len(whole[n-2].parts) > 0 {
		ask = append(ask, struct {
			rule RuleID
			at   position
		}{RuleBlockRollover, position{whole[n-2].msn, int64(len(whole[n-2].parts))}})
	}
	for _, a := range ask {
		d := directivesAt(a.at, "")
		u := withDirectives(p.url, d)
		r, err := p.s.playlist(ctx, p.url, d)
		if err != nil {
			return err
		}
		if !p.s.rec.check(a.rule, r.status == http.StatusOK, u, "status %d", r.status) {
			continue
		}
		got, _ := parseMedia(p.current.base, r.body)
		p.s.rec.check(a.rule, got.skip == nil && !got.tail().before(p.current.tail()), u, "the playlist ends at %v, it was at %v before", got.tail(), p.current.tail())
	}
	return nil
}

// probeWhole asks, beside the player, for a whole segment by its number alone.
func (p *player) probeWhole(ctx context.Context) error {
	want := p.current.open.msn
	d := directivesAt(position{want, -1}, "")
	u, base := withDirectives(p.url, d), p.current.base
	p.s.extra.Go(func() {
		r, err := p.s.playlist(ctx, p.url, d)
		if err != nil || r.status == http.StatusServiceUnavailable {
			return // the player meets the same trouble and judges it
		}
		if !p.s.rec.check(RuleBlockSegment, r.status == http.StatusOK, u, "status %d", r.status) {
			return
		}
		got, _ := parseMedia(base, r.body)
		p.s.rec.check(RuleBlockSegment, got.ended || got.lastSegment() >= want, u, "the last whole segment is %d", got.lastSegment())
	})
	return nil
}

// probeMissing asks for a neighbour of a segment that cannot exist.
func (p *player) probeMissing(ctx context.Context) error {
	base, err := url.Parse(p.url)
	if err != nil {
		return fmt.Errorf("parse URL: %w", err)
	}
	n := len(p.current.segments)
	if n == 0 {
		return nil
	}
	seg, err := url.Parse(p.current.segments[n-1].uri)
	if err != nil {
		return fmt.Errorf("parse URL: %w", err)
	}
	for _, ref := range []string{"no-such-resource-" + strconv.Itoa(p.updates) + ".m4s"} {
		u := base.ResolveReference(seg).ResolveReference(&url.URL{Path: ref}).String()
		r, err := p.s.fetch(ctx, http.MethodGet, u, nil)
		if err != nil {
			return err
		}
		p.s.rec.check(RuleHTTPMissing, r.status == http.StatusNotFound, u, "status %d", r.status)
		p.s.missing(u, r)
	}
	return nil
}

// missing judges the caching of Not Found.
func (s *session) missing(u string, r *response) {
	if r.status != http.StatusNotFound && r.status != http.StatusGone {
		return
	}
	c := cacheControl(r.header)
	limit := int(s.target() / time.Second)
	s.rec.check(RuleCacheMissing, c.forbidden() || c.shared() >= 0 && c.shared() <= limit, u, "status %d, Cache-Control is %q", r.status, r.header.Get("Cache-Control"))
}

// probeEnded asks an ended playlist for its future.
func (p *player) probeEnded(ctx context.Context) error {
	for _, q := range []struct {
		rule RuleID
		d    url.Values
	}{
		{RuleBlockEnded, directivesAt(position{p.current.open.msn + 50, 3}, "")},
		{RuleSkipEnded, url.Values{"_HLS_skip": {"YES"}}},
		{RuleEndFinal, nil},
	} {
		u := withDirectives(p.url, q.d)
		r, err := p.s.playlist(ctx, p.url, q.d)
		if err != nil {
			return err
		}
		if !p.s.rec.check(q.rule, r.status == http.StatusOK, u, "status %d", r.status) {
			continue
		}
		got, _ := parseMedia(p.current.base, r.body)
		p.s.rec.check(q.rule, got.ended && got.skip == nil && !p.current.tail().before(got.tail()), u,
			"ended: %v, skip: %v, at %v; it ended at %v", got.ended, got.skip != nil, got.tail(), p.current.tail())
	}
	return nil
}
