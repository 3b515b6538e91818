package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"pushcart/internal/config"
	"pushcart/internal/doctor"
	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

// udpBuffer is what SRT and RTSP ask the kernel for, in bytes; WebRTC asks for less.
const udpBuffer = 4 << 20

// doctorCommand is pushcart doctor.
type doctorCommand struct {
	Config     string `short:"c" placeholder:"FILE" help:"Configuration file; PUSHCART_CONFIG names it otherwise."`
	JSON       bool   `help:"Print the findings as JSON."`
	Quiet      bool   `short:"q" help:"Leave out what is well."`
	Online     bool   `help:"Ask name servers, too, whether the domains of acme.domains lead somewhere."`
	NoEncoders bool   `help:"Do not try ffmpeg's encoders, which takes some seconds."`
}

// errUnwell is that there are problems, which have been told.
var errUnwell = errors.New("there are problems: see above")

// Run implements the command.
func (c *doctorCommand) Run(s surroundings) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	plan := c.plan(s)
	opt := doctor.Options{Online: c.Online}
	if !c.NoEncoders {
		cfg, err := config.Load(c.Config, s.env)
		if err != nil {
			cfg = config.Default()
		}
		opt.FFmpeg = func(ctx context.Context) *doctor.FFmpeg { return tryFFmpeg(ctx, cfg, s.env) }
	}
	found := doctor.Examine(plan, doctor.Gather(ctx, plan, opt))
	if err := ctx.Err(); err != nil {
		return errors.New("interrupted")
	}
	if err := c.print(s.stdout, found); err != nil {
		return err
	}
	if doctor.Worst(found) == doctor.Problem {
		return errUnwell
	}
	return nil
}

// print tells the findings.
func (c *doctorCommand) print(w io.Writer, found []doctor.Finding) error {
	if c.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			Worst    doctor.Level     `json:"worst"`
			Findings []doctor.Finding `json:"findings"`
		}{doctor.Worst(found), found})
	}
	var b strings.Builder
	count := map[doctor.Level]int{}
	for _, f := range found {
		count[f.Level]++
		if c.Quiet && f.Level == doctor.OK {
			continue
		}
		fmt.Fprintf(&b, "%-8s %-15s %s\n", f.Level, f.Check, f.Message)
		if f.Do != "" {
			fmt.Fprintf(&b, "%-8s %-15s -> %s\n", "", "", f.Do)
		}
	}
	fmt.Fprintf(&b, "\n%d well, %d to look at, %d to mend\n", count[doctor.OK], count[doctor.Warning], count[doctor.Problem])
	_, err := io.WriteString(w, b.String())
	return err
}

// plan is what the node is to do by its configuration.
func (c *doctorCommand) plan(s surroundings) *doctor.Plan {
	p := &doctor.Plan{File: config.File(c.Config, s.env)}
	cfg, err := config.Load(c.Config, s.env)
	if err != nil {
		var mistakes config.Mistakes
		if errors.As(err, &mistakes) {
			for _, m := range mistakes {
				p.Mistakes = append(p.Mistakes, m.String())
			}
		} else {
			p.Mistakes = []string{err.Error()}
		}
		cfg = config.Default()
	}
	planListeners(p, cfg)
	p.Admin = string(cfg.Admin.Address)
	p.MaxConnections = cfg.HTTP.MaxConnections + cfg.RTMP.MaxConnections + cfg.RTSP.MaxConnections + cfg.WHIP.MaxSessions
	p.Keys, p.GenerateKey = len(cfg.Publish.Keys), cfg.Publish.GenerateKey
	p.Authority = cfg.Callback.URL != "" || cfg.JWT.JWKS != ""
	p.Tokens = len(cfg.Studio.Tokens)
	p.TLS = cfg.HTTP.TLSAddress != "" || cfg.RTMP.TLSAddress != "" || cfg.RTSP.TLSAddress != ""
	p.Certificate, p.Key = cfg.TLS.Certificate, cfg.TLS.Key
	p.Domains, p.HTTPS = cfg.ACME.Domains, string(cfg.HTTP.TLSAddress)
	if len(p.Domains) > 0 {
		p.ACMEAddress = string(cfg.ACME.HTTPAddress)
	}
	p.Data, p.DVR = cfg.Data.Directory, time.Duration(cfg.HLS.DVR)
	p.FFmpeg, p.Encoders = cfg.Ladder.FFmpeg, cfg.Ladder.Encoders
	p.Clustered, p.HSTS = cfg.Clustered(), cfg.HTTP.HSTS > 0
	if p.Clustered && !cfg.Cluster.Development {
		p.Certificates = cfg.Cluster.Directory
	} else {
		p.Clustered = false // one that makes its certificates lacks nothing
	}
	p.Secrets = secretFiles(p.File, cfg, s.env)
	return p
}

// planListeners lists what the node listens on.
func planListeners(p *doctor.Plan, cfg *config.Config) {
	add := func(name, setting, network string, address config.Address) {
		if address != "" {
			p.Listeners = append(p.Listeners, doctor.Listener{Name: name, Setting: setting, Network: network, Address: string(address)})
		}
	}
	add("rtmp", "rtmp.address", "tcp", cfg.RTMP.Address)
	add("rtmps", "rtmp.tls_address", "tcp", cfg.RTMP.TLSAddress)
	add("rtsp", "rtsp.address", "tcp", cfg.RTSP.Address)
	add("rtsps", "rtsp.tls_address", "tcp", cfg.RTSP.TLSAddress)
	add("rtsp-udp", "rtsp.udp_address", "udp", cfg.RTSP.UDPAddress)
	add("srt", "srt.address", "udp", cfg.SRT.Address)
	add("whip-udp", "whip.udp_address", "udp", cfg.WHIP.UDPAddress)
	add("whip-tcp", "whip.tcp_address", "tcp", cfg.WHIP.TCPAddress)
	add("http", "http.address", "tcp", cfg.HTTP.Address)
	add("https", "http.tls_address", "tcp", cfg.HTTP.TLSAddress)
	add("admin", "admin.address", "tcp", cfg.Admin.Address)
	if len(cfg.ACME.Domains) > 0 {
		add("acme", "acme.http_address", "tcp", cfg.ACME.HTTPAddress)
	}
	if cfg.Clustered() {
		add("relay", "cluster.address", "tcp", cfg.Cluster.Address)
		if len(cfg.Cluster.Core) > 0 {
			add("nats", "cluster.listen_nats", "tcp", cfg.Cluster.ListenNATS)
			add("leaf", "cluster.listen_leaf", "tcp", cfg.Cluster.ListenLeaf)
		}
	}
	if cfg.SRT.Address != "" || cfg.RTSP.UDPAddress != "" || cfg.WHIP.UDPAddress != "" {
		p.UDPBuffer = udpBuffer
	}
}

// secretFiles are the files with secrets in them.
func secretFiles(file string, cfg *config.Config, env []string) []string {
	var all []string
	// What the environment overrides may be in the file as well; a file without any secret may be read by all.
	if file != "" && (len(cfg.Publish.Keys) > 0 || len(cfg.Studio.Tokens) > 0 || cfg.SRT.Passphrase != "" || cfg.Callback.Secret != "" ||
		len(cfg.Playback.Keys) > 0 || len(cfg.HTTP.CDNSecrets) > 0 || len(cfg.Webhooks.Targets) > 0 || len(cfg.Tracing.Headers) > 0) {
		all = append(all, file)
	}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if strings.HasPrefix(name, "PUSHCART_") && strings.HasSuffix(name, "_FILE") && value != "" {
			all = append(all, value)
		}
	}
	if cfg.TLS.Key != "" {
		all = append(all, cfg.TLS.Key)
	}
	if cfg.Cluster.NATSCredentials != "" {
		all = append(all, cfg.Cluster.NATSCredentials)
	}
	return all
}

// tryFFmpeg tries the program and its encoders as the node does.
func tryFFmpeg(ctx context.Context, cfg *config.Config, env []string) *doctor.FFmpeg {
	out := &doctor.FFmpeg{}
	program, err := exec.LookPath(cfg.Ladder.FFmpeg)
	if err != nil {
		out.Err = err
		return out
	}
	tools, err := child.Ask(ctx, child.TrialOptions{Program: program, Env: child.Environment(env), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		out.Err = err
		return out
	}
	out.Version = tools.Version()
	var backends []command.Backend
	for _, e := range cfg.Ladder.Encoders {
		backends = append(backends, command.Backend(e))
	}
	tried := map[string]string{} // why the back-end does not work, so far
	for _, e := range command.Candidates(backends, cfg.Ladder.Device) {
		name := string(e.Backend)
		if why, before := tried[name]; before && why == "" {
			continue // another form of it works
		}
		tried[name] = tools.Try(ctx, e, stream.H264)
	}
	for _, e := range cfg.Ladder.Encoders {
		why, done := tried[e]
		switch {
		case !done:
			out.Fails = append(out.Fails, doctor.Failed{Backend: e, Reason: "this host has no device for it"})
		case why == "":
			out.Works = append(out.Works, e)
		default:
			out.Fails = append(out.Fails, doctor.Failed{Backend: e, Reason: why})
		}
	}
	return out
}
