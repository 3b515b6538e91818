package node

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"pushcart/internal/sockets"
	"pushcart/internal/stream"
	"pushcart/packager/window"
)

// The steps of a handover, in order. The process that takes says hello, copy, copied, taken, ready, serving; the one that gives says
// welcome, streams (as often as they change), final, released, go, quiet.
const (
	stepHello    = "hello"
	stepWelcome  = "welcome"
	stepCopy     = "copy"
	stepStreams  = "streams"
	stepCopied   = "copied"
	stepFinal    = "final"
	stepTaken    = "taken"
	stepReleased = "released"
	stepReady    = "ready"
	stepGo       = "go"
	stepServing  = "serving"
	stepQuiet    = "quiet"
)

// Times of a handover. Up to "final" nothing has changed for anybody.
const (
	// helloTime is for what takes no time.
	helloTime = 5 * time.Second
	// buildTime is how long a process may take to set its node up.
	buildTime = 2 * time.Minute
	// copyTime is how long it may take to copy all media.
	copyTime = 10 * time.Minute
	// switchTime is how long each step of the switch may take.
	switchTime = 10 * time.Second
	// lastTime is how long the last media may take to come: what is missing then is missing.
	lastTime = 3 * time.Second
	// quietTime is how long the process before may take to end its publishers.
	quietTime = 5 * time.Second
	// lookEvery is how often it is looked what there is to copy, and what has come.
	lookEvery = 100 * time.Millisecond
	// tellEvery is how often the log tells how far copying has got.
	tellEvery = 2 * time.Second
)

// hello is what a process says that takes over.
type hello struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Data    place  `json:"data"`
}

// welcome is what it gets: all but the media.
type welcome struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// Pepper of credentials, and the secret of the stream key that was made for want of a configured one; "" where none was.
	Pepper    []byte           `json:"pepper"`
	Generated string           `json:"generated,omitempty"`
	Sockets   []sockets.Socket `json:"sockets"`
}

// given is a presentation that is to be copied.
type given struct {
	Stream string `json:"stream"`
	Gen    int64  `json:"gen"`
	// Publisher is who publishes it, or is expected to return; the zero value is nobody.
	Publisher publisher `json:"publisher"`
}

// final is where everything stands that is given.
type final struct {
	Streams []finalStream `json:"streams"`
	// Numbers are the media sequence numbers that shows begin with which follow one of the same name.
	Numbers map[string]int64 `json:"numbers,omitempty"`
	// Drained tells that the node is drained on demand.
	Drained bool `json:"drained,omitempty"`
}

// finalStream is one presentation.
type finalStream struct {
	given
	Ended      bool                       `json:"ended,omitempty"`
	Variants   int                        `json:"variants"`
	Renditions map[string]window.Position `json:"renditions"`
	// Wait is for how long its publisher is expected to return.
	Wait time.Duration `json:"wait,omitempty"`
}

// publisher is a stream.Publisher of the process before.
type publisher struct {
	// Created is when the stream began, in Unix milliseconds.
	Created    int64  `json:"created"`
	Credential string `json:"credential"`
	Ladder     string `json:"ladder,omitempty"`
	Standby    bool   `json:"standby,omitempty"`
	Protocol   string `json:"protocol"`
	Remote     string `json:"remote"`
	Agent      string `json:"agent,omitempty"`
}

// publisherOf tells whose a stream is, and for how long it stays open for him; the zero value is nobody's.
func publisherOf(h *stream.Hub, name string) (publisher, time.Duration) {
	p, created, wait, ok := h.Expected(name)
	if !ok {
		return publisher{}, 0
	}
	return publisher{created.UnixMilli(), p.Credential, p.Ladder, p.Standby, p.Protocol, p.Remote, p.Agent}, wait
}

func (p *publisher) created() time.Time { return time.UnixMilli(p.Created) }

func (p *publisher) stream() stream.Publisher {
	return stream.Publisher{
		Credential: p.Credential, Ladder: p.Ladder, Standby: p.Standby, Protocol: p.Protocol, Remote: p.Remote, Agent: p.Agent,
	}
}

// place says which one the data folder is.
type place struct {
	Path string `json:"path"`
	// File is of the file system, and the same for the same folder whatever its path; "" where there are none such.
	File string `json:"file,omitempty"`
}

func dataPlace(dir string) place {
	path, err := filepath.Abs(dir)
	if err != nil {
		path = dir
	}
	f := place{Path: path}
	if info, err := os.Stat(path); err == nil {
		f.File = fileOf(info)
	}
	return f
}

// same tells why two processes do not have the same folder.
func (f place) same(o place) error {
	if f.File != "" && f.File == o.File || f.Path == o.Path && (f.File == "" || o.File == "") {
		return nil
	}
	return fmt.Errorf("its data folder is %s, and this process's is %s: set data.directory to the same", o.Path, f.Path)
}
