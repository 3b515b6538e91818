package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"pushcart/internal/top"
)

const (
	// topEvery is how often the node is asked, and topWithin how long it may take.
	topEvery  = time.Second
	topWithin = 3 * time.Second
)

// topCommand is pushcart top.
type topCommand struct {
	URL    string `name:"url" placeholder:"URL" help:"Address of the node; PUSHCART_URL otherwise, or http://127.0.0.1:8080."`
	Token  string `placeholder:"TOKEN" help:"An operator's token, to see streams that are not for everybody; PUSHCART_TOKEN otherwise, or what the node on this host keeps."`
	Data   string `placeholder:"FOLDER" help:"Data folder of the node, for its operator.token; PUSHCART_DATA_DIRECTORY otherwise, or pushcart-data."`
	Admin  string `placeholder:"HOST:PORT" help:"Admin address of the node; the configuration's admin.address otherwise."`
	Config string `short:"c" placeholder:"FILE" help:"Configuration file, for admin.address; PUSHCART_CONFIG names it otherwise."`
	Once   bool   `help:"Print one table and end; so it is where the output is no terminal."`
	Sort   string `enum:"name,viewers,bitrate,uptime,lag,drops" default:"name" help:"Order of the streams: ${enum}."`
	Filter string `placeholder:"TEXT" help:"Show streams only that have it in their name, state, protocol or agent."`
	Advice bool   `help:"Show all advice, a line each."`
	ASCII  bool   `name:"ascii" help:"Write ASCII only; so it is where the locale has no UTF-8."`
}

// Run implements the command.
func (c *topCommand) Run(s surroundings) error {
	ask, err := c.asker(s)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	v := c.view()
	out, ok := s.stdout.(*os.File)
	if c.Once || !ok || !isTerminal(out) {
		return c.once(ctx, s, ask, v)
	}
	t, err := openTerminal(out)
	if err != nil {
		return fmt.Errorf("use the terminal: %w (say --once for a table)", err)
	}
	defer t.close()
	return topLive(ctx, s, ask, v, t, c.screen(s))
}

// view is what the flags ask to see.
func (c *topCommand) view() *top.View {
	sorts := map[string]int{"name": top.ByName, "viewers": top.ByViewers, "bitrate": top.ByBitrate, "uptime": top.ByUptime, "lag": top.ByLag, "drops": top.ByDrops}
	return &top.View{Sort: sorts[c.Sort], Filter: top.Clean(c.Filter), Advice: c.Advice}
}

// screen is what the terminal can write.
func (c *topCommand) screen(s surroundings) top.Screen {
	locale := firstOf(s.variable("LC_ALL"), s.variable("LC_CTYPE"), s.variable("LANG"))
	locale = strings.ReplaceAll(strings.ToUpper(locale), "-", "")
	return top.Screen{ASCII: c.ASCII || !strings.Contains(locale, "UTF8")}
}

// colours tells whether the operator wants them (no-color.org).
func colours(s surroundings) bool {
	return s.variable("NO_COLOR") == "" && s.variable("TERM") != "dumb"
}

// asker asks a node.
type asker struct {
	node  *nodeClient
	admin string // URL
	http  *http.Client
}

func (c *topCommand) asker(s surroundings) (*asker, error) {
	flags := nodeFlags{URL: c.URL, Token: c.Token, Data: c.Data}
	node, err := newNodeClient(flags.address(s))
	if err != nil {
		return nil, err
	}
	node.token, _ = flags.token(s) // without, there is less to see
	admin, err := (&healthCommand{Address: c.Admin, Config: c.Config}).target(s.env)
	if err != nil && c.Admin != "" {
		return nil, fmt.Errorf("--admin: %w", err)
	}
	a := &asker{node: node, http: &http.Client{Transport: &http.Transport{}}} // and no proxy: the admin port is near
	if err == nil {
		a.admin = "http://" + admin
	}
	return a, nil
}

// get gets a page; its error is short and without the address. The token is for the node's API, "" for none.
func (a *asker) get(ctx context.Context, client *http.Client, address, token string) ([]byte, int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err
		}
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		if ctx.Err() != nil {
			err = errors.New("it does not answer in time")
		}
		return nil, 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return body, answer.StatusCode, err
}

// sample asks the node for all. The error says that it does not answer; without its admin port there is less to see.
func (a *asker) sample(ctx context.Context) (*top.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, topWithin)
	defer cancel()
	streams, err := a.streams(ctx)
	if err != nil {
		return nil, err
	}
	s := &top.Sample{Streams: streams}
	a.askAdmin(ctx, s)
	s.At = time.Now()
	return s, nil
}

func (a *asker) streams(ctx context.Context) ([]top.Stream, error) {
	body, status, err := a.get(ctx, a.node.http, a.node.base+"/api/v1/streams", a.node.token)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return nil, errors.New("the node does not know the operator's token: say --token, or --data with the node's data folder")
	case status != http.StatusOK:
		return nil, fmt.Errorf("%s answers %d: is it a Pushcart node?", a.node.base, status)
	}
	return top.ParseStreams(body)
}

// askAdmin fills in what the admin port knows.
func (a *asker) askAdmin(ctx context.Context, s *top.Sample) {
	if a.admin == "" {
		s.AdminErr = "admin.address is off"
		return
	}
	where := strings.TrimPrefix(a.admin, "http://")
	body, status, err := a.get(ctx, a.http, a.admin+"/metrics", "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("it answers %d", status)
	}
	if err == nil {
		s.Metrics, err = top.ParseMetrics(strings.NewReader(string(body)))
	}
	if err != nil {
		s.AdminErr = fmt.Sprintf("the admin port %s: %v (see --admin)", where, err)
		return
	}
	if body, status, err = a.get(ctx, a.http, a.admin+"/cluster.json", ""); err == nil && status == http.StatusOK {
		s.Cluster, _ = top.ParseCluster(body) // a node by itself has none
	}
}

// once prints a table. It asks twice, because rates are differences.
func (c *topCommand) once(ctx context.Context, s surroundings, ask *asker, v *top.View) error {
	before, err := ask.sample(ctx)
	if err != nil {
		return fmt.Errorf("ask the node at %s: %w", ask.node.base, err)
	}
	wait := time.NewTimer(topEvery)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return errors.New("interrupted")
	}
	now, err := ask.sample(ctx)
	if err != nil {
		return fmt.Errorf("ask the node at %s: %w", ask.node.base, err)
	}
	screen := c.screen(s)
	screen.Columns = onceColumns
	_, err = io.WriteString(s.stdout, top.Text(top.Render(top.NewFrame(before, now), v, screen), false))
	return err
}

// onceColumns is how wide a table is that goes to a file.
const onceColumns = 200
