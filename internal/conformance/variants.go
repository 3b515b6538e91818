package conformance

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// slackRate is how far measured bit rates may be over what is announced: the announcement looks at other segments.
const slackRate = 1.05

var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`)

// judgeMultivariant reads the multivariant playlist again, now that the media is known that it describes.
func (s *session) judgeMultivariant(ctx context.Context) error {
	r, err := s.playlist(ctx, s.master, nil)
	if err != nil {
		return fmt.Errorf("fetch multivariant playlist again: %w", err)
	}
	if !s.rec.check(RuleHTTPOK, r.status == http.StatusOK, s.master, "status %d", r.status) {
		return nil
	}
	base, err := url.Parse(s.master)
	if err != nil {
		return fmt.Errorf("parse multivariant playlist's URL: %w", err)
	}
	mv, issues, _ := parseMultivariant(base, r.body)
	s.rec.judge(s.master, syntaxRules, issues)
	s.scores(mv)
	s.videoRanges(mv)
	for i, v := range mv.variants {
		twice := slices.ContainsFunc(mv.variants[:i], func(o variant) bool { return o.uri == v.uri && o.audio == v.audio })
		s.rec.check(RuleVariantOnce, !twice, v.uri, "two variants with the AUDIO group %q", v.audio)
		s.variant(mv, v)
	}
	s.groups(mv)
	return nil
}

// track is the last one that a rendition used.
func (s *session) trackOf(u string) *track {
	p := s.players[u]
	if p == nil || p.current == nil {
		return nil
	}
	return p.tracks[p.current.open.initURI]
}

func (s *session) variant(mv *multivariant, v variant) {
	c := s.rec.check
	c(RuleVariantCaptions, v.captions == "NONE", v.uri, "CLOSED-CAPTIONS is %q", v.captions)
	var audio []string
	group := false
	for _, m := range mv.media {
		if m.kind == "AUDIO" && m.group == v.audio && v.audio != "" {
			group = true
			if m.uri != "" {
				audio = append(audio, m.uri)
			}
		}
	}
	if v.audio != "" {
		c(RuleVariantGroup, group, v.uri, "there is no AUDIO group %q", v.audio)
	}
	s.codecs(v, audio)
	s.bandwidth(v, audio)
	if t := s.trackOf(v.uri); t != nil {
		s.picture(v, t)
	}
}

func (s *session) codecs(v variant, audio []string) {
	have := make(map[string]bool)
	for _, u := range append([]string{v.uri}, audio...) {
		p := s.players[u]
		if p == nil {
			return
		}
		for _, seg := range p.current.withOpen() {
			if t := p.tracks[seg.initURI]; t != nil {
				have[strings.ToLower(t.codec)] = true
			}
		}
	}
	for codec := range have {
		named := slices.ContainsFunc(v.codecs, func(c string) bool { return sameCodec(c, codec) })
		s.rec.check(RuleVariantCodecs, named, v.uri, "CODECS %q lacks %s", v.codecs, codec)
	}
	for _, named := range v.codecs {
		used := false
		for codec := range have {
			used = used || sameCodec(named, codec)
		}
		s.rec.check(RuleVariantCodecs, used, v.uri, "CODECS has %s, which no initialization section has: %v", named, have)
	}
}

// sameCodec compares a CODECS element with what an initialization section says; AV1 and VP9 may have optional fields behind.
func sameCodec(named, codec string) bool {
	named = strings.ToLower(named)
	optional := strings.HasPrefix(codec, "av01.") || strings.HasPrefix(codec, "vp09.")
	return named == codec || optional && strings.HasPrefix(named, codec+".")
}

func (s *session) bandwidth(v variant, audio []string) {
	p := s.players[v.uri]
	if p == nil {
		return
	}
	peak, average := p.rates()
	var audioPeak, audioAverage float64
	for _, u := range audio {
		if a := s.players[u]; a != nil {
			pk, av := a.rates()
			audioPeak, audioAverage = max(audioPeak, pk), max(audioAverage, av)
		}
	}
	if slices.Contains(audio, v.uri) {
		peak, average = 0, 0 // it is one of those of which players choose
	}
	peak, average = peak+audioPeak, average+audioAverage
	s.rec.check(RuleVariantBandwidth, float64(v.bandwidth)*slackRate >= peak, v.uri, "BANDWIDTH is %d, the measured peak %.0f", v.bandwidth, peak)
	s.rec.check(RuleVariantAverage, v.average > 0 && v.average <= v.bandwidth, v.uri, "AVERAGE-BANDWIDTH is %d, BANDWIDTH %d", v.average, v.bandwidth)
	if average > 0 {
		off := float64(v.average) / average
		s.rec.check(RuleVariantAverage, off >= 0.75 && off <= 1.5, v.uri, "AVERAGE-BANDWIDTH is %d, the measured average %.0f", v.average, average)
	}
}

func (s *session) picture(v variant, t *track) {
	if !t.video() {
		s.rec.check(RuleVariantSize, v.width == 0, v.uri, "RESOLUTION without video")
		s.rec.check(RuleVariantRate, v.rate == 0, v.uri, "FRAME-RATE without video")
		return
	}
	coded, shown := v.width == t.width && v.height == t.height, v.width == t.shownWidth && v.height == t.shownHeight
	s.rec.check(RuleVariantSize, coded || shown, v.uri, "RESOLUTION is %dx%d, the video %dx%d, shown as %dx%d", v.width, v.height, t.width, t.height, t.shownWidth, t.shownHeight)
	var frames int
	var seconds, highest float64
	for _, f := range s.players[v.uri].segments {
		if f.unloaded || f.track != t {
			continue
		}
		frames += f.samples
		seconds += f.length.Seconds()
		if f.closest > 0 {
			highest = max(highest, 1/f.closest.Seconds())
		}
	}
	if seconds == 0 {
		return
	}
	rate := float64(frames) / seconds
	// What is stated is the highest rate (4.4.6.2), which a variable rate reaches for moments only.
	s.rec.check(RuleVariantRate, v.rate >= rate*0.98 && v.rate <= max(highest, rate)*1.05, v.uri, "FRAME-RATE is %g, the measured rate %.3f, at most %.3f", v.rate, rate, highest)
	s.rec.check(RuleVariantRate, math.Abs(v.rate*1000-math.Round(v.rate*1000)) < 1e-6, v.uri, "FRAME-RATE %g has more than three decimals", v.rate)
}

func (s *session) groups(mv *multivariant) {
	c := s.rec.check
	names, uris, defaults := make(map[string]bool), make(map[string]bool), make(map[string]int)
	for _, m := range mv.media {
		key := m.kind + "/" + m.group
		c(RuleGroupNames, m.name != "" && !names[key+"/"+m.name] && (m.uri == "" || !uris[key+"/"+m.uri]), m.uri, "group %q has two members named %q, or for one URI", m.group, m.name)
		names[key+"/"+m.name], uris[key+"/"+m.uri] = true, true
		if m.isDefault {
			defaults[key]++
		}
		c(RuleGroupDefault, defaults[key] <= 1 && (!m.isDefault || m.autoselect), m.uri, "group %q: %d defaults, AUTOSELECT=YES: %v", m.group, defaults[key], m.autoselect)
		if m.kind != "AUDIO" {
			continue
		}
		used := slices.ContainsFunc(mv.variants, func(v variant) bool { return v.audio == m.group })
		c(RuleGroupUsed, used, m.uri, "no variant has the AUDIO group %q", m.group)
		s.groupMembers(mv, m.group)
		s.groupCodec(mv, m)
		c(RuleGroupLanguage, languageTag.MatchString(m.language), m.uri, "LANGUAGE is %q", m.language)
		first, _, _ := strings.Cut(m.channels, "/")
		n, err := strconv.Atoi(first)
		want := n
		if t := s.trackOf(m.uri); t != nil {
			want = t.channels
		}
		c(RuleGroupChannels, err == nil && n == want, m.uri, "CHANNELS is %q, the initialization section has %d", m.channels, want)
	}
}

// scores judges SCORE.
func (s *session) scores(mv *multivariant) {
	scored := slices.ContainsFunc(mv.variants, func(v variant) bool { return v.score >= 0 })
	for _, v := range mv.variants {
		s.rec.check(RuleVariantScore, v.score > 0 || !scored, v.uri, "SCORE is %g (-1: absent); other variants have one", v.score)
	}
}

// videoRanges judges VIDEO-RANGE.
func (s *session) videoRanges(mv *multivariant) {
	other := slices.ContainsFunc(mv.variants, func(v variant) bool { return v.videoRange != "" && v.videoRange != "SDR" })
	for _, v := range mv.variants {
		t := s.trackOf(v.uri)
		if t == nil {
			continue
		}
		if !t.video() {
			s.rec.check(RuleVariantRange, v.videoRange == "", v.uri, "VIDEO-RANGE without video")
			continue
		}
		s.rec.check(RuleVariantRange, v.videoRange != "" || !other, v.uri, "no VIDEO-RANGE, but another variant is not SDR")
		if want := t.videoRange(); want != "" {
			s.rec.check(RuleVariantRange, v.videoRange == want || v.videoRange == "" && want == "SDR", v.uri, "VIDEO-RANGE is %q, the transfer characteristics are %d: %s", v.videoRange, t.transfer, want)
		}
	}
}

// groupMembers holds a group's members against those of the first group of its kind.
func (s *session) groupMembers(mv *multivariant, group string) {
	members := func(group string) (list []mediaTag) {
		for _, m := range mv.media {
			if m.kind == "AUDIO" && m.group == group {
				m.group, m.uri, m.channels = "", "", ""
				list = append(list, m)
			}
		}
		slices.SortFunc(list, func(a, b mediaTag) int { return strings.Compare(a.name, b.name) })
		return list
	}
	i := slices.IndexFunc(mv.media, func(m mediaTag) bool { return m.kind == "AUDIO" })
	a, b := members(mv.media[i].group), members(group)
	s.rec.check(RuleGroupSame, slices.Equal(a, b), s.master, "the AUDIO group %q has the members %+v, and %q has %+v", group, b, mv.media[i].group, a)
}

// groupCodec holds a member's codecs against those of its group's first member.
func (s *session) groupCodec(mv *multivariant, m mediaTag) {
	i := slices.IndexFunc(mv.media, func(o mediaTag) bool { return o.kind == m.kind && o.group == m.group })
	a, b := s.trackOf(mv.media[i].uri), s.trackOf(m.uri)
	if a != nil && b != nil {
		s.rec.check(RuleGroupCodec, a.codec == b.codec, m.uri, "%s in group %q, of which another member has %s", b.codec, m.group, a.codec)
	}
}
