package directory

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A node that has written an entry tells all others, with the number that the bucket gave it: pushcart.node.NAME.wrote. That is a
// hint and no more: who has not had the change from its watch a moment later asks the bucket. So nobody depends on the one
// server that feeds its watch, and who has been taken over is known as soon as the bucket has it.
type notice struct {
	Stream string `json:"stream"`
	Rev    uint64 `json:"rev"`
}

const (
	noticeToken = "wrote"
	maxNotice   = 256 // bytes
	// maxHints is of how many streams hints are remembered at once, maxInquiries how many are asked about at once, maxTries how
	// often about one hint. Tries are further and further apart, up to maxWait.
	maxHints     = 1024
	maxInquiries = 8
	maxTries     = 12
	maxWait      = 2 * time.Second
	// maxSweepAsks are the streams without an origin that the bucket is asked about with each sign of life.
	maxSweepAsks = 16
)

// hint is a stream that the bucket may have something new of. Directory.mu guards it.
type hint struct {
	rev   uint64 // that is known to have been written; 0 is none
	due   time.Time
	tries int
	busy  bool // the bucket is being asked
}

// notify tells the others that the bucket has something new.
func (d *Directory) notify(stream string, rev uint64) {
	data, err := json.Marshal(notice{Stream: stream, Rev: rev})
	if err != nil {
		return
	}
	if err := d.nc.Publish(subject(d.opts.Self.Name, noticeToken), data); err != nil {
		d.log.Debug("the others could not be told of an entry", "stream", stream, "error", err)
	}
}

// parseNotice reads what another node tells.
func parseNotice(data []byte) (n notice, ok bool) {
	if len(data) > maxNotice || json.Unmarshal(data, &n) != nil {
		return notice{}, false
	}
	return n, validStream(n.Stream) && n.Rev > 0
}

// noticed takes what another node tells.
func (d *Directory) noticed(m *nats.Msg) {
	if strings.TrimSuffix(strings.TrimPrefix(m.Subject, "pushcart.node."), "."+noticeToken) == d.opts.Self.Name {
		return
	}
	n, ok := parseNotice(m.Data)
	if !ok {
		d.ignored("notice", "malformed")
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n.Rev > d.seen {
		d.wonderLocked(n.Stream, n.Rev, d.now().Add(d.opts.pace.grace))
	}
}

// wonderLocked has the bucket asked about a stream.
func (d *Directory) wonderLocked(stream string, rev uint64, due time.Time) {
	switch h := d.hints[stream]; {
	case h != nil:
		if rev > h.rev {
			h.rev, h.tries = rev, 0
		}
		if due.Before(h.due) {
			h.due = due
		}
	case len(d.hints) >= maxHints:
		d.ignored("notice", "too_many")
	default:
		d.hints[stream] = &hint{rev: rev, due: due}
	}
}

// silentLocked tells whether a node has missed signs of life.
func (d *Directory) silentLocked(name string, now time.Time) bool {
	n := d.nodes[name]
	return name != d.opts.Self.Name && (n == nil || n.dead || now.Sub(n.seen) >= 5*d.opts.pace.beat/2)
}

// inquire asks the bucket about what was hinted at and what the watch has not given.
func (d *Directory) inquire(ctx context.Context) {
	tick := time.NewTicker(d.opts.pace.grace)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, maxInquiries)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := d.buckets.streams.Load()
		if s == nil {
			continue
		}
		for _, stream := range d.due() {
			select {
			case <-ctx.Done():
				return
			case room <- struct{}{}:
			}
			wg.Go(func() {
				defer func() { <-room }()
				d.inquireOf(ctx, *s, stream)
			})
		}
	}
}

// due picks the streams that are to be asked about now, and forgets hints that the watch has answered.
func (d *Directory) due() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []string
	now := d.now()
	for stream, h := range d.hints {
		r := d.records[stream]
		switch {
		case h.busy:
		case h.rev > 0 && (h.rev <= d.seen || r != nil && h.rev <= r.rev):
			delete(d.hints, stream)
		case !now.Before(h.due):
			h.busy = true
			list = append(list, stream)
		}
	}
	return list
}

// inquireOf asks the bucket about one stream.
func (d *Directory) inquireOf(ctx context.Context, s jetstream.Stream, stream string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	m, err := s.GetLastMsgForSubject(ctx, streamsPrefix+stream)
	var rev uint64
	switch {
	case err == nil:
		rev = m.Sequence
		d.apply(updateOf(stream, m))
	case errors.Is(err, jetstream.ErrMsgNotFound):
		err = nil
		d.mu.Lock()
		d.lostLocked(stream, d.now())
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.hints[stream]
	if h == nil {
		return
	}
	h.busy = false
	h.tries++
	// Of a change that expired meanwhile nothing is left, and a leader may need a moment for what it has not applied yet.
	if err == nil && rev >= h.rev || h.tries >= maxTries {
		delete(d.hints, stream)
		return
	}
	h.due = d.now().Add(min(d.opts.pace.grace<<h.tries, maxWait))
}
