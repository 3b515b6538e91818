package node

import "pushcart/relay"

// jwks takes the keys of the other nodes, and tells those of all: viewers find here the key of whichever node signed a state.
func (n *Node) jwks() []byte {
	if n.cluster != nil {
		for _, p := range n.cluster.directory.Peers() {
			n.learn(p.Name, p.Keys)
		}
	}
	return n.ring.JWKS()
}

// learn takes one node's keys.
func (n *Node) learn(of, jwks string) {
	if jwks == "" {
		return
	}
	if err := n.ring.Learn([]byte(jwks)); err != nil {
		n.log.Debug("the keys of another node are not taken", "of", of, "error", err)
	}
}

// held is what this node has of streams, for the directory's heartbeats.
func (c *cluster) held() []relay.Held {
	if c.manager == nil {
		return nil // the first heartbeat comes before the relay is there
	}
	copies := map[string]relay.Status{}
	var all []relay.Held
	for _, s := range c.manager.Copies() {
		copies[s.Stream] = s
		if h := s.Held(); h.MSN > 0 { // else nothing has come of it yet
			all = append(all, h)
		}
	}
	for _, p := range c.n.registry.All() {
		v := p.Load()
		if _, is := copies[p.Stream]; is || v.Ended || len(v.Variants) == 0 {
			continue
		}
		if last, ok := v.Variants[0].Video.Load().Last(); ok {
			all = append(all, relay.Held{Stream: p.Stream, Gen: p.Gen(), MSN: last.MSN, Part: last.Part})
		}
	}
	return all
}
