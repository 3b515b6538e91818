package certs

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// TestBridge: what certmagic logs is in the node's log, with its fields, one step down.
func TestBridge(t *testing.T) {
	t.Parallel()
	out := &logged{}
	z := zap.New(&bridge{log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))}).Named("obtain")
	z.Debug("each handshake")
	z.With(zap.String("identifier", "a.example")).Info("step", zap.Int("n", 2))
	z.Error("failed", zap.Error(errors.New("no route")), zap.Strings("names", []string{"a", "b"}))
	got := out.String()
	for _, want := range []string{
		`level=DEBUG msg="certificates: step" identifier=a.example n=2 part=obtain`, `level=WARN msg="certificates: failed" error="no route" names="[a b]" part=obtain`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "each handshake") || strings.Count(got, "identifier") != 1 {
		t.Error(got)
	}
}
