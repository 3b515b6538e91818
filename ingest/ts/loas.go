package ts

import (
	"bytes"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"pushcart/ingest/feed"
)

// loas is AAC in LATM (ISO/IEC 14496-3 1.7): frames of AudioSyncStream,
//
//	sync(11)=0x2B7 length(13) AudioMuxElement
//
// of which each may bring its configuration along.
type loas struct {
	a      *audio
	id     int
	label  feed.Label
	mux    *mpeg4audio.StreamMuxConfig
	config []byte // AudioSpecificConfig of the present track
}

func (l *loas) size(b []byte) int {
	if b[0] != 0x56 || len(b) > 1 && b[1]&0xE0 != 0xE0 {
		return -1
	}
	if len(b) < 3 {
		return 0
	}
	n := 3 + (int(b[1]&0x1F)<<8 | int(b[2]))
	if len(b) < n {
		return 0
	}
	return n
}

func (l *loas) next(b []byte) (f frame) {
	n := l.size(b)
	if n <= 0 {
		return frame{size: n}
	}
	f.size = n
	e := mpeg4audio.AudioMuxElement{MuxConfigPresent: true, StreamMuxConfig: l.mux}
	if n < 4 || b[3]&0x80 != 0 && l.mux == nil {
		return f // the configuration has not come yet
	}
	if e.Unmarshal(b[3:n]) != nil || len(e.Payloads) != 1 || len(e.Payloads[0]) == 0 || len(e.Payloads[0][0]) == 0 {
		f.damaged = true
		return f
	}
	layer := e.StreamMuxConfig.Programs[0].Layers[0]
	if e.StreamMuxConfig != l.mux {
		l.mux = e.StreamMuxConfig
		if f.err = l.configure(layer.AudioSpecificConfig); f.err != nil {
			return f
		}
	}
	if asc := layer.AudioSpecificConfig; asc != nil && asc.SampleRate > 0 {
		f.duration = 1024 * 90000 / float64(asc.SampleRate)
	}
	f.payload = e.Payloads[0][0][0]
	return f
}

// configure makes the track when its configuration is another than before.
func (l *loas) configure(asc *mpeg4audio.AudioSpecificConfig) error {
	if asc == nil {
		return nil
	}
	config, err := asc.Marshal()
	if err != nil || bytes.Equal(config, l.config) {
		return nil
	}
	out, err := l.a.r.opt.Feed.AAC(l.id, config, l.label)
	if err != nil {
		return err
	}
	l.a.out, l.config = out, config
	return nil
}
