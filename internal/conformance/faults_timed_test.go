package conformance

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// eventsAt changes the event messages of one part of all video renditions.
func eventsAt(msn int64, part int, change func(start uint64, list []mkEvent) []mkEvent) faults {
	return eventsOf("", msn, part, change)
}

// eventsOf changes those of one rendition, or of all for "".
func eventsOf(name string, msn int64, part int, change func(start uint64, list []mkEvent) []mkEvent) faults {
	return faults{events: func(r *rend, m int64, p int, start uint64, list []mkEvent) []mkEvent {
		if m != msn || p != part || name != "" && r.name != name {
			return list
		}
		return change(start, list)
	}}
}

// eventEdit changes the first event message of segment 114.
func eventEdit(change func(e *mkEvent)) faults {
	return eventsAt(114, 0, func(_ uint64, list []mkEvent) []mkEvent {
		change(&list[0])
		return list
	})
}

// oneMore adds an event message to a part of segment 114, so many ticks from its start.
func oneMore(part int, off int64, id uint32) faults {
	return eventsAt(114, part, func(start uint64, list []mkEvent) []mkEvent {
		return append(list, tellAt(uint64(int64(start)+off), id, "open and 1"))
	})
}

// moveEvent takes the event messages from in front of a part of segment 114 and puts them elsewhere in it.
func moveEvent(part int, to func(c *mkChunk, b []byte)) faults {
	return faults{
		events: oneMore(part, 0, 9).events,
		chunk: func(r *rend, msn int64, p int, c *mkChunk) {
			if r.video && msn == 114 && p == part {
				to(c, c.front)
				c.front = nil
			}
		},
	}
}

const millisecond = 90 // in ticks

// The dates between which the fake origin shows a card.
const (
	shownAt  = "2000-01-01T00:00:26.520Z"
	hiddenAt = "2000-01-01T00:00:30.520Z"
)

// inV2 changes updates of v2 once the origin has come to a segment.
func inV2(pattern, by string, since int64) faults {
	return editIf("", pattern, by, func(o *origin, q url.Values) bool { return q.Get("_HLS_skip") == "v2" && o.reached() >= since })
}

var timedFaults = []fault{
	{rule: RuleEventForm, also: []RuleID{RuleEventRepeat}, f: eventEdit(func(e *mkEvent) { e.version = 2 })},
	{rule: RuleEventForm, name: "short", also: []RuleID{RuleEventRepeat}, f: faults{chunk: func(r *rend, msn int64, part int, c *mkChunk) {
		if r.video && msn == 114 && part == 0 {
			c.front = mkbox("emsg", c.front[8:40])
		}
	}}},
	{rule: RuleEventPlace, f: moveEvent(2, func(c *mkChunk, b []byte) { c.between = b })},
	{rule: RuleEventPlace, name: "behind", f: moveEvent(4, func(c *mkChunk, b []byte) { c.behind = b })},
	{rule: RuleEventVersion, also: []RuleID{RuleEventRepeat}, f: eventEdit(func(e *mkEvent) { e.version, e.time = 0, 0 })},
	{rule: RuleEventTimescale, f: eventsAt(114, 2, func(start uint64, list []mkEvent) []mkEvent {
		e := tellAt(start/90, 9, "open and 1")
		e.timescale = 1000
		return append(list, e)
	})},
	{rule: RuleEventTime, f: oneMore(3, -1000*millisecond, 9)},
	{rule: RuleEventTime, name: "ahead", f: oneMore(4, 900*millisecond, 9), also: []RuleID{RuleEventOrder}},
	{rule: RuleEventTime, name: "huge", f: oneMore(4, 1<<63-1, 9), also: []RuleID{RuleEventOrder}},
	{rule: RuleEventTime, name: "before a gap", f: eventsOf("lo", gapMSN+1, 0, func(start uint64, list []mkEvent) []mkEvent {
		return append([]mkEvent{tellAt(start-3300*millisecond, 9, "open and 1")}, list...)
	}), opt: Options{Duration: pass}},
	{rule: RuleEventOrder, f: oneMore(1, -410*millisecond, 9)},
	{rule: RuleEventDuration, f: eventEdit(func(e *mkEvent) { e.duration = 90000 })},
	{rule: RuleEventID, f: oneMore(2, 0, 114)},
	{rule: RuleEventRepeat, f: eventsAt(114, 0, func(uint64, []mkEvent) []mkEvent { return nil })},
	{rule: RuleEventRepeat, name: "late", f: eventEdit(func(e *mkEvent) { e.time++ })},
	{rule: RuleEventRepeat, name: "early", f: eventEdit(func(e *mkEvent) { e.time -= 50 * millisecond })},
	{rule: RuleEventSame, f: eventsOf("lo", 114, 0, func(start uint64, _ []mkEvent) []mkEvent {
		return []mkEvent{tellAt(start, 114, "another")}
	})},
	{rule: RuleEventSame, name: "id", f: eventsOf("lo", 113, 1, func(_ uint64, list []mkEvent) []mkEvent {
		list[0].id++
		return list
	})},
	{rule: RuleEventSame, name: "missing", f: eventsOf("hi", 114, 2, func(start uint64, list []mkEvent) []mkEvent {
		return append(list, tellAt(start, 9, "open and 1"))
	})},
	{rule: RuleEventSame, name: "none", f: faults{events: func(r *rend, _ int64, _ int, _ uint64, list []mkEvent) []mkEvent {
		if r.name == "lo" {
			return nil
		}
		return list
	}}},
	{rule: RuleEventID3, f: eventEdit(func(e *mkEvent) { e.data = e.data[:len(e.data)-1] })},
	{rule: RuleRangeEvent, f: edit("", `START-DATE="`+shownAt+`"`, `START-DATE="2000-01-01T00:00:26.523Z"`)},
	{rule: RuleRangeEvent, name: "end", f: edit("", `END-DATE="`+hiddenAt+`"`, `END-DATE="2000-01-01T00:00:30.500Z"`)},
	{rule: RuleRangeEvent, name: "no message", f: eventsAt(113, 1, func(uint64, []mkEvent) []mkEvent { return nil })},
	{rule: RuleRangeConstant, name: "start", also: []RuleID{RuleRangeEvent}, f: editIf("", shownAt, "2000-01-01T00:00:26.560Z", from(115))},
	{rule: RuleRangeConstant, name: "end", f: editIf("", hiddenAt, "2000-01-01T00:00:30.521Z", from(116))},
	{rule: RuleRangeConstant, name: "reopened", also: []RuleID{RuleDeltaApply}, f: editIf("", `,END-DATE="`+hiddenAt+`"`, "", from(116))},
	{rule: RuleRangeConstant, name: "class", f: editIf("", `CLASS="shop.card"`, `CLASS="other.card"`, from(115))},
	{rule: RuleRangeKept, name: "closed", also: []RuleID{RuleDeltaRemoved, RuleDeltaApply}, f: editIf("", `#EXT-X-DATERANGE:ID="card-1".*END-DATE.*\n`, "", from(116)), opt: Options{Duration: short}},
	{rule: RuleSameRanges, name: "end", f: edit("en", `,END-DATE="[^"]*"`, "")},
	{rule: RuleSameRanges, name: "start", f: edit("en", shownAt, "2000-01-01T00:00:26.521Z")},
	{rule: RuleSameRanges, name: "late", f: editIf("en", `#EXT-X-DATERANGE:ID="card-1".*\n`, "", func(o *origin, _ url.Values) bool {
		return o.reached() < 115
	})},
	{rule: RuleRangeReturn, also: []RuleID{RuleDeltaRemoved, RuleDeltaOld}, f: editIf("", `$`, `#EXT-X-DATERANGE:ID="card-1",CLASS="shop.card",START-DATE="`+
		shownAt+`",END-DATE="`+hiddenAt+`",X-CARD="blue"`+"\n", from(130)), opt: Options{Duration: time.Hour}},
	{rule: RuleDeltaOld, f: faults{keepRanges: true}, opt: Options{Duration: pass}},
	{rule: RuleDeltaRanges, name: "hasty", also: []RuleID{RuleDeltaApply}, f: faults{hasty: true}},
	{rule: RuleDeltaRanges, name: "unended", also: []RuleID{RuleDeltaApply}, f: inV2(`,END-DATE="[^"]*"`, "", 0)},
	{rule: RuleDeltaRemoved, name: "unnamed", also: []RuleID{RuleDeltaApply}, f: inV2(`RECENTLY-REMOVED-DATERANGES="card-1"`, `RECENTLY-REMOVED-DATERANGES=""`, 0), opt: Options{Duration: time.Hour}},
	{rule: RuleDeltaRemoved, name: "too much", also: []RuleID{RuleDeltaApply}, f: inV2(`RECENTLY-REMOVED-DATERANGES=""`, `RECENTLY-REMOVED-DATERANGES="card-open"`, 122), opt: Options{Duration: pass}},
	{rule: RuleDeltaRemoved, name: "twice", f: inV2(`RECENTLY-REMOVED-DATERANGES=""`, "RECENTLY-REMOVED-DATERANGES=\"old\told\"", 0)},
	{rule: RuleDeltaApply, name: "comma", also: []RuleID{RuleDeltaRemoved}, f: inV2(`RECENTLY-REMOVED-DATERANGES="card-1"`, `RECENTLY-REMOVED-DATERANGES="card-1,card-0"`, 0), opt: Options{Duration: time.Hour}},
}

func TestCheckID3(t *testing.T) {
	const body = "\x03shop.state\x00lamp"
	good := mkTag(mkFrame("TXXX", body))
	if err := checkID3(good); err != nil {
		t.Fatal(err)
	}
	with := func(at int, value byte) []byte {
		b := slices.Clone(good)
		b[at] = value
		return b
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":           {nil, "no ID3"},
		"another":           {with(0, 'X'), "no ID3"},
		"version":           {with(3, 3), "ID3v2.3.0"},
		"revision":          {with(4, 1), "ID3v2.4.1"},
		"unsynchronisation": {with(5, 0x80), "flags are 0x80"},
		"extended header":   {with(5, 0x40), "flags are 0x40"},
		"cut off":           {good[:len(good)-1], "its size"},
		"more behind":       {append(slices.Clone(good), 0), "its size"},
		"not syncsafe":      {with(8, 0x80), "its size"},
		"no frame":          {mkTag(), "TXXX"},
		"another frame":     {mkTag(mkFrame("PRIV", "a\x00b")), "TXXX"},
		"two frames":        {mkTag(mkFrame("TXXX", body), mkFrame("TXXX", body)), "its frame has the size"},
		"padding":           {mkTag(mkFrame("TXXX", body), zeros(20)), "its frame has the size"},
		"frame's flags":     {with(19, 8), "flags 00 08"},
		"frame's size":      {with(16, 0x80), "its frame has the size"},
		"UTF-16":            {mkTag(mkFrame("TXXX", "\x01"+body[1:])), "not in UTF-8"},
		"empty frame":       {mkTag(mkFrame("TXXX", "")), "not in UTF-8"},
		"no description":    {mkTag(mkFrame("TXXX", "\x03\x00lamp")), "no description"},
		"no end":            {mkTag(mkFrame("TXXX", "\x03shop.state")), "no description"},
		"no value":          {mkTag(mkFrame("TXXX", "\x03shop.state\x00")), "one value"},
		"two values":        {mkTag(mkFrame("TXXX", body+"\x00x")), "one value"},
		"damaged text":      {mkTag(mkFrame("TXXX", body+"\xff")), "text is not UTF-8"},
	} {
		if err := checkID3(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want an error with %q", name, err, c.want)
		}
	}
}

// FuzzEvent reads event messages: what can be read is within the box.
func FuzzEvent(f *testing.F) {
	for _, version := range []byte{0, 1} {
		e := tellAt(1<<33, 7, "lamp")
		e.version = version
		f.Add(e.bytes()[8:])
	}
	f.Add([]byte{0, 0, 0, 0, 'a', 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := parseEvent(body)
		if err != nil {
			return
		}
		again := mkEvent{byte(e.version), e.timescale, e.time, e.duration, e.id, e.scheme, e.value, e.data}
		if !bytes.Equal(again.bytes()[8:], body) {
			t.Errorf("%x is read as %+v", body, e)
		}
		if checkID3(e.data) == nil && len(e.data) < 20 {
			t.Errorf("%x is taken for an ID3 tag", e.data)
		}
	})
}
