package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"pushcart/relay"
)

// Limits of what is read from NATS.
const (
	maxRecord     = 64 << 10 // bytes of an entry or a heartbeat
	maxHeld       = 256      // presentations in a heartbeat
	maxRegions    = 64       // of an entry
	maxCredential = 256      // bytes
	maxNodes      = 1024     // nodes that are remembered
	maxEntries    = 16384    // streams that are known
	maxText       = 1024     // bytes of a heartbeat's other texts
	maxKeys       = 48 << 10 // bytes of a node's key set
	secretSize    = 32       // bytes
	// maxAhead is how far a generation may be ahead of this node's clock. A greater one would keep everybody from ever having a
	// greater one still.
	maxAhead = 24 * time.Hour
)

// validNode tells whether a node may have this name: it is a token of NATS subjects.
func validNode(name string) bool {
	return validToken(name, 63, func(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' })
}

// validStream tells whether a stream may have this name, which is that of its key.
func validStream(name string) bool {
	return validToken(name, 64, func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
	})
}

func validToken(s string, most int, ok func(byte) bool) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

// parseEntry reads the value of a stream's key.
func parseEntry(key string, data []byte, now time.Time) (relay.Entry, error) {
	var e relay.Entry
	if len(data) > maxRecord {
		return e, errors.New("it is too large")
	}
	if err := json.Unmarshal(data, &e); err != nil {
		return e, fmt.Errorf("it is not JSON of an entry: %w", err)
	}
	switch {
	case e.Stream != key || !validStream(e.Stream):
		return e, fmt.Errorf("it is of the stream %.80q", e.Stream)
	case !validNode(e.Origin):
		return e, fmt.Errorf("its origin is %.80q", e.Origin)
	case e.Gen <= 0 || e.Gen > now.Add(maxAhead).UnixMilli():
		return e, fmt.Errorf("its generation is %d", e.Gen)
	case len(e.Secret) != secretSize:
		return e, fmt.Errorf("its secret has %d bytes", len(e.Secret))
	case len(e.Credential) > maxCredential:
		return e, errors.New("its credential is too long")
	case len(e.Region) > 63:
		return e, errors.New("its region is too long")
	}
	return e, validRegions(e.Regions)
}

func validRegions(regions []string) error {
	if len(regions) > maxRegions {
		return fmt.Errorf("it has %d regions, more than %d", len(regions), maxRegions)
	}
	for _, r := range regions {
		if r == "" || len(r) > 63 {
			return fmt.Errorf("%.80q is not a region", r)
		}
	}
	return nil
}

// grave is what is left of a released entry: the generation, which later ones have to be above.
type grave struct {
	Stream string `json:"stream"`
	Origin string `json:"origin"`
	Gen    int64  `json:"gen"`
}

// parseGrave reads the body of a release; false where there is none, as in a release by another program.
func parseGrave(key string, data []byte, now time.Time) (grave, bool) {
	var g grave
	if len(data) == 0 || len(data) > maxRecord || json.Unmarshal(data, &g) != nil {
		return grave{}, false
	}
	return g, g.Stream == key && g.Gen > 0 && g.Gen <= now.Add(maxAhead).UnixMilli()
}

// beat is a heartbeat.
type beat struct {
	relay.Peer
	// Instance is another one after each start, so that two nodes of one name notice each other.
	Instance string `json:"instance"`
	// Clock is the node's when it sent the heartbeat. It is told to operators; nothing is decided by it.
	Clock time.Time `json:"clock,omitzero"`
}

// parseBeat reads a heartbeat that came under a node's key.
func parseBeat(key string, data []byte) (beat, error) {
	var b beat
	if len(data) > maxRecord {
		return b, errors.New("it is too large")
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return b, fmt.Errorf("it is not JSON of a node: %w", err)
	}
	switch {
	case b.Name != key || !validNode(b.Name):
		return b, fmt.Errorf("it is of the node %.80q", b.Name)
	case len(b.Streams) > maxHeld:
		return b, fmt.Errorf("it has %d streams", len(b.Streams))
	case len(b.Keys) > maxKeys:
		return b, errors.New("its key set is too large")
	}
	for _, s := range []string{b.Region, b.Address, b.URL, b.Version, b.Instance} {
		if len(s) > maxText {
			return b, errors.New("a text in it is too long")
		}
	}
	for _, h := range b.Streams {
		if !validStream(h.Stream) || h.From != "" && !validNode(h.From) || h.Gen < 0 || h.MSN < 0 || h.Part < 0 {
			return b, fmt.Errorf("what it holds of %.80q is not possible", h.Stream)
		}
	}
	return b, nil
}

// appendBeat writes a heartbeat within the limits: of what does not fit, the last streams are left out.
func appendBeat(b beat) ([]byte, error) {
	if len(b.Streams) > maxHeld {
		b.Streams = b.Streams[:maxHeld]
	}
	for {
		data, err := json.Marshal(b)
		if err != nil || len(data) <= maxRecord {
			return data, err
		}
		if len(b.Streams) == 0 {
			return nil, errors.New("the node's heartbeat is too large: its key set or an address is")
		}
		b.Streams = b.Streams[:len(b.Streams)/2]
	}
}
