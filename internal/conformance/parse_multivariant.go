package conformance

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// parseMultivariant reads a multivariant playlist. ok is false when the text is a media playlist or nothing of the kind.
func parseMultivariant(base *url.URL, text []byte) (mv *multivariant, issues []issue, ok bool) {
	p := &parser{base: base, count: make(map[string]int), need: 1}
	mv = &multivariant{base: base, version: 1}
	all, issues := lines(text)
	p.issues = append(checkText(text), issues...)
	var pending *variant
	for _, l := range all {
		if pending != nil && l.tag != "" {
			p.fail(RuleTag, l, "EXT-X-STREAM-INF is not followed by its URI")
			pending = nil
		}
		switch l.tag {
		case "":
			if pending == nil {
				p.fail(RuleTag, l, "the URI %q has no EXT-X-STREAM-INF", clip(l.value))
				continue
			}
			pending.uri = p.resolve(l, l.value)
			mv.variants = append(mv.variants, *pending)
			pending = nil
		case "#EXTM3U":
			p.once(l)
			p.bare(l)
		case "#EXT-X-VERSION":
			p.once(l)
			mv.version = int(p.number(l))
		case "#EXT-X-INDEPENDENT-SEGMENTS":
			p.once(l)
			p.bare(l)
			mv.independent = true
		case "#EXT-X-MEDIA":
			mv.media = append(mv.media, p.media(l))
		case "#EXT-X-STREAM-INF":
			v := p.variant(l)
			pending = &v
		case "#EXT-X-START", "#EXT-X-SESSION-DATA", "#EXT-X-CONTENT-STEERING", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-DEFINE":
		default:
			p.fail(RuleTag, l, "%s is no tag of a multivariant playlist", clip(l.tag))
		}
	}
	if pending != nil {
		p.issues = append(p.issues, issuef(RuleTag, "the last EXT-X-STREAM-INF has no URI"))
	}
	if mv.version < p.need {
		p.issues = append(p.issues, issuef(RuleVersion, "EXT-X-VERSION is %d, %s needs %d", mv.version, p.reason, p.need))
	}
	return mv, p.issues, len(mv.variants) > 0
}

func (p *parser) variant(l line) variant {
	a := p.attributes(l)
	v := variant{bandwidth: a.integer("BANDWIDTH", true), average: a.integer("AVERAGE-BANDWIDTH", false), score: -1}
	if c := a.quoted("CODECS", false); c != "" {
		v.codecs = strings.Split(c, ",")
	}
	if r, ok := a.plain("RESOLUTION", false, resolution, "decimal-resolution"); ok {
		if _, err := fmt.Sscanf(r, "%dx%d", &v.width, &v.height); err != nil {
			a.fail("RESOLUTION=%s is out of range", r)
		}
	}
	if r, ok := a.plain("FRAME-RATE", false, decimalFloat, "decimal-floating-point"); ok {
		v.rate, _ = strconv.ParseFloat(r, 64) // the form was checked
	}
	v.audio = a.quoted("AUDIO", false)
	if c, ok := a.get("CLOSED-CAPTIONS", false); ok {
		if v.captions = c.value; !c.quoted && c.value != "NONE" {
			a.fail("CLOSED-CAPTIONS=%s is neither quoted nor NONE", c.value)
		}
	}
	v.videoRange = a.enum("VIDEO-RANGE", false, "SDR", "HLG", "PQ")
	a.enum("HDCP-LEVEL", false, "TYPE-0", "TYPE-1", "NONE")
	if c, ok := a.plain("SCORE", false, decimalFloat, "decimal-floating-point"); ok {
		v.score, _ = strconv.ParseFloat(c, 64) // the form was checked
	}
	for _, name := range []string{"VIDEO", "SUBTITLES", "NAME", "STABLE-VARIANT-ID", "SUPPLEMENTAL-CODECS", "ALLOWED-CPC", "PATHWAY-ID"} {
		a.quoted(name, false)
	}
	if a.has("REQ-VIDEO-LAYOUT") {
		a.quoted("REQ-VIDEO-LAYOUT", false)
		p.requires(12, "REQ-VIDEO-LAYOUT")
	}
	p.finish(a)
	return v
}

func (p *parser) media(l line) mediaTag {
	a := p.attributes(l)
	m := mediaTag{
		kind:       a.enum("TYPE", true, "AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"),
		uri:        p.resolve(l, a.quoted("URI", false)),
		group:      a.quoted("GROUP-ID", true),
		name:       a.quoted("NAME", true),
		language:   a.quoted("LANGUAGE", false),
		channels:   a.quoted("CHANNELS", false),
		isDefault:  a.enum("DEFAULT", false, "YES", "NO") == "YES",
		autoselect: a.enum("AUTOSELECT", false, "YES", "NO") == "YES",
	}
	a.enum("FORCED", false, "YES", "NO")
	a.integer("BIT-DEPTH", false)
	a.integer("SAMPLE-RATE", false)
	for _, name := range []string{"ASSOC-LANGUAGE", "STABLE-RENDITION-ID", "INSTREAM-ID", "CHARACTERISTICS"} {
		a.quoted(name, false)
	}
	p.finish(a)
	return m
}
