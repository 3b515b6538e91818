package stream

import (
	"maps"
	"time"
)

// rateSeconds is over how many whole seconds rates are averaged.
const rateSeconds = 5

// statsTable gathers what a stream's present publisher sends. Guarded by the stream's lock.
type statsTable struct {
	tracks   map[int]*trackStats
	drops    map[string]uint64 // of the stream's whole life
	clockOff time.Duration     // see Info.ClockOff
}

// trackStats is one track's share.
type trackStats struct {
	frames, bytes uint64
	lastDTS       int64
	lastKey       int64
	lastKeyPTS    int64
	keys          uint64 // since the last pause
	keyInterval   int64  // ticks between the last two key frames
	reorder       int64  // highest composition offset seen, ticks
	lead          float64
	buckets       [rateSeconds + 1]bucket
	begun         time.Time
}

// bucket counts one second of wall-clock time.
type bucket struct {
	second        int64
	bytes, frames uint64
}

func (t *statsTable) reset() { t.tracks, t.clockOff = map[int]*trackStats{}, 0 }

func (t *statsTable) drop(reason string) {
	if t.drops == nil {
		t.drops = map[string]uint64{}
	}
	t.drops[reason]++
}

func (t *statsTable) frame(f *Frame, now time.Time) {
	s := t.tracks[f.Track.ID]
	if s == nil {
		s = &trackStats{begun: now}
		t.tracks[f.Track.ID] = s
	}
	if s.frames > 0 && f.DTS-s.lastDTS > int64(f.Track.ClockRate) {
		s.keys = 0 // what lies on both sides of a pause is not an interval
	}
	s.frames++
	s.bytes += uint64(len(f.Payload))
	if f.Key && f.Track.Video() {
		if s.keys > 0 && f.DTS > s.lastKey {
			s.keyInterval = f.DTS - s.lastKey
		}
		s.keys++
		s.lastKey, s.lastKeyPTS = f.DTS, f.PTS
	}
	s.lastDTS = f.DTS
	s.reorder = max(s.reorder, f.PTS-f.DTS)

	// How far media time runs ahead of the clock; the difference of two tracks' leads is how far they are apart.
	lead := float64(f.DTS)/float64(f.Track.ClockRate) - float64(now.UnixMilli())/1000
	if s.frames == 1 {
		s.lead = lead
	} else {
		s.lead += (lead - s.lead) / 32
	}

	sec := now.Unix()
	b := &s.buckets[sec%int64(len(s.buckets))]
	if b.second != sec {
		*b = bucket{second: sec}
	}
	b.bytes += uint64(len(f.Payload))
	b.frames++
}

// rates averages the whole seconds before now.
func (s *trackStats) rates(now time.Time) (bitrate, frameRate float64) {
	sec := now.Unix()
	var bytes, frames uint64
	for _, b := range s.buckets {
		if b.second < sec && b.second >= sec-rateSeconds {
			bytes += b.bytes
			frames += b.frames
		}
	}
	span := min(float64(rateSeconds), float64(sec)-float64(s.begun.UnixMilli())/1000)
	if span < 0.5 {
		return 0, 0
	}
	return float64(bytes) * 8 / span, float64(frames) / span
}

// State of a stream. The zero value is none: nobody was ever there.
type State string

// The states of a stream. It is Live and Waiting in turns, and then one of the others for good.
const (
	Live      State = "live"
	Waiting   State = "waiting"   // for its publisher to return
	Ended     State = "ended"     // it did not return, or the hub closed
	Elsewhere State = "elsewhere" // another node has the stream
)

// Info is what a stream looks like at one moment, for people and programs.
type Info struct {
	Name       string
	State      State
	Created    time.Time
	Since      time.Time // when the present publisher came, or the last one went
	Until      time.Time // when a waiting stream ends
	Protocol   string
	Remote     string
	Agent      string
	Reconnects int
	Tracks     []TrackInfo
	Drops      map[string]uint64
	// ClockOff is how far the publisher's clock is ahead of this host's, when its capture times cannot be used for that; else 0.
	ClockOff time.Duration
}

// TrackInfo is one track of an Info.
type TrackInfo struct {
	Track *Track
	// Frames and Bytes since the publisher came.
	Frames, Bytes uint64
	// Bitrate in bit/s and FrameRate in frames/s over the last seconds; 0 when not yet known or when nothing came.
	Bitrate, FrameRate float64
	// KeyframeInterval between the last two key frames; 0 before the second.
	KeyframeInterval time.Duration
	// SinceKeyframe is media time since the last key frame; 0 when none has come since the last pause.
	SinceKeyframe time.Duration
	// Keyframe is the presentation time of the last key frame on the stream's timeline, in 1/90,000 s; 0 before the first.
	Keyframe int64
	// Reorder is the highest composition offset: what B-frames add to the delay.
	Reorder time.Duration
	// Lead is the track's media time less the clock, on a scale that all tracks of the stream share.
	Lead time.Duration
}

// Info tells how the stream is doing.
func (s *Stream) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.hub.opt.Now()
	in := Info{
		Name: s.name, State: Live, Created: s.created, Since: s.since, Reconnects: s.reconnects,
		Protocol: s.publisher.Protocol, Remote: s.publisher.Remote, Agent: s.publisher.Agent,
		Drops: maps.Clone(s.stats.drops), ClockOff: s.stats.clockOff,
	}
	if s.session == nil {
		in.State, in.Until = Waiting, s.until
	}
	for _, t := range s.tracks {
		ti := TrackInfo{Track: t}
		if st := s.stats.tracks[t.ID]; st != nil {
			ti.Frames, ti.Bytes = st.frames, st.bytes
			ti.Bitrate, ti.FrameRate = st.rates(now)
			ti.KeyframeInterval = ticks(st.keyInterval, t.ClockRate)
			if st.keys > 0 {
				ti.SinceKeyframe = ticks(st.lastDTS-st.lastKey, t.ClockRate)
			}
			ti.Keyframe = Rescale(st.lastKeyPTS, t.ClockRate, 90000)
			ti.Reorder = ticks(st.reorder, t.ClockRate)
			ti.Lead = time.Duration(st.lead * float64(time.Second))
		}
		in.Tracks = append(in.Tracks, ti)
	}
	return in
}

func ticks(v int64, rate int) time.Duration {
	return time.Duration(Rescale(v, rate, int(time.Second)))
}
