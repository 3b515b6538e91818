package api

import (
	"net/http"
	"time"

	"pushcart/internal/auth"
)

// Access is what a token is good for, and where its holder can watch.
type Access struct {
	Stream string `json:"stream"`
	// Role that the token has for the stream: "viewer", "producer" or "admin".
	Role auth.Role `json:"role"`
	// Watch and Playlist are where the stream can be played: signed addresses, where it is played by those only.
	Watch    string `json:"watch"`
	Playlist string `json:"playlist"`
	// ExpiresAt is until when these are good; nil is for good.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// visible tells whether whoever asks may know of a stream. Names of streams that are played by signed addresses only are told those who
// have one, their publishers and their operators. What another node passes on, that one has decided.
func (c *call) visible(stream string) bool {
	opt := &c.api.opt
	if opt.Visible == nil || c.r.Context().Value(fromNode{}) != nil || opt.Visible(c.r, stream) {
		return true
	}
	secret, ok := bearer(c.r.Header.Values("Authorization"))
	if !ok {
		return false
	}
	if _, ok := opt.Tokens.Load().Role(stream, secret); ok {
		return true
	}
	return opt.Publisher != nil && opt.Publisher(stream, secret)
}

// admitViewer refuses who must not know of a stream, whether there is one or not.
func (c *call) admitViewer() error {
	if c.visible(c.r.PathValue("name")) {
		return nil
	}
	if _, err := c.api.guard.admit(c.r, c.r.PathValue("name"), auth.Viewer); err != nil && len(c.r.Header.Values("Authorization")) > 0 {
		return err // a wrong token, which is counted
	}
	return problemf(reasonUnauthorized, "", "Streams of this name are played by signed addresses only: ask below one, /p/TOKEN%s, or with the stream's operator token.", clip(c.r.URL.Path)).
		with("WWW-Authenticate", `Bearer realm="pushcart"`)
}

// access tells what the token is good for.
func (c *call) access() error {
	role, _ := c.api.opt.Tokens.Load().Role(c.stream, c.token) // there is one, or the request would not be here
	a := Access{Stream: c.stream, Role: role}
	prefix := ""
	if c.api.opt.Address != nil {
		var expires time.Time
		if prefix, expires = c.api.opt.Address(c.stream); !expires.IsZero() {
			a.ExpiresAt = &expires
		}
	}
	a.Watch, a.Playlist = prefix+"/watch/"+c.stream, prefix+"/live/"+c.stream+"/index.m3u8"
	writeJSON(c.w, http.StatusOK, kindJSON, a)
	return nil
}
