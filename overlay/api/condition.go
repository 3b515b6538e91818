package api

import (
	"fmt"
	"strconv"
	"strings"

	"pushcart/overlay"
)

// Entity tags: a card's is its revision, the list's counts its changes, that of the slots is the place of their state.
func revTag(rev int64) string   { return fmt.Sprintf(`"%d"`, rev) }
func listTag(list int64) string { return fmt.Sprintf(`"list-%d"`, list) }
func slotsTag(epoch, seq int64) string {
	return fmt.Sprintf(`"%d-%d"`, epoch, seq)
}

// condition is which precondition a route takes (RFC 9110 13.1).
type condition int

const (
	unconditional condition = iota
	// byRev takes If-Match with a card's tag.
	byRev
	// byRevOrNew takes If-None-Match: * as well: there must be no such card.
	byRevOrNew
	// bySeq takes If-Match with the tag of the slots.
	bySeq
)

// preconditions reads If-Match and If-None-Match of a request that changes something. What a route does not take is
// refused: a client that states a condition relies on it.
func (c *call) preconditions(takes condition) error {
	match, noneMatch := c.r.Header.Values("If-Match"), c.r.Header.Values("If-None-Match")
	switch {
	case len(match) == 0 && len(noneMatch) == 0:
		return nil
	case len(match) > 0 && len(noneMatch) > 0:
		return problemf(reasonMalformed, "If-Match", "If-Match and If-None-Match exclude each other here: send one of them.")
	case len(noneMatch) > 0:
		if takes != byRevOrNew {
			return problemf(reasonMalformed, "If-None-Match", "This request takes no If-None-Match. Leave it out.")
		}
		if len(noneMatch) != 1 || noneMatch[0] != "*" {
			return problemf(reasonMalformed, "If-None-Match", `The only If-None-Match that this request takes is "*", for a card that must be new.`)
		}
		none := int64(0)
		c.ifRev = &none
		return nil
	case takes == unconditional:
		return problemf(reasonMalformed, "If-Match", "This request takes no If-Match. Leave it out.")
	}
	tag, ok := singleTag(match)
	if !ok {
		return problemf(reasonMalformed, "If-Match", "If-Match takes one strong entity tag here, as the ETag of an earlier answer had it.")
	}
	if takes == bySeq {
		return c.ifSlots(tag)
	}
	rev, ok := number(tag)
	if !ok || rev == 0 {
		return stale("It is no card's: a card's entity tag is its revision in quotes.")
	}
	c.ifRev = &rev
	return nil
}

// ifSlots reads the tag of the slots. The desk compares it: only there a command that is sent again is
// known to have been carried out.
func (c *call) ifSlots(tag string) error {
	e, s, _ := strings.Cut(tag, "-")
	epoch, ok1 := number(e)
	seq, ok2 := number(s)
	if !ok1 || !ok2 {
		return stale(`It is not that of the slots, which is "EPOCH-SEQ".`)
	}
	c.ifEpoch, c.ifSeq = &epoch, &seq
	return nil
}

func stale(why string) *Problem {
	return problemf(overlay.ReasonStale, "If-Match", "The entity tag does not match, so nothing was changed. %s Get the present one and decide again.", why)
}

// singleTag returns what is in the quotes of the only strong entity tag.
func singleTag(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	v := strings.TrimSpace(values[0])
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' || strings.Contains(v[1:len(v)-1], `"`) {
		return "", false
	}
	return v[1 : len(v)-1], true
}

// number reads a decimal number as we write it: digits only, no leading zero, at most 18 of them.
func number(s string) (int64, bool) {
	if s == "" || len(s) > 18 || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for _, r := range s {
		if r < '0' || r > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// matches compares an entity tag with If-None-Match, weakly (RFC 9110 13.1.2).
func matches(values []string, tag string) bool {
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		item = strings.TrimPrefix(strings.TrimSpace(item), "W/")
		if item == "*" || item == tag {
			return true
		}
	}
	return false
}

// maxKey is the length of the longest Idempotency-Key.
const maxKey = 64

// idempotencyKey reads the header; "" when there is none.
func (c *call) idempotencyKey() (string, error) {
	values := c.r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	visible := !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' })
	if len(values) > 1 || key == "" || len(key) > maxKey || !visible {
		return "", problemf(reasonMalformed, "Idempotency-Key", "An Idempotency-Key is one value of 1 to %d visible ASCII characters.", maxKey)
	}
	return key, nil
}
