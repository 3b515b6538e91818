package tracing

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Bounds of sending.
const (
	// mostQueued is how many spans may wait to be sent; the next ones are dropped.
	mostQueued = 4096
	// mostBatch is how many go with one request.
	mostBatch = 512
	// sendEvery is how long the first span of a batch waits for others.
	sendEvery = 2 * time.Second
	// exportTime is how long one request may take, with its repetitions.
	exportTime = 10 * time.Second
	// complainEvery is how soon after one another the log tells of a collector that takes nothing.
	complainEvery = time.Minute
)

// queue is between those who end spans, who never wait, and one goroutine that sends them. It implements sdk.SpanProcessor. The SDK's
// own batcher does not tell how many spans it dropped, and reports failures to a place that the whole process shares.
type queue struct {
	exporter sdk.SpanExporter
	metrics  *metrics
	log      *slog.Logger
	spans    chan sdk.ReadOnlySpan
	asked    chan chan struct{} // ForceFlush
	running  sync.Once          // run, from the first span on: a provider that was never used has nothing to end

	closing   sync.Once
	closed    chan struct{}
	ended     chan struct{}
	exporting context.Context
	give      context.CancelFunc // up what is being sent
}

func newQueue(e sdk.SpanExporter, m *metrics, log *slog.Logger) *queue {
	q := &queue{
		exporter: e, metrics: m, log: log, spans: make(chan sdk.ReadOnlySpan, mostQueued), asked: make(chan chan struct{}),
		closed: make(chan struct{}), ended: make(chan struct{}),
	}
	q.exporting, q.give = context.WithCancel(context.Background())
	return q
}

// OnStart implements sdk.SpanProcessor.
func (q *queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	q.running.Do(func() { go q.run() })
	select {
	case q.spans <- s:
	default:
		q.metrics.dropped.Inc()
	}
}

// run sends batches until the queue is shut down, and then what is left.
func (q *queue) run() {
	defer close(q.ended)
	batch := make([]sdk.ReadOnlySpan, 0, mostBatch)
	var complained time.Time
	send := func() {
		if len(batch) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(q.exporting, exportTime)
		err := q.exporter.ExportSpans(ctx, batch)
		cancel()
		if err == nil {
			q.metrics.sent.Add(float64(len(batch)))
		} else {
			q.metrics.failed.Add(float64(len(batch)))
			if now := time.Now(); now.Sub(complained) >= complainEvery {
				complained = now
				q.log.Warn("traces could not be sent: they are lost, and the node goes on. See that the collector at tracing.endpoint runs and takes OTLP over HTTP",
					"spans", len(batch), "error", err)
			}
		}
		clear(batch)
		batch = batch[:0]
	}
	drain := func() {
		for {
			select {
			case s := <-q.spans:
				if batch = append(batch, s); len(batch) == mostBatch {
					send()
				}
			default:
				send()
				return
			}
		}
	}
	timer := time.NewTimer(sendEvery)
	timer.Stop()
	for {
		select {
		case s := <-q.spans:
			if len(batch) == 0 {
				timer.Reset(sendEvery)
			}
			if batch = append(batch, s); len(batch) == mostBatch {
				send()
			}
		case <-timer.C:
			send()
		case done := <-q.asked:
			drain()
			close(done)
		case <-q.closed:
			timer.Stop()
			drain()
			return
		}
	}
}

// ForceFlush implements sdk.SpanProcessor: it returns when what has ended by now was sent.
func (q *queue) ForceFlush(ctx context.Context) error {
	q.running.Do(func() { go q.run() })
	done := make(chan struct{})
	select {
	case q.asked <- done:
	case <-q.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-q.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown implements sdk.SpanProcessor: what is being sent when ctx ends is given up.
func (q *queue) Shutdown(ctx context.Context) error {
	q.running.Do(func() { close(q.ended) })
	q.closing.Do(func() { close(q.closed) })
	var err error
	select {
	case <-q.ended:
	case <-ctx.Done():
		err = ctx.Err()
		q.give()
		<-q.ended
	}
	q.give()
	return errors.Join(err, q.exporter.Shutdown(context.WithoutCancel(ctx)))
}
