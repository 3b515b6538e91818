package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"pushcart/internal/load"
)

// loadMode is the load generator: it publishes many streams until its standard input ends or it is told to stop.
func loadMode(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	address := f.String("address", "", "where to publish")
	streams := f.Int("streams", 20, "how many streams")
	ahead := f.Duration("ahead", 0, "media to send fast at first")
	speed := f.Int64("speed", 10, "how fast that is")
	if err := f.Parse(args); err != nil {
		return err
	}
	rec, err := loadRecording(ctx)
	if err != nil {
		return err
	}
	reel := load.NewReel(rec)
	failed := make(chan error, *streams)
	begin := time.Now()
	for i := range *streams {
		s, err := publish(ctx, *address, streamName(i))
		if err != nil {
			return err
		}
		defer s.Close()
		// Key frames of different publishers come at different moments.
		stagger := time.Duration(i) * 2 * time.Second / time.Duration(*streams)
		p := load.Publisher{Session: s, Reel: reel, Pace: load.Pace{Begin: begin.Add(stagger), Ahead: *ahead, Speed: *speed}}
		go func() { failed <- p.Play(ctx) }()
	}
	if err := say(struct{}{}); err != nil {
		return err
	}
	for range *streams {
		if err := <-failed; err != nil {
			return err
		}
	}
	return nil
}

// publish begins to publish under a name.
func publish(ctx context.Context, address, name string) (*load.Session, error) {
	t, err := load.ParseTarget("rtmp://" + address + "/live/" + name)
	if err != nil {
		return nil, err
	}
	return load.Publish(ctx, t, nil, load.StartTimeout)
}

func streamName(i int) string { return fmt.Sprintf("show%02d", i) }

// publishAll starts a load generator of so many streams and returns when they all publish in real time.
func publishAll(ctx context.Context, address string, streams int, ahead time.Duration) (*load.Process, error) {
	const speed = 10
	c, err := self(ctx, &struct{}{}, "load", "-address", address, "-streams", fmt.Sprint(streams),
		"-ahead", ahead.String(), "-speed", fmt.Sprint(speed))
	if err != nil {
		return nil, err
	}
	if err := load.Pause(ctx, ahead/speed+2*time.Second); err != nil {
		c.Stop()
		return nil, err
	}
	return c, c.Alive()
}

// endWithInput cancels when standard input ends: the parent is gone or wants no more.
func endWithInput(cancel func()) {
	var b [64]byte
	for {
		if _, err := os.Stdin.Read(b[:]); err != nil {
			cancel()
			return
		}
	}
}
