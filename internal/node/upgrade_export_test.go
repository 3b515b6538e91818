package node

import (
	"context"
	"net"
	"net/http"

	"pushcart/internal/handover"
)

// GiveUntil gives the node away by another socket, up to a step, and dies there: nobody listens any more, all connections end. The node
// itself goes on, for whoever wants to look at it. died is closed then. The listener is there when GiveUntil returns.
func (n *Node) GiveUntil(ctx context.Context, path, last string) (died <-chan struct{}, err error) {
	u := n.upgrade
	l, err := handover.Listen(path, n.log)
	if err != nil {
		return nil, err
	}
	over := make(chan struct{})
	stop := func() {}
	die := func() {
		stop()
		l.Close()
		close(over)
	}
	go l.Run(ctx, func(ctx context.Context, p handover.Purpose, unix *net.UnixConn) {
		if p == handover.Media {
			if q := u.copied.Load(); q != nil {
				q.Put(ctx, unix)
			} else {
				unix.Close()
			}
			return
		}
		if p == handover.Viewers {
			unix.Close() // somebody asks whether this process lives
			return
		}
		defer unix.Close()
		defer die()
		c := handover.NewConn(unix)
		dir := newPair(giver)
		for _, step := range []string{stepHello, stepWelcome, stepCopy, stepStreams, stepCopied, stepFinal, stepTaken, stepReleased, stepReady, stepGo, stepServing} {
			var err error
			switch step {
			case stepWelcome:
				err = c.Send(step, welcome{Version: "test", Pepper: u.pepper})
			case stepStreams:
				stop = u.giveMedia(dir)
				all := u.present()
				dir.set(all)
				err = c.Send(step, all)
			case stepFinal:
				h := &handing{u: u, c: c}
				err = c.Send(step, h.leave())
			case stepReleased, stepGo:
				err = c.Send(step, nil)
			default:
				_, err = c.Expect(step, switchTime)
			}
			if err != nil {
				n.log.Error("the node that was to give fails", "step", step, "error", err)
				return
			}
			if step == last {
				return
			}
		}
	})
	return over, nil
}

// Upgradable is what stands in front of a handler so that its requests can be passed on.
func Upgradable(core http.Handler) http.Handler {
	u := &upgrade{core: core}
	u.phase.Store(&phase{over: make(chan struct{})})
	return u
}
