package node

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pushcart/internal/auth"
	"pushcart/internal/config"
	"pushcart/internal/handover"
	"pushcart/internal/sockets"
	"pushcart/overlay/api"
	"pushcart/packager/hls"
	"pushcart/packager/window"
)

// How another process takes over from this one: see upgrade_give.go for the one that gives, upgrade_take.go for the one that takes.

// upgradeSocket in the data folder is where a process asks that takes over, unless upgrade.socket says otherwise.
const upgradeSocket = "upgrade.sock"

// upgradePath is where a process asks that takes over.
func upgradePath(cfg *config.Config) string {
	if cfg.Upgrade.Socket != "" {
		return cfg.Upgrade.Socket
	}
	return filepath.Join(cfg.Data.Directory, upgradeSocket)
}

// upgrade is what a node needs to take over from a process, and to give itself to another.
type upgrade struct {
	n       *Node
	path    string
	sockets *sockets.Set
	// pepper makes publishers' credentials the same in all processes that took over from one another.
	pepper []byte
	heirs  heirs
	taking *Takeover // nil in a process that has begun by itself

	// core answers viewers' requests, media those of them that may wait for media, and events are ended by endEvents.
	core      http.Handler
	media     *hls.Handler
	endEvents func()
	server    *http.Server // of viewers
	// connections are how many viewers' connections are open.
	connections atomic.Int64

	phase    atomic.Pointer[phase]
	commands sync.RWMutex // held for reading by what uses the journals, and for writing when they are given away

	giving    sync.Mutex                     // one handover at a time
	copied    atomic.Pointer[handover.Queue] // takes connections over which media are copied; nil while none are
	stopMedia func()                         // ends that
	passed    *handover.Queue
	listener  *handover.Listener // guarded by giving, once it runs
	moved     chan struct{}      // closed when another process serves
	quiet     chan struct{}      // closed when no publisher is served any more after that
}

// phase is who answers viewers.
type phase struct {
	is   standing
	to   *handover.Forward // when moved
	over chan struct{}     // closed when there is another phase
}

type standing int

const (
	here      standing = iota
	switching          // nothing may be changed, and nobody may be told of what is about to be
	moved
)

// activated are the sockets of systemd, which are for the first node of the process.
var activated = sync.OnceValues(sockets.Activated)

// openUpgrade makes what the node takes over and gives with. The sockets come first of all.
func (n *Node) openUpgrade(cfg *config.Config, t *Takeover) error {
	u := &upgrade{
		n: n, path: upgradePath(cfg), taking: t, passed: handover.NewQueue(), moved: make(chan struct{}), quiet: make(chan struct{}),
		heirs: heirs{waiting: map[string]*window.Presentation{}, begins: map[string]time.Time{}},
	}
	u.phase.Store(&phase{over: make(chan struct{})})
	n.upgrade = u
	if t != nil {
		u.sockets, u.pepper = t.set, t.welcome.Pepper
		return nil
	}
	inherited, err := activated()
	if err != nil {
		return fmt.Errorf("take the sockets of systemd: %w", err)
	}
	u.sockets, u.pepper = sockets.NewSet(inherited), make([]byte, 32)
	rand.Read(u.pepper) // never fails
	return nil
}

// generatedKey is the secret of the stream key that is made for want of a configured one: that of the process before, whose publishers
// come here.
func (u *upgrade) generatedKey() string {
	if u.taking != nil && u.taking.welcome.Generated != "" {
		return u.taking.welcome.Generated
	}
	return auth.Generate()
}

// tell tells systemd how this process is, and that it is the one of the service now.
func (u *upgrade) tell(state string) {
	if u.taking != nil {
		state = fmt.Sprintf("MAINPID=%d\n%s", os.Getpid(), state)
	}
	if err := sockets.Notify(state); err != nil {
		u.n.log.Warn("systemd was not told", "error", err)
	}
}

// count counts the connections of a server for viewers.
func (u *upgrade) count(s *http.Server) {
	u.server = s
	also := s.ConnState
	s.ConnState = func(c net.Conn, is http.ConnState) {
		switch is {
		case http.StateNew:
			u.connections.Add(1)
		case http.StateClosed, http.StateHijacked:
			u.connections.Add(-1)
		}
		if also != nil {
			also(c, is)
		}
	}
}

// await has a service wait for its turn: sockets for UDP are read by one process only. RTMP's are not for that.
func (u *upgrade) await(ctx context.Context, s service) {
	if u.taking == nil || !s.ingest || strings.HasPrefix(s.name, "rtmp") {
		return
	}
	select {
	case <-u.taking.quiet:
	case <-ctx.Done():
	}
}

// become begins another phase.
func (u *upgrade) become(is standing, to *handover.Forward) {
	before := u.phase.Swap(&phase{is: is, to: to, over: make(chan struct{})})
	close(before.over)
}

// gone tells whether another process serves. In the last steps of a handover it waits until that is decided.
func (u *upgrade) gone() bool {
	for {
		p := u.phase.Load()
		if p.is == here {
			return false
		}
		select {
		case <-p.over:
		case <-u.moved:
			return true
		case <-u.n.drain.hurry:
			return false
		}
	}
}

// waitsForMedia tells whether a request is for playlists or media: these are answered during a switch as well.
func waitsForMedia(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, hls.Prefix) && !api.IsDocument(r.URL.Path)
}

// lasts tells whether a request may be under way for hours.
func lasts(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/card-events")
}

// ServeHTTP answers viewers, here or by passing them on to the process that has taken over.
func (u *upgrade) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var deadline time.Time // of passing it on; on the way of every request, the clock is not read for it
	for {
		p := u.phase.Load()
		switch {
		case p.is != moved && waitsForMedia(r), p.is == here && lasts(r):
			u.core.ServeHTTP(w, r)
			return
		case p.is == here:
			u.commands.RLock()
			if u.phase.Load() != p {
				u.commands.RUnlock()
				continue
			}
			defer u.commands.RUnlock()
			u.core.ServeHTTP(w, r)
			return
		case p.is == moved && lasts(r):
			again(w)
			return
		case p.is == moved:
			carryOpened(r)
			began, err := p.to.ServeFrom(w, r)
			if err == nil || r.Context().Err() != nil {
				return
			}
			if began {
				panic(http.ErrAbortHandler) // the answer is not whole
			}
			if deadline.IsZero() {
				deadline = time.Now().Add(passTime)
			}
			if r.ContentLength != 0 || time.Now().After(deadline) {
				http.Error(w, "the node is being upgraded: try again", http.StatusBadGateway)
				return
			}
			u.pause(r.Context(), p, passPause)
		default:
			u.pause(r.Context(), p, switchTime)
		}
		if r.Context().Err() != nil {
			return
		}
	}
}

// again has who follows events connect again, to the process that serves: his connection would keep this one for hours (HTML Living
// Standard 9.2, retry in ms).
func again(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("retry: 100\n\n")) // who has gone needs not be told
}

const (
	// passTime is how long it is tried to pass a request on, passPause how long until the next attempt.
	passTime  = 3 * time.Second
	passPause = 50 * time.Millisecond
)

// pause waits for the next phase, for a while.
func (u *upgrade) pause(ctx context.Context, p *phase, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-p.over:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// run gives the node to whoever takes over, until ctx ends. In a process that has taken over it says so first.
func (u *upgrade) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	passing := handover.Passed(u.passes(u))
	running.Go(func() { _ = passing.Serve(u.passed) })
	defer passing.Close()
	if u.taking != nil {
		running.Go(func() { u.taking.finish(ctx, u) })
	}
	for _, s := range u.sockets.Left() {
		u.n.log.Warn("a socket that systemd opened is not used: its name or its port is none of the settings'", "name", s.Name, "network", s.Network)
	}
	if u.n.cluster == nil {
		u.giving.Lock()
		u.listen(ctx, &running)
		u.giving.Unlock()
	}
	<-ctx.Done()
}

// passes stands in front of what answers requests that another process passes on.
func (u *upgrade) passes(next http.Handler) http.Handler { return takeOpened(next) }

// listen waits for processes that take over. giving must be held.
func (u *upgrade) listen(ctx context.Context, running *sync.WaitGroup) {
	if u.listener == nil {
		if u.occupied(ctx) {
			u.n.log.Warn("another process has upgrade.socket: this one cannot be taken over from", "socket", u.path,
				"hint", "give each node a data folder of its own")
			return
		}
		var err error
		if u.listener, err = handover.Listen(u.path, u.n.log); err != nil {
			u.n.log.Warn("this process cannot be taken over from by another one", "error", err)
			return
		}
	}
	l := u.listener
	running.Go(func() {
		if err := l.Run(ctx, func(ctx context.Context, p handover.Purpose, c *net.UnixConn) { u.handle(ctx, running, p, c) }); err != nil {
			u.n.log.Error("this process cannot be taken over from any more", "error", err)
		}
	})
}

// occupied tells whether another process has upgrade.socket, and keeps it: one that has just failed to take over is about to end.
func (u *upgrade) occupied(ctx context.Context) bool {
	for until := time.Now().Add(passTime); ; {
		c, err := handover.Dial(ctx, u.path, handover.Viewers)
		if err != nil {
			return false
		}
		c.Close()
		if time.Now().After(until) {
			return true
		}
		again := time.NewTimer(passPause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return true
		}
	}
}

// handle takes a connection by upgrade.socket.
func (u *upgrade) handle(ctx context.Context, running *sync.WaitGroup, p handover.Purpose, c *net.UnixConn) {
	switch p {
	case handover.Viewers:
		u.passed.Put(ctx, c)
	case handover.Media:
		if q := u.copied.Load(); q != nil {
			q.Put(ctx, c)
			return
		}
		c.Close()
	case handover.Takeover:
		defer c.Close()
		conn := handover.NewConn(c)
		if !u.giving.TryLock() {
			conn.Stop("another process is taking over already")
			return
		}
		defer u.giving.Unlock()
		u.give(ctx, running, conn)
	}
}
