package timed

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStateRules(t *testing.T) {
	t.Parallel()
	good := Slot{Name: "main", Card: "lamp", Rev: 1, Since: time.UnixMilli(1)}
	slot := func(f func(*Slot)) State {
		s := good
		f(&s)
		return State{Stream: "a", Epoch: 1, Slots: []Slot{s}}
	}
	for name, c := range map[string]struct {
		s    State
		want string
	}{
		"no stream":        {State{Epoch: 1}, "stream's name"},
		"stream":           {State{Stream: "a/b", Epoch: 1}, "stream's name"},
		"long stream":      {State{Stream: strings.Repeat("a", 65), Epoch: 1}, "stream's name"},
		"stream with line": {State{Stream: "a\n", Epoch: 1}, "stream's name"},
		"no epoch":         {State{Stream: "a"}, "epoch"},
		"large epoch":      {State{Stream: "a", Epoch: maxNumber + 1}, "epoch"},
		"negative seq":     {State{Stream: "a", Epoch: 1, Seq: -1}, "sequence"},
		"large seq":        {State{Stream: "a", Epoch: 1, Seq: maxNumber + 1}, "sequence"},
		"no slot name":     {slot(func(s *Slot) { s.Name = "" }), "slot's name"},
		"slot name":        {slot(func(s *Slot) { s.Name = "Main" }), "slot's name"},
		"long slot name":   {slot(func(s *Slot) { s.Name = strings.Repeat("a", 17) }), "slot's name"},
		"card":             {slot(func(s *Slot) { s.Card = `la"mp` }), "the card"},
		"long card":        {slot(func(s *Slot) { s.Card = strings.Repeat("a", 41) }), "the card"},
		"no revision":      {slot(func(s *Slot) { s.Rev = 0 }), "revision"},
		"large revision":   {slot(func(s *Slot) { s.Rev = maxNumber + 1 }), "revision"},
		"no since":         {slot(func(s *Slot) { s.Since = time.Time{} }), "the time"},
		"far since":        {slot(func(s *Slot) { s.Since = time.UnixMilli(maxNumber + 1) }), "the time"},
		"unsorted":         {State{Stream: "a", Epoch: 1, Slots: []Slot{good, {"a", "lamp", 1, good.Since}}}, "sort"},
		"twice":            {State{Stream: "a", Epoch: 1, Slots: []Slot{good, good}}, "sort"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if token, err := rfcKey(t).Sign(c.s); err == nil || token != "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v; want an error with %q", token, err, c.want)
			}
		})
	}
}

// TestSinceIsCutToMilliseconds: what is finer does not change the token.
func TestSinceIsCutToMilliseconds(t *testing.T) {
	t.Parallel()
	at := func(since time.Time) []byte {
		return appendState(nil, &State{Stream: "a", Epoch: 1, Slots: []Slot{{"main", "lamp", 1, since}}})
	}
	if a, b := at(time.UnixMilli(5)), at(time.UnixMilli(5).Add(999*time.Microsecond)); !slices.Equal(a, b) {
		t.Errorf("%s and %s differ", a, b)
	}
}

// hostileStates are payloads that are to be refused, and what the error says.
func hostileStates() map[string]struct{ payload, want string } {
	const one = `{"v":1,"stream":"a","epoch":1,"seq":1,"slots":{"main":{"card":"lamp","rev":3,"since":5}}}`
	in := func(old, by string) string {
		if !strings.Contains(one, old) {
			panic(old + " is not in the example")
		}
		return strings.Replace(one, old, by, 1)
	}
	return map[string]struct{ payload, want string }{
		"nothing":             {"", "not JSON"},
		"a number":            {"1", "not a JSON object"},
		"an array":            {"[]", "not a JSON object"},
		"cut off":             {one[:40], "not JSON"},
		"trailing bytes":      {one + "x", "follows"},
		"second object":       {one + "{}", "follows"},
		"trailing line":       {one + "\n", "canonical"},
		"leading space":       {" " + one, "canonical"},
		"byte order mark":     {"\xef\xbb\xbf" + one, "not JSON"},
		"space within":        {in(`"v":1,`, `"v":1, `), "canonical"},
		"not UTF-8":           {in(`"lamp"`, "\"l\xffmp\""), "not UTF-8"},
		"another version":     {`{"v":2,"more":[1]}`, "version is 2"},
		"no version":          {in(`"v":1,`, ``), "no version"},
		"version in words":    {in(`"v":1,`, `"v":"1",`), "fields"},
		"version as fraction": {in(`"v":1,`, `"v":1.0,`), "version is 1.0"},
		"version null":        {in(`"v":1,`, `"v":null,`), "no version"},
		"capital key":         {in(`"v"`, `"V"`), "canonical"},
		"unknown key":         {in(`"seq":1`, `"seq":1,"x":1`), "unknown field"},
		"unknown slot key":    {in(`"rev":3`, `"rev":3,"x":1`), "unknown field"},
		"another order":       {in(`"epoch":1,"seq":1`, `"seq":1,"epoch":1`), "canonical"},
		"key twice":           {in(`"seq":1`, `"seq":1,"seq":2`), "twice"},
		"key twice, escaped":  {in(`"seq":1`, `"seq":1,"\u0073eq":2`), "twice"},
		"slot twice":          {in(`"slots":{`, `"slots":{"main":{"card":"x","rev":1,"since":5},`), "twice"},
		"card twice":          {in(`"card":"lamp"`, `"card":"lamp","card":"x"`), "twice"},
		"escaped text":        {in(`"lamp"`, `"l\u0061mp"`), "canonical"},
		"negative number":     {in(`"epoch":1`, `"epoch":-1`), "epoch"},
		"minus zero":          {in(`"seq":1`, `"seq":-0`), "canonical"},
		"fraction":            {in(`"seq":1`, `"seq":1.5`), "fields"},
		"exponent":            {in(`"seq":1`, `"seq":1e2`), "fields"},
		"huge exponent":       {in(`"rev":3`, `"rev":1e999999`), "fields"},
		"huge number":         {in(`"rev":3`, `"rev":99999999999999999999999999`), "fields"},
		"over 2^53":           {in(`"rev":3`, `"rev":9007199254740992`), "revision"},
		"leading zero":        {in(`"seq":1`, `"seq":01`), "not JSON"},
		"text as number":      {in(`"rev":3`, `"rev":"3"`), "fields"},
		"null number":         {in(`"rev":3`, `"rev":null`), "revision"},
		"null slots":          {`{"v":1,"stream":"a","epoch":1,"seq":1,"slots":null}`, "canonical"},
		"no slots":            {`{"v":1,"stream":"a","epoch":1,"seq":1}`, "canonical"},
		"slots as array":      {`{"v":1,"stream":"a","epoch":1,"seq":1,"slots":[]}`, "fields"},
		"null slot":           {`{"v":1,"stream":"a","epoch":1,"seq":1,"slots":{"main":null}}`, "the card"},
		"unsorted slots": {`{"v":1,"stream":"a","epoch":1,"seq":1,"slots":{"b":{"card":"x","rev":1,"since":5},"a":{"card":"x","rev":1,"since":5}}}`,
			"canonical"},
		"deep objects": {strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200), "deeper"},
		"deep arrays":  {`{"a":` + strings.Repeat("[", 400) + strings.Repeat("]", 400) + `}`, "deeper"},
		"markup":       {in(`"lamp"`, `"<b>"`), "the card"},
	}
}

func TestHostileStates(t *testing.T) {
	t.Parallel()
	for name, c := range hostileStates() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if s, err := parseState([]byte(c.payload)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v, %v; want an error with %q", s, err, c.want)
			}
		})
	}
}

// FuzzState: what is accepted is byte for byte what would be written.
func FuzzState(f *testing.F) {
	for _, s := range states() {
		f.Add(appendState(nil, &s))
	}
	for _, c := range hostileStates() {
		f.Add([]byte(c.payload))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseState(data)
		if err != nil {
			return
		}
		if err := s.validate(); err != nil {
			t.Errorf("%s is accepted although %v", data, err)
		}
		if again := appendState(nil, &s); !slices.Equal(again, data) {
			t.Errorf("%q is accepted, it should read %q", data, again)
		}
	})
}
