package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time, never negative: "200ms", "2s", "1m30s".
type Duration time.Duration

// String writes the duration as people do, so that it parses back: "200ms", "75s", "2m", "1h".
func (d Duration) String() string {
	for _, u := range []struct {
		size time.Duration
		name string
		from time.Duration
	}{{time.Hour, "h", time.Hour}, {time.Minute, "m", 2 * time.Minute}, {time.Second, "s", time.Second}} {
		if v := time.Duration(d); v >= u.from && v%u.size == 0 {
			return strconv.FormatInt(int64(v/u.size), 10) + u.name
		}
	}
	return time.Duration(d).String()
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	v, err := time.ParseDuration(s)
	switch {
	case err == nil && v >= 0:
		*d = Duration(v)
		return nil
	case err == nil:
		return fmt.Errorf("%s is negative", s)
	case bareNumber(s):
		return fmt.Errorf("%s has no unit: write %sms or %ss", s, s, s)
	}
	return fmt.Errorf(`%q is not a duration, such as "200ms", "2s" or "1m30s"`, clip(s))
}

// Size is a number of bytes, never negative: "16KiB", "8MiB".
type Size int64

// Units of Size.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

var sizeUnits = []unit{{"GiB", int64(GiB)}, {"MiB", int64(MiB)}, {"KiB", int64(KiB)}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}}

// String writes the size in the largest unit that divides it: "8MiB".
func (s Size) String() string { return formatUnits(int64(s), sizeUnits[:3], "B") }

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := parseUnits(string(text), sizeUnits, "B, KiB, MiB or GiB", `a size, such as "16KiB" or "1.5MiB"`)
	if err == nil {
		*s = Size(v)
	}
	return err
}

// Bitrate is a number of bits a second, never negative: "800kbps", "60Mbps".
type Bitrate int64

// Units of Bitrate.
const (
	Kbps Bitrate = 1e3
	Mbps Bitrate = 1e6
	Gbps Bitrate = 1e9
)

var bitrateUnits = []unit{{"Gbps", int64(Gbps)}, {"Mbps", int64(Mbps)}, {"kbps", int64(Kbps)}, {"Kbps", int64(Kbps)}, {"bps", 1}}

// String writes the rate in the largest unit that divides it: "60Mbps".
func (b Bitrate) String() string { return formatUnits(int64(b), bitrateUnits[:3], "bps") }

// MarshalText implements encoding.TextMarshaler.
func (b Bitrate) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bitrate) UnmarshalText(text []byte) error {
	v, err := parseUnits(string(text), bitrateUnits, "bps, kbps, Mbps or Gbps", `a bit rate, such as "800kbps" or "60Mbps"`)
	if err == nil {
		*b = Bitrate(v)
	}
	return err
}

// unit is the name of a multiple.
type unit struct {
	name string
	size int64
}

func formatUnits(v int64, units []unit, smallest string) string {
	if v == 0 {
		return "0"
	}
	for _, u := range units {
		if v%u.size == 0 {
			return strconv.FormatInt(v/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(v, 10) + smallest
}

// parseUnits reads a decimal number and one of units. Zero needs none. Names lists the units and what describes such a
// value, both for messages.
func parseUnits(s string, units []unit, names, what string) (int64, error) {
	if s == "0" {
		return 0, nil
	}
	if bareNumber(s) {
		return 0, fmt.Errorf("%s has no unit: %s", s, names)
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		number = strings.TrimRight(number, " ")
		if !bareNumber(number) {
			break
		}
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || v*float64(u.size) >= math.MaxInt64 {
			return 0, fmt.Errorf("%s is too large", s)
		}
		if v < 0 {
			return 0, fmt.Errorf("%s is negative", s)
		}
		return int64(math.Round(v * float64(u.size))), nil
	}
	return 0, fmt.Errorf("%q is not %s", clip(s), what)
}

// bareNumber tells whether s is a plain decimal number without a unit.
func bareNumber(s string) bool {
	digits := false
	for i, r := range s {
		switch {
		case '0' <= r && r <= '9':
			digits = true
		case r == '.' && strings.IndexByte(s, '.') == i, r == '-' && i == 0:
		default:
			return false
		}
	}
	return digits && len(s) < 32
}

// clip shortens what a message quotes from the file.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
