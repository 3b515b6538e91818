package srt

import (
	"reflect"
	"time"

	gosrt "github.com/datarhei/gosrt"
)

// smallestPayload is the least that a datagram must be able to hold, in bytes: one packet of a transport stream.
const smallestPayload = 188

// asked is what a peer asks for in its handshake. gosrt does not tell it, and acts on it: it subtracts the headers from the
// size of a datagram without looking whether they fit, and allocates the 4 GiB that come out. So it is read from its fields, and a
// connection whose request cannot be read is not taken.
func asked(req gosrt.ConnRequest) (payload uint64, latency time.Duration, ok bool) {
	field := func(v reflect.Value, names ...string) reflect.Value {
		for _, name := range names {
			for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
				v = v.Elem()
			}
			if v.Kind() != reflect.Struct {
				return reflect.Value{}
			}
			v = v.FieldByName(name)
		}
		return v
	}
	v := reflect.ValueOf(req)
	size, delay := field(v, "config", "PayloadSize"), field(v, "handshake", "SRTHS", "SendTSBPDDelay")
	if !size.CanUint() || !delay.CanUint() {
		return 0, 0, false
	}
	return size.Uint(), time.Duration(delay.Uint()) * time.Millisecond, true
}
