//go:build unix

package node

import (
	"fmt"
	"os"
	"syscall"
)

// fileOf names a file by its device and number.
func fileOf(info os.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprintf("%d:%d", s.Dev, s.Ino)
	}
	return ""
}
