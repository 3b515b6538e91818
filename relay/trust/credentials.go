package trust

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How often things are looked at.
const (
	// recheck is how often the files are, at most.
	recheck = 2 * time.Second
	// look is how often Run looks at the files when nobody connects.
	look = time.Minute
	// warnBefore is how long before the end of a certificate the log begins to tell of it, once a day.
	warnBefore = 30 * 24 * time.Hour
	warnEvery  = 24 * time.Hour
)

// Options of a node's credentials.
type Options struct {
	// Name and Region that the node is configured to have: a certificate for another is refused. "" is whatever the
	// certificate says.
	Name, Region string
	// Log gets reloads, mistakes and what expires soon; nil is nowhere.
	Log *slog.Logger
	// Registerer gets the metrics; nil is none.
	Registerer prometheus.Registerer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Credentials are what a node shows to the others and knows them by. Its files are read again when they change, so that a
// certificate is renewed without a restart. All methods are for any goroutine.
type Credentials struct {
	dir string
	opt Options
	log *slog.Logger
	now func() time.Time

	refused *prometheus.CounterVec

	mu      sync.Mutex // guards what follows
	loaded  *loaded
	stamp   string
	checked time.Time
	warned  time.Time
	expired bool // when it was warned
}

// loaded is what the files said. It is not changed afterwards.
type loaded struct {
	id   Identity
	pair tls.Certificate
	leaf *x509.Certificate
	// root is the authority's certificate that the node's own leads to; pool has it and further ones, of which eldest is the
	// oldest.
	root, eldest *x509.Certificate
	pool         *x509.CertPool
}

// Open reads a node's folder. Its errors say which file is wrong and what to do.
func Open(dir string, opt Options) (*Credentials, error) {
	c := &Credentials{dir: dir, opt: opt, log: opt.Log, now: opt.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if err := c.register(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l, err := c.readLocked()
	if err != nil {
		return nil, err
	}
	c.opt.Name, c.opt.Region = l.id.Name, l.id.Region // a later certificate has to be for the same node
	c.loaded, c.stamp, c.checked = l, c.stampLocked(), c.now()
	if info, err := os.Stat(filepath.Join(dir, KeyFile)); err == nil && info.Mode().Perm()&0o007 != 0 {
		c.log.Warn("everybody on this host can read the node's private key; take the right away with chmod o-rwx", "file", filepath.Join(dir, KeyFile))
	}
	if file := filepath.Join(dir, AuthorityKeyFile); exists(file) {
		c.log.Warn("the authority's key lies in this node's folder: whoever gets it can be any node; take it to a machine that is none", "file", file)
	}
	c.log.Info("cluster certificate read", "node", l.id.Name, "region", l.id.Region, "until", date(l.leaf.NotAfter), "authority", l.root.Subject.CommonName)
	c.warnLocked()
	return c, nil
}

// exists tells whether there is a file.
func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// register makes the metrics.
func (c *Credentials) register() error {
	c.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pushcart_relay_handshakes_refused_total",
		Help: "Connections of the cluster refused because of the other side's certificate, by reason.",
	}, []string{"reason"})
	for _, reason := range []string{refusedAuthority, refusedExpired, refusedIdentity, refusedNode, refusedOther} {
		c.refused.WithLabelValues(reason)
	}
	if c.opt.Registerer == nil {
		return nil
	}
	days := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pushcart_relay_certificate_expiry_seconds",
		Help: "Time until the node's cluster certificate, or its authority's, expires; negative afterwards.",
	}, func() float64 { return c.NotAfter().Sub(c.now()).Seconds() })
	return errors.Join(c.opt.Registerer.Register(c.refused), c.opt.Registerer.Register(days))
}

// Run looks after the files until ctx ends: it takes changed ones up, and tells in the log what expires soon.
func (c *Credentials) Run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.current()
			c.mu.Lock()
			c.warnLocked()
			c.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// Identity is who this node is.
func (c *Credentials) Identity() Identity { return c.current().id }

// NotAfter is until when the others take this node for what it is: the end of its certificate, or of its authority's, whichever
// comes first.
func (c *Credentials) NotAfter() time.Time {
	l := c.current()
	if l.root.NotAfter.Before(l.leaf.NotAfter) {
		return l.root.NotAfter
	}
	return l.leaf.NotAfter
}

// Shared returns 32 bytes that are the same on all nodes of the cluster, and others for each purpose and in each cluster. They are
// made of the authority's public key and are no secret: good for telling clusters and uses apart, as a salt is, and not for
// keys. While an authority is being replaced they stay those of the older one in ca.pem.
func (c *Credentials) Shared(purpose string) []byte {
	b, err := hkdf.Key(sha256.New, c.current().eldest.RawSubjectPublicKeyInfo, []byte("pushcart cluster"), purpose, sha256.Size)
	if err != nil {
		panic("trust: HKDF of 32 bytes: " + err.Error()) // it refuses larger lengths only (RFC 5869 2.3)
	}
	return b
}

// current returns what the files say. What was read before stays when they cannot be used.
func (c *Credentials) current() *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if since := now.Sub(c.checked); since >= 0 && since < recheck {
		return c.loaded
	}
	c.checked = now
	stamp := c.stampLocked()
	if stamp == c.stamp {
		return c.loaded
	}
	c.stamp = stamp // of files that cannot be used too: they are told about once, until they change again
	l, err := c.readLocked()
	if err != nil {
		c.log.Error("the changed cluster certificate cannot be used; the one before stays", "error", err)
		return c.loaded
	}
	c.loaded, c.warned = l, time.Time{}
	c.log.Info("cluster certificate reloaded", "node", l.id.Name, "until", date(l.leaf.NotAfter), "authority", l.root.Subject.CommonName)
	c.warnLocked()
	return l
}

// stampLocked tells whether files have changed.
func (c *Credentials) stampLocked() string {
	stamp := ""
	for _, name := range []string{AuthorityFile, CertificateFile, KeyFile} {
		info, err := os.Stat(filepath.Join(c.dir, name))
		if err != nil {
			stamp += "?,"
			continue
		}
		stamp += fmt.Sprintf("%d %d,", info.ModTime().UnixNano(), info.Size())
	}
	return stamp
}

// warnLocked tells once a day, and when it happens, what expires soon or has expired.
func (c *Credentials) warnLocked() {
	now := c.now()
	expired := now.After(c.loaded.leaf.NotAfter) || now.After(c.loaded.root.NotAfter)
	if !c.warned.IsZero() && now.Sub(c.warned) < warnEvery && expired == c.expired {
		return
	}
	c.expired = expired
	for _, w := range []struct {
		cert       *x509.Certificate
		what, then string
	}{
		{c.loaded.leaf, "the node's cluster certificate", "pushcart ca issue " + c.loaded.id.Name + " --region " + c.loaded.id.Region + " --renew"},
		{c.loaded.root, "the cluster's authority", "make a new one, put both certificates into every node's " + AuthorityFile + ", then issue the nodes' certificates anew"},
	} {
		if left := w.cert.NotAfter.Sub(now); left < warnBefore {
			c.warned = now
			level, what := slog.LevelWarn, w.what+" expires soon"
			if left < 0 {
				level, what = slog.LevelError, w.what+" has expired: no other node copies from this one, or lets it copy"
			}
			c.log.Log(context.Background(), level, what, "name", w.cert.Subject.CommonName, "until", date(w.cert.NotAfter), "days_left", int(left.Hours()/24), "do", w.then)
		}
	}
}

// readLocked reads the files and checks all that others will check.
func (c *Credentials) readLocked() (*loaded, error) {
	l := &loaded{pool: x509.NewCertPool()}
	roots, err := readCertificates(filepath.Join(c.dir, AuthorityFile))
	if err != nil {
		return nil, c.missing(err)
	}
	for _, r := range roots {
		if !r.IsCA {
			return nil, fmt.Errorf("%s: the certificate of %q is no authority's; it is the cluster's %s that belongs there",
				filepath.Join(c.dir, AuthorityFile), r.Subject.CommonName, AuthorityFile)
		}
		l.pool.AddCert(r)
		if l.eldest == nil || r.NotBefore.Before(l.eldest.NotBefore) {
			l.eldest = r
		}
	}
	file := filepath.Join(c.dir, CertificateFile)
	text, err := readFile(file)
	if err != nil {
		return nil, c.missing(err)
	}
	key, err := readFile(filepath.Join(c.dir, KeyFile))
	if err != nil {
		return nil, c.missing(err)
	}
	if l.pair, err = tls.X509KeyPair(text, key); err != nil {
		return nil, fmt.Errorf("%s and %s: %w", file, KeyFile, err)
	}
	l.leaf = l.pair.Leaf
	if l.id, err = IdentityOf(l.leaf); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if c.opt.Name != "" && c.opt.Name != l.id.Name || c.opt.Region != "" && c.opt.Region != l.id.Region {
		want := c.opt.Name
		if c.opt.Region != "" {
			want = Identity{Name: cmp.Or(c.opt.Name, l.id.Name), Region: c.opt.Region}.String()
		}
		return nil, fmt.Errorf("%s is for node %s, and this is %s: check node.name and cluster.region, and that the folder is this node's", file, l.id, want)
	}
	now := c.now()
	if now.After(l.leaf.NotAfter) {
		return nil, fmt.Errorf("%s expired on %s; issue a new one: pushcart ca issue %s --region %s --renew", file, date(l.leaf.NotAfter), l.id.Name, l.id.Region)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		chain, err := l.verify(l.pair.Leaf, nil, usage, now)
		if err != nil {
			return nil, fmt.Errorf("%s is not one that the other nodes will take: %w (it has to be issued by the authority in %s)", file, err, AuthorityFile)
		}
		l.root = chain[len(chain)-1]
	}
	return l, nil
}

// missing adds to an error of a file that is not there how it comes to be there.
func (c *Credentials) missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: copy the folder that \"pushcart ca issue\" made for this node to %s, or set cluster.development for a try on one host", err, c.dir)
	}
	return err
}

// verify checks that a certificate leads to the cluster's authority, and to no other.
func (l *loaded) verify(cert *x509.Certificate, further []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) ([]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, f := range further {
		between.AddCert(f)
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: l.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, err
	}
	return chains[0], nil
}
