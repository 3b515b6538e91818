package relay

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"testing"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// scripted are cards that a test changes.
type scripted struct {
	mu    sync.Mutex
	state CardsState
	wake  chan struct{}
}

func (c *scripted) Snapshot() CardsState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *scripted) set(s CardsState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.wake
	c.wake = make(chan struct{})
	s.Changed = c.wake
	c.state = s
	if old != nil {
		close(old)
	}
}

// indexReader collects what an index log tells.
type indexReader struct {
	t      *testing.T
	log    *wire.Reader
	hellos []*wire.Hello
	views  []*wire.View
	cards  []*wire.Card
	desk   []byte
	desks  int
	bye    *wire.Bye
}

func (x *indexReader) until(what string, condition func() bool) {
	x.t.Helper()
	for !condition() {
		rec, err := x.log.Next()
		if err != nil {
			x.t.Fatalf("the log ended before %s: %v", what, err)
		}
		switch rec.Type {
		case wire.TypeHello:
			h, e := wire.ParseHello(rec.Payload)
			x.hellos, err = append(x.hellos, h), e
		case wire.TypeView:
			v, e := wire.ParseView(rec.Payload)
			x.views, err = append(x.views, v), e
		case wire.TypeCard:
			c, e := wire.ParseCard(rec.Payload)
			x.cards, err = append(x.cards, c), e
		case wire.TypeDesk:
			x.desk = append(x.desk, rec.Payload...)
			if rec.Flags&wire.FlagMoreDesk == 0 {
				x.desks++
			}
		case wire.TypePing:
		case wire.TypeBye:
			x.bye, err = wire.ParseBye(rec.Payload)
		default:
			x.t.Fatalf("a record of type %d", rec.Type)
		}
		if err != nil {
			x.t.Fatal(err)
		}
	}
}

// TestIndex: the index log tells what the stream consists of, by which way it came, and each change of a card once.
func TestIndex(t *testing.T) {
	t.Parallel()
	origin := newShow(1000)
	origin.write(1)
	cards := &scripted{}
	desk := randomBytes(wire.MaxPayload + 1000)
	first := wire.Card{ID: "lamp", Rev: 1, Epoch: 5, Document: []byte(`{"a": 1}`), Shown: true}
	second := wire.Card{ID: "bag", Rev: 4, Epoch: 5, Document: []byte(`{}`)}
	earlier := wire.Card{ID: "lamp", Rev: 0, Epoch: 5, Document: []byte(`{"a": 0}`)} // a card is there in several revisions
	cards.set(CardsState{Cards: []wire.Card{first, second, earlier}, Desk: desk, Keys: `{"keys":[]}`})
	path := make(chan []string, 1)
	path <- []string{"origin"}
	s := serve(t, "origin", "", origin.Presentation, func(o *ServerOptions) {
		o.Cards = func(string) Cards { return cards }
		o.Path = func(string) []string { p := <-path; path <- p; return p }
	})
	x := &indexReader{t: t, log: wire.NewReader(s.ask(request{}).Body)}
	x.until("the desk", func() bool { return x.desks == 1 })
	if h := x.hellos[0]; h.Node != "origin" || h.Region != "eu" || h.Stream != serveStream || h.Gen != 7 || h.Keys != `{"keys":[]}` ||
		h.TargetDuration != 2 || h.FirstMSN != 1000 || !slices.Equal(h.Path, []string{"origin"}) || settingsOf(h, nil).DVR != origin.Settings.DVR {
		t.Errorf("hello is %+v", h)
	}
	if !bytes.Equal(x.desk, desk) {
		t.Error("the desk differs")
	}
	if len(x.cards) != 3 || x.cards[0].ID != "lamp" || !x.cards[0].Shown || string(x.cards[0].Document) != `{"a": 1}` {
		t.Errorf("cards are %+v", x.cards)
	}

	// The view of a copy is the origin's.
	audio := origin.AddRendition("audio", false, 1000)
	origin.SetVariants([]window.Variant{{
		Video: origin.video, Audio: &window.AudioGroup{ID: "a", Members: []window.AudioMember{{Rendition: audio, Name: "English", Language: "en", Channels: 2}}},
		Codecs: "avc1.64001f,mp4a.40.2", Width: 640, Height: 360, FrameRate: 29.97, Score: 1, VideoRange: "SDR",
	}})
	x.until("the view", func() bool { v := x.views[len(x.views)-1]; return len(v.Groups) == 1 })
	copied := window.NewCopy(serveStream, origin.Settings)
	if err := copied.CopyView(viewHead(x.views[len(x.views)-1])); err != nil {
		t.Fatal(err)
	}
	got, want := copied.Load().Head(), origin.Load().Head()
	if !slices.Equal(got.Renditions, want.Renditions) || !slices.Equal(got.Variants, want.Variants) || got.PartTarget != want.PartTarget ||
		len(got.Groups) != 1 || !slices.Equal(got.Groups[0].Members, want.Groups[0].Members) {
		t.Errorf("the view is %+v, want %+v", got, want)
	}

	// Only what has changed comes again.
	first.Shown = false
	cards.set(CardsState{Cards: []wire.Card{first, second, earlier}, Desk: desk, Keys: `{"keys":[]}`})
	x.until("the card", func() bool { return len(x.cards) == 4 })
	if c := x.cards[3]; c.ID != "lamp" || c.Shown {
		t.Errorf("the card is %+v", c)
	}
	<-path
	path <- []string{"new", "origin"}
	x.until("another way", func() bool { return len(x.hellos) == 2 })
	if !slices.Equal(x.hellos[1].Path, []string{"new", "origin"}) {
		t.Errorf("the way is %v", x.hellos[1].Path)
	}
	origin.End()
	x.until("the end", func() bool { return x.bye != nil })
	if x.bye.Reason != wire.Ended || len(x.cards) != 4 || x.desks != 1 {
		t.Errorf("bye %+v, %d cards, %d desks", x.bye, len(x.cards), x.desks)
	}
	if _, err := x.log.Next(); err != io.EOF {
		t.Errorf("behind the bye comes %v", err)
	}
}
