package fmp4

import "encoding/binary"

// Event is one timed message of a track: an Event Message box of version 1 (ISO/IEC 23009-1 5.10.3.3), as CMAF places it
// in front of a chunk (ISO/IEC 23000-19 7.4.5).
type Event struct {
	// Scheme and Value identify the kind of message; neither may contain a zero byte.
	Scheme, Value string
	// Timescale is the track's.
	Timescale uint32
	// Time is when the message begins, on the track's timeline, in ticks.
	Time int64
	// Duration in ticks; UnknownDuration where it is not known.
	Duration uint32
	// ID tells messages of a scheme and value apart.
	ID uint32
	// Message is the payload.
	Message []byte
}

// UnknownDuration is the event_duration of a message without an end.
const UnknownDuration = 0xFFFFFFFF

// Layout of the box behind its header:
//
//	version and flags(32) timescale(32) presentation_time(64) event_duration(32) id(32) scheme_id_uri\0 value\0 message_data
const emsgFixed = 8 + 4 + 4 + 8 + 4 + 4 + 1 + 1

// EventSize is how many bytes AppendEvent writes.
func EventSize(e *Event) int { return emsgFixed + len(e.Scheme) + len(e.Value) + len(e.Message) }

// AppendEvent appends an Event Message box to b and returns the extended slice.
func AppendEvent(b []byte, e *Event) []byte {
	be := binary.BigEndian
	b = be.AppendUint32(b, uint32(EventSize(e)))
	b = append(b, "emsg\x01\x00\x00\x00"...)
	b = be.AppendUint32(b, e.Timescale)
	b = be.AppendUint64(b, uint64(e.Time))
	b = be.AppendUint32(b, e.Duration)
	b = be.AppendUint32(b, e.ID)
	b = append(append(b, e.Scheme...), 0)
	b = append(append(b, e.Value...), 0)
	return append(b, e.Message...)
}
