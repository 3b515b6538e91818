package playback

import (
	"fmt"
	"path"
)

// Policy is which streams are played by a signed address only, and whose signatures count. A nil *Policy, and one without keys, is
// that none is. It does not change, and is for any goroutine.
type Policy struct {
	keys *Keys
	open []string
}

// NewPolicy makes a policy. open are patterns (path.Match) of the names of streams that need no signed address. Its error names the
// setting.
func NewPolicy(keys []Key, open []string) (*Policy, error) {
	k, err := NewKeys(keys)
	if err != nil {
		return nil, err
	}
	for i, pattern := range open {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fmt.Errorf("playback.open[%d]: %.80q is not a pattern such as demo-*: %w", i+1, pattern, err)
		}
	}
	return &Policy{keys: k, open: open}, nil
}

// Off tells that all streams are open to everybody.
func (p *Policy) Off() bool { return p == nil || p.keys.Empty() }

// Open tells whether a stream needs no signed address.
func (p *Policy) Open(stream string) bool {
	if p.Off() {
		return true
	}
	for _, pattern := range p.open {
		if ok, err := path.Match(pattern, stream); ok && err == nil {
			return true
		}
	}
	return false
}

// Keys sign addresses; nil where there are none.
func (p *Policy) Keys() *Keys {
	if p == nil {
		return nil
	}
	return p.keys
}
