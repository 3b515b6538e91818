package testkit

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
)

// Received is one sample as a viewer gets it.
type Received struct {
	// DTS and PTS on the presentation's timeline.
	DTS, PTS, Duration time.Duration
	Payload            []byte
	// MSN and Discontinuity are its segment's: the latter counts the discontinuities up to there.
	MSN           int64
	Discontinuity int
}

// Samples downloads everything that a playlist lists of a rendition, and takes it apart.
func (v *Viewer) Samples(p *Playlist) []Received {
	v.t.Helper()
	var all []Received
	discontinuity := 0
	for _, g := range p.Segments {
		if g.Discontinuity {
			discontinuity++
		}
		if g.Gap {
			continue
		}
		rate := v.timeScale(g.Map)
		uris := []string{g.URI}
		if !g.Complete {
			uris = nil
			for _, part := range g.Parts {
				if !part.Gap {
					uris = append(uris, part.URI)
				}
			}
		}
		for _, uri := range uris {
			for _, r := range readSamples(v.t, v.Fetch(uri, http.StatusOK), rate) {
				r.MSN, r.Discontinuity = g.MSN, discontinuity
				all = append(all, r)
			}
		}
	}
	return all
}

func (v *Viewer) timeScale(uri string) int64 {
	v.t.Helper()
	return int64(ReadInit(v.t, v.Fetch(uri, http.StatusOK)).TimeScale)
}

// ReadInit takes an initialisation section apart.
func ReadInit(t testing.TB, data []byte) *fmp4.InitTrack {
	t.Helper()
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader(data)); err != nil || len(init.Tracks) != 1 {
		t.Fatalf("initialisation section with %d tracks: %v", len(init.Tracks), err)
	}
	return init.Tracks[0]
}

func readSamples(t testing.TB, data []byte, rate int64) []Received {
	t.Helper()
	var parts fmp4.Parts
	if err := parts.Unmarshal(data); err != nil {
		t.Fatalf("media: %v", err)
	}
	var all []Received
	for _, p := range parts {
		for _, track := range p.Tracks {
			dts := int64(track.BaseTime)
			for _, s := range track.Samples {
				all = append(all, Received{
					DTS: scale(dts, rate), PTS: scale(dts+int64(s.PTSOffset), rate), Duration: scale(int64(s.Duration), rate),
					Payload: s.Payload,
				})
				dts += int64(s.Duration)
			}
		}
	}
	return all
}
