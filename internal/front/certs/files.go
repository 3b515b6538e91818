package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// files serves a TLS certificate from files and takes new ones up when the files change.
type files struct {
	opt    *Options
	failed prometheus.Counter

	mu      sync.Mutex // guards what follows
	loaded  *tls.Certificate
	refused string // stamp of what could not be used, so that it is reported once
	stamp   string
	checked time.Time
}

// recheck is how often the files are looked at, at most.
const recheck = 2 * time.Second

// load reads the files if they changed; the certificate at hand stays when they cannot be used.
func (f *files) load() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.opt.Now()
	if f.loaded != nil && now.Sub(f.checked) < recheck {
		return f.loaded, nil
	}
	f.checked = now
	certFile, keyFile := f.opt.Files()
	stamp := stampOf(certFile) + stampOf(keyFile)
	if f.loaded != nil && (stamp == f.stamp || stamp == f.refused) {
		return f.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		f.failed.Inc()
		if f.loaded == nil {
			return nil, fmt.Errorf("load TLS certificate: %w (check tls.certificate and tls.key)", err)
		}
		f.refused = stamp
		f.opt.Log.Error("new TLS certificate cannot be used; the old one stays (check tls.certificate and tls.key)", "error", err)
		return f.loaded, nil
	}
	if f.loaded != nil {
		f.opt.Log.Info("TLS certificate reloaded", "file", certFile)
	}
	f.loaded, f.stamp, f.refused = &pair, stamp, ""
	return f.loaded, nil
}

// expiry is that of the certificate at hand; ok is false without one.
func (f *files) expiry() (_ expiry, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded == nil || f.loaded.Leaf == nil {
		return expiry{}, false
	}
	return expiry{sourceFile, nameOf(f.loaded.Leaf), f.loaded.Leaf.NotAfter}, true
}

// nameOf is what a certificate is called in the metrics: its first host name.
func nameOf(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	}
	return c.Subject.CommonName
}

func stampOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return file + "?"
	}
	return fmt.Sprint(file, info.ModTime().UnixNano(), info.Size())
}
