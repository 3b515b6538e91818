package node_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/auth/playback"
	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// TestAccessInCluster: a viewer who is sent to another region takes the signed address along; and a node that does not have the stream
// decides as its origin does, before it asks that one.
func TestAccessInCluster(t *testing.T) {
	t.Parallel()
	all := fleetOf(t, func(c *config.Config) {
		c.Playback.Keys = []config.PlaybackKey{{ID: "k1", Secret: playSecret}}
		c.HTTP.TrustedProxies = []string{"127.0.0.0/8"}
		c.Studio.Tokens = []config.Token{{Stream: "show", Token: viewersToken, Role: "viewer"}, {Stream: "show", Token: producerToken}}
		c.Cluster.PublicURL = "http://" + c.Node.Name + ".example"
		c.Routing = config.Routing{Redirect: true, CountryHeader: "X-Country", Countries: []config.CountryRegion{{Country: "US", Region: "us"}, {Country: "*", Region: "eu"}}}
	}, "eu", "us")
	air(t, all["eu"], firstKey)
	awaitOrigin(t, all, "eu")
	keys, err := playback.NewKeys([]playback.Key{{ID: "k1", Secret: playSecret}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Sign(playback.Token{Stream: "show", Expires: time.Now().Add(time.Hour), Countries: []string{"US", "SE"}})
	if err != nil {
		t.Fatal(err)
	}
	prefix := playback.Prefix + text
	client := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(client.CloseIdleConnections)
	// ask sends a request to a node as a proxy would and returns the status and where it leads.
	ask := func(node, method, path, country, token string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+all[node].Address("http").String()+path, strings.NewReader(`{"id":"lamp","name":"Lamp"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", "10.1.2.3")
		if country != "" {
			r.Header.Set("X-Country", country)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode, res.Header.Get("Location")
	}
	const list = "/live/show/index.m3u8"
	testkit.Eventually(t, "a viewer in the US is sent to us", func() bool {
		status, _ := ask("eu", "GET", prefix+list, "US", "")
		return status == http.StatusTemporaryRedirect
	})
	if _, to := ask("eu", "GET", prefix+list, "US", ""); !strings.HasPrefix(to, "http://us.example"+prefix+list) {
		t.Errorf("a viewer in the US is sent to %q", to)
	}
	for _, tt := range []struct {
		node, method, path, country, token string
		want                               int
	}{
		{"eu", "GET", prefix + list, "SE", "", 200},
		{"eu", "GET", prefix + list, "DE", "", 403},
		{"us", "GET", prefix + list, "US", "", 200}, // which fetches it
		{"us", "GET", list, "US", "", 401},
		{"us", "GET", prefix + "/api/v1/streams/show", "US", "", 200}, // which its origin answers
		{"us", "GET", "/api/v1/streams/show", "US", "", 401},
		{"us", "GET", "/api/v1/streams/show", "", viewersToken, 200},
		{"us", "GET", "/api/v1/streams/show/cards", "", viewersToken, 200},
		{"us", "PUT", "/api/v1/streams/show/cards/lamp", "", viewersToken, 403},
		{"us", "PUT", "/api/v1/streams/show/cards/lamp", "", producerToken, 201},
		{"us", "GET", "/api/v1/streams/show/access", "", viewersToken, 200},
	} {
		if status, _ := ask(tt.node, tt.method, tt.path, tt.country, tt.token); status != tt.want {
			t.Errorf("%s: %s %s from %q: %d, want %d", tt.node, tt.method, tt.path, tt.country, status, tt.want)
		}
	}
}
