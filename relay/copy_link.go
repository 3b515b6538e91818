package relay

import (
	"context"
	"errors"
	"net"
	"sync"

	"pushcart/packager/window"
	"pushcart/relay/wire"
)

// aheadOf is how many connections are made beside that of the index log, before it is known which renditions there are: a first
// viewer waits for one round trip less, which with TLS would be three.
const aheadOf = 3

// CardSink takes what a copied stream's cards are made of. Its methods are for one goroutine at a time.
type CardSink interface {
	// Keys is the JSON Web Key Set that states of the cards are verified with; it comes first, and again when it changes.
	Keys(jwks string)
	// Card is a card's document.
	Card(wire.Card)
	// Desk is what the stream's cards are continued from where another node becomes the origin. The bytes are the sink's.
	Desk(snapshot []byte)
	// Close says that nothing more will come, since the copy is given up, or is one no more.
	Close()
}

// link is a stream's logs from one node.
type link struct {
	m     *Manager
	t     *target
	peer  Peer
	entry Entry
	// floor is the lowest generation that is taken.
	floor int64
	// gather is a link of a takeover: the node that it copies from need not know of the present origin.
	gather bool
	sink   CardSink // may be nil
	// replaced is told the presentation that another one takes the place of; nil tells nobody.
	replaced func(*window.Presentation)
	viewed   func(*window.Presentation)

	presentation *window.Presentation // that the logs are of; set before trackers begin
	desk         []byte               // of a snapshot's records so far
	// Of a gathering link: which renditions the node has told its state of, and which there are; guarded by the target's mu. news
	// has one element when something has come.
	stated map[string]bool
	named  int
	news   chan struct{}

	ctx    context.Context
	cancel context.CancelCauseFunc
	ready  chan struct{} // closed when all renditions come over this link
	once   sync.Once
	unfit  chan struct{} // closed when the node has come to be too far from the origin
	far    sync.Once
	spares chan net.Conn
	wg     sync.WaitGroup // of dials and trackers
	done   chan struct{}  // closed when everything has ended
	err    error          // why; nil where the show is over. Read after done
}

// start begins to copy. The link ends with ctx, by a failure, or when the show is over.
func (l *link) start(ctx context.Context) {
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.ready, l.unfit, l.done = make(chan struct{}), make(chan struct{}), make(chan struct{})
	l.spares = make(chan net.Conn, aheadOf)
	l.stated, l.news = map[string]bool{}, make(chan struct{}, 1)
	l.m.wg.Go(func() {
		defer close(l.done)
		err := l.run()
		l.cancel(err)
		l.wg.Wait()
		l.closeSpares()
		if cause := context.Cause(l.ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
			err = cause
		}
		l.err = err
	})
}

// stop ends the link and waits for it.
func (l *link) stop() {
	l.cancel(nil)
	<-l.done
}

// abort ends the link from one of its logs.
func (l *link) abort(err error) { l.cancel(err) }

// look notes whether all renditions come over this link.
func (l *link) look() {
	if l.gather {
		select {
		case l.news <- struct{}{}:
		default:
		}
	}
	if l.t.settled(l) {
		l.once.Do(func() {
			close(l.ready)
			l.closeSpares()
		})
	}
}

// spare returns a connection that was made ahead; nil when there is none.
func (l *link) spare() net.Conn {
	select {
	case conn := <-l.spares:
		return conn
	default:
		return nil
	}
}

func (l *link) closeSpares() {
	for conn := l.spare(); conn != nil; conn = l.spare() {
		conn.Close()
	}
}

func (l *link) dialAhead() {
	for range cap(l.spares) {
		l.wg.Go(func() {
			conn, err := l.m.dial(l.ctx, l.peer)
			if err != nil {
				return // the index log's own connection tells why
			}
			l.spares <- conn
		})
	}
}

// run reads the index log.
func (l *link) run() error {
	if l.peer.Address != "" { // a node that calls has few connections ready
		l.dialAhead()
	}
	log, err := l.m.open(l.ctx, l.peer, nil, l.entry, "", "")
	if err != nil {
		return err
	}
	defer log.Close()
	following := map[string]bool{}
	for {
		record, err := log.Next()
		if err != nil {
			if l.over() {
				return nil
			}
			return err
		}
		if l.presentation == nil && record.Type != wire.TypeHello && record.Type != wire.TypeBye {
			return fail(failMalformed, "the log does not begin with a hello")
		}
		switch record.Type {
		case wire.TypeHello:
			err = l.hello(record.Payload)
		case wire.TypeView:
			err = l.view(record.Payload, following)
		case wire.TypeCard:
			var c *wire.Card
			if c, err = wire.ParseCard(record.Payload); err == nil && l.sink != nil {
				l.sink.Card(*c)
			}
		case wire.TypeDesk:
			err = l.addDesk(record)
		case wire.TypePing:
			_, err = wire.ParsePing(record.Payload)
		case wire.TypeBye:
			bye, err := wire.ParseBye(record.Payload)
			if err != nil {
				return err
			}
			if err := said(bye); err != nil {
				return err
			}
			l.wg.Wait() // the renditions' logs come to their ends
			if !l.over() {
				return fail(failClosed, "it says that the show is over, and has not told its end")
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// addDesk takes a record of a desk's snapshot.
func (l *link) addDesk(record wire.Record) error {
	if len(l.desk)+len(record.Payload) > wire.MaxDesk {
		return fail(failTooLong, "a desk's snapshot of more than %d bytes", wire.MaxDesk)
	}
	l.desk = append(l.desk, record.Payload...)
	if record.Flags&wire.FlagMoreDesk == 0 {
		if l.sink != nil {
			l.sink.Desk(l.desk)
		}
		l.desk = nil
	}
	return nil
}

// over tells whether the show has ended on the copy.
func (l *link) over() bool {
	return l.presentation != nil && l.presentation.Load().Ended
}

func (l *link) hello(payload []byte) error {
	h, err := wire.ParseHello(payload)
	if err != nil {
		return err
	}
	if err := checkHello(h, l); err != nil {
		return err
	}
	if l.presentation != nil {
		if !same(l.presentation, h) {
			return fail(failSuperseded, "it has another presentation by now")
		}
	} else {
		before, err := l.t.meet(l, h)
		if err != nil {
			return err
		}
		if before != nil && l.replaced != nil {
			l.replaced(before)
		}
		l.presentation, _, _, _ = l.t.presentation()
	}
	l.t.mu.Lock()
	l.t.keys = h.Keys
	if !l.gather {
		l.t.path = append(append([]string(nil), h.Path...), l.m.self.Name)
	}
	l.t.mu.Unlock()
	if l.sink != nil {
		l.sink.Keys(h.Keys)
	}
	return nil
}

func (l *link) view(payload []byte, following map[string]bool) error {
	w, err := wire.ParseView(payload)
	if err != nil {
		return err
	}
	replicas, err := l.t.view(l, viewHead(w))
	if err != nil {
		return err
	}
	if l.viewed != nil {
		l.viewed(l.presentation)
	}
	if l.gather {
		l.t.mu.Lock()
		l.named = len(replicas)
		l.t.mu.Unlock()
	}
	for _, rep := range replicas {
		if !following[rep.name] {
			following[rep.name] = true
			l.wg.Go(func() { l.follow(rep) })
		}
	}
	l.look()
	return nil
}
