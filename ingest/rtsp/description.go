package rtsp

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// Numbers of tracks, as stream.Track.ID has them.
const (
	firstVideo = 0
	firstAudio = 100
	mostOfKind = 16
)

// plan is a track that is to be taken.
type plan struct {
	media  *description.Media
	format format.Format
	codec  stream.Codec
	id     int
	rate   int // of the RTP clock
	label  feed.Label
}

// plans is what a session description asks for.
type plans struct {
	take    []plan
	unknown []string // what the media that nobody knows carry, in a peer's words made plain
	excess  int      // tracks above the number of their kind
}

// readPlans finds the tracks of a session description, by the order of their kind. body is its text, for what gortsplib does
// not keep of it; without it there are no labels.
func readPlans(desc *description.Session, body []byte) plans {
	var text sdp.SessionDescription
	if text.Unmarshal(body) != nil || len(text.MediaDescriptions) != len(desc.Medias) {
		text.MediaDescriptions = nil
	}
	var out plans
	next := map[bool]int{true: firstVideo, false: firstAudio}
	for i, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		p, ok := planMedia(m)
		if !ok {
			out.unknown = append(out.unknown, mediaName(m))
			continue
		}
		video := p.codec.Video()
		p.id = next[video]
		if p.id%firstAudio >= mostOfKind {
			out.excess++
			continue
		}
		next[video]++
		if text.MediaDescriptions != nil {
			md := text.MediaDescriptions[i]
			attribute := func(key string) string {
				v, _ := md.Attribute(key)
				return v
			}
			title := ""
			if md.MediaTitle != nil {
				title = string(*md.MediaTitle)
			}
			p.label = feed.Label{
				Language: ingest.PlainText(attribute("lang")),
				Name:     ingest.Clip(ingest.PlainText(cmp.Or(title, attribute("label")))), // RFC 4566 5.4, RFC 4574
			}
			for _, a := range md.Attributes {
				if rate := rtpmapRate(a.Key, a.Value, p.format.PayloadType()); rate > 0 {
					p.rate = rate
				}
			}
		}
		out.take = append(out.take, p)
	}
	return out
}

// rtpmapRate reads a clock rate (RFC 4566 6, rtpmap). gortsplib's is the core sample rate for AAC with SBR, but the RTP clock
// runs at the one that is written here (RFC 3640 4.1).
func rtpmapRate(key, value string, payloadType uint8) int {
	const fastest = 1_000_000
	typ, rest, _ := strings.Cut(value, " ")
	if key != "rtpmap" || typ != strconv.Itoa(int(payloadType)) {
		return 0
	}
	_, rest, _ = strings.Cut(rest, "/")
	rest, _, _ = strings.Cut(rest, "/")
	rate, err := strconv.Atoi(strings.TrimSpace(rest))
	if err != nil || rate < 1000 || rate > fastest {
		return 0
	}
	return rate
}

// mediaName says what a medium carries.
func mediaName(m *description.Media) string {
	name := string(m.Type)
	if len(m.Formats) > 0 {
		codec := m.Formats[0].Codec()
		if codec == "Generic" {
			codec, _, _ = strings.Cut(m.Formats[0].RTPMap(), "/")
		}
		name = cmp.Or(codec, fmt.Sprintf("%s of payload type %d", m.Type, m.Formats[0].PayloadType()))
	}
	return ingest.Clip(ingest.PlainText(name))
}

// planMedia takes the first of a medium's formats that is known.
func planMedia(m *description.Media) (plan, bool) {
	for _, f := range m.Formats {
		codec, ok := codecOf(f)
		if !ok || f.ClockRate() <= 0 {
			continue
		}
		if _, err := newDepacketiser(f, f.ClockRate()); err != nil {
			continue
		}
		return plan{media: m, format: f, codec: codec, rate: f.ClockRate()}, true
	}
	return plan{}, false
}

// codecOf tells what a format carries.
func codecOf(f format.Format) (stream.Codec, bool) {
	switch f := f.(type) {
	case *format.H264:
		return stream.H264, true
	case *format.H265:
		return stream.HEVC, true
	case *format.AV1:
		return stream.AV1, true
	case *format.VP8:
		return stream.VP8, true
	case *format.VP9:
		return stream.VP9, true
	case *format.MPEG4Audio:
		return stream.AAC, f.Config.SampleRate > 0
	case *format.MPEG4AudioLATM:
		// With cpresent=1 the configuration is in each packet; nobody was found to send that over RTSP.
		return stream.AAC, !f.CPresent && f.StreamMuxConfig.Programs[0].Layers[0].AudioSpecificConfig.SampleRate > 0
	case *format.MPEG1Audio:
		return stream.MP3, true
	case *format.Opus:
		return stream.Opus, f.ChannelCount <= 2
	case *format.G711:
		if f.MULaw {
			return stream.PCMU, true
		}
		return stream.PCMA, true
	}
	return 0, false
}
