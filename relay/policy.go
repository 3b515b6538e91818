package relay

import (
	"path"
	"slices"
	"time"
)

// Settings of a Manager that can change while it runs.
type Settings struct {
	// Idle is for how long a copy is kept that nobody watches and nobody copies; 0 is DefaultIdle.
	Idle time.Duration
	// Prefetch are patterns (path.Match) of the names of streams that are copied without being asked for, as long as they have
	// an origin.
	Prefetch []string
	// MaxCopies bounds how many streams are copied at a time; 0 is DefaultMaxCopies.
	MaxCopies int
	// Keep is for how long a copy of a show that has ended stays; 0 is DefaultKeep.
	Keep time.Duration
}

// What Settings stand for where they are zero.
const (
	DefaultIdle      = 60 * time.Second
	DefaultMaxCopies = 1000
	DefaultKeep      = 60 * time.Second
)

func (s Settings) withDefaults() Settings {
	if s.Idle <= 0 {
		s.Idle = DefaultIdle
	}
	if s.MaxCopies <= 0 {
		s.MaxCopies = DefaultMaxCopies
	}
	if s.Keep <= 0 {
		s.Keep = DefaultKeep
	}
	return s
}

// prefetched tells whether a stream is to be kept warm. A pattern that is none matches nothing.
func (s Settings) prefetched(stream string) bool {
	return slices.ContainsFunc(s.Prefetch, func(pattern string) bool {
		ok, err := path.Match(pattern, stream)
		return ok && err == nil
	})
}

// permitted tells whether a region may have a stream.
func permitted(e Entry, region string) bool {
	return len(e.Regions) == 0 || slices.Contains(e.Regions, region)
}
