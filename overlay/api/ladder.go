package api

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"pushcart/overlay"
)

// Ladder is what is made of a stream for viewers on bad networks, and for those whose players cannot play what the publisher
// sends, as everybody may see it.
type Ladder struct {
	// Name of the ladder as configured; "" where nothing but conversions is made.
	Name string `json:"name"`
	// Mode is "latency" or "quality"; "" where nothing but conversions is made.
	Mode string `json:"mode"`
	// State is "starting", "running", "reduced" (some rungs are off), "failed" or "off", and Reason says why it is one of the
	// last three, in a sentence; "" otherwise.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Backend is which encoder makes the pictures: "nvenc", "qsv", "vaapi", "amf" or "cpu"; "" where no pictures are made.
	Backend string `json:"backend,omitempty"`
	// Rungs are what is made, the largest picture first and the sound last.
	Rungs []LadderRung `json:"rungs"`
	// Converts says what is converted because not all viewers could play it, such as "Opus to AAC".
	Converts []string `json:"converts"`
}

// LadderRung is one of a ladder's renditions.
type LadderRung struct {
	// Name as it stands in the addresses, such as "720p".
	Name string `json:"name"`
	// Kind is "video" or "audio".
	Kind  string `json:"kind"`
	Codec string `json:"codec"`
	// Width and Height in pixels and FrameRate a second are of pictures; zero until they are known.
	Width     int     `json:"width,omitempty"`
	Height    int     `json:"height,omitempty"`
	FrameRate float64 `json:"frame_rate,omitempty"`
	// Bitrate is what the encoder is asked for, and Measured what it makes, both in bits a second.
	Bitrate  int64 `json:"bitrate_bps"`
	Measured int64 `json:"measured_bps"`
	// Frames that viewers got, and Dropped those that came too late for them.
	Frames  uint64 `json:"frames"`
	Dropped uint64 `json:"dropped"`
	// Lag is how far the rung is behind the source, in seconds; zero until it is known.
	Lag float64 `json:"lag_seconds"`
	// State is "starting", "running", "off" or "failed", and Reason says why it is one of the last two, in a sentence; "" otherwise.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
}

// whole is a ladder whose lists are there, if only empty; nil of nil.
func (l *Ladder) whole() *Ladder {
	if l == nil {
		return nil
	}
	whole := *l
	whole.Rungs, whole.Converts = orEmpty(l.Rungs), orEmpty(l.Converts)
	return &whole
}

// LadderDetail is a stream's ladder as its operator sees it.
type LadderDetail struct {
	Stream string `json:"stream"`
	Ladder
	// Children are the ffmpeg processes that make it.
	Children []LadderChild `json:"children"`
	// Notes are sentences about how the ladder was planned: what was left out and why.
	Notes []string `json:"notes"`
}

// LadderChild is an ffmpeg process.
type LadderChild struct {
	// Kind is "picture" or "sound".
	Kind string `json:"kind"`
	// Pid is zero while none runs.
	Pid     int    `json:"pid"`
	Backend string `json:"backend,omitempty"`
	// Restarts counts how often one had to be started in the place of another that had failed.
	Restarts uint64 `json:"restarts"`
	// LastError is why the last one failed; "" when none did.
	LastError string `json:"last_error,omitempty"`
	// Stderr are the last lines that it wrote.
	Stderr []string `json:"stderr"`
	// Speed is how fast it encodes, with 1 as the speed of the show; FPS is in source frames a second.
	Speed float64 `json:"speed"`
	FPS   float64 `json:"fps"`
	// Dropped counts frames of the source that it did not get, because it did not keep up.
	Dropped uint64 `json:"dropped"`
	// CPU is in percent of one core.
	CPU float64 `json:"cpu_percent"`
	// Queue is how many frames of the source wait for it.
	Queue int `json:"queue"`
	// Command is its argument list, the program first.
	Command []string `json:"command"`
}

// LadderNode is what a node can make ladders with, and how much of it is taken.
type LadderNode struct {
	// Program is ffmpeg's name or path, and Version the line in which it says what it is; "" where it could not be asked.
	Program string `json:"program"`
	Version string `json:"version"`
	// Error says in a sentence why no ladders are made; "" when they are.
	Error string `json:"error,omitempty"`
	// Engines are what was tried at the start, in the order of preference.
	Engines []LadderEngine `json:"engines"`
	// BudgetCores is how many cores the ladders may take in all, and UsedCores how many they are measured to take.
	BudgetCores float64 `json:"budget_cores"`
	UsedCores   float64 `json:"used_cores"`
	// Transcodes is how many streams have pictures encoded now, and MaxTranscodes how many may.
	Transcodes    int `json:"transcodes"`
	MaxTranscodes int `json:"max_transcodes"`
	// Streams are those that have a ladder now, by name.
	Streams []LadderStream `json:"streams"`
}

// LadderEngine is an encoder that was tried.
type LadderEngine struct {
	// Backend is "nvenc", "qsv", "vaapi", "amf" or "cpu".
	Backend string `json:"backend"`
	// Device is the GPU's; "" is the first, or none.
	Device string `json:"device,omitempty"`
	// Codecs that it encodes; none where the trial failed.
	Codecs []string `json:"codecs"`
	// Filters tells that it scales pictures, too.
	Filters bool `json:"filters"`
	// Works tells that the trial succeeded, and Reason why it did not.
	Works  bool   `json:"works"`
	Reason string `json:"reason,omitempty"`
	// InUse tells that new ladders are made with it.
	InUse bool `json:"in_use"`
}

// LadderStream is a stream that has a ladder, in short.
type LadderStream struct {
	Stream  string `json:"stream"`
	Ladder  string `json:"ladder"`
	State   string `json:"state"`
	Backend string `json:"backend,omitempty"`
	// Rungs is how many run, of RungsPlanned.
	Rungs        int `json:"rungs"`
	RungsPlanned int `json:"rungs_planned"`
	// CPU is in percent of one core.
	CPU float64 `json:"cpu_percent"`
}

// LadderCommand is what would be run for a stream.
type LadderCommand struct {
	Program string `json:"program"`
	// Commands are argument lists, without the program: one for the pictures and one for each sound that is converted.
	Commands [][]string `json:"commands"`
	// Notes are sentences: what was left out and why.
	Notes []string `json:"notes"`
}

// maxSource is the length of the longest description of a source, in bytes.
const maxSource = 200

// ladderOff is what a node answers that makes no ladders.
func ladderOff() error {
	return problemf(overlay.ReasonNotFound, "", "This node makes no ladders: ladder.ffmpeg in its configuration is empty.")
}

func (c *call) ladder() error {
	if c.api.opt.Ladder == nil {
		return ladderOff()
	}
	d, ok := c.api.opt.Ladder(c.stream)
	if !ok {
		return problemf(overlay.ReasonNotFound, "name", "The stream has no ladder: it is not live, or nothing has to be made of it. "+
			"GET /api/v1/streams/%s/ladder/command tells what would be made of a source.", c.stream)
	}
	d.Ladder, d.Notes, d.Children = *d.whole(), orEmpty(d.Notes), slices.Clone(orEmpty(d.Children))
	for i := range d.Children {
		child := &d.Children[i]
		child.Stderr, child.Command = orEmpty(child.Stderr), orEmpty(child.Command)
	}
	return c.answer("", d)
}

func (c *call) ladderNode() error {
	if c.api.opt.LadderNode == nil {
		return ladderOff()
	}
	n := c.api.opt.LadderNode()
	n.Engines, n.Streams = slices.Clone(orEmpty(n.Engines)), orEmpty(n.Streams)
	for i := range n.Engines {
		n.Engines[i].Codecs = orEmpty(n.Engines[i].Codecs)
	}
	return c.answer("", n)
}

func (c *call) ladderCommand() error {
	if c.api.opt.LadderCommand == nil {
		return ladderOff()
	}
	source := strings.TrimSpace(c.r.URL.Query().Get("source"))
	if len(source) > maxSource || !utf8.ValidString(source) || strings.ContainsFunc(source, unicode.IsControl) {
		return problemf(overlay.ReasonInvalid, "source", "A source is described in at most %d characters, such as h264 1920x1080 30fps opus.", maxSource)
	}
	cmd, err := c.api.opt.LadderCommand(c.stream, source)
	var refusal *overlay.Refusal
	switch {
	case errors.As(err, &refusal):
		return problemf(refusal.Reason, cmp.Or(refusal.Field, "source"), "%s", refusal.Message)
	case err != nil:
		// What is wrong with the source says so; all else is the host's.
		text, field := err.Error(), ""
		if rest, ok := strings.CutPrefix(text, "source: "); ok {
			text, field = rest, "source"
		}
		return problemf(overlay.ReasonInvalid, field, "%s", asSentence(text))
	}
	cmd.Commands, cmd.Notes = orEmpty(cmd.Commands), orEmpty(cmd.Notes)
	return c.answer("", cmd)
}

// asSentence begins an error's text with a capital letter and ends it with a full stop.
func asSentence(text string) string {
	if text == "" {
		return "It cannot be read."
	}
	r, n := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(r)) + text[n:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}
