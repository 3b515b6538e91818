package testkit

import (
	"bufio"
	"strconv"
	"strings"
	"time"
)

// Playlist is a media playlist as far as tests look at it.
type Playlist struct {
	// Text as it came.
	Text                    string
	Sequence, Discontinuity int64
	Target                  int
	PartTarget              time.Duration
	Ended                   bool
	Segments                []Segment
	// Hint is the hinted part's URI.
	Hint string
}

// Segment is one segment; the last one of a live playlist may be incomplete.
type Segment struct {
	MSN           int64
	URI, Map      string
	Duration      time.Duration
	Wall          time.Time
	Discontinuity bool
	Gap, Complete bool
	Parts         []Part
}

// Part is a partial segment.
type Part struct {
	URI              string
	Duration         time.Duration
	Gap, Independent bool
}

// ParsePlaylist reads a media playlist. It believes what it reads: judging is for package conformance.
func ParsePlaylist(text string) *Playlist {
	p := &Playlist{Text: text}
	var g Segment
	var mapped string
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	next := func() Segment { return Segment{Map: mapped, MSN: p.Sequence + int64(len(p.Segments))} }
	for lines.Scan() {
		tag, value, _ := strings.Cut(lines.Text(), ":")
		switch tag {
		case "#EXT-X-MEDIA-SEQUENCE":
			p.Sequence, _ = strconv.ParseInt(value, 10, 64)
			g = next()
		case "#EXT-X-DISCONTINUITY-SEQUENCE":
			p.Discontinuity, _ = strconv.ParseInt(value, 10, 64)
		case "#EXT-X-TARGETDURATION":
			p.Target, _ = strconv.Atoi(value)
		case "#EXT-X-PART-INF":
			p.PartTarget = seconds(Attribute(value, "PART-TARGET"))
		case "#EXT-X-ENDLIST":
			p.Ended = true
		case "#EXT-X-PRELOAD-HINT":
			p.Hint = Attribute(value, "URI")
		case "#EXT-X-DISCONTINUITY":
			g.Discontinuity = true
		case "#EXT-X-GAP":
			g.Gap = true
		case "#EXT-X-MAP":
			mapped = Attribute(value, "URI")
			g.Map = mapped
		case "#EXT-X-PROGRAM-DATE-TIME":
			g.Wall, _ = time.Parse(time.RFC3339Nano, value)
		case "#EXT-X-PART":
			g.Parts = append(g.Parts, Part{URI: Attribute(value, "URI"), Duration: seconds(Attribute(value, "DURATION")),
				Gap: Attribute(value, "GAP") == "YES", Independent: Attribute(value, "INDEPENDENT") == "YES"})
		case "#EXTINF":
			g.Duration = seconds(strings.TrimSuffix(value, ","))
		default:
			if line := lines.Text(); line != "" && !strings.HasPrefix(line, "#") {
				g.URI, g.Complete = line, true
				p.Segments = append(p.Segments, g)
				g = next()
			}
		}
	}
	if len(g.Parts) > 0 {
		p.Segments = append(p.Segments, g)
	}
	return p
}

func seconds(v string) time.Duration {
	f, _ := strconv.ParseFloat(v, 64)
	return time.Duration(f*1e9 + 0.5)
}

// Attribute finds a value in an attribute list, without its quotes; "" when it is not there.
func Attribute(list, name string) string {
	for list != "" {
		key, rest, ok := strings.Cut(list, "=")
		if !ok {
			return ""
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, _ = strings.Cut(rest[1:], `"`)
			rest = strings.TrimPrefix(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		if key == name {
			return value
		}
		list = rest
	}
	return ""
}

// Next is the position of the part that comes next.
func (p *Playlist) Next() (msn int64, part int) {
	if n := len(p.Segments); n > 0 && !p.Segments[n-1].Complete {
		return p.Segments[n-1].MSN, len(p.Segments[n-1].Parts)
	}
	return p.Sequence + int64(len(p.Segments)), 0
}

// Last is the last segment; nil when there is none.
func (p *Playlist) Last() *Segment {
	if len(p.Segments) == 0 {
		return nil
	}
	return &p.Segments[len(p.Segments)-1]
}

// Complete counts the segments that are complete.
func (p *Playlist) Complete() int {
	n := 0
	for i := range p.Segments {
		if p.Segments[i].Complete {
			n++
		}
	}
	return n
}

// Discontinuities counts EXT-X-DISCONTINUITY tags.
func (p *Playlist) Discontinuities() int {
	n := 0
	for i := range p.Segments {
		if p.Segments[i].Discontinuity {
			n++
		}
	}
	return n
}
