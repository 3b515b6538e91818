package e2e

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// audience is the viewers of a stream behind a cache.
type audience struct {
	*atlas
	base   string // folder of the stream
	cache  string // its name, for what is wrong
	client *http.Client

	mu sync.Mutex // guards what follows
	// parts and playlists are answers by what the cache says of them, such as HIT; refused are answers without success, and
	// requests without an answer.
	parts, playlists, refused map[string]int
	// reached is the position that the cache has under an address and a coding. What a node answers to one whom the cache had wait for too
	// long is not kept, and may be newer.
	reached map[string][2]int64
	// news are positions in the order in which the first viewer had them.
	news []news
	all  []*behind
	// ages are how old bare playlists were: how long another viewer had had the position behind theirs.
	ages []time.Duration
}

type news struct {
	at   [2]int64
	when time.Time
}

// behind is one viewer.
type behind struct {
	*audience
	rendition string
	coding    string // gzip, or none

	seen map[string]bool

	mu    sync.Mutex // guards what follows
	high  [2]int64
	last  time.Time
	stall time.Duration // the longest time without news
	first map[[2]int64]time.Time
}

// newAudience makes an audience of nobody yet.
func newAudience(t *testing.T, cache, url, stream string) *audience {
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 1000}
	t.Cleanup(tr.CloseIdleConnections)
	return &audience{atlas: newAtlas(), cache: cache, base: url + "/live/" + stream + "/", client: &http.Client{Transport: tr},
		parts: map[string]int{}, playlists: map[string]int{}, refused: map[string]int{}, reached: map[string][2]int64{}}
}

// watch has so many viewers watch a rendition until stop.
func (a *audience) watch(t *testing.T, viewers int, rendition string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for i := range viewers {
		v := &behind{audience: a, rendition: rendition, seen: map[string]bool{}, last: time.Now(), high: [2]int64{-1, -1},
			first: map[[2]int64]time.Time{}}
		if i%5 != 0 { // browsers all want it
			v.coding = "gzip"
		}
		a.all = append(a.all, v)
		group.Go(func() { v.run(ctx) })
	}
	stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
	})
	t.Cleanup(stop)
	return stop
}

// join has somebody ask for the playlist as it is, again and again, as those do who join, until stop.
func (a *audience) join(t *testing.T, rendition string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	v := &behind{audience: a, rendition: rendition, coding: "gzip", high: [2]int64{-1, -1}, first: map[[2]int64]time.Time{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(70 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				v.playlist(ctx, "")
			}
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// run plays: it waits for the next playlist, and at the same time for the part that is hinted at.
func (v *behind) run(ctx context.Context) {
	var l *testkit.Playlist
	for ctx.Err() == nil {
		if l == nil {
			if l = v.playlist(ctx, ""); l == nil {
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
			v.begin(l)
		}
		msn, part := l.Next()
		hint := l.Hint
		if v.seen[hint] {
			hint = ""
		}
		var media sync.WaitGroup
		if hint != "" {
			media.Go(func() { v.part(ctx, hint, true) })
			v.seen[hint] = true
		}
		next := v.playlist(ctx, fmt.Sprintf("?_HLS_msn=%d&_HLS_part=%d", msn, part))
		media.Wait()
		if next != nil {
			for _, ref := range v.listed(next) {
				v.seen[ref] = true
				v.part(ctx, ref, false)
			}
		}
		l = next
	}
}

// begin has the viewer begin near the end: what is before the last three parts is not fetched.
func (v *behind) begin(l *testkit.Playlist) {
	all := v.listed(l)
	for _, ref := range all[:max(0, len(all)-3)] {
		v.seen[ref] = true
	}
}

// listed are the parts of a playlist that were not fetched yet.
func (v *behind) listed(l *testkit.Playlist) (all []string) {
	for i := range l.Segments {
		for _, p := range l.Segments[i].Parts {
			if !p.Gap && !v.seen[p.URI] {
				all = append(all, p.URI)
			}
		}
	}
	return all
}

// part fetches a part. A hint that does not hold, since the segment ended before it, is none.
func (v *behind) part(ctx context.Context, ref string, hinted bool) {
	status, header, body, err := v.get(ctx, ref, "")
	switch {
	case ctx.Err() != nil:
	case err == nil && status == http.StatusOK:
		v.note(v.names, v.cache, ref, body, false)
		v.count(v.audience.parts, header.Get("X-Cache"))
	case err == nil && status == http.StatusNotFound && hinted:
		v.count(v.refused, "a hint did not hold")
	default:
		v.count(v.refused, fmt.Sprint("part: ", status, " ", err))
	}
}

func (a *audience) count(in map[string]int, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	in[what]++
}

// playlist gets one and holds it to what was asked for, and to what was there before.
func (v *behind) playlist(ctx context.Context, query string) *testkit.Playlist {
	ref := v.rendition + ".m3u8" + query
	kept := ref + " " + v.coding // two documents to a cache: who asks for one never gets the other
	v.audience.mu.Lock()
	floor, sent := v.reached[kept], time.Now()
	v.audience.mu.Unlock()
	status, header, body, err := v.get(ctx, ref, v.coding)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil || status != http.StatusOK {
		v.count(v.refused, fmt.Sprint("playlist: ", status, " ", err))
		return nil
	}
	l := testkit.ParsePlaylist(string(body))
	msn, part := l.Next()
	at := [2]int64{msn, int64(part)}
	var asked [2]int64
	if n, _ := fmt.Sscanf(query, "?_HLS_msn=%d&_HLS_part=%d", &asked[0], &asked[1]); n == 2 && slices.Compare(at[:], asked[:]) <= 0 {
		v.fail("%s: whoever asks for part %v of %s gets a playlist in which %v comes next", v.cache, asked, v.rendition, at)
	}
	// What the cache had before this was asked for bounds it.
	if slices.Compare(at[:], floor[:]) < 0 {
		v.fail("%s: %s goes back from %v to %v", v.cache, kept, floor, at)
	}
	v.arrived(kept, at, sent, header.Get("X-Cache"), query == "")
	return l
}

// arrived takes note of a playlist.
func (v *behind) arrived(kept string, at [2]int64, sent time.Time, how string, bare bool) {
	now := time.Now()
	v.audience.mu.Lock()
	v.playlists[how]++
	if before := v.reached[kept]; slices.Compare(at[:], before[:]) > 0 && (bare || how == "HIT") {
		v.reached[kept] = at
	}
	if bare {
		// The first position beyond this one that somebody had makes it old.
		for _, n := range v.news {
			if slices.Compare(n.at[:], at[:]) > 0 {
				v.ages = append(v.ages, max(0, sent.Sub(n.when)))
				break
			}
		}
	}
	if n := len(v.news); n == 0 || slices.Compare(at[:], v.news[n-1].at[:]) > 0 {
		v.news = append(v.news, news{at, now})
	}
	v.audience.mu.Unlock()

	v.mu.Lock()
	defer v.mu.Unlock()
	switch c := slices.Compare(at[:], v.high[:]); {
	case c < 0 && !bare:
		v.fail("%s: a viewer of %s goes back from %v to %v", v.cache, v.rendition, v.high, at)
	case c > 0:
		if v.high[0] >= 0 {
			v.stall = max(v.stall, now.Sub(v.last))
		}
		v.high, v.last = at, now
		v.first[at] = now
	}
}

// get asks the cache.
func (v *behind) get(ctx context.Context, ref, coding string) (int, http.Header, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+ref, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	if coding != "" {
		req.Header.Set("Accept-Encoding", coding)
	}
	res, err := v.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	body := io.Reader(res.Body)
	if res.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(res.Body); err != nil {
			return 0, nil, nil, err
		}
	}
	b, err := io.ReadAll(body)
	return res.StatusCode, res.Header, b, err
}
