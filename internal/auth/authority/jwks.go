package authority

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// refetchEvery is the least time between two fetches of a key set because of a token with an unknown key, and between two after a
	// failure.
	refetchEvery = 10 * time.Second
	// lookEvery is how often it is looked whether a file has changed, and whether a fetch is due.
	lookEvery = 2 * time.Second
	// fetchTime is how long a fetch may take.
	fetchTime = 5 * time.Second
	// mostTried is how many keys are tried for a token that does not say which it is signed by.
	mostTried = 8
)

// jwks has the keys that tokens are signed by. What was fetched once stays for as long as nothing newer can be.
type jwks struct {
	client  *http.Client
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	base    context.Context // ends every fetch
	flights *sync.WaitGroup

	mu      sync.Mutex // guards what follows
	from    string     // the URL or file that they are from
	keys    []jose.JSONWebKey
	loaded  time.Time // when they were; zero is never
	tried   time.Time // when it was tried last
	failing bool
	file    fileState
	flight  chan struct{} // closed when the fetch that is under way has ended; nil without one
}

// fileState is by what a changed file is known.
type fileState struct {
	changed time.Time
	size    int64
}

// find returns the keys that a token may be signed by, and whether one of them is the one that it names. again tells that those that
// were found before did not do: the set may have been changed since. Its errors are errNoKeys and such as complete the sentence "the
// token cannot be used: ...".
func (j *jwks) find(ctx context.Context, set JWT, h header, again bool) (_ []jose.JSONWebKey, named bool, _ error) {
	j.mu.Lock()
	j.turnToLocked(set.JWKS)
	found, named := j.fitLocked(h)
	if len(found) > 0 && !again {
		j.mu.Unlock()
		return found, named, nil
	}
	least := refetchEvery
	if !remote(set.JWKS) || j.loaded.IsZero() && !j.failing {
		least = time.Second
	}
	var flight chan struct{}
	if j.flight != nil || j.tried.IsZero() || j.now().Sub(j.tried) >= least {
		flight = j.fetchLocked()
	}
	j.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
		case <-j.base.Done():
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	found, named = j.fitLocked(h)
	switch {
	case len(found) > 0:
		return found, named, nil
	case len(j.keys) == 0:
		return nil, false, errNoKeys
	}
	return nil, false, errors.New("it is signed by a key that is not known here")
}

// turnToLocked forgets the keys if others are asked for from now on.
func (j *jwks) turnToLocked(from string) {
	if j.from != from {
		j.from, j.keys, j.loaded, j.tried, j.failing, j.file = from, nil, time.Time{}, time.Time{}, false, fileState{}
	}
}

// fitLocked finds the keys that a token may be signed by: the one that it names, or those without a name; where it names none, all that
// are for its algorithm.
func (j *jwks) fitLocked(h header) (found []jose.JSONWebKey, named bool) {
	var others []jose.JSONWebKey
	for i := range j.keys {
		k := &j.keys[i]
		switch {
		case !fits(k, h.Algorithm):
		case h.KeyID != "" && k.KeyID == h.KeyID:
			found = append(found, *k)
		case h.KeyID == "" || k.KeyID == "":
			others = append(others, *k)
		}
	}
	if len(found) > 0 {
		return found[:min(len(found), mostTried)], true
	}
	return others[:min(len(others), mostTried)], false
}

// look fetches the keys if that is due.
func (j *jwks) look(set JWT) {
	var is fileState
	var err error
	if set.JWKS != "" && !remote(set.JWKS) {
		is, err = stateOf(set.JWKS)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.turnToLocked(set.JWKS)
	if set.JWKS == "" || j.flight != nil {
		return
	}
	since := j.now().Sub(j.tried)
	due := j.tried.IsZero() || since >= set.Refresh || j.failing && since >= refetchEvery
	if !remote(set.JWKS) {
		due = j.tried.IsZero() || err == nil && is != j.file || err != nil && !j.failing
	}
	if due {
		j.fetchLocked()
	}
}

// fetchLocked begins a fetch, or joins the one that is under way; the channel is closed when it has ended.
func (j *jwks) fetchLocked() chan struct{} {
	if j.flight != nil {
		return j.flight
	}
	j.tried = j.now()
	done, from := make(chan struct{}), j.from
	j.flight = done
	j.flights.Add(1) // Close waits for it
	go func() {
		defer j.flights.Done()
		defer close(done)
		ctx, cancel := context.WithTimeout(j.base, fetchTime)
		defer cancel()
		b, is, err := j.read(ctx, from)
		var keys []jose.JSONWebKey
		if err == nil {
			keys, err = readKeySet(b)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.flight = nil
		if j.from != from || j.base.Err() != nil {
			return
		}
		j.file = is
		j.endLocked(keys, err)
	}()
	return done
}

// endLocked takes what a fetch has brought.
func (j *jwks) endLocked(keys []jose.JSONWebKey, err error) {
	j.metrics.fetched(err)
	if err != nil {
		if !j.failing {
			j.log.Error("the keys that tokens are signed by cannot be read", "from", j.where(), "error", err,
				"hint", "check jwt.jwks; what was read before stays good")
		}
		j.failing = true
		return
	}
	if j.failing || j.loaded.IsZero() {
		j.log.Info("the keys that tokens are signed by are read", "from", j.where(), "keys", len(keys))
	}
	j.keys, j.loaded, j.failing = keys, j.now(), false
}

// age is how old the keys are, and how many there are; negative when there are none.
func (j *jwks) age() (time.Duration, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.loaded.IsZero() {
		return -1, 0
	}
	return j.now().Sub(j.loaded), len(j.keys)
}

// where is the URL without its query, or the file's name, for logs.
func (j *jwks) where() string {
	if !remote(j.from) {
		return filepath.Base(j.from)
	}
	u, err := url.Parse(j.from)
	if err != nil {
		return "jwt.jwks"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// remote tells a URL from a file.
func remote(from string) bool { return strings.Contains(from, "://") }

func (j *jwks) read(ctx context.Context, from string) ([]byte, fileState, error) {
	if !remote(from) {
		return readFile(from)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fileState{}, bare(err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "pushcart")
	res, err := j.client.Do(req)
	if err != nil {
		return nil, fileState{}, bare(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fileState{}, fmt.Errorf("it answers %d", res.StatusCode)
	}
	b, err := readSmall(res.Body, mostKeySet)
	if err != nil {
		return nil, fileState{}, bare(err)
	}
	return b, fileState{}, nil
}

// readFile reads a file, and how it was before that: a change while it is read is seen the next time.
func readFile(name string) ([]byte, fileState, error) {
	is, err := stateOf(name)
	if err != nil {
		return nil, is, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, is, err
	}
	defer f.Close()
	b, err := readSmall(f, mostKeySet)
	return b, is, err
}

func stateOf(name string) (fileState, error) {
	i, err := os.Stat(name)
	if err != nil {
		return fileState{}, err
	}
	if !i.Mode().IsRegular() {
		return fileState{}, fmt.Errorf("%s is no file", filepath.Base(name))
	}
	return fileState{changed: i.ModTime(), size: i.Size()}, nil
}
