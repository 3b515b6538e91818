package node

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/hls"
)

// api answers /api/v1/ about streams.
type api struct {
	hub      *stream.Hub
	registry *hls.Registry
	now      func() time.Time
}

// streamJSON is one stream as the API shows it.
type streamJSON struct {
	Name            string            `json:"name"`
	State           stream.State      `json:"state"`
	Playlist        string            `json:"playlist"`
	Watch           string            `json:"watch"`
	StartedAt       time.Time         `json:"started_at"`
	UptimeSeconds   float64           `json:"uptime_seconds"`
	PublisherSince  *time.Time        `json:"publisher_since,omitempty"`
	WaitingUntil    *time.Time        `json:"waiting_until,omitempty"`
	Protocol        string            `json:"protocol"`
	Agent           string            `json:"agent,omitempty"`
	Reconnects      int               `json:"reconnects"`
	Viewers         int               `json:"viewers"`
	Bitrate         int64             `json:"bitrate_bps"`
	KeyframeSeconds float64           `json:"keyframe_interval_seconds,omitempty"`
	Tracks          []trackJSON       `json:"tracks"`
	Drops           map[string]uint64 `json:"drops"`
	Advice          []string          `json:"advice"`
}

type trackJSON struct {
	ID         int     `json:"id"`
	Kind       string  `json:"kind"`
	Codec      string  `json:"codec"`
	Codecs     string  `json:"codecs"`
	Bitrate    int64   `json:"bitrate_bps"`
	Width      int     `json:"width,omitempty"`
	Height     int     `json:"height,omitempty"`
	FrameRate  float64 `json:"frame_rate,omitempty"`
	SampleRate int     `json:"sample_rate,omitempty"`
	Channels   int     `json:"channels,omitempty"`
	Frames     uint64  `json:"frames"`
}

func (a *api) describe(s *stream.Stream) streamJSON {
	in := s.Info()
	now := a.now()
	out := streamJSON{
		Name: in.Name, State: in.State, StartedAt: in.Created, UptimeSeconds: round(now.Sub(in.Created).Seconds(), 10),
		Playlist: "/live/" + in.Name + "/index.m3u8", Watch: "/watch/" + in.Name,
		Protocol: in.Protocol, Agent: in.Agent, Reconnects: in.Reconnects,
		Viewers: a.registry.Viewers(in.Name, now),
		Drops:   in.Drops, Tracks: []trackJSON{}, Advice: in.Advice(now),
	}
	if out.Drops == nil {
		out.Drops = map[string]uint64{}
	}
	if out.Advice == nil {
		out.Advice = []string{}
	}
	if in.State == stream.Live {
		out.PublisherSince = &in.Since
	} else {
		out.WaitingUntil = &in.Until
	}
	for _, t := range in.Tracks {
		j := trackJSON{
			ID: t.Track.ID, Kind: "audio", Codec: t.Track.Codec.String(), Codecs: t.Track.CodecString,
			Bitrate: int64(t.Bitrate), Frames: t.Frames,
			Width: t.Track.Width, Height: t.Track.Height, SampleRate: t.Track.SampleRate, Channels: t.Track.Channels,
		}
		if t.Track.Video() {
			j.Kind = "video"
			j.FrameRate = round(t.FrameRate, 100)
			out.KeyframeSeconds = round(t.KeyframeInterval.Seconds(), 1000)
		}
		out.Bitrate += j.Bitrate
		out.Tracks = append(out.Tracks, j)
	}
	return out
}

func round(v float64, unit float64) float64 { return float64(int64(v*unit+0.5)) / unit }

// list answers GET /api/v1/streams.
func (a *api) list(w http.ResponseWriter, r *http.Request) {
	out := struct {
		Streams []streamJSON `json:"streams"`
	}{Streams: []streamJSON{}}
	for _, s := range a.hub.List() {
		out.Streams = append(out.Streams, a.describe(s))
	}
	writeJSON(w, http.StatusOK, "application/json", out)
}

// one answers GET /api/v1/streams/NAME.
func (a *api) one(w http.ResponseWriter, r *http.Request) {
	s := a.hub.Get(r.PathValue("name"))
	if s == nil {
		problem(w, http.StatusNotFound, "No such stream", "No stream of this name is live. Streams that are: GET /api/v1/streams.")
		return
	}
	writeJSON(w, http.StatusOK, "application/json", a.describe(s))
}

// problem answers with an error (RFC 9457).
func problem(w http.ResponseWriter, status int, title, detail string) {
	writeJSON(w, status, "application/problem+json", map[string]any{"type": "about:blank", "title": title, "status": status, "detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, kind string, v any) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write([]byte(b.String()))
}
