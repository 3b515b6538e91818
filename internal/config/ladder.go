package config

import (
	"fmt"
	"slices"
	"strings"

	"pushcart/internal/auth"
	"pushcart/packager/ladder/command"
)

// Ladder is how ffmpeg makes further renditions of streams.
type Ladder struct {
	// FFmpeg is the program, looked for in PATH; "" is off.
	FFmpeg string `yaml:"ffmpeg" reload:"restart"`
	// Convert makes H.264 and AAC of what browsers cannot play, also of streams without a ladder.
	Convert bool `yaml:"convert" reload:"new-stream"`
	// Encoders are the back-ends to try, in order. The first that works is used, and the next when it fails.
	Encoders []string `yaml:"encoders" reload:"restart"`
	// Device is the GPU's file, such as /dev/dri/renderD129; "" is the first.
	Device string `yaml:"device" reload:"restart"`
	// MaxTranscodes is how many streams' pictures are encoded at once.
	MaxTranscodes int `yaml:"max_transcodes" reload:"live" range:"1 1000"`
	// MaxCPU is the share of the host's cores in percent that encoding may take.
	MaxCPU int `yaml:"max_cpu" reload:"live" range:"5 100"`
	// Threads of each encoder; 0 is the encoder's own choice.
	Threads int `yaml:"threads" reload:"new-stream" range:"0 64"`
	// Nice is added to the niceness of ffmpeg.
	Nice int `yaml:"nice" reload:"new-stream" range:"0 19"`
	// PosterInterval is how often a stream that is encoded gets a new poster; 0 is never.
	PosterInterval Duration `yaml:"poster_interval" reload:"new-stream" range:"0| 1s 10m"`
	// Ladders by name.
	Ladders []NamedLadder `yaml:"ladders" reload:"new-stream"`
	// Streams say which stream gets which ladder.
	Streams []StreamLadder `yaml:"streams" reload:"new-stream"`
}

// NamedLadder is a list of renditions to make of a stream.
type NamedLadder struct {
	// Name that streams and keys refer to.
	Name string `yaml:"name"`
	// Rungs such as "720p 1.8M", as package command reads them.
	Rungs []string `yaml:"rungs"`
	// Mode is latency or quality; "" is latency.
	Mode Word `yaml:"mode" optional:"yes" oneof:"latency quality"`
}

// StreamLadder gives a stream a ladder.
type StreamLadder struct {
	// Stream is the name, or "*" for any.
	Stream string `yaml:"stream"`
	// Ladder is the ladder's name; "none" is none.
	Ladder string `yaml:"ladder"`
}

// NoLadder is the name of the ladder without rungs.
const NoLadder = "none"

// LadderNamed is a ladder as package command takes it; nil where there is none of the name.
func (c *Config) LadderNamed(name string) *command.Ladder {
	for _, n := range c.Ladder.Ladders {
		if n.Name == name {
			l, err := n.parse()
			if err != nil {
				return nil // of a configuration that was never checked
			}
			return l
		}
	}
	return nil
}

// LadderOf is the name of the ladder for a stream of the name: an entry with the name comes before one for any. "" is none.
func (c *Config) LadderOf(stream string) string {
	found := ""
	for _, s := range c.Ladder.Streams {
		if s.Stream == stream {
			return s.Ladder
		}
		if s.Stream == auth.AnyStream && found == "" {
			found = s.Ladder
		}
	}
	return found
}

// parse reads a ladder's rungs.
func (n *NamedLadder) parse() (*command.Ladder, error) {
	l := &command.Ladder{Name: n.Name, Mode: command.Mode(n.Mode)}
	if l.Mode == "" {
		l.Mode = command.Latency
	}
	for _, text := range n.Rungs {
		r, err := command.ParseRung(text)
		if err != nil {
			return nil, err
		}
		l.Rungs = append(l.Rungs, r)
	}
	return l, l.Validate()
}

// validateLadders checks the ladders and what refers to them.
func (l *loader) validateLadders(c *Config) {
	for i, e := range c.Ladder.Encoders {
		key := fmt.Sprintf("ladder.encoders[%d]", i+1)
		switch {
		case !slices.Contains(Default().Ladder.Encoders, e):
			l.complain(key, "%q is not one of %s", clip(e), strings.Join(Default().Ladder.Encoders, ", "))
		case slices.Contains(c.Ladder.Encoders[:i], e):
			l.complain(key, "%q is given twice", e)
		}
	}
	if err := command.ParseDevice(c.Ladder.Device); err != nil && !l.wrong["ladder.device"] {
		l.mistake(l.places["ladder.device"], "ladder.device", "%q cannot be used: %v", clip(c.Ladder.Device), err)
	}
	if c.Ladder.FFmpeg != "" && len(c.Ladder.Encoders) == 0 {
		l.complain("ladder.encoders", `has nothing in it: write at least [cpu], or ffmpeg: "" for no ladders`)
	}
	known := []string{NoLadder}
	for i, n := range c.Ladder.Ladders {
		item := fmt.Sprintf("ladder.ladders[%d]", i+1)
		if err := auth.ValidName(n.Name); err != nil {
			l.complain(item+".name", "%q cannot be used: %v", clip(n.Name), err)
		} else if slices.Contains(known, n.Name) {
			l.complain(item+".name", "%q is taken: give each ladder a name of its own, other than %q", n.Name, NoLadder)
		}
		known = append(known, n.Name)
		l.validateRungs(item, n)
	}
	refer := func(key, name string) {
		if name != "" && !slices.Contains(known, name) {
			l.complain(key, "%q is not a ladder: write %s", clip(name), choice(known))
		}
	}
	for i, s := range c.Ladder.Streams {
		item := fmt.Sprintf("ladder.streams[%d]", i+1)
		if err := auth.ValidName(s.Stream); err != nil && s.Stream != auth.AnyStream {
			l.complain(item+".stream", "%q cannot be used: %v", clip(s.Stream), err)
		}
		if slices.ContainsFunc(c.Ladder.Streams[:i], func(o StreamLadder) bool { return o.Stream == s.Stream }) {
			l.complain(item+".stream", "%q has an entry before this one: take one of them out", clip(s.Stream))
		}
		refer(item+".ladder", s.Ladder)
	}
	for i, k := range c.Publish.Keys {
		refer(fmt.Sprintf("publish.keys[%d].ladder", i+1), k.Ladder)
	}
}

// choice lists the names that a stream can be given: those of the ladders, and none.
func choice(known []string) string {
	if len(known) == 1 {
		return fmt.Sprintf("%q, or add it to ladder.ladders", NoLadder)
	}
	return fmt.Sprintf("%s or %q", strings.Join(known[1:], ", "), NoLadder)
}

// validateRungs finds the rung that is at fault, or else the ladder.
func (l *loader) validateRungs(item string, n NamedLadder) {
	before := len(l.mistakes)
	for i, text := range n.Rungs {
		key := fmt.Sprintf("%s.rungs[%d]", item, i+1)
		if l.wrong[key] {
			return // the text is not what is written there
		}
		if _, err := command.ParseRung(text); err != nil {
			l.complain(key, "%v", err)
		}
	}
	if len(l.mistakes) > before {
		return
	}
	if _, err := n.parse(); err != nil {
		l.complain(item+".rungs", "cannot be used: %v", err)
	}
}
