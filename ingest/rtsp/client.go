package rtsp

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
)

// ClientOptions sets a client up.
type ClientOptions struct {
	// Door lets the sources in; required.
	Door ingest.Entry
	// Limits is asked again and again; nil is DefaultLimits. Connections are not limited: their number is the operator's.
	Limits func() Limits
	// TLS is for rtsps sources; nil verifies them by the system's roots.
	TLS *tls.Config
	// Log of the client; nil is slog.Default.
	Log *slog.Logger
	// Registerer takes the metrics; nil keeps them unregistered. Several servers and clients may share one.
	Registerer prometheus.Registerer
	// Now is the clock by which media, rates and silence are measured; nil is time.Now.
	Now func() time.Time
}

// Client fetches streams from cameras and encoders. It implements ingest.Puller.
type Client struct {
	opt ClientOptions
	// firstDatagram is how long one is waited for before TCP is tried; 0 is gortsplib's 3 s.
	firstDatagram time.Duration
	metrics       *metrics
}

var _ ingest.Puller = (*Client)(nil)

// NewClient makes a client. It fails when the metrics cannot be registered.
func NewClient(opt ClientOptions) (*Client, error) {
	if opt.Door == nil {
		return nil, errors.New("rtsp: ClientOptions.Door is required")
	}
	if opt.Limits == nil {
		opt.Limits = DefaultLimits
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, fmt.Errorf("rtsp: registering metrics: %w", err)
	}
	return &Client{opt: opt, metrics: m}, nil
}

func (c *Client) limits() Limits { return c.opt.Limits().withDefaults() }

// Pull implements ingest.Puller, for rtsp:// and rtsps:// URLs. User and password are used as the source asks for them, Basic
// or Digest. A fragment "sha256=HEX" of an rtsps URL is the fingerprint of the source's certificate, for cameras that sign
// their own: nothing else of it is looked at then. Without a transport UDP comes first, and TCP if the source does not offer
// that, or nothing comes; rtsps is always TCP. A redirect to another host, where it is allowed, does not get the user and
// password.
func (c *Client) Pull(ctx context.Context, p ingest.Pull) error {
	src, err := parseSource(p)
	if err != nil {
		return err
	}
	for range mostRedirects {
		next, err := c.fetch(ctx, p, src)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		if src, err = src.redirect(next, p.Redirects); err != nil {
			return err
		}
		c.opt.Log.Info("rtsp: the source redirects", "stream", p.Stream, "host", src.url.Host)
	}
	return say("The source redirects more than %d times. Check its address.", mostRedirects)
}

// fetch fetches from one address. It returns where a redirect leads.
func (c *Client) fetch(ctx context.Context, p ingest.Pull, src source) (*base.URL, error) {
	lim := c.limits()
	id := ingest.NewConn()
	f := &fetching{client: c, id: id, log: c.opt.Log.With("conn", id, "stream", p.Stream), failed: make(chan struct{})}
	g := &gortsplib.Client{
		Scheme: src.url.Scheme, Host: src.url.Host,
		Transport:   src.transport,
		ReadTimeout: unlimited, WriteTimeout: writeTimeout, InitialUDPReadTimeout: c.firstDatagram,
		TLSConfig:         c.tls(src),
		UserAgent:         "pushcart",
		DialContext:       f.dial,
		OnResponse:        f.response,
		OnTransportSwitch: func(error) { f.log.Info("rtsp: nothing comes from the source over UDP; trying TCP") },
		OnPacketsLost:     func(uint64) {}, // the tracks' gates find losses
		OnDecodeError:     f.malformed,
	}
	if err := g.Start2(); err != nil {
		return nil, err
	}
	defer f.end()
	defer g.Close()
	setup := time.AfterFunc(lim.HandshakeTimeout, func() { f.stop(errSetup) })
	defer setup.Stop()
	began := make(chan error, 1)
	go func() { began <- f.begin(g, p, src) }()
	var err error
	select {
	case err = <-began:
		setup.Stop()
		if err == nil {
			err = f.play(ctx, g)
		}
	case <-ctx.Done():
		g.Close()
		<-began
	case <-f.failed:
		g.Close()
		<-began
	}
	if to := f.redirected(); to != nil && f.pub == nil {
		return to, nil
	}
	f.err = cmp.Or(f.cause(), err)
	f.cancelled = ctx.Err() != nil
	return nil, explain(f.err, src.redact)
}

// tls is the configuration for a source.
func (c *Client) tls(src source) *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.opt.TLS != nil {
		conf = c.opt.TLS.Clone()
	}
	if src.pin == nil {
		return conf
	}
	conf.InsecureSkipVerify = true // the fingerprint says more
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) > 0 {
			if sum := sha256.Sum256(s.PeerCertificates[0].Raw); subtle.ConstantTimeCompare(sum[:], src.pin) == 1 {
				return nil
			}
		}
		return errors.New("the source's certificate is not the one with the fingerprint in its address")
	}
	return conf
}

// fetching is one attempt.
type fetching struct {
	client *Client
	id     string // for the log
	log    *slog.Logger

	mu     sync.Mutex // guards what follows
	to     *base.URL  // of a redirect
	remote netip.AddrPort
	fault  error
	failed chan struct{} // closed when fault is set
	broken sync.Once

	// Of the goroutine of fetch.
	pub       ingest.Publication
	receiver  *receiver
	err       error
	cancelled bool
}

// dial connects, and notes with whom.
func (f *fetching) dial(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		f.mu.Lock()
		f.remote = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		f.mu.Unlock()
	}
	return nc, nil
}

// response sees each response before gortsplib acts on it. gortsplib would follow redirects anywhere, without end, and with
// the password, and parse any description.
func (f *fetching) response(res *base.Response) {
	if r := tooMuch(res.Body); r != nil {
		res.Body = nil
		f.stop(r)
	}
	to := res.Header["Location"]
	if res.StatusCode < base.StatusMovedPermanently || res.StatusCode > base.StatusUseProxy || len(to) == 0 {
		return
	}
	delete(res.Header, "Location")
	if u, err := base.ParseURL(to[0]); err == nil && u.Host != "" {
		f.mu.Lock()
		f.to = u
		f.mu.Unlock()
	}
}

func (f *fetching) redirected() *base.URL {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.to
}

// stop ends the attempt, from any goroutine. The first cause stays.
func (f *fetching) stop(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault == nil {
		f.fault = err
		close(f.failed)
	}
}

func (f *fetching) cause() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

func (f *fetching) malformed(err error) {
	f.client.metrics.packet(firstVideo, fateMalformed, 1)
	f.broken.Do(func() {
		f.log.Warn("rtsp: a packet of the source cannot be read; it is dropped, as others may be", "error", ingest.Clip(ingest.PlainText(err.Error())))
	})
}

// begin goes up to PLAY.
func (f *fetching) begin(g *gortsplib.Client, p ingest.Pull, src source) error {
	desc, res, err := g.Describe(src.url)
	if err != nil {
		return err
	}
	f.mu.Lock()
	remote := f.remote
	f.mu.Unlock()
	agent := ""
	if v := res.Header["Server"]; len(v) > 0 {
		agent = ingest.Clip(ingest.PlainText(v[0]))
	}
	pub, err := f.client.opt.Door.Open(ingest.Request{
		Protocol: "rtsp", Pulled: true, Stream: p.Stream, Remote: remote, Agent: agent,
		Kick: func(r *ingest.Refusal) { f.stop(r) }, Conn: f.id,
	})
	if err != nil {
		return err
	}
	c := f.client
	f.pub = pub
	f.receiver = newReceiver(pub, f.log, c.metrics, c.opt.Now, func() int { return c.limits().MaxBitrate }, f.stop)
	if err := f.receiver.setup(pub, readPlans(desc, res.Body)); err != nil {
		return err
	}
	for _, t := range f.receiver.tracks {
		// gortsplib makes no URL of a control attribute that is none, and does not bear that.
		if u, err := t.media.URL(desc.BaseURL); u == nil || err != nil {
			return say("The source's description cannot be used: the control attribute of a track is no address.")
		}
		if _, err := g.Setup(desc.BaseURL, t.media, 0, 0); err != nil {
			return err
		}
		f.listen(g, t, desc)
	}
	_, err = g.Play(nil)
	return err
}

// listen takes a track's packets. Formats of its medium that were not chosen are passed over.
func (f *fetching) listen(g *gortsplib.Client, t *track, desc *description.Session) {
	g.OnPacketRTP(t.media, t.format, func(p *rtp.Packet) {
		f.client.metrics.bytes.Add(float64(len(p.Payload)))
		f.receiver.packet(t, p)
	})
	g.OnPacketRTCP(t.media, func(p rtcp.Packet) { f.receiver.control(t, p) })
}

// play waits until the source ends, or must.
func (f *fetching) play(ctx context.Context, g *gortsplib.Client) error {
	ended := make(chan error, 1)
	go func() { ended <- g.Wait() }()
	defer func() {
		g.Close()
		<-ended
	}()
	for {
		after := f.client.limits().IdleTimeout
		left := after - f.receiver.silent()
		if left <= 0 {
			return ingest.Refuse(ingest.ReasonIdle, "No audio or video came from the source for %d seconds.", int(after.Seconds()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.failed:
			return f.cause()
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(min(left, patience)):
		}
	}
}

// end lets the stream go. No packet comes any more.
func (f *fetching) end() {
	if f.pub == nil {
		return
	}
	f.receiver.end()
	cause := f.err
	if f.cancelled && f.cause() == nil {
		cause = nil
	}
	var r *ingest.Refusal
	if errors.As(cause, &r) {
		f.client.metrics.refusals.Count(r.Reason)
	}
	f.pub.Close(cause)
}
