package whip

import (
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// videoByPreference: what can be delivered to most viewers as it is comes first.
var videoByPreference = []stream.Codec{stream.H264, stream.HEVC, stream.AV1, stream.VP9, stream.VP8}

// audioByPreference likewise.
var audioByPreference = []stream.Codec{stream.Opus, stream.PCMA, stream.PCMU}

// encodings are the names of codecs in SDP, in small letters.
var encodings = map[string]stream.Codec{
	"h264": stream.H264, "h265": stream.HEVC, "av1": stream.AV1, "vp9": stream.VP9, "vp8": stream.VP8,
	"opus": stream.Opus, "pcma": stream.PCMA, "pcmu": stream.PCMU,
}

// payload is one format of an offer.
type payload struct {
	number   uint8
	encoding string // as it was written
	codec    stream.Codec
	repairs  int // payload type that a retransmission format is for; -1 for others
	rate     int
	channels int
	fmtp     string
	video    bool
}

// readPayloads lists a section's formats of codecs that are known, and their retransmission formats (RFC 4588).
func readPayloads(m *sdp.MediaDescription, video bool) ([]payload, error) {
	if len(m.MediaName.Formats) > maxCodecs {
		return nil, malformed("The offer's %s section has more than %d formats.", m.MediaName.Media, maxCodecs)
	}
	maps, parameters := map[string]string{"0": "PCMU/8000", "8": "PCMA/8000"}, map[string]string{}
	for _, a := range m.Attributes {
		number, value, _ := strings.Cut(a.Value, " ")
		switch a.Key {
		case "rtpmap":
			maps[number] = value
		case "fmtp":
			parameters[number] = value
		}
	}
	var list []payload
	for _, number := range m.MediaName.Formats {
		n, err := strconv.ParseUint(number, 10, 7)
		if err != nil {
			return nil, malformed("The offer has a payload type %q: it is a number up to 127.", ingest.Clip(number))
		}
		encoding, rest, _ := strings.Cut(maps[number], "/")
		rate, channels, _ := strings.Cut(rest, "/")
		p := payload{number: uint8(n), encoding: encoding, fmtp: parameters[number], repairs: -1, video: video}
		p.rate, _ = strconv.Atoi(rate)
		p.channels, _ = strconv.Atoi(channels)
		p.codec = encodings[strings.ToLower(encoding)]
		if strings.EqualFold(encoding, "rtx") {
			p.repairs, _ = strconv.Atoi(p.parameter("apt"))
		}
		if p.fits() {
			list = append(list, p)
		}
	}
	return list, nil
}

// parameter reads one of the format's parameters.
func (p *payload) parameter(name string) string {
	for part := range strings.SplitSeq(p.fmtp, ";") {
		if key, value, _ := strings.Cut(strings.TrimSpace(part), "="); strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// fits tells whether the format is one that the server can read, of the kind that its section is for, and in a profile
// that most viewers can play.
func (p *payload) fits() bool {
	switch {
	case p.repairs >= 0:
		return p.video && p.rate == 90000
	case p.codec == 0 || p.codec.Video() != p.video:
		return false
	case p.codec == stream.Opus:
		return p.rate == 48000
	case !p.video:
		return p.rate == 8000 && p.channels <= 1
	case p.rate != 90000:
		return false
	}
	profile := ""
	switch p.codec {
	case stream.H264:
		id := p.parameter("profile-level-id")
		return id == "" || len(id) == 6 && slices.Contains([]string{"42", "4d", "58", "64"}, strings.ToLower(id[:2]))
	case stream.VP9:
		profile = p.parameter("profile-id")
	case stream.AV1:
		profile = p.parameter("profile")
	case stream.HEVC:
		profile = p.parameter("profile-id")
		return profile == "" || profile == "1" || profile == "2"
	}
	return profile == "" || profile == "0"
}

// choose takes one codec for all sections of a kind: a publisher could else change it in mid-stream.
func (o *offer) choose(formats [][]payload, deliverable func(stream.Codec) bool) error {
	for _, video := range []bool{true, false} {
		c, err := o.codecFor(video, formats, deliverable)
		if err != nil {
			return err
		}
		for i := range o.sections {
			if o.sections[i].video == video {
				o.sections[i].codec = c
				o.take(formats[i], c)
			}
		}
	}
	return nil
}

// codecFor is the first by preference that all sections of a kind offer; 0 when there is no section of that kind. Sound that
// cannot be delivered is taken, as from every publisher: the pictures are then shown with what the stream's advice says.
func (o *offer) codecFor(video bool, formats [][]payload, deliverable func(stream.Codec) bool) (stream.Codec, error) {
	order, kind := audioByPreference, "audio"
	if video {
		order, kind = videoByPreference, "video"
	}
	sections := 0
	offered := map[stream.Codec]int{}
	for i, s := range o.sections {
		if s.video != video {
			continue
		}
		sections++
		has := map[stream.Codec]bool{}
		for _, p := range formats[i] {
			if p.codec != 0 && !has[p.codec] {
				has[p.codec] = true
				offered[p.codec]++
			}
		}
	}
	if sections == 0 {
		return 0, nil
	}
	var common, wanted []string
	for _, c := range order {
		if offered[c] == sections && deliverable(c) {
			return c, nil
		}
		if offered[c] == sections {
			common = append(common, c.String())
		}
		if deliverable(c) {
			wanted = append(wanted, c.String())
		}
	}
	if !video && len(common) > 0 {
		for _, c := range order {
			if offered[c] == sections {
				return c, nil
			}
		}
	}
	if len(common) == 0 {
		return 0, unsupportedCodec("The offer has no %s codec that this server knows: offer %s.", kind, strings.Join(wanted, " or "))
	}
	return 0, unsupportedCodec("The offer's only %s codec is %s, which HLS cannot carry and this server does not convert: offer %s, for example with setCodecPreferences, or use a browser that can encode it.",
		kind, strings.Join(common, " or "), strings.Join(wanted, " or "))
}

// take adds the formats of a codec, and what repairs them, to those that the answer accepts. Of H.264 the formats of
// packetization mode 1 are taken where there are any (RFC 6184 6.2): the other splits pictures into as many slices as packets.
func (o *offer) take(list []payload, c stream.Codec) {
	var chosen []payload
	for _, mode := range []string{"1", ""} {
		for _, p := range list {
			if p.codec == c && (mode == "" || c != stream.H264 || p.parameter("packetization-mode") == mode) {
				chosen = append(chosen, p)
			}
		}
		if len(chosen) > 0 {
			break
		}
	}
	for _, p := range chosen {
		o.add(p)
		for _, r := range list {
			if r.repairs == int(p.number) {
				o.add(r)
			}
		}
	}
}

// add leaves out what another section of the bundle has already: payload types mean the same in all of them (RFC 9143 10.1.2).
func (o *offer) add(p payload) {
	if !slices.ContainsFunc(o.payloads, func(q payload) bool { return q.number == p.number }) {
		o.payloads = append(o.payloads, p)
	}
}
