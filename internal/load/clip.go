package load

import "fmt"

// Clip is a stream that can be sent in a loop. Many publishers may send the same one at a time.
type Clip struct {
	// Configs are codec data and metadata, to be sent first.
	Configs []Tag
	// Frames are one turn of the loop, their times from 0 on.
	Frames []Tag
	// Loop is how long a turn lasts, in ms.
	Loop int64
}

// LoopOf cuts one turn of a loop out of a file's tags: loop ms from the first key frame on, or as much as there is up to the
// last key frame when loop is 0. A file that has less, or no key frame, is an error: ErrFLV.
func LoopOf(tags []Tag, loop int64) (*Clip, error) {
	c := &Clip{Loop: loop}
	start, last, lastKey := int64(-1), int64(0), int64(0)
	for _, t := range tags {
		if t.Kind == TagScript || t.Config() {
			continue
		}
		if t.Key() {
			if start < 0 {
				start = int64(t.At)
			}
			lastKey = int64(t.At)
		}
		last = max(last, int64(t.At))
	}
	if start < 0 {
		return nil, fmt.Errorf("%w: no key frame", ErrFLV)
	}
	if c.Loop == 0 {
		if c.Loop = lastKey - start; c.Loop <= 0 {
			return nil, fmt.Errorf("%w: a loop needs two key frames or more, there is one", ErrFLV)
		}
	}
	if last-start < c.Loop {
		return nil, fmt.Errorf("%w: only %d ms from the first key frame on", ErrFLV, last-start)
	}
	for _, t := range tags {
		if t.Kind == TagScript || t.Config() {
			t.At = 0
			c.Configs = append(c.Configs, t)
			continue
		}
		at := int64(t.At) - start
		if at < 0 || at >= c.Loop || t.Kind != TagVideo && t.Kind != TagAudio {
			continue
		}
		t.At = uint32(at)
		c.Frames = append(c.Frames, t)
	}
	return c, nil
}

// Bitrate is what the clip's frames take, in bits a second.
func (c *Clip) Bitrate() int64 {
	if c.Loop <= 0 {
		return 0
	}
	size := int64(0)
	for _, t := range c.Frames {
		size += int64(len(t.Data))
	}
	return size * 8000 / c.Loop
}
