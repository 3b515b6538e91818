package node_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pushcart/internal/auth"
	"pushcart/internal/auth/playback"
	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// actor is somebody who comes.
type actor struct {
	name   string
	prefix string // of a signed address
	header map[string]string
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// TestAccess is all that is asked of a node by many, one thing after the other: each begins with a show that is live.
func TestAccess(t *testing.T) {
	t.Parallel()
	n := guarded(t)
	t.Run("every route and actor", func(t *testing.T) { everyRouteAndActor(t, n) })
	t.Run("signed tour", func(t *testing.T) { signedTour(t, n) })
	t.Run("whose streams", func(t *testing.T) { whoseStreams(t, n) })
	t.Run("reload", func(t *testing.T) { playbackReload(t, n) })
}

// everyRouteAndActor asks for every route as everybody who may come.
func everyRouteAndActor(t *testing.T, n *guardedNode) {
	keys, err := playback.NewKeys([]playback.Key{{ID: "k1", Secret: playSecret}})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(stream string, left time.Duration) string {
		text, err := keys.Sign(playback.Token{Stream: stream, Expires: time.Now().Add(left)})
		if err != nil {
			t.Fatal(err)
		}
		return playback.Prefix + text
	}
	const (
		nobody, wrong, viewer, producer, other, adm, publisher = "nobody", "a wrong token", "a viewer", "the producer", "another's producer", "an admin", "the publisher"
		signed, expired, another, cdn                          = "a signed address", "one that has expired", "one for another stream", "the CDN"
	)
	actors := []actor{
		{name: nobody}, {name: wrong, header: bearer("some-wrong-token")},
		{name: viewer, header: bearer(viewersToken)}, {name: producer, header: bearer(producerToken)},
		{name: other, header: bearer(otherToken)}, {name: adm, header: bearer(adminToken)}, {name: publisher, header: bearer(firstKey)},
		{name: signed, prefix: sign("show", time.Hour)}, {name: expired, prefix: sign("show", -time.Hour)}, {name: another, prefix: sign("sho", time.Hour)},
		{name: cdn, header: map[string]string{"Pushcart-CDN": cdnSecret}},
	}
	// want is what an actor gets: 0 is one of the route's own answers.
	want := func(e *entry, a *actor) int {
		if a.prefix != "" {
			switch {
			case e.operator:
				return http.StatusNotFound
			case !e.below:
				return http.StatusNotFound
			case e.need == everybody, a.name == signed:
				return 0
			case a.name == expired:
				return http.StatusUnauthorized
			}
			return http.StatusForbidden
		}
		roles := map[string]auth.Role{viewer: auth.Viewer, producer: auth.Producer, adm: auth.Admin}
		operates := func(role auth.Role) int {
			switch have, ok := roles[a.name]; {
			case !ok:
				return http.StatusUnauthorized
			case !have.Covers(role):
				return http.StatusForbidden
			}
			return 0
		}
		switch e.need {
		case everybody, nowhere:
			return 0
		case media:
			if a.name == cdn {
				return 0
			}
		case about:
			if _, ok := roles[a.name]; ok || a.name == publisher {
				return 0
			}
		case known:
			if a.name == other {
				return 0
			}
			return operates(auth.Viewer)
		case reads:
			return operates(auth.Viewer)
		case runs:
			return operates(auth.Producer)
		case admin:
			return operates(auth.Admin)
		case streamKey:
			if a.name == publisher {
				return 0
			}
		}
		return http.StatusUnauthorized
	}
	// While one is being made there is no other: the answer comes at once, and not after half a minute.
	if err := pprof.StartCPUProfile(io.Discard); err == nil {
		defer pprof.StopCPUProfile()
	}
	asked := 0
	for _, e := range table() {
		for _, a := range actors {
			asked++
			status, body := n.ask(t, &e, &a, asked)
			wanted := want(&e, &a)
			if good := wanted == status || wanted == 0 && slices.Contains(e.ok, status); !good {
				t.Errorf("%s as %s: %d, want %d or, where that is 0, one of %v: %.200s", e.ask, a.name, status, wanted, e.ok, body)
			}
		}
	}
}

// guardedNode is a node of a cluster with a show, on which everything is on.
type guardedNode struct {
	*testkit.Node
	client *http.Client
}

func guarded(t *testing.T) *guardedNode {
	t.Helper()
	n := fleetOf(t, func(c *config.Config) {
		c.Playback.Keys = []config.PlaybackKey{{ID: "k1", Secret: playSecret}}
		c.Playback.Open = []string{"open-*"}
		c.HTTP.CDNSecrets = []config.Secret{cdnSecret}
		c.HTTP.TrustedProxies = []string{"127.0.0.0/8"}
		c.Studio.Tokens = []config.Token{
			{Stream: "show", Token: viewersToken, Role: "viewer"}, {Stream: "show", Token: producerToken}, {Stream: "other", Token: otherToken}, {Stream: "*", Token: adminToken},
		}
		c.WHIP.UDPAddress = "127.0.0.1:0"
	}, "eu")["eu"]
	air(t, n, firstKey)
	g := &guardedNode{n, &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(g.client.CloseIdleConnections)
	testkit.Eventually(t, "the show is there", func() bool {
		list := entry{ask: "GET /live/show/audio.m3u8"}
		status, _ := g.ask(t, &list, &actor{header: map[string]string{"Pushcart-CDN": cdnSecret}}, 0)
		return status == http.StatusOK
	})
	return g
}

// ask sends a request. Each comes from an address of its own, so that wrong tokens do not add up.
func (n *guardedNode) ask(t *testing.T, e *entry, a *actor, number int) (status int, body string) {
	t.Helper()
	method, path, _ := strings.Cut(e.ask, " ")
	port := "http"
	if e.operator {
		port = "admin"
	}
	r, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://%s%s%s", n.Address(port), a.prefix, path), strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	if e.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", number/250, number%250+1))
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	res, err := n.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Errorf("%s as %s: %v", e.ask, a.name, err)
	}
	return res.StatusCode, string(text)
}

// signedTour goes where a player goes below a signed address: what it finds on the way leads on, and the bytes are those that
// everybody gets.
func signedTour(t *testing.T, n *guardedNode) {
	keys, err := playback.NewKeys([]playback.Key{{ID: "k1", Secret: playSecret}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Sign(playback.Token{Stream: "show", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	signed := actor{prefix: playback.Prefix + text}
	inside := actor{header: map[string]string{"Pushcart-CDN": cdnSecret}}
	get := func(path string) string {
		t.Helper()
		e := entry{ask: "GET " + path}
		status, body := n.ask(t, &e, &signed, 1)
		if status != http.StatusOK {
			t.Fatalf("%s below a signed address: %d %.200s", path, status, body)
		}
		if status, _ := n.ask(t, &e, &actor{}, 2); status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", path, status)
		}
		return body
	}
	const folder = "/live/show/"
	master := get(folder + "index.m3u8")
	followed := 0
	var media string
	for line := range strings.Lines(master) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		if strings.HasPrefix(line, "/") || strings.Contains(line, "://") || strings.Contains(line, "..") {
			t.Errorf("%s leads out of the signed address", line)
		}
		media = get(folder + line)
		followed++
	}
	if followed == 0 {
		t.Fatalf("the playlist leads nowhere:\n%s", master)
	}
	for _, uri := range uris(media) {
		if strings.HasPrefix(uri, "/") || strings.Contains(uri, "://") {
			t.Errorf("%s leads out of the signed address", uri)
			continue
		}
		e := entry{ask: "GET " + folder + uri}
		status, bytesOf := n.ask(t, &e, &signed, 3)
		_, plain := n.ask(t, &e, &inside, 4)
		if status != http.StatusOK || bytesOf != plain {
			t.Errorf("%s: %d, and the same bytes: %v", uri, status, bytesOf == plain)
		}
		if followed++; followed > 12 {
			break
		}
	}
	if page := func() string { e := entry{ask: "GET /watch/show"}; _, b := n.ask(t, &e, &signed, 5); return b }(); strings.Contains(page, "og:image") &&
		!strings.Contains(page, signed.prefix+"/live/show/poster.jpg") {
		t.Errorf("what other sites show of the page has no token:\n%.600s", page)
	}
}

// uris are those in a media playlist.
func uris(playlist string) (all []string) {
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if _, rest, ok := strings.Cut(line, `URI="`); ok && !strings.Contains(line, "PRELOAD-HINT") {
			uri, _, _ := strings.Cut(rest, `"`)
			all = append(all, uri)
		} else if line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

// TestPlaybackReload: keys and open streams change without a restart.
func playbackReload(t *testing.T, n *guardedNode) {
	e := entry{ask: "GET /live/show/index.m3u8"}
	expect := func(what string, want int) {
		t.Helper()
		if status, _ := n.ask(t, &e, &actor{}, 1); status != want {
			t.Errorf("%s: %d, want %d", what, status, want)
		}
	}
	expect("at first", http.StatusUnauthorized)
	base := testkit.Config(nil)
	change := func(keys []config.PlaybackKey, open ...string) {
		c := *base
		c.Playback.Keys, c.Playback.Open = keys, open
		n.Reload(&c)
	}
	key := []config.PlaybackKey{{ID: "k1", Secret: playSecret}}
	change(key, "sh*")
	expect("open", http.StatusOK)
	change(key)
	expect("closed again", http.StatusUnauthorized)
	change([]config.PlaybackKey{{ID: "k1", Secret: "short"}})
	expect("with a key that cannot be used, all stays as it was", http.StatusUnauthorized)
	change(nil)
	expect("without keys", http.StatusOK)
}

// TestWhoseStreams: the list of streams names those alone that whoever asks may know of.
func whoseStreams(t *testing.T, n *guardedNode) {
	var group sync.WaitGroup
	for token, want := range map[string]bool{"": false, "some-wrong-token": false, otherToken: false, viewersToken: true, producerToken: true, adminToken: true, firstKey: true} {
		group.Go(func() {
			e, a := entry{ask: "GET /api/v1/streams"}, actor{header: bearer(token)}
			if _, body := n.ask(t, &e, &a, 1); strings.Contains(body, `"show"`) != want {
				t.Errorf("the list with the token %q: %.300s", token, body)
			}
		})
	}
	group.Wait()
}
