package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"flag"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"pushcart/internal/load"
	"pushcart/relay/trust"
)

// partTime is how long parts are by default: so often, the plain copy sends one on each connection.
const partTime = 200 * time.Millisecond

// plainCopy starts a plain copy of parts in a process of its own, and returns it and how many bytes a second it takes over.
func plainCopy(ctx context.Context, parts [][]int) (c *load.Process, rate float64, err error) {
	sizes, err := json.Marshal(parts)
	if err != nil {
		return nil, 0, err
	}
	folder, err := os.MkdirTemp(scratch, "plain-")
	if err != nil {
		return nil, 0, err
	}
	for _, of := range parts {
		sum := 0
		for _, n := range of {
			sum += n
		}
		rate += relayStreams * float64(sum) / float64(len(of)) / partTime.Seconds()
	}
	c, err = self(ctx, &struct{}{}, "plaincopy", "-folder", folder, "-streams", strconv.Itoa(relayStreams), "-parts", string(sizes))
	return c, rate, err
}

// plaincopyMode is the program that the relay is measured against: parts of the same sizes, as often, over as many connections
// with the same mutual TLS, written in one piece each, read and forgotten. Both ends are in this process.
func plaincopyMode(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("plaincopy", flag.ContinueOnError)
	folder := f.String("folder", "", "where certificates are made")
	streams := f.Int("streams", relayStreams, "how many streams")
	parts := f.String("parts", "", "sizes of a stream's parts, by rendition")
	if err := f.Parse(args); err != nil {
		return err
	}
	var sizes [][]int
	if err := json.Unmarshal([]byte(*parts), &sizes); err != nil {
		return err
	}
	credentials, err := trust.Development(*folder, "plain", "here", trust.Options{})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	context.AfterFunc(ctx, func() { l.Close() })
	ended := make(chan error, 2**streams*len(sizes)+1)
	begin := time.Now().Add(time.Second)
	for i := range *streams {
		for _, of := range sizes {
			near, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			context.AfterFunc(ctx, func() { near.Close() })
			far, err := l.Accept()
			if err != nil {
				return err
			}
			context.AfterFunc(ctx, func() { far.Close() })
			client, server := tls.Client(near, credentials.ClientTLS("plain")), tls.Server(far, credentials.ServerTLS("http/1.1"))
			// Streams do not come in step.
			first := begin.Add(time.Duration(i) * partTime / time.Duration(*streams))
			group.Go(func() { ended <- sendParts(ctx, server, of, first) })
			group.Go(func() { ended <- readParts(client) })
		}
	}
	if err := load.Pause(ctx, time.Until(begin)+time.Second); err != nil {
		return err
	}
	if err := say(struct{}{}); err != nil {
		return err
	}
	return <-ended
}

// sendParts writes a part of each size in turn, one each partTime.
func sendParts(ctx context.Context, w io.Writer, sizes []int, at time.Time) error {
	largest := 0
	for _, n := range sizes {
		largest = max(largest, n)
	}
	media := make([]byte, largest)
	if _, err := rand.Read(media); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := load.Pause(ctx, time.Until(at)); err != nil {
			return err
		}
		at = at.Add(partTime)
		if _, err := w.Write(media[:sizes[i%len(sizes)]]); err != nil {
			return err
		}
	}
}

// readParts reads what comes and forgets it.
func readParts(r io.Reader) error {
	buffer := make([]byte, 64<<10)
	for {
		if _, err := r.Read(buffer); err != nil {
			return err
		}
	}
}
