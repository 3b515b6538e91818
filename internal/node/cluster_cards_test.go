package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
	"pushcart/overlay"
)

// TestClusterCopied: what another node gives of a stream that it copies, besides its media: that it is there, its cards' documents
// and the keys that sign their states, and commands.
func TestClusterCopied(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b")
	put(t, all["b"], "early") // before the show
	air(t, all["a"], firstKey)
	goesOn(t, all["b"], "the show began")
	put(t, all["b"], "lamp")
	c := clientOf(t, all["b"])
	for _, id := range []string{"early", "lamp"} {
		if status, body := c.ask("PUT", "/api/v1/streams/show/slots/"+id, `{"card":"`+id+`"}`, operatorsToken); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	if got := listed(t, all["a"]); got != "early lamp" {
		t.Errorf("the origin has the cards %q", got)
	}
	const document = "/live/show/cards/lamp/1.json"
	_, want := clientOf(t, all["a"]).ask("GET", document, "", "")
	testkit.Eventually(t, "the document is there", func() bool {
		status, got := c.ask("GET", document, "", "")
		return status == http.StatusOK && got == want
	})
	var keys [2]struct{ Keys []struct{ Kid string } }
	for i, name := range []string{"a", "b"} {
		_, body := clientOf(t, all[name]).ask("GET", "/.well-known/jwks.json", "", "")
		if err := json.Unmarshal([]byte(body), &keys[i]); err != nil || len(keys[i].Keys) != 2 {
			t.Errorf("keys at %s: %s", name, body)
		}
	}
	_, body := c.ask("GET", "/api/v1/streams", "", operatorsToken)
	var list struct {
		Streams []struct {
			Name, State, Origin string
			From                string `json:"copied_from"`
		}
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Streams) != 1 {
		t.Fatalf("streams: %s", body)
	}
	if s := list.Streams[0]; s.Name != "show" || s.State != "copied" || s.Origin != "a" || s.From != "a" {
		t.Errorf("%+v", s)
	}
}

// TestClusterPoster: viewers of a copied stream get its origin's poster.
func TestClusterPoster(t *testing.T) {
	t.Parallel()
	all := fleetOf(t, func(c *config.Config) {
		if c.Node.Name == "a" { // the one that looks at the pictures
			c.Ladder.FFmpeg = config.Default().Ladder.FFmpeg
		}
	}, "a", "b")
	tracks := []testkit.Media{{Clip: testkit.Pictures(t)}}
	src, err := testkit.OpenRTMP(t, all["a"].RTMP(), testkit.Show{Name: "show", Key: firstKey, Tracks: tracks})
	if err != nil {
		t.Fatal(err)
	}
	testkit.OnAir(t, src, tracks, testkit.Stretch{Speed: 1})
	testkit.NewViewer(t, all["b"].Master("show")).Join()
	testkit.Eventually(t, "b has the poster", func() bool {
		status, _, body, err := testkit.Get(t.Context(), http.DefaultClient, all["b"].HTTP()+"/live/show/poster.jpg")
		return err == nil && status == http.StatusOK && bytes.HasPrefix(body, []byte{0xff, 0xd8})
	})
}

// TestClusterDeskGivenAway: a command that comes just behind the move of a stream's desk is not carried out by the node that has
// given it away: it would be acknowledged, and lost.
func TestClusterDeskGivenAway(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b")
	if _, err := all["a"].Claim(t.Context(), "show", "somebody", false); err != nil {
		t.Fatal(err)
	}
	desk, err := all["a"].Desk("show")
	if err != nil {
		t.Fatal(err)
	}
	command := func(id string) overlay.Command {
		body := []byte(`{"id":"` + id + `","name":"Lamp","url":"https://shop.example.com/lamp"}`)
		return overlay.Command{Op: overlay.OpPut, Card: id, Body: body}
	}
	if _, err := desk.Do(t.Context(), command("lamp")); err != nil {
		t.Fatal(err)
	}
	if _, err := all["b"].Claim(t.Context(), "show", "somebody", false); err != nil {
		t.Fatal(err)
	}
	var refusal *overlay.Refusal
	if _, err := desk.Do(t.Context(), command("late")); !errors.As(err, &refusal) || refusal.Reason != overlay.ReasonClosed {
		t.Errorf("it was carried out: %v", err)
	}
	if got := listed(t, all["b"]); got != "lamp" {
		t.Errorf("b has the cards %q", got)
	}
}

// TestClusterCardsAfterAShowElsewhere: the node that answers for a stream's cards between shows knows what was done to them during a
// show at another node.
func TestClusterCardsAfterAShowElsewhere(t *testing.T) {
	t.Parallel()
	all := fleet(t, "a", "b")
	put(t, all["a"], "early")
	put(t, all["b"], "early-too")
	for name, other := range map[string]string{"a": "b", "b": "a"} {
		over, err := all[name].Claim(t.Context(), "show", "somebody", false)
		if err != nil {
			t.Fatal(err)
		}
		awaitOrigin(t, all, name)
		put(t, all[other], "during-"+name)
		over()
		testkit.Eventually(t, "the directory has what was done", func() bool { return all[name].HandedIn(t.Context(), "show") })
		awaitOrigin(t, all, "")
	}
	for name, n := range all {
		testkit.Eventually(t, name+" has the cards of all", func() bool {
			for _, n := range all {
				n.Unprepared("show") // as some seconds later
			}
			return len(strings.Fields(listed(t, n))) == 4
		})
	}
}
