package whip

import (
	"flag"
	"log"
	"os"
	"testing"
)

// TestMain lets more tests run at a time than there are processors, unless the command says otherwise: most of them wait for
// media that come as fast as time passes.
func TestMain(m *testing.M) {
	flag.Parse()
	told := false
	flag.Visit(func(f *flag.Flag) { told = told || f.Name == "test.parallel" })
	if !told {
		if err := flag.Set("test.parallel", "8"); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}
