package load

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	// holdBackTargets is how many target durations, or parts, a player stays behind where the playlist does not tell (rfc8216bis
	// 4.4.3.8).
	holdBackTargets = 3
	// unblocked is how long a playlist that cannot be waited for is left alone when it has not changed: half a target duration
	// (6.3.4).
	unblocked = 2
)

// follower follows one rendition as a player does: whole segments or parts until it is at the end, and from then on the part that
// is hinted, and the playlist that has it, both asked for before they are there. It is for one goroutine.
type follower struct {
	*viewer
	number int // of the rendition; 0 leads
	at     Address

	track       *track
	lists       wire // for playlists
	media       wire
	reloading   []byte // path of the playlist that is being waited for
	list        *playlist
	msn         int64 // of what is to come next
	part        int
	took        time.Duration // of that segment, so far
	have        time.Duration // of media, from where the viewer joined on
	init        *file
	hinted      *file // what was hinted and fetched, until the playlist has it
	hintedAt    int64
	hintLost    *file // a hint that did not hold
	waited      waited
	seen        int64 // end of the list before, in parts, to know whether it has changed
	failures    int   // in a row
	reposition  bool  // the position is to be chosen anew, at the end
	sinceReload time.Time
}

// waited is a part that was waited for. Its figures are noted when the next has come: by then whoever looks into it has told when
// its last picture left.
type waited struct {
	file                *file
	sent, got, reloaded int64
}

// run follows until the stream has ended, which is true, or ctx has, or too much has failed.
func (f *follower) run(ctx context.Context) (ended bool) {
	f.lists, f.media = f.wire(ctx), f.wire(ctx)
	defer f.lists.close()
	defer f.media.close()
	defer f.note()
	var err error
	if f.track, err = f.lib.track(f.at); err != nil {
		f.figures.Load().fail(kindOf(err))
		return false
	}
	for ctx.Err() == nil {
		ended, err := f.step(ctx)
		switch {
		case ended:
			f.finished(f.number)
			return true
		case err == nil:
			f.failures = 0
			continue
		case ctx.Err() != nil:
			return false
		}
		f.figures.Load().fail(kindOf(err))
		f.failures++
		f.list = nil // it may be old when the next try comes
		if !f.pause(ctx, f.failures) {
			return false
		}
	}
	return false
}

// step does one round: the playlist when there is none, then what it has, then what is to come.
func (f *follower) step(ctx context.Context) (ended bool, err error) {
	if f.list == nil {
		if err := f.load(); err != nil {
			return false, err
		}
	}
	for {
		more, err := f.next(ctx)
		if err != nil {
			return false, err
		}
		if !more {
			break
		}
		f.failures = 0
	}
	if f.list.ended {
		return true, nil
	}
	switch {
	case f.list.canBlock:
		return false, f.wait(ctx)
	default:
		return false, f.poll(ctx)
	}
}

// load gets the whole playlist, and chooses where to begin the first time.
func (f *follower) load() error {
	begin := f.now()
	a, err := fetch(f.lists, f.at, 0, 0, true, true)
	if err != nil {
		return err
	}
	if a.URL != nil {
		f.at = *a.URL
	}
	if err := f.checked(&a, "playlist", begin); err != nil {
		return err
	}
	list, err := f.track.playlist(f.at, a)
	if err != nil {
		return err
	}
	if list.skipped {
		return fmt.Errorf("%w: a delta update that was not asked for", errPlaylist)
	}
	f.figures.Load().playlists.Add(1)
	f.sinceReload = a.At
	first := f.list == nil && f.msn == 0 && f.have == 0
	f.list = list
	if !first && f.msn > f.listEnd()+1 {
		// The origin has begun to count anew.
		f.figures.Load().jumps.Add(1)
		f.reposition = true
	}
	if first || f.reposition {
		f.choosePosition(first)
	}
	return nil
}

// holdBack is how far behind the end a player stays, and how much it wants to resume.
func (f *follower) holdBack() (hold, resume time.Duration) {
	p := f.list
	if p.partTarget > 0 {
		hold, resume = p.partHoldBack, p.partTarget
		if hold == 0 {
			hold = holdBackTargets * p.partTarget
		}
		return hold, resume
	}
	if hold = p.holdBack; hold == 0 {
		hold = holdBackTargets * p.target
	}
	return hold, min(p.target, hold)
}

// choosePosition goes to the last place that is as far behind the end as a player has to be, and at which decoding can begin.
func (f *follower) choosePosition(first bool) {
	p := f.list
	hold, resume := f.holdBack()
	var end time.Duration
	for i := range p.list {
		end += p.list[i].duration
	}
	goal := max(0, end-hold)
	f.msn, f.part, f.took = p.first, 0, 0
	var at, start time.Duration
	for i := range p.list {
		s := &p.list[i]
		if at <= goal && (s.complete || len(s.parts) > 0) {
			f.msn, f.part, start, f.took = p.first+int64(i), 0, at, 0
		}
		within := at
		for n, part := range s.parts {
			if within <= goal && part.independent && p.partTarget > 0 {
				f.msn, f.part, start, f.took = p.first+int64(i), n, within, within-at
			}
			within += part.duration
		}
		at += s.duration
	}
	f.reposition = false
	if first {
		// What lies before the place where playing begins does not fill the buffer.
		f.have = start - goal
		f.joined(f.number, min(hold, max(end, p.target)), resume)
		return
	}
	// A player that seeks to the end has an empty buffer there: what it has not got is not counted.
	f.hinted, f.hintLost = nil, nil
}

// next fetches what the playlist has next. It is false at the playlist's end.
func (f *follower) next(ctx context.Context) (bool, error) {
	p := f.list
	i := f.msn - p.first
	if i < 0 {
		if !p.skipped {
			f.figures.Load().jumps.Add(1)
			f.reposition = true
		}
		return true, f.load()
	}
	if i >= int64(len(p.list)) {
		return false, nil
	}
	s := &p.list[i]
	if s.init != nil && !s.init.is(f.init) {
		if err := f.fetch(s.init, false); err != nil {
			return false, err
		}
		f.init = s.init
	}
	switch {
	case f.part < len(s.parts) && (f.part > 0 || !s.complete || f.hinted != nil && f.hinted.is(s.parts[0].file)):
		return true, f.takePart(&s.parts[f.part])
	case !s.complete:
		return false, nil
	case f.part > 0 && f.part == len(s.parts):
		// The segment is there, in parts.
		f.msn, f.part, f.took = f.msn+1, 0, 0
		return true, nil
	}
	// A whole segment, or the rest of one whose parts are not listed any more.
	if !s.gap && s.file != nil {
		if err := f.fetch(s.file, true); err != nil {
			return false, err
		}
	}
	f.have += s.duration - min(f.took, s.duration)
	f.credit(f.number, f.lib.since(f.now()), f.have)
	f.msn, f.part, f.took = f.msn+1, 0, 0
	return true, ctx.Err()
}

// takePart takes a part that is listed, which may have been fetched already.
func (f *follower) takePart(p *listedPart) error {
	at := f.hintedAt
	if f.hinted == nil || !f.hinted.is(p.file) {
		if !p.gap && p.file != nil {
			if err := f.fetch(p.file, true); err != nil {
				return err
			}
		}
		at = f.lib.since(f.now())
	}
	f.hinted = nil
	f.took += p.duration
	f.have += p.duration
	f.part++
	f.credit(f.number, at, f.have)
	return nil
}

// fetch gets a file that is there.
func (f *follower) fetch(what *file, media bool) error {
	begin := f.now()
	look := media && what.claimed.CompareAndSwap(false, true)
	a, err := fetch(f.media, what.at, what.from, what.size, false, look)
	if err == nil {
		err = f.got(what, &a, look, begin)
	}
	return err
}

// got counts a file that has come, and looks into it where nobody else does.
func (f *follower) got(what *file, a *Answer, look bool, begin time.Time) error {
	if err := f.checked(a, "media", begin); err != nil {
		return err
	}
	if a.Page {
		return errNotMedia
	}
	if what.size > 0 && a.Size != what.size {
		return errRange
	}
	f.figures.Load().parts.Add(1)
	what.arrived(f.lib.since(a.At))
	if !look {
		return nil
	}
	if f.lib.stamps != nil {
		if left := f.lib.stamps.last(a.Body); left != 0 {
			what.left.Store(left)
		}
	}
	if !looksLikeMedia(a.Body) && !f.list.encrypted {
		return errNotMedia
	}
	return nil
}

// looksLikeMedia tells whether bytes begin as a segment does: of MP4 (a box of a few kinds), of MPEG-TS, or packed audio (rfc8216bis
// 3.1).
func looksLikeMedia(b []byte) bool {
	if len(b) >= 8 {
		switch string(b[4:8]) {
		case "styp", "moof", "sidx", "emsg", "prft", "ftyp", "moov", "free", "skip", "mdat", "uuid":
			return true
		}
	}
	return len(b) > 0 && b[0] == 0x47 || bytes.HasPrefix(b, []byte("ID3")) || len(b) > 1 && b[0] == 0xFF && b[1]&0xF0 == 0xF0 ||
		bytes.HasPrefix(b, []byte("WEBVTT"))
}

// wait asks for the playlist with what comes next, and for the part that is hinted, and takes both when they are there.
func (f *follower) wait(ctx context.Context) error {
	p := f.list
	blocked := f.at
	blocked.Path = f.waitingPath()
	hint := p.hint
	if p.partTarget == 0 || hint.is(f.hinted) || hint.is(f.hintLost) {
		hint = nil
	}
	begin := f.now()
	if err := f.lists.ask(blocked, 0, 0, true); err != nil {
		return err
	}
	var failed error
	if hint != nil {
		failed = f.waitForPart(hint, f.lib.since(begin))
	}
	a, err := follow(f.lists, blocked, 0, 0, true, true)
	if err == nil {
		err = f.checked(&a, "playlist", time.Time{})
	}
	if err != nil {
		return err
	}
	list, err := f.track.playlist(f.at, a)
	if err != nil {
		return err
	}
	f.figures.Load().playlists.Add(1)
	if hint != nil && f.waited.file == hint {
		f.waited.reloaded = f.lib.since(a.At)
	}
	f.list, f.sinceReload = list, a.At
	if failed != nil {
		return failed
	}
	if !f.listed() && !list.ended {
		// The same again at once would be a flood.
		f.figures.Load().fail(errBehind.Error())
		sleep(ctx, max(50*time.Millisecond, p.partTarget/unblocked))
	}
	return nil
}

// waitForPart asks for a part that is to come.
func (f *follower) waitForPart(hint *file, sent int64) error {
	look := hint.claimed.CompareAndSwap(false, true)
	a, err := fetch(f.media, hint.at, hint.from, hint.size, false, look)
	if err != nil {
		return err
	}
	f.figures.Load().hints.Add(1)
	if a.Status == http.StatusNotFound || a.Status == http.StatusGone {
		// The segment has ended before it.
		f.figures.Load().lost.Add(1)
		f.hintLost = hint
		return nil
	}
	if err := f.got(hint, &a, look, time.Time{}); err != nil {
		return err
	}
	f.hinted, f.hintedAt = hint, f.lib.since(a.At)
	f.note()
	f.waited = waited{file: hint, sent: sent, got: f.hintedAt}
	return nil
}

// listed tells whether the playlist has something that is still to be fetched.
func (f *follower) listed() bool {
	i := f.msn - f.list.first
	if i < 0 {
		return true
	}
	if i >= int64(len(f.list.list)) {
		return false
	}
	s := &f.list.list[i]
	return s.complete || f.part < len(s.parts)
}

// waitingPath is the playlist's with the directives that ask for what comes next (rfc8216bis 6.2.5.2).
func (f *follower) waitingPath() string {
	b := append(f.reloading[:0], f.at.Path...)
	sep := byte('?')
	if bytes.IndexByte(b, '?') >= 0 {
		sep = '&'
	}
	b = append(b, sep)
	b = append(b, "_HLS_msn="...)
	b = strconv.AppendInt(b, f.msn, 10)
	if f.list.partTarget > 0 {
		b = append(b, "&_HLS_part="...)
		b = strconv.AppendInt(b, int64(f.part), 10)
	}
	if f.list.skipUntil > 0 {
		b = append(b, "&_HLS_skip=YES"...)
	}
	f.reloading = b
	return string(b)
}

// poll gets the playlist again when it is time to (rfc8216bis 6.3.4).
func (f *follower) poll(ctx context.Context) error {
	every := f.list.target
	if f.list.partTarget > 0 {
		every = f.list.partTarget
	} else if f.listEnd() == f.seen {
		every /= unblocked
	}
	f.seen = f.listEnd()
	if !sleep(ctx, max(50*time.Millisecond, every-f.now().Sub(f.sinceReload))) {
		return nil
	}
	return f.load()
}

func (f *follower) listEnd() int64 { return f.list.first + int64(len(f.list.list)) }

// note adds the part that was waited for before to the figures.
func (f *follower) note() {
	w := f.waited
	f.waited = waited{}
	if w.file == nil || f.number != 0 {
		return
	}
	all := f.figures.Load()
	from, first := w.file.left.Load(), w.file.first.Load()
	if from != 0 {
		// It counts from when the picture left, even where the request was sent later: who asks late was answered late before.
		all.added.add(time.Duration(w.got - from))
		if w.sent > from {
			all.late.Add(1)
		}
	} else {
		from = first
	}
	all.behind.add(time.Duration(w.got - first))
	if due := w.file.due.Load(); due != 0 {
		all.dated.add(time.Duration(w.got - due))
	}
	if w.reloaded != 0 {
		all.reload.add(time.Duration(w.reloaded - from))
	}
}
