package node_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// tracedTo has a node send all its traces to a collector.
func tracedTo(c *testkit.Collector) func(*config.Config) {
	return func(cfg *config.Config) { cfg.Tracing.Endpoint, cfg.Tracing.Sample = c.URL, 100 }
}

// sums wants the span's steps to be of these names, to lie within it and not over one another, and where whole is true to fill it.
func sums(t *testing.T, c *testkit.Collector, span testkit.TraceSpan, whole bool, want ...string) {
	t.Helper()
	var names []string
	var sum time.Duration
	at := span.Start
	for _, s := range c.Children(span) {
		if s.Kind != "internal" {
			continue // what another asked for within it
		}
		names = append(names, s.Name)
		sum += s.Duration()
		if s.Start.Before(at) || s.End.Before(s.Start) || s.End.After(span.End) {
			t.Errorf("%s of %s is from %v to %v, the one before ended at %v, all at %v", s.Name, span.Name, s.Start, s.End, at, span.End)
		}
		at = s.End
	}
	if got := strings.Join(names, " "); got != strings.Join(want, " ") {
		t.Errorf("the steps of %s are %q, want %q", span.Name, got, want)
	}
	// Between a span's own beginning and its first step are some lines of code.
	if whole && (sum > span.Duration() || span.Duration()-sum > span.Duration()/4+5*time.Millisecond) {
		t.Errorf("the steps of %s take %v, and all takes %v", span.Name, sum, span.Duration())
	}
}

// one waits for a span and wants it to be the only one of its name.
func one(t *testing.T, c *testkit.Collector, name string) testkit.TraceSpan {
	t.Helper()
	testkit.EventuallyWithin(t, 15*time.Second, "a span "+name, func() bool { return len(c.Named(name)) > 0 })
	all := c.Named(name)
	if len(all) != 1 {
		t.Errorf("%d spans %s: %+v", len(all), name, all)
	}
	return all[0]
}

// TestTraces: the join of a publisher and of a viewer who came too early, and a card's way into the media, step by step; and a viewer's
// requests are in the trace that it names. Nothing in them is a secret, or says who the viewer is.
func TestTraces(t *testing.T) {
	t.Parallel()
	c := testkit.NewCollector(t)
	video, audio := testkit.Pictures(t), testkit.Sound(t) // before anybody waits for them
	const streamKey, viewersTrace = "the-key-of-the-publisher", "4bf92f3577b34da6a3ce929d0e0e4736"
	n := testkit.Start(t, func(cfg *config.Config) {
		tracedTo(c)(cfg)
		cfg.Publish.Keys = []config.Key{{Stream: "show", Key: streamKey}}
		cfg.Studio.Tokens = []config.Token{{Stream: "show", Token: operatorsToken}}
		cfg.Cards.Hosts = []string{"shop.example.com"}
		cfg.HLS.PartDuration = config.Duration(200 * time.Millisecond)
	})
	refused := testkit.Dial(t, n.RTMP(), nil)
	refused.Open("show?key=a-wrong-one")
	refused.Ended()

	p := testkit.Publish(t, n.RTMP(), "show?key="+streamKey)
	joined := make(chan int, 1)
	get := func(path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", n.HTTP()+path, nil)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		r.Header.Set("Traceparent", "00-"+viewersTrace+"-00f067aa0ba902b7-01")
		r.Header.Set("User-Agent", "a-viewers-program")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer response.Body.Close()
		var text strings.Builder
		if _, err := io.Copy(&text, response.Body); err != nil {
			t.Error(err)
		}
		return response.StatusCode, text.String()
	}
	go func() {
		status, _ := get("/live/show/index.m3u8?secret=of-the-viewer")
		joined <- status
	}()
	// The viewer waits for what the publisher has not sent yet.
	testkit.Eventually(t, "the viewer waits", func() bool {
		return testkit.Scrape(t, n.Admin()).Value("pushcart_hls_waiting_requests") == 1
	})
	p.Live(testkit.Script{Video: video, Audio: audio, Speed: 1})
	if status := <-joined; status != http.StatusOK {
		t.Fatalf("the viewer got %d", status)
	}
	_, text := get("/live/show/video.m3u8")
	name := text[strings.Index(text, "URI=\"video/")+len("URI=\""):]
	if status, _ := get("/live/show/" + name[:strings.Index(name, `"`)]); status != http.StatusOK {
		t.Errorf("media: %d\n%s", status, text)
	}
	get("/live/show/none.m3u8")

	put(t, n, "lamp")
	if status, body := clientOf(t, n).ask("PUT", "/api/v1/streams/show/slots/main", `{"card":"lamp"}`, operatorsToken); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if status, _ := clientOf(t, n).ask("PUT", "/api/v1/streams/show/slots/main", `{"card":"none"}`, operatorsToken); status/100 != 4 {
		t.Fatal(status)
	}

	var joins, shows, wrong []testkit.TraceSpan
	testkit.EventuallyWithin(t, 15*time.Second, "the spans", func() bool {
		joins, shows, wrong = c.Named("publisher.join"), nil, nil
		for _, s := range c.Named("card.command") {
			switch {
			case s.Attributes["pushcart.card.op"] == "show" && s.Failed == "":
				shows = append(shows, s)
			case s.Failed != "":
				wrong = append(wrong, s)
			}
		}
		return len(joins) == 2 && len(shows) == 1 && len(wrong) == 1 && len(c.Named("api.request")) == 3
	})
	if joins[0].Failed != "bad_key" || joins[0].Attributes["pushcart.stream"] != "" {
		t.Errorf("%+v", joins[0])
	}
	sums(t, c, joins[0], true, "authorise")
	join := joins[1]
	if a := join.Attributes; join.Failed != "" || a["pushcart.stream"] != "show" || a["pushcart.protocol"] != "rtmp" || a["pushcart.connection"] == "" || join.Kind != "server" {
		t.Errorf("%+v", join)
	}
	sums(t, c, join, true, "authorise", "claim", "key_frame", "first_part")
	if join.Duration() < 100*time.Millisecond || join.Duration() > time.Minute {
		t.Errorf("the join took %v, and a part lasts 200 ms", join.Duration())
	}

	early := one(t, c, "viewer.multivariant")
	sums(t, c, early, true, "wait_for_start")
	if early.Trace != viewersTrace || early.Parent != "00f067aa0ba902b7" || early.Attributes["http.response.status_code"] != "200" {
		t.Errorf("%+v", early)
	}
	if early.Start.After(join.End) {
		t.Error("the viewer did not wait for the publisher")
	}
	media := one(t, c, "viewer.media")
	if media.Trace != viewersTrace {
		t.Errorf("%+v", media)
	}
	if lists := c.Named("viewer.playlist"); len(lists) != 2 || lists[1].Attributes["http.response.status_code"] != "404" || lists[1].Failed != "" {
		t.Errorf("%+v", lists)
	}

	show := shows[0]
	sums(t, c, show, true, "validate", "journal", "acknowledge", "bind", "publish")
	if a := show.Attributes; a["pushcart.card.id"] != "lamp" || a["pushcart.card.slot"] != "main" || a["pushcart.card.source"] != "api" {
		t.Errorf("%+v", show)
	}
	sums(t, c, wrong[0], true, "validate")
	for _, s := range c.Named("api.request") {
		if below := c.Children(s); s.Parent != "" || len(below) != 1 || below[0].Name != "card.command" {
			t.Errorf("%+v has %+v", s, below)
		}
	}
	for _, s := range c.Spans() {
		for k, v := range s.Attributes {
			for _, secret := range []string{streamKey, operatorsToken, "a-wrong-one", "of-the-viewer", "a-viewers-program", "127.0.0.1"} {
				if strings.Contains(v+s.Name+s.Failed, secret) {
					t.Errorf("%s of %s has %q", k, s.Name, secret)
				}
			}
		}
	}
}

// TestTracesOverNodes: a command that goes to a stream's origin is one trace on both nodes, and the takeover of a stream is part of the
// join that caused it.
func TestTracesOverNodes(t *testing.T) {
	t.Parallel()
	c := testkit.NewCollector(t)
	all := fleetOf(t, tracedTo(c), "a", "b")
	_, stop := air(t, all["a"], firstKey)
	goesOn(t, all["b"], "the show began")
	put(t, all["b"], "lamp")
	if status, body := clientOf(t, all["b"]).ask("PUT", "/api/v1/streams/show/slots/main", `{"card":"lamp"}`, operatorsToken); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	var show, there, sent, here testkit.TraceSpan
	testkit.EventuallyWithin(t, 15*time.Second, "the spans of both nodes", func() bool {
		all := map[string]testkit.TraceSpan{}
		for _, s := range c.Spans() {
			all[s.ID] = s
			if s.Name == "card.command" && s.Attributes["pushcart.card.op"] == "show" {
				show = s
			}
		}
		there = all[show.Parent]
		sent = all[there.Parent]
		here = all[sent.Parent]
		return here.ID != ""
	})
	if show.Node != "a" || there.Name != "api.request" || there.Node != "a" || sent.Name != "node.request" || sent.Node != "b" ||
		here.Name != "api.request" || here.Node != "b" || here.Parent != "" || here.Trace != show.Trace {
		t.Errorf("%+v\n%+v\n%+v\n%+v", show, there, sent, here)
	}
	sums(t, c, show, true, "validate", "journal", "acknowledge", "bind", "publish")

	stop()
	air(t, all["b"], firstKey)
	awaitOrigin(t, all, "b")
	testkit.EventuallyWithin(t, 20*time.Second, "the takeover's span", func() bool {
		for _, s := range c.Named("relay.takeover") {
			for _, claim := range c.Named("claim") {
				if s.Parent != claim.ID || s.Node != "b" {
					continue
				}
				for _, join := range c.Named("publisher.join") {
					if join.ID == claim.Parent && join.Failed == "" && !join.End.Before(s.End) {
						return true
					}
				}
			}
		}
		return false
	})
}
