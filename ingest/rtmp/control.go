package rtmp

import (
	"encoding/binary"

	"pushcart/ingest"
)

const (
	// defaultWindow is the acknowledgement window until the peer sets one, and the one set for the peer.
	defaultWindow = 2_500_000
	// smallestWindow keeps a peer from having each byte acknowledged.
	smallestWindow = 4 << 10
	// limitDynamic is a Set Peer Bandwidth limit type (RTMP 1.0 5.4.5).
	limitDynamic = 2
)

// handle acts on one message. Its error ends the connection.
func (c *conn) handle(m message) error {
	s := &c.session
	switch m.typ {
	case typeVideo:
		return s.media(m, s.video)
	case typeAudio:
		return s.media(m, s.audio)
	case typeDataAMF0, typeDataAMF3:
		return s.media(m, s.data)
	case typeAggregate:
		return s.media(m, s.aggregate)
	case typeCommandAMF0, typeCommandAMF3:
		return s.command(m)
	case typeSetChunkSize, typeAbort, typeAcknowledgement, typeWindowAckSize, typeSetPeerBandwidth, typeUserControl:
		return c.control(m)
	case typeSharedObjectAMF0, typeSharedObjectAMF3:
		c.ignore(ignoredSharedObject)
	default:
		c.ignore(ignoredType)
	}
	return nil
}

func (c *conn) ignore(kind ignored) { c.server.metrics.ignored[kind].Inc() }

// control acts on protocol control messages (RTMP 1.0 5.4) and user control messages (7.1.7).
func (c *conn) control(m message) error {
	if m.typ == typeUserControl {
		return c.event(m.body)
	}
	if len(m.body) < 4 {
		c.ignore(ignoredType)
		return nil
	}
	v := binary.BigEndian.Uint32(m.body)
	switch m.typ {
	case typeSetChunkSize:
		return c.chunks.setSize(v)
	case typeAbort:
		c.chunks.abort(v)
	case typeWindowAckSize:
		c.window = max(uint64(v), smallestWindow)
	}
	// Acknowledgements and bandwidth are for those who send much.
	return nil
}

func (c *conn) event(body []byte) error {
	if len(body) < 6 || binary.BigEndian.Uint16(body) != eventPingRequest {
		if len(body) < 2 || binary.BigEndian.Uint16(body) > eventPingResponse {
			c.ignore(ignoredEvent)
		}
		return nil
	}
	return c.out.event(eventPingResponse, binary.BigEndian.Uint32(body[2:]))
}

// acknowledge tells the peer what has come, before it has filled its window and waits (RTMP 1.0 5.4.3).
func (c *conn) acknowledge() error {
	if c.received-c.acked < c.window/2 {
		return nil
	}
	c.acked = c.received
	return c.out.control(typeAcknowledgement, uint32(c.received))
}

// statusCode is the onStatus code under which a refusal is known to clients.
func statusCode(r ingest.Reason) string {
	switch r {
	case ingest.ReasonNameTaken:
		return "NetStream.Publish.BadName"
	case ingest.ReasonBadKey, ingest.ReasonNoKeys, ingest.ReasonBadName:
		return "NetStream.Publish.Denied"
	}
	return "NetStream.Publish.Failed"
}
