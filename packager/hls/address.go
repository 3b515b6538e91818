package hls

import (
	"strconv"
	"strings"

	"pushcart/packager/window"
)

// address is what the name of a segment or a part says: the generation and the position, whose Part is -1 for a segment.
type address struct {
	gen int64
	pos window.Position
}

// standing is whether a snapshot has what is at an address.
type standing int

const (
	nowhere standing = iota
	expected
	here
)

// find returns the segment that has, or will have, the media; nil where there is none.
func (a address) find(s *window.Snapshot) *window.Segment {
	g := s.Segment(a.pos.MSN)
	if aside := s.Aside(); len(aside) > 0 && (g == nil || !a.names(g)) {
		for _, o := range aside {
			if o.MSN == a.pos.MSN && a.names(o) {
				return o
			}
		}
	}
	return g
}

// names tells whether the media are in a segment.
func (a address) names(g *window.Segment) bool {
	if a.pos.Part < 0 {
		return g.Complete && g.NameGen() == a.gen
	}
	return g.Gen == a.gen && a.pos.Part < len(g.Parts)
}

// standing tells whether a snapshot has the media. They are expected when they are being made, when they are hinted at, and when a
// copy knows of them but does not have the bytes yet; of a copy also a little of what it does not know of yet, since the viewer
// may have been told of it by a node that is ahead.
func (a address) standing(s *window.Snapshot, copied bool) standing {
	g := a.find(s)
	switch {
	case g == nil, a.pos.Part >= len(g.Parts):
		if a.comes(s, copied) {
			return expected
		}
	case a.pos.Part >= 0:
		switch part := &g.Parts[a.pos.Part]; {
		case g.Gen != a.gen || part.Gap:
		case part.Absent():
			return expected
		default:
			return here
		}
	case !g.Complete:
		if g.Gen == a.gen || copied && a.gen > g.Gen {
			return expected
		}
	case g.NameGen() != a.gen || g.Gap():
	case g.Absent():
		return expected
	default:
		return here
	}
	return nowhere
}

// comes tells whether a part that is not there may be the next one: the one after the last, or the first of the segment
// after that. Of a copy, it may come soon.
func (a address) comes(s *window.Snapshot, copied bool) bool {
	if s.Ended {
		return false
	}
	open := s.Open()
	if copied {
		last, ok := s.Last()
		if !ok || open != nil && a.pos.MSN == last.MSN && a.gen == open.Gen {
			return !ok || !tooFar(a.pos, last, s.PartTarget)
		}
		return a.gen >= s.Gen && a.pos.MSN >= s.NextMSN && !tooFar(a.pos, last, s.PartTarget)
	}
	if open != nil && a.pos.MSN == open.MSN {
		return a.gen == open.Gen && a.pos.Part == len(open.Parts)
	}
	return a.gen == s.Gen && a.pos == window.Position{MSN: s.NextMSN}
}

// initPrefix is what the names of initialisation sections begin with.
const initPrefix = "init-"

// namesMedia tells whether a file can be one of a rendition's.
func namesMedia(file string) bool {
	_, _, ok := parseName(file)
	return ok || strings.HasPrefix(file, initPrefix)
}

// parseName reads GEN-MSN.m4s and GEN-MSN.PART.m4s; Part is -1 for the former.
func parseName(file string) (gen int64, pos window.Position, ok bool) {
	file, ok = strings.CutSuffix(file, ".m4s")
	if !ok {
		return 0, pos, false
	}
	g, rest, ok := strings.Cut(file, "-")
	if !ok {
		return 0, pos, false
	}
	m, part, isPart := strings.Cut(rest, ".")
	var err1, err2, err3 error
	gen, err1 = parseNumber(g)
	pos.MSN, err2 = parseNumber(m)
	pos.Part = -1
	if isPart {
		var n int64
		n, err3 = parseNumber(part)
		pos.Part = int(n)
	}
	return gen, pos, err1 == nil && err2 == nil && err3 == nil
}

// parseNumber reads a decimal number as we write it: digits only, no leading zero, at most 15 of them.
func parseNumber(s string) (int64, error) {
	if s == "" || len(s) > 15 || s[0] == '0' && len(s) > 1 || s[0] < '0' || s[0] > '9' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 10, 64)
}

func nameOf(gen int64, pos window.Position) string {
	b := make([]byte, 0, 32)
	b = strconv.AppendInt(b, gen, 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, pos.MSN, 10)
	if pos.Part >= 0 {
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(pos.Part), 10)
	}
	return string(b)
}
