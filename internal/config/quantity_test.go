package config

import (
	"encoding"
	"testing"
	"time"
)

func TestDurationText(t *testing.T) {
	for text, want := range map[string]Duration{
		"0": 0, "0s": 0, "200ms": Duration(200 * time.Millisecond), "1.5s": Duration(1500 * time.Millisecond),
		"1m30s": Duration(90 * time.Second), "2h": Duration(2 * time.Hour), "1us": Duration(time.Microsecond),
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d != want {
			t.Errorf("%q is %v, %v", text, d, err)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 200 * time.Millisecond: "200ms", time.Second: "1s", 1500 * time.Millisecond: "1.5s", 60 * time.Second: "60s",
		75 * time.Second: "75s", 2 * time.Minute: "2m", 150 * time.Second: "150s", time.Hour: "1h", 61 * time.Minute: "61m",
		25 * time.Hour: "25h", 3601500 * time.Millisecond: "1h0m1.5s",
	} {
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1B": 1, "16KiB": 16 << 10, "16 KiB": 16 << 10, "1.5MiB": 3 << 19, "2GiB": 2 << 30, "5kB": 5000, "5KB": 5000, "5MB": 5e6, "5GB": 5e9,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%q is %v, %v", text, s, err)
		}
	}
	for s, want := range map[Size]string{0: "0", 1: "1B", 1000: "1000B", 1024: "1KiB", 1536 * KiB: "1536KiB", 8 * MiB: "8MiB", GiB: "1GiB"} {
		if got := s.String(); got != want {
			t.Errorf("%d is written %q, want %q", int64(s), got, want)
		}
	}
}

func TestBitrateText(t *testing.T) {
	for text, want := range map[string]Bitrate{"0": 0, "1bps": 1, "800kbps": 8e5, "800Kbps": 8e5, "2.5Mbps": 25e5, "1 Gbps": 1e9} {
		var b Bitrate
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q is %v, %v", text, b, err)
		}
	}
	for b, want := range map[Bitrate]string{0: "0", 1: "1bps", 2500 * Kbps: "2500kbps", 60 * Mbps: "60Mbps", Gbps: "1Gbps"} {
		if got := b.String(); got != want {
			t.Errorf("%d is written %q, want %q", int64(b), got, want)
		}
	}
}

func TestBadQuantities(t *testing.T) {
	tests := []struct {
		into       encoding.TextUnmarshaler
		text, want string
	}{
		{new(Duration), "5", "5 has no unit: write 5ms or 5s"},
		{new(Duration), "1.5", "1.5 has no unit: write 1.5ms or 1.5s"},
		{new(Duration), "", `"" is not a duration, such as "200ms", "2s" or "1m30s"`},
		{new(Duration), "-1s", "-1s is negative"},
		{new(Duration), "9999999h", `"9999999h" is not a duration, such as "200ms", "2s" or "1m30s"`},
		{new(Duration), "2 s", `"2 s" is not a duration, such as "200ms", "2s" or "1m30s"`},
		{new(Size), "5", "5 has no unit: B, KiB, MiB or GiB"},
		{new(Size), "-5MiB", "-5MiB is negative"},
		{new(Size), "5mib", `"5mib" is not a size, such as "16KiB" or "1.5MiB"`},
		{new(Size), "MiB", `"MiB" is not a size, such as "16KiB" or "1.5MiB"`},
		{new(Size), "1e3B", `"1e3B" is not a size, such as "16KiB" or "1.5MiB"`},
		{new(Size), "NaNB", `"NaNB" is not a size, such as "16KiB" or "1.5MiB"`},
		{new(Size), "9999999999GiB", "9999999999GiB is too large"},
		{new(Bitrate), "5", "5 has no unit: bps, kbps, Mbps or Gbps"},
		{new(Bitrate), "5MB", `"5MB" is not a bit rate, such as "800kbps" or "60Mbps"`},
	}
	for _, tt := range tests {
		if err := tt.into.UnmarshalText([]byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%T from %q: got %v, want %s", tt.into, tt.text, err, tt.want)
		}
	}
}

// FuzzQuantities checks that what a quantity writes reads as the same quantity.
func FuzzQuantities(f *testing.F) {
	for _, s := range []string{"200ms", "1h2m3s", "16KiB", "1.5 MiB", "60Mbps", "0", "", "-1B", "1.5", "9999999999GiB", ":80", "[::1]:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, d2 Duration
		if d.UnmarshalText([]byte(text)) == nil {
			roundTrip(t, text, d, d.String(), &d2, func() bool { return d == d2 && d >= 0 })
		}
		var s, s2 Size
		if s.UnmarshalText([]byte(text)) == nil {
			roundTrip(t, text, s, s.String(), &s2, func() bool { return s == s2 && s >= 0 })
		}
		var b, b2 Bitrate
		if b.UnmarshalText([]byte(text)) == nil {
			roundTrip(t, text, b, b.String(), &b2, func() bool { return b == b2 && b >= 0 })
		}
		var a, a2 Address
		if a.UnmarshalText([]byte(text)) == nil {
			roundTrip(t, text, a, string(a), &a2, func() bool { return a == a2 })
		}
	})
}

func roundTrip(t *testing.T, text string, v any, written string, into encoding.TextUnmarshaler, same func() bool) {
	t.Helper()
	if err := into.UnmarshalText([]byte(written)); err != nil || !same() {
		t.Fatalf("%q is %v, written %q, which is read as %v, %v", text, v, written, into, err)
	}
}
