package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"pushcart/internal/config"
)

// healthTimeout is how long a node may take to say that it is well.
const healthTimeout = 3 * time.Second

// healthCommand is pushcart health.
type healthCommand struct {
	Address string `placeholder:"HOST:PORT" help:"Admin address of the node; the configuration's admin.address otherwise."`
	Config  string `short:"c" placeholder:"FILE" help:"Configuration file; PUSHCART_CONFIG names it otherwise."`
}

// Run implements the command.
func (c *healthCommand) Run(s surroundings) error {
	address, err := c.target(s.env)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	answer, err := ask(ctx, "http://"+address+"/healthz")
	if err != nil {
		return fmt.Errorf("health of the node at %s: %w", address, err)
	}
	fmt.Fprintln(s.stdout, answer)
	return nil
}

// target finds the address to ask. A file that has become unusable says nothing about the node, which goes on with the
// settings it has: then it is asked at the default address.
func (c *healthCommand) target(env []string) (string, error) {
	address := c.Address
	if address == "" {
		cfg, err := config.Load(c.Config, env)
		if err != nil {
			cfg = config.Default()
		}
		if address = string(cfg.Admin.Address); address == "" {
			return "", errors.New("admin.address is off, so the node cannot be asked")
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("--address: %w (write HOST:PORT)", err)
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

// ask gets a page of the node and returns its first line.
func ask(ctx context.Context, url string) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy: the node is near
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(body), "\n")
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answers %s: %s", response.Status, line)
	}
	return line, nil
}
