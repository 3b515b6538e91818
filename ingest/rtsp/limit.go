package rtsp

import (
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"time"

	"pushcart/ingest"
)

// bitrateSpan is the number of seconds of MaxBitrate that may come at once.
const bitrateSpan = 4

// bucket holds bytes against a rate; it leaks at that rate.
type bucket struct {
	bits float64
	at   time.Time
}

// add takes bytes; false is above the limit in bit/s.
func (b *bucket) add(n, limit int, now time.Time) bool {
	if !b.at.IsZero() {
		b.bits = max(0, b.bits-now.Sub(b.at).Seconds()*float64(limit))
	}
	b.at = now
	b.bits += 8 * float64(n)
	return b.bits <= bitrateSpan*float64(limit)
}

func tooFast(limit int) error {
	return ingest.Refuse(ingest.ReasonLimit, "This stream goes beyond what the server takes: more than %d kbit/s for some seconds; lower the encoder's bitrate.", limit/1000)
}

// idle is the refusal for a publisher that is silent.
func idle(after time.Duration) *ingest.Refusal {
	return ingest.Refuse(ingest.ReasonIdle, "No audio or video came for %d seconds. Check the encoder's network and start the stream again.", int(after.Seconds()))
}

// shutdown is the refusal when the server ends.
func shutdown() *ingest.Refusal {
	return ingest.Refuse(ingest.ReasonShutdown, "This server is shutting down. Reconnect in a moment.")
}

// errPanic is a session that ended by a fault of the server's.
var errPanic = errors.New("a fault of the server")

func panicked(log *slog.Logger, fault any) error {
	log.Error("rtsp: a fault of this server's ended a session; please report it", "panic", fault, "stack", string(debug.Stack()))
	return errPanic
}

// jitter estimates how unevenly packets arrive (RFC 3550 6.4.1). It knows each timestamp's first packet only: those that
// follow with the same one are sent when the network takes them.
type jitter struct {
	rate  int
	known bool
	raw   uint32
	at    time.Time
	ticks float64
}

func (j *jitter) note(raw uint32, now time.Time) {
	if j.known && raw == j.raw {
		return
	}
	if j.known {
		d := now.Sub(j.at).Seconds()*float64(j.rate) - float64(int32(raw-j.raw))
		if d = math.Abs(d); d < 10*float64(j.rate) {
			j.ticks += (d - j.ticks) / 16
		}
	}
	j.known, j.raw, j.at = true, raw, now
}

func (j *jitter) seconds() float64 { return j.ticks / float64(j.rate) }
