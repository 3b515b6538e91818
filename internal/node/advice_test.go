package node

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/stream"
	"pushcart/overlay"
	"pushcart/overlay/card"
	"pushcart/overlay/timed"
)

// onCards picks the advice on cards that came with the media.
func onCards(advice []string) []string {
	return slices.DeleteFunc(slices.Clone(advice), func(a string) bool { return !strings.Contains(a, "that came with the media (rtmp)") })
}

// TestAdviceOnCardsInBand: whoever looks at a stream learns that its publisher's cards are refused and in which way, and
// nothing of what is in them.
func TestAdviceOnCardsInBand(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		key, err := timed.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		desks, err := overlay.New(overlay.Options{
			Dir: dir, Key: key, InBand: func() bool { return true },
			Policy: func() card.Policy { return card.Policy{} },
		})
		if err != nil {
			t.Fatal(err)
		}
		p := newStage(config.Default())
		p.presentations.cards = desks.Follow
		list := &streams{hub: p.hub, registry: p.registry, cards: desks.Peek, now: time.Now}
		s, err := p.hub.Publish("show", stream.Publisher{Credential: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		send := func(trusted bool, text string) {
			t.Helper()
			d := &stream.Data{Name: "onTextData", Values: []any{map[string]any{"text": text}}, Trusted: trusted}
			if err := s.WriteData(d); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second) // views tell of refusals once a second
			synctest.Wait()
		}
		send(true, `{"pushcart":"put","card":{"id":"lamp","name":"Lamp"}}`)
		send(true, `{"pushcart":"show","card":"lamp"}`)
		if got, ok := list.one("show"); !ok || got.Cards != 1 || len(onCards(got.Advice)) != 0 {
			t.Errorf("%+v", got)
		}
		for _, tt := range []struct {
			trusted    bool
			text, want string
		}{
			{true, `{"pushcart":"show","card":"secret-launch"}`, `A card command that came with the media (rtmp) was refused at 00:00:`},
			{true, `{"pushcart":"put","card":{"id":"x","name":"<b>Secret Launch</b>"}}`, `(name)`},
			{true, `{"pushcart":"put","card":{"id":"x","name":"X","offers":[{"price":"secret launch","priceCurrency":"EUR"}]}}`, `(offers[0].price)`},
			{true, `{"pushcart":"show","slot":"Secret Launch \"quoted\" more","card":"lamp"}`, `(rtmp) were refused, the last of them at 00:00:`},
			{false, `{"pushcart":"show","card":"secret-launch"}`, `set one in the node's configuration`},
		} {
			send(tt.trusted, tt.text)
			got, _ := list.one("show")
			if about := onCards(got.Advice); len(about) != 1 || !strings.Contains(about[0], tt.want) {
				t.Errorf("%s: the advice is %q", tt.text, got.Advice)
			}
			if all := strings.ToLower(strings.Join(got.Advice, "")); strings.Contains(all, "launch") || strings.Contains(all, "quoted") {
				t.Errorf("%s: the advice tells too much: %q", tt.text, got.Advice)
			}
		}
		time.Sleep(refusalAdvice)
		if got, _ := list.one("show"); len(onCards(got.Advice)) != 0 {
			t.Errorf("long after: %q", got.Advice)
		}
		p.hub.Close()
		p.close()
		desks.Close()
		synctest.Wait()
	})
}
