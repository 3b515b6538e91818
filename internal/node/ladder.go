package node

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"pushcart/internal/auth"
	"pushcart/internal/config"
	"pushcart/internal/stream"
	"pushcart/overlay/api"
	"pushcart/packager"
	"pushcart/packager/ladder"
	"pushcart/packager/ladder/command"
)

// openLadder makes what encodes streams with ffmpeg; none where that is off.
func (n *Node) openLadder(cfg *config.Config) error {
	if cfg.Ladder.FFmpeg == "" {
		return nil
	}
	var err error
	n.ladders, err = ladder.New(ladder.Options{
		Settings: func() ladder.Settings { return ladderSettingsSince(cfg, n.cfg.Load()) }, Log: n.log, Registerer: n.reg, Environ: os.Environ(),
	})
	if err != nil {
		return fmt.Errorf("set up the ladder: %w", err)
	}
	return nil
}

// ladderSettingsSince are the settings of now, but for those that hold from one start to the next: the program and the encoders
// that were tried are those that are used.
func ladderSettingsSince(start, now *config.Config) ladder.Settings {
	set, first := ladderSettings(now), ladderSettings(start)
	set.Program, set.Encoders, set.Device = first.Program, first.Encoders, first.Device
	return set
}

// ladderSettings are the section ladder as package ladder takes it.
func ladderSettings(c *config.Config) ladder.Settings {
	l := &c.Ladder
	set := ladder.Settings{
		Program: l.FFmpeg, Convert: l.Convert, Device: l.Device, MaxTranscodes: l.MaxTranscodes, MaxCPU: l.MaxCPU,
		Threads: l.Threads, Nice: l.Nice, Poster: time.Duration(l.PosterInterval),
	}
	for _, e := range l.Encoders {
		set.Encoders = append(set.Encoders, command.Backend(e))
	}
	for _, named := range l.Ladders {
		if known := c.LadderNamed(named.Name); known != nil {
			set.Ladders = append(set.Ladders, *known)
		}
	}
	for _, s := range l.Streams {
		choice := ladder.Choice{Stream: s.Stream, Ladder: s.Ladder}
		if s.Ladder == config.NoLadder {
			choice.Ladder = ""
		}
		set.Streams = append(set.Streams, choice)
	}
	// A stream's own entry counts before one for any.
	slices.SortStableFunc(set.Streams, func(a, b ladder.Choice) int {
		return cmp.Compare(anyLast(a.Stream), anyLast(b.Stream))
	})
	return set
}

func anyLast(stream string) int {
	if stream == auth.AnyStream {
		return 1
	}
	return 0
}

// deliverable tells whether viewers can get a codec, as it is or converted.
func (n *Node) deliverable(c stream.Codec) bool {
	return packager.Deliverable(c) || n.ladders != nil && n.ladders.Converts(c)
}

// poster is a stream's newest poster.
func (n *Node) poster(ctx context.Context, name string) (jpeg []byte, at time.Time, ok bool) {
	if n.ladders != nil && n.hub.Get(name) != nil {
		return n.ladders.Poster(ctx, name)
	}
	if n.cluster != nil {
		return n.cluster.posters.get(ctx, name)
	}
	return nil, time.Time{}, false
}

// LadderCommand is what a node with the given settings would call for a source such as "h264 1280x720 30fps aac". It tries
// the host's encoders for it.
func LadderCommand(cfg *config.Config, name, source string) (program string, commands [][]string, notes []string, err error) {
	m, err := ladder.New(ladder.Options{
		Settings: func() ladder.Settings { return ladderSettings(cfg) }, Log: slog.New(slog.DiscardHandler), Environ: os.Environ(),
	})
	if err != nil {
		return "", nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dryRunTimeout)
	defer cancel()
	c, err := m.DryRun(ctx, name, source)
	if err != nil {
		return "", nil, nil, err
	}
	program, commands = split(c.Lines)
	return cmp.Or(program, cfg.Ladder.FFmpeg), commands, c.Notes, nil
}

// dryRunTimeout bounds the trial of the encoders and the plan.
const dryRunTimeout = time.Minute

// split takes the program off the front of lines.
func split(lines [][]string) (program string, commands [][]string) {
	for _, l := range lines {
		if len(l) > 0 {
			program = l[0]
			commands = append(commands, l[1:])
		}
	}
	return program, commands
}

// laddersAPI tells the API about ladders.
type laddersAPI struct{ m *ladder.Manager }

// of describes a stream's ladder for everybody; nil where nothing is made.
func (l laddersAPI) of(name string) *api.Ladder {
	in, ok := l.m.Info(name)
	if !ok || in.State == ladder.Off && len(in.Rungs) == 0 {
		return nil
	}
	return describeLadder(&in)
}

// describeLadder puts a ladder into the API's words.
func describeLadder(in *ladder.Info) *api.Ladder {
	out := &api.Ladder{Name: in.Ladder, Mode: in.Mode, State: string(in.State)}
	for _, j := range in.Jobs {
		if j.Picture {
			out.Backend = j.Engine
		}
	}
	// Everybody may read this: ffmpeg's own words, which may name files and devices, are for the operator.
	switch in.State {
	case ladder.Failed:
		out.Reason = "The encoder failed, and is started again."
	case ladder.Overloaded:
		out.Reason = "There is no room for it on this host at the moment."
	}
	running, off := 0, ""
	for _, r := range in.Rungs {
		rung := describeRung(&r)
		out.Rungs = append(out.Rungs, rung)
		if r.Converts && rung.State != rungOff {
			out.Converts = append(out.Converts, r.Name+" ("+r.Codec+")")
		}
		switch {
		case r.Off != "":
			off = cmp.Or(off, r.Off)
		case r.Frames > 0:
			running++
		}
	}
	switch in.State {
	case ladder.Waiting:
		out.State = "starting"
	case ladder.Overloaded:
		out.State = "reduced"
	}
	if off != "" && (out.State == "running" || out.State == "reduced") {
		out.State, out.Reason = "reduced", off
	}
	if running == 0 && out.State == "reduced" {
		out.State = "off"
	}
	return out
}

// Words of the API for a rung's state.
const (
	rungStarting = "starting"
	rungRunning  = "running"
	rungOff      = "off"
)

func describeRung(r *ladder.RungInfo) api.LadderRung {
	out := api.LadderRung{
		Name: r.Name, Kind: "audio", Codec: r.Codec, Width: r.Width, Height: r.Height, FrameRate: round(r.FrameRate, 100),
		Bitrate: int64(r.Target), Measured: int64(r.Bitrate), Frames: r.Frames, Lag: round(max(r.Lag, r.Delay).Seconds(), 1000),
		State: rungStarting, Reason: r.Off,
	}
	if r.Width > 0 {
		out.Kind = "video"
	}
	for _, n := range r.Dropped {
		out.Dropped += n
	}
	switch {
	case r.Off != "":
		out.State = rungOff
	case r.Frames > 0:
		out.State = rungRunning
	}
	return out
}

// detail describes a stream's ladder for its operator.
func (l laddersAPI) detail(name string) (api.LadderDetail, bool) {
	in, ok := l.m.Info(name)
	if !ok || in.State == ladder.Off && len(in.Rungs)+len(in.Notes) == 0 {
		return api.LadderDetail{}, false
	}
	out := api.LadderDetail{Stream: name, Ladder: *describeLadder(&in), Notes: in.Notes}
	for _, j := range in.Jobs {
		c := api.LadderChild{
			Kind: "sound", Pid: j.PID, Backend: j.Engine, Restarts: uint64(j.Restarts), LastError: j.LastError, Stderr: j.Stderr,
			Speed: round(j.Speed, 100), FPS: round(j.FPS, 100), CPU: round(j.CPU, 10), Queue: j.QueuedFrames, Command: j.Args,
		}
		if j.Picture {
			c.Kind = "picture"
		}
		for _, n := range j.Dropped {
			c.Dropped += n
		}
		out.Children = append(out.Children, c)
	}
	return out, true
}

// node describes what the node can encode with.
func (l laddersAPI) node(streams []*stream.Stream) api.LadderNode {
	in := l.m.Node()
	out := api.LadderNode{
		Program: in.Program, Version: in.Version, Error: in.Problem, BudgetCores: round(in.Budget, 100), UsedCores: round(in.Used, 100),
		Transcodes: in.Transcodes, MaxTranscodes: in.MaxTranscodes,
	}
	inUse := false
	for _, e := range in.Engines {
		j := api.LadderEngine{Backend: e.Backend, Device: e.Device, Codecs: e.Codecs, Filters: e.Filters, Works: e.Works, Reason: e.Problem}
		if e.Works && e.AsideUntil.IsZero() && !inUse {
			j.InUse, inUse = true, true
		}
		out.Engines = append(out.Engines, j)
	}
	for _, s := range streams {
		info, ok := l.m.Info(s.Name())
		if !ok || len(info.Rungs) == 0 {
			continue
		}
		d := describeLadder(&info)
		j := api.LadderStream{Stream: s.Name(), Ladder: d.Name, State: d.State, Backend: d.Backend, RungsPlanned: len(d.Rungs)}
		for _, r := range d.Rungs {
			if r.State == rungRunning {
				j.Rungs++
			}
		}
		for _, c := range info.Jobs {
			j.CPU += c.CPU
		}
		j.CPU = round(j.CPU, 10)
		out.Streams = append(out.Streams, j)
	}
	return out
}

// command is what would be called for a stream.
func (l laddersAPI) command(name, source string) (api.LadderCommand, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dryRunTimeout)
	defer cancel()
	c, err := l.m.DryRun(ctx, name, source)
	if err != nil {
		return api.LadderCommand{}, err
	}
	program, commands := split(c.Lines)
	return api.LadderCommand{Program: cmp.Or(program, l.m.Node().Program), Commands: commands, Notes: c.Notes}, nil
}
