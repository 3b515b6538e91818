// Package node puts the rooms together: it makes them in order, runs them, applies new settings to them and stops them in
// order.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/ingest/pull"
	"pushcart/internal/auth"
	"pushcart/internal/auth/authority"
	"pushcart/internal/config"
	"pushcart/internal/front"
	"pushcart/internal/front/certs"
	"pushcart/internal/stream"
	"pushcart/internal/tracing"
	"pushcart/overlay"
	"pushcart/overlay/timed"
	"pushcart/packager"
	"pushcart/packager/hls"
	"pushcart/packager/ladder"
)

// Options sets a node up.
type Options struct {
	// Log is where the node reports; never nil.
	Log *slog.Logger
	// Level of Log, changed when the configuration is; nil when it is fixed.
	Level *slog.LevelVar
	// Version for /metrics and the log.
	Version string
	// Takeover is from which process the node takes over; nil begins by itself. After New, TakeOver is to be called.
	Takeover *Takeover
}

// Node is a running edge node.
type Node struct {
	opt  Options
	log  *slog.Logger
	cfg  atomic.Pointer[config.Config]
	reg  *prometheus.Registry
	keys *auth.Store
	// authority decides who may publish: by keys, among others.
	authority *authority.Authority
	hub       *stream.Hub
	shows     *presentations
	registry  *hls.Registry
	front     *front.Front
	strangers *prometheus.CounterVec // refused at listeners that have no settings for it
	certs     *certs.Source
	access    *access
	ready     atomic.Bool
	drain     *drain
	upgrade   *upgrade
	door      *ingest.Door
	metrics   *nodeMetrics
	tracing   *tracing.Provider // nil when that is off
	joins     *joins            // nil when that is off
	hooks     *hooks
	kept      atomic.Int64 // the longest that keepCards returned, ns

	data        *dataFolder
	signingKeys []byte          // public halves, as a JWK set
	ring        *timed.Ring     // them, and those of other nodes
	copies      *overlay.Copies // documents of streams that are copied
	tokens      *auth.Store
	desks       *overlay.Desks
	ladders     *ladder.Manager // nil when that is off

	pulls   *pull.Manager
	cluster *cluster             // nil on a node by itself
	whip    func(*http.ServeMux) // mounts the endpoint of WebRTC; nil when that is off

	// generated is the key set that the node made itself; nil without one. Guarded by reloading.
	generated *auth.Keys
	// generatedKey is its secret. It is for the process that takes over.
	generatedKey string

	reloading sync.Mutex // one Reload at a time
	services  []service
}

// service is something that listens.
type service struct {
	name    string
	address net.Addr
	// ingest tells that publishers come in by it: these end before those for viewers.
	ingest bool
	// serve runs until ctx ends and everything that it started has ended.
	serve func(ctx context.Context) error
	// close is for one that was never served.
	close func() error
}

// New makes a node and opens its listeners, so that a port that is taken shows at once.
func New(cfg *config.Config, opt Options) (*Node, error) {
	n := &Node{
		opt: opt, log: slog.New(withoutSecrets{opt.Log.Handler()}), reg: newRegistry(opt.Version), keys: &auth.Store{}, tokens: &auth.Store{}, registry: hls.NewRegistry(),
	}
	n.cfg.Store(cfg)
	n.metrics = newNodeMetrics(n.reg, time.Now)
	n.registry.NumbersBack = n.metrics.numbersBack.Inc
	if err := n.openTracing(cfg); err != nil {
		return nil, err
	}
	n.drain = newDrain(n.log, n.reg)
	if err := n.openUpgrade(cfg, opt.Takeover); err != nil {
		return nil, err
	}
	if cfg.Clustered() {
		n.cluster = newCluster(n)
		if err := n.cluster.openTrust(cfg); err != nil {
			return nil, err
		}
	}
	if err := n.setKeys(cfg); err != nil {
		return nil, err
	}
	if err := n.openAccess(cfg); err != nil {
		return nil, err
	}
	if err := n.openCards(cfg); err != nil {
		return nil, err
	}
	n.strangers = newRefusedStrangers(n.reg)
	if err := n.openFront(cfg); err != nil {
		n.desks.Close()
		return nil, err
	}
	if err := n.openLadder(cfg); err != nil {
		n.desks.Close()
		return nil, err
	}
	n.shows = &presentations{
		registry: n.registry, metrics: packager.NewMetrics(n.reg), settings: n.cfg.Load, log: n.log, now: time.Now, cards: n.desks.Follow,
		lastMSN: map[string]func() int64{}, timers: map[*time.Timer]struct{}{},
	}
	if n.joins != nil {
		n.shows.published = n.joins.began
	}
	if n.ladders != nil {
		n.shows.ladder = n.ladders.Attach
	}
	streams := stream.Options{
		ReconnectWindow: func() time.Duration { return time.Duration(n.cfg.Load().Publish.ReconnectWindow) },
		Attach:          n.shows.attach,
	}
	if c := n.cluster; c != nil {
		n.shows.claimed, n.shows.begun = c.begin, c.begun
		streams.Begin, streams.Changed = c.from, c.changed
	} else {
		n.shows.claimed, n.shows.begun, streams.Begin = n.upgrade.heirs.claimed, n.upgrade.heirs.begun, n.upgrade.heirs.from
	}
	next := streams.Changed
	streams.Changed = func(s *stream.Stream, is stream.State) {
		n.metrics.changed(s, is)
		n.hooks.streamChanged(s, is)
		if next != nil {
			next(s, is)
		}
	}
	var err error
	if n.hooks, err = n.newHooks(cfg); err != nil {
		n.desks.Close()
		return nil, err
	}
	n.shows.goesOn = n.hooks.goesOn
	n.hub = stream.NewHub(streams)
	registerGauges(n.reg, n.hub, n.registry, func() bool { return n.ready.Load() && n.drain.unready() == "" })
	if err := n.open(cfg); err != nil {
		n.closeListeners()
		n.desks.Close()
		return nil, err
	}
	return n, nil
}

// setKeys takes the configured stream keys, or makes one where that is asked for.
func (n *Node) setKeys(cfg *config.Config) error {
	keys, err := auth.NewSharedKeys(cfg.AuthEntries(), n.pepper())
	if err != nil {
		return fmt.Errorf("publish.keys: %w", err)
	}
	if keys.Empty() && cfg.Publish.GenerateKey && !asksElsewhere(cfg) {
		if n.generated != nil && n.keys.Load() == n.generated {
			return nil // the generated one stays
		}
		secret := n.upgrade.generatedKey()
		if keys, err = auth.NewSharedKeys([]auth.Entry{{Stream: "*", Key: secret}}, n.pepper()); err != nil {
			return err
		}
		n.generated, n.generatedKey = keys, secret
		// The one line that is meant to have a secret.
		n.opt.Log.Warn("no stream keys are configured: made one for this run. Publish with OBS: server rtmp://THIS-HOST/live, stream key show?key="+secret,
			"hint", "set publish.keys, or PUSHCART_PUBLISH_KEYS, to choose your own")
	}
	n.keys.Store(keys)
	return nil
}

// pepper makes publishers' credentials the same on all nodes of a cluster, and in all processes that take over from one another.
func (n *Node) pepper() []byte {
	if n.cluster == nil {
		return n.upgrade.pepper
	}
	return n.cluster.pepper()
}

// open makes the services.
func (n *Node) open(cfg *config.Config) error {
	if n.cluster != nil {
		if err := n.cluster.open(cfg); err != nil {
			return err
		}
	}
	if err := n.openIngest(cfg); err != nil {
		return err
	}
	viewers := n.viewerServer(cfg)
	if a := string(cfg.HTTP.Address); a != "" {
		if err := n.listen("http", a, n.serveViewers(viewers, nil)); err != nil {
			return err
		}
	}
	if a := string(cfg.HTTP.TLSAddress); a != "" {
		secure, err := n.viewerTLS(cfg)
		if err != nil {
			return err
		}
		if err := n.listen("https", a, n.serveViewers(viewers, secure)); err != nil {
			return err
		}
	}
	if err := n.openACME(cfg); err != nil {
		return err
	}
	if a := string(cfg.Admin.Address); a != "" {
		if err := n.listen("admin", a, n.serveAdmin(n.adminServer())); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) listen(name, address string, serve func(context.Context, net.Listener) error) error {
	l, err := n.upgrade.sockets.Listen(name)("tcp", address)
	if err != nil {
		return portTaken(name, err)
	}
	n.services = append(n.services, service{
		name: name, address: l.Addr(), ingest: strings.HasPrefix(name, "rtmp"), close: l.Close,
		serve: func(ctx context.Context) error { return serve(ctx, l) },
	})
	return nil
}

// portTaken words the failure to listen.
func portTaken(name string, err error) error {
	return fmt.Errorf("listen for %s: %w (is another program using it? set %s)", name, err, settingOf[name])
}

// settingOf names the configuration key of each listener.
var settingOf = map[string]string{
	"rtmp": "rtmp.address", "rtmps": "rtmp.tls_address", "http": "http.address", "https": "http.tls_address", "admin": "admin.address", "acme": "acme.http_address",
	"rtsp": "rtsp.address, rtsp.udp_address", "rtsps": "rtsp.tls_address", "srt": "srt.address", "relay": "cluster.address", "whip": "whip.udp_address, whip.tcp_address",
}

// Address returns the address that a service listens on: "rtmp", "rtmps", "rtsp", "rtsp-udp", "rtsps", "srt", "whip-udp",
// "whip-tcp", "http", "https", "acme", "admin" or "relay"; nil when it is off.
func (n *Node) Address(name string) net.Addr {
	for _, s := range n.services {
		if s.name == name {
			return s.address
		}
	}
	return nil
}

func (n *Node) closeListeners() {
	for _, s := range n.services {
		if s.close != nil {
			s.close()
		}
	}
	n.certs.Close()
}

// Run serves until ctx ends, then stops everything in order: publishers are told, presentations end, viewers are served what there
// is, for as long as drain.timeout says, listeners close, and the journals last of all, so that what was acknowledged is on the
// disk. It returns the first failure of a service, nil otherwise.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	n.announce()

	// Ingest goes first, so that viewers still get what it leaves behind.
	ingestCtx, stopIngest := context.WithCancel(context.Background())
	viewCtx, stopViewers := context.WithCancel(context.Background())
	defer stopIngest()
	defer stopViewers()
	var ingesting, viewing sync.WaitGroup
	for _, s := range n.services {
		group, c := &viewing, viewCtx
		if s.ingest {
			group, c = &ingesting, ingestCtx
		}
		if s.serve == nil {
			continue // another address of the one before
		}
		group.Go(func() {
			n.upgrade.await(c, s)
			if err := s.serve(c); err != nil && c.Err() == nil {
				cancel(fmt.Errorf("serve %s: %w", s.name, err))
			}
		})
	}
	hooksCtx, stopHooks := context.WithCancel(context.Background())
	defer stopHooks()
	var telling sync.WaitGroup
	telling.Go(func() { n.hooks.run(hooksCtx) })
	viewing.Go(func() { n.paceMemory(viewCtx) })
	viewing.Go(func() { n.upgrade.run(viewCtx) })
	viewing.Go(func() { n.certs.Run(viewCtx) })
	fetchCtx, stopFetching := context.WithCancel(ingestCtx)
	defer stopFetching()
	ingesting.Go(func() { n.authority.Run(ingestCtx) })
	ingesting.Go(func() { n.pulls.Run(fetchCtx) })
	if n.ladders != nil {
		ingesting.Go(func() { n.ladders.Run(ingestCtx) })
	}
	n.ready.Store(true)
	n.upgrade.tell("READY=1")
	select {
	case <-ctx.Done():
		n.drain.stop(time.Now()) // no handover begins its last steps from now on
		if n.upgrade.gone() {
			n.ready.Store(false)
			n.upgrade.leave(ctx, stopIngest, &ingesting)
			break
		}
		n.upgrade.tell("STOPPING=1")
		n.leave(stopFetching)
		stopIngest()
		ingesting.Wait()
	case <-n.upgrade.moved: // another process serves
		n.ready.Store(false)
		n.upgrade.leave(ctx, stopIngest, &ingesting)
	}
	stopViewers()
	viewing.Wait()
	n.desks.Close()
	stopHooks()
	telling.Wait()
	n.shows.close()
	n.closeTracing()
	n.log.Info("stopped")
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// announce says what the node does and what its operator should know.
func (n *Node) announce() {
	args := []any{"version", n.opt.Version}
	for _, s := range n.services {
		args = append(args, s.name, s.address.String())
	}
	n.log.Info("pushcart is up", args...)
	if n.keys.Load().Empty() && !asksElsewhere(n.cfg.Load()) {
		n.log.Warn("PUBLISHING IS OPEN to every program on this host, and closed to all others, because no stream keys are configured",
			"hint", "set publish.keys in the configuration, or PUSHCART_PUBLISH_KEYS=show1=SECRET")
	}
}

// Reload applies a new configuration: at once what can be, to streams that start later what is fixed for a stream's life,
// and it says what needs a restart.
func (n *Node) Reload(cfg *config.Config) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	old := n.cfg.Load()
	changes := config.Diff(old, cfg)
	if len(changes) == 0 {
		n.metrics.reload(reloadUnchanged)
		n.log.Info("configuration read again: nothing changed")
		return
	}
	if err := n.setKeys(cfg); err != nil {
		n.metrics.reload(reloadRefused)
		n.log.Error("configuration kept as it was", "error", err)
		return
	}
	if !reflect.DeepEqual(old.Studio, cfg.Studio) {
		if err := n.setTokens(cfg); err != nil {
			n.metrics.reload(reloadRefused)
			n.log.Error("configuration kept as it was", "error", err)
			return
		}
	}
	if !reflect.DeepEqual(old.Playback, cfg.Playback) {
		if err := n.setPlayback(cfg); err != nil {
			n.metrics.reload(reloadRefused)
			n.log.Error("configuration kept as it was", "error", err)
			return
		}
	}
	if err := n.front.Configure(frontSettings(cfg)); err != nil {
		n.metrics.reload(reloadRefused)
		n.log.Error("configuration kept as it was", "error", err)
		return
	}
	if err := n.hooks.configure(cfg); err != nil {
		n.metrics.reload(reloadRefused)
		n.log.Error("configuration kept as it was", "error", err)
		return
	}
	n.cfg.Store(cfg)
	n.metrics.reload(reloadApplied)
	n.pulls.Configure(cfg.Sources())
	if n.opt.Level != nil {
		n.opt.Level.Set(cfg.Log.SlogLevel())
	}
	for _, c := range changes {
		args := []any{"key", c.Key, "old", c.Old, "new", c.New}
		switch c.Class {
		case config.ReloadRestart:
			n.log.Warn("setting changed in the file, but takes effect at the next start only", args...)
		case config.ReloadNewStream:
			n.log.Info("setting changed, for streams that start from now on", args...)
		default:
			n.log.Info("setting changed", args...)
		}
	}
}
