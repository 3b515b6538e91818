package conformance

import (
	"slices"
	"time"
)

// maxSamples bounds the samples of one part or segment.
const maxSamples = 1 << 16

// sample is one sample of a track fragment; times count in the track's timescale.
type sample struct {
	decode   int64
	offset   int64 // of the composition
	duration uint32
	flags    uint32
	sync     bool // by its data
	data     []byte
}

// flagged tells that the sample flags call it a sync sample (ISO/IEC 14496-12 section 8.8.3.1).
func (s *sample) flagged() bool { return s.flags&0x10000 == 0 }

// media is what the boxes of a part or segment hold.
type media struct {
	samples   []sample
	fragments []fragment
}

type fragment struct {
	sequence    uint32
	decode      int64
	duration    int64
	first, last int64   // presentation times of the first sample's start and the last one's end, in ticks
	events      []event // in front of it
}

// duration adds up the samples' durations, in ticks.
func (m *media) duration() int64 {
	var d int64
	for _, f := range m.fragments {
		d += f.duration
	}
	return d
}

// start is the earliest presentation time, after the edit list.
func (m *media) start(t *track) time.Duration {
	first := int64(1<<63 - 1)
	for _, s := range m.samples {
		first = min(first, s.decode+s.offset)
	}
	if len(m.samples) == 0 {
		return 0
	}
	return t.at(first - t.editStart)
}

// longest is the longest sample duration, the tolerance of what is compared by frames.
func (m *media) longest(t *track) time.Duration {
	var d uint32
	for _, s := range m.samples {
		d = max(d, s.duration)
	}
	return t.at(int64(d))
}

// closest is how close together pictures are shown, at the least; 0 for fewer than two samples.
func (m *media) closest(t *track) time.Duration {
	times := make([]int64, 0, len(m.samples))
	for _, s := range m.samples {
		times = append(times, s.decode+s.offset)
	}
	slices.Sort(times)
	var d int64
	for i := 1; i < len(times); i++ {
		if gap := times[i] - times[i-1]; gap > 0 && (d == 0 || gap < d) {
			d = gap
		}
	}
	return t.at(d)
}

var fragmentRules = []RuleID{RuleFragmentBoxes, RuleFragmentTrack, RuleFragmentBase, RuleFragmentOffset, RuleFragmentSizes}

// parseFragments reads a part or segment: any number of CMAF chunks (ISO/IEC 23000-19 section 7.3.3).
func parseFragments(data []byte, t *track) (*media, []issue) {
	m := &media{}
	boxes, err := splitBoxes(data)
	var issues []issue
	if err != nil {
		issues = append(issues, issuef(RuleFragmentBoxes, "%v", err))
	}
	var moof *box
	var events []event
	loose := 0 // offset of the last emsg that has no moof behind it yet, and 1
	for i, b := range boxes {
		switch {
		case b.kind == "emsg" && moof == nil:
			e, err := parseEvent(b.body)
			if loose = b.offset + 1; err != nil {
				issues = append(issues, issuef(RuleEventForm, "emsg at %d: %v", b.offset, err))
			} else {
				events = append(events, e)
			}
		case b.kind == "emsg":
			issues = append(issues, issuef(RuleEventPlace, "emsg at %d stands between moof and mdat", b.offset))
		case b.kind == "styp" && i == 0 || (b.kind == "prft" || b.kind == "styp") && moof == nil:
		case b.kind == "moof" && moof == nil:
			moof, loose = &boxes[i], 0
		case b.kind == "mdat" && moof != nil:
			before := len(m.fragments)
			if issues = append(issues, m.add(t, *moof, b)...); len(m.fragments) > before {
				m.fragments[before].events = events
			}
			moof, events = nil, nil
		default:
			issues = append(issues, issuef(RuleFragmentBoxes, "%q at %d is out of place", b.kind, b.offset))
		}
	}
	if moof != nil || len(m.fragments) == 0 && len(issues) == 0 {
		issues = append(issues, issuef(RuleFragmentBoxes, "there is no moof with its mdat"))
	}
	if loose > 0 {
		issues = append(issues, issuef(RuleEventPlace, "emsg at %d has no moof behind it", loose-1))
	}
	return m, issues
}

func (m *media) add(t *track, moof, mdat box) (issues []issue) {
	fail := func(rule RuleID, format string, args ...any) { issues = append(issues, issuef(rule, format, args...)) }
	mfhd, ok := child(moof.body, "mfhd")
	f := fields{data: mfhd.body}
	f.full()
	frag := fragment{sequence: f.u32()}
	if ok != 1 || f.short {
		fail(RuleFragmentBoxes, "moof has no mfhd")
	}
	traf, n := child(moof.body, "traf")
	if n != 1 {
		fail(RuleFragmentTrack, "moof has %d traf", n)
		return issues
	}
	tfhd, ok := child(traf.body, "tfhd")
	f = fields{data: tfhd.body}
	_, flags := f.full()
	if id := f.u32(); ok != 1 || f.short || id != t.id {
		fail(RuleFragmentTrack, "tfhd is of track %d, the initialization section has %d", id, t.id)
	}
	if flags&0x20000 == 0 || flags&1 != 0 {
		fail(RuleFragmentBase, "tfhd flags are %#x", flags)
	}
	defaults := t.defaults
	for _, field := range []struct {
		bit  uint32
		size int
		set  func(uint32)
	}{
		{1, 8, nil}, {2, 4, nil}, {8, 4, func(v uint32) { defaults.duration = v }},
		{0x10, 4, func(v uint32) { defaults.size = v }}, {0x20, 4, func(v uint32) { defaults.flags = v }},
	} {
		if flags&field.bit != 0 {
			if v := f.uint(field.size); field.set != nil {
				field.set(uint32(v))
			}
		}
	}
	tfdt, ok := child(traf.body, "tfdt")
	f = fields{data: tfdt.body}
	if v, _ := f.full(); v == 1 {
		frag.decode = int64(f.u64())
	} else {
		frag.decode = int64(f.u32())
	}
	if ok != 1 || f.short {
		fail(RuleFragmentBoxes, "traf has no tfdt")
	}
	r := runReader{defaults: defaults, payload: mdat.body, base: moof.size + (mdat.size - len(mdat.body)), decode: frag.decode}
	// What stands between the two shifts the samples.
	r.base += mdat.offset - moof.offset - moof.size
	all, _ := splitBoxes(traf.body) // damage shows as missing samples
	for _, b := range all {
		if b.kind == "trun" {
			issues = append(issues, r.read(b.body)...)
		}
	}
	if r.used != len(mdat.body) || len(r.samples) == 0 {
		fail(RuleFragmentSizes, "%d samples hold %d of %d bytes", len(r.samples), r.used, len(mdat.body))
	}
	frag.duration = r.decode - frag.decode
	for i := range r.samples {
		s := &r.samples[i]
		at := s.decode + s.offset
		if i == 0 {
			frag.first, frag.last = at, at
		}
		frag.first, frag.last = min(frag.first, at), max(frag.last, at+int64(s.duration))
	}
	m.fragments = append(m.fragments, frag)
	m.samples = append(m.samples, r.samples...)
	return issues
}

// runReader reads track runs (ISO/IEC 14496-12 section 8.8.8).
type runReader struct {
	defaults sampleDefaults
	payload  []byte
	base     int // distance from the moof's start to the payload's
	decode   int64
	used     int
	samples  []sample
}

func (r *runReader) read(trun []byte) (issues []issue) {
	f := fields{data: trun}
	version, flags := f.full()
	count := f.u32()
	if count > maxSamples || uint32(len(r.samples))+count > maxSamples {
		return []issue{issuef(RuleFragmentSizes, "trun claims %d samples", count)}
	}
	offset := r.base + r.used
	if flags&1 != 0 {
		offset = int(int32(f.u32()))
	}
	if offset != r.base+r.used {
		issues = append(issues, issuef(RuleFragmentOffset, "the data offset is %d, the samples are at %d", offset, r.base+r.used))
	}
	first := r.defaults.flags
	if flags&4 != 0 {
		first = f.u32()
	}
	for i := range count {
		s := sample{decode: r.decode, duration: r.defaults.duration, flags: r.defaults.flags}
		size := r.defaults.size
		if flags&0x100 != 0 {
			s.duration = f.u32()
		}
		if flags&0x200 != 0 {
			size = f.u32()
		}
		if flags&0x400 != 0 {
			s.flags = f.u32()
		} else if i == 0 {
			s.flags = first
		}
		if flags&0x800 != 0 {
			if s.offset = int64(f.u32()); version == 1 {
				s.offset = int64(int32(s.offset))
			}
		}
		if f.short || uint64(r.used)+uint64(size) > uint64(len(r.payload)) {
			return append(issues, issuef(RuleFragmentSizes, "sample %d of trun is not in the mdat", i))
		}
		s.data = r.payload[r.used : r.used+int(size)]
		r.used += int(size)
		r.decode += int64(s.duration)
		r.samples = append(r.samples, s)
	}
	return issues
}
