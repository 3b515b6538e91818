package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"pushcart/overlay"
	"pushcart/overlay/api"
)

// Limits of what is read of a file, in bytes: what the node takes.
const maxInput = 4 << 20

// input reads a file, or standard input for "-".
func (s surroundings) input(file string) ([]byte, error) {
	from := s.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	if err == nil && len(data) > maxInput {
		err = fmt.Errorf("%s has more than %d bytes", file, maxInput)
	}
	return data, err
}

// typed is a request's header with the media type of its body.
func typed(kind string) http.Header { return http.Header{"Content-Type": {kind}} }

const (
	kindJSON  = "application/json"
	kindMerge = "application/merge-patch+json"
)

// revision is the flag with which commands on cards state what they are based on.
type revision struct {
	IfRev int64 `name:"if-rev" placeholder:"REV" help:"Only if the card has this revision."`
}

func (r revision) into(h http.Header) http.Header {
	if r.IfRev > 0 {
		h.Set("If-Match", strconv.Quote(strconv.FormatInt(r.IfRev, 10)))
	}
	return h
}

type cardPutCommand struct {
	File string `arg:"" help:"File with the card's document as JSON; - for standard input."`
	New  bool   `help:"Only if there is no such card yet."`
	revision
}

// Run implements the command.
func (c *cardPutCommand) Run(s surroundings, card *cardCommand) error {
	doc, err := s.input(c.File)
	if err != nil {
		return fmt.Errorf("read the card: %w", err)
	}
	var head struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(doc, &head); err != nil {
		return fmt.Errorf("the card in %s is not JSON: %w", c.File, err)
	}
	if head.ID == "" {
		return fmt.Errorf(`id: the card in %s has none: give it one, such as "id": "lamp"`, c.File)
	}
	return card.begin(s, func(j *job) error {
		h := c.into(typed(kindJSON))
		if c.New {
			h.Set("If-None-Match", "*")
		}
		r, done, err := j.change(http.MethodPut, "/cards/"+url.PathEscape(head.ID), doc, h)
		if err != nil || done {
			return err
		}
		return j.sayCard(r)
	})
}

// sayCard tells of a card that was written.
func (j *job) sayCard(r overlay.Result) error {
	if r.Created {
		return j.say("card %s is new: revision %d", r.Card, r.Rev)
	}
	return j.say("card %s: revision %d", r.Card, r.Rev)
}

type cardPatchCommand struct {
	ID    string `arg:"" help:"The card."`
	Patch string `arg:"" name:"json" help:"What changes, as a JSON object; null takes a key away. - for standard input."`
	revision
}

// Run implements the command.
func (c *cardPatchCommand) Run(s surroundings, card *cardCommand) error {
	patch := []byte(c.Patch)
	if c.Patch == "-" {
		var err error
		if patch, err = s.input("-"); err != nil {
			return fmt.Errorf("read the patch: %w", err)
		}
	}
	return card.begin(s, func(j *job) error {
		r, done, err := j.change(http.MethodPatch, "/cards/"+url.PathEscape(c.ID), patch, c.into(typed(kindMerge)))
		if err != nil || done {
			return err
		}
		return j.sayCard(r)
	})
}

type cardDeleteCommand struct {
	ID string `arg:"" help:"The card."`
	revision
}

// Run implements the command.
func (c *cardDeleteCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		_, done, err := j.change(http.MethodDelete, "/cards/"+url.PathEscape(c.ID), nil, c.into(http.Header{}))
		if err != nil || done {
			return err
		}
		return j.say("card %s is deleted", c.ID)
	})
}

type cardImportCommand struct {
	File string `arg:"" help:"File with a JSON array of card documents; - for standard input."`
}

// Run implements the command.
func (c *cardImportCommand) Run(s surroundings, card *cardCommand) error {
	list, err := s.input(c.File)
	if err != nil {
		return fmt.Errorf("read the list: %w", err)
	}
	return card.begin(s, func(j *job) error {
		r, done, err := j.change(http.MethodPut, "/cards", list, typed(kindJSON))
		if err != nil || done {
			return err
		}
		return j.say("cards on the list: %d", r.Cards)
	})
}

type cardOrderCommand struct {
	IDs []string `arg:"" name:"id" help:"All cards in their new order."`
}

// Run implements the command.
func (c *cardOrderCommand) Run(s surroundings, card *cardCommand) error {
	body, err := json.Marshal(api.OrderRequest{Order: c.IDs})
	if err != nil {
		return err
	}
	return card.begin(s, func(j *job) error {
		_, done, err := j.change(http.MethodPatch, "/cards", body, typed(kindMerge))
		if err != nil || done {
			return err
		}
		return j.say("the list is sorted")
	})
}

// moment is the flag that says when something happens.
type moment struct {
	At *string `placeholder:"TIME" help:"When: a time such as 2026-03-01T20:15:00Z, or +30s from now. Now, without."`
}

// of returns the time as the API takes it; "" is now.
func (m moment) of(now time.Time) (string, error) {
	if m.At == nil {
		return "", nil
	}
	if after, ok := strings.CutPrefix(*m.At, "+"); ok {
		if d, err := time.ParseDuration(after); err == nil && d >= 0 {
			return now.Add(d).UTC().Format(time.RFC3339Nano), nil
		}
	} else if t, err := time.Parse(time.RFC3339Nano, *m.At); err == nil {
		return t.UTC().Format(time.RFC3339Nano), nil
	}
	return "", fmt.Errorf("--at: %q is neither a time such as 2026-03-01T20:15:00Z nor one from now such as +30s", *m.At)
}

type cardShowCommand struct {
	ID   string `arg:"" help:"The card."`
	Slot string `default:"main" placeholder:"SLOT" help:"Where: main, without."`
	moment
}

// Run implements the command.
func (c *cardShowCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		at, err := c.of(j.now())
		if err != nil {
			return err
		}
		request := api.ShowRequest{Card: c.ID}
		if at != "" {
			request.At = &at
		}
		body, err := json.Marshal(request)
		if err != nil {
			return err
		}
		r, done, err := j.change(http.MethodPut, "/slots/"+url.PathEscape(c.Slot), body, typed(kindJSON))
		switch {
		case err != nil || done:
			return err
		case r.Schedule != "":
			return j.say("%s will be shown in %s at %s (scheduled as %s)", c.ID, c.Slot, clock(*r.At), r.Schedule)
		}
		return j.say("%s shows %s (revision %d)", c.Slot, r.Card, r.Rev)
	})
}

type cardHideCommand struct {
	Slot *string `arg:"" optional:"" help:"The slot; all of them, without."`
	moment
}

// Run implements the command.
func (c *cardHideCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		at, err := c.of(j.now())
		if err != nil {
			return err
		}
		path, what := "/slots", "every slot"
		if c.Slot != nil {
			if *c.Slot == "" {
				return errors.New("the slot has no name: leave it out to empty every slot")
			}
			path, what = path+"/"+url.PathEscape(*c.Slot), *c.Slot
		}
		if at != "" {
			path += "?at=" + url.QueryEscape(at)
		}
		r, done, err := j.change(http.MethodDelete, path, nil, http.Header{})
		switch {
		case err != nil || done:
			return err
		case r.Schedule != "":
			return j.say("%s will be emptied at %s (scheduled as %s)", what, clock(*r.At), r.Schedule)
		}
		return j.say("%s is empty", what)
	})
}

type cardCancelCommand struct {
	Schedule string `arg:"" help:"What the command was scheduled as."`
}

// Run implements the command.
func (c *cardCancelCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		_, done, err := j.change(http.MethodDelete, "/schedule/"+url.PathEscape(c.Schedule), nil, http.Header{})
		if err != nil || done {
			return err
		}
		return j.say("%s is cancelled", c.Schedule)
	})
}
