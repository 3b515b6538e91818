package e2e

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// climb is a rendition that is held against its source.
type climb struct {
	name     string
	segments []testkit.TakenSegment
	playlist *testkit.Playlist
}

// taken downloads renditions, what they are compared with first, so that it has nothing that they could not have had.
func taken(v *testkit.Viewer, renditions ...string) []climb {
	lists := make([]*testkit.Playlist, len(renditions))
	for i := range renditions {
		lists[i] = v.Playlist(renditions[i])
	}
	all := make([]climb, len(renditions))
	for i, l := range lists {
		all[i] = climb{renditions[i], v.Take(l), l}
	}
	return all
}

// holes are the numbers of the segments in which a rung lacks pictures that its source has.
type holes []int64

// heldAgainst compares a rung of pictures with its source, frame by frame: what it has, it has at the source's times to the
// tick, in the segments of the same numbers, which begin and end at the same times and dates, with key frames where the source
// has them and with the source's cards. Lengths of segments may differ by ends, or a millisecond. It returns where pictures are missing.
func (c *climb) heldAgainst(t *testing.T, source *climb, ends time.Duration) (missing holes) {
	t.Helper()
	own := map[int64]*testkit.TakenSegment{}
	for i := range c.segments {
		own[c.segments[i].MSN] = &c.segments[i]
	}
	frames, keys, cards, common := 0, 0, 0, 0
	for i := range source.segments {
		want := &source.segments[i]
		got := own[want.MSN]
		if got == nil {
			continue
		}
		common++
		// What ffmpeg had not given back when the publisher went is missing in front of the seam, which comes the sooner then.
		if seam := i+1 < len(source.segments) && source.segments[i+1].Discontinuity; !seam || len(got.Samples) == len(want.Samples) {
			c.sameSegment(t, want, got, ends)
		}
		if got.Media == nil {
			missing = append(missing, want.MSN)
			continue
		}
		if got.Rate != want.Rate {
			t.Fatalf("%s: %d ticks a second, the source has %d", c.name, got.Rate, want.Rate)
		}
		f, k := c.sameFrames(t, want, got)
		frames, keys = frames+f, keys+k
		if f < len(want.Samples) {
			missing = append(missing, want.MSN)
		} else {
			cards += c.sameCards(t, want, got)
		}
	}
	t.Logf("%s: %d segments, %d frames, %d key frames, %d messages of cards are the source's; lacking in %d: %v", c.name, common, frames, keys, cards, len(missing), missing)
	if common < 4 || frames == 0 || keys < 2 {
		t.Errorf("%s: %d segments and %d frames were compared", c.name, common, frames)
	}
	return missing
}

// sameSegment compares what playlists say of a segment.
func (c *climb) sameSegment(t *testing.T, want, got *testkit.TakenSegment, ends time.Duration) {
	t.Helper()
	if !got.Wall.Equal(want.Wall) {
		t.Errorf("%s: segment %d is dated %v, the source's %v", c.name, got.MSN, got.Wall, want.Wall)
	}
	if d := (got.Duration - want.Duration).Abs(); d > max(ends, time.Millisecond) {
		t.Errorf("%s: segment %d lasts %v, the source's %v", c.name, got.MSN, got.Duration, want.Duration)
	}
	if got.Discontinuity != want.Discontinuity || got.Era != want.Era {
		t.Errorf("%s: segment %d lies behind %d discontinuities, the source's behind %d", c.name, got.MSN, got.Era, want.Era)
	}
}

// sameFrames compares the samples of a segment, and counts those that are there and the key frames among them.
func (c *climb) sameFrames(t *testing.T, want, got *testkit.TakenSegment) (frames, keys int) {
	t.Helper()
	source := map[int64]testkit.Taken{}
	for _, s := range want.Samples {
		source[s.PTS] = s
	}
	last := int64(-1 << 62)
	wrong := 0
	for _, s := range got.Samples {
		of, ok := source[s.PTS]
		switch {
		case !ok:
			wrong++
			if wrong < 3 {
				t.Errorf("%s: segment %d has a frame at %d, which no frame of the source's has: %v", c.name, got.MSN, s.PTS, times(want.Samples))
			}
			continue
		case s.Key != of.Key:
			t.Errorf("%s: segment %d, frame at %d: key frame %v, the source's %v", c.name, got.MSN, s.PTS, s.Key, of.Key)
		case s.DTS <= last:
			t.Errorf("%s: segment %d: DTS %d follows %d", c.name, got.MSN, s.DTS, last)
		}
		delete(source, s.PTS) // one that comes twice is one that is not there
		last = s.DTS
		frames++
		if s.Key {
			keys++
		}
	}
	if len(got.Samples) > 0 && !got.Samples[0].Key && want.Samples[0].Key {
		t.Errorf("%s: segment %d does not begin with a key frame", c.name, got.MSN)
	}
	return frames, keys
}

func times(samples []testkit.Taken) (all []int64) {
	for _, s := range samples {
		all = append(all, s.PTS)
	}
	slices.Sort(all)
	return all
}

// sameCards compares the messages in a segment and counts them.
func (c *climb) sameCards(t *testing.T, want, got *testkit.TakenSegment) int {
	t.Helper()
	sorted := func(events []testkit.Event) map[testkit.Event]int {
		m := map[testkit.Event]int{}
		for _, e := range events {
			m[e]++
		}
		return m
	}
	if a, b := sorted(want.Events), sorted(got.Events); !maps.Equal(a, b) {
		t.Errorf("%s: segment %d has %d messages of cards, the source's %d, or others: %.300q and %.300q", c.name, got.MSN, len(got.Events), len(want.Events),
			fmt.Sprint(got.Events), fmt.Sprint(want.Events))
	}
	return len(got.Events)
}

// sounds compares a rendition of sound with the leading pictures: its segments have their numbers, dates and lengths within a
// frame of sound, and its frames follow one another without a gap, but for what may be wrong where a part had to
// foresee how long its last frame lasts, or else a millisecond.
func (c *climb) sounds(t *testing.T, lead *climb, foreseen time.Duration) {
	t.Helper()
	own := map[int64]*testkit.TakenSegment{}
	for i := range c.segments {
		own[c.segments[i].MSN] = &c.segments[i]
	}
	common, frames := 0, 0
	var before *testkit.TakenSegment
	for i := range lead.segments {
		want := &lead.segments[i]
		got := own[want.MSN]
		if got == nil {
			before = nil
			continue
		}
		common++
		frame := 30 * time.Millisecond
		if d := got.Wall.Sub(want.Wall).Abs(); d > frame {
			t.Errorf("%s: segment %d is dated %v off the picture's", c.name, got.MSN, d)
		}
		if got.Discontinuity != want.Discontinuity || got.Era != want.Era {
			t.Errorf("%s: segment %d lies behind %d discontinuities, the picture's behind %d", c.name, got.MSN, got.Era, want.Era)
		}
		// In front of a discontinuity tracks may end apart.
		ends := i+1 == len(lead.segments) || lead.segments[i+1].Discontinuity
		if d := (got.Duration - want.Duration).Abs(); d > frame && !ends {
			t.Errorf("%s: segment %d lasts %v, the picture's %v", c.name, got.MSN, got.Duration, want.Duration)
		}
		for j, s := range got.Samples {
			if j == 0 && (before == nil || len(before.Samples) == 0 || got.Discontinuity) {
				continue
			}
			last := before
			at := j - 1
			if j > 0 {
				last = got
			} else {
				at = len(before.Samples) - 1
			}
			if off := s.PTS - last.Samples[at].PTS - last.Samples[at].Duration; max(off, -off) > max(got.Rate/1000, int64(foreseen.Seconds()*float64(got.Rate))) {
				t.Errorf("%s: segment %d: frame %d of %d, of %d bytes and %d ticks, lies %d ticks off the end of the one before, of %d bytes and %d ticks", c.name,
					got.MSN, j, len(got.Samples), len(s.Payload), s.Duration, off, len(last.Samples[at].Payload), last.Samples[at].Duration)
			}
		}
		frames += len(got.Samples)
		before = got
	}
	t.Logf("%s: %d segments with %d frames of sound keep to the picture's", c.name, common, frames)
	if common < 4 || frames == 0 {
		t.Errorf("%s: %d segments and %d frames were compared", c.name, common, frames)
	}
}

// sameRanges wants all playlists to have the date ranges of the first, as far as those had them when the first was read.
func sameRanges(t *testing.T, all []climb) {
	t.Helper()
	want := rangesOf(all[0].playlist)
	if len(want) == 0 {
		t.Error("there are no date ranges of cards")
	}
	for _, c := range all[1:] {
		if got := rangesOf(c.playlist); !slices.Equal(got, want) {
			t.Errorf("%s: its date ranges are %v, the source's %v", c.name, got, want)
		}
	}
}

// decodes has ffmpeg decode a rendition to the last frame, and wants each picture of the size.
func (c *climb) decodes(t *testing.T, v *testkit.Viewer, size [2]int) {
	t.Helper()
	samples := 0
	for _, s := range c.segments {
		samples += len(s.Samples)
	}
	frames := 0
	for _, d := range v.Decode(c.name, c.segments) {
		frames += d.Frames
		if size != [2]int{} && [2]int{d.Width, d.Height} != size {
			t.Errorf("%s: pictures are %dx%d, want %dx%d", c.name, d.Width, d.Height, size[0], size[1])
		}
	}
	if frames != samples {
		t.Errorf("%s: %d of %d frames decode", c.name, frames, samples)
	}
}

// complete wants the source to have the pictures that were sent, from the first on, each at its time within the rounding of
// timestamps.
func complete(t *testing.T, source *climb, sent []testkit.Sent) {
	t.Helper()
	var pictures []testkit.Sent
	for _, s := range sent {
		if s.Video {
			pictures = append(pictures, s)
		}
	}
	i := 0
	var first testkit.Taken
	for _, g := range source.segments {
		for _, s := range g.Samples {
			if i == 0 {
				first = s
			}
			if i >= len(pictures) {
				t.Fatalf("%s: more than the %d pictures that were sent", source.name, len(pictures))
			}
			at := time.Duration(float64(s.PTS-first.PTS) / float64(g.Rate) * 1e9)
			if want := pictures[i].PTS - pictures[0].PTS; (at - want).Abs() > 3*time.Millisecond {
				t.Fatalf("%s: picture %d lies %v behind the first, it was sent for %v", source.name, i, at, want)
			}
			i++
		}
	}
	t.Logf("%s: %d pictures, as they were sent", source.name, i)
}
