package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"pushcart/overlay/api"
)

// sourceCommand is pushcart source: the cameras and encoders that the node fetches streams from, from a shell.
type sourceCommand struct {
	nodeFlags

	List   sourceListCommand   `cmd:"" help:"List the sources and how they do."`
	Add    sourceAddCommand    `cmd:"" help:"Fetch a stream from a camera or an encoder, or change from where."`
	Remove sourceRemoveCommand `cmd:"" help:"Fetch a stream no more."`
}

// sourceURL is the address of a stream's source; "" is that of all.
func (j *job) sourceURL(stream string) string {
	if stream == "" {
		return j.base + "/api/v1/sources"
	}
	return j.base + "/api/v1/sources/" + url.PathEscape(stream)
}

type sourceListCommand struct{}

// Run implements the command.
func (sourceListCommand) Run(s surroundings, source *sourceCommand) error {
	return source.begin(s, func(j *job) error {
		answer, err := j.send(j.ctx, http.MethodGet, j.sourceURL(""), nil, nil)
		if err != nil {
			return err
		}
		var list api.SourceList
		if done, err := j.taken(answer, &list); err != nil || done {
			return err
		}
		rows := [][]string{{"STREAM", "FETCHED", "STATE", "SINCE", "FROM", "LAST ERROR"}}
		for _, s := range list.Sources {
			rows = append(rows, []string{s.Stream, fetched(s.OnDemand), s.State, clock(s.Since), s.URL, lastError(s)})
		}
		return table(j.stdout, rows)
	})
}

func fetched(onDemand bool) string {
	if onDemand {
		return "on demand"
	}
	return "always"
}

// lastError tells why a source failed and when it is tried again.
func lastError(s api.Source) string {
	if s.NextTry == nil {
		return s.Error
	}
	return fmt.Sprintf("%s (next try at %s)", s.Error, clock(*s.NextTry))
}

type sourceAddCommand struct {
	Name      string `arg:"" help:"The stream's name."`
	URL       string `arg:"" name:"source" help:"Where it is fetched from: rtsp://, rtsps:// or srt://, with its user and password or passphrase; - for standard input, which keeps them out of the shell's history."`
	OnDemand  bool   `help:"Fetch it only while somebody watches."`
	Transport string `default:"auto" enum:"auto,udp,tcp" help:"Of RTSP's media: auto, udp or tcp."`
	Redirects bool   `help:"Let the source send the node to another host."`
}

// Run implements the command.
func (c *sourceAddCommand) Run(s surroundings, source *sourceCommand) error {
	from := c.URL
	if from == "-" {
		text, err := s.input("-")
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		from = strings.TrimSpace(string(text))
	}
	if from == "" {
		return errors.New("url: it is empty: give one such as rtsp://user:password@camera.example/stream")
	}
	body, err := json.Marshal(api.SourceRequest{URL: from, OnDemand: c.OnDemand, Transport: c.Transport, Redirects: c.Redirects})
	if err != nil {
		return err
	}
	return source.begin(s, func(j *job) error {
		answer, err := j.send(j.ctx, http.MethodPut, j.sourceURL(c.Name), body, typed(kindJSON))
		if err != nil {
			return err
		}
		var now api.Source
		if done, err := j.taken(answer, &now); err != nil || done {
			return err
		}
		return j.say("%s is fetched from %s (%s)", now.Stream, now.URL, fetched(now.OnDemand))
	})
}

type sourceRemoveCommand struct {
	Name string `arg:"" help:"The stream's name."`
}

// Run implements the command.
func (c *sourceRemoveCommand) Run(s surroundings, source *sourceCommand) error {
	return source.begin(s, func(j *job) error {
		if _, err := j.send(j.ctx, http.MethodDelete, j.sourceURL(c.Name), nil, nil); err != nil || j.raw {
			return err
		}
		return j.say("%s is fetched no more", c.Name)
	})
}
