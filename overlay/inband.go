package overlay

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"pushcart/internal/stream"
)

// Commands that come with the media. A command is a JSON object:
//
//	{"pushcart": "show", "card": "lamp", "slot": "main"}      shows a card of the list; without "slot" in the slot "main"
//	{"pushcart": "hide", "slot": "main"}                      empties a slot; without "slot" all of them
//	{"pushcart": "put", "card": {"id": "lamp", ...}}          puts a card document on the list, or in the place of the one there
//	{"pushcart": "patch", "card": "lamp", "patch": {...}}     changes a card by a JSON merge patch (RFC 7396)
//
// Each may have "key", an idempotency key of 1 to 64 visible ASCII characters, with which a message that is sent again
// changes nothing. Other members are refused. A command happens at the frame that it came with. It is carried by one of:
//
//	onTextData      the object as the text {"text": "..."}
//	onCuePoint      {"name": "pushcart.show", "parameters": {"card": "lamp"}}: the name has the command, the parameters are
//	                the other members, each of them a string; documents are JSON texts
//	onPushcartCard  the object as a string of JSON, or as an AMF object of the same shape, in which null is as good as absent
//	SEI             user_data_unregistered with the UUID 9f3c1b52-6e0d-4a57-8c1e-70757368cafe and the object behind it
//	data channel    of WebRTC, with the label "cards": the object as a text message
//	timed ID3       in an MPEG transport stream: a TXXX frame with the description "pushcart" or "live.pushcart" and the
//	                object as its value
//	SCTE-35         in an MPEG transport stream: time_signal or splice_insert with a segmentation descriptor whose UPID is
//	                an MPU (0x0C) with the format identifier "PUSH" and the object behind it, or a URI (0x0F) such as
//	                pushcart:show?card=lamp&slot=main or pushcart:hide; or private_command with the identifier "PUSH" and
//	                the object behind it
//
// How the data messages of RTMP carry them stands in ingest/rtmp/data.go, for SEI in internal/codec/sei.go, for the data
// channel in ingest/whip, for ID3 and SCTE-35 in ingest/ts.
const (
	inBandOp = "pushcart" // the member that names the command
	inBandID = "card"
	// cuePrefix begins the name of a cue point that is a command.
	cuePrefix = "pushcart."
	// defaultSlot is where cards are shown when a command names no slot.
	defaultSlot = "main"
	// mostInBand is the length in bytes of the longest command: a card and what stands around it.
	mostInBand = 8 << 10
)

// inBandMembers are the members that each command may have besides its name.
var inBandMembers = map[Op][]string{
	OpShow:  {inBandID, "slot", "key"},
	OpHide:  {"slot", "key"},
	OpPut:   {inBandID, "key"},
	OpPatch: {inBandID, "patch", "key"},
}

// inBandTexts are the messages of which each is a command as JSON text, and the source that each stands for.
var inBandTexts = map[string]string{
	stream.DataSEI:     "sei",
	stream.DataChannel: "datachannel",
	stream.DataID3:     "id3",
	stream.DataSCTE35:  "scte35",
}

// inBandCommand holds a command's members as JSON.
type inBandCommand map[string]json.RawMessage

// commandOf reads the command in a message that came with the media. ours tells whether the message is meant to be one:
// captions, metadata and others' cue points are none of ours. What the fields say beyond their kind is for Do to judge, and
// the card's identifier is in the Body of a put.
func commandOf(d *stream.Data) (c Command, ours bool, refusal *Refusal) {
	m, ours, refusal := inBandOf(d)
	if !ours {
		return Command{}, false, nil
	}
	if c.Source = inBandTexts[d.Name]; c.Source == "" {
		c.Source = "rtmp"
	}
	c.Frame = &Frame{Era: d.Era, PTS: d.PTS}
	if refusal == nil {
		refusal = m.fill(&c)
	}
	if refusal == nil {
		c.Fingerprint = inBandHash(&c)
	}
	return c, true, refusal
}

// mayBeCommand tells at little cost whether a message may be a command, so that captions push no commands out of a queue.
func mayBeCommand(d *stream.Data) bool {
	if d.Name == stream.DataCard || inBandTexts[d.Name] != "" {
		return true
	}
	if len(d.Values) == 0 {
		return false
	}
	o, _ := d.Values[0].(map[string]any)
	switch d.Name {
	case stream.DataText:
		text, _ := o["text"].(string)
		return strings.Contains(text, inBandOp)
	case stream.DataCue:
		name, _ := o["name"].(string)
		return strings.HasPrefix(name, cuePrefix)
	}
	return false
}

// inBandOf finds the command in a message.
func inBandOf(d *stream.Data) (m inBandCommand, ours bool, _ *Refusal) {
	var first any
	if len(d.Values) > 0 {
		first = d.Values[0]
	}
	switch d.Name {
	case stream.DataText:
		o, _ := first.(map[string]any)
		text, _ := o["text"].(string)
		return inBandText(text)
	case stream.DataCue:
		o, _ := first.(map[string]any)
		name, _ := o["name"].(string)
		if op, ours := strings.CutPrefix(name, cuePrefix); ours {
			m, refusal := inBandCue(op, o["parameters"])
			return m, true, refusal
		}
	case stream.DataCard:
		m, refusal := inBandArguments(d.Values)
		return m, true, refusal
	case stream.DataSEI, stream.DataChannel, stream.DataID3, stream.DataSCTE35:
		text, _ := first.(string)
		m, refusal := parseInBand(text)
		return m, true, refusal
	}
	return nil, false, nil
}

// inBandText reads a text that may be anybody's. One that looks like a command and cannot be read is still ours: its sender
// wants to know.
func inBandText(text string) (inBandCommand, bool, *Refusal) {
	if !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") || !strings.Contains(text, inBandOp) {
		return nil, false, nil
	}
	m, refusal := parseInBand(text)
	if refusal != nil {
		return nil, looksOurs(text), refusal
	}
	_, ours := m[inBandOp]
	return m, ours, nil
}

// looksOurs tells whether our member's name stands somewhere in a text, with a colon behind it.
func looksOurs(text string) bool {
	for {
		_, after, found := strings.Cut(text, `"`+inBandOp+`"`)
		if !found {
			return false
		}
		if strings.HasPrefix(strings.TrimLeft(after, " \t\r\n"), ":") {
			return true
		}
		text = after
	}
}

// parseInBand reads a JSON object strictly. encoding/json alone would let members pass that come twice.
func parseInBand(text string) (inBandCommand, *Refusal) {
	if len(text) > mostInBand {
		return nil, refuse(ReasonTooLarge, "", "The command has %d bytes, and %d is the most: shorten the card.", len(text), mostInBand)
	}
	if !utf8.ValidString(text) {
		return nil, refuse(ReasonInvalid, "", "The command is not UTF-8: send its text in that encoding.")
	}
	m, err := readObject(text)
	if err != nil {
		return nil, refuse(ReasonInvalid, "", `The command cannot be read: %v. Send one JSON object, such as {"pushcart":"show","card":"lamp"}.`, err)
	}
	return m, nil
}

// readObject reads the members of the one object that is all of a text.
func readObject(text string) (inBandCommand, error) {
	in := json.NewDecoder(strings.NewReader(text))
	if t, err := in.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	m := inBandCommand{}
	for in.More() {
		t, err := in.Token()
		if err != nil {
			return nil, notJSON(err)
		}
		name, _ := t.(string)
		if m[name] != nil {
			return nil, fmt.Errorf("%q stands in it twice", clip(name))
		}
		var value json.RawMessage
		if err := in.Decode(&value); err != nil {
			return nil, notJSON(err)
		}
		m[name] = value
	}
	if _, err := in.Token(); err != nil {
		return nil, notJSON(err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return m, nil
}

// notJSON completes the sentence "the command cannot be read: ...".
func notJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it is cut off")
	}
	return fmt.Errorf("it is not JSON (%w)", err)
}

// inBandCue reads a cue point's parameters.
func inBandCue(op string, parameters any) (inBandCommand, *Refusal) {
	given, ok := parameters.(map[string]any)
	if !ok && parameters != nil {
		return nil, refuse(ReasonInvalid, "parameters", "The cue point's parameters are no object: send them by name.")
	}
	m := inBandCommand{inBandOp: jsonOf(op)}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		text, ok := given[name].(string)
		switch {
		case !ok:
			return nil, refuse(ReasonInvalid, clip(name), "The cue point's parameter is no string: send each parameter as one, documents as JSON texts.")
		case name == inBandOp:
			return nil, refuse(ReasonInvalid, name, "The cue point's name has the command: leave the parameter out.")
		case len(text) > mostInBand:
			return nil, refuse(ReasonTooLarge, clip(name), "The cue point's parameter has %d bytes, and %d is the most: shorten it.", len(text), mostInBand)
		case name == "patch", name == inBandID && op == string(OpPut):
			if _, refusal := parseInBand(text); refusal != nil {
				return nil, refuse(refusal.Reason, name, "The cue point's parameter is no document: send it as the text of one JSON object in UTF-8.")
			}
			m[name] = json.RawMessage(text)
		default:
			m[name] = jsonOf(text)
		}
	}
	return m, nil
}

// inBandArguments reads the argument of our own message.
func inBandArguments(values []any) (inBandCommand, *Refusal) {
	if len(values) != 1 {
		return nil, refuse(ReasonInvalid, "", "The message has %d arguments: send one, the command.", len(values))
	}
	switch v := values[0].(type) {
	case string:
		return parseInBand(v)
	case map[string]any:
		m, size := inBandCommand{}, 0
		for name, member := range v {
			if member == nil {
				continue
			}
			if m[name] = jsonOf(member); m[name] == nil {
				return nil, refuse(ReasonInvalid, clip(name), "There is a number in it that is none: leave it out.")
			}
			if size += len(name) + len(m[name]); size > mostInBand {
				return nil, refuse(ReasonTooLarge, "", "The command has more than %d bytes: shorten the card.", mostInBand)
			}
		}
		return m, nil
	}
	return nil, refuse(ReasonInvalid, "", "The message's argument is no command: send a JSON text, or an object of the same shape.")
}

// jsonOf writes a value as JSON; nil for one that JSON cannot tell, which is a number that is infinite or none.
func jsonOf(v any) json.RawMessage {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if out.Encode(v) != nil {
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// fill puts the members into a command.
func (m inBandCommand) fill(c *Command) (refusal *Refusal) {
	var op string
	if op, refusal = m.text(inBandOp); refusal != nil {
		return refusal
	}
	members, known := inBandMembers[Op(op)]
	if !known {
		return refuse(ReasonInvalid, inBandOp, "There is no command %q: use show, hide, put or patch.", clip(op))
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if name != inBandOp && !slices.Contains(members, name) {
			return refuse(ReasonInvalid, clip(name), "The command %s has no %q: it takes %s.", op, clip(name), strings.Join(members, ", "))
		}
	}
	c.Op = Op(op)
	if c.Key, refusal = m.text("key"); refusal != nil {
		return refusal
	}
	if c.Slot, refusal = m.text("slot"); refusal != nil {
		return refusal
	}
	switch c.Op {
	case OpPut:
		c.Body, refusal = m.document(inBandID)
		return refusal
	case OpPatch:
		if c.Body, refusal = m.document("patch"); refusal != nil {
			return refusal
		}
	case OpHide:
		return nil
	case OpShow:
		if c.Slot == "" {
			c.Slot = defaultSlot
		}
	}
	if c.Card, refusal = m.text(inBandID); refusal == nil && c.Card == "" {
		refusal = refuse(ReasonInvalid, inBandID, `The card is missing: name one of the list, such as "card": "lamp".`)
	}
	return refusal
}

// text reads a member that is a string; "" when it is absent.
func (m inBandCommand) text(name string) (s string, _ *Refusal) {
	raw := m[name]
	if raw == nil {
		return "", nil
	}
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", refuse(ReasonInvalid, name, "%q is no string: put it in quotation marks.", name)
	}
	return s, nil
}

// document reads a member that is an object.
func (m inBandCommand) document(name string) ([]byte, *Refusal) {
	raw := bytes.TrimLeft(m[name], " \t\r\n")
	switch {
	case len(raw) == 0:
		return nil, refuse(ReasonInvalid, name, "%q is missing: send the document with the command.", name)
	case raw[0] != '{':
		return nil, refuse(ReasonInvalid, name, "%q is no document: send it as a JSON object.", name)
	}
	return raw, nil
}

// inBandHash is the SHA-256 of what a command says. It does not depend on how that was written: the order of members and
// the carrier make no difference.
func inBandHash(c *Command) [sha256.Size]byte {
	var body any
	if len(c.Body) > 0 {
		in := json.NewDecoder(bytes.NewReader(c.Body))
		in.UseNumber()
		if in.Decode(&body) != nil {
			body = string(c.Body)
		}
	}
	return sha256.Sum256(jsonOf([]any{c.Op, c.Slot, c.Card, body}))
}
