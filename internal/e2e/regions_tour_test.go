package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// tour is a viewer of one rendition on one node, who takes every playlist and every part, and goes on asking whatever happens.
type tour struct {
	a         *atlas
	node      string
	base      string // folder of the stream on the node
	rendition string
	client    *http.Client
	plain     bool // only playlists, no media

	mu      sync.Mutex           // guards what follows
	arrived map[string]time.Time // when a position was there first, by "MSN.PART"
	listed  map[string]bool      // media that a playlist told of
	last    time.Time
	stall   time.Duration // the longest time without anything new
	stallAt time.Time
	errors  map[string]int
	newest  *testkit.Playlist
	high    [2]int64 // position
	ended   bool
}

// tours are viewers of several nodes.
type tours struct {
	*atlas
	all  []*tour
	stop func()
}

// viewersOf sends viewers of some renditions to nodes until stop, or the test's end.
func viewersOf(t *testing.T, a *atlas, stream string, renditions []string, nodes ...*testkit.ClusterNode) *tours {
	t.Helper()
	return viewersAs(t, a, stream, renditions, false, nodes...)
}

func viewersAs(t *testing.T, a *atlas, stream string, renditions []string, plain bool, nodes ...*testkit.ClusterNode) *tours {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := &tours{atlas: a}
	var group sync.WaitGroup
	for _, n := range nodes {
		tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
		t.Cleanup(tr.CloseIdleConnections)
		for _, r := range renditions {
			v := &tour{a: a, node: n.Name, base: n.HTTP + "/live/" + stream + "/", rendition: r, client: &http.Client{Transport: tr}, plain: plain, last: time.Now(),
				arrived: map[string]time.Time{}, listed: map[string]bool{}, errors: map[string]int{}, high: [2]int64{-1, -1}}
			g.all = append(g.all, v)
			group.Go(func() { v.run(ctx) })
		}
	}
	g.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
	})
	t.Cleanup(g.stop)
	return g
}

// run follows the playlist.
func (v *tour) run(ctx context.Context) {
	query := ""
	for i := 0; ctx.Err() == nil; i++ {
		l := v.reload(ctx, query)
		if l == nil {
			query = ""
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if l.Ended {
			v.mu.Lock()
			v.ended = true
			v.mu.Unlock()
			return
		}
		msn, part := l.Next()
		query = fmt.Sprintf("?_HLS_msn=%d&_HLS_part=%d", msn, part)
		// The same state as a delta update, of which there are two kinds.
		if i%4 == 1 && !v.plain {
			v.delta(ctx, l, "YES")
		} else if i%4 == 3 && !v.plain {
			v.delta(ctx, l, "v2")
		}
	}
}

// requestTime bounds a request: a node may let it wait for three target durations.
const requestTime = 8 * time.Second

// get fetches something; ok is false, and the error noted, where that fails.
func (v *tour) get(ctx context.Context, ref string) (body []byte, etag string, ok bool) {
	inner, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	status, header, body, err := testkit.Get(inner, v.client, v.base+ref)
	if ctx.Err() != nil {
		return nil, "", false
	}
	why := ""
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		why = "no answer"
	case err != nil:
		why = "no connection"
	case status != http.StatusOK:
		why = fmt.Sprint(status)
	default:
		return body, header.Get("Etag"), true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.errors[why]++
	return nil, "", false
}

// reload gets a playlist, notes it, and takes what is new in it.
func (v *tour) reload(ctx context.Context, query string) *testkit.Playlist {
	body, etag, ok := v.get(ctx, v.rendition+".m3u8"+query)
	if !ok {
		return nil
	}
	now := time.Now()
	v.a.note(v.a.tips, v.node, v.rendition+" "+etag, body, true)
	l := testkit.ParsePlaylist(string(body))
	v.take(l, now)
	if v.plain {
		return l
	}
	for _, ref := range v.unseen(l) {
		if media, _, ok := v.get(ctx, ref); ok {
			v.a.note(v.a.names, v.node, ref, media, false)
			v.mu.Lock()
			v.listed[ref] = true
			v.mu.Unlock()
		}
	}
	return l
}

// take notes what a playlist has got to.
func (v *tour) take(l *testkit.Playlist, now time.Time) {
	msn, part := l.Next()
	at := [2]int64{msn, int64(part)}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch slices.Compare(at[:], v.high[:]) {
	case -1:
		v.a.fail("%s: %s goes back from %v to %v", v.node, v.rendition, v.high, at)
	case 1:
		if v.newest != nil {
			if gap := now.Sub(v.last); gap > v.stall {
				v.stall, v.stallAt = gap, now
			}
		}
		v.last, v.high = now, at
		v.arrived[fmt.Sprint(msn, ".", part)] = now
	}
	v.newest = l
}

// unseen lists the media of a playlist that were not fetched yet: initialisation, segments, parts.
func (v *tour) unseen(l *testkit.Playlist) (all []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	add := func(ref string) {
		if ref != "" && !v.listed[ref] && !slices.Contains(all, ref) {
			all = append(all, ref)
		}
	}
	for i := range l.Segments {
		g := &l.Segments[i]
		add(g.Map)
		for _, p := range g.Parts {
			if !p.Gap {
				add(p.URI)
			}
		}
		if !g.Gap && g.Complete {
			add(g.URI)
		}
	}
	return all
}

// delta gets the present state as an update to what is known.
func (v *tour) delta(ctx context.Context, l *testkit.Playlist, kind string) {
	last := l.Last()
	if last == nil {
		return
	}
	body, etag, ok := v.get(ctx, fmt.Sprintf("%s.m3u8?_HLS_msn=%d&_HLS_part=%d&_HLS_skip=%s", v.rendition, last.MSN, max(0, len(last.Parts)-1), kind))
	if ok {
		v.a.note(v.a.tips, v.node, v.rendition+" "+kind+" "+etag, body, true)
	}
}

// position is how far the viewer has got.
func (v *tour) position() (at [2]int64, l *testkit.Playlist) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.high, v.newest
}

// of are the viewers on a node.
func (g *tours) of(node string) (all []*tour) {
	for _, v := range g.all {
		if v.node == node {
			all = append(all, v)
		}
	}
	return all
}

// reach waits until all viewers have a segment with a number, or more.
func (g *tours) reach(t *testing.T, msn int64) {
	t.Helper()
	g.wait(t, time.Now().Add(sometime), msn)
}

// on waits until all viewers have got some segments further than the furthest of them is now.
func (g *tours) on(t *testing.T, segments int64) {
	t.Helper()
	deadline := time.Now().Add(sometime + time.Duration(segments)*time.Second)
	g.wait(t, deadline, 0)
	far := int64(0)
	for _, v := range g.all {
		at, _ := v.position()
		far = max(far, at[0])
	}
	g.wait(t, deadline, far+segments)
}

// wait waits until all viewers are at a segment, or further.
func (g *tours) wait(t *testing.T, deadline time.Time, msn int64) {
	t.Helper()
	for _, v := range g.all {
		for {
			if at, _ := v.position(); at[0] >= msn {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("not all viewers got to segment %d:\n%s", msn, g.where())
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-t.Context().Done():
				return
			}
		}
	}
}

// where tells how far everybody is.
func (g *tours) where() string {
	var b strings.Builder
	for _, v := range g.all {
		v.mu.Lock()
		fmt.Fprintf(&b, "%s %s: %v, last news %.1f s ago, errors %v\n", v.node, v.rendition, v.high, time.Since(v.last).Seconds(), v.errors)
		v.mu.Unlock()
	}
	return b.String()
}

// tell prints what each node's viewers had to wait for, and what failed.
func (g *tours) tell(t *testing.T) {
	t.Helper()
	for _, v := range g.all {
		v.mu.Lock()
		t.Logf("%s %s: %d positions, %d media; longest time without news %.2f s; errors %v", v.node, v.rendition, len(v.arrived), len(v.listed), v.stall.Seconds(), v.errors)
		v.mu.Unlock()
	}
}

// forget starts to measure stalls anew.
func (g *tours) forget() {
	for _, v := range g.all {
		v.mu.Lock()
		v.stall = 0
		v.mu.Unlock()
	}
}

// longest is the longest stall of the viewers of a node since forget.
func (g *tours) longest(node string) (d time.Duration) {
	for _, v := range g.of(node) {
		v.mu.Lock()
		d = max(d, v.stall)
		v.mu.Unlock()
	}
	return d
}

// everywhere wants all media between two segments that any node's playlists listed to be had from all nodes. What a viewer did not
// get around to is asked for now.
func (g *tours) everywhere(t *testing.T, stream string, nodes []*testkit.ClusterNode, from, to int64) {
	t.Helper()
	type missed struct {
		name string
		node *testkit.ClusterNode
	}
	var all []missed
	had := 0
	g.atlas.mu.Lock()
	for name, c := range g.names {
		if msn, ok := numberOf(name); ok && msn >= from && msn < to {
			had++
			for _, n := range nodes {
				if !c.nodes[n.Name] {
					all = append(all, missed{name, n})
				}
			}
		}
	}
	g.atlas.mu.Unlock()
	for _, m := range all {
		g.note(g.names, m.node.Name, m.name, bodyOf(t, m.node.HTTP+"/live/"+stream+"/"+m.name, http.StatusOK), false)
	}
	t.Logf("%d media of segments %d to %d were had from each of %v, %d only when all was over", had, from, to, namesOf(nodes), len(all))
	if had == 0 {
		t.Error("nothing was compared")
	}
}

// numberOf is the media sequence number in a media name, RENDITION/GEN-MSN.m4s or RENDITION/GEN-MSN.PART.m4s.
func numberOf(name string) (msn int64, ok bool) {
	_, file, _ := strings.Cut(name, "/")
	var gen int64
	n, _ := fmt.Sscanf(file, "%d-%d", &gen, &msn)
	return msn, n == 2
}

// later is by how much later positions were there on a node than on another one, sorted.
func (g *tours) later(node, than, rendition string) (all []time.Duration) {
	var a, b *tour
	for _, v := range g.all {
		if v.rendition == rendition && v.node == node {
			a = v
		}
		if v.rendition == rendition && v.node == than {
			b = v
		}
	}
	if a == nil || b == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for at, when := range a.arrived {
		if first, ok := b.arrived[at]; ok {
			all = append(all, when.Sub(first))
		}
	}
	slices.Sort(all)
	return all
}
