package playback

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// cacheSlots bounds how many verified tokens are remembered. Of a slot the last one stays.
const cacheSlots = 1 << 14

// cache remembers tokens whose signature is good, so that it is not computed for each part that a viewer fetches. Nobody can fill it
// but who has a key. It has no lock: a slot is replaced as a whole.
type cache struct {
	seed  maphash.Seed
	slots [cacheSlots]atomic.Pointer[cached]
}

// cached is a token that some keys verified.
type cached struct {
	hash  uint64
	text  string
	keys  *Keys
	token Token
}

// find returns what is remembered of a token; nil is nothing. Texts are compared only when their hashes of a secret seed are the
// same, so that the time taken tells nothing of a token that is good to whoever guesses.
func (c *cache) find(keys *Keys, hash uint64, text string) *Token {
	e := c.slots[hash%cacheSlots].Load()
	if e == nil || e.hash != hash || e.keys != keys || e.text != text {
		return nil
	}
	return &e.token
}

// verify is Keys.verify, remembered. computed tells that it was not. The token is not to be changed.
func (c *cache) verify(keys *Keys, text string) (t *Token, computed bool, _ error) {
	if len(text) > maxToken {
		return nil, false, refusals[Malformed]
	}
	hash := maphash.String(c.seed, text)
	if t := c.find(keys, hash, text); t != nil {
		return t, false, nil
	}
	e := &cached{hash: hash, text: strings.Clone(text), keys: keys} // a copy: the text is part of a request's whole address
	var err error
	if e.token, err = keys.verify(e.text); err != nil {
		return nil, true, err
	}
	c.slots[hash%cacheSlots].Store(e)
	return &e.token, true, nil
}
