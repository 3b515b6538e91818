// Package sockets opens the sockets that a node listens on: it takes those that systemd or the process before have open already,
// and makes the others. What it has opened can be handed on to the next process.
//
// Descriptors are handed on, instead of opening each port twice (SO_REUSEPORT), because a connection that has come and was not
// accepted yet belongs to the listening socket: with one socket in two processes it waits for whoever accepts next, with two
// sockets it is lost with the one that closes.
package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
)

// Most is how many sockets may be taken from others.
const Most = 256

// Socket says what a socket is for.
type Socket struct {
	// Name is the node's name for it: "http", "rtmp", "rtsp-udp".
	Name string `json:"name"`
	// Network is "tcp" or "udp".
	Network string `json:"network"`
	// Address as it is configured, which may have the port 0; "" of one by systemd, whose name decides.
	Address string `json:"address,omitempty"`
}

// Inherited is a socket that is open already.
type Inherited struct {
	Socket
	// File has the descriptor. The Set closes it.
	File *os.File
}

// Set opens sockets. The zero value, and a nil one, has nothing to take and opens all of them. Its methods are for any goroutine.
type Set struct {
	mu        sync.Mutex // guards what follows
	inherited []Inherited
	open      []opened
}

// opened is a socket that the node listens on.
type opened struct {
	Socket
	conn     syscall.Conn
	listener *listener // nil of UDP
}

// NewSet makes a set that takes what is inherited, where it is asked for the same.
func NewSet(inherited []Inherited) *Set { return &Set{inherited: inherited} }

// Listen returns the function that opens a service's TCP listeners. Its errors are those of net.Listen.
func (s *Set) Listen(name string) func(network, address string) (net.Listener, error) {
	return func(network, address string) (net.Listener, error) {
		if s == nil {
			return net.Listen(network, address)
		}
		asked := Socket{name, network, address}
		var l net.Listener
		var err error
		if f := s.take(asked); f != nil {
			l, err = net.FileListener(f)
			f.Close()
			if err != nil {
				return nil, fmt.Errorf("take over the socket of %s: %w", name, err)
			}
		} else if l, err = net.Listen(network, address); err != nil {
			return nil, err
		}
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			l.Close()
			return nil, fmt.Errorf("the socket of %s is no TCP listener", name)
		}
		p := newListener(tcp)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open = append(s.open, opened{asked, tcp, p})
		return p, nil
	}
}

// ListenPacket returns the function that opens a service's UDP sockets, which are *net.UDPConn. Its errors are those of
// net.ListenPacket.
func (s *Set) ListenPacket(name string) func(network, address string) (net.PacketConn, error) {
	return func(network, address string) (net.PacketConn, error) {
		if s == nil {
			return net.ListenPacket(network, address)
		}
		asked := Socket{name, network, address}
		var c net.PacketConn
		var err error
		if f := s.take(asked); f != nil {
			c, err = net.FilePacketConn(f)
			f.Close()
			if err != nil {
				return nil, fmt.Errorf("take over the socket of %s: %w", name, err)
			}
		} else if c, err = net.ListenPacket(network, address); err != nil {
			return nil, err
		}
		udp, ok := c.(*net.UDPConn)
		if !ok {
			c.Close()
			return nil, fmt.Errorf("the socket of %s is none for UDP", name)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open = append(s.open, opened{asked, udp, nil})
		return udp, nil
	}
}

// take finds what is open already for a socket; nil where nothing is.
func (s *Set) take(asked Socket) *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.inherited, func(in Inherited) bool { return in.Socket == asked })
	if i < 0 {
		i = slices.IndexFunc(s.inherited, func(in Inherited) bool {
			return in.Address == "" && in.Name == asked.Name && in.Network == asked.Network && listensOn(in.File, asked.Address)
		})
	}
	if i < 0 {
		return nil
	}
	f := s.inherited[i].File
	s.inherited = slices.Delete(s.inherited, i, i+1)
	return f
}

// listensOn tells whether a socket has the port of an address; port 0 is any.
func listensOn(f *os.File, address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	return port == "0" || port == strconv.Itoa(portOf(f))
}

// Left closes what is inherited and was not asked for, and returns it: settings have changed, or name other ports.
func (s *Set) Left() []Socket {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []Socket
	for _, in := range s.inherited {
		in.File.Close()
		left = append(left, in.Socket)
	}
	s.inherited = nil
	return left
}

// Open lists what the set has opened, or taken, and is not closed.
func (s *Set) Open() []Socket {
	var all []Socket
	for _, o := range s.alive() {
		all = append(all, o.Socket)
	}
	return all
}

// alive forgets what was closed and returns the others.
func (s *Set) alive() []opened {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(o opened) bool {
		raw, err := o.conn.SyscallConn()
		return err != nil || raw.Control(func(uintptr) {}) != nil
	})
	return slices.Clone(s.open)
}

// Pause has no TCP listener accept any more. Connections that come wait in the kernel, until Resume or another process that has the
// same sockets accepts them. UDP sockets are read by whoever serves them, until he stops.
func (s *Set) Pause() {
	for _, o := range s.alive() {
		if o.listener != nil {
			o.listener.pause()
		}
	}
}

// Resume undoes Pause.
func (s *Set) Resume() {
	for _, o := range s.alive() {
		if o.listener != nil {
			o.listener.resume()
		}
	}
}

// errMany is of sockets that are more than Most.
var errMany = errors.New("there are more sockets than " + strconv.Itoa(Most))
