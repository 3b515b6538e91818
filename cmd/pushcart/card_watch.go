package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"pushcart/overlay"
)

const (
	// watchSilence is how long the node may say nothing: it says something every 15 s.
	watchSilence = 45 * time.Second
	// watchAgain is the pause before a broken connection is made anew.
	watchAgain = time.Second
)

type cardWatchCommand struct{}

// Run implements the command.
func (cardWatchCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		w := &watcher{job: j}
		err := w.follow()
		for ; w.began && j.ctx.Err() == nil; err = w.follow() {
			var no *refusedError
			if errors.As(err, &no) && no.status/100 == 4 && no.status != http.StatusTooManyRequests {
				return err
			}
			fmt.Fprintf(j.stderr, "pushcart: %v; trying again\n", err)
			select {
			case <-time.After(watchAgain):
			case <-j.ctx.Done():
			}
		}
		if j.ctx.Err() != nil {
			return nil // Ctrl-C is how it ends
		}
		return err
	})
}

// watcher follows a stream's events.
type watcher struct {
	*job
	began bool // a first connection was there
	last  *overlay.View
}

// follow reads the events of one connection to its end.
func (w *watcher) follow() error {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	silence := time.AfterFunc(watchSilence, cancel)
	defer silence.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.streamURL("/card-events"), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	response, err := w.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // what cannot be read is not said
		return refused(response, body)
	}
	w.began = true
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		silence.Reset(watchSilence)
		// Each event of ours has its data in one line.
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if err := w.tell([]byte(data)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the connection to %s broke: %w", w.base, err)
	}
	return fmt.Errorf("%s ended the connection", w.base)
}

// tell prints an event as a line.
func (w *watcher) tell(data []byte) error {
	if w.raw {
		return w.say("%s", data)
	}
	v := &overlay.View{}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("an event of the node at %s cannot be read: %w", w.base, err)
	}
	news := changes(w.last, v)
	w.last = v
	if len(news) == 0 {
		return nil
	}
	return w.say("%s  %s", w.now().Format(time.TimeOnly), strings.Join(news, "; "))
}

// changes words what is new in a view; was is nil for the first one.
func changes(was, is *overlay.View) []string {
	var news []string
	first := was == nil
	if first {
		was = &overlay.View{}
		news = append(news, fmt.Sprintf("cards on the list of %s: %d", is.Stream, len(is.Cards)))
	} else {
		news = append(news, listChanges(was, is)...)
	}
	for _, s := range is.Slots {
		before := func(o overlay.SlotView) bool { return o.Slot == s.Slot && o.Card == s.Card && o.Rev == s.Rev }
		if !slices.ContainsFunc(was.Slots, before) {
			news = append(news, fmt.Sprintf("%s shows %s (revision %d)", s.Slot, s.Card, s.Rev))
		}
	}
	for _, s := range was.Slots {
		if !slices.ContainsFunc(is.Slots, func(o overlay.SlotView) bool { return o.Slot == s.Slot }) {
			news = append(news, s.Slot+" is empty")
		}
	}
	for _, p := range is.Scheduled {
		if !slices.Contains(was.Scheduled, p) {
			news = append(news, fmt.Sprintf("scheduled as %s: %s at %s", p.ID, planned(p), clock(p.At)))
		}
	}
	for _, p := range was.Scheduled {
		if !slices.ContainsFunc(is.Scheduled, func(o overlay.ScheduledView) bool { return o.ID == p.ID }) {
			news = append(news, p.ID+" is not scheduled any more")
		}
	}
	if !first && was.InBand != is.InBand {
		news = append(news, map[bool]string{true: "cards that come with the media are accepted", false: "cards that come with the media are refused"}[is.InBand])
	}
	if r := is.InBandRefusal; r != nil && (was.InBandRefusal == nil || was.InBandRefusal.Count != r.Count) {
		news = append(news, fmt.Sprintf("refused from the media (%s): %s", r.Source, r.Message))
	}
	return news
}

// listChanges words what is new in the list.
func listChanges(was, is *overlay.View) []string {
	if was.List == is.List {
		return nil
	}
	revs := map[string]int64{}
	for _, c := range was.Cards {
		revs[c.ID] = c.Rev
	}
	var news []string
	for _, c := range is.Cards {
		rev, there := revs[c.ID]
		delete(revs, c.ID)
		switch {
		case !there:
			news = append(news, "card "+c.ID+" is new")
		case rev != c.Rev:
			news = append(news, fmt.Sprintf("card %s: revision %d", c.ID, c.Rev))
		}
	}
	for _, c := range was.Cards {
		if _, gone := revs[c.ID]; gone {
			news = append(news, "card "+c.ID+" is deleted")
		}
	}
	if len(news) == 0 {
		news = append(news, "the list is sorted")
	}
	return news
}
