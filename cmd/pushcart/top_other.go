//go:build !unix

package main

import "os"

// terminalName is the terminal that a process belongs to.
const terminalName = "CONIN$"

// notifySize never tells: the size is asked for with each drawing.
func notifySize(chan<- os.Signal) (stop func()) { return func() {} }
