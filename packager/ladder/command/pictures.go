package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pushcart/internal/stream"
)

// near is how far the size of a publisher's own track may be from a rung's to stand for it.
const near = 0.12

// withinCap is how far above its cap a frame rate may be: 5 %, so that no frame of 30 is dropped for 29.97, or the other way
// round.
const withinCap = 1.05

// mostPoster is a poster's width, or the height of a portrait's, in pixels.
const mostPoster = 640

// picturePlan is a plan's side of pictures while it is made.
type picturePlan struct {
	*Plan
	tracks []*stream.Track
	source *stream.Track
	size   size
	rungs  []Rung
	job    PictureJob
}

// pictures plans the rungs of video, the conversion and the poster.
func (p *Plan) pictures(tracks []*stream.Track, l *Ladder, opt PlanOptions) {
	source := sourceOf(tracks)
	if source == nil {
		return
	}
	q := &picturePlan{
		Plan: p, tracks: tracks, source: source, size: displayed(source), rungs: l.video(),
		job: PictureJob{Source: source, Mode: l.mode()},
	}
	if q.size.short() < leastPicture {
		if len(q.rungs) > 0 || opt.Convert && !playable(source.Codec) {
			q.note("Nothing is made of the video: its size is not known, or less than %d pixels.", leastPicture)
		}
		return
	}
	if opt.Convert && !playable(source.Codec) {
		q.convert()
	}
	for i, r := range q.rungs {
		q.rung(stream.FirstRung+1+i, r)
	}
	q.keepOne()
	q.noteColors()
	q.poster(opt.Poster)
	if len(q.job.Outputs) > 0 || q.job.Poster != nil {
		p.Picture = &q.job
	}
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// sourceOf is the publisher's track of video with the most pixels, the first of several.
func sourceOf(tracks []*stream.Track) *stream.Track {
	var best *stream.Track
	for _, t := range tracks {
		if t.Rung != "" || !t.Video() {
			continue
		}
		if best == nil {
			best = t
			continue
		}
		more := displayed(t).pixels() - displayed(best).pixels()
		if more > 0 || more == 0 && t.ID < best.ID {
			best = t
		}
	}
	return best
}

// playable tells whether browsers play a codec of video in HLS.
func playable(c stream.Codec) bool { return c == stream.H264 || c == stream.HEVC || c == stream.AV1 }

// convert plans the output that stands in for a source that nobody can play: at its size, with the bit rate and the rest of a
// rung of that size where there is one.
func (q *picturePlan) convert() {
	s := q.size.fitted(stream.H264, rate(q.source.FrameRate))
	if s.short() < leastPicture || !s.fits(stream.H264, rate(q.source.FrameRate)) {
		q.note("The source is %s, which not all browsers play in HLS, and H.264 has no pictures of the shape of %dx%d.",
			q.source.Codec, q.size.w, q.size.h)
		return
	}
	r := Rung{Lines: s.short(), Bitrate: usualBitrate(s, q.source.FrameRate), Codec: stream.H264}
	r.Name = r.name()
	for _, asked := range q.rungs {
		if in, larger := asked.in(s); !larger && in == s && asked.Codec == stream.H264 {
			r = asked
			break
		}
	}
	q.note("The source is %s, which not all browsers play in HLS: %s of %dx%d in H.264 stands in for it.",
		q.source.Codec, r.Name, s.w, s.h)
	if s != q.size {
		q.note("%s is smaller than the source: H.264 has no pictures of %dx%d.", r.Name, q.size.w, q.size.h)
	}
	o := q.output(stream.FirstRung, r, s)
	o.StandsIn = true
	q.job.Outputs = append(q.job.Outputs, o)
}

// output is a rung made of the source in a size.
func (q *picturePlan) output(id int, r Rung, s size) Output {
	o := Output{Rung: r, Track: id, Width: s.w, Height: s.h, FrameRate: known(q.source.FrameRate)}
	if r.FrameRate > 0 && (o.FrameRate == 0 || o.FrameRate > r.FrameRate*withinCap) {
		o.Capped, o.FrameRate = true, r.FrameRate
	}
	o.Color, o.ToneMapped = outputColor(q.source, r.Codec)
	return o
}

// rung plans one rung of the ladder, or says why there is none.
func (q *picturePlan) rung(id int, r Rung) {
	s, larger := r.in(q.size)
	o := q.output(id, r, s)
	same := func(made Output) bool { return made.Rung.Name == r.Name }
	switch {
	case larger:
		q.note("Rung %s is left out: the source has only %dx%d.", r.Name, q.size.w, q.size.h)
	case slices.ContainsFunc(q.job.Outputs, same):
		// The conversion is this rung.
	case s == q.size && r.Codec == q.source.Codec && known(q.source.FrameRate) <= r.capped() && everywhere(q.source):
		// The source is this rung, untouched.
	case q.sent(r, s) != nil:
		t := q.sent(r, s)
		q.note("Rung %s is left out: the publisher sends %dx%d himself.", r.Name, t.Width, t.Height)
	case s.short() < leastPicture:
		q.note("Rung %s is left out: %dx%d is too small for encoders.", r.Name, s.w, s.h)
	case !s.fits(r.Codec, rate(o.FrameRate)):
		q.note("Rung %s is left out: %dx%d is more than %s decoders take.", r.Name, s.w, s.h, r.Codec)
	default:
		q.job.Outputs = append(q.job.Outputs, o)
	}
}

// capped is the highest frame rate of a source that is within the rung's cap.
func (r Rung) capped() float64 {
	if r.FrameRate == 0 {
		return mostTrack
	}
	return r.FrameRate * withinCap
}

// sent is the publisher's own track that stands for a rung; nil when there is none. It is not the source, which is larger.
func (q *picturePlan) sent(r Rung, s size) *stream.Track {
	for _, t := range q.tracks {
		if t.ID == q.source.ID || t.Rung != "" || t.Codec != r.Codec {
			continue
		}
		has, wanted := float64(displayed(t).short()), float64(s.short())
		if max(has, wanted) <= min(has, wanted)*(1+near) && known(t.FrameRate) <= r.capped() {
			return t
		}
	}
	return nil
}

// keepOne makes the least of the rungs of a source that nobody can play the last to go, where no conversion is.
func (q *picturePlan) keepOne() {
	n := len(q.job.Outputs)
	if n > 0 && !playable(q.source.Codec) && !q.job.Outputs[0].StandsIn {
		q.job.Outputs[n-1].StandsIn = true
	}
}

// noteColors says which rungs do not look like the source.
func (q *picturePlan) noteColors() {
	var mapped []string
	for _, o := range q.job.Outputs {
		if o.ToneMapped {
			mapped = append(mapped, o.Rung.Name)
		}
	}
	if len(mapped) > 0 {
		q.note("The source is HDR (%s): it is tone-mapped to SDR for %s.", q.source.Color.Range(), strings.Join(mapped, ", "))
	}
}

// poster plans the poster.
func (q *picturePlan) poster(every time.Duration) {
	if every <= 0 {
		return
	}
	s := q.size
	if s.long() > mostPoster {
		s = s.scaled(float64(s.short()) * mostPoster / float64(s.long()))
	}
	q.job.Poster = &Poster{Every: every, Width: s.w, Height: s.h}
}

// decimals writes a number for ffmpeg: short, without an exponent.
func decimals(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
