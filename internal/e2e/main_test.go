package e2e

import (
	"flag"
	"os"
	"testing"

	"pushcart/internal/testkit"
)

// sideBySide is how many tests run at once: they wait for media to pass, which costs little.
const sideBySide = "8"

func TestMain(m *testing.M) {
	testkit.ActAsFFmpeg()
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", sideBySide)
	}
	code := m.Run()
	testkit.RemoveBuild()
	os.Exit(code)
}
