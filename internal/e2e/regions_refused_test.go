package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"pushcart/internal/testkit"
	"pushcart/relay"
	"pushcart/relay/trust"
	"pushcart/relay/wire"
)

// TestRegionsRefused has enemies at both ends of a relay: those who ask a node for what they may not have, and a node that gives
// others what is not the origin's. All of it is refused and counted, and viewers get the good data throughout.
func TestRegionsRefused(t *testing.T) {
	t.Parallel()
	liar := testkit.NewLiar(t, "eu-1")
	operator := testkit.NATS(t)
	c := testkit.NewCluster(t, testkit.ClusterOptions{
		NATS: []string{operator},
		Nodes: []testkit.ClusterMember{
			{Name: "eu-1", Region: "eu", Advertise: liar.Addr(), Settings: `relay: {policies: [{stream: vip, regions: [eu]}]}`},
			{Name: "us-1", Region: "us"}, {Name: "ap-1", Region: "ap"},
		},
		Settings: regionSettings + noLadder,
	})
	liar.Stand(c)
	eu, us := c.Node("eu-1"), c.Node("us-1")
	onAir(t, eu, "show?key="+publishKey, 0)
	onAir(t, eu, "vip?key="+publishKey, 0)
	a, g := watched(t, "show", eu, us)

	t.Run("askers", func(t *testing.T) {
		refusedAskers(t, eu, us, secretOf(t, operator, "show"), secretOf(t, operator, "vip"))
	})

	// What the liar tells, and as what it is found out.
	for _, lie := range []struct {
		what, reason string
		tell         func(index bool, r testkit.Lie) [][]byte
	}{
		{"a byte of the media is another", "checksum", func(_ bool, r testkit.Lie) [][]byte {
			if r.Type == wire.TypeChunk {
				r.Raw[wire.HeadSize+len(r.Payload)-1] ^= 1
			}
			return [][]byte{r.Raw}
		}},
		{"media are another's, with a checksum that fits", "sum", func(_ bool, r testkit.Lie) [][]byte {
			if r.Type != wire.TypeChunk {
				return [][]byte{r.Raw}
			}
			r.Payload[len(r.Payload)-1] ^= 1
			return [][]byte{r.Forge(r.Payload)}
		}},
		{"a step comes twice", "position", func(_ bool, r testkit.Lie) [][]byte {
			if r.Type == wire.TypeStep {
				return [][]byte{r.Raw, r.Raw}
			}
			return [][]byte{r.Raw}
		}},
		{"a step is cut short, with a checksum that fits", "malformed", func(_ bool, r testkit.Lie) [][]byte {
			if r.Type == wire.TypeStep {
				return [][]byte{r.Forge(r.Payload[:len(r.Payload)/2])}
			}
			return [][]byte{r.Raw}
		}},
		{"a record is longer than may be", "too_long", func(_ bool, r testkit.Lie) [][]byte {
			if r.Type == wire.TypeStep {
				return [][]byte{{0x7f, 0xff, 0xff, 0xff, byte(wire.TypeChunk), 0, 0, 0}}
			}
			return [][]byte{r.Raw}
		}},
		{"the generation is one of yesterday's", "generation", func(_ bool, r testkit.Lie) [][]byte {
			if r.Type != wire.TypeHello {
				return [][]byte{r.Raw}
			}
			h, err := wire.ParseHello(r.Payload)
			if err != nil {
				return [][]byte{r.Raw}
			}
			h.Gen -= 24 * 3600 * 1000
			b, err := wire.AppendJSON(nil, wire.TypeHello, h)
			if err != nil {
				return [][]byte{r.Raw}
			}
			return [][]byte{b}
		}},
		{"nothing is told at all", "silent", func(bool, testkit.Lie) [][]byte { return nil }},
	} {
		g.forget()
		before := us.Metric("pushcart_relay_copy_failures_total", "reason", lie.reason)
		liar.Tell(lie.tell)
		if lie.reason == "generation" {
			// It is told at the beginning of a log: one that is cut off begins anew.
			cut := false
			liar.Tell(func(index bool, r testkit.Lie) [][]byte {
				if !cut && r.Type == wire.TypeStep {
					cut = true
					return [][]byte{{0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}}
				}
				return lie.tell(index, r)
			})
		}
		testkit.EventuallyWithin(t, sometime, lie.what+": counted as "+lie.reason, func() bool {
			return us.Metric("pushcart_relay_copy_failures_total", "reason", lie.reason) > before
		})
		lies := liar.Lies()
		liar.Tell(nil)
		g.on(t, 1)
		t.Logf("%s: refused as %q after %d lies; viewers were without news for %.2f s", lie.what, lie.reason, lies, g.longest(us.Name).Seconds())
	}
	g.on(t, 3)
	g.stop()
	g.tell(t)
	a.judge(t)
	if h, ok := us.TryScrape(); !ok || h.Value("pushcart_relay_copies") != 1 {
		t.Errorf("%s does not copy any more", us.Name)
	}
}

// refusedAskers asks a node's relay for what must not be given.
func refusedAskers(t *testing.T, eu, us *testkit.ClusterNode, show, vip relay.Entry) {
	good := us.TLS("eu-1")
	in := time.Now().Add(time.Minute)
	bearer := func(token string) map[string]string { return map[string]string{"Authorization": "Bearer " + token} }
	token := trust.Token(show.Secret, "show", "us-1", in)
	with := func(name, value string) map[string]string {
		h := bearer(token)
		h[name] = value
		return h
	}
	for _, ask := range []struct {
		what, path, reason string
		header             map[string]string
		status             int
	}{
		{"no token", "/relay/1/show", "token", nil, http.StatusForbidden},
		{"an expired token", "/relay/1/show", "token", bearer(trust.Token(show.Secret, "show", "us-1", time.Now().Add(-time.Hour))), http.StatusForbidden},
		{"another node's token", "/relay/1/show", "token", bearer(trust.Token(show.Secret, "show", "ap-1", in)), http.StatusForbidden},
		{"another stream's token", "/relay/1/vip", "token", bearer(token), http.StatusForbidden},
		{"a token of its own making", "/relay/1/show", "token", bearer(trust.Token(make([]byte, 32), "show", "us-1", in)), http.StatusForbidden},
		{"a stream that must not leave its region", "/relay/1/vip", "region", bearer(trust.Token(vip.Secret, "vip", "us-1", in)), http.StatusForbidden},
		{"a lower generation", "/relay/1/show", "generation", with("Pushcart-Gen", "1"), http.StatusConflict},
		{"a way that is too long", "/relay/1/show", "loop", with("Pushcart-Path", "a,b,c,d"), http.StatusLoopDetected},
		{"a way in a circle", "/relay/1/show", "loop", with("Pushcart-Path", "us-1, eu-1"), http.StatusLoopDetected},
		{"a stream that is not there", "/relay/1/nothing", "unknown", bearer(trust.Token(show.Secret, "nothing", "us-1", in)), http.StatusNotFound},
		{"ranges that are none", "/relay/1/show/video?have=x", "request", bearer(token), http.StatusBadRequest},
	} {
		before := eu.Metric("pushcart_relay_refusals_total", "reason", ask.reason)
		status, body, err := eu.AskRelay(good, ask.path, ask.header)
		if err != nil || status != ask.status {
			t.Errorf("%s: status %d, want %d: %v: %q", ask.what, status, ask.status, err, body)
		}
		if after := eu.Metric("pushcart_relay_refusals_total", "reason", ask.reason); after != before+1 {
			t.Errorf("%s: it is counted %v times as %q", ask.what, after-before, ask.reason)
		}
	}
	// A good one, for comparison: what is refused above is refused for what it says. It takes the place of the node's own log, which
	// comes back.
	if status, _, err := eu.AskRelay(good, "/relay/1/show", bearer(token)); err != nil || status != http.StatusOK {
		t.Errorf("what is good is refused: status %d, %v", status, err)
	}

	stranger, err := trust.NewAuthority(time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := stranger.Issue("us-1", "us", nil, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "stranger")
	if err := trust.SaveNode(folder, stranger.Certificate(), pair); err != nil {
		t.Fatal(err)
	}
	theirs, err := trust.Open(folder, trust.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wrong := theirs.ClientTLS("")
	wrong.InsecureSkipVerify, wrong.VerifyConnection = true, nil
	bare := good.Clone()
	bare.Certificates, bare.GetClientCertificate = nil, nil
	for what, config := range map[string]*tls.Config{"the certificate of another authority": wrong, "no certificate": bare} {
		before := eu.Metric("pushcart_relay_handshakes_refused_total")
		if status, body, err := eu.AskRelay(config, "/relay/1/show", bearer(token)); err == nil {
			t.Errorf("%s: it is answered with status %d: %q", what, status, body)
		}
		if after := eu.Metric("pushcart_relay_handshakes_refused_total"); after != before+1 {
			t.Errorf("%s: it is counted %v times", what, after-before)
		}
	}
	// The other way: a node does not speak to one that has not the name, or is of another cluster.
	if _, _, err := eu.AskRelay(us.TLS("ap-1"), "/relay/1/show", bearer(token)); err == nil || !strings.Contains(err.Error(), "ap-1") {
		t.Errorf("eu-1 is taken for ap-1: %v", err)
	}
}

// secretOf is what the directory has of a stream, in the operator's NATS.
func secretOf(t *testing.T, url, stream string) (e relay.Entry) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	kv, err := js.KeyValue(ctx, "pushcart_streams")
	if err != nil {
		t.Fatal(err)
	}
	v, err := kv.Get(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(v.Value(), &e); err != nil || len(e.Secret) == 0 {
		t.Fatalf("the directory's entry: %v: %.200s", err, v.Value())
	}
	return e
}
