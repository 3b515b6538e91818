package testkit

import (
	"syscall"
	"unsafe"
)

// limitFileSize sets RLIMIT_FSIZE of another process: prlimit(2).
func limitFileSize(pid int, bytes uint64) error {
	limit := syscall.Rlimit{Cur: bytes, Max: bytes}
	_, _, e := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
