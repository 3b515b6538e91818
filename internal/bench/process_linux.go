package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pushcart/internal/load"
)

// childrenTime is how much the present children of a process have used, together.
func childrenTime(parent int) (time.Duration, error) {
	var sum time.Duration
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		// proc(5): the number, the program's name in parentheses, which may hold any character, the state, the parent.
		_, rest, _ := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil || len(fields) < 2 || fields[1] != strconv.Itoa(parent) {
			continue
		}
		used, err := load.CPUTime(pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// onCPU calls f with this thread, and so the children that it starts, bound to one of the CPUs that the process may use:
// the n-th, or the last when there are fewer. The caller is locked to its thread.
func onCPU(n int, f func() error) error {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("ask for the CPUs: %w", err)
	}
	seen := 0
	for cpu := 0; seen <= n && seen < all.Count(); cpu++ {
		if all.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
			seen++
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("bind to a CPU: %w", err)
	}
	defer unix.SchedSetaffinity(0, &all)
	return f()
}
