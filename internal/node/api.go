package node

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"pushcart/internal/stream"
	"pushcart/overlay"
	"pushcart/overlay/api"
	"pushcart/packager/hls"
	"pushcart/packager/ladder"
	"pushcart/relay"
)

// streams tells the API about streams.
type streams struct {
	hub      *stream.Hub
	registry *hls.Registry
	cards    func(name string) *overlay.View
	now      func() time.Time
	ladders  *ladder.Manager // nil where that is off
	cluster  *cluster        // nil on a node by itself
}

// list describes all streams, by name.
func (l *streams) list() []api.Stream {
	var out []api.Stream
	for _, s := range l.hub.List() {
		out = append(out, l.describe(s))
	}
	if l.cluster != nil {
		for _, s := range l.cluster.manager.Copies() {
			if !slices.ContainsFunc(out, func(o api.Stream) bool { return o.Name == s.Stream }) {
				out = append(out, l.copied(s))
			}
		}
		slices.SortFunc(out, func(a, b api.Stream) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}

// copied describes a stream of another node.
func (l *streams) copied(s relay.Status) api.Stream {
	now := l.now()
	out := api.Stream{
		Name: s.Stream, State: "copied", StartedAt: s.Began, UptimeSeconds: round(now.Sub(s.Began).Seconds(), 10),
		Playlist: "/live/" + s.Stream + "/index.m3u8", Watch: "/watch/" + s.Stream, Protocol: "relay",
		CopiedFrom: s.From, LagSeconds: round(s.Lag.Seconds(), 1000), Viewers: l.registry.Viewers(s.Stream, now),
		Drops: map[string]uint64{}, Tracks: []api.Track{}, Advice: []string{},
	}
	if len(s.Path) > 0 {
		out.Origin = s.Path[0]
	}
	if s.Error != "" {
		out.Advice = append(out.Advice, "It cannot be copied at this moment, and is tried again; the node's log tells why.") // addresses are nobody's business
	}
	return out
}

// one describes a stream; false when there is none of the name.
func (l *streams) one(name string) (api.Stream, bool) {
	if s := l.hub.Get(name); s != nil {
		return l.describe(s), true
	}
	if l.cluster != nil {
		for _, s := range l.cluster.manager.Copies() {
			if s.Stream == name {
				return l.copied(s), true
			}
		}
	}
	return api.Stream{}, false
}

func (l *streams) describe(s *stream.Stream) api.Stream {
	in := s.Info()
	now := l.now()
	out := api.Stream{
		Name: in.Name, State: string(in.State), StartedAt: in.Created, UptimeSeconds: round(now.Sub(in.Created).Seconds(), 10),
		Playlist: "/live/" + in.Name + "/index.m3u8", Watch: "/watch/" + in.Name,
		Protocol: in.Protocol, Agent: in.Agent, Reconnects: in.Reconnects,
		Viewers: l.registry.Viewers(in.Name, now),
		Drops:   in.Drops, Tracks: []api.Track{}, Advice: in.Advice(now),
	}
	if l.cluster != nil {
		out.Origin = l.cluster.trust.Identity().Name
	}
	// A live stream has its desk, unless the data folder is of no use.
	if v := l.cards(in.Name); v != nil {
		out.Cards = len(v.Slots)
		if r := v.InBandRefusal; r != nil && now.Sub(r.At) < refusalAdvice {
			out.Advice = append(out.Advice, adviceOf(r))
		}
	}
	if l.ladders != nil {
		out.Ladder = laddersAPI{l.ladders}.of(in.Name)
		out.Advice = append(out.Advice, l.ladders.Advice(in.Name)...)
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
		j := api.Track{
			ID: t.Track.ID, Kind: "audio", Codec: t.Track.Codec.String(), Codecs: t.Track.CodecString,
			Language: t.Track.Language, Name: t.Track.Name, Undelivered: t.Track.Undelivered,
			Bitrate: int64(t.Bitrate), Frames: t.Frames,
			Width: t.Track.Width, Height: t.Track.Height, SampleRate: t.Track.SampleRate, Channels: t.Track.Channels,
		}
		if t.Track.Video() {
			j.Kind = "video"
			j.FrameRate = round(t.FrameRate, 100)
			if out.KeyframeSeconds == 0 { // of the track that leads
				out.KeyframeSeconds = round(t.KeyframeInterval.Seconds(), 1000)
			}
		}
		out.Bitrate += j.Bitrate
		out.Tracks = append(out.Tracks, j)
	}
	return out
}

func round(v float64, unit float64) float64 { return float64(int64(v*unit+0.5)) / unit }

// refusalAdvice is how long a stream's advice speaks of a refused command.
const refusalAdvice = 10 * time.Minute

// adviceOf words a command that came with the media and was refused. Advice is for everybody and cards that were not shown
// are not: what somebody wrote into a card stands in quotation marks, and those are emptied.
func adviceOf(r *overlay.InBandRefusal) string {
	what := fmt.Sprintf("A card command that came with the media (%s) was refused", r.Source)
	if r.Count > 1 {
		what = fmt.Sprintf("%d card commands that came with the media (%s) were refused, the last of them", r.Count, r.Source)
	}
	where := ""
	if r.Field != "" {
		where = " (" + r.Field + ")"
	}
	return fmt.Sprintf("%s at %s UTC%s: %s", what, r.At.UTC().Format(time.TimeOnly), emptyQuotes(where), emptyQuotes(r.Message))
}

var inQuotes = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// emptyQuotes replaces what stands in quotation marks, but for single characters.
func emptyQuotes(text string) string {
	return inQuotes.ReplaceAllStringFunc(text, func(quoted string) string {
		if utf8.RuneCountInString(quoted) <= len(`"x"`) {
			return quoted
		}
		return `"…"`
	})
}
