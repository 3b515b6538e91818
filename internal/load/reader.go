package load

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// errPlaylist is the reason why a playlist cannot be followed.
var errPlaylist = errors.New("not a playlist that can be followed")

// Limits of a playlist, besides its size in bytes.
const (
	maxSegments = 50_000
	maxParts    = 100_000
	maxSeconds  = 5e4 // of anything that lasts; all together fit into a Duration
	maxVariants = 200
)

// fileRef is a URI in a playlist, and which of its bytes are meant: all when size is 0.
type fileRef struct {
	uri        string
	from, size int64
}

// mediaPlaylist is what a media playlist says (rfc8216bis 4.4.3 and 4.4.4), as far as a player needs it that shows nothing.
type mediaPlaylist struct {
	target       time.Duration // EXT-X-TARGETDURATION
	partTarget   time.Duration // 0: there are no parts
	partHoldBack time.Duration // 0: not told
	holdBack     time.Duration // 0: not told
	skipUntil    time.Duration // 0: no delta updates
	canBlock     bool
	ended        bool
	encrypted    bool  // whole segments are, so that their bytes tell nothing (EXT-X-KEY, 4.4.4.4)
	skipped      bool  // it is a delta update
	first        int64 // media sequence number of the first that is listed, behind those skipped
	segments     []segment
	// hint is the preload hint of a part; its uri is "" when there is none, or none that can be asked for by itself.
	hint fileRef
}

// segment is one media segment. The last of a playlist may be incomplete: then it has parts only.
type segment struct {
	fileRef
	duration time.Duration // of an incomplete one, of its parts
	complete bool
	gap      bool
	date     time.Time // of its first sample; zero when the playlist does not tell
	init     fileRef
	parts    []part
}

// part is a partial segment (4.4.4.9).
type part struct {
	fileRef
	duration    time.Duration
	independent bool
	gap         bool
}

// readMedia reads a media playlist. Tags that it does not know are passed over.
func readMedia(b []byte) (*mediaPlaylist, error) {
	p := &mediaPlaylist{}
	r := mediaReader{p: p}
	if err := eachLine(b, r.line); err != nil {
		return nil, err
	}
	if p.target <= 0 {
		return nil, fmt.Errorf("%w: no EXT-X-TARGETDURATION", errPlaylist)
	}
	if len(r.open.parts) > 0 {
		p.segments = append(p.segments, r.open)
	}
	if r.variants {
		return nil, fmt.Errorf("%w: a multivariant playlist where a media playlist was to be", errPlaylist)
	}
	r.dates()
	return p, nil
}

// mediaReader has what tags tell of the lines behind them.
type mediaReader struct {
	p        *mediaPlaylist
	open     segment // the next one
	init     fileRef
	hasInf   bool
	variants bool
	parts    int
	// rangeEnd and partEnd are where the byte range before ended, which ranges without an offset go on from (4.4.4.2, 4.4.4.9).
	rangeEnd, partEnd fileRef
}

func (r *mediaReader) line(line []byte) error {
	if line[0] != '#' {
		return r.uri(string(line))
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch string(name) {
	case "#EXT-X-TARGETDURATION":
		return seconds(value, &r.p.target)
	case "#EXT-X-MEDIA-SEQUENCE":
		n, err := strconv.ParseInt(string(value), 10, 62)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: EXT-X-MEDIA-SEQUENCE:%.20q", errPlaylist, value)
		}
		r.p.first += n
	case "#EXT-X-PART-INF":
		return seconds(attribute(value, "PART-TARGET"), &r.p.partTarget)
	case "#EXT-X-SERVER-CONTROL":
		return r.control(value)
	case "#EXT-X-SKIP":
		n, err := strconv.ParseInt(string(attribute(value, "SKIPPED-SEGMENTS")), 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: EXT-X-SKIP:%.40q", errPlaylist, value)
		}
		r.p.first += n
		r.p.skipped = true
	case "#EXTINF":
		inf, _, _ := bytes.Cut(value, []byte(","))
		r.hasInf = true
		return seconds(inf, &r.open.duration)
	case "#EXT-X-PROGRAM-DATE-TIME":
		if at, ok := parseDate(string(value)); ok {
			r.open.date = at
		}
	case "#EXT-X-GAP":
		r.open.gap = true
	case "#EXT-X-MAP":
		r.init = fileRef{uri: string(attribute(value, "URI"))}
		return byteRange(attribute(value, "BYTERANGE"), &r.init, fileRef{})
	case "#EXT-X-BYTERANGE":
		return byteRange(value, &r.open.fileRef, r.rangeEnd)
	case "#EXT-X-PART":
		return r.part(value)
	case "#EXT-X-PRELOAD-HINT":
		if string(attribute(value, "TYPE")) == "PART" {
			return r.hint(value)
		}
	case "#EXT-X-KEY":
		r.p.encrypted = r.p.encrypted || string(attribute(value, "METHOD")) == "AES-128"
	case "#EXT-X-ENDLIST":
		r.p.ended = true
	case "#EXT-X-STREAM-INF":
		r.variants = true
	case "#EXT-X-DEFINE":
		return fmt.Errorf("%w: it has variables (EXT-X-DEFINE), which are not followed here", errPlaylist)
	}
	return nil
}

// control reads EXT-X-SERVER-CONTROL (4.4.3.8).
func (r *mediaReader) control(list []byte) error {
	r.p.canBlock = string(attribute(list, "CAN-BLOCK-RELOAD")) == "YES"
	for name, to := range map[string]*time.Duration{"PART-HOLD-BACK": &r.p.partHoldBack, "HOLD-BACK": &r.p.holdBack, "CAN-SKIP-UNTIL": &r.p.skipUntil} {
		if v := attribute(list, name); v != nil {
			if err := seconds(v, to); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *mediaReader) part(list []byte) error {
	if r.parts++; r.parts > maxParts {
		return fmt.Errorf("%w: more than %d parts", errPlaylist, maxParts)
	}
	p := part{
		fileRef:     fileRef{uri: string(attribute(list, "URI"))},
		independent: string(attribute(list, "INDEPENDENT")) == "YES", gap: string(attribute(list, "GAP")) == "YES",
	}
	if err := seconds(attribute(list, "DURATION"), &p.duration); err != nil {
		return err
	}
	if p.uri == "" {
		return fmt.Errorf("%w: a part without a URI", errPlaylist)
	}
	if err := byteRange(attribute(list, "BYTERANGE"), &p.fileRef, r.partEnd); err != nil {
		return err
	}
	r.partEnd = fileRef{uri: p.uri, from: p.from + p.size}
	r.open.init = r.init
	r.open.parts = append(r.open.parts, p)
	return nil
}

// hint reads EXT-X-PRELOAD-HINT (4.4.5.3). One that begins within a file and has no end is not followed: it would bring all parts
// that are still to come.
func (r *mediaReader) hint(list []byte) error {
	from, size := attribute(list, "BYTERANGE-START"), attribute(list, "BYTERANGE-LENGTH")
	h := fileRef{uri: string(attribute(list, "URI"))}
	if size == nil && from != nil && string(from) != "0" {
		return nil
	}
	if size != nil {
		whole := string(size) + "@0"
		if from != nil {
			whole = string(size) + "@" + string(from)
		}
		if err := byteRange([]byte(whole), &h, fileRef{}); err != nil {
			return err
		}
	}
	r.p.hint = h
	return nil
}

// uri ends a segment.
func (r *mediaReader) uri(uri string) error {
	if !r.hasInf {
		r.variants = r.variants || len(r.p.segments) == 0
		r.open = segment{}
		return nil
	}
	if len(r.p.segments) >= maxSegments {
		return fmt.Errorf("%w: more than %d segments", errPlaylist, maxSegments)
	}
	s := r.open
	s.uri, s.init, s.complete = uri, r.init, true
	if s.size > 0 && s.from < 0 { // went on from the range before, if that was of the same file
		s.from = 0
		if r.rangeEnd.uri == uri {
			s.from = r.rangeEnd.from
		}
	}
	r.rangeEnd = fileRef{uri: uri, from: s.from + s.size}
	r.p.segments = append(r.p.segments, s)
	r.open, r.hasInf = segment{}, false
	return nil
}

// dates gives segments without a date of their own one that follows from those before (4.4.4.6), and open segments a duration.
func (r *mediaReader) dates() {
	var next time.Time
	for i := range r.p.segments {
		s := &r.p.segments[i]
		if s.date.IsZero() {
			s.date = next
		}
		if !s.complete {
			for _, p := range s.parts {
				s.duration += p.duration
			}
		}
		if next = s.date; !next.IsZero() {
			next = next.Add(s.duration)
		}
	}
}

// variant is one of a multivariant playlist's (4.4.6.2), with the audio that it goes with.
type variant struct {
	uri           string
	bandwidth     int64
	width, height int
	audio         string // URI of the group's default rendition; "" where there is none of its own
}

// readMultivariant reads a multivariant playlist. A media playlist gives no variants and no error.
func readMultivariant(b []byte) ([]variant, error) {
	var variants []variant
	var groups []string          // of variants, by number
	audio := map[string]string{} // URIs by the group's identifier
	var open *variant
	openGroup := ""
	media := false
	err := eachLine(b, func(line []byte) error {
		if line[0] != '#' {
			if open != nil && len(variants) < maxVariants {
				open.uri = string(line)
				variants, groups = append(variants, *open), append(groups, openGroup)
			}
			open = nil
			return nil
		}
		name, list, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "#EXT-X-MEDIA":
			uri := attribute(list, "URI")
			if string(attribute(list, "TYPE")) != "AUDIO" || uri == nil {
				return nil
			}
			id := string(attribute(list, "GROUP-ID"))
			_, known := audio[id]
			if (!known || string(attribute(list, "DEFAULT")) == "YES") && len(audio) < maxVariants {
				audio[id] = string(uri)
			}
		case "#EXT-X-STREAM-INF":
			n, err := strconv.ParseInt(string(attribute(list, "BANDWIDTH")), 10, 62)
			if err != nil || n < 0 {
				return fmt.Errorf("%w: a variant's BANDWIDTH %.20q", errPlaylist, attribute(list, "BANDWIDTH"))
			}
			open = &variant{bandwidth: n}
			openGroup = string(attribute(list, "AUDIO"))
			w, h, _ := bytes.Cut(attribute(list, "RESOLUTION"), []byte("x"))
			open.width, _ = strconv.Atoi(string(w))
			open.height, _ = strconv.Atoi(string(h))
		case "#EXT-X-TARGETDURATION":
			media = true
		case "#EXT-X-DEFINE":
			return fmt.Errorf("%w: it has variables (EXT-X-DEFINE), which are not followed here", errPlaylist)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(variants) == 0 && !media {
		return nil, fmt.Errorf("%w: neither variants nor segments", errPlaylist)
	}
	for i := range variants {
		// An audio-only variant names the same playlist twice.
		if uri := audio[groups[i]]; uri != variants[i].uri {
			variants[i].audio = uri
		}
	}
	return variants, nil
}

// eachLine calls f with each line that is not empty, behind the first, which has to be #EXTM3U (4.4.1.1).
func eachLine(b []byte, f func(line []byte) error) error {
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	first := true
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		line = bytes.TrimRight(line, "\r \t")
		if first {
			if string(line) != "#EXTM3U" {
				return fmt.Errorf("%w: it begins with %.40q", errPlaylist, line)
			}
			first = false
			continue
		}
		if len(line) == 0 {
			continue
		}
		if err := f(line); err != nil {
			return err
		}
	}
	if first {
		return fmt.Errorf("%w: it is empty", errPlaylist)
	}
	return nil
}

// attribute returns a value of an attribute list (4.2), without its quotes; nil when it is not there.
func attribute(list []byte, name string) []byte {
	for len(list) > 0 {
		key, rest, ok := bytes.Cut(list, []byte("="))
		if !ok {
			return nil
		}
		var value []byte
		if len(rest) > 0 && rest[0] == '"' {
			value, rest, ok = bytes.Cut(rest[1:], []byte{'"'})
			if !ok {
				return nil
			}
			_, list, _ = bytes.Cut(rest, []byte(","))
		} else {
			value, list, _ = bytes.Cut(rest, []byte(","))
		}
		if string(bytes.TrimSpace(key)) == name {
			return value
		}
	}
	return nil
}

// seconds reads a duration in decimal seconds.
func seconds(b []byte, to *time.Duration) error {
	v, err := strconv.ParseFloat(string(bytes.TrimSpace(b)), 64)
	if err != nil || math.IsNaN(v) || v < 0 || v > maxSeconds {
		return fmt.Errorf("%w: a duration of %.20q seconds", errPlaylist, b)
	}
	*to = time.Duration(math.Round(v * 1e9))
	return nil
}

// byteRange reads n[@o] (4.4.4.2); nil is no range. Without an offset it goes on from before, if that is the same file; where the
// URI is not known yet, the offset is -1.
func byteRange(b []byte, to *fileRef, before fileRef) error {
	if b == nil {
		return nil
	}
	size, from, has := bytes.Cut(b, []byte("@"))
	n, err := strconv.ParseInt(string(size), 10, 48)
	if err != nil || n <= 0 {
		return fmt.Errorf("%w: a byte range %.30q", errPlaylist, b)
	}
	to.size = n
	switch {
	case has:
		if to.from, err = strconv.ParseInt(string(from), 10, 48); err != nil || to.from < 0 {
			return fmt.Errorf("%w: a byte range %.30q", errPlaylist, b)
		}
	case to.uri == "":
		to.from = -1
	case to.uri == before.uri:
		to.from = before.from
	}
	return nil
}

// parseDate reads a date of ISO 8601 with the time zones that are seen in playlists.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if at, err := time.Parse(layout, s); err == nil && at.Year() > 1970 && at.Year() < 3000 {
			return at, true
		}
	}
	return time.Time{}, false
}
