package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
)

// schemeID3 marks an emsg whose message is an ID3 tag (AOM ID3 2.2.3).
const schemeID3 = "https://aomedia.org/emsg/ID3"

// event is one emsg (ISO/IEC 23009-1 section 5.10.3.3).
type event struct {
	version       int
	timescale     uint32
	time          uint64 // of the presentation, in ticks; in version 0 a distance from the segment's start
	duration, id  uint32
	scheme, value string
	data          []byte
	body          []byte // of the box, all of it
}

// eventKey is what tells events apart (ISO/IEC 23009-1 section 5.10.3.3.4).
type eventKey struct {
	scheme, value string
	id            uint32
}

func (e *event) key() eventKey { return eventKey{e.scheme, e.value, e.id} }

func (e *event) id3() bool { return e.scheme == schemeID3 }

// unknownDuration is the event_duration of an event that has none.
const unknownDuration = 0xffffffff

func parseEvent(body []byte) (event, error) {
	f := fields{data: body}
	e := event{body: body}
	version, flags := f.full()
	if e.version = version; version > 1 || flags != 0 {
		return e, fmt.Errorf("its version is %d, its flags %#x", version, flags)
	}
	var err error
	if version == 0 {
		err = e.strings(&f)
	}
	e.timescale = f.u32()
	e.time = f.uint(4 + 4*version)
	e.duration, e.id = f.u32(), f.u32()
	if version == 1 && err == nil {
		err = e.strings(&f)
	}
	e.data = f.data
	if err == nil && f.short {
		err = errors.New("it ends within its fields")
	}
	return e, err
}

func (e *event) strings(f *fields) error {
	for _, s := range []*string{&e.scheme, &e.value} {
		end := bytes.IndexByte(f.data, 0)
		if end < 0 || !utf8.Valid(f.data[:end]) {
			return errors.New("its scheme or value does not end, or is not UTF-8")
		}
		*s = string(f.take(end))
		f.take(1)
	}
	return nil
}
