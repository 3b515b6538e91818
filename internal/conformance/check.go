package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Options shape a Check. The zero value is a good check of a live stream.
type Options struct {
	// Duration is the media time to follow each rendition beyond its first playlist; 0 means 10 s. It ends early with
	// EXT-X-ENDLIST. The context bounds the wall-clock time.
	Duration time.Duration
	// Pace is how much later than the specification allows a part or segment may be seen, which covers the network
	// and a busy machine; 0 means that pace is not judged.
	Pace time.Duration
	// LooseHints allows hinted parts to be given up when a segment ends sooner, and put off when it goes on longer than was
	// expected, as an origin has to when key frames come without regularity or are lost.
	LooseHints bool
	// RaisedHold allows HOLD-BACK and PART-HOLD-BACK to grow, and to differ between renditions until all have followed, as they
	// do when renditions come to lag.
	RaisedHold bool
	// DecodeSlack is how far a tfdt may be off the samples before it; 0 means not at all.
	DecodeSlack time.Duration
	// Off lists rules whose violations are not reported.
	Off []RuleID
}

// Check plays the presentation behind a multivariant playlist's URL and reports how it keeps the rules. It fails only
// when the presentation cannot be played at all; the report is returned with the error when it got that far.
// The client must not follow redirects on its own account: its CheckRedirect is replaced.
func Check(ctx context.Context, client *http.Client, masterURL string, opt Options) (*Report, error) {
	if opt.Duration == 0 {
		opt.Duration = 10 * time.Second
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s := &session{client: &own, rec: newRecorder(opt.Off), opt: opt, master: masterURL, players: make(map[string]*player)}
	err := s.run(ctx)
	return s.rec.finish(), err
}

// session is one Check.
type session struct {
	client  *http.Client
	rec     *recorder
	opt     Options
	master  string
	mv      *multivariant
	urls    []string // of the media playlists, in the order of the multivariant playlist
	players map[string]*player
	extra   sync.WaitGroup // requests that run beside the players
}

func (s *session) run(ctx context.Context) error {
	if err := s.discover(ctx); err != nil {
		return err
	}
	for _, u := range s.urls {
		s.players[u] = newPlayer(s, u)
	}
	errs := make([]error, len(s.urls))
	var wg sync.WaitGroup
	for i, u := range s.urls {
		wg.Go(func() { errs[i] = s.players[u].run(ctx) })
	}
	wg.Wait()
	s.extra.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.compareRenditions()
	s.compareEdges()
	s.compareMessages()
	for _, u := range s.urls {
		s.players[u].rangesAtMessages()
	}
	s.compareRanges(ctx)
	return s.judgeMultivariant(ctx)
}

// discover reads the multivariant playlist.
func (s *session) discover(ctx context.Context) error {
	res, err := s.playlist(ctx, s.master, nil)
	if err != nil {
		return fmt.Errorf("fetch multivariant playlist: %w", err)
	}
	base, err := url.Parse(s.master)
	if err != nil {
		return fmt.Errorf("parse multivariant playlist's URL: %w", err)
	}
	mv, issues, ok := parseMultivariant(base, res.body)
	if !ok {
		return fmt.Errorf("%s: no multivariant playlist (status %d): no EXT-X-STREAM-INF", s.master, res.status)
	}
	s.rec.judge(s.master, syntaxRules, issues)
	s.mv = mv
	add := func(uri string) {
		if uri != "" && !slices.Contains(s.urls, uri) {
			s.urls = append(s.urls, uri)
		}
	}
	for _, v := range mv.variants {
		add(v.uri)
	}
	for _, m := range mv.media {
		add(m.uri)
	}
	s.rec.note(func(f *Facts) { f.Variants, f.Renditions, f.Ended = len(mv.variants), len(s.urls), true })
	if err := s.probeMultivariant(ctx); err != nil {
		return err
	}
	return nil
}

func (s *session) isRendition(u string) bool { return slices.Contains(s.urls, u) }

// others lists the media playlists beside one.
func (s *session) others(u string) []string {
	var out []string
	for _, o := range s.urls {
		if o != u {
			out = append(out, o)
		}
	}
	return out
}

// slid tells that segments have left the playlist since the check began.
func (s *session) slid(u string, p *mediaPlaylist) bool {
	return p.sequence > s.players[u].firstSequence
}
