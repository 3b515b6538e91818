package ingest

import (
	"errors"
	"net"
)

// Temporary tells of an error of Accept that passes, such as too many open files: a server waits a little and goes on.
func Temporary(err error) bool {
	var t interface{ Temporary() bool }
	return !errors.Is(err, net.ErrClosed) && errors.As(err, &t) && t.Temporary()
}
