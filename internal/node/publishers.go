package node

import (
	"time"

	"pushcart/ingest"
	"pushcart/internal/auth/authority"
	"pushcart/internal/config"
)

// openAuthority makes who decides whether a publisher may publish.
func (n *Node) openAuthority() {
	n.authority = authority.New(authority.Options{
		Keys: n.keys, Settings: func() authority.Settings { return authoritySettings(n.cfg.Load()) }, Pepper: n.pepper(),
		Registerer: n.reg, Log: n.log,
	})
}

func authoritySettings(c *config.Config) authority.Settings {
	return authority.Settings{
		Callback: authority.Callback{
			URL: c.Callback.URL, Secret: string(c.Callback.Secret), Timeout: time.Duration(c.Callback.Timeout),
			Cache: time.Duration(c.Callback.Cache), Known: c.Callback.WhenDown == "known", Grace: time.Duration(c.Callback.Grace),
		},
		JWT: authority.JWT{
			JWKS: c.JWT.JWKS, Issuer: c.JWT.Issuer, Audience: c.JWT.Audience,
			Refresh: time.Duration(c.JWT.Refresh), Leeway: time.Duration(c.JWT.Leeway),
		},
	}
}

// asksElsewhere tells that others than publish.keys may let publishers in.
func asksElsewhere(c *config.Config) bool { return c.Callback.URL != "" || c.JWT.JWKS != "" }

// doorSettings are those of the door.
func doorSettings(c *config.Config) ingest.Settings {
	return ingest.Settings{
		KeyframeTimeout: time.Duration(c.Publish.KeyframeTimeout),
		MaxStreams:      c.Publish.MaxStreams,
		MaxDuration:     time.Duration(c.Publish.MaxDuration),
	}
}
