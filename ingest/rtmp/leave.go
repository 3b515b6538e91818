package rtmp

import (
	"github.com/bluenviron/gortmplib/pkg/amf0"

	"pushcart/ingest"
)

// Codes of onStatus for a connection, on message stream 0 (Enhanced RTMP v2, "Reconnect Request").
const (
	// codeReconnect asks the client to go on to its next key frame, to connect again and to leave then. Without tcUrl that is where it
	// is connected to now.
	codeReconnect = "NetConnection.Connect.ReconnectRequest"
	// codeShutdown tells why the connection ends.
	codeShutdown = "NetConnection.Connect.AppShutdown"
)

// leave has the client asked to reconnect, from any goroutine.
func (c *conn) leave(how ingest.Drain) {
	c.leaving.Store(&how)
	c.raw.SetReadDeadline(longAgo) // wakes the reader, which asks
}

// askToLeave asks the client to reconnect if that is due. Until it leaves, what it sends is taken. The address is left out: the client
// takes the one that it has, which is right for a successor on this host, and for another node behind the same name.
func (c *conn) askToLeave() error {
	how := c.leaving.Swap(nil)
	if how == nil {
		return nil
	}
	c.session.log.Info("rtmp: publisher asked to reconnect", "here", how.Here)
	return c.out.command(0, "onStatus", 0, nil, amf0.Object{
		{Key: "level", Value: "status"},
		{Key: "code", Value: codeReconnect},
		{Key: "description", Value: how.Refusal().Message},
	})
}
