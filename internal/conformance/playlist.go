package conformance

import (
	"net/url"
	"slices"
	"time"
)

// mediaPlaylist is one version of a media playlist (rfc8216bis section 4.4.3).
type mediaPlaylist struct {
	base         *url.URL
	version      int
	target       time.Duration
	sequence     int64
	discSequence int64
	hasDiscSeq   bool
	partTarget   time.Duration // 0 without EXT-X-PART-INF
	control      control
	independent  bool
	ended        bool
	playlistType string
	segments     []segment // in the playlist; after a skip, those behind it
	open         segment   // what stands behind the last EXTINF: the segment in the making, without URI
	skip         *skip
	hints        []hint
	reports      []rendition
	dateRanges   []dateRange
}

// control is EXT-X-SERVER-CONTROL; durations are -1 when absent.
type control struct {
	present                       bool
	skipUntil, holdBack, partHold time.Duration
	skipDateRanges, canBlock      bool
	text                          string
}

// segment is a media segment and the tags that apply to it.
type segment struct {
	msn      int64
	uri      string // resolved
	duration time.Duration
	disc     bool
	discSeq  int64
	date     time.Time
	hasDate  bool
	badDate  bool // without zone or milliseconds
	initURI  string
	gap      bool
	parts    []part
	late     string // tag that stood after the first part although it must be before
}

type part struct {
	uri         string
	duration    time.Duration
	independent bool
	gap         bool
}

type skip struct {
	segments   int64
	removed    []string
	hasRemoved bool
}

type hint struct{ kind, uri string }

// rendition is EXT-X-RENDITION-REPORT; msn and part are -1 when left out.
type rendition struct {
	raw, uri  string
	msn, part int64
}

type dateRange struct {
	id         string
	start, end time.Time // zero when absent
	attrs      map[string]string
}

// position is a part's place. part is -1 for a segment whose parts are not listed.
type position struct{ msn, part int64 }

func (p position) before(q position) bool {
	return p.msn < q.msn || p.msn == q.msn && p.part < q.part
}

// tail is the position of the last part or segment.
func (p *mediaPlaylist) tail() position {
	if n := len(p.open.parts); n > 0 {
		return position{p.open.msn, int64(n - 1)}
	}
	if n := len(p.segments); n > 0 {
		s := p.segments[n-1]
		return position{s.msn, int64(len(s.parts) - 1)}
	}
	return position{p.open.msn - 1, -1}
}

// next is the position that a client asks for after this playlist.
func (p *mediaPlaylist) next() position {
	return position{p.open.msn, int64(len(p.open.parts))}
}

// lastSegment is the number of the last whole segment, one less than the sequence number when there is none.
func (p *mediaPlaylist) lastSegment() int64 { return p.open.msn - 1 }

// withOpen lists the segments and, when it has parts, the one in the making.
func (p *mediaPlaylist) withOpen() []segment {
	if len(p.open.parts) == 0 {
		return p.segments
	}
	return append(slices.Clone(p.segments), p.open)
}

// until is the date at which the last part ends; zero where there is none.
func (p *mediaPlaylist) until() time.Time {
	all := p.withOpen()
	if len(all) == 0 || !all[len(all)-1].hasDate {
		return time.Time{}
	}
	last := all[len(all)-1]
	return last.date.Add(max(last.duration, last.sum()))
}

// endsInGap tells whether the last part, or segment, is announced as a gap.
func (p *mediaPlaylist) endsInGap() bool {
	all := p.withOpen()
	if len(all) == 0 {
		return false
	}
	last := all[len(all)-1]
	if n := len(last.parts); n > 0 {
		return last.parts[n-1].gap
	}
	return last.gap
}

func (p *mediaPlaylist) find(msn int64) (segment, bool) {
	if len(p.open.parts) > 0 && p.open.msn == msn {
		return p.open, true
	}
	for i := range p.segments {
		if p.segments[i].msn == msn {
			return p.segments[i], true
		}
	}
	return segment{}, false
}

// length is the duration of all whole segments.
func (p *mediaPlaylist) length() time.Duration {
	var d time.Duration
	for _, s := range p.segments {
		d += s.duration
	}
	return d
}

// sum is the duration of the parts.
func (s *segment) sum() time.Duration {
	var d time.Duration
	for _, part := range s.parts {
		d += part.duration
	}
	return d
}

// missing is how much of the segment is announced as a gap by its parts.
func (s *segment) missing() (d time.Duration) {
	for _, part := range s.parts {
		if part.gap {
			d += part.duration
		}
	}
	return d
}

// leading is how much of the segment is announced as a gap by its first parts.
func (s *segment) leading() (d time.Duration) {
	for _, part := range s.parts {
		if !part.gap {
			break
		}
		d += part.duration
	}
	return d
}

// multivariant is a multivariant playlist (rfc8216bis section 4.4.6).
type multivariant struct {
	base        *url.URL
	independent bool
	variants    []variant
	media       []mediaTag
	version     int
}

type variant struct {
	uri                string
	bandwidth, average int64 // -1 when absent
	codecs             []string
	width, height      int
	rate               float64
	score              float64 // -1 when absent
	audio, captions    string
	videoRange         string // "" when absent
}

type mediaTag struct {
	kind, uri, group, name, language, channels string
	isDefault, autoselect                      bool
}
