//go:build !linux

package main

import (
	"errors"
	"time"
)

var errLinux = errors.New("the benchmarks measure processes by means of Linux")

func childrenTime(int) (time.Duration, error) { return 0, errLinux }

func onCPU(int, func() error) error { return errLinux }
