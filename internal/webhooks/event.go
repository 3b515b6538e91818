package webhooks

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The types of events.
const (
	StreamStarted   = "stream.started"
	StreamEnded     = "stream.ended"
	StreamDegraded  = "stream.degraded"
	StreamRecovered = "stream.recovered"
	CardShown       = "card.shown"
	CardHidden      = "card.hidden"
)

// Types lists all types of events.
var Types = []string{StreamStarted, StreamEnded, StreamDegraded, StreamRecovered, CardShown, CardHidden}

// Event is something that happened to a stream.
type Event struct {
	// Type is one of Types.
	Type string
	// Stream is its name.
	Stream string
	// Time is when it happened; zero is when Send was called.
	Time time.Time
	// Data is the Started, Ended, Degraded, Recovered, Shown or Hidden of the type. It must not be changed any more.
	Data any
}

// Started is the data of stream.started: a show has begun. One that its publisher left and came back to goes on, and is not
// told again. A node that was killed tells no end: a start of a stream that had not ended stands for both.
type Started struct {
	// Show tells shows of one name apart: the millisecond at which this one began.
	Show int64 `json:"show"`
	// Protocol that it is published with: "rtmp", "rtsp", "whip", "srt" and so on.
	Protocol string `json:"protocol"`
	// Agent is what the publisher calls itself; "" when it does not say.
	Agent string `json:"agent,omitempty"`
	// Continued tells that another node had the show before, which goes on here.
	Continued bool `json:"continued,omitempty"`
	// Tracks that were known by then.
	Tracks []Track `json:"tracks"`
	// Watch and Playlist are paths on the node.
	Watch    string `json:"watch"`
	Playlist string `json:"playlist"`
}

// Track is one that the publisher sends.
type Track struct {
	// Kind is "video" or "audio".
	Kind string `json:"kind"`
	// Codec is a name such as "h264".
	Codec string `json:"codec"`
	// Width and Height in pixels, of video; SampleRate in Hz and Channels, of audio; 0 when they are not known.
	Width      int `json:"width,omitempty"`
	Height     int `json:"height,omitempty"`
	SampleRate int `json:"sample_rate,omitempty"`
	Channels   int `json:"channels,omitempty"`
	// Language as a BCP 47 tag; "" when it is not known.
	Language string `json:"language,omitempty"`
}

// Ended is the data of stream.ended: the show is over.
type Ended struct {
	// Show is that of Started.
	Show int64 `json:"show"`
	// Reason is one of the Ended… constants.
	Reason string `json:"reason"`
	// DurationSeconds since it began on this node.
	DurationSeconds float64 `json:"duration_seconds"`
	// Reconnects is how often its publisher came back.
	Reconnects int `json:"reconnects"`
}

// Reasons for which a stream ends.
const (
	// EndedGone: the publisher went and did not come back in time.
	EndedGone = "publisher_gone"
	// EndedStopped: it was ended while its publisher was there: by the publisher, by the operator, or by a limit.
	EndedStopped = "stopped"
	// EndedShutdown: the node stops.
	EndedShutdown = "node_shutdown"
)

// Degraded is the data of stream.degraded: viewers get less than they should, and have for some time. Each reason has a
// beginning and an end of its own; the end of the stream ends all.
type Degraded struct {
	// Show is that of Started.
	Show int64 `json:"show"`
	// Reason is one of the Degraded… constants, for programs.
	Reason string `json:"reason"`
	// Message says it in words.
	Message string `json:"message"`
	// Advice is all that the stream's advice says at that moment, in sentences.
	Advice []string `json:"advice"`
	// Since is when it began.
	Since time.Time `json:"since"`
}

// Reasons for which a stream is degraded.
const (
	DegradedAway      = "publisher_away" // the publisher is gone, perhaps to return
	DegradedSilent    = "track_silent"   // nothing comes on a track that was declared
	DegradedFrameRate = "frame_rate_low" // fewer frames come than were declared
	DegradedLoss      = "frames_lost"    // frames are lost on the way or come damaged
	DegradedKeyframes = "keyframes_rare" // key frames are too far apart for viewers to join
	DegradedSkew      = "tracks_apart"   // sound and picture do not come together
	DegradedLadder    = "ladder"         // renditions fail, or are left out for lack of room
)

// Recovered is the data of stream.recovered: what Degraded told of is over.
type Recovered struct {
	// Show is that of Started.
	Show int64 `json:"show"`
	// Reason is that of Degraded.
	Reason string `json:"reason"`
	// DurationSeconds is how long it lasted.
	DurationSeconds float64 `json:"duration_seconds"`
}

// Shown is the data of card.shown: a card, or another revision of it, has appeared in a slot.
type Shown struct {
	Slot     string `json:"slot"`
	Card     string `json:"card"`
	Revision int64  `json:"revision"`
	// At is when the command took effect.
	At time.Time `json:"at"`
	// FrameAt is the wall time of the first frame that shows it; nil where it is bound to none, because the stream is not
	// live, or the card came with its frame.
	FrameAt *time.Time `json:"frame_at,omitempty"`
	// Source of the command, such as "api" or "rtmp".
	Source string `json:"source"`
}

// Hidden is the data of card.hidden: a slot shows the card no more.
type Hidden struct {
	Slot     string    `json:"slot"`
	Card     string    `json:"card"`
	Revision int64     `json:"revision"`
	At       time.Time `json:"at"`
	// ShownSeconds is how long it was shown.
	ShownSeconds float64 `json:"shown_seconds"`
}

// maxBody is the largest body that is sent, in bytes.
const maxBody = 64 << 10

var errTooLarge = errors.New("the event is too large")

// encode writes an event's body.
func encode(e *Event, id, node string) ([]byte, error) {
	b, err := json.Marshal(struct {
		ID     string    `json:"id"`
		Type   string    `json:"type"`
		Time   time.Time `json:"timestamp"`
		Node   string    `json:"node"`
		Stream string    `json:"stream"`
		Data   any       `json:"data"`
	}{id, e.Type, e.Time.UTC().Truncate(time.Millisecond), node, e.Stream, e.Data})
	if err == nil && len(b) > maxBody {
		err = fmt.Errorf("%w: %d bytes", errTooLarge, len(b))
	}
	return b, err
}

// ids makes identifiers that sort by the time at which they were made, those of one process strictly.
type ids struct {
	mu    sync.Mutex // guards what follows
	last  int64      // milliseconds
	count uint16     // of those in that millisecond
}

// idText has its letters in the order of their values (RFC 4648 7), so that the texts sort as the bytes do.
var idText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// next makes one: 48 bits of milliseconds, 16 that count, 64 at random.
func (i *ids) next(now time.Time) string {
	i.mu.Lock()
	ms := max(now.UnixMilli(), i.last)
	switch {
	case ms > i.last:
		i.last, i.count = ms, 0
	case i.count == 1<<16-1:
		i.last, i.count = ms+1, 0
	default:
		i.count++
	}
	ms, count := i.last, i.count
	i.mu.Unlock()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(ms)<<16|uint64(count))
	rand.Read(b[8:])
	return "evt_" + idText.EncodeToString(b[:])
}
