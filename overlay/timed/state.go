package timed

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// version is that of the payload; what knows only another version has to refuse it.
const version = 1

// maxNumber is the largest integer that JavaScript holds exactly (ECMA-262 21.1.2.6): players read the state, too.
const maxNumber = 1<<53 - 1

// State is what all slots of a stream show at one moment.
type State struct {
	// Stream is the stream's name: a letter or digit, then up to 63 letters, digits, "_" or "-".
	Stream string
	// Epoch and Seq order the states of a stream: a larger Epoch comes later, within one a larger Seq. Epoch is at least 1,
	// Seq at least 0, neither is over 2^53-1.
	Epoch, Seq int64
	// Slots are those that show something, sorted by name, each name once. None means that nothing is shown.
	Slots []Slot
}

// Slot is one place on the screen and what it shows.
type Slot struct {
	// Name is a small letter, then up to 15 small letters, digits or "-".
	Name string
	// Card is the card's identifier: a small letter or digit, then up to 39 of these, "_" or "-".
	Card string
	// Rev is the card's revision, from 1 to 2^53-1.
	Rev int64
	// Since is when this revision began to be shown there, to the millisecond; what is finer is cut off.
	Since time.Time
}

var (
	streamForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	slotForm   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,15}$`)
	cardForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)
)

// validate tells what is wrong with a state, in a sentence. The forms of the names permit nothing that JSON would escape,
// which appendState relies on.
func (s *State) validate() error {
	switch {
	case !streamForm.MatchString(s.Stream):
		return fmt.Errorf("the stream's name %.80q is none: give a letter or digit, then up to 63 letters, digits, \"_\" or \"-\"", s.Stream)
	case s.Epoch < 1 || s.Epoch > maxNumber:
		return fmt.Errorf("the epoch %d is not from 1 to 2^53-1", s.Epoch)
	case s.Seq < 0 || s.Seq > maxNumber:
		return fmt.Errorf("the sequence %d is not from 0 to 2^53-1", s.Seq)
	}
	for i, slot := range s.Slots {
		since := slot.Since.UnixMilli()
		switch {
		case !slotForm.MatchString(slot.Name):
			return fmt.Errorf("the slot's name %.80q is none: give a small letter, then up to 15 small letters, digits or \"-\"", slot.Name)
		case i > 0 && s.Slots[i-1].Name >= slot.Name:
			return fmt.Errorf("slot %q comes after %q: sort the slots by name and name each once", slot.Name, s.Slots[i-1].Name)
		case !cardForm.MatchString(slot.Card):
			return fmt.Errorf("slot %q: the card %.80q is none: give a small letter or digit, then up to 39 of these, \"_\" or \"-\"", slot.Name, slot.Card)
		case slot.Rev < 1 || slot.Rev > maxNumber:
			return fmt.Errorf("slot %q: the revision %d is not from 1 to 2^53-1", slot.Name, slot.Rev)
		case since < 0 || since > maxNumber:
			return fmt.Errorf("slot %q: the time %d ms is not from 1970 on and within 2^53-1 ms", slot.Name, since)
		}
	}
	return nil
}

// appendState appends the payload of a valid state:
//
//	{"v":1,"stream":"show","epoch":1,"seq":0,"slots":{"main":{"card":"lamp","rev":3,"since":1763731234567}}}
func appendState(b []byte, s *State) []byte {
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, version, 10)
	b = append(append(b, `,"stream":"`...), s.Stream...)
	b = strconv.AppendInt(append(b, `","epoch":`...), s.Epoch, 10)
	b = strconv.AppendInt(append(b, `,"seq":`...), s.Seq, 10)
	b = append(b, `,"slots":{`...)
	for i, slot := range s.Slots {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), slot.Name...), `":{"card":"`...)
		b = strconv.AppendInt(append(append(b, slot.Card...), `","rev":`...), slot.Rev, 10)
		b = append(strconv.AppendInt(append(b, `,"since":`...), slot.Since.UnixMilli(), 10), '}')
	}
	return append(b, '}', '}')
}

// parseState reads a payload. It accepts nothing that appendState would not have written.
func parseState(data []byte) (State, error) {
	if err := checkJSON(data, stateDepth); err != nil {
		return State{}, err
	}
	// The version first: what a later one has to say may have any form.
	var head struct {
		V json.Number `json:"v"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.V == "" {
		return State{}, errors.New("it has no version: an object with \"v\" is needed")
	}
	if head.V != "1" {
		return State{}, fmt.Errorf("its version is %.20s, this program knows version %d: a newer node has signed it", head.V, version)
	}
	var doc struct {
		V      int                `json:"v"`
		Stream string             `json:"stream"`
		Epoch  int64              `json:"epoch"`
		Seq    int64              `json:"seq"`
		Slots  map[string]slotDoc `json:"slots"`
	}
	if err := unmarshalKnown(data, &doc); err != nil {
		return State{}, err
	}
	s := State{Stream: doc.Stream, Epoch: doc.Epoch, Seq: doc.Seq, Slots: make([]Slot, 0, len(doc.Slots))}
	for name, slot := range doc.Slots {
		s.Slots = append(s.Slots, Slot{Name: name, Card: slot.Card, Rev: slot.Rev, Since: time.UnixMilli(slot.Since).UTC()})
	}
	slices.SortFunc(s.Slots, func(a, b Slot) int { return strings.Compare(a.Name, b.Name) })
	if err := s.validate(); err != nil {
		return State{}, err
	}
	if err := canonical(data, appendState(nil, &s)); err != nil {
		return State{}, err
	}
	return s, nil
}

type slotDoc struct {
	Card  string `json:"card"`
	Rev   int64  `json:"rev"`
	Since int64  `json:"since"`
}
