package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Version of the protocol, as Hello and the paths of requests have it.
const Version = 1

// Limits of the records in JSON.
const (
	// MaxPath is how many names a path has at most.
	MaxPath     = 8
	maxVariants = 1024
	maxReason   = 1024
)

// Hello is the first record of each log, and comes again in an index log when something in it changes: the last one counts.
type Hello struct {
	// Version of the protocol.
	Version int `json:"version"`
	// Node and Region of the sender.
	Node   string `json:"node"`
	Region string `json:"region"`
	Stream string `json:"stream"`
	// Gen is the highest generation that the sender's presentation has reached.
	Gen int64 `json:"gen"`
	// Path has the names of the nodes from the origin to the sender, both among them.
	Path []string `json:"path"`
	// TargetDuration in seconds, DVR in nanoseconds, FirstMSN and FirstGen are the presentation's settings.
	TargetDuration int   `json:"target_duration"`
	DVR            int64 `json:"dvr"`
	FirstMSN       int64 `json:"first_msn"`
	FirstGen       int64 `json:"first_gen"`
	// Keys is the JSON Web Key Set that card states of the origin are verified with; "" where it is not known.
	Keys string `json:"keys,omitempty"`
}

// Rendition of a View.
type Rendition struct {
	Name  string `json:"name"`
	Video bool   `json:"video,omitempty"`
}

// Member of an audio group.
type Member struct {
	Rendition string `json:"rendition"`
	Name      string `json:"name"`
	Language  string `json:"language,omitempty"`
	Channels  int    `json:"channels,omitempty"`
}

// Group of audio renditions.
type Group struct {
	ID      string   `json:"id"`
	Members []Member `json:"members"`
}

// Variant of a View.
type Variant struct {
	Video string `json:"video"`
	// Group is the index of the audio group in the view's; -1 is none.
	Group      int     `json:"group"`
	Codecs     string  `json:"codecs"`
	Width      int     `json:"width,omitempty"`
	Height     int     `json:"height,omitempty"`
	FrameRate  float64 `json:"frame_rate,omitempty"`
	Score      float64 `json:"score,omitempty"`
	VideoRange string  `json:"video_range,omitempty"`
	// Peak and Average are the measured rates in bits per second; 0 when there are none yet.
	Peak    int64 `json:"peak,omitempty"`
	Average int64 `json:"average,omitempty"`
}

// View is what a presentation consists of.
type View struct {
	Renditions []Rendition `json:"renditions"`
	Groups     []Group     `json:"groups,omitempty"`
	Variants   []Variant   `json:"variants,omitempty"`
	// PartTarget in 1/90,000 s; 0 while it is not known.
	PartTarget int64 `json:"part_target,omitempty"`
	Ended      bool  `json:"ended,omitempty"`
}

// Card is a card's document of one revision, and whether it is shown.
type Card struct {
	ID string `json:"id"`
	// Rev is the document's revision, Epoch that of the stream's cards.
	Rev   int64 `json:"rev"`
	Epoch int64 `json:"epoch"`
	// Document as the host wrote it.
	Document []byte `json:"document"`
	// Shown tells that it is shown at this time, Ended that it never will be again.
	Shown bool `json:"shown,omitempty"`
	Ended bool `json:"ended,omitempty"`
}

// Reason of a Bye.
type Reason string

// Why a log ends. The reader goes on elsewhere, or not at all.
const (
	// Superseded: the sender has another presentation of the stream now.
	Superseded Reason = "superseded"
	// Ended: the presentation is over, and all of it was sent.
	Ended Reason = "ended"
	// Stopping: the sender is about to end.
	Stopping Reason = "stopping"
	// Redirect: the sender cannot give the log any more, but another node can.
	Redirect Reason = "redirect"
	// TooSlow: the reader took nothing for too long.
	TooSlow Reason = "too slow"
	// Refused: the reader may not have the log any more.
	Refused Reason = "refused"
	// Replaced: the same node has asked for the same log again.
	Replaced Reason = "replaced"
)

// Bye is the last record of a log.
type Bye struct {
	Reason Reason `json:"reason"`
	// Detail is for people.
	Detail string `json:"detail,omitempty"`
}

// AppendJSON appends a record of a type whose payload is JSON: Hello, View, Card or Bye. The error is ErrTooLong, or says what
// cannot be encoded.
func AppendJSON(b []byte, t Type, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return b, fmt.Errorf("encode a record of type %d: %w", t, err)
	}
	return AppendRecord(b, t, 0, payload)
}

// parseJSON reads a payload and then checks it.
func parseJSON[T any](payload []byte, plausible func(*T) bool) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(payload, v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !plausible(v) {
		return nil, fmt.Errorf("%w: %T with values that cannot be", ErrMalformed, *v)
	}
	return v, nil
}

// name tells whether a text may be the name of something.
func name(s string) bool { return s != "" && len(s) <= maxName }

// ParseHello reads a hello. Its version is as it came.
func ParseHello(payload []byte) (*Hello, error) {
	return parseJSON(payload, func(h *Hello) bool {
		for _, s := range h.Path {
			if !name(s) {
				return false
			}
		}
		return name(h.Node) && name(h.Stream) && len(h.Region) <= maxName && len(h.Path) > 0 && len(h.Path) <= MaxPath &&
			h.Gen >= 0 && h.FirstGen >= 0 && h.FirstMSN >= 0 && h.TargetDuration > 0 && h.TargetDuration <= 3600 && h.DVR > 0
	})
}

// ParseView reads a view: all renditions that it names are there, each once, and each group has members.
func ParseView(payload []byte) (*View, error) {
	return parseJSON(payload, func(v *View) bool {
		if len(v.Renditions) > MaxRenditions || len(v.Variants) > maxVariants || len(v.Groups) > MaxRenditions || v.PartTarget < 0 {
			return false
		}
		known := map[string]bool{}
		for _, r := range v.Renditions {
			if !name(r.Name) || known[r.Name] {
				return false
			}
			known[r.Name] = true
		}
		for _, g := range v.Groups {
			if !name(g.ID) || len(g.Members) == 0 || len(g.Members) > MaxRenditions {
				return false
			}
			for _, m := range g.Members {
				if !known[m.Rendition] || !name(m.Name) || len(m.Language) > maxName || m.Channels < 0 {
					return false
				}
			}
		}
		for i := range v.Variants {
			w := &v.Variants[i]
			if !known[w.Video] || w.Group < -1 || w.Group >= len(v.Groups) || len(w.Codecs) > maxReason || len(w.VideoRange) > maxName ||
				w.Width < 0 || w.Height < 0 || w.FrameRate < 0 || w.Peak < 0 || w.Average < 0 {
				return false
			}
		}
		return true
	})
}

// ParseCard reads a card.
func ParseCard(payload []byte) (*Card, error) {
	return parseJSON(payload, func(c *Card) bool { return name(c.ID) && c.Rev >= 0 && c.Epoch >= 0 })
}

// ParseBye reads a bye.
func ParseBye(payload []byte) (*Bye, error) {
	return parseJSON(payload, func(b *Bye) bool { return len(b.Reason) <= maxName && len(b.Detail) <= maxReason })
}

// Ping tells that the sender is there. The layout: clock i64 | sequence i64.
type Ping struct {
	// Clock is the sender's.
	Clock time.Time
	// Sequence is how many steps and states the log had so far.
	Sequence int64
}

// AppendPing appends the record.
func AppendPing(b []byte, p Ping) []byte {
	from := len(b)
	b = binary.BigEndian.AppendUint64(begin(b, TypePing, 0), uint64(p.Clock.UnixNano()))
	b, _ = finish(binary.BigEndian.AppendUint64(b, uint64(p.Sequence)), from) // sixteen bytes are not too long
	return b
}

// ParsePing reads a ping.
func ParsePing(payload []byte) (Ping, error) {
	p := parser{b: payload}
	ping := Ping{Clock: time.Unix(0, p.i64("a ping's clock")).UTC(), Sequence: p.i64("a ping's sequence")}
	if err := p.done(); err != nil {
		return Ping{}, err
	}
	return ping, nil
}
