package api

import _ "embed"

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
	c.api.keys.serve(c.w, c.r)
	return nil
}
