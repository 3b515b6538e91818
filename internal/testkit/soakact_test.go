package testkit

import (
	"slices"
	"testing"
)

// TestAct ends a part of a test and not the test, cleans up behind it in reverse, and tells why it ended.
func TestAct(t *testing.T) {
	t.Parallel()
	var order []string
	err := Act(t.Context(), t, func(t testing.TB) {
		t.Cleanup(func() { order = append(order, "first") })
		t.Cleanup(func() {
			order = append(order, "second")
			t.Cleanup(func() { order = append(order, "of a cleanup") })
		})
		t.Fatalf("nothing %s", "left")
		order = append(order, "not reached")
	})
	if err == nil || err.Error() != "nothing left" {
		t.Errorf("the part ended with %v", err)
	}
	if want := []string{"second", "of a cleanup", "first"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	if err := Act(t.Context(), t, func(testing.TB) {}); err != nil {
		t.Errorf("a part that comes to its end: %v", err)
	}
}
