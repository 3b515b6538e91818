package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
)

// Role is what an operator token is good for. The order of the constants' texts means nothing: see Role.Covers.
type Role string

// The roles. Each may do what the one before may.
const (
	// Viewer reads: cards, timeline, events, ladder, sources, streams.
	Viewer Role = "viewer"
	// Producer runs shows: writes, shows, hides and schedules cards, and changes how they are taken.
	Producer Role = "producer"
	// Admin runs the node: its sources, and all else. It is for every stream.
	Admin Role = "admin"
)

// rank orders roles; 0 is none.
func (r Role) rank() int {
	switch r {
	case Viewer:
		return 1
	case Producer:
		return 2
	case Admin:
		return 3
	}
	return 0
}

// Covers tells whether whoever has the role may do what needs another. What is no role covers nothing, and nothing covers it.
func (r Role) Covers(needed Role) bool { return needed.rank() > 0 && r.rank() >= needed.rank() }

// role is an entry's: what it says, or what a token is good for that says nothing.
func (e Entry) role() Role {
	switch {
	case e.Role != "":
		return e.Role
	case e.Stream == AnyStream:
		return Admin
	}
	return Producer
}

// validRole tells why an entry cannot have its role. The error completes the sentence "the role cannot be used: ...".
func (e Entry) validRole() error {
	switch {
	case e.role().rank() == 0:
		return fmt.Errorf("%.20q is none of viewer, producer, admin", e.Role)
	case e.Role == Admin && e.Stream != AnyStream:
		return fmt.Errorf("admin is for the whole node: give it to an entry for the stream %q", AnyStream)
	}
	return nil
}

// Role is what a secret is good for where a stream is concerned, or with AnyStream the whole node: the most of what its entries say.
// ok is false when the secret is neither the stream's nor one for any.
//
// Every key is looked at, in constant time, so that the time taken tells nothing about the secrets.
func (k *Keys) Role(stream, secret string) (role Role, ok bool) {
	if k.Empty() || stream == "" || secret == "" {
		return "", false
	}
	return k.most(secret, func(e *key) bool { return e.stream == stream || e.stream == AnyStream })
}

// KnownRole is what a secret is good for on the stream where it may do most; ok is false when it is none of the set.
//
// Every key is looked at, in constant time, so that the time taken tells nothing about the secrets.
func (k *Keys) KnownRole(secret string) (role Role, ok bool) {
	if k.Empty() || secret == "" {
		return "", false
	}
	return k.most(secret, func(*key) bool { return true })
}

// most is the highest role among the entries of a secret that are meant.
func (k *Keys) most(secret string, meant func(*key) bool) (role Role, ok bool) {
	sent := sha256.Sum256([]byte(secret))
	for i := range k.all {
		e := &k.all[i]
		same := subtle.ConstantTimeCompare(sent[:], e.secret[:]) == 1
		if same && meant(e) && e.role.rank() > role.rank() {
			role = e.role
		}
	}
	return role, role != ""
}
