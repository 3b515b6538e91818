package api

import (
	"bytes"
	_ "embed"
)

// openAPI describes the API (OpenAPI 3.1.1).
//
//go:embed openapi.yaml
var openAPI []byte

func (c *call) openAPI() error {
	c.api.spec.serve(c.w, c.r)
	return nil
}

// jwks answers with the public keys.
func (c *call) jwks() error {
	body := c.api.opt.Keys()
	keys := c.api.keys.Load()
	if keys == nil || !bytes.Equal(keys.body, body) {
		s := newStatic(body, "application/jwk-set+json", "public, max-age=300")
		keys = &s
		c.api.keys.Store(keys)
	}
	keys.serve(c.w, c.r)
	return nil
}
