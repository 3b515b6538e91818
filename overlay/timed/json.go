package timed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// How deep objects and arrays may be nested.
const (
	headerDepth = 1
	stateDepth  = 3
	jwksDepth   = 8 // members that we do not know may be anything
)

// checkJSON tells whether data is one JSON object in UTF-8 without duplicate keys (RFC 8725 2.4, RFC 8259 4) and nested no
// deeper than depth. encoding/json would let the last of duplicate keys win, other readers take the first. The caller bounds
// the length.
func checkJSON(data []byte, depth int) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()              // numbers that no float64 holds are refused later, where they matter
	var open []map[string]bool // the keys of each object that is open; nil for an array
	key := false               // whether a key is due
	for first := true; first || len(open) > 0; first = false {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("it is not JSON: %w", whole(err))
		}
		switch t := t.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				if first && t == '[' {
					return errors.New("it is not a JSON object")
				}
				if len(open) == depth {
					return fmt.Errorf("its objects are nested deeper than %d", depth)
				}
				var keys map[string]bool
				if t == '{' {
					keys = make(map[string]bool)
				}
				open = append(open, keys)
			} else {
				open = open[:len(open)-1]
			}
		case string:
			if key {
				keys := open[len(open)-1]
				if keys[t] {
					return fmt.Errorf("the key %.40q stands twice", t)
				}
				keys[t], key = true, false
				continue
			}
		}
		if first && len(open) == 0 {
			return errors.New("it is not a JSON object")
		}
		key = len(open) > 0 && open[len(open)-1] != nil
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// whole says of what ends in the middle that it does.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// unmarshalKnown reads an object and refuses keys that v does not have.
func unmarshalKnown(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("it does not have the fields it should: %w", err)
	}
	return nil
}

// canonical tells whether data is what it should be, byte for byte.
func canonical(data, want []byte) error {
	if bytes.Equal(data, want) {
		return nil
	}
	at := 0
	for at < len(data) && at < len(want) && data[at] == want[at] {
		at++
	}
	return fmt.Errorf("it is not in canonical form: from byte %d on it should read %.40q", at, want[at:])
}
