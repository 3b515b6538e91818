package directory

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// serverLog passes the embedded server's log on. What it notices is of use for debugging only; warnings and errors are kept.
type serverLog struct {
	log   *slog.Logger
	fatal chan string // of one: what it cannot go on with

	mu     sync.Mutex // guards what follows
	told   time.Time  // when a handshake that failed was last warned of
	untold int        // how many failed since
}

// strangersEvery is how often a failed TLS handshake is warned of: anybody who reaches the listeners can have many of them fail.
const strangersEvery = time.Minute

func (l *serverLog) Noticef(format string, v ...any) { l.debug(format, v...) }
func (l *serverLog) Debugf(format string, v ...any)  { l.debug(format, v...) }
func (l *serverLog) Tracef(format string, v ...any)  { l.debug(format, v...) }

func (l *serverLog) Warnf(format string, v ...any)  { l.warn(format, v...) }
func (l *serverLog) Errorf(format string, v ...any) { l.warn(format, v...) }

// Fatalf is called for what the server cannot start with, which Open returns then.
func (l *serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.log.Debug("the directory's NATS server cannot go on", "nats", why)
	select {
	case l.fatal <- why:
	default:
	}
}

func (l *serverLog) debug(format string, v ...any) {
	l.log.Debug("the directory's NATS server notes", "nats", fmt.Sprintf(format, v...))
}

// intended begin warnings of what this package does on purpose, or what passes by itself: how certificates are verified, how leaf
// nodes get at JetStream, that others are waited for, which furnish says in words of its own.
var intended = []string{"TLS certificate chain and hostname of", "The option `default_js_domain`", "Waiting for routing",
	"Metalayer blocking snapshot", "JetStream has not established contact"}

func (l *serverLog) warn(format string, v ...any) {
	for _, known := range intended {
		if strings.HasPrefix(format, known) {
			l.debug(format, v...)
			return
		}
	}
	untold := 0
	if strings.Contains(format, "handshake error") {
		var tell bool
		if untold, tell = l.stranger(); !tell {
			l.debug(format, v...)
			return
		}
	}
	args := []any{"nats", fmt.Sprintf(format, v...)}
	if untold > 0 {
		args = append(args, "untold", untold)
	}
	l.log.Warn("the directory's NATS server warns; streams go on", args...)
}

// stranger counts a handshake that failed. tell is that it is to be warned of, with how many there were since the last warning.
func (l *serverLog) stranger() (untold int, tell bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.told.IsZero() || now.Sub(l.told) >= strangersEvery {
		untold, l.untold, l.told = l.untold, 0, now
		return untold, true
	}
	l.untold++
	return 0, false
}
