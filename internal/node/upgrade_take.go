package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/handover"
	"pushcart/internal/sockets"
	"pushcart/relay"
)

// Takeover is what a process needs that takes over from another one.
type Takeover struct {
	conn    *handover.Conn
	path    string
	log     *slog.Logger
	welcome welcome
	set     *sockets.Set

	dir     *pair
	manager *relay.Manager
	begun   time.Time
	streams []given       // that the other process has told of
	ours    bool          // upgrade.socket is this process's
	quiet   chan struct{} // closed when the other process has no publishers any more
}

// OpenTakeover asks the process that runs with the same data folder for all that it has. It returns nil where there is none, as the log says:
// the node begins by itself then. The configuration has to be valid. What is returned is for Options.Takeover, or for Close.
func OpenTakeover(ctx context.Context, cfg *config.Config, version string, log *slog.Logger) (*Takeover, error) {
	if cfg.Clustered() {
		return nil, errors.New(errCluster)
	}
	path := upgradePath(cfg)
	unix, err := handover.Dial(ctx, path, handover.Takeover)
	switch {
	case handover.Nobody(err):
		log.Info("there is no process to take over from: starting by itself", "socket", path)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("take over by %s: %w", path, err)
	}
	t := &Takeover{conn: handover.NewConn(unix), path: path, log: log, quiet: make(chan struct{})}
	if err := t.greet(cfg, version); err != nil {
		unix.Close()
		return nil, fmt.Errorf("take over by %s: %w", path, err)
	}
	return t, nil
}

// greet says hello and takes the sockets.
func (t *Takeover) greet(cfg *config.Config, version string) error {
	if err := t.conn.Send(stepHello, hello{Version: version, PID: os.Getpid(), Data: dataPlace(cfg.Data.Directory)}); err != nil {
		return err
	}
	m, err := t.conn.Expect(stepWelcome, helloTime)
	if err != nil {
		return err
	}
	if err := m.Read(&t.welcome); err != nil {
		return err
	}
	t.conn.Unix.SetReadDeadline(time.Now().Add(helloTime))
	inherited, err := sockets.Receive(t.conn.Unix, t.welcome.Sockets)
	if err != nil {
		return err
	}
	t.set = sockets.NewSet(inherited)
	t.log.Info("taking over from another process", "process", t.welcome.PID, "version", t.welcome.Version, "sockets", len(inherited))
	return nil
}

// Close gives a takeover up, and tells the other process why.
func (t *Takeover) Close(why error) {
	t.conn.Stop(why.Error())
	t.conn.Unix.Close()
	t.set.Left()
}

// TakeOver brings all that the other process has into this one, which must have been made with Options.Takeover. When it returns nil
// the other process does not serve any more, and Run is to be called at once; after an error it serves as before. Where the other process
// dies meanwhile, this one goes on with what it has.
func (n *Node) TakeOver(ctx context.Context) error {
	t := n.upgrade.taking
	stop := context.AfterFunc(ctx, func() { t.conn.Unix.Close() })
	defer stop()
	err := t.take(ctx, n)
	if err == nil {
		return nil
	}
	// All of it before the other process hears of it, which opens its journals and its socket again then.
	n.closeListeners()
	n.desks.Close()
	if n.upgrade.listener != nil {
		n.upgrade.listener.Close()
	}
	t.conn.Stop(err.Error())
	t.conn.Unix.Close()
	return fmt.Errorf("take over from process %d: %w", t.welcome.PID, err)
}

// take goes through the steps.
func (t *Takeover) take(ctx context.Context, n *Node) error {
	for _, s := range t.set.Left() {
		t.log.Info("a socket of the other process is not needed, as the settings are now", "name", s.Name, "address", s.Address)
	}
	t.begun = time.Now()
	if err := t.conn.Send(stepCopy, nil); err != nil && !errors.Is(err, handover.ErrGone) {
		return err // whether one that has gone is dead is seen below
	}
	copying, done := t.startCopying(ctx, n)
	defer done()
	f, err := t.copy(copying, n)
	dead := errors.Is(err, handover.ErrGone) && ctx.Err() == nil && t.died(ctx)
	switch {
	case dead:
		t.log.Error("the other process has died: this one goes on with what it has of its shows", "error", err)
		f = t.inherited(n)
	case err != nil:
		return err
	}
	begun := time.Now()
	if !dead {
		t.last(copying, n, f)
	}
	heirs := t.adopt(copying, n, f)
	if !dead {
		if dead, err = t.claim(ctx); err != nil {
			return err
		}
	}
	// The journals, and all files in the data folder, are this process's from now on.
	n.pulls.Reread()
	n.shows.number(f.Numbers)
	if n.upgrade.listener, err = handover.Listen(t.path, t.log); err != nil {
		if !dead {
			return err // it could not be asked for what the other process is asked for
		}
		t.log.Warn("this process cannot be taken over from by another one", "error", err)
	}
	t.ours = true
	t.expect(n, f, heirs)
	if f.Drained {
		n.inheritDrain(len(heirs))
	}
	if !dead {
		if _, err = t.begin(ctx); err != nil {
			return err
		}
	}
	t.log.Info("took over", "streams", len(heirs), "copied_in", begun.Sub(t.begun), "switched_in", time.Since(begun), "bytes", n.registry.Bytes())
	return nil
}

// claim has the other process let go of the journals.
func (t *Takeover) claim(ctx context.Context) (dead bool, err error) {
	if err = t.conn.Send(stepTaken, nil); err == nil {
		_, err = t.conn.Expect(stepReleased, switchTime)
	}
	return t.orDied(ctx, err)
}

// begin has the other process stop to answer.
func (t *Takeover) begin(ctx context.Context) (dead bool, err error) {
	if err = t.conn.Send(stepReady, nil); err == nil {
		_, err = t.conn.Expect(stepGo, switchTime)
	}
	return t.orDied(ctx, err)
}

// orDied tells a death of the other process, after which this one goes on, from other failures.
func (t *Takeover) orDied(ctx context.Context, err error) (bool, error) {
	if errors.Is(err, handover.ErrGone) {
		// What it said last may still be there to be read.
		if _, said := t.conn.Receive(helloTime); said != nil {
			if stopped := (*handover.Stopped)(nil); errors.As(said, &stopped) {
				return false, stopped
			}
		}
	}
	if errors.Is(err, handover.ErrGone) && ctx.Err() == nil && t.died(ctx) {
		t.log.Error("the other process has died: this one goes on", "error", err)
		return true, nil
	}
	return false, err
}

// died tells whether the other process is gone, and has not only closed the connection: nobody listens where it did. It holds no lock
// on the data folder then.
func (t *Takeover) died(ctx context.Context) bool {
	if t.ours {
		return true // where it listened this process does; it would have said why
	}
	c, err := handover.Dial(ctx, t.path, handover.Viewers)
	if err == nil {
		c.Close()
	}
	return handover.Nobody(err)
}

// finish tells the other process that this one serves, and waits until it has no publishers any more.
func (t *Takeover) finish(ctx context.Context, u *upgrade) {
	defer close(t.quiet)
	defer t.conn.Unix.Close()
	stop := context.AfterFunc(ctx, func() { t.conn.Unix.Close() })
	defer stop()
	if err := t.conn.Send(stepServing, nil); err != nil {
		return // it is dead: quiet enough
	}
	if _, err := t.conn.Expect(stepQuiet, quietTime); errors.Is(err, handover.ErrTime) {
		t.log.Warn("the process before still ends its publishers: this one lets them in all the same")
	}
}
