package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"pushcart/internal/handover"
	"pushcart/relay"
)

// startCopying copies what there is at the other process into this one's registry, until done is called.
func (t *Takeover) startCopying(ctx context.Context, n *Node) (_ context.Context, done func()) {
	t.dir = newPair(taker)
	t.manager = relay.NewManager(relay.ManagerOptions{
		Directory: t.dir, Added: n.registry.Add, Removed: n.registry.Remove, Log: quietly(t.log),
		Dial: func(ctx context.Context, _ relay.Peer) (net.Conn, error) {
			return handover.Dial(ctx, t.path, handover.Media)
		},
		Token: func(relay.Entry) (string, error) { return taker, nil },
		Settings: func() relay.Settings {
			return relay.Settings{Prefetch: []string{"*"}, MaxCopies: mostStreams, Idle: time.Hour, Keep: 24 * time.Hour}
		},
	})
	copying, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { t.manager.Run(copying) })
	return copying, func() {
		cancel()
		running.Wait()
	}
}

// quietly is for what would be told of each copied stream.
func quietly(log *slog.Logger) *slog.Logger { return slog.New(debugOnly{log.Handler()}) }

// debugOnly passes on what a log is told, as being for debugging.
type debugOnly struct{ slog.Handler }

// Enabled implements slog.Handler.
func (d debugOnly) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (d debugOnly) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d debugOnly) WithAttrs(a []slog.Attr) slog.Handler { return debugOnly{d.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (d debugOnly) WithGroup(name string) slog.Handler { return debugOnly{d.Handler.WithGroup(name)} }

// copy waits until all media are here, says so, and returns where the other process has stopped.
func (t *Takeover) copy(ctx context.Context, n *Node) (final, error) {
	var mu sync.Mutex // guards streams and told
	var streams []given
	told := false
	known := make(chan struct{}, 1)
	looking, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer stop()
	watching.Go(func() {
		tick := time.NewTicker(lookEvery / 4)
		defer tick.Stop()
		said := time.Now()
		for {
			select {
			case <-looking.Done():
				return
			case <-known:
			case <-tick.C:
			}
			mu.Lock()
			all, done := streams, told
			mu.Unlock()
			if all == nil || done {
				continue
			}
			missing, what := "", ""
			for _, s := range all {
				if what = lacking(n.registry.Get(s.Stream), s.Gen); what != "" {
					missing = s.Stream
					break
				}
			}
			if missing == "" {
				mu.Lock()
				told = true
				mu.Unlock()
				if t.conn.Send(stepCopied, nil) != nil {
					return // whoever receives is told too
				}
				continue
			}
			if now := time.Now(); now.Sub(said) >= tellEvery {
				said = now
				t.log.Info("copying media from the other process", "streams", len(all), "bytes", n.registry.Bytes(), "stream", missing, "lacks", what)
			}
		}
	})
	for {
		m, err := t.conn.Receive(copyTime)
		if err != nil {
			return final{}, err
		}
		switch m.Step {
		case stepStreams:
			all := []given{}
			if err := m.Read(&all); err != nil {
				return final{}, err
			}
			if all == nil {
				all = []given{} // null is none: it has been told
			}
			if len(all) > mostStreams {
				return final{}, fmt.Errorf("the other process has %d streams, more than %d", len(all), mostStreams)
			}
			t.dir.set(all)
			mu.Lock()
			streams, t.streams = all, all
			mu.Unlock()
			select {
			case known <- struct{}{}:
			default:
			}
		case stepFinal:
			var f final
			if err := m.Read(&f); err != nil {
				return final{}, err
			}
			if f.Streams == nil {
				f.Streams = []finalStream{}
			}
			return f, nil
		default:
			return final{}, fmt.Errorf("the other process sends %.40q too soon", m.Step)
		}
	}
}
