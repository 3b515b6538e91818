package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"pushcart/internal/config"
	"pushcart/internal/node"
	"pushcart/overlay/api"
)

// byHand tells how a command that is pasted gets its input and where its output goes.
const byHand = "Each command reads the source as NUT from standard input, tells its progress on descriptor 3 and writes NUT to the descriptors " +
	"from 4 on. By hand: < source.nut 3> progress 4> first.nut"

// plan plans a stream's ladder by a configuration file, with no node there.
func (c *ladderCommand) plan(s surroundings) error {
	cfg, err := config.Load(c.Config, s.env)
	if err != nil {
		return err
	}
	program, commands, notes, err := node.LadderCommand(cfg, c.Name, c.Source)
	if err != nil {
		return err
	}
	plan := api.LadderCommand{Program: program, Commands: commands, Notes: notes}
	if !c.JSON {
		return sayPlan(s, &plan)
	}
	// As the node answers: lists that have nothing are empty.
	if plan.Commands == nil {
		plan.Commands = [][]string{}
	}
	if plan.Notes == nil {
		plan.Notes = []string{}
	}
	e := json.NewEncoder(s.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(&plan)
}

// sayPlan prints the commands on standard output, so that they can be taken by other programs, and all else beside it.
func sayPlan(s surroundings, plan *api.LadderCommand) error {
	for _, note := range plan.Notes {
		fmt.Fprintln(s.stderr, printable(note))
	}
	if len(plan.Commands) == 0 {
		fmt.Fprintln(s.stderr, "Nothing has to be run for this stream.")
		return nil
	}
	fmt.Fprintln(s.stderr, byHand)
	for _, args := range plan.Commands {
		if _, err := fmt.Fprintln(s.stdout, shellLine(plan.Program, args)); err != nil {
			return err
		}
	}
	return nil
}

// shellLine is a command as a shell reads it (POSIX.1-2017, Shell Command Language, 2.2).
func shellLine(program string, args []string) string {
	words := []string{shellWord(program)}
	for _, a := range args {
		words = append(words, shellWord(a))
	}
	return strings.Join(words, " ")
}

// shellWord is a word as a shell reads it: in single quotes unless it has nothing but characters that mean themselves. "=" is
// one of them only behind the program's name, and "~" and "#" only within a word, so they are quoted everywhere.
func shellWord(word string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-+:,./@%", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
