package relay

// Home is the node that answers for a stream which has no origin: the same wherever the same nodes are known. It is for what is
// prepared before a show, such as its cards.
func Home(stream string, self Peer, others []Peer) string {
	name, best := self.Name, Weight(stream, self.Name)
	for _, p := range others {
		if w := Weight(stream, p.Name); before(w, p.Name, best, name) {
			name, best = p.Name, w
		}
	}
	return name
}
