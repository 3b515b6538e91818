package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"pushcart/internal/load"
)

const (
	cardsToken = "bench-operator-token"
	// cardsRate is how many changes of the cards a second a stream must take.
	cardsRate = 50
)

// cardsRow measures what cards that change fifty times a second do to the delay of the media, in turns with the same show
// at rest, and how long the host waits for an acknowledgement, which is a write to the disk.
func cardsRow(ctx context.Context, o options) ([]row, error) {
	n, err := startNode(ctx, o.binary, "PUSHCART_STUDIO_TOKENS=*="+cardsToken)
	if err != nil {
		return nil, err
	}
	defer n.Stop()
	show, err := startShow(ctx, n)
	if err != nil {
		return nil, err
	}
	defer show.end()
	for _, id := range []string{"lamp", "sofa"} {
		if err := n.command(ctx, http.MethodPut, "/cards/"+id, `{"id":"`+id+`","name":"A card"}`); err != nil {
			return nil, err
		}
	}
	if err := load.Pause(ctx, 4*time.Second); err != nil {
		return nil, err
	}
	var half, most, ratios, ackHalf, ackMost samples
	for turn := range o.turns() {
		calm, err := show.watch(ctx, o.seconds/2, latencyViewers, (*crowd).waitForPlaylist)
		if err != nil {
			return nil, err
		}
		stop := n.changeCards(ctx)
		late, err := show.watch(ctx, o.seconds/2, latencyViewers, (*crowd).waitForPlaylist)
		acks, changeErr := stop()
		if err == nil {
			err = changeErr
		}
		if err != nil {
			return nil, err
		}
		half.add(late.quantile(0.5))
		most.add(late.quantile(0.99))
		ratios.add(late.quantile(0.5) / calm.quantile(0.5))
		ackHalf.add(acks.quantile(0.5))
		ackMost.add(acks.quantile(0.99))
		progress("cards %d/%d: %d changes: playlist p50 %.2f ms (%.2f at rest), p99 %.2f ms; acknowledged p50 %.2f ms, p99 %.2f ms",
			turn+1, o.turns(), len(acks), late.quantile(0.5), calm.quantile(0.5), late.quantile(0.99), acks.quantile(0.5), acks.quantile(0.99))
	}
	return []row{
		figure(fmt.Sprintf("Last byte in to playlist out, %d card changes a second, p50", cardsRate), half, " ms", 2, atMost),
		figure("  p99", most, " ms", 10, atMost),
		figure("  against the same at rest", ratios, "", 0, shown),
		figure("Card change to acknowledgement, p50", ackHalf, " ms", 0, shown),
		figure("  p99", ackMost, " ms", 0, shown),
	}, nil
}

// command asks the card API for a change.
func (n *node) command(ctx context.Context, method, path, body string) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+n.HTTP+"/api/v1/streams/"+latencyStream+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+cardsToken)
	r.Header.Set("Content-Type", "application/json")
	answer, err := httpClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, text)
	}
	return err
}

// changeCards changes what is shown at the full rate until stop is called, which returns how long each change took, in ms.
func (n *node) changeCards(ctx context.Context) (stop func() (samples, error)) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var acks samples
	var failed error
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second / cardsRate)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			card := []string{"lamp", "sofa"}[i%2]
			begun := time.Now()
			if err := n.command(ctx, http.MethodPut, "/slots/main", `{"card":"`+card+`"}`); err != nil {
				if ctx.Err() == nil {
					failed = err
				}
				return
			}
			acks.add(float64(time.Since(begun)) / 1e6)
		}
	}()
	return func() (samples, error) {
		cancel()
		<-done
		return acks, failed
	}
}
