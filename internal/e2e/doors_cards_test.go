package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// cardsNode is a node of withCards with every way in.
func cardsNode(t *testing.T) *testkit.Node {
	t.Helper()
	return testkit.Start(t, withCardsAndDoors(t))
}

// aired is a show that is sent from the test's goroutine, picture by picture.
type aired struct {
	t        *testing.T
	src      testkit.Source
	show     testkit.Show
	next     time.Duration
	before   func(track, picture int, s *testkit.Sample) *testkit.Sample
	pictures []testkit.Sample // as they were sent
}

// until sends up to a picture, that one left out.
func (a *aired) until(picture int) {
	a.t.Helper()
	to := a.show.Tracks[0].Clip.Samples[picture].DTS
	err := testkit.Send(a.t.Context(), a.src, a.show.Tracks, testkit.Stretch{From: a.next, To: to, Speed: 1,
		Before: func(track int, s *testkit.Sample) *testkit.Sample {
			if track > 0 {
				return s
			}
			if a.before != nil {
				s = a.before(track, len(a.pictures), s)
			}
			a.pictures = append(a.pictures, *s)
			return s
		}})
	if err != nil {
		a.t.Fatal(err)
	}
	a.next = to
}

// TestCardsThroughEveryDoor shows cards by the API and by SEI while each protocol's publisher is live: those in the pictures
// are bound to their frame, to the tick.
func TestCardsThroughEveryDoor(t *testing.T) {
	t.Parallel()
	byDoor(t, func(t *testing.T, p testkit.Protocol) {
		n := cardsNode(t)
		h := newHost(t, n.HTTP())
		h.products(10)
		a := &aired{t: t, show: usual(t, p, "show", publishKey)}
		a.src = p.Must(t, n, a.show)
		clip := a.show.Tracks[0].Clip
		var all []meant
		a.before = func(_, picture int, s *testkit.Sample) *testkit.Sample {
			if picture < 40 || picture%12 != 0 || picture > 90 {
				return s
			}
			id := fmt.Sprint("c", len(all))
			all = append(all, meant{what: fmt.Sprint("SEI with picture ", picture), picture: picture, shows: "main:" + id + "/1"})
			return clip.WithSEI(s, text(map[string]any{"pushcart": "show", "slot": "main", "card": id}))
		}
		a.until(100)
		h.show("side", "c9", time.Time{})
		a.until(125)
		v := testkit.NewViewer(t, n.Master("show"))
		v.Join()
		judgeCards(t, n, v, a, all, "side:c9/1")
		a.src.Leave()
	})
}

// judgeCards wants each card in the media with its picture, and what the API showed somewhere.
func judgeCards(t *testing.T, n *testkit.Node, v *testkit.Viewer, a *aired, all []meant, byAPI string) {
	t.Helper()
	last := a.pictures[len(a.pictures)-20].DTS
	l := v.Until("video", "the last card", func(l *testkit.Playlist) bool { return lengthOf(l) >= last })
	m := readCards(t, v, "video", l)
	if len(m.events) == 0 {
		t.Fatalf("no messages in the media; API: %+v", stream(t, n, "show"))
	}
	codec := a.show.Tracks[0].Clip.Codec
	late := testkit.Scrape(t, n.Admin()).Value("pushcart_packager_card_states_late_total")
	changes, exact := m.changes(), 0
	for _, want := range all {
		sum := testkit.Slices(codec, a.pictures[want.picture].Payload)
		at := slices.IndexFunc(m.pictures, func(p cardPicture) bool { return bytes.Equal(testkit.Slices(codec, p.payload), sum) })
		if at < 0 {
			t.Errorf("%s: the picture did not come", want.what)
			continue
		}
		var times []int64
		for _, e := range changes {
			if e.state.shows() == want.shows {
				times = append(times, e.time)
			}
		}
		switch pts := m.pictures[at].pts; {
		case slices.Contains(times, pts):
			exact++
		case late > 0 && slices.ContainsFunc(times, func(time int64) bool { return time > pts }):
			// The node says itself that it was too late, which a busy machine may be: it may not be the rule.
		default:
			t.Errorf("%s: the picture is at %d, messages that show %q at %d", want.what, pts, want.shows, times)
		}
	}
	t.Logf("of %d cards %d are bound to their frames exactly; the node counts %v that came too late for theirs", len(all), exact, late)
	if late == 0 && exact < len(all) || exact == 0 {
		t.Errorf("%d of %d cards are bound to their frames", exact, len(all))
	}
	if byAPI != "" && !slices.ContainsFunc(changes, func(e cardEvent) bool { return bytes.Contains([]byte(e.state.shows()), []byte(byAPI)) }) {
		t.Errorf("%q was never shown", byAPI)
	}
	m.signed(t, v.Fetch(n.HTTP()+"/.well-known/jwks.json", http.StatusOK))
	judgeMessages(t, m)
}

// TestCardsInTransportStreams has timed ID3 and SCTE-35 cues carry cards for the frame of their time.
func TestCardsInTransportStreams(t *testing.T) {
	t.Parallel()
	n := cardsNode(t)
	h := newHost(t, n.HTTP())
	h.products(10)
	p := testkit.ByName(t, "srt")
	a := &aired{t: t, show: usual(t, p, "show", publishKey)}
	a.show.Origin = 1<<33 - 3*90000 // the clock's 33 bits wrap in the midst of it
	a.src = p.Must(t, n, a.show)
	srt := a.src.(*testkit.SRT)
	var all []meant
	a.before = func(_, picture int, s *testkit.Sample) *testkit.Sample {
		if picture < 40 || picture%10 != 0 || picture > 110 {
			return s
		}
		id := fmt.Sprint("c", len(all))
		command := text(map[string]any{"pushcart": "show", "slot": "main", "card": id})
		at, how := s.DTS+s.Offset, "ID3"
		var err error
		if len(all)%2 == 0 {
			err = srt.ID3(at, "pushcart", command)
		} else {
			how = "SCTE-35"
			err = srt.TimeSignal(at, testkit.Segmentation(uint32(picture), "PUSH", []byte(command)))
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, meant{what: fmt.Sprint(how, " for picture ", picture), picture: picture, shows: "main:" + id + "/1"})
		return s
	}
	a.until(150)
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	judgeCards(t, n, v, a, all, "")
	if l := v.Playlist("video"); l.Discontinuities() != 0 {
		t.Errorf("the clock's wrap is a discontinuity: %s", describe(l))
	}
	a.src.Leave()
}

// TestCardsByDataChannel has a publisher's page show a card over WebRTC's data channel, and be told what became of it.
func TestCardsByDataChannel(t *testing.T) {
	t.Parallel()
	n := cardsNode(t)
	newHost(t, n.HTTP()).products(3)
	p := testkit.ByName(t, "whip")
	show := usual(t, p, "show", publishKey)
	src, err := testkit.OpenWHIP(t, n, show, testkit.WHIPOptions{Channel: true})
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.OnAir(t, src, show.Tracks, testkit.Stretch{Speed: 1})
	v := testkit.NewViewer(t, n.Master("show"))
	v.Join()
	reached(v, "video", time.Second)
	replies := map[string]map[string]any{}
	for _, message := range []string{
		text(map[string]any{"pushcart": "show", "slot": "main", "card": "c1"}),
		text(map[string]any{"pushcart": "show", "slot": "main", "card": "nobody"}),
		"nonsense",
	} {
		if err := src.Say(message); err != nil {
			t.Fatal(err)
		}
		select {
		case reply := <-src.Messages:
			var r map[string]any
			if err := json.Unmarshal([]byte(reply), &r); err != nil {
				t.Errorf("%s is answered with %q", message, reply)
			}
			replies[message] = r
			t.Logf("%s: %s", message, reply)
		case <-time.After(10 * time.Second):
			t.Errorf("%s is not answered", message)
		}
	}
	l := v.Until("video", "the card", func(l *testkit.Playlist) bool {
		return slices.ContainsFunc(rangesOf(l), func(r cardRange) bool { return r.value == "main/c1/1" })
	})
	m := readCards(t, v, "video", l)
	if !slices.ContainsFunc(m.changes(), func(e cardEvent) bool { return e.state.shows() == "main:c1/1" }) {
		t.Error("no message shows the card")
	}
	stop()
	src.Leave()
}
