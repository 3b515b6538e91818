package trust

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// developmentAuthority is the authority's folder below that of all nodes of this host.
const developmentAuthority = "authority"

// Development is Open for a try on one host: all its nodes share a folder. The first makes an authority there, and each issues a
// certificate to itself, in a folder with its name. Whoever can read the folder can be any node of the cluster, so it is
// nothing for production, and the log says so. Opt's Name and Region are not used.
func Development(dir, name, region string, opt Options) (*Credentials, error) {
	if err := (Identity{Name: name, Region: region}).valid(); err != nil {
		return nil, fmt.Errorf("%w: set node.name and cluster.region", err)
	}
	opt.Name, opt.Region = name, region
	now := time.Now
	if opt.Now != nil {
		now = opt.Now
	}
	a, err := developmentShared(dir, now())
	if err != nil {
		return nil, fmt.Errorf("cluster.development: %w", err)
	}
	own := filepath.Join(dir, name)
	if !usable(own, a, opt, now()) {
		if err := developmentNode(own, a, name, region, now()); err != nil {
			return nil, fmt.Errorf("cluster.development: %w", err)
		}
	}
	log := opt.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	log.Warn("DEVELOPMENT MODE: this node trusts everybody who can read the folder of the cluster's key. Not for production: make certificates "+
		"with \"pushcart ca init\" and \"pushcart ca issue\", and unset cluster.development", "folder", dir)
	return Open(own, opt)
}

// developmentShared loads the host's authority, or makes it. Of several nodes that start at once, one makes it: a folder comes
// into being whole, by being renamed, and none that has files in it is replaced that way.
func developmentShared(dir string, now time.Time) (*Authority, error) {
	shared := filepath.Join(dir, developmentAuthority)
	a, err := LoadAuthority(shared)
	if err == nil && now.Before(a.NotAfter()) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return a, err
	}
	if err == nil {
		return nil, fmt.Errorf("the authority in %s expired on %s: remove the folder %s and start all nodes again", shared, date(a.NotAfter()), dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if a, err = NewAuthority(now, AuthorityValidity); err != nil {
		return nil, err
	}
	made := filepath.Join(dir, "."+developmentAuthority+"."+rand.Text()[:8])
	defer os.RemoveAll(made) // is not there any more when it was renamed
	if err := a.Save(made); err != nil {
		return nil, err
	}
	if err := os.Rename(made, shared); err != nil {
		// Another node was first, or the folder cannot be written.
		theirs, failed := LoadAuthority(shared)
		if failed != nil {
			return nil, errors.Join(err, failed)
		}
		return theirs, nil
	}
	return a, nil
}

// developmentNode issues a certificate for this node and writes its folder, over whatever is in it.
func developmentNode(dir string, a *Authority, name, region string, now time.Time) error {
	pair, err := a.Issue(name, region, []string{"localhost", "127.0.0.1", "::1"}, 0, now)
	if err != nil {
		return err
	}
	return ReplaceNode(dir, a.Certificate(), pair)
}

// usable tells whether a node's folder has a certificate of the authority that is good for a while yet.
func usable(dir string, a *Authority, opt Options, now time.Time) bool {
	c, err := Open(dir, Options{Name: opt.Name, Region: opt.Region, Now: opt.Now})
	return err == nil && c.current().root.Equal(a.cert) && c.NotAfter().Sub(now) > warnBefore
}
