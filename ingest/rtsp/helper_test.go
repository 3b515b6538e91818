package rtsp

import (
	"testing"
	"time"

	"io"
	"log/slog"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func textLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func itoa(c base.StatusCode) string { return strconv.Itoa(int(c)) }

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("it never came that %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// gauge is a gauge's value.
func gauge(t testing.TB, g prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetGauge().GetValue()
}

// description of the show.
func (s *show) description() *description.Session {
	return &description.Session{Medias: []*description.Media{s.video, s.audio}}
}

// noSecrets looks for a secret in a log.
func noSecrets(t testing.TB, log *logBuffer, secret string) {
	t.Helper()
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log has the secret:\n%s", log)
	}
}
