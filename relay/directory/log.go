package directory

import (
	"fmt"
	"log/slog"
)

// serverLog passes the embedded server's log on. What it notices is of use for debugging only; warnings and errors are kept.
type serverLog struct{ log *slog.Logger }

func (l *serverLog) Noticef(format string, v ...any) { l.debug(format, v...) }
func (l *serverLog) Debugf(format string, v ...any)  { l.debug(format, v...) }
func (l *serverLog) Tracef(format string, v ...any)  { l.debug(format, v...) }

func (l *serverLog) Warnf(format string, v ...any)  { l.warn(format, v...) }
func (l *serverLog) Errorf(format string, v ...any) { l.warn(format, v...) }

// Fatalf is called for what the server cannot start with: Open returns an error then, since the server does not come up.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log.Error("the directory's NATS server cannot go on", "nats", fmt.Sprintf(format, v...))
}

func (l *serverLog) debug(format string, v ...any) {
	l.log.Debug("the directory's NATS server notes", "nats", fmt.Sprintf(format, v...))
}

func (l *serverLog) warn(format string, v ...any) {
	l.log.Warn("the directory's NATS server warns; streams go on", "nats", fmt.Sprintf(format, v...))
}
