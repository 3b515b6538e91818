package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// managed are certificates that certmagic looks after.
type managed struct {
	source *Source
	cache  *certmagic.Cache
	magic  *certmagic.Config
	issuer *certmagic.ACMEIssuer
	// asking is held while the authority is asked for a first certificate, or for one that is late: one after another, since they
	// share an account and the authority's patience.
	asking sync.Mutex
}

// quiet is an issuer that asks nobody at the terminal for an address.
type quiet struct{ *certmagic.ACMEIssuer }

// PreCheck implements certmagic.PreChecker.
func (q quiet) PreCheck(ctx context.Context, names []string, _ bool) error {
	return q.ACMEIssuer.PreCheck(ctx, names, false)
}

// Open makes the certificates ready that the storage has from before, asking nobody. secure is where HTTPS listens, and http
// where HTTP does for the authority; the authority's proof comes by one of the two, and nil is none. Without Domains it does
// nothing. Behind it, Close or Run has to come.
func (s *Source) Open(secure, http net.Addr) error {
	if !s.acmeOnly {
		return nil
	}
	roots, err := rootsOf(s.opt.Root)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.opt.Storage, 0o700); err != nil {
		return fmt.Errorf("make the folder for certificates: %w (check data.directory)", err)
	}
	if err := os.Chmod(s.opt.Storage, 0o700); err != nil {
		return fmt.Errorf("close the folder for certificates to others: %w (check data.directory)", err)
	}
	log := zap.New(&bridge{log: s.opt.Log})
	m := &managed{source: s}
	m.cache = certmagic.NewCache(certmagic.CacheOptions{
		Logger:           log,
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
	})
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Logger: log, Storage: &storage{FileStorage: certmagic.FileStorage{Path: s.opt.Storage}}, DefaultServerName: s.opt.Domains[0],
		CertSelection: newest{s.opt.Domains[0]}, OnEvent: m.event,
	})
	directory := s.opt.Directory
	if directory == "" {
		directory = certmagic.LetsEncryptProductionCA
	}
	host, port := split(secure)
	_, httpPort := split(http)
	m.issuer = certmagic.NewACMEIssuer(m.magic, certmagic.ACMEIssuer{
		CA: directory, Email: s.opt.Email, Agreed: true, TrustedRoots: roots, Logger: log,
		// certmagic finds our listeners at these ports, and leaves the answers to them.
		ListenHost: host, AltTLSALPNPort: port, AltHTTPPort: httpPort,
		DisableTLSALPNChallenge: port == 0, DisableHTTPChallenge: httpPort == 0,
	})
	m.magic.Issuers = []certmagic.Issuer{quiet{m.issuer}}
	for _, name := range s.opt.Domains {
		switch _, err := m.magic.CacheManagedCertificate(context.Background(), name); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			s.opt.Log.Error("the stored TLS certificate cannot be used; another is asked for", "name", name, "folder", s.opt.Storage, "error", err)
		}
	}
	s.managed.Store(m)
	return nil
}

// rootsOf reads the authority's own certificate; nil is the system's.
func rootsOf(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the authority: %w (check acme.root)", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM form (check acme.root)", file)
	}
	return roots, nil
}

// split is a listener's host, "" for all addresses, and its port; 0 where there is none.
func split(a net.Addr) (host string, port int) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || tcp == nil {
		return "", 0
	}
	if !tcp.IP.IsUnspecified() {
		host = tcp.IP.String()
	}
	return host, tcp.Port
}

// Run gets certificates that are not there yet, renews those that are old, and staples OCSP answers, until ctx ends. Failures are
// reported and tried again: what is at hand is served meanwhile. Without Domains it returns at once.
func (s *Source) Run(ctx context.Context) {
	m := s.managed.Load()
	if m == nil {
		return
	}
	defer s.Close()
	var running sync.WaitGroup
	for _, name := range s.opt.Domains {
		running.Go(func() { m.keep(ctx, name) })
	}
	running.Wait()
	<-ctx.Done()
}

// Close ends what Open began.
func (s *Source) Close() {
	s.closing.Do(func() {
		if m := s.managed.Load(); m != nil {
			m.cache.Stop()
		}
	})
}

// ours marks, in a context, what keep does, which reports its failures itself.
type ours struct{}

// keep asks for a name's certificate until there is one that is good for a while; certmagic renews it from then on.
func (m *managed) keep(ctx context.Context, name string) {
	s := m.source
	for n := 1; ; n++ {
		err := m.have(context.WithValue(ctx, ours{}, true), name)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.metrics.failures.WithLabelValues(sourceACME).Inc()
		wait := s.opt.Retry(n)
		s.opt.Log.Error("no TLS certificate from the authority; trying again", "name", name, "directory", m.issuer.CA,
			"again_in", wait, "serving", m.serving(name), "error", err, "hint",
			"the authority has to reach this host by the name: http.tls_address at port 443, or acme.http_address at port 80")
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// have gets or renews a name's certificate where that is due.
func (m *managed) have(ctx context.Context, name string) error {
	m.asking.Lock()
	defer m.asking.Unlock()
	stored := m.cache.AllMatchingCertificates(name)
	fresh := false
	for _, c := range stored {
		fresh = fresh || !c.NeedsRenewal(m.magic)
	}
	var err error
	switch {
	case fresh:
		return nil
	case len(stored) > 0:
		err = m.magic.RenewCertSync(ctx, name, false)
	default:
		// What is there, and cannot be used, is in the way of a new one.
		if _, bad := m.magic.CacheManagedCertificate(ctx, name); bad != nil && !errors.Is(bad, fs.ErrNotExist) {
			err = m.magic.RenewCertSync(ctx, name, true)
		} else {
			err = m.magic.ObtainCertSync(ctx, name)
		}
	}
	if err != nil {
		return err
	}
	_, err = m.magic.CacheManagedCertificate(ctx, name)
	return err
}

// serving says what is served meanwhile.
func (m *managed) serving(name string) string {
	var until time.Time
	for _, c := range m.cache.AllMatchingCertificates(name) {
		if c.Leaf != nil && c.Leaf.NotAfter.After(until) {
			until = c.Leaf.NotAfter
		}
	}
	switch {
	case until.IsZero():
		return "nothing: handshakes fail"
	case until.Before(m.source.opt.Now()):
		return "the stored certificate, which is no longer valid since " + until.UTC().Format(time.RFC3339)
	}
	return "the stored certificate, valid until " + until.UTC().Format(time.RFC3339)
}

// event hears of what certmagic does.
func (m *managed) event(ctx context.Context, event string, data map[string]any) error {
	s := m.source
	switch event {
	case "cert_obtained":
		s.opt.Log.Info("new TLS certificate from the authority", "name", data["identifier"], "renewal", data["renewal"])
	case "cert_failed":
		if ctx.Value(ours{}) == nil {
			s.metrics.failures.WithLabelValues(sourceACME).Inc()
			s.opt.Log.Error("TLS certificate cannot be renewed; trying again", "name", data["identifier"], "left", data["remaining"], "error", data["error"])
		}
	}
	return nil
}

// certificate is what a client gets that asks for a name, or an authority that looks for its proof.
func (m *managed) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(hello.ServerName, ".")
	if name != "" && !slices.ContainsFunc(m.source.opt.Domains, func(d string) bool { return strings.EqualFold(d, name) }) {
		return nil, fmt.Errorf("%w: %q is none of acme.domains", ErrNone, hello.ServerName)
	}
	c, err := m.magic.GetCertificate(hello)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %v", ErrNone, hello.ServerName, err)
	}
	return c, nil
}

// expiries are those of the names' certificates.
func (m *managed) expiries() []expiry {
	var all []expiry
	for _, name := range m.source.opt.Domains {
		var last time.Time
		for _, c := range m.cache.AllMatchingCertificates(name) {
			if c.Leaf != nil && c.Leaf.NotAfter.After(last) {
				last = c.Leaf.NotAfter
			}
		}
		if !last.IsZero() {
			all = append(all, expiry{sourceACME, name, last})
		}
	}
	return all
}

// newest prefers, of a name's certificates that a client can use, the one that is valid longest.
type newest struct {
	first string // the name for clients that name none
}

// SelectCertificate implements certmagic.CertificateSelector. Where no certificate is for the name, certmagic offers all of them.
func (n newest) SelectCertificate(hello *tls.ClientHelloInfo, choices []certmagic.Certificate) (best certmagic.Certificate, err error) {
	name := hello.ServerName
	if name == "" {
		name = n.first
	}
	supported := false
	for _, c := range choices {
		if c.Leaf.VerifyHostname(name) != nil {
			continue
		}
		usable := hello.SupportsCertificate(&c.Certificate) == nil
		if best.Leaf == nil || usable && !supported || usable == supported && c.Leaf.NotAfter.After(best.Leaf.NotAfter) {
			best, supported = c, usable
		}
	}
	if best.Leaf == nil {
		return best, ErrNone
	}
	return best, nil
}

// Challenge answers an authority that looks for its proof over HTTP (RFC 8555 8.3), and leaves everything else to other.
func (s *Source) Challenge(other http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m := s.managed.Load(); m != nil && m.issuer.HandleHTTPChallenge(w, r) {
			return
		}
		other.ServeHTTP(w, r)
	})
}

// Bounds of waiting for an authority.
const (
	firstRetry = 30 * time.Second
	lastRetry  = time.Hour
)

// retryLater doubles the wait with each failure in a row: authorities count what fails (five an hour at Let's Encrypt).
func retryLater(n int) time.Duration {
	wait := firstRetry
	for range min(n-1, 10) {
		wait *= 2
	}
	return min(wait, lastRetry)
}
