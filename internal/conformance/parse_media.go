package conformance

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// syntaxRules are judged on every playlist that is parsed.
var syntaxRules = []RuleID{RuleText, RuleHeader, RuleTag, RuleAttributes, RuleVersion, RuleURI}

// mediaParser reads a media playlist line by line; seg is the segment whose tags are being collected.
type mediaParser struct {
	parser
	pl      *mediaPlaylist
	seg     segment
	initURI string
	disc    int64
	inf     bool // EXTINF was read, the URI is due
	started bool // a segment or part was read
}

// parseMedia reads a media playlist. The playlist is never nil; what could not be read is an issue.
func parseMedia(base *url.URL, text []byte) (*mediaPlaylist, []issue) {
	p := &mediaParser{pl: &mediaPlaylist{base: base, version: 1}}
	p.base, p.count, p.need = base, make(map[string]int), 1
	p.pl.control = control{skipUntil: -1, holdBack: -1, partHold: -1}
	all, issues := lines(text)
	p.issues = append(checkText(text), issues...)
	for _, l := range all {
		switch {
		case l.tag == "":
			p.uri(l)
		case !p.mediaTag(l) && !p.segmentTag(l) && !p.metadataTag(l):
			p.fail(RuleTag, l, "%s is no tag of a media playlist", clip(l.tag))
		}
	}
	if p.inf {
		p.issues = append(p.issues, issuef(RuleTag, "the last EXTINF has no URI"))
	}
	if p.count["#EXT-X-TARGETDURATION"] == 0 {
		p.issues = append(p.issues, issuef(RuleTag, "EXT-X-TARGETDURATION is missing"))
	}
	if p.pl.version < p.need {
		p.issues = append(p.issues, issuef(RuleVersion, "EXT-X-VERSION is %d, %s needs %d", p.pl.version, p.reason, p.need))
	}
	p.assignNumbers()
	return p.pl, p.issues
}

// assignNumbers gives the segments their numbers, which depend on tags that may stand anywhere before the first.
func (p *mediaParser) assignNumbers() {
	pl := p.pl
	first := pl.sequence
	if pl.skip != nil {
		first += pl.skip.segments
	}
	pl.open = p.seg
	pl.open.initURI = p.initURI
	pl.open.msn = first + int64(len(pl.segments))
	pl.open.discSeq = pl.discSequence + p.disc
	for i := range pl.segments {
		pl.segments[i].msn = first + int64(i)
		pl.segments[i].discSeq += pl.discSequence
	}
}

func (p *mediaParser) mediaTag(l line) bool {
	pl := p.pl
	switch l.tag {
	case "#EXTM3U":
		p.once(l)
		p.bare(l)
	case "#EXT-X-VERSION":
		p.once(l)
		pl.version = int(p.number(l))
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		p.once(l)
		p.bare(l)
		pl.independent = true
	case "#EXT-X-START":
		p.once(l)
		a := p.attributes(l)
		a.plain("TIME-OFFSET", true, signedFloat, "signed-decimal-floating-point")
		a.enum("PRECISE", false, "YES", "NO")
		p.finish(a)
	case "#EXT-X-TARGETDURATION":
		p.once(l)
		pl.target = time.Duration(min(p.number(l), 1e9)) * time.Second
	case "#EXT-X-MEDIA-SEQUENCE":
		p.once(l)
		pl.sequence = p.number(l)
		p.beforeSegments(l)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.once(l)
		pl.discSequence, pl.hasDiscSeq = p.number(l), true
		p.beforeSegments(l)
		if p.disc > 0 {
			p.fail(RuleTag, l, "%s stands after EXT-X-DISCONTINUITY", l.tag)
		}
	case "#EXT-X-ENDLIST":
		p.once(l)
		p.bare(l)
		pl.ended = true
	case "#EXT-X-PLAYLIST-TYPE":
		p.once(l)
		pl.playlistType = l.value
		if l.value != "EVENT" && l.value != "VOD" {
			p.fail(RuleTag, l, "EXT-X-PLAYLIST-TYPE is %q", clip(l.value))
		}
	case "#EXT-X-PART-INF":
		p.once(l)
		a := p.attributes(l)
		pl.partTarget = max(0, a.seconds("PART-TARGET", true))
		p.finish(a)
	case "#EXT-X-SERVER-CONTROL":
		p.once(l)
		p.control(l)
	default:
		return false
	}
	return true
}

func (p *mediaParser) beforeSegments(l line) {
	if p.started || p.pl.skip != nil {
		p.fail(RuleTag, l, "%s stands after the first segment", l.tag)
	}
}

func (p *mediaParser) control(l line) {
	a := p.attributes(l)
	c := control{present: true, text: l.value}
	c.skipUntil = a.seconds("CAN-SKIP-UNTIL", false)
	c.skipDateRanges = a.enum("CAN-SKIP-DATERANGES", false, "YES") != ""
	c.holdBack = a.seconds("HOLD-BACK", false)
	c.partHold = a.seconds("PART-HOLD-BACK", false)
	c.canBlock = a.enum("CAN-BLOCK-RELOAD", false, "YES") != ""
	if c.skipDateRanges && !a.has("CAN-SKIP-UNTIL") {
		a.fail("CAN-SKIP-DATERANGES needs CAN-SKIP-UNTIL")
	}
	p.finish(a)
	p.pl.control = c
}

func (p *mediaParser) segmentTag(l line) bool {
	s := &p.seg
	before := func() {
		if len(s.parts) > 0 && s.late == "" {
			s.late = l.tag
		}
	}
	switch l.tag {
	case "#EXTINF":
		p.extinf(l)
	case "#EXT-X-DISCONTINUITY":
		p.bare(l)
		before()
		if s.disc {
			p.fail(RuleTag, l, "two discontinuities before one segment")
		}
		s.disc = true
		p.disc++
	case "#EXT-X-MAP":
		before()
		a := p.attributes(l)
		p.initURI = p.resolve(l, a.quoted("URI", true))
		a.quoted("BYTERANGE", false)
		p.finish(a)
		p.requires(6, "EXT-X-MAP")
	case "#EXT-X-PROGRAM-DATE-TIME":
		before()
		t, exact, ok := parseDate(l.value)
		if !ok {
			p.fail(RuleTag, l, "%q is no ISO 8601 date-time", clip(l.value))
		}
		if s.hasDate {
			p.fail(RuleTag, l, "two program date-times before one segment")
		}
		s.date, s.hasDate, s.badDate = t, ok, !exact
	case "#EXT-X-GAP":
		p.bare(l)
		s.gap = true
	case "#EXT-X-BITRATE":
		p.number(l)
	case "#EXT-X-BYTERANGE":
		p.fail(RuleTag, l, "byte ranges are not expected: each segment is a resource")
	case "#EXT-X-KEY":
		p.fail(RuleTag, l, "encryption is not expected")
	case "#EXT-X-PART":
		p.part(l)
	default:
		return false
	}
	return true
}

func (p *mediaParser) extinf(l line) {
	duration, _, ok := strings.Cut(l.value, ",")
	if !ok {
		p.fail(RuleTag, l, "EXTINF has no comma")
	}
	d, ok := parseSeconds(duration)
	if !ok {
		p.fail(RuleTag, l, "EXTINF duration %q is no decimal", clip(duration))
	}
	if strings.Contains(duration, ".") {
		p.requires(3, "a fractional EXTINF")
	}
	if p.inf {
		p.fail(RuleTag, l, "two EXTINF before one URI")
	}
	p.seg.duration, p.inf = d, true
}

func (p *mediaParser) part(l line) {
	a := p.attributes(l)
	q := part{
		uri:         p.resolve(l, a.quoted("URI", true)),
		duration:    max(0, a.seconds("DURATION", true)),
		independent: a.enum("INDEPENDENT", false, "YES") != "",
		gap:         a.enum("GAP", false, "YES") != "",
	}
	p.finish(a)
	if p.inf {
		p.fail(RuleTag, l, "EXT-X-PART between EXTINF and its URI")
	}
	p.seg.parts = append(p.seg.parts, q)
	p.started = true
}

func (p *mediaParser) uri(l line) {
	if !p.inf {
		p.fail(RuleTag, l, "the URI %q has no EXTINF", clip(l.value))
	}
	s := p.seg
	s.uri, s.initURI, s.discSeq = p.resolve(l, l.value), p.initURI, p.disc
	p.pl.segments = append(p.pl.segments, s)
	p.seg, p.inf, p.started = segment{}, false, true
}

func (p *mediaParser) metadataTag(l line) bool {
	pl := p.pl
	switch l.tag {
	case "#EXT-X-DATERANGE":
		p.dateRange(l)
	case "#EXT-X-SKIP":
		p.once(l)
		if p.started {
			p.fail(RuleTag, l, "EXT-X-SKIP stands after a segment")
		}
		a := p.attributes(l)
		pl.skip = &skip{segments: max(0, a.integer("SKIPPED-SEGMENTS", true)), hasRemoved: a.has("RECENTLY-REMOVED-DATERANGES")}
		if list := a.quoted("RECENTLY-REMOVED-DATERANGES", false); list != "" {
			pl.skip.removed = strings.Split(list, "\t")
		}
		p.finish(a)
		p.requires(9, "EXT-X-SKIP")
		if pl.skip.hasRemoved {
			p.requires(10, "RECENTLY-REMOVED-DATERANGES")
		}
	case "#EXT-X-PRELOAD-HINT":
		a := p.attributes(l)
		pl.hints = append(pl.hints, hint{a.enum("TYPE", true, "PART", "MAP"), p.resolve(l, a.quoted("URI", true))})
		a.integer("BYTERANGE-START", false)
		a.integer("BYTERANGE-LENGTH", false)
		p.finish(a)
	case "#EXT-X-RENDITION-REPORT":
		a := p.attributes(l)
		raw := a.quoted("URI", true)
		pl.reports = append(pl.reports, rendition{raw, p.resolve(l, raw), a.integer("LAST-MSN", false), a.integer("LAST-PART", false)})
		p.finish(a)
	default:
		return false
	}
	return true
}

func (p *mediaParser) dateRange(l line) {
	a := p.attributes(l)
	r := dateRange{id: a.quoted("ID", true), attrs: make(map[string]string)}
	date := func(name string) (t time.Time) {
		v := a.quoted(name, false)
		if v == "" {
			return t
		}
		t, _, ok := parseDate(v)
		if !ok {
			a.fail("%s=%q is no date-time", name, clip(v))
		} else if !zoned.MatchString(v) {
			p.fail(RuleDateRange, l, "%s=%q has no time zone", name, clip(v))
		}
		return t
	}
	class := a.quoted("CLASS", false)
	a.quoted("CUE", false)
	r.start, r.end = date("START-DATE"), date("END-DATE")
	d := a.seconds("DURATION", false)
	a.seconds("PLANNED-DURATION", false)
	if a.enum("END-ON-NEXT", false, "YES") != "" && (class == "" || d >= 0 || !r.end.IsZero()) {
		p.fail(RuleDateRange, l, "END-ON-NEXT needs a CLASS, and neither END-DATE nor DURATION")
	}
	if d >= 0 && !r.start.IsZero() {
		if end := r.start.Add(d); r.end.IsZero() {
			r.end = end
		} else if !r.end.Equal(end) {
			p.fail(RuleDateRange, l, "END-DATE and DURATION are of different ends")
		}
	}
	if r.id == "" && a.has("ID") {
		p.fail(RuleDateRange, l, "the ID is empty")
	}
	for _, attr := range a.list {
		if strings.HasPrefix(attr.name, "X-") || strings.HasPrefix(attr.name, "SCTE35-") {
			a.used[attr.name] = true
			if !attr.quoted && !signedFloat(attr.value) && !hexSequence(attr.value) {
				a.fail("%s is neither quoted, nor a number, nor hexadecimal", attr.name)
			}
		}
		r.attrs[attr.name] = strconv.FormatBool(attr.quoted) + attr.value
	}
	p.finish(a)
	p.pl.dateRanges = append(p.pl.dateRanges, r)
}
