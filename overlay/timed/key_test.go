package timed

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

// TestThumbprint holds the key's identifier against the vector of RFC 8037 A.3.
func TestThumbprint(t *testing.T) {
	t.Parallel()
	if id := rfcKey(t).ID(); id != rfcThumbprint {
		t.Errorf("the thumbprint is %s, RFC 8037 says %s", id, rfcThumbprint)
	}
}

func TestHostileKeys(t *testing.T) {
	t.Parallel()
	good := string(rfcKey(t).PEM())
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, headers map[string]string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: data}))
	}
	for name, c := range map[string]struct{ data, want string }{
		"nothing":        {"", "not PEM"},
		"no PEM":         {"secret", "not PEM"},
		"public key":     {block("PUBLIC KEY", nil, []byte{1}), "in PEM"},
		"encrypted":      {block("ENCRYPTED PRIVATE KEY", nil, []byte{1}), "in PEM"},
		"headers":        {block("PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED"}, []byte{1}), "in PEM"},
		"damaged":        {block("PRIVATE KEY", nil, []byte("secret")), "not PKCS#8"},
		"ECDSA":          {block("PRIVATE KEY", nil, der), "ecdsa"},
		"two keys":       {good + good, "follows"},
		"trailing bytes": {good + "x", "follows"},
		"too long":       {good + strings.Repeat("\n", maxPEM), "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := ParseKey([]byte(c.data))
			if err == nil || k != nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v; want an error with %q", err, c.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats the key: %v", err)
			}
		})
	}
	if k, err := ParseKey([]byte("\n" + good + "\n \n")); err != nil || k.ID() != rfcThumbprint {
		t.Errorf("with white space around it the key is %v, %v", k, err)
	}
}

const (
	goodJWK = `{"kty":"OKP","crv":"Ed25519","x":"` + rfcPublic + `","kid":"` + rfcThumbprint + `"}`
	ecJWK   = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"1"}`
)

func TestKeySets(t *testing.T) {
	t.Parallel()
	jwk := func(old, by string) string {
		k := strings.Replace(goodJWK, old, by, 1)
		if k == goodJWK {
			t.Fatalf("%s is not in the key", old)
		}
		return `{"keys":[` + k + `]}`
	}
	for name, c := range map[string]struct {
		data, want string // want is "" where the key counts
	}{
		"one":                  {`{"keys":[` + goodJWK + `]}`, ""},
		"with use and alg":     {jwk(`{`, `{"use":"sig","alg":"EdDSA",`), ""},
		"unknown members":      {`{"more":{"a":[1,{}]},"keys":[` + strings.Replace(goodJWK, `{`, `{"nbf":17,"x5c":["a"],`, 1) + `]}`, ""},
		"with white space":     {" {\n\"keys\" : [ " + goodJWK + " ] }\n", ""},
		"among others":         {`{"keys":[` + ecJWK + `,{},` + goodJWK + `,{"kty":1}]}`, ""},
		"twice":                {`{"keys":[` + goodJWK + `,` + goodJWK + `]}`, ""},
		"nothing":              {"", "not JSON"},
		"no object":            {"[]", "not a JSON object"},
		"no keys":              {"{}", "no array"},
		"other case":           {`{"Keys":[` + goodJWK + `]}`, "no array"},
		"null":                 {`{"keys":null}`, "no array"},
		"keys no array":        {`{"keys":` + goodJWK + `}`, "no array"},
		"keys no objects":      {`{"keys":["a"]}`, "no array"},
		"empty":                {`{"keys":[]}`, "no Ed25519"},
		"another curve's only": {`{"keys":[` + ecJWK + `]}`, "no Ed25519"},
		"for encryption":       {jwk(`{`, `{"use":"enc",`), "no Ed25519"},
		"use no text":          {jwk(`{`, `{"use":null,`), "no Ed25519"},
		"another algorithm":    {jwk(`{`, `{"alg":"ES256",`), "no Ed25519"},
		"X25519":               {jwk("Ed25519", "X25519"), "no Ed25519"},
		"kty in small":         {jwk("OKP", "okp"), "no Ed25519"},
		"no kid":               {jwk(`,"kid":"`+rfcThumbprint+`"`, ""), "no Ed25519"},
		"kid of another":       {jwk(`"kid":"k`, `"kid":"j`), "no Ed25519"},
		"short x":              {jwk(rfcPublic, rfcPublic[:40]), "no Ed25519"},
		"padded x":             {jwk(rfcPublic, rfcPublic+"="), "no Ed25519"},
		"x with line break":    {jwk(rfcPublic, rfcPublic[:20]+`\n`+rfcPublic[20:]), "no Ed25519"},
		"x not canonical":      {jwk(rfcPublic, rfcPublic[:len(rfcPublic)-1]+"p"), "no Ed25519"},
		"private key":          {jwk(`{`, `{"d":"`+rfcSeed+`",`), "private"},
		"secret key":           {`{"keys":[` + goodJWK + `,{"kty":"oct","k":"AAAA"}]}`, "private"},
		"member twice":         {jwk(`{`, `{"kid":"x",`), "twice"},
		"keys twice":           {`{"keys":[],"keys":[` + goodJWK + `]}`, "twice"},
		"trailing bytes":       {`{"keys":[` + goodJWK + `]}]`, "follows"},
		"too many":             {`{"keys":[` + strings.Repeat("{},", maxKeys) + goodJWK + `]}`, "more than 256"},
		"too long":             {`{"keys":[` + goodJWK + `]}` + strings.Repeat(" ", maxJWKS), "bytes"},
		"deep":                 {`{"a":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `,"keys":[` + goodJWK + `]}`, "deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := ParseJWKS([]byte(c.data))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%d keys, %v; want an error with %q", p.Len(), err, c.want)
				}
				return
			}
			if err != nil || p.Len() != 1 {
				t.Fatalf("%d keys, %v", p.Len(), err)
			}
			if _, err := p.Verify(forge(t, goodHeader, goodPayload)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSeveralKeys: a set holds more than one node's keys.
func TestSeveralKeys(t *testing.T) {
	t.Parallel()
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	second := strings.TrimSuffix(strings.TrimPrefix(string(other.Public().JWKS()), `{"keys":[`), `]}`)
	p, err := ParseJWKS([]byte(`{"keys":[` + goodJWK + `,` + second + `]}`))
	if err != nil || p.Len() != 2 {
		t.Fatalf("%d keys, %v", p.Len(), err)
	}
	for _, k := range []*Key{rfcKey(t), other} {
		token, err := k.Sign(State{Stream: "a", Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Verify(token); err != nil {
			t.Error(err)
		}
	}
}

// FuzzJWKS: what is accepted is written and read as the same keys.
func FuzzJWKS(f *testing.F) {
	f.Add(rfcKey(f).Public().JWKS())
	f.Add([]byte(`{"keys":[` + goodJWK + `,` + ecJWK + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseJWKS(data)
		if err != nil {
			return
		}
		q, err := ParseJWKS(p.JWKS())
		if err != nil || !bytes.Equal(q.JWKS(), p.JWKS()) {
			t.Errorf("%s is read back as %s, %v", p.JWKS(), q.JWKS(), err)
		}
	})
}
