package directory

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestServerLogStrangers: whoever reaches the listeners can have handshakes fail, and must not fill the log by it; the first is told of,
// and how many there were since.
func TestServerLogStrangers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := &serverLog{log: slog.New(slog.NewTextHandler(&out, nil))}
		for range 1000 {
			l.Errorf("192.0.2.7:1000 - lid:7 - TLS leafnode handshake error: %v", "EOF")
		}
		if n := strings.Count(out.String(), "level=WARN"); n != 1 {
			t.Errorf("1000 failed handshakes make %d warnings, want 1", n)
		}
		l.Errorf("leafnode: %v", "another thing")
		if n := strings.Count(out.String(), "level=WARN"); n != 2 {
			t.Errorf("what is no handshake is not told of: %s", out.String())
		}
		time.Sleep(strangersEvery)
		l.Errorf("192.0.2.7:1000 - lid:8 - TLS leafnode handshake error: %v", "EOF")
		if text := out.String(); strings.Count(text, "level=WARN") != 3 || !strings.Contains(text, "untold=999") {
			t.Errorf("after %v: %s", strangersEvery, text)
		}
	})
}
