package main

import (
	"fmt"

	"pushcart/internal/config"
)

// checkCommand is pushcart check.
type checkCommand struct {
	File string `arg:"" optional:"" help:"Configuration file; PUSHCART_CONFIG names it otherwise. The PUSHCART_ variables are checked as well."`
}

// Run implements the command.
func (c *checkCommand) Run(s surroundings) error {
	cfg, err := config.Load(c.File, s.env)
	if err != nil {
		return err
	}
	name := config.File(c.File, s.env)
	if name == "" {
		name = "environment"
	}
	fmt.Fprintf(s.stdout, "%s: ok (settings that differ from the defaults: %d)\n", name, len(config.Diff(config.Default(), cfg)))
	return nil
}
