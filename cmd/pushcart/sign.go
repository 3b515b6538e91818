package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"pushcart/internal/auth/playback"
	"pushcart/internal/config"
)

// signCommand is pushcart sign: an address at which a stream that is played by signed addresses only can be watched.
type signCommand struct {
	Stream   string        `arg:"" help:"The stream that the address is for."`
	Expires  time.Duration `default:"2h" help:"How long it is good, such as 90m or 48h; 2h unless said."`
	Country  []string      `placeholder:"SE" help:"A country in which it is good; several with commas. Without, it is good everywhere."`
	Viewers  int           `placeholder:"N" help:"How many viewers may use it at once, on each node; any number unless said."`
	Playlist bool          `help:"The address of the playlist, for other players, and not that of the watch page."`
	URL      string        `name:"url" placeholder:"URL" help:"Address at which viewers reach the node, such as https://live.example.com. Without it the path alone is printed."`
	Key      string        `placeholder:"ID:SECRET" help:"Key to sign with; - reads it from standard input. Without it the configuration's first playback key signs."`
	Config   string        `short:"c" placeholder:"FILE" help:"Configuration file that has playback.keys; PUSHCART_CONFIG names it otherwise."`
}

// Run implements the command.
func (c *signCommand) Run(s surroundings) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	keys, err := c.keys(s)
	if err != nil {
		return err
	}
	if c.Expires <= 0 {
		return fmt.Errorf("--expires: %v is no time to come", c.Expires)
	}
	token := playback.Token{Stream: c.Stream, Expires: time.Now().Add(c.Expires), Viewers: c.Viewers}
	for _, country := range c.Country {
		token.Countries = append(token.Countries, strings.ToUpper(strings.TrimSpace(country)))
	}
	text, err := keys.Sign(token)
	if errors.Is(err, playback.ErrNoKeys) {
		return fmt.Errorf("%w in the configuration, or say --key ID:SECRET", err)
	}
	if err != nil {
		return err
	}
	path := "/watch/" + c.Stream
	if c.Playlist {
		path = "/live/" + c.Stream + "/index.m3u8"
	}
	_, err = fmt.Fprintln(s.stdout, base+playback.Prefix+text+path)
	return err
}

// base is what stands in front of the path.
func (c *signCommand) base() (string, error) {
	if c.URL == "" {
		return "", nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--url: %q is not an address such as https://live.example.com, without a path", c.URL)
	}
	return u.Scheme + "://" + u.Host, nil
}

// keys are those to sign with.
func (c *signCommand) keys(s surroundings) (*playback.Keys, error) {
	given := c.Key
	if given == "-" {
		line, err := bufio.NewReader(io.LimitReader(s.stdin, 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("--key -: %w", err)
		}
		given = strings.TrimSpace(line)
	}
	if c.Key != "" {
		id, secret, ok := strings.Cut(given, ":")
		if !ok {
			return nil, errors.New("--key: it has no colon: say ID:SECRET, as playback.keys has them")
		}
		keys, err := playback.NewKeys([]playback.Key{{ID: id, Secret: secret}})
		if err != nil {
			return nil, fmt.Errorf("--key: %s", strings.ReplaceAll(err.Error(), "playback.keys[1].", ""))
		}
		return keys, nil
	}
	cfg, err := config.Load(c.Config, s.env)
	if err != nil {
		return nil, err
	}
	var all []playback.Key
	for _, k := range cfg.Playback.Keys {
		all = append(all, playback.Key{ID: k.ID, Secret: string(k.Secret)})
	}
	return playback.NewKeys(all)
}
