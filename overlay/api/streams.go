package api

import (
	"time"

	"pushcart/overlay"
)

// Stream is one stream as the API shows it.
type Stream struct {
	Name string `json:"name"`
	// State is "live" or "waiting", or "copied" of a stream whose origin is another node.
	State string `json:"state"`
	// Origin is the node that the stream is of; "" without a cluster. Of a copied one CopiedFrom is the node that this one has it
	// from, and LagSeconds how much later than there its last part came.
	Origin          string     `json:"origin,omitempty"`
	CopiedFrom      string     `json:"copied_from,omitempty"`
	LagSeconds      float64    `json:"lag_seconds,omitempty"`
	Playlist        string     `json:"playlist"`
	Watch           string     `json:"watch"`
	StartedAt       time.Time  `json:"started_at"`
	UptimeSeconds   float64    `json:"uptime_seconds"`
	PublisherSince  *time.Time `json:"publisher_since,omitempty"`
	WaitingUntil    *time.Time `json:"waiting_until,omitempty"`
	Protocol        string     `json:"protocol"`
	Agent           string     `json:"agent,omitempty"`
	Reconnects      int        `json:"reconnects"`
	Viewers         int        `json:"viewers"`
	Bitrate         int64      `json:"bitrate_bps"`
	KeyframeSeconds float64    `json:"keyframe_interval_seconds,omitempty"`
	// Cards is how many are shown at this moment.
	Cards  int               `json:"cards"`
	Tracks []Track           `json:"tracks"`
	Drops  map[string]uint64 `json:"drops"`
	Advice []string          `json:"advice"`
	// Ladder is nil where nothing is made of the stream.
	Ladder *Ladder `json:"ladder,omitempty"`
}

// Track is one of a stream's tracks.
type Track struct {
	ID int `json:"id"`
	// Kind is "video" or "audio".
	Kind  string `json:"kind"`
	Codec string `json:"codec"`
	// Codecs is the value of RFC 6381; "" where the codec has none.
	Codecs string `json:"codecs"`
	// Language as a BCP 47 tag and Name are what viewers choose the track by; "" when they are not known.
	Language string `json:"language,omitempty"`
	Name     string `json:"name,omitempty"`
	// Undelivered tells that viewers do not get the track, because HLS cannot carry its codec: the stream's advice says what
	// to do.
	Undelivered bool `json:"undelivered,omitempty"`

	Bitrate    int64   `json:"bitrate_bps"`
	Width      int     `json:"width,omitempty"`
	Height     int     `json:"height,omitempty"`
	FrameRate  float64 `json:"frame_rate,omitempty"`
	SampleRate int     `json:"sample_rate,omitempty"`
	Channels   int     `json:"channels,omitempty"`
	Frames     uint64  `json:"frames"`
}

// StreamList is all streams.
type StreamList struct {
	Streams []Stream `json:"streams"`
}

// streams lists those that whoever asks may know of.
func (c *call) streams() error {
	list := []Stream{}
	for _, s := range c.api.opt.Streams() {
		if c.visible(s.Name) {
			list = append(list, s)
		}
	}
	for i := range list {
		list[i].Ladder = list[i].Ladder.whole()
	}
	return c.answer("", StreamList{list})
}

func (c *call) oneStream() error {
	s, ok := c.api.opt.Stream(c.r.PathValue("name"))
	if !ok {
		return problemf(overlay.ReasonNotFound, "name", "No stream of this name is live. Streams that are: GET /api/v1/streams.")
	}
	s.Ladder = s.Ladder.whole()
	return c.answer("", s)
}
