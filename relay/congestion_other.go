//go:build !linux

package relay

import "errors"

// tune leaves a socket as it is: only Linux lets a program choose.
func tune(uintptr) (algorithm string, refused error) {
	return "", errors.New("this operating system does not let a program choose it")
}
