//go:build !unix

package node

import "os"

// fileOf names a file; "" where that cannot be done.
func fileOf(os.FileInfo) string { return "" }
