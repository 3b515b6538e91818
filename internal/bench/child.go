package main

import (
	"context"
	"encoding/json"
	"os"

	"pushcart/internal/load"
)

// start runs a program. Lines are taken from its standard output.
func start(ctx context.Context, env []string, program string, args ...string) (*load.Process, error) {
	return load.Start(ctx, load.StartOptions{Program: program, Args: args, Env: env, Other: os.Stderr})
}

// self starts one of this program's own modes, and reads the JSON that it prints when it is ready into ready, unless nil.
func self(ctx context.Context, ready any, mode string, args ...string) (*load.Process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := start(ctx, nil, program, append([]string{mode}, args...)...)
	if err != nil || ready == nil {
		return c, err
	}
	if err := c.Read(ctx, load.StartTimeout, ready); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// say prints a line of JSON for the parent.
func say(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }
