package conformance

import (
	"bytes"
	"context"
	"net/http"
	"time"
)

// segmentFact is what is compared between renditions when all is over.
type segmentFact struct {
	segment  segment
	start    time.Duration // presentation time of the first sample
	length   time.Duration // of the samples
	frame    time.Duration // longest sample
	closest  time.Duration // least distance of two samples' presentation times
	bytes    int
	samples  int
	track    *track
	unloaded bool // a gap, or not readable
	holed    bool // some of its parts are gaps
}

// decodeLine is the decoding time where the next fragment has to start.
type decodeLine struct {
	msn      int64 // of the segment that ended here
	valid    bool
	initURI  string
	ticks    int64
	sequence uint32
	start    time.Duration // presentation time of that segment
	date     time.Time
}

// download fetches and judges everything that next lists and prev did not.
func (p *player) download(ctx context.Context, prev, next *mediaPlaylist) error {
	for _, f := range news(prev, next) {
		if f.part.gap {
			p.s.rec.note(func(f *Facts) { f.GapParts++ })
			continue
		}
		if err := p.part(ctx, f); err != nil {
			return err
		}
	}
	for _, seg := range next.segments {
		if prev != nil && seg.msn <= prev.lastSegment() {
			continue
		}
		if err := p.segment(ctx, seg); err != nil {
			return err
		}
	}
	return nil
}

// track fetches an initialization section once.
func (p *player) track(ctx context.Context, uri string) (*track, error) {
	if uri == "" {
		return nil, nil
	}
	if t, ok := p.tracks[uri]; ok {
		return t, nil
	}
	r, err := p.s.mediaFile(ctx, uri)
	if err != nil {
		return nil, err
	}
	p.tracks[uri] = nil
	if r == nil {
		return nil, nil
	}
	t, issues := parseInit(r.body)
	p.s.rec.judge(uri, initRules, issues)
	p.tracks[uri], p.inits[uri] = t, r.body
	p.s.rec.note(func(f *Facts) { f.Inits++ })
	if t != nil {
		p.s.rec.codec(t.codec)
		p.s.contentType(uri, r, t.mime())
	}
	return t, nil
}

func (t *track) mime() string {
	if t.video() {
		return "video/mp4"
	}
	return "audio/mp4"
}

func (p *player) part(ctx context.Context, f fresh) error {
	t, err := p.track(ctx, f.seg.initURI)
	if err != nil {
		return err
	}
	uri := f.part.uri
	r, err := p.s.mediaFile(ctx, uri)
	if err != nil || r == nil {
		return err
	}
	if hinted, ok := p.parts[uri]; ok {
		p.same(RuleHintServed, uri, hinted, r.body)
	}
	p.parts[uri] = r.body
	p.s.rec.note(func(f *Facts) { f.Parts++ })
	if t == nil {
		return nil
	}
	p.s.contentType(uri, r, t.mime())
	m, issues := parseFragments(r.body, t)
	p.s.rec.judge(uri, fragmentRules, issues)
	if len(m.samples) == 0 {
		return nil
	}
	m.inspect(t) // the segment's judgement reports the issues
	c := p.s.rec.check
	length := t.at(m.duration())
	c(RulePartTime, (length-f.part.duration).Abs() <= rounding, uri, "DURATION is %v, the samples last %v", f.part.duration, length)
	if f.part.independent {
		c(RuleIndependent, m.samples[0].sync, uri, "the first sample is no sync sample")
	} else {
		c(RuleIndependentSet, !m.samples[0].sync, uri, "the first sample is a sync sample")
	}
	return nil
}

func (p *player) segment(ctx context.Context, seg segment) error {
	fact := &segmentFact{segment: seg, unloaded: true}
	p.segments[seg.msn] = fact
	if seg.gap {
		p.s.rec.note(func(f *Facts) { f.GapSegments++ })
		return p.s.gapEmpty(ctx, seg)
	}
	t, err := p.track(ctx, seg.initURI)
	if err != nil {
		return err
	}
	r, err := p.s.mediaFile(ctx, seg.uri)
	if err != nil || r == nil {
		return err
	}
	p.s.rec.note(func(f *Facts) { f.Segments++ })
	p.joined(seg, r.body)
	if t == nil {
		return nil
	}
	p.s.contentType(seg.uri, r, t.mime())
	m, issues := parseFragments(r.body, t)
	p.s.rec.judge(seg.uri, fragmentRules, issues)
	if len(m.samples) == 0 {
		return nil
	}
	p.s.rec.judge(seg.uri, sampleRules, m.inspect(t))
	p.s.rec.note(func(f *Facts) { f.Samples += len(m.samples) })
	p.timeline(seg, m, t)
	p.messages(seg, m, t)
	*fact = segmentFact{seg, m.start(t), t.at(m.duration()), m.longest(t), m.closest(t), len(r.body), len(m.samples), t, false, seg.missing() > 0}
	return nil
}

// gapEmpty asks for a segment that is marked as a gap.
func (s *session) gapEmpty(ctx context.Context, seg segment) error {
	r, err := s.fetch(ctx, http.MethodGet, seg.uri, nil)
	if err != nil {
		return err
	}
	s.rec.check(RuleGapEmpty, r.status == http.StatusNotFound || r.status == http.StatusGone, seg.uri, "status %d for a gap", r.status)
	s.missing(seg.uri, r)
	return nil
}

// joined compares a segment with its parts, as far as all of them were downloaded.
func (p *player) joined(seg segment, body []byte) {
	var all [][]byte
	complete := len(seg.parts) > 0
	for _, q := range seg.parts {
		data, ok := p.parts[q.uri]
		complete = complete && (ok || q.gap)
		all = append(all, data)
		delete(p.parts, q.uri)
	}
	// In the first playlist, the oldest segment with parts may have lost its first ones.
	before, known := p.segments[seg.msn-1]
	if complete && known && (p.updates > 0 || len(before.segment.parts) > 0) {
		p.s.rec.check(RuleSegmentParts, bytes.Equal(bytes.Join(all, nil), body), seg.uri, "%d bytes, its %d parts differ", len(body), len(all))
	}
}

// timeline judges a segment's times against the segment before it.
func (p *player) timeline(seg segment, m *media, t *track) {
	c, l := p.s.rec.check, &p.line
	length, start := t.at(m.duration()), m.start(t)
	frame := m.longest(t)
	missing := seg.missing()
	c(RuleSegmentTime, (length+missing-seg.duration).Abs() <= rounding, seg.uri, "EXTINF is %v, the samples last %v, the gaps %v", seg.duration, length, missing)
	if p.s.mv.independent || p.current.independent {
		c(RuleIndependentAll, m.samples[0].sync, seg.uri, "the first sample is no sync sample")
	}
	joins := l.valid && l.msn == seg.msn-1 && !seg.disc && l.initURI == seg.initURI && missing == 0
	for i, f := range m.fragments {
		if joins || i > 0 && missing == 0 {
			off := t.at(f.decode - l.ticks)
			c(RuleDecodeTime, off.Abs() <= p.s.opt.DecodeSlack && (p.s.opt.DecodeSlack > 0 || f.decode == l.ticks), seg.uri, "fragment %d has tfdt %d, the samples before it end at %d", i, f.decode, l.ticks)
			c(RuleFragmentOrder, f.sequence > l.sequence, seg.uri, "fragment %d has sequence %d after %d", i, f.sequence, l.sequence)
		}
		l.ticks, l.sequence = f.decode+f.duration, f.sequence
	}
	if joins && seg.hasDate && !l.date.IsZero() {
		off := seg.date.Sub(l.date) - (start - l.start)
		c(RulePDTMedia, off.Abs() <= frame+rounding+timestamps, seg.uri, "the date-time moved %v, the media %v", seg.date.Sub(l.date), start-l.start)
	}
	l.msn, l.valid, l.initURI, l.start, l.date = seg.msn, missing == 0, seg.initURI, start, seg.date
}
