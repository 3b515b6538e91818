package whip

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pion/sdp/v3"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// What an offer may hold. A browser's with everything it knows has about 10 KB and 300 lines.
const (
	maxOffer      = 64 << 10
	maxLines      = 2000
	maxSections   = 8
	maxCandidates = 100
	maxLayers     = 4 // simulcast encodings of one section
	maxCodecs     = 64
)

// The attributes of RFC 8839 that the server reads and changes itself.
const (
	attrUfrag     = "a=ice-ufrag:"
	attrPassword  = "a=ice-pwd:"
	attrCandidate = "a=candidate:"
	attrEnd       = "a=end-of-candidates"
)

// offer is what a publisher offers to send.
type offer struct {
	text     string // without candidates
	sections []section
	payloads []payload // what is taken of it, in the offer's order
	data     bool      // it has a section for data channels
}

// section of the offer: one source of sound or pictures.
type section struct {
	mid    string
	video  bool
	codec  stream.Codec
	layers []string // simulcast encodings by RID; none without simulcast
}

// offerError is an offer that is not taken: unsupported, or else malformed.
type offerError struct {
	unsupported bool
	reason      ingest.Reason // of one that is unsupported
	sentence    string
}

// Error implements error.
func (e *offerError) Error() string { return e.sentence }

func malformed(format string, args ...any) error {
	return &offerError{sentence: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &offerError{unsupported: true, reason: ingest.ReasonProtocol, sentence: fmt.Sprintf(format, args...)}
}

func unsupportedCodec(format string, args ...any) error {
	return &offerError{unsupported: true, reason: ingest.ReasonUnsupportedCodec, sentence: fmt.Sprintf(format, args...)}
}

// readOffer reads an offer and chooses of each section one codec that the node can deliver.
func readOffer(body string, deliverable func(stream.Codec) bool) (*offer, error) {
	o := &offer{}
	var err error
	if o.text, err = withoutCandidates(body); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(o.text, "v=0\r\n") {
		return nil, malformed("The offer is no session description (RFC 8866): it does not begin with v=0.")
	}
	var d sdp.SessionDescription
	if err := d.UnmarshalString(o.text); err != nil {
		return nil, malformed("The offer is no session description (RFC 8866): %v.", ingest.Clip(err.Error()))
	}
	if n := len(d.MediaDescriptions); n > maxSections {
		return nil, unsupported("The offer has %d media sections, and %d is the most: offer one camera and one microphone.", n, maxSections)
	}
	if group, _ := d.Attribute("group"); len(d.MediaDescriptions) > 1 && !strings.HasPrefix(group, "BUNDLE ") {
		return nil, unsupported("The offer does not bundle its media sections (RFC 9725 4.4.1): make the connection with the bundle policy max-bundle.")
	}
	var formats [][]payload
	mids := map[string]bool{}
	for _, m := range d.MediaDescriptions {
		mid, _ := m.Attribute("mid")
		if mid == "" || mids[mid] {
			return nil, malformed("Each media section of the offer needs a mid of its own (RFC 5888).")
		}
		mids[mid] = true
		if m.MediaName.Media == "application" {
			o.data = true
			continue
		}
		s, list, err := readSection(m, mid)
		if err != nil {
			return nil, err
		}
		o.sections = append(o.sections, s)
		formats = append(formats, list)
	}
	if len(o.sections) == 0 {
		return nil, unsupported("The offer has neither sound nor pictures to send: add the camera or the microphone before making it.")
	}
	return o, o.choose(formats, deliverable)
}

// withoutCandidates holds an offer against the limits on its form and takes the candidates out: an ICE lite agent has no
// use for them.
func withoutCandidates(body string) (string, error) {
	var b strings.Builder
	lines, candidates := 0, 0
	for line := range strings.Lines(body) {
		if lines++; lines > maxLines {
			return "", malformed("The offer has more than %d lines.", maxLines)
		}
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, attrCandidate) {
			if candidates++; candidates > maxCandidates {
				return "", malformed("The offer has more than %d candidates.", maxCandidates)
			}
			continue
		}
		if line == attrEnd || line == "" {
			continue
		}
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	return b.String(), nil
}

func readSection(m *sdp.MediaDescription, mid string) (section, []payload, error) {
	s := section{mid: mid}
	switch m.MediaName.Media {
	case "video":
		s.video = true
	case "audio":
	default:
		return s, nil, unsupported("The offer has a section of the kind %q: offer audio and video.", ingest.Clip(m.MediaName.Media))
	}
	for _, a := range m.Attributes {
		switch a.Key {
		case "recvonly", "inactive":
			return s, nil, unsupported("The offer's %s section is %s: WHIP is for sending, so make it sendonly.", m.MediaName.Media, a.Key)
		case "rid":
			id, direction, _ := strings.Cut(a.Value, " ")
			if strings.HasPrefix(direction, "send") && !slices.Contains(s.layers, id) {
				s.layers = append(s.layers, id)
			}
		}
	}
	if len(s.layers) > maxLayers {
		return s, nil, unsupported("The offer has %d simulcast encodings, and %d is the most.", len(s.layers), maxLayers)
	}
	list, err := readPayloads(m, s.video)
	return s, list, err
}

// section of a mid; nil when there is none.
func (o *offer) section(mid string) *section {
	for i := range o.sections {
		if o.sections[i].mid == mid {
			return &o.sections[i]
		}
	}
	return nil
}

// sectionFor is the section that an RTP stream belongs to; nil when it is of none. One that came without a mid, which the
// library allows where there is one section only, is that section's.
func (o *offer) sectionFor(a arrival) *section {
	s := o.section(a.mid)
	if s == nil && a.mid == "" && len(o.sections) == 1 && !o.data {
		s = &o.sections[0]
	}
	if s == nil || !o.formats(s.codec)[a.format&0x7f] {
		return nil
	}
	return s
}

// formats tells which payload types are a codec's.
func (o *offer) formats(c stream.Codec) (is [128]bool) {
	for _, p := range o.payloads {
		is[p.number] = is[p.number] || p.codec == c
	}
	return is
}
