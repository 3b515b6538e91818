package ladder

import (
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/packager/ladder/command"
)

// Settings of the room, asked for anew with each stream that begins and each plan that is made. The program, the engines and
// the device count from the node's start on.
type Settings struct {
	// Program is ffmpeg's name or path; "" is no ladder at all.
	Program string
	// Convert tells whether what viewers cannot play gets a rendition that they can.
	Convert bool
	// Encoders in the order in which they are tried. What is not named is not used.
	Encoders []command.Backend
	// Device is the GPU, such as /dev/dri/renderD129; "" is the first.
	Device string
	// MaxTranscodes is how many children may work on pictures at once; 0 sets no limit.
	MaxTranscodes int
	// MaxCPU is how much of the host's processors children may take, in percent; 0 sets no limit.
	MaxCPU int
	// Threads of each encoder; 0 leaves it to ffmpeg.
	Threads int
	// Nice is what is added to the children's niceness.
	Nice int
	// Poster is the time between two posters; 0 makes none.
	Poster time.Duration
	// Ladders by name.
	Ladders []command.Ladder
	// Streams says which stream gets which ladder: the first that fits counts.
	Streams []Choice
}

// Choice gives a ladder to streams.
type Choice struct {
	// Stream is a name, one that ends with "*" for all that begin so, or "*" for every stream.
	Stream string
	// Ladder is the ladder's name; "" gives them none.
	Ladder string
}

// named finds a ladder; nil when there is none of the name.
func (s *Settings) named(name string) *command.Ladder {
	for i := range s.Ladders {
		if s.Ladders[i].Name == name {
			return &s.Ladders[i]
		}
	}
	return nil
}

// choose finds the ladder of a stream: the one that its publisher's key asks for, else the first whose pattern fits; nil
// when it has none.
func (s *Settings) choose(stream, key string) *command.Ladder {
	if key != "" {
		return s.named(key)
	}
	for _, c := range s.Streams {
		prefix, wild := strings.CutSuffix(c.Stream, "*")
		if c.Stream == stream || wild && strings.HasPrefix(stream, prefix) {
			return s.named(c.Ladder)
		}
	}
	return nil
}

// Options sets a Manager up.
type Options struct {
	// Settings is asked for the present settings, from any goroutine.
	Settings func() Settings
	// Log is for the operator; nil is slog.Default.
	Log *slog.Logger
	// Registerer takes the metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Environ is what children's environment is picked from; nil is os.Environ. See child.Environment.
	Environ []string

	// What stands between the room and the host; nil is the real one. Tests have their own.
	start startFunc
	trial trialFunc
	host  hostFunc
}
