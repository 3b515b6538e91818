package conformance

import (
	"bytes"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fault is a way to be wrong, and what the checker has to say to it: exactly the rule, and, where breaking that rule
// cannot be had alone, those in also.
type fault struct {
	rule RuleID
	name string // when a rule has more than one
	also []RuleID
	f    faults
	opt  Options
}

// edit changes the playlists of one rendition, or of all for "".
func edit(name, pattern, by string) faults {
	return editIf(name, pattern, by, func(*origin, url.Values) bool { return true })
}

func editIf(name, pattern, by string, when func(*origin, url.Values) bool) faults {
	re := regexp.MustCompile(pattern)
	return faults{text: func(o *origin, r *rend, q url.Values, body string) string {
		if name != "" && r.name != name || !when(o, q) {
			return body
		}
		return re.ReplaceAllString(body, by)
	}}
}

// from is true once the origin has come to a segment.
func from(msn int64) func(*origin, url.Values) bool {
	return func(o *origin, _ url.Values) bool { return o.reached() >= msn }
}

func (o *origin) reached() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lead().next
}

func (o *origin) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

func masterEdit(old, by string) faults {
	return faults{master: func(body string) string { return strings.ReplaceAll(body, old, by) }}
}

// chunkAt changes one part of the first video rendition.
func chunkAt(change func(c *mkChunk)) faults {
	return faults{chunk: func(r *rend, msn int64, part int, c *mkChunk) {
		if r.name == "hi" && msn == 114 && part == 2 {
			change(c)
		}
	}}
}

func headerOf(pattern string, status int, change func(h http.Header)) faults {
	re := regexp.MustCompile(pattern)
	return faults{header: func(u *url.URL, got int, h http.Header) {
		if re.MatchString(u.String()) && (status == 0 || got == status) {
			change(h)
		}
	}}
}

// answer replaces the answer to some requests by a bare status.
func answer(pattern string, status int, when func(o *origin, req *http.Request) bool) faults {
	re := regexp.MustCompile(pattern)
	return faults{handle: func(o *origin, w http.ResponseWriter, req *http.Request) bool {
		if !re.MatchString(req.URL.String()) || when != nil && !when(o, req) {
			return false
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		return true
	}}
}

// early answers some requests for a playlist with the current one, at once, so often for each origin.
func early(pattern string, times int32) faults {
	re := regexp.MustCompile(pattern)
	var counts sync.Map // of *atomic.Int32 by origin
	return faults{handle: func(o *origin, w http.ResponseWriter, req *http.Request) bool {
		n, _ := counts.LoadOrStore(o, new(atomic.Int32))
		if re.MatchString(req.URL.String()) && n.(*atomic.Int32).Add(1) <= times {
			q := req.URL.Query()
			q.Del("_HLS_msn")
			q.Del("_HLS_part")
			req.URL.RawQuery = q.Encode()
		}
		return false
	}}
}

func request(change func(req *http.Request)) faults {
	return faults{handle: func(_ *origin, _ http.ResponseWriter, req *http.Request) bool {
		change(req)
		return false
	}}
}

func isDelta(mode string) func(*origin, url.Values) bool {
	return func(_ *origin, q url.Values) bool { return q.Get("_HLS_skip") == mode }
}

func initEdit(change func(data []byte) []byte) faults {
	return faults{init: func(r *rend, data []byte) []byte {
		if r.name != "hi" {
			return data
		}
		return change(data)
	}}
}

const (
	short = 11 * time.Second
	pass  = 24 * time.Second // past the gap and the publisher's absence
)

var playlistFaults = []fault{
	{rule: RuleText, f: edit("hi", `^`, "\ufeff")},
	{rule: RuleText, name: "control", f: edit("hi", `^#EXTM3U\n`, "#EXTM3U\n# \x01\n")},
	{rule: RuleHeader, f: edit("hi", `^#EXTM3U\n`, "")},
	{rule: RuleTag, f: edit("hi", `^#EXTM3U\n`, "#EXTM3U\n#EXT-X-FOO:1\n")},
	{rule: RuleAttributes, f: edit("hi", `PART-TARGET=0.41`, "PART-TARGET=0.41,PART-TARGET=0.41")},
	{rule: RuleVersion, f: edit("hi", `VERSION:10`, "VERSION:5")},
	{rule: RuleURI, f: edit("hi", `$`, "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"a b\"\n")},
	{rule: RuleTarget, also: []RuleID{RulePartOld}, f: edit("", `TARGETDURATION:2`, "TARGETDURATION:1")},
	{rule: RulePartInf, f: edit("hi", `#EXT-X-PART-INF.*\n`, "")},
	{rule: RulePartMax, f: edit("", `PART-TARGET=0.41`, "PART-TARGET=0.405")},
	{rule: RulePartMin, also: []RuleID{RulePartEven}, f: faults{length: shortPart(2)}},
	{rule: RulePartEven, f: faults{length: shortPart(0)}},
	{rule: RulePartSum, also: []RuleID{RuleSegmentTime}, f: edit("hi", `2.00000,\nhi/1-113`, "1.99800,\nhi/1-113")},
	{rule: RulePartOld, f: faults{edge: 10 * time.Second}},
	{rule: RulePartEdge, f: faults{edge: 3 * time.Second}},
	{rule: RulePartOrder, f: edit("hi", `(#EXT-X-PROGRAM-DATE-TIME:.*\n)(#EXT-X-PART:.*\n)`, "$2$1")},
	{rule: RuleHoldBack, f: edit("", `,HOLD-BACK=6.0`, ",HOLD-BACK=5.0")},
	{rule: RulePartHoldBack, f: edit("", `PART-HOLD-BACK=1.5`, "PART-HOLD-BACK=1.2")},
	{rule: RuleSkipUntil, f: edit("", `CAN-SKIP-UNTIL=12.0`, "CAN-SKIP-UNTIL=11.9995")},
	{rule: RuleSkipRanges, f: edit("", `CAN-SKIP-DATERANGES=YES,`, "")},
	{rule: RuleBlockReload, f: edit("", `CAN-BLOCK-RELOAD=YES,`, "")},
	{rule: RuleMinDuration, also: []RuleID{RuleMinSegments}, f: faults{window: 2}},
	{rule: RuleMinSegments, f: faults{window: 4}},
	{rule: RuleNoType, f: edit("hi", `^#EXTM3U\n`, "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n")},
	{rule: RulePDT, f: edit("hi", `(#EXT-X-PROGRAM-DATE-TIME:.*)Z\n`, "$1\n")},
	{rule: RulePDTSum, also: []RuleID{RulePDTMedia}, f: faults{date: jump(time.Second)}},
	{rule: RuleMap, also: []RuleID{RuleVariantCodecs, RuleVariantAverage}, f: edit("hi", `#EXT-X-MAP.*\n`, "")},
	{rule: RuleMapChange, f: faults{initName: func(msn int64) string {
		if msn >= 114 {
			return "init-9.mp4"
		}
		return ""
	}}},
	{rule: RuleDiscSeqTag, f: edit("", `#EXT-X-DISCONTINUITY-SEQUENCE.*\n`, ""), opt: Options{Duration: pass}},
	{rule: RuleHintPresent, f: edit("hi", `#EXT-X-PRELOAD-HINT.*\n`, "")},
	{rule: RuleHintSingle, f: edit("hi", `(#EXT-X-PRELOAD-HINT.*\n)`, "$1$1")},
	{rule: RuleHintEnd, f: edit("hi", `#EXT-X-ENDLIST\n`, "#EXT-X-ENDLIST\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x.m4s\"\n"), opt: Options{Duration: time.Hour}},
	{rule: RuleReports, f: edit("hi", `#EXT-X-RENDITION-REPORT:URI="lo.*\n`, "")},
	{rule: RuleDateRange, f: edit("", `$`, "#EXT-X-DATERANGE:ID=\"bad\",START-DATE=\"2000-01-02T00:00:00.000Z\",END-DATE=\"2000-01-01T00:00:00.000Z\"\n")},
	{rule: RuleGapParts, also: []RuleID{RuleHTTPOK, RuleHintServed}, f: edit("lo", `,GAP=YES`, ""), opt: Options{Duration: short}},
	{rule: RuleURIUnique, also: []RuleID{RuleGapEmpty}, f: edit("lo", `,\nlo/1-116.m4s`, ",\nlo/1-115.m4s"), opt: Options{Duration: short}},
	{rule: RuleIndependentIn, f: edit("hi", `^#EXTM3U\n`, "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n")},
}

func shortPart(part int) func(int64, int) time.Duration {
	return func(msn int64, p int) time.Duration {
		if msn == 114 && p == part {
			return 320 * time.Millisecond
		}
		return 0
	}
}

// jump moves the dates of all renditions from a media time on, which is the start of segment 114.
func jump(by time.Duration) func(*rend, time.Duration) time.Duration {
	return func(_ *rend, t time.Duration) time.Duration {
		if t >= 28*time.Second {
			return by
		}
		return 0
	}
}

var updateFaults = []fault{
	{rule: RuleTargetConstant, also: []RuleID{RuleHoldBack, RulePartEdge, RuleSkipUntil}, f: editIf("", `TARGETDURATION:2`, "TARGETDURATION:3", from(115))},
	{rule: RulePartConstant, f: editIf("", `PART-TARGET=0.41`, "PART-TARGET=0.42", from(115))},
	{rule: RuleControlConstant, f: editIf("", `,HOLD-BACK=6.0`, ",HOLD-BACK=6.5", from(115))},
	{rule: RuleControlConstant, name: "shrinks", f: editIf("", `PART-HOLD-BACK=1.5`, "PART-HOLD-BACK=1.4", from(115)), opt: Options{Duration: short, RaisedHold: true}},
	{rule: RuleControlConstant, name: "something else", f: editIf("", `CAN-SKIP-UNTIL=12.0`, "CAN-SKIP-UNTIL=13.0", from(115)), opt: Options{Duration: short, RaisedHold: true}},
	{rule: RuleSequence, f: faults{first: func(o *origin, i int) int {
		if o.lead().next == 115 && o.lead().part == 3 {
			return i - 2
		}
		return i
	}}},
	{rule: RuleAppendOnly, f: editIf("hi", `,\nhi/1-113.m4s`, ",\nhi/1-113.m4s?v=2", from(116))},
	{rule: RulePartsAppendOnly, f: editIf("hi", `(hi/1-114.0.m4s"),INDEPENDENT=YES`, "$1", from(115))},
	{rule: RuleDiscSeq, f: editIf("", `DISCONTINUITY-SEQUENCE:0`, "DISCONTINUITY-SEQUENCE:1", from(115))},
	{rule: RuleEndFinal, f: editIf("hi", `#EXT-X-ENDLIST\n`, "", func(o *origin, q url.Values) bool { return len(q) == 0 }), opt: Options{Duration: time.Hour}},
	{rule: RuleRangeKept, also: []RuleID{RuleDeltaRemoved, RuleDeltaApply}, f: editIf("", `#EXT-X-DATERANGE:ID="card-1".*\n`, "", from(115))},
	{rule: RuleRangeConstant, f: editIf("", `X-CARD="blue"`, `X-CARD="red"`, from(115))},
	{rule: RulePacePart, f: faults{delay: func(msn int64, part int) time.Duration {
		if msn == 114 && part == 2 {
			return 200 * time.Millisecond
		}
		return 0
	}}, opt: Options{Duration: short, Pace: 50 * time.Millisecond}},
	{rule: RulePaceSegment, also: []RuleID{RulePacePart}, f: faults{delay: func(msn int64, part int) time.Duration {
		if msn == 114 {
			return 300 * time.Millisecond
		}
		return 0
	}}, opt: Options{Duration: short, Pace: 50 * time.Millisecond}},
	{rule: RuleHintMatch, f: edit("hi", `(HINT:TYPE=PART,URI="hi/1-[0-9]+)\.([1-4])`, "$1.9$2")},
	{rule: RuleHintKept, f: faults{cutEarly: 115}},
	{rule: RuleHintServed, f: answer(`/hi/1-[0-9]+\.[0-9]+\.m4s`, 404, func(o *origin, req *http.Request) bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return strings.HasSuffix(req.URL.Path, lastName(o))
	})},
	{rule: RuleHintGone, f: answer(`/hi/1-134\.0\.m4s`, 500, func(o *origin, req *http.Request) bool {
		return !o.wait(req.Context(), func() bool { return o.ended }) || true
	}), opt: Options{Duration: time.Hour}},
	{rule: RuleReportFresh, f: edit("hi", `(REPORT:URI="lo.m3u8").*\n`, "$1,LAST-MSN=105,LAST-PART=0\n")},
	{rule: RuleReportTrue, f: edit("hi", `(REPORT:URI="lo.m3u8",LAST-MSN=[0-9]+,LAST-PART=)([0-9]+)`, "${1}9")},
}

// lastName is the name of the part that comes next.
func lastName(o *origin) string {
	return "/1-" + itoa(o.lead().next) + "." + itoa(int64(o.lead().part)) + ".m4s"
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

var directiveFaults = []fault{
	{rule: RuleBlockWaits, f: early(`hi.m3u8\?_HLS_msn=114&_HLS_part=2`, 1)},
	{rule: RuleBlockSegment, f: faults{handle: func(o *origin, _ http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.String(), "hi.m3u8?_HLS_msn="+itoa(o.reached())) {
			req.URL.RawQuery = ""
		}
		return false
	}}},
	{rule: RuleBlockOld, f: answer(`hi.m3u8\?_HLS_msn=10[0-9]`, 400, nil)},
	{rule: RuleBlockRollover, f: answer(`hi.m3u8\?_HLS_msn=[0-9]+&_HLS_part=5$`, 400, nil)},
	{rule: RuleBlockFar, f: early(`hi.m3u8\?_HLS_msn=1(2[0-9])`, 100), opt: Options{Duration: 4 * time.Second}},
	{rule: RuleBlockPartFar, f: early(`hi.m3u8\?.*_HLS_part=[0-9][0-9]`, 100)},
	{rule: RuleBlockPartAlone, f: early(`hi.m3u8\?_HLS_part=`, 100)},
	{rule: RuleBlockMalformed, f: early(`hi.m3u8\?_HLS_msn=abc`, 100)},
	{rule: RuleBlockTimeout, f: faults{timeout: 3 * time.Second}, opt: Options{Duration: pass}},
	{rule: RuleBlockEnded, f: answer(`hi.m3u8\?_HLS_msn=`, 400, func(o *origin, req *http.Request) bool {
		return strings.Contains(req.URL.RawQuery, "_HLS_msn=184")
	}), opt: Options{Duration: time.Hour}},
	{rule: RuleSkipEnded, f: editIf("hi", `(#EXT-X-MEDIA-SEQUENCE.*\n)`, "$1#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n", func(o *origin, q url.Values) bool {
		return o.over() && len(q) == 1 && q.Has("_HLS_skip")
	}), opt: Options{Duration: time.Hour}},
	{rule: RuleDeltaGiven, f: request(func(req *http.Request) {
		q := req.URL.Query()
		if q.Del("_HLS_skip"); strings.Contains(req.URL.Path, "hi.m3u8") && q.Get("_HLS_part") != "-1" {
			req.URL.RawQuery = keepBroken(req.URL.RawQuery, q)
		}
	})},
	{rule: RuleDeltaBoundary, f: faults{skipAt: 7 * time.Second}},
	{rule: RuleDeltaEqual, f: editIf("hi", `,INDEPENDENT=YES`, "", isDelta("YES"))},
	{rule: RuleDeltaRanges, f: editIf("hi", `#EXT-X-DATERANGE.*\n`, "", isDelta("YES"))},
	{rule: RuleDeltaRemoved, f: editIf("hi", `,RECENTLY-REMOVED-DATERANGES="[^"]*"`, "", isDelta("v2"))},
}

// keepBroken re-encodes a query only when it asked to skip, so that malformed ones stay as they are.
func keepBroken(raw string, q url.Values) string {
	if !strings.Contains(raw, "_HLS_skip") {
		return raw
	}
	return q.Encode()
}

var multivariantFaults = []fault{
	{rule: RuleVariantCodecs, f: masterEdit("avc1.64001f", "avc1.42e01e")},
	{rule: RuleVariantBandwidth, also: []RuleID{RuleVariantAverage}, f: faults{master: func(b string) string {
		return regexp.MustCompile(`:BANDWIDTH=[0-9]+`).ReplaceAllString(b, ":BANDWIDTH=90000")
	}}},
	{rule: RuleVariantAverage, f: faults{master: func(b string) string {
		return regexp.MustCompile(`AVERAGE-BANDWIDTH=[0-9]+`).ReplaceAllString(b, "AVERAGE-BANDWIDTH=50000")
	}}},
	{rule: RuleVariantSize, f: masterEdit("1280x720", "1280x736")},
	{rule: RuleVariantRate, f: masterEdit("25.000", "30.000")},
	{rule: RuleVariantCaptions, f: masterEdit(",CLOSED-CAPTIONS=NONE", "")},
	{rule: RuleVariantGroup, also: []RuleID{RuleVariantCodecs, RuleVariantAverage, RuleGroupUsed}, f: masterEdit(`AUDIO="aud"`, `AUDIO="other"`)},
	{rule: RuleGroupNames, f: masterEdit("#EXT-X-STREAM-INF:", `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud",NAME="English",LANGUAGE="en",AUTOSELECT=YES,CHANNELS="2",URI="en.m3u8"`+"\n#EXT-X-STREAM-INF:")},
	{rule: RuleGroupDefault, f: masterEdit("AUTOSELECT=YES", "AUTOSELECT=NO")},
	{rule: RuleGroupChannels, f: masterEdit(`CHANNELS="2"`, `CHANNELS="6"`)},
	{rule: RuleGroupLanguage, f: masterEdit(`LANGUAGE="en",`, "")},
	{rule: RuleVariantOnce, f: faults{master: func(b string) string {
		from := strings.Index(b, "#EXT-X-STREAM-INF:")
		return b + b[from:from+strings.Index(b[from:], "hi.m3u8\n")] + "hi.m3u8\n"
	}}},
	{rule: RuleGroupUsed, f: masterEdit("#EXT-X-MEDIA:", `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="spare",NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="en.m3u8"`+"\n#EXT-X-MEDIA:")},
	{rule: RuleGroupCodec, also: []RuleID{RuleGroupChannels}, f: faults{master: func(b string) string {
		b = regexp.MustCompile(`.*\nen\.m3u8\n`).ReplaceAllString(b, "") // which would have the group's wrong codec too
		return b + `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud",NAME="Picture",LANGUAGE="en",CHANNELS="2",URI="lo.m3u8"` + "\n"
	}}},
	{rule: RuleVariantScore, f: masterEdit("SCORE=360,", "")},
	{rule: RuleVariantScore, name: "zero", f: masterEdit("SCORE=1,", "SCORE=0,")},
	{rule: RuleVariantScore, name: "one alone", f: faults{master: func(b string) string {
		return regexp.MustCompile(`SCORE=(360|1),`).ReplaceAllString(b, "")
	}}},
	{rule: RuleVariantRange, f: masterEdit("1280x720,", "1280x720,VIDEO-RANGE=PQ,")},
	{rule: RuleVariantRange, name: "sound", f: masterEdit(`SCORE=1,`, `SCORE=1,VIDEO-RANGE=SDR,`)},
	{rule: RuleVariantRange, name: "unsaid", f: brighter(16, nil)},
	{rule: RuleVariantRange, name: "another", f: brighter(18, func(b string) string {
		return strings.NewReplacer("1280x720,", "1280x720,VIDEO-RANGE=PQ,", "640x360,", "640x360,VIDEO-RANGE=SDR,").Replace(b)
	})},
	{rule: RuleVariantRange, name: "not so bright", f: brighter(1, func(b string) string {
		return strings.NewReplacer("1280x720,", "1280x720,VIDEO-RANGE=HLG,", "640x360,", "640x360,VIDEO-RANGE=SDR,").Replace(b)
	})},
	{rule: RuleVariantSize, name: "sound", f: masterEdit(`SCORE=1,`, `SCORE=1,RESOLUTION=640x360,`)},
	{rule: RuleVariantRate, name: "sound", f: masterEdit(`SCORE=1,`, `SCORE=1,FRAME-RATE=25.000,`)},
	{rule: RuleVariantCodecs, name: "sound", f: masterEdit(`CODECS="mp4a.40.2"`, `CODECS="avc1.64001f,mp4a.40.2"`)},
	{rule: RuleGroupSame, f: alsoGroup(`NAME="Deutsch",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES`)},
	{rule: RuleGroupSame, name: "language", f: alsoGroup(`NAME="English",LANGUAGE="en-GB",DEFAULT=YES,AUTOSELECT=YES`)},
	{rule: RuleGroupSame, name: "default", f: alsoGroup(`NAME="English",LANGUAGE="en",AUTOSELECT=YES`)},
	{rule: RuleHoldLag, f: late("1.5")},
	{rule: RuleSameEnd, f: faults{behind: map[string]int{"lo": 6}, text: edit("", `PART-HOLD-BACK=1.5`, "PART-HOLD-BACK=3.0").text}, opt: Options{Duration: time.Hour}},
	{rule: RuleSameTarget, also: []RuleID{RuleHoldBack, RulePartEdge, RuleSkipUntil}, f: edit("en", `TARGETDURATION:2`, "TARGETDURATION:3"), opt: Options{Duration: short}},
	{rule: RuleSameControl, f: edit("lo", `,HOLD-BACK=6.0`, ",HOLD-BACK=6.5")},
	{rule: RuleSameControl, name: "something else", f: edit("lo", `CAN-SKIP-UNTIL=12.0`, "CAN-SKIP-UNTIL=13.0"), opt: Options{Duration: 4 * time.Second, RaisedHold: true}},
	{rule: RuleSameSpan, also: []RuleID{RuleSameMapping}, f: audioOnly(func(c *mkChunk) { c.decode += 4800 })},
	{rule: RuleSameDisc, f: edit("lo", `DISCONTINUITY-SEQUENCE:0`, "DISCONTINUITY-SEQUENCE:1")},
	{rule: RuleSamePDT, also: []RuleID{RuleSameMapping, RuleRangeEvent}, f: faults{date: onlyFor("lo", 100*time.Millisecond)}},
	{rule: RuleSameMapping, f: faults{date: onlyFor("en", -20*time.Millisecond), chunk: audioOnly(func(c *mkChunk) { c.decode += 288 }).chunk}},
	{rule: RuleSameMapping, name: "behind a gap", f: faults{partly: 2, chunk: func(r *rend, msn int64, _ int, c *mkChunk) {
		if r.name == "lo" && msn == gapMSN {
			c.decode += 90000 // back from a gap, a second late
		}
	}}, opt: Options{Duration: pass}},
	{rule: RuleSameRanges, f: edit("lo", `$`, "#EXT-X-DATERANGE:ID=\"more\",START-DATE=\"1999-12-31T00:00:00.000Z\"\n")},
}

// late has the second rendition come three parts later, and the origin leave room for that, or not.
func late(hold string) faults {
	f := edit("", `PART-HOLD-BACK=1.5`, "PART-HOLD-BACK="+hold)
	f.behind = map[string]int{"lo": 3}
	return f
}

// brighter puts transfer characteristics into the first rendition's initialization section.
func brighter(transfer byte, master func(string) string) faults {
	return faults{master: master, init: func(r *rend, data []byte) []byte {
		if r.name != "hi" {
			return data
		}
		entry := avcEntry(r.width, r.height)[8:]
		return mkInit(90000, "vide", mkbox("avc1", entry, mkbox("colr", []byte("nclx"), []byte{0, 9, 0, transfer, 0, 9, 0})), r.width, r.height)
	}}
}

// alsoGroup gives a variant an AUDIO group of its own, of which the one member has these attributes.
func alsoGroup(attributes string) faults {
	return faults{master: func(b string) string {
		b = strings.Replace(b, `AUDIO="aud",CLOSED-CAPTIONS=NONE`+"\nlo", `AUDIO="more",CLOSED-CAPTIONS=NONE`+"\nlo", 1)
		return b + `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="more",` + attributes + `,CHANNELS="2",URI="en.m3u8"` + "\n"
	}}
}

func onlyFor(name string, by time.Duration) func(*rend, time.Duration) time.Duration {
	return func(r *rend, _ time.Duration) time.Duration {
		if r.name == name {
			return by
		}
		return 0
	}
}

func audioOnly(change func(c *mkChunk)) faults {
	return faults{chunk: func(r *rend, msn int64, _ int, c *mkChunk) {
		if !r.video && msn > firstMSN {
			change(c)
		}
	}}
}

var mediaFaults = []fault{
	{rule: RuleInitBoxes, f: initEdit(func(b []byte) []byte { return append(b, mkbox("mdat", nil)...) })},
	{rule: RuleInitTrack, f: initEdit(func(b []byte) []byte {
		top, _ := splitBoxes(b)
		trak, _ := child(top[1].body, "trak")
		return slices.Concat(b[:top[0].size], mkbox("moov", top[1].body, mkbox("trak", trak.body)))
	})},
	{rule: RuleInitBrand, f: initEdit(func(b []byte) []byte { return bytes.Replace(b, []byte("cmfc"), []byte("iso5"), 1) })},
	{rule: RuleFragmentBoxes, f: chunkAt(func(c *mkChunk) { c.front = mkbox("sidx") })},
	{rule: RuleFragmentTrack, f: chunkAt(func(c *mkChunk) { c.track = 2 })},
	{rule: RuleFragmentTrack, name: "two", also: []RuleID{RuleSegmentTime, RuleDecodeTime, RuleSameSpan}, f: chunkAt(func(c *mkChunk) { c.twice = true })},
	{rule: RuleFragmentBase, f: chunkAt(func(c *mkChunk) { c.tfhdFlags = 0x20000 })},
	{rule: RuleFragmentOffset, f: chunkAt(func(c *mkChunk) { c.shift = 1 })},
	{rule: RuleFragmentSizes, f: chunkAt(func(c *mkChunk) { c.tail = []byte{0} })},
	{rule: RuleFragmentOrder, f: chunkAt(func(c *mkChunk) { c.sequence = 7 })},
	{rule: RuleDecodeTime, f: chunkAt(func(c *mkChunk) { c.decode++ })},
	{rule: RuleSegmentParts, f: faults{serve: func(_ *origin, u *url.URL, data []byte) []byte {
		return flip(data, strings.HasSuffix(u.Path, "/hi/1-114.m4s"))
	}}},
	{rule: RuleSegmentTime, also: []RuleID{RulePartSum}, f: edit("hi", `2.00000,\nhi/1-113`, "1.90000,\nhi/1-113")},
	{rule: RuleGapEmpty, f: answer(`/lo/1-116.m4s`, 200, nil), opt: Options{Duration: pass}},
	{rule: RulePartTime, f: faults{text: func(_ *origin, _ *rend, _ url.Values, body string) string {
		body = strings.ReplaceAll(body, `DURATION=0.40000,URI="hi/1-114.2.`, `DURATION=0.39500,URI="hi/1-114.2.`)
		return strings.ReplaceAll(body, `DURATION=0.40000,URI="hi/1-114.3.`, `DURATION=0.40500,URI="hi/1-114.3.`)
	}}},
	{rule: RulePDTMedia, f: faults{date: jump(100 * time.Millisecond)}},
	{rule: RuleIndependent, f: edit("hi", `(DURATION=.*hi/1-114.2.m4s")`, "$1,INDEPENDENT=YES")},
	{rule: RuleIndependentSet, f: edit("hi", `(hi/1-114.0.m4s"),INDEPENDENT=YES`, "$1")},
	{rule: RuleIndependentAll, f: faults{
		text: edit("hi", `(hi/1-114.0.m4s"),INDEPENDENT=YES`, "$1").text,
		chunk: func(r *rend, msn int64, part int, c *mkChunk) {
			if r.name == "hi" && msn == 114 && part == 0 {
				c.samples[0] = c.samples[1]
			}
		}}},
	{rule: RuleSyncFlags, f: chunkAt(func(c *mkChunk) { c.samples[3].flags = flagsSync })},
	{rule: RuleNALUnits, f: chunkAt(func(c *mkChunk) { c.samples[3].data = append(c.samples[3].data, 1) })},
	{rule: RuleParameterSets, f: chunkAt(func(c *mkChunk) { c.samples[3].data = append(nal(0x67, 9), c.samples[3].data...) })},
}

// flip changes the last byte of a copy.
func flip(data []byte, when bool) []byte {
	if !when {
		return data
	}
	data = slices.Clone(data)
	data[len(data)-1] ^= 1
	return data
}

var httpFaults = []fault{
	{rule: RuleHTTPOK, f: answer(`/lo/1-114.m4s`, 404, nil)},
	{rule: RuleHTTPType, f: headerOf(`/hi/.*m4s`, 0, func(h http.Header) { h.Set("Content-Type", "application/octet-stream") })},
	{rule: RuleHTTPLength, f: headerOf(`/hi/.*m4s`, 200, func(h http.Header) { h.Del("Content-Length") })},
	{rule: RuleHTTPGzip, f: request(func(req *http.Request) { req.Header.Del("Accept-Encoding") })},
	{rule: RuleHTTPVary, f: headerOf(`hi.m3u8`, 0, func(h http.Header) { h.Del("Vary") })},
	{rule: RuleHTTPETag, f: headerOf(`/hi/`, 0, func(h http.Header) { h.Del("ETag") })},
	{rule: RuleHTTPCondition, f: request(func(req *http.Request) { req.Header.Del("If-None-Match") })},
	{rule: RuleHTTPCoding, also: []RuleID{RuleHTTPCondition}, f: headerOf(`m3u8`, 0, func(h http.Header) { h.Set("ETag", strings.Replace(h.Get("ETag"), "-gzip", "", 1)) })},
	{rule: RuleHTTPHead, f: answer(`/hi/`, 405, func(_ *origin, req *http.Request) bool { return req.Method == http.MethodHead })},
	{rule: RuleHTTPRange, also: []RuleID{RuleHTTPBadRange}, f: request(func(req *http.Request) { req.Header.Del("Range") })},
	{rule: RuleHTTPBadRange, f: headerOf(`/hi/`, 416, func(h http.Header) { h.Del("Content-Range") })},
	{rule: RuleHTTPCORS, f: headerOf(`hi.m3u8`, 400, func(h http.Header) { h.Del("Access-Control-Allow-Origin") })},
	{rule: RuleCacheMedia, f: headerOf(`/hi/`, 200, func(h http.Header) { h.Set("Cache-Control", "public, max-age=60") })},
	{rule: RuleCachePosition, f: headerOf(`hi.m3u8\?.*msn`, 200, func(h http.Header) { h.Set("Cache-Control", "no-store") })},
	{rule: RuleCacheLive, f: headerOf(`hi.m3u8$`, 200, func(h http.Header) { h.Set("Cache-Control", "max-age=60") })},
	{rule: RuleCacheMissing, f: headerOf(``, 404, func(h http.Header) { h.Del("Cache-Control") })},
	{rule: RuleHTTPMissing, f: answer(`no-such`, 403, nil)},
	{rule: RuleHTTPCookie, f: headerOf(`hi.m3u8`, 0, func(h http.Header) { h.Set("Set-Cookie", "a=b") })},
	{rule: RuleHTTPRedirect, also: []RuleID{RuleHTTPOK}, f: answer(`/lo/1-114.m4s`, 302, nil)},
	{rule: RuleSegmentStays, f: faults{keep: -2}},
	{rule: RulePartStays, f: answer(`/hi/1-[0-9]+\.[0-9]+\.m4s`, 404, func(o *origin, req *http.Request) bool {
		next := o.reached()
		for msn := int64(firstMSN); msn < next-5; msn++ {
			if strings.Contains(req.URL.Path, "/1-"+itoa(msn)+".") {
				return true
			}
		}
		return false
	})},
}

func TestEachFaultIsReportedAsItsRule(t *testing.T) {
	covered := make(map[RuleID]bool)
	for _, group := range []struct {
		faults   []fault
		duration time.Duration // that shows them, unless they say otherwise
	}{
		{playlistFaults, 7 * time.Second}, {updateFaults, short}, {directiveFaults, 7 * time.Second},
		{multivariantFaults, 4 * time.Second}, {mediaFaults, 7 * time.Second}, {timedFaults, 8 * time.Second}, {httpFaults, 7 * time.Second},
	} {
		for _, f := range group.faults {
			covered[f.rule] = true
			t.Run(strings.TrimSpace(string(f.rule)+" "+f.name), func(t *testing.T) {
				t.Parallel()
				if f.opt.Duration == 0 {
					f.opt.Duration = group.duration
				}
				r := play(t, f.f, f.opt)
				want := append([]RuleID{f.rule}, f.also...)
				slices.Sort(want)
				if got := r.Broken(); !slices.Equal(got, want) {
					t.Errorf("broken rules are %v, want %v:\n%.2000s", got, want, r)
				}
			})
		}
	}
	covered[RuleImmutable] = true // see TestImmutable
	for _, rule := range Rules() {
		if !covered[rule.ID] {
			t.Errorf("no fault breaks %s", rule.ID)
		}
	}
}

// The third download of a segment differs: the first is the player's, the second and third are compared.
func TestImmutable(t *testing.T) {
	var n atomic.Int32
	var path atomic.Value
	f := faults{serve: func(_ *origin, u *url.URL, data []byte) []byte {
		if !strings.HasSuffix(u.Path, "/hi/1-112.m4s") && !strings.HasSuffix(u.Path, "/hi/1-111.m4s") {
			return data
		}
		if path.CompareAndSwap(nil, u.Path); path.Load() != u.Path {
			return data
		}
		return flip(data, n.Add(1) == 3)
	}}
	r := play(t, f, Options{Duration: short})
	if got := r.Broken(); !slices.Equal(got, []RuleID{RuleImmutable}) {
		t.Errorf("broken rules are %v:\n%s", got, r)
	}
}
