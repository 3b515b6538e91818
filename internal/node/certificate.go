package node

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificate serves a TLS certificate from files and takes new ones up when the files change.
type certificate struct {
	files func() (cert, key string)
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex // guards what follows
	loaded  *tls.Certificate
	stamp   string
	checked time.Time
}

// recheck is how often the files are looked at, at most.
const recheck = 2 * time.Second

// load reads the files if they changed; the certificate at hand stays when they cannot be used.
func (c *certificate) load() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.loaded != nil && now.Sub(c.checked) < recheck {
		return c.loaded, nil
	}
	c.checked = now
	certFile, keyFile := c.files()
	stamp := stampOf(certFile) + stampOf(keyFile)
	if c.loaded != nil && stamp == c.stamp {
		return c.loaded, nil
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		if c.loaded == nil {
			return nil, fmt.Errorf("load TLS certificate: %w (check tls.certificate and tls.key)", err)
		}
		c.log.Error("new TLS certificate cannot be used; the old one stays", "error", err)
		return c.loaded, nil
	}
	if c.loaded != nil {
		c.log.Info("TLS certificate reloaded", "file", certFile)
	}
	c.loaded, c.stamp = &pair, stamp
	return c.loaded, nil
}

func stampOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return file + "?"
	}
	return fmt.Sprint(file, info.ModTime().UnixNano(), info.Size())
}

// config returns a TLS configuration for the given protocols, after a first load.
func (c *certificate) config(protocols ...string) (*tls.Config, error) {
	if _, err := c.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.load()
		},
	}, nil
}
