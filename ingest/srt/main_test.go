package srt

import (
	"flag"
	"os"
	"testing"
)

// TestMain has more tests run side by side than there are processors: most wait for cameras in real time.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "8")
	os.Exit(m.Run())
}
