package route

import (
	"context"
	"time"

	"pushcart/relay"
)

// fake is a directory that knows what a test tells it.
type fake struct {
	self    relay.Peer
	peers   []relay.Peer
	entries []relay.Entry
	healthy bool
	since   time.Time
}

func (f *fake) Self() relay.Peer       { return f.self }
func (f *fake) Peers() []relay.Peer    { return f.peers }
func (f *fake) Entries() []relay.Entry { return f.entries }
func (f *fake) Lookup(stream string) (relay.Entry, bool) {
	for _, e := range f.entries {
		if e.Stream == stream {
			return e, true
		}
	}
	return relay.Entry{}, false
}
func (f *fake) Changed() <-chan struct{} { return nil }
func (f *fake) Claim(context.Context, relay.Claim) (relay.Entry, error) {
	return relay.Entry{}, relay.ErrUnreachable
}
func (f *fake) SetLive(string, int64, bool) {}
func (f *fake) Release(string, int64)       {}
func (f *fake) Healthy() (bool, time.Time)  { return f.healthy, f.since }

var testNow = time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)

// node is a peer at a public address.
func node(name, region string, cpu float64, streams ...string) relay.Peer {
	p := relay.Peer{
		Name: name, Region: region, URL: "https://" + name + ".example.com", Address: name + ".internal:8444",
		Version: "1.2.3", Started: testNow.Add(-3 * time.Hour), Seen: testNow.Add(-time.Second), Load: relay.Load{CPU: cpu, Viewers: 7, Peers: 2},
	}
	for _, s := range streams {
		p.Streams = append(p.Streams, relay.Held{Stream: s, Gen: 1_700_000_000_000, MSN: 42, Part: 3})
	}
	return p
}

// world is two nodes in Europe, two in America and one in Asia, seen from eu-1, where show comes in.
func world() *fake {
	f := &fake{
		self:    node("eu-1", "eu", 1, "show"),
		peers:   []relay.Peer{node("asia-1", "asia", 0.1), node("eu-2", "eu", 0.1), node("us-1", "us", 0.1), node("us-2", "us", 0.1, "show")},
		entries: []relay.Entry{{Stream: "show", Origin: "eu-1", Region: "eu", Gen: 1_700_000_000_000, Live: true, Credential: "credential-of-show", Secret: []byte("secret-of-the-stream-of-32-bytes")}},
		healthy: true, since: testNow.Add(-time.Hour),
	}
	f.peers[3].Streams[0].From, f.peers[3].Streams[0].Lag = "eu-1", 0.087
	return f
}

// settings of the tests.
func settings() Settings {
	return Settings{
		Redirect: true, CountryHeader: "CF-IPCountry",
		Countries: map[string]string{"DE": "eu", europe: "eu", northAmerica: "us", "GB": "us", asia: "asia", oceania: "oz", Everywhere: "us"},
		Fallback:  []string{"us", "eu", "asia"},
	}
}

func router(f *fake, s Settings) *Router {
	return New(Options{Directory: f, Settings: func() Settings { return s }, Now: func() time.Time { return testNow }})
}
