package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pushcart/overlay"
	"pushcart/overlay/api"
)

// cardCommand is pushcart card: a show's product cards, from a shell.
type cardCommand struct {
	URL    string `name:"url" placeholder:"URL" help:"Address of the node; PUSHCART_URL otherwise, or http://127.0.0.1:8080."`
	Stream string `short:"s" placeholder:"NAME" help:"The stream; PUSHCART_STREAM otherwise, or the one that is live."`
	Token  string `placeholder:"TOKEN" help:"The operator's token; PUSHCART_TOKEN otherwise, or what the node on this host keeps."`
	Data   string `placeholder:"FOLDER" help:"Data folder of the node, for its operator.token; PUSHCART_DATA_DIRECTORY otherwise, or pushcart-data."`
	JSON   bool   `name:"json" help:"Print what the node answers."`

	List     cardListCommand     `cmd:"" help:"List the cards."`
	Get      cardGetCommand      `cmd:"" help:"Print a card's document."`
	Put      cardPutCommand      `cmd:"" help:"Write a card."`
	Patch    cardPatchCommand    `cmd:"" help:"Change a card by a JSON merge patch, such as '{\"offers\":[{\"price\":\"9.99\",\"priceCurrency\":\"EUR\"}]}'."`
	Delete   cardDeleteCommand   `cmd:"" help:"Take a card off the list."`
	Import   cardImportCommand   `cmd:"" help:"Replace the list by a JSON array of card documents."`
	Export   cardExportCommand   `cmd:"" help:"Print the list as a JSON array of card documents."`
	Order    cardOrderCommand    `cmd:"" help:"Sort the list."`
	Show     cardShowCommand     `cmd:"" help:"Show a card."`
	Hide     cardHideCommand     `cmd:"" help:"Empty a slot, or all of them."`
	Slots    cardSlotsCommand    `cmd:"" help:"Tell what is shown and what is scheduled."`
	Timeline cardTimelineCommand `cmd:"" help:"Tell what was shown when."`
	Cancel   cardCancelCommand   `cmd:"" help:"Take a scheduled command back."`
	Watch    cardWatchCommand    `cmd:"" help:"Tell each change as it happens, until Ctrl-C."`
}

// Defaults of where the node is.
const (
	defaultURL  = "http://127.0.0.1:8080"
	defaultData = "pushcart-data"
)

// job is a card command that is carried out.
type job struct {
	surroundings
	*cardClient
	ctx context.Context
	raw bool // print what the node answers
	now func() time.Time
}

// begin finds the node, the token and the stream, and calls run with them.
func (c *cardCommand) begin(s surroundings, run func(*job) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := newCardClient(firstOf(c.URL, s.variable("PUSHCART_URL"), defaultURL))
	if err != nil {
		return err
	}
	if client.token, err = c.token(s); err != nil {
		return err
	}
	client.stream = firstOf(c.Stream, s.variable("PUSHCART_STREAM"))
	if client.stream == "" {
		if client.stream, err = client.onlyStream(ctx); err != nil {
			return err
		}
	}
	return run(&job{surroundings: s, cardClient: client, ctx: ctx, raw: c.JSON, now: time.Now})
}

// firstOf returns the first text that is not empty.
func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// token finds the operator's token.
func (c *cardCommand) token(s surroundings) (string, error) {
	if t := firstOf(c.Token, s.variable("PUSHCART_TOKEN")); t != "" {
		return t, nil
	}
	file := filepath.Join(firstOf(c.Data, s.variable("PUSHCART_DATA_DIRECTORY"), defaultData), "operator.token")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("no operator token: %w (say --token, or --data with the node's data folder, or set PUSHCART_TOKEN)", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// get asks for something and takes the answer's JSON into v. With --json it prints the answer, and done is true.
func (j *job) get(path string, v any) (done bool, err error) {
	a, err := j.ask(j.ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return false, err
	}
	return j.taken(a, v)
}

// change asks for a change and takes what became of it.
func (j *job) change(method, path string, body []byte, header http.Header) (r overlay.Result, done bool, err error) {
	a, err := j.ask(j.ctx, method, path, body, header)
	if err != nil {
		return r, false, err
	}
	done, err = j.taken(a, &r)
	return r, done, err
}

func (j *job) taken(a []byte, v any) (done bool, err error) {
	if j.raw {
		_, err := j.stdout.Write(a)
		return true, err
	}
	if err := json.Unmarshal(a, v); err != nil {
		return false, fmt.Errorf("the answer of the node at %s cannot be read: %w", j.base, err)
	}
	return false, nil
}

// say prints a line.
func (j *job) say(format string, args ...any) error {
	_, err := fmt.Fprintf(j.stdout, format+"\n", args...)
	return err
}

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
	At string `placeholder:"TIME" help:"When: a time such as 2026-03-01T20:15:00Z, or +30s from now. Now, without."`
}

// of returns the time as the API takes it; "" is now.
func (m moment) of(now time.Time) (string, error) {
	if m.At == "" {
		return "", nil
	}
	if after, ok := strings.CutPrefix(m.At, "+"); ok {
		if d, err := time.ParseDuration(after); err == nil && d >= 0 {
			return now.Add(d).UTC().Format(time.RFC3339Nano), nil
		}
	} else if t, err := time.Parse(time.RFC3339Nano, m.At); err == nil {
		return t.UTC().Format(time.RFC3339Nano), nil
	}
	return "", fmt.Errorf("--at: %q is neither a time such as 2026-03-01T20:15:00Z nor one from now such as +30s", m.At)
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
		body, err := json.Marshal(api.ShowRequest{Card: c.ID, At: at})
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
	Slot string `arg:"" optional:"" help:"The slot; all of them, without."`
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
		if c.Slot != "" {
			path, what = path+"/"+url.PathEscape(c.Slot), c.Slot
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

// errNoStream is what several streams, or none, come to.
var errNoStream = errors.New("say which stream is meant with --stream NAME")
