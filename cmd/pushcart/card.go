package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pushcart/overlay"
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

// onThisHost tells whether a node's address is a loopback one.
func onThisHost(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

// token finds the operator's token.
func (c *cardCommand) token(s surroundings) (string, error) {
	if t := firstOf(c.Token, s.variable("PUSHCART_TOKEN")); t != "" {
		return t, nil
	}
	folder := firstOf(c.Data, s.variable("PUSHCART_DATA_DIRECTORY"))
	if node := firstOf(c.URL, s.variable("PUSHCART_URL"), defaultURL); folder == "" && !onThisHost(node) {
		return "", fmt.Errorf("no operator token for %s: say --token, or set PUSHCART_TOKEN (the one that the node on this host keeps is not sent to others)", node)
	}
	file := filepath.Join(firstOf(folder, defaultData), "operator.token")
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

// errNoStream is what several streams, or none, come to.
var errNoStream = errors.New("say which stream is meant with --stream NAME")
