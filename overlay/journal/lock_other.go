//go:build !unix || solaris || illumos || aix

package journal

import "os"

// lock does nothing where there is no flock(2): there, nothing but the operator's care keeps two processes apart.
func lock(*os.File) error { return nil }

func unlock(*os.File) {}
