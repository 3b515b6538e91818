package node

import (
	"fmt"
	"net/http"
	"time"

	"pushcart/internal/auth"
	"pushcart/internal/config"
	"pushcart/overlay"
	"pushcart/overlay/api"
	"pushcart/overlay/card"
	"pushcart/overlay/timed"
)

// openCards makes what product cards need: the data folder, the desks and who may use them.
func (n *Node) openCards(cfg *config.Config) error {
	n.data = &dataFolder{dir: cfg.Data.Directory, log: n.log}
	key, err := n.data.open()
	if err != nil {
		return fmt.Errorf("make a signing key: %w", err)
	}
	n.signingKeys, n.ring = key.Public().JWKS(), timed.NewRing(key.Public())
	if err := n.setTokens(cfg); err != nil {
		return err
	}
	n.desks, err = overlay.New(overlay.Options{
		Dir: cfg.Data.Directory, Key: key,
		Policy:    func() card.Policy { return card.Policy{Hosts: n.cfg.Load().Cards.Hosts} },
		Region:    func() string { return string(cfg.Node.Region) }, // as the node began: what a name stands for does not change
		InBand:    func() bool { return n.cfg.Load().Cards.InBand },
		Keep:      n.keepCards,
		KeepEnded: func() time.Duration { return time.Duration(n.cfg.Load().Data.KeepEnded) },
		Changed: func(name string) {
			n.hooks.deskChanged(name)
			if n.cluster != nil {
				n.cluster.spread.changed(name)
			}
		},
		Follow: n.commands(),
		Log:    n.log, Registerer: n.reg,
	})
	if err != nil {
		return fmt.Errorf("set up product cards: %w", err)
	}
	n.copies, err = overlay.NewCopies(overlay.CopiesOptions{
		Region: func() string { return string(cfg.Node.Region) }, Keep: n.keepCards, Registerer: n.reg,
	})
	if err != nil {
		return fmt.Errorf("set up product cards of copied streams: %w", err)
	}
	return nil
}

// keepCards is how long a revision stays fetchable after it was shown: as long as somebody may play media that name it, who
// is behind by all that can be played and plays what an ended show left.
// Streams that are live go on with the settings that they began with, which may have been larger.
func (n *Node) keepCards() time.Duration {
	keep := int64(2 * lingers(n.cfg.Load()))
	for {
		most := n.kept.Load()
		if keep <= most {
			return time.Duration(most)
		}
		n.kept.CompareAndSwap(most, keep)
	}
}

// setTokens takes the configured operator tokens, or the one that the node made.
func (n *Node) setTokens(cfg *config.Config) error {
	entries := cfg.TokenEntries()
	if len(entries) == 0 {
		token, err := n.data.operatorToken()
		if err != nil {
			n.log.Error("THERE IS NO OPERATOR TOKEN: nobody can use the studio and the card API", "error", err,
				"hint", "set studio.tokens (PUSHCART_STUDIO_TOKENS), or mend the data folder and start the node again")
		} else {
			entries = []auth.Entry{{Stream: auth.AnyStream, Key: token}}
			n.log.Info("the studio is at /studio/NAME; its token is in a file", "file", n.data.path(tokenFile))
		}
	}
	tokens, err := auth.NewKeys(entries)
	if err != nil {
		return fmt.Errorf("studio.tokens: %w", err)
	}
	n.tokens.Store(tokens)
	return nil
}

// document finds what viewers get of a revision that was shown: of a copied stream, what its origin has.
func (n *Node) document(stream, card string, rev int64) (overlay.Document, bool) {
	if d, ok := n.copies.Document(stream, card, rev); ok {
		return d, true
	}
	return n.desks.Document(stream, card, rev)
}

// cardAPI makes the HTTP side of cards and streams.
func (n *Node) cardAPI() *api.API {
	s := &streams{hub: n.hub, registry: n.registry, cards: n.desks.Peek, now: time.Now, ladders: n.ladders, cluster: n.cluster}
	opt := api.Options{
		Desk: func(name string) (api.Desk, error) {
			if n.cluster != nil {
				return n.cluster.desk(name)
			}
			d, err := n.desks.Desk(name)
			if err != nil {
				return nil, err
			}
			return d, nil
		},
		Document: n.document,
		Keys:     n.jwks,
		Tokens:   n.tokens,
		Streams:  s.list,
		Stream:   s.one,
		Sources:  sources{n.pulls},
		Visible:  n.access.gate.Allows, Publisher: n.publishes, Address: n.access.address,
		Log: n.log, Registerer: n.reg,
	}
	if n.cluster != nil {
		opt.Elsewhere = func(stream string) http.RoundTripper { return n.carriedOn(n.cluster.elsewhere(stream)) }
	}
	if n.ladders != nil {
		l := laddersAPI{n.ladders}
		opt.Ladder, opt.LadderCommand = l.detail, l.command
		opt.LadderNode = func() api.LadderNode { return l.node(n.hub.List()) }
	}
	a := api.New(opt)
	if n.cluster != nil {
		n.cluster.directory.Handle(n.cluster.carried(n.tracedTunnel(a.Tunnel())))
	}
	return a
}
