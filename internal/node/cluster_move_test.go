package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pushcart/ingest"
	"pushcart/internal/stream"
	"pushcart/internal/testkit"
)

// TestClusterStandbyOnTheSameNode: a standby goes on with what the publisher has made at the same node, and the publisher again with
// what the standby has, under the generations that the directory has given: also for the nodes that copy the stream, and nobody
// forgets whose it is.
func TestClusterStandbyOnTheSameNode(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b")
	first, stop := air(t, all["a"], firstKey)
	goesOn(t, all["b"], "the show began")
	air(t, all["a"], secondKey)
	shown := all["a"].Presentation("show")
	gen := shown.Gen()
	stop()
	first.Drop()
	testkit.Eventually(t, "the standby goes on", func() bool { return all["a"].Log.Has("the publisher that stands by goes on") })
	for name, n := range all {
		goesOn(t, n, "the standby goes on, for viewers of "+name)
	}
	air(t, all["a"], firstKey)
	for name, n := range all {
		goesOn(t, n, "the publisher is back, for viewers of "+name)
	}
	e, _ := all["b"].Directory().Lookup("show")
	if now := all["a"].Presentation("show"); now != shown || now.Gen() != e.Gen || e.Gen <= gen && e.Gen != gen {
		t.Errorf("another presentation: %v, of generation %d, where the directory has %d, and %d at first", now != shown, now.Gen(), e.Gen, gen)
	}
	s, ok := all["a"].Hub().Get("show"), all["a"].Origin("show")
	if s == nil || !ok {
		t.Fatalf("stream %v, origin %v", s, ok)
	}
	all["a"].Hub().Close() // as when the window for the publisher's return has passed
	awaitOrigin(t, all, "")
}

// TestClusterTwoPublishersAtOnce: of a publisher that comes to two nodes at a time, one goes: the one whose node had the claim first,
// though it was still fetching what there was of the stream when it lost it again.
func TestClusterTwoPublishersAtOnce(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b", "c")
	_, err := all["c"].Claim(t.Context(), "show", "somebody", false)
	if err != nil {
		t.Fatal(err)
	}
	awaitOrigin(t, all, "c")
	let := all["c"].KeepDesk("show") // a waits for it
	lost := make(chan error, 1)
	go func() {
		_, err := all["a"].Claim(t.Context(), "show", "somebody", false)
		lost <- err
	}()
	testkit.Eventually(t, "b hears of a's claim", func() bool { return originOf(all["b"]) == "a" })
	if _, err := all["b"].Claim(t.Context(), "show", "somebody", false); err != nil {
		t.Fatal(err)
	}
	let()
	var refusal *ingest.Refusal
	if err := <-lost; !errors.As(err, &refusal) || refusal.Reason != ingest.ReasonElsewhere {
		t.Errorf("the first: %v", err)
	}
	awaitOrigin(t, all, "b")
}

// TestClusterLateSuperseded: a claim is lost between its grant and the publisher's first word. The publisher is sent away, instead of
// making a second show that no other node knows of.
func TestClusterLateSuperseded(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b")
	a := all["a"]
	if _, err := a.Claim(t.Context(), "show", "somebody", false); err != nil {
		t.Fatal(err)
	}
	if _, err := all["b"].Claim(t.Context(), "show", "somebody", false); err != nil {
		t.Fatal(err)
	}
	awaitOrigin(t, all, "b")
	kicked := make(chan error, 1)
	s, err := a.Hub().Publish("show", stream.Publisher{Credential: "somebody", Kick: func(why error) { kicked <- why }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	select {
	case why := <-kicked:
		if !errors.Is(why, stream.ErrElsewhere) {
			t.Error(why)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it publishes at a, and at b")
	}
	if p := a.Presentation("show"); p != nil {
		t.Errorf("viewers are left with what it made: %v", p.Load())
	}
}

// TestClusterRefusedLater: what a node began while it could not ask the directory gives way when that has another publisher's claim,
// of a lower generation.
func TestClusterRefusedLater(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b")
	if _, err := all["b"].Claim(t.Context(), "show", "the one", false); err != nil {
		t.Fatal(err)
	}
	if _, err := all["b"].Hub().Publish("show", stream.Publisher{Credential: "the one"}); err != nil {
		t.Fatal(err)
	}
	kicked := make(chan error, 1)
	if err := all["a"].Assert("show", "another"); err != nil {
		t.Fatal(err)
	}
	s, err := all["a"].Hub().Publish("show", stream.Publisher{Credential: "another", Kick: func(why error) { kicked <- why }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	select {
	case <-kicked:
	case <-time.After(5 * time.Second):
		t.Fatal("both publish")
	}
	awaitOrigin(t, all, "b")
}

// TestClusterPublisherNotLetIn: a claim is given back after the show came here from another node. It waits for its publisher, as it
// would have there, and ends for nobody; the publisher goes on with it.
func TestClusterPublisherNotLetIn(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b", "c")
	src, stop := air(t, all["a"], firstKey)
	for _, name := range []string{"b", "c"} {
		goesOn(t, all[name], "the show began")
	}
	e, _ := all["b"].Directory().Lookup("show")
	release, err := all["b"].Claim(t.Context(), "show", e.Credential, false)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	<-src.Gone()
	awaitOrigin(t, all, "b")
	release()
	testkit.Eventually(t, "nobody publishes", func() bool {
		e, ok := all["c"].Directory().Lookup("show")
		return ok && e.Origin == "b" && !e.Live
	})
	air(t, all["b"], firstKey)
	for name, n := range all {
		goesOn(t, n, "the publisher is there, for viewers of "+name)
	}
}

// TestClusterLeave: a node stops, and its publisher goes to another one: the show ends nowhere.
func TestClusterLeave(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b", "c")
	src, _ := air(t, all["b"], firstKey)
	goesOn(t, all["c"], "the show began")
	put(t, all["c"], "lamp")
	all["b"].Stop()
	<-src.Gone()
	if e, ok := all["c"].Directory().Lookup("show"); !ok || e.Origin != "b" || e.Live {
		t.Errorf("%+v, %v; want b, without a publisher", e, ok)
	}
	if _, err := all["b"].Claim(context.Background(), "show", "anybody", false); !errors.Is(err, stream.ErrClosed) {
		t.Errorf("b takes publishers: %v", err)
	}
	delete(all, "b")
	air(t, all["c"], firstKey)
	awaitOrigin(t, all, "c")
	for name, n := range all {
		if l := goesOn(t, n, "the publisher is at c, for viewers of "+name); l.Discontinuities()+int(l.Discontinuity) != 1 {
			t.Errorf("%s has %d discontinuities, want the publisher's move alone", name, l.Discontinuities()+int(l.Discontinuity))
		}
	}
	if got := listed(t, all["a"]); got != "lamp" {
		t.Errorf("cards: %q", got)
	}
}
