package conformance

import (
	"slices"
	"testing"
)

// TestRangesAfterDelta puts date ranges together as a player does that gets no full playlist of the same moment: what an update may
// skip stays, unless it is named as removed.
func TestRangesAfterDelta(t *testing.T) {
	t.Parallel()
	p := &player{current: &mediaPlaylist{dateRanges: []dateRange{{id: "old"}, {id: "gone"}, {id: "open"}}}}
	update := &mediaPlaylist{skip: &skip{hasRemoved: true, removed: []string{"gone"}}, dateRanges: []dateRange{{id: "open"}, {id: "new"}}}
	for mode, want := range map[string][]string{"v2": {"new", "old", "open"}, "YES": {"new", "open"}} {
		built := &mediaPlaylist{dateRanges: p.rangesAfter(update, mode)}
		var got []string
		for id := range merged(built) {
			got = append(got, id)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("_HLS_skip=%s: a player has %v, want %v", mode, got, want)
		}
	}
}
