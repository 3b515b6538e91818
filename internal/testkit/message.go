package testkit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
)

// Data sends a data message: its name and its arguments, which are what a map[string]any may hold that was read from JSON,
// and maps and arrays of strings. The time is the message's; the frame with the same time is the one that it belongs to.
func (p *Publisher) Data(at time.Duration, name string, arguments ...any) error {
	values := amf0.Data{name}
	for _, v := range arguments {
		values = append(values, amfOf(v))
	}
	body, err := values.Marshal()
	if err == nil {
		err = p.Send(typeData, at, body)
	}
	if err != nil {
		return fmt.Errorf("send %s at %v: %w", name, at, err)
	}
	return nil
}

// Text sends a command, or a caption, as onTextData.
func (p *Publisher) Text(at time.Duration, text string) error {
	return p.Data(at, "onTextData", map[string]any{"text": text, "language": "eng"})
}

// Cue sends a cue point of a name such as "pushcart.show".
func (p *Publisher) Cue(at time.Duration, name string, parameters map[string]string) error {
	return p.Data(at, "onCuePoint", map[string]any{"name": name, "time": at.Seconds(), "type": "event", "parameters": parameters})
}

// Card sends a command as onPushcartCard: JSON text or a map[string]any.
func (p *Publisher) Card(at time.Duration, command any) error {
	return p.Data(at, "onPushcartCard", command)
}

// amfOf makes an AMF0 value.
func amfOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return amfObject(v)
	case map[string]string:
		return amfObject(v)
	case []any:
		return amfArray(v)
	case []string:
		return amfArray(v)
	case int:
		return float64(v)
	}
	return v
}

// amfObject makes an object with its members in the order of their names.
func amfObject[V any](m map[string]V) amf0.Object {
	o := amf0.Object{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		o = append(o, amf0.ObjectEntry{Key: k, Value: amfOf(m[k])})
	}
	return o
}

func amfArray[V any](list []V) amf0.StrictArray {
	a := amf0.StrictArray{}
	for _, v := range list {
		a = append(a, amfOf(v))
	}
	return a
}

// UserDataUUID marks the SEI messages that carry commands: 9f3c1b52-6e0d-4a57-8c1e-70757368cafe.
var UserDataUUID = [16]byte{0x9f, 0x3c, 0x1b, 0x52, 0x6e, 0x0d, 0x4a, 0x57, 0x8c, 0x1e, 0x70, 0x75, 0x73, 0x68, 0xca, 0xfe}

// WithSEI makes a copy of a clip's sample, of H.264 or HEVC, that carries commands as JSON texts: in front of its picture
// stands an SEI NAL unit with one user_data_unregistered message for each.
func (c *Clip) WithSEI(s *Sample, texts ...string) *Sample {
	header, first := []byte{6}, func(nal []byte) bool { t := nal[0] & 31; return t >= 1 && t <= 5 }
	if c.Codec == HEVC {
		header, first = []byte{39 << 1, 1}, func(nal []byte) bool { return nal[0]>>1 < 32 }
	}
	var rbsp []byte
	for _, text := range texts {
		rbsp = append(rbsp, 5)
		size := len(UserDataUUID) + len(text)
		rbsp = append(rbsp, bytes.Repeat([]byte{0xFF}, size/255)...)
		rbsp = append(append(append(rbsp, byte(size%255)), UserDataUUID[:]...), text...)
	}
	nal := append(header, preventEmulation(append(rbsp, 0x80))...)
	unit := append(binary.BigEndian.AppendUint32(nil, uint32(len(nal))), nal...)
	at := 0
	for at+4 < len(s.Payload) && !first(s.Payload[at+4:]) {
		at += 4 + int(binary.BigEndian.Uint32(s.Payload[at:]))
	}
	made := *s
	made.Payload = slices.Concat(s.Payload[:at], unit, s.Payload[at:])
	return &made
}

// preventEmulation puts in the bytes that keep a payload from looking like a start code (ITU-T H.264 7.4.1).
func preventEmulation(rbsp []byte) (out []byte) {
	zeros := 0
	for _, b := range rbsp {
		if zeros == 2 && b <= 3 {
			out, zeros = append(out, 3), 0
		}
		out = append(out, b)
		if zeros++; b != 0 {
			zeros = 0
		}
	}
	return out
}
