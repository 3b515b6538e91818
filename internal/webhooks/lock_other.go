//go:build !unix || solaris || illumos || aix

package webhooks

import "os"

// lock does nothing where there is no flock(2).
func lock(*os.File) error { return nil }

func unlock(*os.File) {}
