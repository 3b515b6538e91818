// Package tracing records how joins, commands and takeovers went, step by step, and sends that as OpenTelemetry traces (OTLP over
// HTTP). It is off unless it is asked for, and costs nothing then.
//
// Spans say what was done with which stream, by which protocol, on which connection and node. They have no secrets, and nothing that
// tells one viewer from another: no addresses, no programs, no queries of URLs.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Options sets a provider up.
type Options struct {
	// Endpoint is the collector's URL, http or https, such as http://127.0.0.1:4318; where it has no path, /v1/traces is taken (OTLP
	// 1.x, "OTLP/HTTP Request"). "" is off.
	Endpoint string
	// Headers go with each request to the collector, such as its credentials. They are never logged.
	Headers map[string]string
	// Sample is how many in a hundred joins and commands are traced, 0 to 100. Takeovers are traced with the join that caused them.
	Sample float64
	// Service, Version and Instance describe this node: service.name ("" is "pushcart"), service.version, service.instance.id.
	Service, Version, Instance string
	// Registerer takes the metrics; nil is nobody.
	Registerer prometheus.Registerer
	// Log is told when spans cannot be sent, once a minute at most; nil is nowhere.
	Log *slog.Logger
	// Client sends the requests; nil is one of the provider's own.
	Client *http.Client
}

// Provider makes spans and sends them. Nil is one that is off: all its methods may be called, and do nothing. Its methods are for any
// goroutine.
type Provider struct {
	sdk     *sdk.TracerProvider
	client  *http.Client
	tracer  trace.Tracer
	queue   *queue
	sampler *sampler
}

// Open makes a provider; nil where Options.Endpoint is "". Its error names the setting that is wrong.
func Open(opt Options) (*Provider, error) {
	if opt.Endpoint == "" {
		return nil, nil
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Service == "" {
		opt.Service = "pushcart"
	}
	if math.IsNaN(opt.Sample) || opt.Sample < 0 || opt.Sample > 100 {
		return nil, fmt.Errorf("tracing.sample: %v is not from 0 to 100", opt.Sample)
	}
	if opt.Client == nil {
		// Of its own, so that nothing of it is left when it ends.
		opt.Client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone(), Timeout: exportTime}
	}
	exporter, err := newExporter(opt)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(opt.Registerer)
	if err != nil {
		return nil, err
	}
	p := &Provider{client: opt.Client, queue: newQueue(exporter, m, opt.Log), sampler: newSampler(opt.Sample/100, m)}
	p.sdk = sdk.NewTracerProvider(
		sdk.WithSampler(sdk.AlwaysSample()), // what is not to be traced never gets as far as the SDK
		sdk.WithSpanProcessor(p.queue),
		sdk.WithRawSpanLimits(limits),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", opt.Service), attribute.String("service.version", opt.Version),
			attribute.String("service.instance.id", opt.Instance),
		)),
	)
	p.tracer = p.sdk.Tracer("pushcart", trace.WithInstrumentationVersion(opt.Version))
	return p, nil
}

// limits of a span: what a peer sends cannot make one large.
var limits = sdk.SpanLimits{
	AttributeValueLengthLimit: 256, AttributeCountLimit: 32, EventCountLimit: 16, LinkCountLimit: 4,
	AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8,
}

// newExporter makes what sends spans. It does not connect before there is something to send.
func newExporter(opt Options) (sdk.SpanExporter, error) {
	u, err := url.Parse(opt.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("tracing.endpoint must be a URL like http://127.0.0.1:4318, without user and password: use tracing.headers for credentials")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	set := []otlptracehttp.Option{
		otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithHeaders(opt.Headers),
		otlptracehttp.WithHTTPClient(opt.Client), otlptracehttp.WithTimeout(exportTime), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		// A collector that is away for longer loses spans; the node does not keep them.
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 2 * time.Second, MaxElapsedTime: exportTime,
		}),
	}
	exporter := otlptrace.NewUnstarted(otlptracehttp.NewClient(set...))
	if err := exporter.Start(context.Background()); err != nil {
		return nil, fmt.Errorf("tracing.endpoint: %w", err)
	}
	return exporter, nil
}

// Shutdown sends what is left and ends the provider, by the end of ctx at the latest: what could not be sent by then is lost, and
// counted. Spans that are begun afterwards go nowhere.
func (p *Provider) Shutdown(ctx context.Context) {
	if p == nil {
		return
	}
	// Its error is that of the queue, which has counted and told it.
	_ = p.sdk.Shutdown(ctx)
	p.client.CloseIdleConnections()
}
