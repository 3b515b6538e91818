package directory

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Buckets and the subjects of their keys, as NATS' key-value stores name them.
const (
	streamsBucket = "pushcart_streams"
	nodesBucket   = "pushcart_nodes"
	cardsBucket   = "pushcart_cards"

	streamsPrefix = "$KV." + streamsBucket + "."
	nodesPrefix   = "$KV." + nodesBucket + "."
	cardsPrefix   = "$KV." + cardsBucket + "."
)

// Most that a bucket takes, in bytes: of memory, for those of streams and nodes each, and of files for cards.
const (
	memoryBucket = 16 << 20
	cardsBytes   = 512 << 20
)

// shelf has the buckets once they were found.
type shelf struct {
	streams, cards atomic.Pointer[jetstream.Stream]
}

// bucket is a key-value store with a history of one. It is made as a stream, because the key-value API has reads answered by
// any replica, and the ones here are to come from the leader.
func bucket(name string, replicas int) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: "KV_" + name, Subjects: []string{"$KV." + name + ".>"},
		MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxConsumers: -1, Duplicates: 2 * time.Second,
		Storage: jetstream.MemoryStorage, Replicas: replicas, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowMsgTTL: true,
		MaxMsgSize: maxRecord + 4<<10, MaxBytes: memoryBucket,
	}
	switch name {
	case streamsBucket:
		c.Description, c.SubjectDeleteMarkerTTL = "Who is the origin of which stream.", time.Minute
	case nodesBucket:
		c.Description, c.SubjectDeleteMarkerTTL = "Signs of life of nodes.", 5*time.Second
	case cardsBucket:
		c.Description, c.SubjectDeleteMarkerTTL = "Last known state of each stream's cards.", time.Minute
		c.Storage, c.MaxMsgSize, c.MaxBytes = jetstream.FileStorage, -1, cardsBytes
		c.Discard, c.MaxAge = jetstream.DiscardOld, 7*24*time.Hour
	}
	return c
}

// furnish finds the buckets or makes them, and makes them anew when they are gone.
func (d *Directory) furnish(ctx context.Context) {
	began := d.now()
	var told time.Time
	tick := time.NewTicker(d.opts.pace.retry)
	defer tick.Stop()
	for ctx.Err() == nil {
		err := d.furnishOnce(ctx)
		now := d.now()
		switch {
		case err == nil:
			if !told.IsZero() {
				d.log.Info("the directory is there", "waited", now.Sub(began).Round(time.Millisecond))
				told = time.Time{}
			}
			if !d.rest(ctx) {
				return
			}
			began = d.now()
			continue
		case ctx.Err() != nil:
			return
		case now.Sub(began) >= 2*time.Second && (told.IsZero() || now.Sub(told) >= 10*time.Second):
			told = now
			// NATS elects its first leader with all votes, since a node without a past may have lost it.
			what := "waiting for a majority of core nodes, for all of them at their first start: "
			if d.opts.Mode == External {
				what = fmt.Sprintf("waiting for the directory, which needs JetStream with %d MiB of memory and %d MiB of files: ",
					2*memoryBucket>>20, cardsBytes>>20)
			} else if d.opts.Mode == Core && d.cores() >= len(d.opts.Cores) {
				what = "waiting for the core nodes to agree on a leader: "
			}
			d.log.Warn(what+d.reachable(), "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// rest waits until the buckets may be in need of care: the directory is sick, or they have too few replicas.
func (d *Directory) rest(ctx context.Context) bool {
	tick := time.NewTicker(d.opts.pace.check)
	defer tick.Stop()
	grown := d.now()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if healthy, _ := d.Healthy(); !healthy {
			return true
		}
		if d.opts.Mode == External && d.opts.Replicas > 1 && d.now().Sub(grown) >= time.Minute {
			grown = d.now()
			d.grow(ctx)
		}
	}
}

// furnishOnce has every bucket there, or says which could not be had and why.
func (d *Directory) furnishOnce(ctx context.Context) error {
	for _, b := range []struct {
		name string
		to   *atomic.Pointer[jetstream.Stream]
	}{{nodesBucket, nil}, {streamsBucket, &d.buckets.streams}, {cardsBucket, &d.buckets.cards}} {
		s, err := d.have(ctx, b.name)
		if err != nil {
			return fmt.Errorf("bucket %s: %w", b.name, err)
		}
		if b.to != nil {
			b.to.Store(&s)
		}
	}
	return nil
}

// have finds a bucket or makes it. Leaf nodes leave that to core nodes.
func (d *Directory) have(ctx context.Context, name string) (jetstream.Stream, error) {
	// Before there is a leader nobody answers.
	look, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	s, err := d.js.Stream(look, "KV_"+name)
	if err == nil || !errors.Is(err, jetstream.ErrStreamNotFound) || d.opts.Mode == Leaf {
		return s, err
	}
	ctx, cancel = context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	s, err = d.js.CreateStream(ctx, bucket(name, d.opts.Replicas))
	if err == nil {
		return s, nil
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return d.js.Stream(ctx, "KV_"+name) // another node was quicker
	}
	// The operator's NATS may have one server only, or not all of them now; grow adds the replicas when it can.
	if d.opts.Mode == External && d.opts.Replicas > 1 && tooFew(err) {
		d.log.Warn("NATS has too few servers for as many replicas: the directory is on one of them", "bucket", name, "replicas", d.opts.Replicas)
		return d.js.CreateStream(ctx, bucket(name, 1))
	}
	return nil, err
}

// tooFew tells whether a bucket could not be made since there are too few servers for its replicas.
func tooFew(err error) bool {
	var api *jetstream.APIError
	const noPeers, notClustered = 10005, 10074
	return errors.As(err, &api) && (api.ErrorCode == noPeers || api.ErrorCode == notClustered)
}

// grow gives buckets the replicas that they could not have at first.
func (d *Directory) grow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, name := range []string{nodesBucket, streamsBucket, cardsBucket} {
		s, err := d.js.Stream(ctx, "KV_"+name)
		if err != nil || s.CachedInfo().Config.Replicas >= d.opts.Replicas {
			continue
		}
		c := s.CachedInfo().Config
		c.Replicas = d.opts.Replicas
		if _, err := d.js.UpdateStream(ctx, c); err == nil {
			d.log.Info("the directory has all its replicas", "bucket", name, "replicas", c.Replicas)
		} else {
			d.log.Debug("a bucket could not be given its replicas yet", "bucket", name, "error", err)
		}
	}
}
