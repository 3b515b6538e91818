package certs

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"go.uber.org/zap/zapcore"
)

// bridge brings what certmagic logs, which speaks zap, into the node's log. What certmagic tells as news of its steps is detail to
// an operator, and of its errors the Source says itself what follows from them: all goes one step down.
type bridge struct {
	log   *slog.Logger
	attrs []any
}

// levelOf is a message's level in the node's log.
func levelOf(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.WarnLevel:
		return slog.LevelWarn
	case l == zapcore.InfoLevel:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}

// Enabled implements zapcore.LevelEnabler.
func (b *bridge) Enabled(l zapcore.Level) bool {
	return b.log.Enabled(context.Background(), levelOf(l))
}

// With implements zapcore.Core.
func (b *bridge) With(fields []zapcore.Field) zapcore.Core {
	return &bridge{log: b.log, attrs: append(slices.Clip(b.attrs), attrsOf(fields)...)}
}

// Check implements zapcore.Core.
func (b *bridge) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return to.AddCore(e, b)
	}
	return to
}

// Write implements zapcore.Core.
func (b *bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	attrs := append(slices.Clip(b.attrs), attrsOf(fields)...)
	if e.LoggerName != "" {
		attrs = append(attrs, "part", e.LoggerName)
	}
	b.log.Log(context.Background(), levelOf(e.Level), "certificates: "+e.Message, attrs...)
	return nil
}

// Sync implements zapcore.Core.
func (b *bridge) Sync() error { return nil }

// attrsOf are a message's fields, by name.
func attrsOf(fields []zapcore.Field) []any {
	encoded := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(encoded)
	}
	var attrs []any
	for _, name := range slices.Sorted(maps.Keys(encoded.Fields)) {
		attrs = append(attrs, name, encoded.Fields[name])
	}
	return attrs
}
