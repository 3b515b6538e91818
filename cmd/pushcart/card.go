package main

import (
	"errors"
	"net/http"

	"pushcart/overlay"
)

// cardCommand is pushcart card: a show's product cards, from a shell.
type cardCommand struct {
	nodeFlags
	Stream string `short:"s" placeholder:"NAME" help:"The stream; PUSHCART_STREAM otherwise, or the one that is live."`

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

// begin finds the node, the token and the stream, and calls run with them.
func (c *cardCommand) begin(s surroundings, run func(*job) error) error {
	return c.nodeFlags.begin(s, func(j *job) (err error) {
		j.stream = firstOf(c.Stream, s.variable("PUSHCART_STREAM"))
		if j.stream == "" {
			if j.stream, err = j.onlyStream(j.ctx); err != nil {
				return err
			}
		}
		return run(j)
	})
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

// errNoStream is what several streams, or none, come to.
var errNoStream = errors.New("say which stream is meant with --stream NAME")
