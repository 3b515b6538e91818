//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

var errLinux = errors.New("the benchmarks measure processes by means of Linux")

func dieWithParent(*exec.Cmd) {}

func cpuTime(int) (time.Duration, error) { return 0, errLinux }

func childrenTime(int) (time.Duration, error) { return 0, errLinux }

func resident(int) (int64, error) { return 0, errLinux }

func onCPU(int, func() error) error { return errLinux }

func discardSome(syscall.RawConn, int) (int, error) { return 0, errLinux }
