// Package rtsp takes streams over RTSP and RTSPS (RFC 2326): pushed with ANNOUNCE and RECORD, and pulled from cameras and
// encoders. It never serves players.
//
// The protocol is gortsplib's. What stands here is what goes around it: limits in front of its parser, who may publish what,
// and what becomes of the packets (RFC 3550). What publishers send over UDP comes to sockets of this package's own, is put in order
// and reported on here; gortsplib sees the connection only. A track's gate finds what is lost, its depacketiser makes access units, the
// sync gives them a time that all tracks share, and package feed takes them on.
package rtsp
