package testkit

import (
	"crypto/tls"
	"testing"
	"time"
)

// rtmpSource is a Publisher of any number of tracks: those beyond the first of a kind go by Enhanced RTMP's multitrack.
type rtmpSource struct {
	ledger
	*Publisher
	show *Show
	ids  []int // of the tracks, by kind
}

func openRTMP(t testing.TB, n Target, s Show) (Source, error) {
	return OpenRTMP(t, n.Address("rtmp").String(), s)
}

// OpenRTMP begins to publish a show at an address.
func OpenRTMP(t testing.TB, address string, s Show) (Source, error) {
	t.Helper()
	return OpenRTMPS(t, address, s, nil)
}

// OpenRTMPS is OpenRTMP with TLS, unless secure is nil.
func OpenRTMPS(t testing.TB, address string, s Show, secure *tls.Config) (Source, error) {
	t.Helper()
	p := Dial(t, address, secure)
	key := s.Name
	if s.Key != "" {
		key += "?key=" + s.Key
	}
	if status := p.Open(key); status.Code != "NetStream.Publish.Start" {
		p.Ended()
		return nil, &Refused{Words: status.Description}
	}
	src := &rtmpSource{Publisher: p, show: &s}
	src.describe()
	count := map[bool]int{}
	for i, m := range s.Tracks {
		src.ids = append(src.ids, count[m.Clip.Codec.Video()])
		count[m.Clip.Codec.Video()]++
		if m.Clip.Config == nil {
			continue
		}
		typ, body := src.tag(i, nil)
		if err := p.Send(typ, src.stamp(0), body); err != nil {
			return nil, err
		}
	}
	return src, nil
}

// describe sends onMetaData with the tracks' languages and names (Enhanced RTMP v2, audioTrackIdInfoMap).
func (p *rtmpSource) describe() {
	info, audio := map[string]any{}, 0
	for _, m := range p.show.Tracks {
		if m.Clip.Codec.Video() {
			continue
		}
		if m.Language != "" || m.Name != "" {
			info[string(rune('0'+audio))] = map[string]any{"language": m.Language, "name": m.Name}
		}
		audio++
	}
	if len(info) > 0 {
		p.Data(0, "@setDataFrame", "onMetaData", map[string]any{"encoder": "testkit", "audioTrackIdInfoMap": info})
	}
}

// tag packs a sample, or the codec data: as for one track, or as one track of several (Enhanced RTMP v2, OneTrack).
func (p *rtmpSource) tag(track int, s *Sample) (typ byte, body []byte) {
	m, id := p.show.Tracks[track], p.ids[track]
	if id == 0 {
		return tagOf(m.Clip, s)
	}
	const start, frames, audioTracks, videoTracks, oneTrack = 0, 1, 5, 6, 0
	packet := byte(frames)
	if s == nil {
		packet = start
	}
	head := append([]byte{0x90 | audioTracks, oneTrack<<4 | packet}, m.Clip.Codec...)
	if !m.Clip.Codec.Video() {
		body = append(head, byte(id))
		if s == nil {
			return typeAudio, append(body, m.Clip.Config...)
		}
		return typeAudio, append(body, s.Payload...)
	}
	head[0] = 0x80 | videoTracks | 0x20
	if s == nil || s.Key {
		head[0] = 0x80 | videoTracks | 0x10
	}
	body = append(head, byte(id))
	if s == nil {
		return typeVideo, append(body, m.Clip.Config...)
	}
	if m.Clip.Codec != AV1 {
		ms := s.Offset.Round(time.Millisecond).Milliseconds()
		body = append(body, byte(ms>>16), byte(ms>>8), byte(ms))
	}
	return typeVideo, append(body, s.Payload...)
}

func (p *rtmpSource) stamp(at time.Duration) time.Duration {
	return at + time.Duration(p.show.Origin)*time.Millisecond
}

// Write implements Source.
func (p *rtmpSource) Write(track int, s *Sample) error {
	typ, body := p.tag(track, s)
	if err := p.Send(typ, p.stamp(s.DTS), body); err != nil {
		return err
	}
	p.note(track, p.show.Tracks[track], s)
	return nil
}

// Sent implements Source.
func (p *rtmpSource) Sent() []Sent { return p.ledger.Sent() }

// Gone implements Source.
func (p *rtmpSource) Gone() <-chan struct{} { return p.session.Ended() }
