package directory

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pushcart/relay"
)

var (
	errMoved    = errors.New("the entry is not the one that was expected")
	errNotReady = errors.New("its buckets have not been found yet")
)

// Claim implements relay.Directory. Of two claims at once the bucket takes one only, and the other one is decided again on what
// the first one wrote. It takes two seconds at most. A claim of what this node has already keeps the generation and the secret;
// by the same credential it is answered at once, with or without the cluster.
func (d *Directory) Claim(ctx context.Context, c relay.Claim) (relay.Entry, error) {
	e, err := d.claim(ctx, c)
	outcome := "granted"
	switch {
	case errors.Is(err, errKept):
		outcome, err = "kept", nil
	case errors.Is(err, relay.ErrTaken):
		outcome = "taken"
	case errors.Is(err, relay.ErrStandby):
		outcome = "standby"
	case errors.Is(err, relay.ErrUnreachable):
		outcome = "unreachable"
	case err != nil:
		outcome = "canceled"
	}
	d.metrics.claims.WithLabelValues(outcome).Inc()
	return e, err
}

// errKept marks the answer to a claim of what this node has already.
var errKept = errors.New("kept")

func (d *Directory) claim(ctx context.Context, c relay.Claim) (relay.Entry, error) {
	if err := validClaim(c); err != nil {
		return relay.Entry{}, err
	}
	leave, e, err := d.enter(ctx, c)
	if leave == nil {
		return e, err
	}
	defer leave()
	inner, cancel := context.WithTimeout(ctx, d.opts.pace.claim)
	defer cancel()
	s := d.buckets.streams.Load()
	if s == nil {
		return relay.Entry{}, fmt.Errorf("%w: %w", relay.ErrUnreachable, errNotReady)
	}
	p, rev, known := d.remembered(c.Stream)
	fresh := false
	for {
		refusal := decide(c, p, d.opts.pace)
		if refusal != nil && fresh {
			return relay.Entry{}, refusal
		}
		if refusal == nil && (known || fresh) {
			e := d.draft(c, p.entry)
			seq, err := d.put(inner, e, rev)
			if err == nil {
				d.notify(c.Stream, seq)
				return d.adopt(e, seq, false)
			}
			if !errors.Is(err, errMoved) {
				return relay.Entry{}, d.unreachable(ctx, err)
			}
			if err := pause(inner); err != nil {
				return relay.Entry{}, d.unreachable(ctx, err)
			}
		}
		// What is remembered is only good enough for a try, which the bucket checks. A refusal needs what the bucket has.
		var err error
		if p, rev, err = d.ask(inner, *s, c.Stream); err != nil {
			if refusal != nil && d.vouched(c.Stream) {
				return relay.Entry{}, refusal // its origin is heard of: it is known well enough without a majority
			}
			return relay.Entry{}, d.unreachable(ctx, err)
		}
		fresh = true
	}
}

func validClaim(c relay.Claim) error {
	if !validStream(c.Stream) {
		return fmt.Errorf("the stream %.80q cannot be claimed: its name is not one", c.Stream)
	}
	if len(c.Credential) > maxCredential {
		return fmt.Errorf("the stream %s cannot be claimed: its credential is longer than %d bytes", c.Stream, maxCredential)
	}
	if err := validRegions(c.Regions); err != nil {
		return fmt.Errorf("the stream %s cannot be claimed: %w", c.Stream, err)
	}
	return nil
}

// enter waits for claims of the same stream on this node, and answers a claim of what the node has. leave is nil where the claim
// is answered.
func (d *Directory) enter(ctx context.Context, c relay.Claim) (leave func(), e relay.Entry, err error) {
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, e, fmt.Errorf("%w: this node is stopping", relay.ErrUnreachable)
		}
		if o := d.own[c.Stream]; o != nil && o.entry.Credential == c.Credential {
			o.entry.Live, o.entry.Standby, o.entry.Regions = true, c.Standby, c.Regions
			o.prod()
			e = o.entry
			d.signalLocked()
			d.mu.Unlock()
			return nil, e, errKept
		}
		before := d.claims[c.Stream]
		if before == nil {
			mine := make(chan struct{})
			d.claims[c.Stream] = mine
			d.mu.Unlock()
			return func() {
				d.mu.Lock()
				delete(d.claims, c.Stream)
				d.mu.Unlock()
				close(mine)
			}, e, nil
		}
		d.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, e, ctx.Err()
		}
	}
}

// remembered is what the watch has of a stream; known is false before it has read the list.
func (d *Directory) remembered(stream string) (p present, rev uint64, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.records[stream]
	if r == nil {
		return p, 0, d.synced
	}
	if r.lost.IsZero() {
		rev = r.rev
	}
	return d.presentLocked(r.entry), rev, d.synced
}

// presentLocked adds to an entry what this node knows of its origin and its publisher.
func (d *Directory) presentLocked(e relay.Entry) present {
	now := d.now()
	p := present{entry: e, held: true, gone: d.goneLocked(e.Origin, now)}
	if r := d.records[e.Stream]; !e.Live && r != nil && r.entry.Gen == e.Gen && !r.away.IsZero() {
		p.away = now.Sub(r.away)
	}
	return p
}

// ask reads a stream's entry from the bucket's leader. Of one that was released or has expired, the revision is given and, where
// it is known, the generation.
func (d *Directory) ask(ctx context.Context, s jetstream.Stream, stream string) (p present, rev uint64, err error) {
	m, err := s.GetLastMsgForSubject(ctx, streamsPrefix+stream)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return p, 0, nil
	case err != nil:
		return p, 0, err
	}
	if m.Header.Get(headerOperation) != "" || m.Header.Get(jetstream.MarkerReasonHeader) != "" {
		g, _ := parseGrave(stream, m.Data, d.now())
		p.entry.Gen, p.entry.Origin = g.Gen, g.Origin
		return p, m.Sequence, nil
	}
	e, err := parseEntry(stream, m.Data, d.now())
	if err != nil {
		d.ignored("stream", "malformed")
		return p, m.Sequence, nil // nobody can use it: it is written over
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.presentLocked(e), m.Sequence, nil
}

// vouched tells whether the origin of a stream has been heard lately.
func (d *Directory) vouched(stream string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.records[stream]
	if r == nil {
		return false
	}
	n := d.nodes[r.entry.Origin]
	return n != nil && !n.dead && d.now().Sub(n.seen) < d.opts.pace.node
}

// draft makes the entry of a claim, with a generation above all that are known. Where what the bucket has is this node's already,
// of another publisher, the stream stays where it is: generation and secret are kept.
func (d *Directory) draft(c relay.Claim, present relay.Entry) relay.Entry {
	e := relay.Entry{
		Stream: c.Stream, Origin: d.opts.Self.Name, Region: d.opts.Self.Region, Credential: c.Credential,
		Standby: c.Standby, Live: true, Regions: c.Regions, Secret: make([]byte, secretSize),
	}
	_, _ = rand.Read(e.Secret) // it never fails
	d.mu.Lock()
	defer d.mu.Unlock()
	if o := d.own[c.Stream]; o != nil && present.Origin == e.Origin && present.Gen == o.entry.Gen {
		e.Gen, e.Secret = o.entry.Gen, o.entry.Secret
		return e
	}
	above := max(present.Gen, d.gens[c.Stream], d.minted[c.Stream])
	if r := d.records[c.Stream]; r != nil {
		above = max(above, r.entry.Gen)
	}
	e.Gen = max(d.now().UnixMilli(), above+1)
	return e
}

// put writes an entry if the bucket's is the expected one, whose revision is rev; errMoved if it is not.
func (d *Directory) put(ctx context.Context, e relay.Entry, rev uint64) (uint64, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	m := nats.NewMsg(streamsPrefix + e.Stream)
	m.Data = data
	return d.publish(ctx, m, rev, d.opts.pace.entry)
}

// bury releases an entry: a delete that remembers the generation for a while.
func (d *Directory) bury(ctx context.Context, e relay.Entry, rev uint64) error {
	data, err := json.Marshal(grave{Stream: e.Stream, Origin: e.Origin, Gen: e.Gen})
	if err != nil {
		return err
	}
	m := nats.NewMsg(streamsPrefix + e.Stream)
	m.Header.Set(headerOperation, operationDelete)
	m.Data = data
	seq, err := d.publish(ctx, m, rev, d.opts.pace.grave)
	if err == nil {
		d.notify(e.Stream, seq)
	}
	return err
}

// publish is the one way into the streams' bucket: compare and set.
func (d *Directory) publish(ctx context.Context, m *nats.Msg, rev uint64, ttl time.Duration) (uint64, error) {
	ack, err := d.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(rev), jetstream.WithMsgTTL(ttl),
		jetstream.WithExpectStream("KV_"+streamsBucket))
	if moved(err) {
		return 0, errMoved
	}
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// moved tells whether a write was refused since something else had been written.
func moved(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// unreachable is the error of a claim that got no answer.
func (d *Directory) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w; check that a majority of the core nodes runs", relay.ErrUnreachable, err)
}

// pause keeps those who lost a race from losing the next one together.
func pause(ctx context.Context) error {
	n, _ := rand.Int(rand.Reader, big.NewInt(int64(10*time.Millisecond)))
	t := time.NewTimer(time.Duration(n.Int64()))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Assert makes this node the origin of a stream in its own eyes, after a Claim that failed with relay.ErrUnreachable: it returns
// an entry at once, with a generation above all that this node knows, and brings it into the directory as soon as that takes it.
// A refusal is told by Options.Superseded: when the directory has a generation that is not lower, or a publisher against whom
// the claim would not have been granted. The entry is zero for a claim that Claim would not have taken in any case.
func (d *Directory) Assert(c relay.Claim) relay.Entry {
	if validClaim(c) != nil {
		return relay.Entry{}
	}
	e := d.draft(c, relay.Entry{})
	d.mu.Lock()
	if len(d.minted) >= maxEntries {
		clear(d.minted) // they are behind the clock by now
	}
	d.minted[c.Stream] = e.Gen
	d.mu.Unlock()
	_, _ = d.adopt(e, 0, true) // when this node is stopping there is nobody to tell
	return e
}
