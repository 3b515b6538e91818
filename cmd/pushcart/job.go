package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// nodeFlags say where the node is and who asks it.
type nodeFlags struct {
	URL   string `name:"url" placeholder:"URL" help:"Address of the node; PUSHCART_URL otherwise, or http://127.0.0.1:8080."`
	Token string `placeholder:"TOKEN" help:"The operator's token; PUSHCART_TOKEN otherwise, or what the node on this host keeps."`
	Data  string `placeholder:"FOLDER" help:"Data folder of the node, for its operator.token; PUSHCART_DATA_DIRECTORY otherwise, or pushcart-data."`
	JSON  bool   `name:"json" help:"Print what the node answers."`
}

// Defaults of where the node is.
const (
	defaultURL  = "http://127.0.0.1:8080"
	defaultData = "pushcart-data"
)

// job is a command to a node that is carried out.
type job struct {
	surroundings
	*nodeClient
	ctx context.Context
	raw bool // print what the node answers
	now func() time.Time
}

// begin finds the node and the token, and calls run with them.
func (f *nodeFlags) begin(s surroundings, run func(*job) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := newNodeClient(f.address(s))
	if err != nil {
		return err
	}
	if client.token, err = f.token(s); err != nil {
		return err
	}
	return run(&job{surroundings: s, nodeClient: client, ctx: ctx, raw: f.JSON, now: time.Now})
}

// address is where the node is.
func (f *nodeFlags) address(s surroundings) string {
	return firstOf(f.URL, s.variable("PUSHCART_URL"), defaultURL)
}

// token finds the operator's token.
func (f *nodeFlags) token(s surroundings) (string, error) {
	if t := firstOf(f.Token, s.variable("PUSHCART_TOKEN")); t != "" {
		return t, nil
	}
	folder := firstOf(f.Data, s.variable("PUSHCART_DATA_DIRECTORY"))
	if node := f.address(s); folder == "" && !onThisHost(node) {
		return "", fmt.Errorf("no operator token for %s: say --token, or set PUSHCART_TOKEN (the one that the node on this host keeps is not sent to others)", node)
	}
	file := filepath.Join(firstOf(folder, defaultData), "operator.token")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("no operator token: %w (say --token, or --data with the node's data folder, or set PUSHCART_TOKEN)", err)
	}
	return strings.TrimSpace(string(text)), nil
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

// taken takes an answer's JSON into v. With --json it prints the answer, and done is true.
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
