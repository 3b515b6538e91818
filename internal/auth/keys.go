package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"sync"
	"time"
)

// AnyStream in an Entry lets its key publish under any name.
const AnyStream = "*"

// Entry is one stream key, or one operator token, as it is configured.
type Entry struct {
	// Stream is the name that the key is for, or AnyStream.
	Stream string
	// Key is the secret, or "sha256:" and its SHA-256 in hexadecimal.
	Key string
	// Ladder is the name of the bitrate ladder that publishers with the key get; "" leaves it to the stream's name.
	Ladder string
	// Standby tells that publishers with the key stand by: they are let in and wait while another publisher has the stream, go on
	// with it when that one goes, and give way when it returns.
	Standby bool
	// MaxBitrate is the most that publishers with the key may send, all tracks together, in bit/s; 0 is no limit.
	MaxBitrate int64
	// MaxDuration is how long a show of theirs may last; 0 is no limit.
	MaxDuration time.Duration
	// Role is what an operator token is good for; "" is Admin for AnyStream, and Producer for a stream. Stream keys have none.
	Role Role
}

// Terms are what a stream key grants besides the stream.
type Terms struct {
	// Ladder, Standby, MaxBitrate and MaxDuration are as in Entry.
	Ladder      string
	Standby     bool
	MaxBitrate  int64
	MaxDuration time.Duration
}

// EntryError says which entry cannot be used, and why.
type EntryError struct {
	// Index of the entry, from 0.
	Index int
	// Field is "stream", "key" or "role".
	Field string
	// Err completes the sentence "the field cannot be used: ...".
	Err error
}

// Error implements error.
func (e *EntryError) Error() string {
	return fmt.Sprintf("entry %d: the %s cannot be used: %v", e.Index+1, e.Field, e.Err)
}

// Unwrap returns Err.
func (e *EntryError) Unwrap() error { return e.Err }

// Keys is a fixed set of stream keys or of operator tokens. A nil *Keys is an empty set. It is safe for use from many goroutines.
type Keys struct{ all []key }

type key struct {
	stream     string
	secret     digest
	credential Credential
	terms      Terms
	role       Role
}

// EntryErrors is everything that is wrong with a list of entries, in the list's order.
type EntryErrors []*EntryError

// Error implements error.
func (es EntryErrors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "; ")
}

// NewKeys makes a set. Its error is an EntryErrors.
func NewKeys(entries []Entry) (*Keys, error) { return NewSharedKeys(entries, nil) }

// NewSharedKeys makes a set whose credentials are the same on all nodes that were given the same pepper, so that each of them
// knows a publisher of another one again. The pepper is as secret as what nodes tell one another: whoever has it can try weak
// secrets on a credential. An empty one is NewKeys. Its error is an EntryErrors.
func NewSharedKeys(entries []Entry, pepper []byte) (*Keys, error) {
	if len(pepper) == 0 {
		pepper = processPepper()
	}
	type pair struct {
		stream string
		secret digest
	}
	seen := map[pair]int{}
	k := &Keys{}
	var wrong EntryErrors
	for i, e := range entries {
		if e.Stream != AnyStream {
			if err := ValidName(e.Stream); err != nil {
				wrong = append(wrong, &EntryError{Index: i, Field: "stream", Err: err})
			}
		}
		if err := ValidKey(e.Key); err != nil {
			wrong = append(wrong, &EntryError{Index: i, Field: "key", Err: err})
			continue
		}
		if err := e.validRole(); err != nil {
			wrong = append(wrong, &EntryError{Index: i, Field: "role", Err: err})
		}
		d := digestOf(e.Key)
		if first, ok := seen[pair{e.Stream, d}]; ok {
			wrong = append(wrong, &EntryError{Index: i, Field: "key", Err: fmt.Errorf("entry %d has the same secret for the same stream", first+1)})
			continue
		}
		seen[pair{e.Stream, d}] = i
		k.all = append(k.all, key{stream: e.Stream, secret: d, credential: d.credential(pepper), role: e.role(), terms: Terms{
			Ladder: e.Ladder, Standby: e.Standby, MaxBitrate: e.MaxBitrate, MaxDuration: e.MaxDuration,
		}})
	}
	if wrong != nil {
		return nil, wrong
	}
	return k, nil
}

// Empty tells that no key is configured.
func (k *Keys) Empty() bool { return k == nil || len(k.all) == 0 }

// Check resolves what a publisher sent: the stream key without its query, and the secret from the query, "" when there
// was none. With both, the first is the stream's name, and the secret has to be that stream's or one for any stream. With
// one alone, it is a secret that stands for its stream, provided that it belongs to exactly one. The name is as the
// publisher sent it where the key is for any stream: check it with ValidName.
//
// Every key is looked at, in constant time, so that the time taken tells nothing about the secrets.
func (k *Keys) Check(stream, secret string) (_ Credential, name string, ok bool) {
	if k.Empty() {
		return "", "", false
	}
	if stream == "" || secret == "" {
		return k.checkAlone(stream + secret)
	}
	sent := sha256.Sum256([]byte(secret))
	var found Credential
	for i := range k.all {
		e := &k.all[i]
		same := subtle.ConstantTimeCompare(sent[:], e.secret[:]) == 1
		if same && (e.stream == stream || e.stream == AnyStream) {
			found = e.credential
		}
	}
	if found == "" {
		return "", "", false
	}
	return found, stream, true
}

// checkAlone finds the one stream that a secret without a name stands for.
func (k *Keys) checkAlone(secret string) (found Credential, name string, ok bool) {
	sent := sha256.Sum256([]byte(secret))
	matches := 0
	for i := range k.all {
		e := &k.all[i]
		same := subtle.ConstantTimeCompare(sent[:], e.secret[:]) == 1
		if same && e.stream != AnyStream {
			matches++
			found, name = e.credential, e.stream
		}
	}
	if matches != 1 {
		return "", "", false
	}
	return found, name, true
}

// Permits tells whether a secret is the stream's, or one for any stream, and whose it is. Unlike Check it takes nothing for
// granted that was not said: without a name or without a secret the answer is no.
//
// Every key is looked at, in constant time, so that the time taken tells nothing about the secrets.
func (k *Keys) Permits(stream, secret string) (Credential, bool) {
	if stream == "" || secret == "" {
		return "", false
	}
	c, _, ok := k.Check(stream, secret)
	return c, ok
}

// Terms are those of the key that a credential for a stream stands for; the zero value where there is none. They are said by the
// entry for the stream, or else by that for any; a ladder that the former does not name is the latter's.
func (k *Keys) Terms(stream string, c Credential) Terms {
	if k == nil {
		return Terms{}
	}
	var own, every *Terms
	for i := range k.all {
		switch e := &k.all[i]; {
		case e.credential != c:
		case e.stream == stream:
			own = &e.terms
		case e.stream == AnyStream:
			every = &e.terms
		}
	}
	switch {
	case own == nil && every == nil:
		return Terms{}
	case own == nil:
		return *every
	}
	t := *own
	if t.Ladder == "" && every != nil {
		t.Ladder = every.Ladder
	}
	return t
}

// Known tells whether a secret is one of the set, for whatever stream.
//
// Every key is looked at, in constant time, so that the time taken tells nothing about the secrets.
func (k *Keys) Known(secret string) bool {
	if secret == "" || k.Empty() {
		return false
	}
	sent := sha256.Sum256([]byte(secret))
	found := 0
	for i := range k.all {
		found |= subtle.ConstantTimeCompare(sent[:], k.all[i].secret[:])
	}
	return found == 1
}

// Store holds the keys in force, to be read and replaced from any goroutine. The zero value holds no keys.
type Store struct {
	mu      sync.RWMutex // guards what follows
	current *Keys
	changed chan struct{} // closed by the next Store; nil while nobody watches
}

// Load returns the keys in force; nil, which is an empty set, before the first Store.
func (s *Store) Load() *Keys {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current
}

// Watch returns the keys in force and a channel that is closed once others are.
func (s *Store) Watch() (*Keys, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.current, s.changed
}

// Store puts other keys in force. Publishers that are already live are not asked again.
func (s *Store) Store(k *Keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = k
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}
