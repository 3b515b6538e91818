package relay

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzHave: no query makes the parser fail in another way than by an error, and what it takes is what was written.
func FuzzHave(f *testing.F) {
	for _, s := range []string{"", "7:1000.0-7:1001.2", "7:1.0-8:1.0,9:2.3-9:2.3", "7:1-7:2", "1:2.3-1:2.2", "-1:0.0-0:0.0", "1:2.3-1:2.3,", "1:2.99999999999-1:3.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseHave(text)
		if err != nil {
			return
		}
		if len(all) > maxRanges {
			t.Fatalf("%d ranges", len(all))
		}
		var parts []string
		for _, s := range all {
			if s.last.before(s.first) || !s.contains(s.first) || !s.contains(s.last) {
				t.Fatalf("a range that cannot be: %+v", s)
			}
			parts = append(parts, fmt.Sprintf("%d:%d.%d-%d:%d.%d", s.first.Gen, s.first.MSN, s.first.Part, s.last.Gen, s.last.MSN, s.last.Part))
		}
		again, err := parseHave(strings.Join(parts, ","))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(all) {
			t.Fatalf("%v became %v, %v", all, again, err)
		}
	})
}

// TestSpan: positions are ordered by generation, segment and part.
func TestSpan(t *testing.T) {
	t.Parallel()
	s := span{Position{7, 10, 3}, Position{8, 12, 0}}
	for at, want := range map[Position]bool{
		{7, 10, 2}: false, {7, 10, 3}: true, {7, 11, 0}: true, {7, 99, 9}: true, {8, 12, 0}: true, {8, 12, 1}: false, {8, 11, 5}: true, {9, 0, 0}: false, {6, 11, 0}: false,
	} {
		if got := s.contains(at); got != want {
			t.Errorf("%v: %v", at, got)
		}
	}
}
