package main

import (
	"context"
	"log/slog"
	"net"

	"pushcart/ingest"
	"pushcart/ingest/rtmp"
	"pushcart/internal/stream"
)

// discardMode is the program that the node is measured against: it reads streams with the node's own RTMP code and throws
// the frames away.
func discardMode(ctx context.Context, _ []string) error {
	s, err := rtmp.NewServer(rtmp.Options{Door: openDoor{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := say(listening{l.Addr().String()}); err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

// listening is what a server mode says when it is ready.
type listening struct{ Address string }

// openDoor lets everyone in and keeps nothing.
type openDoor struct{}

// Open implements ingest.Entry.
func (openDoor) Open(r ingest.Request) (ingest.Publication, error) { return nowhere(r.Stream), nil }

// nowhere is a publication that goes nowhere.
type nowhere string

// Name implements ingest.Publication.
func (n nowhere) Name() string { return string(n) }

// SetTrack implements ingest.Publication.
func (nowhere) SetTrack(*stream.Track) error { return nil }

// Write implements ingest.Publication.
func (nowhere) Write(*stream.Frame) error { return nil }

// WriteData implements ingest.Publication.
func (nowhere) WriteData(*stream.Data) error { return nil }

// Drop implements ingest.Publication.
func (nowhere) Drop(ingest.DropReason) {}

// Close implements ingest.Publication.
func (nowhere) Close(error) {}
