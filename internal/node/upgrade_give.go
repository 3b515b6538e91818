package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"pushcart/internal/handover"
	"pushcart/packager/window"
)

// errCluster is why a node of a cluster does not take part.
const errCluster = "a node of a cluster cannot be taken over by another process, because its place in the directory is bound to the process. " +
	"Stop it (SIGTERM) and start the new one: its shows go on at another node meanwhile"

// errStops is why a node that stops gives itself to nobody: its shows end.
var errStops = errors.New("the process that serves is stopping: start the new one without --takeover")

// give gives the node to the process at the other end. Until that serves, every failure leaves this node as it was.
func (u *upgrade) give(ctx context.Context, running *sync.WaitGroup, c *handover.Conn) {
	// The other end is told by the connection's end when this process stops.
	stop := context.AfterFunc(ctx, func() {
		c.Stop("it stops")
		c.Unix.Close()
	})
	defer stop()
	err := u.prepareToGive(ctx, c)
	if err == nil {
		s := &handing{u: u, c: c}
		if err = s.run(); err != nil {
			s.undo(ctx, running)
		}
	}
	switch {
	case err == nil:
		u.finishGiving(ctx, c)
	case errors.Is(err, handover.ErrGone):
		u.n.log.Error("the process that was to take over has gone: this one goes on", "error", err)
	default:
		c.Stop(err.Error())
		u.n.log.Error("no process takes over: this one goes on", "error", err)
	}
}

// prepareToGive finds out who asks and has everything copied. Nothing changes for anybody.
func (u *upgrade) prepareToGive(ctx context.Context, c *handover.Conn) error {
	n := u.n
	m, err := c.Expect(stepHello, helloTime)
	if err != nil {
		return err
	}
	var h hello
	if err := m.Read(&h); err != nil {
		return err
	}
	if err := dataPlace(n.data.dir).same(h.Data); err != nil {
		return fmt.Errorf("process %d cannot take over: %w", h.PID, err)
	}
	n.log.Info("another process takes over", "process", h.PID, "version", h.Version)
	w := welcome{Version: n.opt.Version, PID: os.Getpid(), Pepper: u.pepper, Generated: n.generatedKey, Sockets: u.sockets.Open()}
	if err := c.Send(stepWelcome, w); err != nil {
		return err
	}
	c.Unix.SetWriteDeadline(time.Now().Add(helloTime))
	if err := u.sockets.Send(c.Unix, w.Sockets); err != nil {
		return err
	}
	if _, err := c.Expect(stepCopy, buildTime); err != nil {
		return err
	}
	dir := newPair(giver)
	stop := u.giveMedia(dir)
	c0 := &copying{u: u, c: c, dir: dir}
	if err := c0.run(ctx); err != nil {
		stop()
		return err
	}
	u.stopMedia = stop
	return nil
}

// copying is the time in which the media are copied and nothing else happens.
type copying struct {
	u    *upgrade
	c    *handover.Conn
	dir  *pair
	told []given
}

// run tells the other process what there is, until it has all of it.
func (k *copying) run(ctx context.Context) error {
	type news struct {
		m   handover.Message
		err error
	}
	answer := make(chan news, 1)
	go func() {
		m, err := k.c.Expect(stepCopied, copyTime)
		answer <- news{m, err}
	}()
	begun := time.Now()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	if err := k.tell(true); err != nil {
		k.c.Unix.Close()
		<-answer
		return err
	}
	said := begun
	for {
		select {
		case a := <-answer:
			if a.err == nil {
				k.u.n.log.Info("the other process has all media", "streams", len(k.told), "bytes", k.u.n.registry.Bytes(), "took", time.Since(begun))
			}
			return a.err
		case <-tick.C:
			if err := k.tell(false); err != nil {
				k.c.Unix.Close()
				<-answer
				return err
			}
			if now := time.Now(); now.Sub(said) >= tellEvery {
				said = now
				k.u.n.log.Info("the other process copies media", "streams", len(k.told), "since", now.Sub(begun))
			}
		}
	}
}

// tell says which presentations there are, if that has changed.
func (k *copying) tell(first bool) error {
	all := k.u.present()
	if !first && slices.Equal(all, k.told) {
		return nil
	}
	k.told = all
	k.dir.set(all)
	return k.c.Send(stepStreams, all)
}

// handing is the moment in which one process stops to serve and the other begins: less than a second.
type handing struct {
	u     *upgrade
	c     *handover.Conn
	begun time.Time
	left  []leftStream
	empty []*window.Presentation // of streams that it has given up which had no media yet: they begin anew
}

// leftStream is a stream that this process has given up.
type leftStream struct {
	p    *window.Presentation
	who  publisher
	wait time.Duration
}

// run does it, in this order: nobody is let in, nothing is changed, publishers are sent to reconnect, streams stop where they are, the
// last media are copied, the journals are closed. What comes meanwhile waits: connections in the kernel, requests here.
func (s *handing) run() error {
	u, n := s.u, s.u.n
	s.begun = time.Now()
	u.become(switching, nil)
	if stops, _ := n.drain.stops(); stops {
		return errStops
	}
	u.settleCommands()
	u.sockets.Pause()
	n.askPublishers(true)
	f := s.leave()
	if err := s.c.Send(stepFinal, f); err != nil {
		return err
	}
	if _, err := s.c.Expect(stepTaken, switchTime); err != nil {
		return err
	}
	n.desks.Rest()
	if err := s.c.Send(stepReleased, nil); err != nil {
		return err
	}
	if _, err := s.c.Expect(stepReady, switchTime); err != nil {
		return err
	}
	u.become(moved, handover.NewForward(u.path))
	u.media.Move(u)
	if err := s.c.Send(stepGo, nil); err != nil {
		return err
	}
	// It must serve or die now: as long as it lives, its word may only be late.
	_, err := s.c.Expect(stepServing, 0)
	return err
}

// settleCommands waits until what was let in before has been carried out; what takes longer is refused by the desks.
func (u *upgrade) settleCommands() {
	deadline := time.Now().Add(300 * time.Millisecond)
	for !u.commands.TryLock() {
		if time.Now().After(deadline) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	u.commands.Unlock()
}

// leave stops all streams where they are, without an end, and tells where that is.
func (s *handing) leave() final {
	n := s.u.n
	f := final{Numbers: n.shows.numbers()}
	_, f.Drained = n.drain.stops()
	expected := map[string]leftStream{}
	for _, stream := range n.hub.List() {
		name := stream.Name()
		if who, wait := publisherOf(n.hub, name); who != (publisher{}) {
			expected[name] = leftStream{wait: wait, who: who}
			n.hub.Leave(name)
		}
	}
	for _, p := range n.registry.All() {
		one := describe(p)
		if len(one.Renditions) == 0 {
			if _, ok := expected[p.Stream]; ok && !one.Ended {
				s.empty = append(s.empty, p)
			}
			continue
		}
		if e, ok := expected[p.Stream]; ok && !one.Ended {
			e.p = p
			s.left = append(s.left, e)
			one.Publisher, one.Wait = e.who, e.wait
		}
		f.Streams = append(f.Streams, one)
	}
	return f
}

// undo has this process go on as if nothing had happened: for publishers it is a short loss of their connections.
func (s *handing) undo(ctx context.Context, running *sync.WaitGroup) {
	u, n := s.u, s.u.n
	u.stopMedia()
	n.desks.Resume()
	for _, l := range s.left {
		n.expect(l.p, l.who, l.wait)
	}
	for _, p := range s.empty {
		n.registry.Remove(p)
	}
	n.drain.unlessBegun(n.door.Reopen)
	u.sockets.Resume()
	u.media.Move(nil)
	u.become(here, nil)
	if u.listener != nil && !u.listener.Holds() {
		u.listener.Close()
		u.listener = nil
		u.listen(ctx, running)
	}
	n.log.Info("publishers and viewers are served here again", "after", time.Since(s.begun))
}

// finishGiving ends what this process still does when the other one serves.
func (u *upgrade) finishGiving(ctx context.Context, c *handover.Conn) {
	u.n.log.Info("another process serves from now on: this one passes on what it is still asked for")
	u.stopMedia()
	close(u.moved)
	select {
	case <-u.quiet:
		_ = c.Send(stepQuiet, nil) // one that has gone needs not be told
	case <-ctx.Done():
	}
	u.listener.Close()
}

// numbers are the media sequence numbers that the next show of each name begins with.
func (p *presentations) numbers() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := map[string]int64{}
	for name, next := range p.lastMSN {
		all[name] = next()
	}
	return all
}

// number takes what another process has numbered.
func (p *presentations) number(all map[string]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, next := range all {
		p.lastMSN[name] = func() int64 { return next }
	}
}
