package authority

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"

	"pushcart/internal/auth"
)

// Bounds of what an authority may say.
const (
	mostAnswer     = 64 << 10 // bytes of the callback's answer
	mostReason     = 300      // bytes of the sentence for the host
	mostLadder     = 64       // bytes of a ladder's name
	mostCredential = 256      // bytes of what a credential is made of
	mostBitrate    = 1e12     // bit/s
	mostSeconds    = 10 * 365 * 24 * 3600
	mostCache      = 24 * time.Hour
)

// answer is what the callback says of an attempt.
type answer struct {
	allow  bool
	reason string // a sentence for the host; "" is none
	// What follows is for those who are let in.
	stream      string // "" is the one asked for
	credential  string // "" leaves it to the secret
	ladder      string
	standby     bool
	maxBitrate  int64
	maxDuration time.Duration
	cache       time.Duration // negative leaves it to the setting
}

// readAnswer reads an answer's body. Members that are not known are let be; a known one of another type or out of its bounds makes the
// answer one that cannot be trusted.
func readAnswer(body []byte) (answer, error) {
	var raw struct {
		Allow      *bool    `json:"allow"`
		Reason     string   `json:"reason"`
		Stream     string   `json:"stream"`
		Credential string   `json:"credential"`
		Ladder     string   `json:"ladder"`
		Standby    bool     `json:"standby"`
		MaxBitrate *float64 `json:"max_bitrate"`
		MaxSeconds *float64 `json:"max_duration_seconds"`
		Cache      *float64 `json:"cache_seconds"`
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte{'{'}) {
		return answer{}, errors.New("the answer is no JSON object")
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return answer{}, fmt.Errorf("the answer cannot be read as JSON: %w", err)
	}
	if raw.Allow == nil {
		return answer{}, errors.New(`the answer has no "allow"`)
	}
	a := answer{allow: *raw.Allow, reason: sentence(raw.Reason), cache: -1}
	if raw.Cache != nil {
		if !(*raw.Cache >= 0) {
			return answer{}, errors.New(`"cache_seconds" of the answer is below 0`)
		}
		a.cache = time.Duration(min(*raw.Cache, mostCache.Seconds()) * float64(time.Second))
	}
	if !a.allow {
		return a, nil
	}
	var err error
	if raw.Stream != "" {
		if err := auth.ValidName(raw.Stream); err != nil {
			return answer{}, fmt.Errorf(`"stream" of the answer cannot be a name: %w`, err)
		}
	}
	if len(raw.Credential) > mostCredential {
		return answer{}, fmt.Errorf(`"credential" of the answer is longer than %d bytes`, mostCredential)
	}
	if a.maxBitrate, err = bitrate(raw.MaxBitrate); err != nil {
		return answer{}, fmt.Errorf(`"max_bitrate" of the answer %w`, err)
	}
	if a.maxDuration, err = seconds(raw.MaxSeconds); err != nil {
		return answer{}, fmt.Errorf(`"max_duration_seconds" of the answer %w`, err)
	}
	if err := validLadder(raw.Ladder); err != nil {
		return answer{}, fmt.Errorf(`"ladder" of the answer %w`, err)
	}
	a.stream, a.credential, a.ladder, a.standby = raw.Stream, raw.Credential, raw.Ladder, raw.Standby
	return a, nil
}

// bitrate reads a number of bit/s; nil and 0 are no limit.
func bitrate(v *float64) (int64, error) {
	switch {
	case v == nil:
		return 0, nil
	case !(*v >= 0 && *v <= mostBitrate):
		return 0, fmt.Errorf("is not between 0 and %g bit/s", mostBitrate)
	}
	return int64(math.Ceil(*v)), nil
}

// seconds reads a time; nil and 0 are no limit.
func seconds(v *float64) (time.Duration, error) {
	switch {
	case v == nil:
		return 0, nil
	case !(*v >= 0):
		return 0, errors.New("is below 0")
	case *v > mostSeconds:
		return 0, nil // as good as none
	}
	return time.Duration(math.Ceil(*v * float64(time.Second))), nil
}

func validLadder(v string) error {
	if len(v) > mostLadder || strings.ContainsFunc(v, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return fmt.Errorf("is no name of one: at most %d bytes of plain text", mostLadder)
	}
	return nil
}

// sentence makes what an authority says fit to be shown to a host and written to a log.
func sentence(v string) string {
	if len(v) > mostReason {
		v = strings.ToValidUTF8(v[:mostReason], "") + "…"
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, v))
}
