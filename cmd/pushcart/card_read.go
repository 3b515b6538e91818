package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"pushcart/overlay"
	"pushcart/overlay/api"
)

type cardListCommand struct{}

// Run implements the command.
func (cardListCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		var list api.CardList
		if done, err := j.get("/cards", &list); err != nil || done {
			return err
		}
		var slots api.Slots
		if _, err := j.get("/slots", &slots); err != nil {
			return err
		}
		shown := map[string][]string{}
		for _, s := range slots.Slots {
			shown[s.Card] = append(shown[s.Card], s.Slot)
		}
		rows := [][]string{{"CARD", "REV", "NAME", "PRICE", "SHOWN IN"}}
		for _, v := range list.Cards {
			name, price := summary(v.Card)
			rows = append(rows, []string{v.ID, fmt.Sprint(v.Rev), name, price, strings.Join(shown[v.ID], ", ")})
		}
		return table(j.stdout, rows)
	})
}

// summary tells a card's name and its first price.
func summary(doc json.RawMessage) (name, price string) {
	var c struct {
		Name   json.RawMessage `json:"name"`
		Offers []struct {
			Price    string `json:"price"`
			Currency string `json:"priceCurrency"`
		} `json:"offers"`
	}
	// What is missing is left out of the table.
	_ = json.Unmarshal(doc, &c)
	if json.Unmarshal(c.Name, &name) != nil {
		var texts map[string]string
		_ = json.Unmarshal(c.Name, &texts)
		languages := slices.Sorted(maps.Keys(texts))
		if len(languages) > 0 {
			name = firstOf(texts["en"], texts[languages[0]])
		}
	}
	if len(c.Offers) > 0 {
		price = c.Offers[0].Price + " " + c.Offers[0].Currency
	}
	return name, price
}

// table prints rows in columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	return t.Flush()
}

type cardGetCommand struct {
	ID string `arg:"" help:"The card."`
}

// Run implements the command.
func (c *cardGetCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		var v overlay.CardView
		if done, err := j.get("/cards/"+url.PathEscape(c.ID), &v); err != nil || done {
			return err
		}
		return j.sayJSON(v.Card)
	})
}

// sayJSON prints a document so that people can read it.
func (j *job) sayJSON(doc []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, doc, "", "  "); err != nil {
		return err
	}
	return j.say("%s", &b)
}

type cardExportCommand struct{}

// Run implements the command.
func (cardExportCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		var list api.CardList
		if done, err := j.get("/cards", &list); err != nil || done {
			return err
		}
		docs := make([][]byte, len(list.Cards))
		for i, v := range list.Cards {
			docs[i] = v.Card
		}
		return j.sayJSON(fmt.Appendf(nil, "[%s]", bytes.Join(docs, []byte(","))))
	})
}

// clock writes a time for people, in their time zone.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

type cardSlotsCommand struct{}

// Run implements the command.
func (cardSlotsCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		var v api.Slots
		if done, err := j.get("/slots", &v); err != nil || done {
			return err
		}
		rows := [][]string{{"SLOT", "CARD", "REV", "SINCE"}}
		for _, s := range v.Slots {
			rows = append(rows, []string{s.Slot, s.Card, fmt.Sprint(s.Rev), clock(s.Since)})
		}
		if err := table(j.stdout, rows); err != nil || len(v.Scheduled) == 0 {
			return err
		}
		rows = [][]string{{"SCHEDULED", "WHAT", "AT"}}
		for _, p := range v.Scheduled {
			rows = append(rows, []string{p.ID, planned(p), clock(p.At)})
		}
		return table(j.stdout, rows)
	})
}

// planned says what a scheduled command will do.
func planned(p overlay.ScheduledView) string {
	switch {
	case p.Op == overlay.OpShow:
		return "show " + p.Card + " in " + p.Slot
	case p.Slot == "":
		return "hide all"
	}
	return "hide " + p.Slot
}

type cardTimelineCommand struct{}

// Run implements the command.
func (cardTimelineCommand) Run(s surroundings, card *cardCommand) error {
	return card.begin(s, func(j *job) error {
		var v api.Timeline
		if done, err := j.get("/timeline", &v); err != nil || done {
			return err
		}
		rows := [][]string{{"FROM", "TO", "SLOT", "CARD", "REV", "BY"}}
		for _, l := range v.Timeline {
			to := "now"
			if l.To != nil {
				to = clock(*l.To)
			}
			rows = append(rows, []string{clock(l.From), to, l.Slot, l.Card, fmt.Sprint(l.Rev), l.Source})
		}
		return table(j.stdout, rows)
	})
}
