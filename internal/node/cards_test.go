package node_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// client of a node's viewers' side.
type client struct {
	t    *testing.T
	base string
	http http.Client
}

func clientOf(t *testing.T, n *testkit.Node) *client {
	return &client{t: t, base: n.HTTP(), http: http.Client{Timeout: 20 * time.Second}}
}

// ask returns the status and the body; header has the token's.
func (c *client) ask(method, path, body, token string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const cards = "/api/v1/streams/show/cards"

// TestCardsOutliveTheNode: what was acknowledged is there after a restart, and so are the key and the token.
func TestCardsOutliveTheNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	change := func(c *config.Config) {
		c.Data.Directory = dir
		c.Cards.Hosts = []string{"shop.example.com"}
	}
	n := testkit.Start(t, change)
	c := clientOf(t, n)
	file := filepath.Join(dir, "operator.token")
	if !n.Log.Has("token is in a file", file) {
		t.Errorf("the log does not name the token's file:\n%s", n.Log)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(text))
	if n.Log.Has(token) {
		t.Error("the log has the token")
	}
	if status, body := c.ask("PUT", cards+"/lamp", `{"id":"lamp","name":"Lamp","url":"https://shop.example.com/lamp"}`, token); status != http.StatusCreated {
		t.Fatalf("%d %s", status, body)
	}
	if status, body := c.ask("PUT", "/api/v1/streams/show/slots/main", `{"card":"lamp"}`, token); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	_, keys := c.ask("GET", "/.well-known/jwks.json", "", "")
	_, document := c.ask("GET", "/live/show/cards/lamp/1.json", "", "")
	n.Stop()

	c = clientOf(t, testkit.Start(t, change))
	if status, body := c.ask("GET", "/api/v1/streams/show/slots", "", token); status != http.StatusOK || !strings.Contains(body, `"lamp"`) {
		t.Errorf("%d %s", status, body)
	}
	if _, again := c.ask("GET", "/.well-known/jwks.json", "", ""); again != keys || !strings.Contains(keys, "Ed25519") {
		t.Errorf("the keys were %s and are %s", keys, again)
	}
	if _, again := c.ask("GET", "/live/show/cards/lamp/1.json", "", ""); again != document || !strings.HasPrefix(document, `{"id":"lamp","rev":1`) {
		t.Errorf("the document was %s and is %s", document, again)
	}
}

// TestNodeWithoutDataFolder: it starts, says what to do, and media work; commands are refused with 507.
func TestNodeWithoutDataFolder(t *testing.T) {
	t.Parallel()
	file := testkit.WriteFile(t, "file", "")
	for _, tokens := range [][]config.Token{{{Stream: "show", Token: "operators-token"}}, nil} {
		n := testkit.Start(t, func(c *config.Config) {
			c.Data.Directory = filepath.Join(file, "data")
			c.Studio.Tokens = tokens
		})
		if !n.Log.Has("level=ERROR", "THE DATA FOLDER CANNOT BE WRITTEN", "data.directory") {
			t.Errorf("it does not say so:\n%s", n.Log)
		}
		c := clientOf(t, n)
		for _, method := range []string{"GET", "PUT"} {
			status, body := c.ask(method, cards, "[]", "operators-token")
			var p struct{ Reason, Detail string }
			if err := json.Unmarshal([]byte(body), &p); err != nil || status != http.StatusInsufficientStorage || p.Reason != "storage" || p.Detail == "" {
				t.Errorf("%s: %d %s", method, status, body)
			}
		}
		video, audio := testkit.Pictures(t), testkit.Sound(t)
		p := testkit.Publish(t, n.RTMP(), "show")
		p.Configure(0, video, audio)
		if err := p.Play(t.Context(), testkit.Script{Video: video, Audio: audio, To: 3 * time.Second}); err != nil {
			t.Fatal(err)
		}
		testkit.NewViewer(t, n.Master("show")).Join()
		if status, body := c.ask("GET", "/api/v1/streams/show", "", ""); status != http.StatusOK || !strings.Contains(body, `"cards": 0`) {
			t.Errorf("%d %s", status, body)
		}
		p.Leave()
	}
}

// TestTokensAreReloaded: tokens come and go with the configuration, and without any the node's own is good.
func TestTokensAreReloaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	with := func(tokens ...config.Token) *config.Config {
		return testkit.Config(func(c *config.Config) {
			c.Data.Directory = dir
			c.Studio.Tokens = tokens
		})
	}
	n := testkit.Start(t, func(c *config.Config) { *c = *with(config.Token{Stream: "show", Token: "first-token"}) })
	c := clientOf(t, n)
	expect := func(token string, want int) {
		t.Helper()
		if status, body := c.ask("GET", cards, "", token); status != want {
			t.Errorf("%s: %d %s", token, status, body)
		}
	}
	expect("first-token", 200)
	if _, err := os.Stat(filepath.Join(dir, "operator.token")); err == nil {
		t.Error("the node made a token although there is one")
	}
	n.Reload(with(config.Token{Stream: "other", Token: "first-token"}, config.Token{Stream: "*", Token: "second-token"}))
	expect("first-token", 401)
	expect("second-token", 200)
	n.Reload(with())
	expect("second-token", 401)
	text, err := os.ReadFile(filepath.Join(dir, "operator.token"))
	if err != nil {
		t.Fatal(err)
	}
	own := strings.TrimSpace(string(text))
	expect(own, 200)
	n.Reload(with(config.Token{Stream: "show", Token: "third-token"}))
	expect(own, 401)
	for _, secret := range []string{"first-token", "second-token", "third-token", own} {
		if n.Log.Has(secret) {
			t.Errorf("the log has the token %s", secret)
		}
	}
}

// TestSettingsOfCardsAreReloaded: hosts, the region and whether cards that come with the media count.
func TestSettingsOfCardsAreReloaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	with := func(change func(*config.Config)) *config.Config {
		return testkit.Config(func(c *config.Config) {
			c.Data.Directory = dir
			c.Studio.Tokens = []config.Token{{Stream: "show", Token: "operators-token"}}
			change(c)
		})
	}
	n := testkit.Start(t, func(c *config.Config) { *c = *with(func(c *config.Config) { c.Node.Region = "DE" }) })
	c := clientOf(t, n)
	const token = "operators-token"
	const lamp = `{"id":"lamp","name":"Lamp","url":"https://shop.example.com/","offers":[{"price":"1.00","priceCurrency":"EUR","ineligibleRegion":["DE"]},{"price":"2.00","priceCurrency":"EUR"}]}`
	if status, body := c.ask("PUT", cards+"/lamp", lamp, token); status != http.StatusUnprocessableEntity || !strings.Contains(body, `"field": "url"`) {
		t.Errorf("%d %s", status, body)
	}
	n.Reload(with(func(c *config.Config) {
		c.Cards.Hosts = []string{"shop.example.com"}
		c.Cards.InBand = false
	}))
	if status, body := c.ask("PUT", cards+"/lamp", lamp, token); status != http.StatusCreated {
		t.Errorf("%d %s", status, body)
	}
	if _, body := c.ask("GET", "/api/v1/streams/show/card-settings", "", token); !strings.Contains(body, "false") {
		t.Errorf("settings: %s", body)
	}
	c.ask("PUT", "/api/v1/streams/show/slots/main", `{"card":"lamp"}`, token)
	if _, body := c.ask("GET", "/live/show/cards/lamp/1.json", "", ""); !strings.Contains(body, "2.00") || strings.Contains(body, "1.00") {
		t.Errorf("in Germany: %s", body)
	}
	n.Reload(with(func(c *config.Config) { c.Cards.Hosts = []string{"*.example.com"} }))
	response, err := c.http.Get(c.base + "/watch/show")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if policy := response.Header.Get("Content-Security-Policy"); response.StatusCode == http.StatusOK && !strings.Contains(policy, "img-src 'self' data: https://*.example.com;") {
		t.Errorf("the page may load images by %q", policy)
	}
}

// TestDashboardsDoNotHoldUpTheEnd: a stream of events ends in order when the node stops, and not because its connection is
// cut off at the end of the server's patience.
func TestDashboardsDoNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, func(c *config.Config) { c.Studio.Tokens = []config.Token{{Stream: "show", Token: "operators-token"}} })
	r, err := http.NewRequestWithContext(t.Context(), "GET", n.HTTP()+"/api/v1/streams/show/card-events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer operators-token")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := bufio.NewReader(response.Body)
	for line := ""; !strings.HasPrefix(line, "data: "); {
		if line, err = body.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	n.Stop()
	if rest, err := io.ReadAll(body); err != nil {
		t.Errorf("the events end with %v, after %q", err, rest)
	}
}

// TestMediaAndDocumentsHaveTheirPaths: what is below /live/ goes where it belongs.
func TestMediaAndDocumentsHaveTheirPaths(t *testing.T) {
	t.Parallel()
	n := testkit.Start(t, nil)
	c := clientOf(t, n)
	for path, want := range map[string]string{
		"/live/show/index.m3u8":         "no such stream",
		"/live/show/cards/lamp/1.json":  "No such card",
		"/live/show/cards/lamp/1.m4s":   "no such stream",
		"/live/show.json":               "No such card",
		"/live/show/video/1-2.m4s":      "no such stream",
		"/api/v1/streams/show":          "No stream of this name",
		"/api/nothing":                  "/api/openapi.yaml",
		"/.well-known/security.txt":     "404",
		"/live/show/cards/lamp/01.json": "No such card",
	} {
		if status, body := c.ask("GET", path, "", ""); status != http.StatusNotFound || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := c.ask("GET", "/api/openapi.yaml", "", ""); status != http.StatusOK || !strings.HasPrefix(body, "openapi: 3.1") {
		t.Errorf("%d %s", status, body)
	}
}
