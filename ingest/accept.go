package ingest

import (
	"errors"
	"fmt"
	"net"
)

// Temporary tells of an error of Accept that passes, such as too many open files: a server waits a little and goes on.
func Temporary(err error) bool {
	var t interface{ Temporary() bool }
	return !errors.Is(err, net.ErrClosed) && errors.As(err, &t) && t.Temporary()
}

// ListenUDP opens a UDP socket by a function such as net.ListenPacket. It fails when that opens something else.
func ListenUDP(open func(network, address string) (net.PacketConn, error), address string) (*net.UDPConn, error) {
	pc, err := open("udp", address)
	if err != nil {
		return nil, err
	}
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		pc.Close()
		return nil, fmt.Errorf("a socket of the kind %T was opened on %s, and not one for UDP", pc, address)
	}
	return conn, nil
}
