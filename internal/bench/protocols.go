package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"pushcart/internal/load"
	"pushcart/internal/testkit"
)

const (
	protocolViewers = 20
	protocolStreams = 20
	// srtLatency is the time for which SRT holds every packet back, so that lost ones can be sent again: both sides' default.
	srtLatency = 120.0 // ms
)

// measured are the protocols that the table compares, RTMP first.
var measured = []string{"rtmp", "rtsp/tcp", "rtsp/udp", "srt", "whip"}

// protocolsRow compares the protocols: how long after a part's last frame was handed to the system the part is with those who
// wait for it, all in turns in one run, and what a stream costs the node.
func protocolsRow(ctx context.Context, o options) (rows []row, err error) {
	err = within(ctx, func(h *harness) error {
		late, err := protocolLatency(ctx, o, h)
		if err != nil {
			return err
		}
		cost, err := protocolCost(ctx, o, h)
		rows = append(late, cost...)
		return err
	})
	return rows, err
}

// delays are one protocol's.
type delays struct{ half, most, over, overMost samples }

func protocolLatency(ctx context.Context, o options, h *harness) ([]row, error) {
	n, err := startNode(ctx, o.binary)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	shows := map[string]*show{}
	for _, name := range measured {
		s, err := startProtocol(ctx, h, n, name)
		if err != nil {
			return nil, fmt.Errorf("publish over %s: %w", name, err)
		}
		defer s.end()
		shows[name] = s
	}
	// Each playlist is to be seen from its start on.
	if err := watchAll(ctx, shows, 5*time.Second); err != nil {
		return nil, err
	}
	all := map[string]*delays{}
	for turn := range o.turns() {
		var rtmp, rtmpMost float64
		for _, name := range measured {
			late, err := shows[name].watchBeside(ctx, o.seconds/2, shows)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if all[name] == nil {
				all[name] = &delays{}
			}
			half, most := late.quantile(0.5), late.quantile(0.95)
			if name == "srt" {
				half, most = half-srtLatency, most-srtLatency
			}
			if name == "rtmp" {
				rtmp, rtmpMost = half, most
			}
			d := all[name]
			d.half.add(half)
			d.most.add(most)
			d.over.add(half - rtmp)
			d.overMost.add(most - rtmpMost)
			progress("protocols %d/%d: %s, %d parts: p50 %.2f ms, p95 %.2f ms", turn+1, o.turns(), name, len(late), half, most)
		}
	}
	rows := []row{figure(fmt.Sprintf("RTMP, last byte in to hinted part out, %d viewers, p50", protocolViewers), all["rtmp"].half, " ms", 0, shown),
		figure("  p95", all["rtmp"].most, " ms", 0, shown)}
	for _, p := range []struct{ name, title string }{
		{"rtsp/tcp", "RTSP over TCP, beyond RTMP"}, {"rtsp/udp", "RTSP over UDP, beyond RTMP"}, {"whip", "WHIP, beyond RTMP"},
	} {
		rows = append(rows, figure(p.title+", p50", all[p.name].over, " ms", 5, atMost), figure("  p95", all[p.name].overMost, " ms", 0, shown))
	}
	rows = append(rows, figure(fmt.Sprintf("SRT, beyond RTMP and its own %.0f ms, p50", srtLatency), all["srt"].over, " ms", 0, shown),
		figure("  p95", all["srt"].overMost, " ms", 0, shown))
	return rows, nil
}

// startProtocol publishes the usual stream over a protocol until end is called.
func startProtocol(ctx context.Context, h *harness, n *node, protocol string) (*show, error) {
	tracks, err := loop(ctx, h, protocol, int(limit/(loopMillis*time.Millisecond)))
	if err != nil {
		return nil, err
	}
	p := testkit.ByName(h, protocol)
	name := "bench-" + p.Room
	if p.Name == "rtsp/udp" {
		name += "-udp"
	}
	src, err := p.Open(h, target{n}, testkit.Show{Name: name, Tracks: tracks})
	if err != nil {
		return nil, err
	}
	sending, stop := context.WithCancel(ctx)
	s := &show{node: n, name: name, stop: stop, ended: make(chan struct{}), begin: time.Now(), skipped: -1}
	s.sent = make([]atomic.Int64, int(limit.Seconds())*frameRate)
	go func() {
		defer close(s.ended)
		defer src.Drop()
		s.err = testkit.Send(sending, timed{Source: src, show: s}, tracks, testkit.Stretch{Speed: 1})
	}()
	return s, nil
}

// timed notes when each video frame had been handed to the system.
type timed struct {
	testkit.Source
	show *show
}

func (t timed) Write(track int, s *testkit.Sample) error {
	err := t.Source.Write(track, s)
	if track == 0 {
		frame := int(s.DTS.Milliseconds()*frameRate+500) / 1000
		t.show.sent[frame].Store(int64(time.Since(t.show.begin)))
	}
	return err
}

// loop makes the recording into what the kit's clients send, so many times over: with its own sound, or with one in Opus.
func loop(ctx context.Context, h *harness, protocol string, times int) ([]testkit.Media, error) {
	rec, err := loadRecording(ctx)
	if err != nil {
		return nil, err
	}
	video, audio := &testkit.Clip{Codec: testkit.AVC}, &testkit.Clip{Codec: testkit.AAC}
	for _, t := range rec.Configs {
		switch {
		case t.Kind == load.TagVideo:
			video.Config = t.Data[5:]
		case t.Kind == load.TagAudio:
			audio.Config = t.Data[2:]
		}
	}
	for _, t := range rec.Frames {
		s := testkit.Sample{DTS: time.Duration(t.At) * time.Millisecond, Key: true}
		if t.Kind == load.TagAudio {
			s.Payload = t.Data[2:]
			audio.Samples = append(audio.Samples, s)
			continue
		}
		// Composition time, 24 bits: none in this recording, which has no B-frames.
		s.Key, s.Payload = t.Key(), t.Data[5:]
		video.Samples = append(video.Samples, s)
	}
	if protocol == "whip" {
		opus := testkit.OpusSound(h)
		audio = &testkit.Clip{Codec: opus.Codec, Config: opus.Config}
		for _, s := range opus.Samples {
			if s.DTS < loopMillis*time.Millisecond {
				audio.Samples = append(audio.Samples, s)
			}
		}
	}
	for _, c := range []*testkit.Clip{video, audio} {
		turn := c.Samples
		c.Samples = make([]testkit.Sample, 0, len(turn)*times)
		for i := range times {
			for _, s := range turn {
				s.DTS += time.Duration(i) * loopMillis * time.Millisecond
				c.Samples = append(c.Samples, s)
			}
		}
		c.Length = time.Duration(times) * loopMillis * time.Millisecond
	}
	return []testkit.Media{{Clip: video}, {Clip: audio}}, nil
}

// watchAll keeps up with all playlists for a time, so that no part passes unseen.
func watchAll(ctx context.Context, shows map[string]*show, d time.Duration) error {
	for end := time.Now().Add(d); time.Now().Before(end); {
		for name, s := range shows {
			if err := s.learn(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := load.Pause(ctx, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// watchBeside watches one show and keeps up with the others.
func (s *show) watchBeside(ctx context.Context, d time.Duration, others map[string]*show) (samples, error) {
	done := make(chan error, 1)
	rest := map[string]*show{}
	for name, other := range others {
		if other != s {
			rest[name] = other
		}
	}
	go func() { done <- watchAll(ctx, rest, d) }()
	late, err := s.watch(ctx, d, protocolViewers, (*crowd).waitForPart)
	if other := <-done; err == nil {
		err = other
	}
	return late, err
}

// protocolCost measures what streams of each protocol cost the node, in percent of a core for each.
func protocolCost(ctx context.Context, o options, h *harness) ([]row, error) {
	used := map[string]*samples{}
	for turn := range o.runs {
		for _, name := range measured {
			cores, err := costOf(ctx, o, h, name)
			if err != nil {
				return nil, fmt.Errorf("cost of %s: %w", name, err)
			}
			if used[name] == nil {
				used[name] = &samples{}
			}
			used[name].add(cores / protocolStreams * 100)
			progress("protocols %d/%d: %s uses %.3f %% of a core per stream", turn+1, o.runs, name, cores/protocolStreams*100)
		}
	}
	rows := []row{figure(fmt.Sprintf("CPU per stream of %d, RTMP, of one core", protocolStreams), *used["rtmp"], " %", 0, shown)}
	for _, name := range measured[1:] {
		var ratio samples
		for i, v := range *used[name] {
			ratio.add(v / (*used["rtmp"])[i])
		}
		rows = append(rows, figure("  "+name+", of RTMP's", ratio, "", 0, shown))
	}
	return rows, nil
}

// costOf publishes to a fresh node and returns how many cores that uses meanwhile.
func costOf(ctx context.Context, o options, h *harness, protocol string) (float64, error) {
	n, err := startNode(ctx, o.binary)
	if err != nil {
		return 0, err
	}
	defer n.Stop()
	tracks, err := loop(ctx, h, protocol, int((o.seconds+20*time.Second)/(loopMillis*time.Millisecond))+1)
	if err != nil {
		return 0, err
	}
	sending, cancel := context.WithCancel(ctx)
	failed := make(chan error, protocolStreams)
	started := 0
	defer func() {
		cancel()
		for range started {
			<-failed
		}
	}()
	p := testkit.ByName(h, protocol)
	for i := range protocolStreams {
		src, err := p.Open(h, target{n}, testkit.Show{Name: streamName(i), Tracks: tracks})
		if err != nil {
			return 0, err
		}
		started++
		go func() {
			err := testkit.Send(sending, src, tracks, testkit.Stretch{Speed: 1})
			src.Drop()
			failed <- err
		}()
	}
	if err := n.live(ctx, protocolStreams); err != nil {
		return 0, err
	}
	if err := load.Pause(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	if o.profiles != "" {
		defer n.profile(o.profiles, "cpu-"+p.Room, o.seconds)()
	}
	cores, wall, err := measure(ctx, n.PID(), o.seconds)
	if err != nil {
		return 0, err
	}
	select {
	case err := <-failed:
		started--
		return 0, fmt.Errorf("a publisher ended: %w", err)
	default:
	}
	return cores.Seconds() / wall.Seconds(), nil
}
