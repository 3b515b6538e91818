package command

import (
	"cmp"
	"fmt"
	"slices"
)

// Mode says what a ladder is to be good at.
type Mode string

// The modes.
const (
	// Latency adds as little delay as encoders can: no look-ahead, no B-frames.
	Latency Mode = "latency"
	// Quality spends some seconds of delay, and more computing, on better pictures at the same bit rate.
	Quality Mode = "quality"
)

// Bounds of a ladder. There is one more number for each kind of track than rungs, for what is converted.
const (
	mostVideo = 8
	mostAudio = 1
)

// Ladder is what is to be made of a stream. The zero value asks for nothing.
type Ladder struct {
	// Name that configuration refers to it by.
	Name string
	// Mode is Latency when it is empty.
	Mode Mode
	// Rungs in any order.
	Rungs []Rung
}

// Validate tells what is wrong with the ladder.
func (l *Ladder) Validate() error {
	if l.Mode != "" && l.Mode != Latency && l.Mode != Quality {
		return fmt.Errorf("ladder %q: mode %q is not known; write latency or quality", l.Name, l.Mode)
	}
	if len(l.Rungs) == 0 {
		return fmt.Errorf("ladder %q has no rungs; write for example rungs: [720p 1.8M, 480p 900k, 240p 350k, audio 64k]", l.Name)
	}
	names := map[string]bool{}
	video, audio := 0, 0
	for _, r := range l.Rungs {
		if err := r.validate(); err != nil {
			return fmt.Errorf("ladder %q: %w", l.Name, err)
		}
		if names[r.Name] {
			return fmt.Errorf("ladder %q has two rungs that are called %q; viewers tell them by it: take one of them out", l.Name, r.Name)
		}
		names[r.Name] = true
		if r.Audio {
			audio++
		} else {
			video++
		}
	}
	switch {
	case video > mostVideo:
		return fmt.Errorf("ladder %q has %d rungs of video; %d are the most", l.Name, video, mostVideo)
	case audio > mostAudio:
		return fmt.Errorf("ladder %q has %d rungs of audio; %d is the most", l.Name, audio, mostAudio)
	}
	return nil
}

// mode is the ladder's; that of conversions without a ladder is Latency.
func (l *Ladder) mode() Mode {
	if l == nil || l.Mode == "" {
		return Latency
	}
	return l.Mode
}

// video are the rungs of video from the greatest down.
func (l *Ladder) video() []Rung {
	if l == nil {
		return nil
	}
	var all []Rung
	for _, r := range l.Rungs {
		if !r.Audio {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b Rung) int { return cmp.Or(b.lines()-a.lines(), b.Bitrate-a.Bitrate) })
	return all
}

// audio is the rung of audio.
func (l *Ladder) audio() (Rung, bool) {
	if l != nil {
		for _, r := range l.Rungs {
			if r.Audio {
				return r, true
			}
		}
	}
	return Rung{}, false
}
