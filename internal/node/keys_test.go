package node

import (
	"log/slog"
	"testing"

	"pushcart/internal/auth"
	"pushcart/internal/config"
)

// TestRemovedKeysStopWorking: taking all keys away while a key may be generated leaves none of the old ones valid, and a
// generated one stays until keys are configured.
func TestRemovedKeysStopWorking(t *testing.T) {
	t.Parallel()
	n := &Node{opt: Options{Log: slog.New(slog.DiscardHandler)}, log: slog.New(slog.DiscardHandler), keys: &auth.Store{}, upgrade: &upgrade{}}
	with, without := config.Default(), config.Default()
	with.Publish.Keys = []config.Key{{Stream: "show1", Key: "a-long-secret"}}
	without.Publish.GenerateKey = true
	set := func(c *config.Config) *auth.Keys {
		t.Helper()
		if err := n.setKeys(c); err != nil {
			t.Fatal(err)
		}
		return n.keys.Load()
	}
	if _, _, ok := set(with).Check("show1", "a-long-secret"); !ok {
		t.Fatal("the configured key is not taken")
	}
	made := set(without)
	if _, _, ok := made.Check("show1", "a-long-secret"); ok || made.Empty() {
		t.Error("the removed key is still taken, or none was made")
	}
	if again := set(without); again != made {
		t.Error("another key was made for the same run")
	}
	set(with)
	if again := set(without); again == made || again.Empty() {
		t.Error("the key made before came back after keys were configured")
	}
}
