package child

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Progress is what ffmpeg said last about its work (-progress, ffmpeg's manual, "Main options"; fftools/ffmpeg.c,
// print_report). It tells every half second, or as -stats_period has it. What it does not know is zero.
type Progress struct {
	// Reports is how many reports have come; 0 is none yet.
	Reports int
	// Frames is how many pictures the first output with pictures has.
	Frames int64
	// FPS is Frames per second, over the child's whole life.
	FPS float64
	// Speed is the media time made per time gone by, over the child's whole life: 1 is as fast as the media play.
	Speed float64
	// Dropped and Duplicated are frames that ffmpeg left out and repeated to get a constant frame rate.
	Dropped, Duplicated int64
	// OutTime is how far the outputs are. With -copyts it is a timestamp, not a duration.
	OutTime time.Duration
	// Ended says that the report is the last one: ffmpeg has finished its outputs.
	Ended bool
}

// mostProgressLine is the longest line of a report that is looked at, in bytes.
const mostProgressLine = 256

// progressReader takes the reports. A report is lines of key=value; the one with the key progress ends it.
type progressReader struct {
	split lineSplitter // used by write's goroutine alone, like next
	next  Progress

	mu   sync.Mutex
	last Progress // guarded by mu
}

func newProgressReader() *progressReader {
	return &progressReader{split: lineSplitter{most: mostProgressLine}}
}

// write takes a piece of the reports.
func (p *progressReader) write(b []byte) { p.split.feed(b, p.add) }

// get returns the last report that is whole.
func (p *progressReader) get() Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// add takes one line.
func (p *progressReader) add(line []byte) {
	k, v, ok := bytes.Cut(line, []byte("="))
	if !ok {
		return
	}
	value := strings.TrimSpace(string(v)) // "speed=   0x"
	switch n := &p.next; string(k) {
	case "frame":
		n.Frames = count(value)
	case "fps":
		n.FPS = ratio(value)
	case "speed":
		n.Speed = ratio(strings.TrimSuffix(value, "x"))
	case "drop_frames":
		n.Dropped = count(value)
	case "dup_frames":
		n.Duplicated = count(value)
	case "out_time_us", "out_time_ms": // both are microseconds; the first is not there before version 4
		n.OutTime = microseconds(value)
	case "progress":
		p.publish(value == "end")
	}
}

// publish makes the report that is now whole the last one.
func (p *progressReader) publish(ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next.Reports = p.last.Reports + 1
	p.next.Ended = ended
	p.last, p.next = p.next, Progress{}
}

// count reads a number that is not negative; what is none, such as "N/A", is 0.
func count(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// ratio reads a number that is not negative; what is none, such as "N/A", is 0.
func ratio(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || f < 0 {
		return 0
	}
	return f
}

// microseconds reads a time; what is none, or fits into no time.Duration, is 0.
func microseconds(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
