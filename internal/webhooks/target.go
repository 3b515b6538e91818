package webhooks

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"pushcart/internal/auth"
)

// Target is a service that is told.
type Target struct {
	// URL that events are posted to, http or https. It may have a name and a password; these, the path and the query are
	// neither logged nor in metrics.
	URL string
	// Secrets that events are signed with, each of them: a receiver may know any one, so that a secret can be changed. One that
	// begins with "whsec_" is base64 behind that, as the specification has it; another is taken as it stands. None: events are not
	// signed.
	Secrets []string
	// Events are types; none is all.
	Events []string
	// Streams are patterns (path.Match) of names; none is all.
	Streams []string
}

// Settings may change while it runs.
type Settings struct {
	// Targets, at most MaxTargets, whose URLs differ.
	Targets []Target
	// RetryFor is how long after an event it is tried again; 0 is DefaultRetryFor.
	RetryFor time.Duration
}

// MaxTargets is how many targets there may be.
const MaxTargets = 32

// DefaultRetryFor is how long an event is tried again unless Settings say otherwise.
const DefaultRetryFor = 24 * time.Hour

// key stands for a target on disk: the first bytes of its URL's hash. A target whose secret or filter changes stays the same.
type key [8]byte

func (t *Target) key() key {
	sum := sha256.Sum256([]byte(t.URL))
	return key(sum[:])
}

// wants tells whether the target is told of such an event.
func (t *Target) wants(typ, stream string) bool {
	return (len(t.Events) == 0 || slices.Contains(t.Events, typ)) &&
		(len(t.Streams) == 0 || slices.ContainsFunc(t.Streams, func(pattern string) bool {
			ok, err := path.Match(pattern, stream)
			return err == nil && ok
		}))
}

// host is what of the URL may be shown. The error of a bad one must not show it.
func (t *Target) host() (string, error) {
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" {
		return "", errors.New("url is not an address such as https://shop.example.com/pushcart")
	}
	return u.Host, nil
}

// validate completes "webhooks.targets[1].".
func (t *Target) validate() error {
	if _, err := t.host(); err != nil {
		return err
	}
	for _, s := range t.Secrets {
		if err := validSecret(s); err != nil {
			return err
		}
	}
	for _, e := range t.Events {
		if !slices.Contains(Types, e) {
			return fmt.Errorf("events: %q is not one of %s", e, strings.Join(Types, ", "))
		}
	}
	for _, p := range t.Streams {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("streams: %q is not a pattern such as show-*", p)
		}
	}
	return nil
}

// validSecret wants base64 behind "whsec_": a secret that was cut off would sign with something else than its owner thinks.
func validSecret(s string) error {
	if s == "" {
		return errors.New("secret is empty")
	}
	text, encoded := strings.CutPrefix(s, "whsec_")
	if !encoded {
		return nil
	}
	if b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err != nil || len(b) == 0 {
		return errors.New("secret begins with whsec_ but what follows is not base64: make one with echo whsec_$(openssl rand -base64 32)")
	}
	return nil
}

// sign puts the headers of an event's attempt, with a signature for each secret.
func sign(h http.Header, secrets []string, id string, at time.Time, body []byte) {
	h.Set(auth.SignatureID, id)
	h.Set(auth.SignatureTime, strconv.FormatInt(at.Unix(), 10))
	var all []string
	for _, secret := range secrets {
		one := http.Header{}
		auth.Sign(one, secret, id, at, body)
		all = append(all, one.Get(auth.Signature))
	}
	if len(all) > 0 {
		h.Set(auth.Signature, strings.Join(all, " "))
	}
}
