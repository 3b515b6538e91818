package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// maxFailures is how often in a row a rendition's playlist may fail before the player gives up.
const maxFailures = 3

// player follows one rendition. Its fields are its own goroutine's, until run returns; history has its own lock.
type player struct {
	s   *session
	url string

	current       *mediaPlaylist // the full playlist, with what deltas skipped put back
	currentStart  time.Time      // when the request for it was sent
	firstSequence int64
	followed      time.Duration // media seen after the first playlist
	history       history
	edges         []edge
	discontinuity map[int64]bool

	hint      *pendingHint
	tracks    map[string]*track // by URI of the initialization section; nil when unusable
	inits     map[string][]byte
	parts     map[string][]byte // by URI, of segments that are not yet complete
	line      decodeLine
	segments  map[int64]*segmentFact
	events    eventLine
	allRanges map[string]dateRange // all that were ever seen, as they were seen last
	views     []rangeView
	client    map[string]dateRange // what a client knows that asks for updates of v2 only
	clientAt  time.Time
	shelf     shelf
	lastPart  time.Time // when the last new part was seen
	lastWhole time.Time
	updates   int
}

func newPlayer(s *session, u string) *player {
	return &player{
		s: s, url: u,
		discontinuity: make(map[int64]bool),
		tracks:        make(map[string]*track), inits: make(map[string][]byte), parts: make(map[string][]byte),
		segments: make(map[int64]*segmentFact), allRanges: make(map[string]dateRange),
		events: eventLine{known: make(map[eventKey][]byte)},
		shelf:  shelf{since: make(map[int64]time.Time), seen: make(map[string]time.Time)},
	}
}

func (p *player) run(ctx context.Context) error {
	err := p.follow(ctx)
	if p.hint != nil {
		p.hint.cancel()
		<-p.hint.done
	}
	if err != nil {
		return fmt.Errorf("play %s: %w", p.url, err)
	}
	p.s.rec.note(func(f *Facts) {
		f.Ended = f.Ended && p.current.ended
		f.Discontinuities = max(f.Discontinuities, len(p.discontinuity))
	})
	if p.current.ended {
		return p.probeEnded(ctx)
	}
	return nil
}

func (p *player) follow(ctx context.Context) error {
	failures := 0
	for p.current == nil || !p.current.ended && p.followed < p.s.opt.Duration {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("followed %v of %v: %w", p.followed, p.s.opt.Duration, err)
		}
		ok, err := p.step(ctx)
		if err != nil {
			return err
		}
		if failures++; ok {
			failures = 0
		}
		if failures == maxFailures {
			return fmt.Errorf("%d requests in a row failed", failures)
		}
	}
	return nil
}

// step loads one version of the playlist and what is new in it. ok is false when there was none.
func (p *player) step(ctx context.Context) (ok bool, err error) {
	var directives url.Values
	asked := position{-1, -1}
	mode := ""
	if p.current != nil {
		p.startHint(ctx)
		mode = []string{"", "YES", "v2"}[p.updates%3]
		if until := p.current.control.skipUntil; until > 0 && time.Since(p.currentStart) > until/2 {
			mode = "" // whose playlist is older than that must not ask for what changed (6.2.5.1)
		}
		asked = p.current.next()
		directives = directivesAt(asked, mode)
	}
	at := withDirectives(p.url, directives)
	r, err := p.s.playlist(ctx, p.url, directives)
	if err != nil {
		if ctx.Err() == nil && p.current != nil {
			p.s.rec.check(RuleBlockTimeout, false, at, "no answer: %v", err)
		}
		return false, err
	}
	if r.status == http.StatusServiceUnavailable && p.current != nil {
		waited := r.done.Sub(r.started)
		p.s.rec.check(RuleBlockTimeout, waited >= 3*p.current.target, at, "503 after %v", waited)
		p.s.rec.note(func(f *Facts) { f.Unavailable++ })
		return true, nil
	}
	if !p.s.rec.check(RuleHTTPOK, r.status == http.StatusOK, at, "status %d", r.status) {
		return false, nil
	}
	return true, p.take(ctx, at, r, directives, asked, mode)
}

// take judges one version of the playlist and downloads what is new in it.
func (p *player) take(ctx context.Context, at string, r *response, directives url.Values, asked position, mode string) error {
	base, err := url.Parse(p.url)
	if err != nil {
		return fmt.Errorf("parse URL: %w", err)
	}
	next, issues := parseMedia(base, r.body)
	p.s.rec.judge(at, syntaxRules, issues)
	p.s.cachePlaylist(p.url, directives, r, next)
	p.s.rec.note(func(f *Facts) { f.Updates++ })
	if mode != "" {
		if next, err = p.delta(ctx, at, next, mode); err != nil {
			return err
		}
	}
	if p.current == nil {
		p.firstSequence = next.sequence
	}
	p.s.static(p.url, next)
	if asked.msn >= 0 && !next.ended {
		p.s.rec.check(RuleBlockWaits, !next.tail().before(asked), at, "asked for %v, the playlist ends at %v", asked, next.tail())
	}
	prev := p.current
	if prev != nil {
		p.compare(at, prev, next)
		p.settleHint(ctx, prev, next)
		p.pace(at, prev, next, r.done)
	}
	p.reports(at, next, r)
	p.shelf.list(p, prev, next, r.started)
	p.view(next)
	p.current, p.currentStart = next, r.started
	p.history.add(r.started, r.done, next.tail())
	p.edge(next, r.done)
	if err := p.download(ctx, prev, next); err != nil {
		return err
	}
	if err := p.shelf.test(ctx, p, prev, next); err != nil {
		return err
	}
	p.updates++
	return p.probe(ctx)
}

// fresh is a part that the previous playlist did not have.
type fresh struct {
	at   position
	part part
	seg  segment
}

// news lists the parts of next behind the tail of prev, which may be nil.
func news(prev, next *mediaPlaylist) (out []fresh) {
	after := position{-1, -1}
	if prev != nil {
		after = prev.tail()
	}
	for _, seg := range next.withOpen() {
		for i, q := range seg.parts {
			if at := (position{seg.msn, int64(i)}); after.before(at) {
				out = append(out, fresh{at, q, seg})
			}
		}
	}
	return out
}

func (p *player) pace(at string, prev, next *mediaPlaylist, now time.Time) {
	parts := news(prev, next)
	if len(parts) > 0 {
		if slack := p.s.opt.Pace; slack > 0 && !p.lastPart.IsZero() && !parts[0].seg.disc {
			gap := now.Sub(p.lastPart)
			p.s.rec.check(RulePacePart, gap <= prev.partTarget+slack, at, "a part came %v after the last", gap)
		}
		p.lastPart = now
	}
	for _, f := range parts {
		p.followed += f.part.duration
	}
	if next.lastSegment() <= prev.lastSegment() {
		return
	}
	last, _ := next.find(next.lastSegment())
	if slack := p.s.opt.Pace; slack > 0 && !p.lastWhole.IsZero() && !last.disc && !next.open.disc {
		gap := now.Sub(p.lastWhole)
		p.s.rec.check(RulePaceSegment, gap <= prev.target*3/2+slack, at, "a segment came %v after the last", gap)
	}
	p.lastWhole = now
	if len(last.parts) == 0 {
		p.followed += last.duration
	}
}

// pendingHint is a request for a part that is not published yet.
type pendingHint struct {
	uri    string
	cancel context.CancelFunc
	done   chan struct{} // closed when res or err is set
	res    *response
	err    error
}

func (p *player) startHint(ctx context.Context) {
	uri := ""
	for _, h := range p.current.hints {
		if h.kind == "PART" {
			uri = h.uri
		}
	}
	if p.hint != nil && p.hint.uri == uri {
		select {
		case <-p.hint.done: // it gave up, as after a long wait; ask again
		default:
			return
		}
	}
	if p.hint = nil; uri == "" {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	h := &pendingHint{uri: uri, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		h.res, h.err = p.s.fetch(ctx, http.MethodGet, uri, nil)
	}()
	p.hint = h
}

// settleHint judges the hint of prev by what came next.
func (p *player) settleHint(ctx context.Context, prev, next *mediaPlaylist) {
	h := p.hint
	parts := news(prev, next)
	if h == nil || len(parts) == 0 && !next.ended {
		return
	}
	p.hint = nil
	if len(parts) > 0 && parts[0].at != prev.next() && parts[0].at != (position{prev.open.msn + 1, 0}) {
		h.cancel() // the player fell behind, and does not see what came next
		<-h.done
		return
	}
	if now, ok := next.find(prev.open.msn); ok && len(prev.open.parts) > 0 && len(now.parts) == 0 {
		h.cancel() // so far behind that the segment's parts are not listed any more
		<-h.done
		return
	}
	if len(parts) > 0 && parts[0].part.uri == h.uri {
		p.s.rec.check(RuleHintMatch, true, p.url, "")
		p.s.rec.check(RuleHintKept, true, p.url, "")
		p.s.rec.note(func(f *Facts) { f.HintsKept++ })
		p.hintServed(h, parts[0].part, prev)
		return
	}
	p.s.rec.note(func(f *Facts) { f.HintsUnkept++ })
	if len(parts) > 0 && !parts[0].seg.disc {
		next := parts[0]
		later := false
		for _, f := range parts[1:] {
			later = later || f.part.uri == h.uri
		}
		ends := next.at.part == 0 && next.at.msn > prev.open.msn-1 && len(prev.open.parts) > 0 && !later
		goesOn := next.at.part > 0 && next.at == prev.next() // the segment did not end where it was expected to
		switch {
		case ends:
			p.s.rec.check(RuleHintKept, p.s.opt.LooseHints, p.url, "%s was hinted, but %v followed", h.uri, next.at)
		case goesOn && p.s.opt.LooseHints:
			h.cancel() // it is answered once the segment has ended after all
			<-h.done
			return
		default:
			p.s.rec.check(RuleHintMatch, false, p.url, "%s was hinted, %s was published", h.uri, next.part.uri)
			h.cancel()
			<-h.done
			return
		}
	}
	// The refusal may come later than the playlist; nothing waits for it here.
	p.s.extra.Go(func() {
		defer h.cancel()
		<-h.done
		if h.err == nil && h.res.status == http.StatusServiceUnavailable {
			p.s.waited(h, prev)
		} else if h.err == nil && ctx.Err() == nil {
			p.s.rec.check(RuleHintGone, h.res.status == http.StatusNotFound || h.res.status == http.StatusGone, h.uri, "status %d for a part that was given up", h.res.status)
			p.s.missing(h.uri, h.res)
		}
	})
}

func (p *player) hintServed(h *pendingHint, q part, prev *mediaPlaylist) {
	defer h.cancel()
	<-h.done
	if q.gap {
		return
	}
	if h.err != nil {
		p.s.rec.check(RuleHintServed, false, h.uri, "the request failed: %v", h.err)
		return
	}
	if h.res.status == http.StatusServiceUnavailable {
		p.s.waited(h, prev)
		return
	}
	if p.s.rec.check(RuleHintServed, h.res.status == http.StatusOK, h.uri, "status %d for the hinted part", h.res.status) {
		p.parts[h.uri] = h.res.body
	}
}

// waited judges a 503 for a hinted part.
func (s *session) waited(h *pendingHint, prev *mediaPlaylist) {
	waited := h.res.done.Sub(h.res.started)
	s.rec.check(RuleBlockTimeout, waited >= 3*prev.target, h.uri, "503 after %v", waited)
}

// same judges that a second download gave what the first did.
func (p *player) same(rule RuleID, u string, first, second []byte) {
	p.s.rec.check(rule, bytes.Equal(first, second), u, "%d bytes, then other %d bytes", len(first), len(second))
}
