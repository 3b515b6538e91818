package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"pushcart/internal/load"
)

const (
	relayStreams = 20
	relayIdle    = 10 * time.Second // how soon a copy that nobody watches is given up
	giga         = 1e9
)

// relayRow measures a hop from node to node: how much later parts are at a peer than at their origin, what the two nodes' CPU
// time for it is against a plain copy of the same parts over the same TLS, and what memory copies take. What an origin does
// without copies is taken off: another one, with as many streams and no peer, is measured at the same time, and so is the plain
// copy. What else the machine does disturbs all of them alike.
func relayRow(ctx context.Context, o options) ([]row, error) {
	p, err := startPair(ctx, o.binary)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	alone, err := load.Resident(p.peer.PID())
	if err != nil {
		return nil, err
	}
	ahead := fullWindow
	if o.quick {
		ahead = 30 * time.Second
	}
	loads := []*load.Process{}
	for _, n := range []*node{p.control, p.origin} {
		l, err := publishAll(ctx, n.RTMP, relayStreams, ahead)
		if err != nil {
			return nil, err
		}
		defer l.Stop()
		if err := n.live(ctx, relayStreams); err != nil {
			return nil, err
		}
		loads = append(loads, l)
	}
	parts, err := p.partSizes()
	if err != nil {
		return nil, err
	}
	idle, wall, err := measure(ctx, p.peer.PID(), o.seconds)
	if err != nil {
		return nil, err
	}
	p.idleCores = idle.Seconds() / wall.Seconds()
	plain, rate, err := plainCopy(ctx, parts)
	if err != nil {
		return nil, err
	}
	defer plain.Stop()
	defer p.demand(ctx)()
	if err := p.copies(ctx, relayStreams); err != nil {
		return nil, err
	}
	if err := p.settled(ctx); err != nil {
		return nil, err
	}
	var ratios, perGB, plainGB, origins, peers, half, most, memory samples
	for turn := range o.turns() {
		c, err := p.cost(ctx, o, plain)
		if err != nil {
			return nil, err
		}
		share, err := p.memory(alone)
		if err != nil {
			return nil, err
		}
		late, err := p.hop(ctx, o.seconds)
		if err != nil {
			return nil, err
		}
		for _, l := range append(loads, plain) {
			if err := l.Alive(); err != nil {
				return nil, err
			}
		}
		perGB.add((c.origin + c.peer) / (c.bytes / giga))
		plainGB.add(c.plain / (rate / giga))
		ratios.add(perGB[turn] / plainGB[turn])
		origins.add(c.origin / relayStreams * 100)
		peers.add(c.peer / relayStreams * 100)
		half.add(late.quantile(0.5))
		most.add(late.quantile(0.99))
		memory.add(share)
		progress("relay %d/%d: %d parts, p50 %.2f ms, p99 %.2f ms later; %.2f s of CPU per GB, a plain copy %.2f; memory %.2f of the window",
			turn+1, o.turns(), len(late), half[turn], most[turn], perGB[turn], plainGB[turn], share)
	}
	return []row{
		figure(fmt.Sprintf("A part at the peer after the origin, %d streams copied, p50", relayStreams), half, " ms", 5, atMost),
		figure("  p99", most, " ms", 20, atMost),
		figure("CPU of both nodes per relayed GB, against a plain TLS copy", ratios, "", 1.5, atMost),
		figure("  both nodes", perGB, " s/GB", 0, shown),
		figure("  the plain copy, both ends", plainGB, " s/GB", 0, shown),
		figure("  a copied stream at its origin, of one core", origins, " %", 0, shown),
		figure("  a copied stream at the peer, of one core", peers, " %", 0, shown),
		figure("Memory of copies, against the origin's media", memory, "", 0, shown),
	}, nil
}

// pair is a node and its peer in another region, and a node like the origin that has no peer.
type pair struct {
	origin, peer, control *node
	// idleCores is what the peer uses while it copies nothing.
	idleCores float64
}

// startPair starts a cluster of two and waits until each knows the other, and a cluster of one.
func startPair(ctx context.Context, binary string) (p *pair, err error) {
	at, err := freeAddresses(7)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(scratch, "cluster-")
	if err != nil {
		return nil, err
	}
	p = &pair{}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	common := func(folder, name, relay string, more ...string) []string {
		return append(more, "PUSHCART_NODE_NAME="+name, "PUSHCART_CLUSTER_REGION="+name, "PUSHCART_CLUSTER_DIRECTORY="+folder,
			"PUSHCART_CLUSTER_DEVELOPMENT=true", "PUSHCART_CLUSTER_ADDRESS="+relay, "PUSHCART_CLUSTER_ADVERTISE="+relay,
			"PUSHCART_RELAY_IDLE="+relayIdle.String())
	}
	core := func(folder string, at []string) (*node, error) {
		return startNode(ctx, binary, common(folder, "here", at[0],
			"PUSHCART_CLUSTER_CORE="+at[1], "PUSHCART_CLUSTER_LISTEN_NATS="+at[1], "PUSHCART_CLUSTER_LISTEN_LEAF="+at[2])...)
	}
	if p.origin, err = core(folder, at[:3]); err != nil {
		return p, err
	}
	if p.control, err = core(filepath.Join(folder, "control"), at[3:6]); err != nil {
		return p, err
	}
	if p.peer, err = startNode(ctx, binary, common(folder, "there", at[6], "PUSHCART_CLUSTER_LEAF_OF="+at[2])...); err != nil {
		return p, err
	}
	return p, load.Until(ctx, load.StartTimeout, "the two nodes to know each other", func() (bool, error) {
		for _, n := range []*node{p.origin, p.peer} {
			for _, series := range []string{"pushcart_directory_healthy", "pushcart_directory_peers"} {
				if v, err := n.metric(series); err != nil || v != 1 {
					return false, err
				}
			}
		}
		return true, nil
	})
}

func (p *pair) stop() {
	for _, n := range []*node{p.peer, p.control, p.origin} {
		if n != nil {
			n.Stop()
		}
	}
}

// freeAddresses are loopback addresses that nobody listens on.
func freeAddresses(n int) (all []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all are held until the last is found, so that they differ
		all = append(all, l.Addr().String())
	}
	return all, nil
}

// pairCost is what copying took, in cores, and what went from one node to the other, in bytes a second.
type pairCost struct{ origin, peer, plain, bytes float64 }

// cost measures for a while.
func (p *pair) cost(ctx context.Context, o options, plain *load.Process) (c pairCost, err error) {
	if o.profiles != "" {
		defer p.origin.profile(o.profiles, "relay-origin", o.seconds)()
		defer p.peer.profile(o.profiles, "relay-peer", o.seconds)()
	}
	var begin, end [5]float64
	read := func(v *[5]float64) error {
		for i, pid := range []int{p.origin.PID(), p.control.PID(), p.peer.PID(), plain.PID()} {
			used, err := load.CPUTime(pid)
			if err != nil {
				return err
			}
			v[i] = used.Seconds()
		}
		v[4], err = p.origin.metric("pushcart_relay_sent_bytes_total")
		return err
	}
	if err := read(&begin); err != nil {
		return c, err
	}
	from := time.Now()
	if err := load.Pause(ctx, o.seconds); err != nil {
		return c, err
	}
	if err := read(&end); err != nil {
		return c, err
	}
	wall := time.Since(from).Seconds()
	used := func(i int) float64 { return (end[i] - begin[i]) / wall }
	return pairCost{origin: used(0) - used(1), peer: used(2) - p.idleCores, plain: used(3), bytes: used(4)}, nil
}

// demand has somebody look at each stream at the peer now and then, so that it is copied, until stop.
func (p *pair) demand(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			for i := range relayStreams {
				// The first ones are told to come again: whether the copies are there is looked at elsewhere.
				_, _, _ = get(p.peer.HTTP, "/live/"+streamName(i)+"/video.m3u8")
			}
			_ = load.Pause(ctx, relayIdle/2)
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// copies waits until the peer copies so many streams.
func (p *pair) copies(ctx context.Context, want int) error {
	return load.Until(ctx, relayIdle+load.StartTimeout, fmt.Sprintf("%d copied streams", want), func() (bool, error) {
		v, err := p.peer.metric("pushcart_relay_copies")
		return int(v) == want, err
	})
}

// settled waits until the copies have all older media, too.
func (p *pair) settled(ctx context.Context) error {
	const series = "pushcart_relay_sent_backfill_bytes_total"
	last, since := -1., time.Now()
	return load.Until(ctx, 3*load.StartTimeout, "whole copies", func() (bool, error) {
		v, err := p.origin.metric(series)
		if err != nil || v != last {
			last, since = v, time.Now()
		}
		return time.Since(since) > 2*time.Second, err
	})
}

// memory is by how much the peer has grown since it had nothing, against the media in the origin's windows.
func (p *pair) memory(alone int64) (float64, error) {
	window, err := p.origin.metric("pushcart_window_bytes")
	if err != nil {
		return 0, err
	}
	now, err := load.Resident(p.peer.PID())
	return float64(now-alone) / window, err
}

// partSizes are those of a stream's parts, by rendition, as they lie at the origin.
func (p *pair) partSizes() (all [][]int, err error) {
	for _, rendition := range []string{"video", "audio"} {
		b, _, err := get(p.origin.HTTP, "/live/"+streamName(0)+"/"+rendition+".m3u8")
		if err != nil {
			return nil, err
		}
		var sizes []int
		for line := range strings.Lines(string(b)) {
			_, rest, ok := strings.Cut(line, `URI="`)
			uri, _, _ := strings.Cut(rest, `"`)
			if !ok || !strings.HasPrefix(line, "#EXT-X-PART:") {
				continue
			}
			media, _, err := get(p.origin.HTTP, "/live/"+streamName(0)+"/"+uri)
			if err != nil {
				return nil, err
			}
			sizes = append(sizes, len(media))
		}
		if len(sizes) < 10 {
			return nil, fmt.Errorf("%s has only %d parts", rendition, len(sizes))
		}
		all = append(all, sizes)
	}
	return all, nil
}
