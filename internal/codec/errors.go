package codec

import (
	"errors"
	"fmt"
)

// ErrDamaged is wrapped by the errors of samples whose inner lengths do not fit.
var ErrDamaged = errors.New("damaged access unit")

// UnsupportedError is well-formed codec data of a kind that cannot be delivered.
type UnsupportedError struct {
	// What names it for the host, such as "AAC with object type 42".
	What string
}

// Error implements error.
func (e *UnsupportedError) Error() string { return e.What + " is not supported" }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}
