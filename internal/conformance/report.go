package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxPerRule bounds how many violations of one rule a report keeps; an origin that is wrong is wrong in every update.
const maxPerRule = 20

// Violation is one rule broken in one place.
type Violation struct {
	Rule    RuleID
	Section string
	// URL of the resource.
	URL string
	// Detail says what was found and what was expected.
	Detail string
}

// String is one line for a test's log.
func (v Violation) String() string {
	return fmt.Sprintf("%s [%s] %s: %s", v.Rule, v.Section, v.URL, v.Detail)
}

// Facts is what the checker saw. Counts add up over all renditions.
type Facts struct {
	Variants, Renditions int
	// Updates counts playlist responses that were judged; Deltas those of them that skipped something.
	Updates, Deltas int
	// Segments, Parts and Inits count distinct resources that were downloaded and read.
	Segments, Parts, Inits int
	// Samples counts samples in segments.
	Samples int
	// Events counts event messages in segments; DateRanges the date ranges of the rendition that had most.
	Events, DateRanges int
	// GapSegments and GapParts count what was listed as missing.
	GapSegments, GapParts int
	// Discontinuities counts EXT-X-DISCONTINUITY tags in the rendition that had most.
	Discontinuities int
	// HintsKept and HintsUnkept count hinted parts that were published next, and those that were given up.
	HintsKept, HintsUnkept int
	// Unavailable counts blocking requests that were answered 503.
	Unavailable int
	// Requests and Bytes count HTTP requests and the bytes of their bodies as sent.
	Requests int
	Bytes    int64
	// MaxPart, MaxSegment are the longest declared durations; PartTarget and Target what the playlists promise.
	MaxPart, MaxSegment, PartTarget, Target time.Duration
	// MaxPlaylist is the longest playlist, in media time.
	MaxPlaylist time.Duration
	// Codecs are the RFC 6381 formats of the initialization sections, sorted.
	Codecs []string
	// Lags is how much later each rendition comes than the foremost one, in the order of the multivariant playlist.
	Lags []Lag
	// Ended tells that every rendition came to EXT-X-ENDLIST.
	Ended bool
}

// Lag is by how much the end of a rendition's playlist was before the end of the foremost one, in media time, whenever it was
// loaded.
type Lag struct {
	// URL of the rendition's playlist.
	URL string
	// Middle is the median, Most the maximum.
	Middle, Most time.Duration
}

// Report is the outcome of a Check.
type Report struct {
	// Violations in the order of discovery, at most 20 of each rule; Suppressed counts the others.
	Violations []Violation
	Suppressed int
	// Exercised counts how often each rule was judged; a rule that had no occasion is absent.
	Exercised map[RuleID]int
	Facts     Facts
}

// Broken lists the rules that were broken, sorted.
func (r *Report) Broken() []RuleID {
	var ids []RuleID
	for _, v := range r.Violations {
		if !slices.Contains(ids, v.Rule) {
			ids = append(ids, v.Rule)
		}
	}
	slices.Sort(ids)
	return ids
}

// Idle lists the rules that had no occasion to be judged, in the order of the table.
func (r *Report) Idle() []RuleID {
	var ids []RuleID
	for _, rule := range Rules() {
		if r.Exercised[rule.ID] == 0 {
			ids = append(ids, rule.ID)
		}
	}
	return ids
}

// String is the violations, a line each, for a test's log.
func (r *Report) String() string {
	var b strings.Builder
	for _, v := range r.Violations {
		b.WriteString(v.String())
		b.WriteByte('\n')
	}
	if r.Suppressed > 0 {
		fmt.Fprintf(&b, "and %d more\n", r.Suppressed)
	}
	return b.String()
}

// issue is a broken rule before it is known where.
type issue struct {
	rule   RuleID
	detail string
}

func issuef(rule RuleID, format string, args ...any) issue {
	return issue{rule, fmt.Sprintf(format, args...)}
}

// recorder collects a report. Its methods may be called from any goroutine.
type recorder struct {
	sections map[RuleID]string
	off      map[RuleID]bool

	mu     sync.Mutex // guards what follows
	report Report
	known  map[Violation]bool
	count  map[RuleID]int
	codecs map[string]bool
}

func newRecorder(off []RuleID) *recorder {
	r := &recorder{
		sections: make(map[RuleID]string), off: make(map[RuleID]bool),
		known: make(map[Violation]bool), count: make(map[RuleID]int), codecs: make(map[string]bool),
	}
	r.report.Exercised = make(map[RuleID]int)
	for _, rule := range Rules() {
		r.sections[rule.ID] = rule.Section
	}
	for _, id := range off {
		r.off[id] = true
	}
	return r
}

// check notes that the rule was judged, and a violation unless ok. It returns ok.
func (r *recorder) check(id RuleID, ok bool, url, format string, args ...any) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Exercised[id]++
	if !ok && !r.off[id] {
		r.addLocked(Violation{id, r.sections[id], url, fmt.Sprintf(format, args...)})
	}
	return ok
}

func (r *recorder) addLocked(v Violation) {
	if r.known[v] {
		return
	}
	if r.count[v.Rule]++; r.count[v.Rule] > maxPerRule {
		r.report.Suppressed++
		return
	}
	r.known[v] = true
	r.report.Violations = append(r.report.Violations, v)
}

// judge notes that all of the rules were judged on one resource, with these issues.
func (r *recorder) judge(url string, rules []RuleID, issues []issue) {
	for _, id := range rules {
		r.check(id, true, url, "")
	}
	for _, i := range issues {
		r.check(i.rule, false, url, "%s", i.detail)
	}
}

// note changes the facts.
func (r *recorder) note(f func(*Facts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.report.Facts)
}

func (r *recorder) codec(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.codecs[name] = true
}

func (r *recorder) finish() *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.codecs {
		r.report.Facts.Codecs = append(r.report.Facts.Codecs, c)
	}
	slices.Sort(r.report.Facts.Codecs)
	return &r.report
}
