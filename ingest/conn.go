package ingest

import (
	"crypto/rand"
	"log/slog"
	"strings"
)

// connLength is the number of characters of a connection's identifier: 35 bits tell the connections of a day apart.
const connLength = 7

// NewConn makes a short identifier of a connection, for Request.Conn and the attribute "conn" of what is logged about it.
func NewConn() string { return strings.ToLower(rand.Text()[:connLength]) }

// logOf is the log for what concerns a request's connection.
func (d *Door) logOf(req Request) *slog.Logger {
	if req.Conn == "" {
		return d.opt.Log
	}
	return d.opt.Log.With("conn", req.Conn)
}
