package whip

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/pion/logging"
)

// libraryLog takes what the WebRTC library says to the log, as details: what matters of it the session says itself.
type libraryLog struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (l libraryLog) NewLogger(scope string) logging.LeveledLogger {
	return scopedLog{l.log.With("scope", scope)}
}

// scopedLog implements logging.LeveledLogger.
type scopedLog struct{ log *slog.Logger }

// secretMark is in what the ICE agent says of the publisher's password.
const secretMark = "Pwd"

func (s scopedLog) say(format string, args []any) {
	if strings.Contains(format, secretMark) {
		return
	}
	if s.log.Enabled(context.Background(), slog.LevelDebug) {
		s.log.Debug("whip: webrtc: " + fmt.Sprintf(format, args...))
	}
}

// Trace is left out: it tells of every packet.
func (s scopedLog) Trace(string) {}

// Tracef is left out: it tells of every packet.
func (s scopedLog) Tracef(string, ...any) {}

// Debug logs a detail.
func (s scopedLog) Debug(m string) { s.say("%s", []any{m}) }

// Debugf logs a detail.
func (s scopedLog) Debugf(f string, a ...any) { s.say(f, a) }

// Info logs a detail.
func (s scopedLog) Info(m string) { s.say("%s", []any{m}) }

// Infof logs a detail.
func (s scopedLog) Infof(f string, a ...any) { s.say(f, a) }

// Warn logs a detail.
func (s scopedLog) Warn(m string) { s.say("%s", []any{m}) }

// Warnf logs a detail.
func (s scopedLog) Warnf(f string, a ...any) { s.say(f, a) }

// Error logs a detail.
func (s scopedLog) Error(m string) { s.say("%s", []any{m}) }

// Errorf logs a detail.
func (s scopedLog) Errorf(f string, a ...any) { s.say(f, a) }
